"""The commands of operators, as processes of their own: what they print, and how they exit."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.acceptance.conftest import Launch
from tests.support.system import System, in_days


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


async def run(*arguments: str, config: Path, **environment: str) -> Ran:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMEOFF_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "timeoff_cli.main",
        *arguments,
        env={**clean, "TIMEOFF_CONFIG": str(config), "COLUMNS": "200", **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def test_go_live_by_command_starts_writing(launch: Launch) -> None:
    """Promise: `go-live` shows the plan; without a yes nothing changes (1), with --yes writing is on (0)."""
    async with launch(live=False) as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.state(request, "planned")
        asked = await run("go-live", config=system.config)
        assert asked.code == 1
        assert "insert" in asked.out
        assert await system.entries() == []
        answered = await run("go-live", "--yes", config=system.config)
        assert answered.code == 0, answered.err
        await system.state(request, "settled", "insert")
        await system.quiet()
        shadow = await run("go-live", "--shadow", config=system.config)
        assert shadow.code == 0
        assert (await system.ledger.deployment.read()).write_mode == "shadow"


async def test_held_failed_and_retry_by_command(launch: Launch) -> None:
    """Promise: held and failed list each waiting request and what to do (1; 0 if none); retry looks again."""
    async with launch() as system:
        none = await asyncio.gather(run("held", config=system.config), run("failed", config=system.config))
        assert [ran.code for ran in none] == [0, 0], none
        held, failed = await _held_and_failed(system)
        shown = await run("held", "--json", config=system.config)
        assert shown.code == 1
        (item,) = json.loads(shown.out)
        assert (item["request_id"], item["reason"]) == (held, "overlap")
        assert item["what_to_do"]
        assert item["detail"]["hris"]
        table = await run("failed", config=system.config)
        assert table.code == 1
        assert failed in table.out
        assert "Insufficient balance" in table.out
        await system.options(bamboohr={"rejectInsufficient": False})
        assert (await run("retry", config=system.config)).code == 2
        assert (await run("retry", "no-such-request", config=system.config)).code == 1
        again = await run("retry", "--reason", "insufficient_balance", config=system.config)
        assert (again.code, again.out.split()) == (0, [failed])
        await system.state(failed, "settled", "insert")


async def test_brake_by_command(launch: Launch) -> None:
    """Promise: `brake` tells whether all writes are held (1) and why, and releases them."""
    async with launch() as system:
        assert (await run("brake", config=system.config)).code == 0
        await system.ledger.pool.execute(
            "UPDATE ledger.deployment SET brake_reason = '9 cancels', braked_at = now()"
        )
        pulled = await run("brake", config=system.config)
        assert pulled.code == 1
        assert "9 cancels" in pulled.out
        assert (await run("brake", "--release", config=system.config)).code == 0
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.the_entry(request)


async def test_config_masks_secrets_and_names_every_mistake(launch: Launch, tmp_path: Path) -> None:
    """Promise: settings in force are shown without secrets; all wrong ones are named by key at once (2)."""
    async with launch(listen=False, syncs=0) as system:
        shown = await run("config", config=system.config)
        assert shown.code == 0
        key = system.settings.hris["acme"].settings["api_key"].get_secret_value()
        assert key not in shown.out
        assert system.settings.genesys.client_secret.get_secret_value() not in shown.out
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(
            system.config.read_text().replace('adapter = "bamboohr"', 'adapter = "bambohr"')
            + '\n[listner]\nlag_margin = 1\n[http]\nport = "eighty"\n'
        )
        for command in ("config", "sync", "listener", "held"):
            ran = await run(command, config=wrong)
            assert ran.code == 2, (command, ran)
            for name in ("hris.acme", "listner", "http.port"):
                assert name in ran.err, (command, name, ran.err)
            assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", ["held", "sync", "listener"])
async def test_an_unreachable_database_is_one_clear_line(launch: Launch, command: str) -> None:
    """Promise: a database that cannot be reached ends a command with 3 and a line that says so."""
    async with launch(listen=False, syncs=0) as system:
        ran = await run(
            command, config=system.config, TIMEOFF_DATABASE__URL="postgresql://nobody@127.0.0.1:1/none"
        )
        assert ran.code == 3, ran
        assert "PostgreSQL" in ran.err
        assert "Traceback" not in ran.err


async def _held_and_failed(system: System) -> tuple[str, str]:
    await system.stop()
    await system.booked_by_hand(system.agents[0], {in_days(14): "4"})
    held = await system.submit(system.agents[0], in_days(14))
    await system.start_sync()
    await system.start_listener()
    await system.options(bamboohr={"rejectInsufficient": True})
    days = [in_days(14 + n) for n in range(12)]
    failed = await system.submit(system.agents[1], *days, activityCodeId="6")
    await system.quiet()
    return held, failed

"""The product as processes: listener and sync replicas beside a sandbox, on a database of their own.

    async with running_product(folder, database_url) as product:
        listener, sync = await product.start("listener", "sync")
        request = await product.approve(0)
        await product.until_settled()
        await product.assert_exactly_once()

The sandbox runs within the test, so that its admin API and its log of calls are at hand and survive whatever
the test does to the processes. Nothing here waits for a time; everything waits for a condition.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from tests.support.genesys_sandbox import GenesysClient, Json, running_sandbox

from timeoff.ledger import Ledger
from timeoff_cli.demo import hris_bamboohr
from timeoff_cli.demo.judge import judge, rows_as_dicts
from timeoff_cli.demo.play import QUIET
from timeoff_cli.demo.stage import Service
from timeoff_sandbox.world import WorldOptions

#: How long a condition may take on a busy machine before the test gives up. Never what a test waits for.
PATIENCE = 40.0
#: The sync's own limits in these tests. A lease has to outlast a call and five seconds for its intent.
CALL_TIMEOUT = 1.5
LEASE = 10.0

SETTINGS: Json = {
    "org": "crash",
    "runtime": {"drain": 15.0},
    "listener": {
        "lag_margin": 0.1,
        "confirm_delay": 0.05,
        "reconnect_max": 0.5,
        "horizon_days": 120,
        "look_back_days": 5,
    },
    "sync": {
        "lease": LEASE,
        "retry_first": 0.2,
        "retry_max": 0.5,
        "retry_attempts": 1000,
        "find_waits": [0.0, 0.2, 0.4],
        "empty_wait": 0.4,
        "writeback_every": 0.3,
        "poll": 0.2,
        "brake": {"max_cancels": 1000},
    },
    "hris": {
        "acme": {
            "adapter": "bamboohr",
            "requests_per_minute": 60000,
            "settings": {"read_lag": 0.3, "call_timeout": CALL_TIMEOUT},
        }
    },
}


class Process(Service):
    """One process of the product, with its log as JSON lines and its metrics."""

    def __init__(self, name: str, role: str, environment: Mapping[str, str], log: Path) -> None:
        super().__init__(name, [role], environment, log)
        self._file = log

    def lines(self, action: str | None = None) -> list[Json]:
        """Its log lines, all or those of one action."""
        found = []
        for line in self._file.read_text("utf-8", "replace").splitlines() if self._file.exists() else ():
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if isinstance(said, dict) and action in (None, said.get("action")):
                found.append(said)
        return found

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code; negative numbers are signals."""
        assert self.process is not None
        try:
            return await asyncio.wait_for(self.process.wait(), PATIENCE)
        except TimeoutError:
            raise AssertionError(f"{self.name} does not end:\n{self.tail(20)}") from None

    async def kill(self) -> None:
        if self.process is not None and self.running:
            self.process.kill()
            await self.process.wait()

    @property
    def monitor(self) -> str | None:
        """Where it serves its metrics, once it has said so."""
        started = self.lines("monitor.listening")
        return started[-1]["url"] if started else None


class Product:
    """Processes over one database, one log and one sandbox. `settings` are laid over `SETTINGS`."""

    def __init__(
        self, folder: Path, database: str, sandbox: GenesysClient, log: Json, settings: Json, hris_url: str
    ) -> None:
        self.folder = folder
        self.database = database
        self.sandbox = sandbox
        self.services: dict[str, Process] = {}
        self._nth = 0
        self.config = folder / "settings.toml"
        self.settings = merged(
            SETTINGS,
            {
                "log": log,
                "genesys": {
                    "api_url": sandbox.sandbox.url,
                    "login_url": sandbox.sandbox.url,
                    "client_id": sandbox.world["clientId"],
                    "requests_per_minute": 60000,
                },
                "hris": {"acme": {"settings": {"base_url": hris_url}}},
            },
            settings,
        )
        self.config.write_text(toml(self.settings))
        self.environment = {
            "TIMEOFF_CONFIG": str(self.config),
            "TIMEOFF_DATABASE__URL": database,
            "TIMEOFF_GENESYS__CLIENT_SECRET": sandbox.world["clientSecret"],
            "TIMEOFF_HRIS__ACME__SETTINGS__API_KEY": sandbox.world["apiKey"],
        }

    # -- processes -----------------------------------------------------------------------------------

    async def go_live(self) -> None:
        """Make the ledger and turn writing on, before anything starts."""
        ledger = await Ledger.open(self.database, org=self.settings["org"], holder="test", pool_size=2)
        try:
            await ledger.deployment.ensure()
            await ledger.deployment.go_live([], [])
        finally:
            await ledger.close()

    async def start(self, *names: str, **environment: str) -> list[Process]:
        """Start processes; `sync-b` is one more replica of `sync`. Returns when each has said it works."""
        started = []
        for name in names:
            role = name.partition("-")[0]
            self._nth += 1
            log = self.folder / f"{name}.{self._nth}.log"
            process = Process(name, role, {**self.environment, **environment}, log)
            await process.start()
            self.services[f"{name}.{self._nth}"] = process
            started.append(process)
        for process in started:
            await until(lambda p=process: p.monitor or not p.running, f"{process.name} to start", process)
        return started

    async def listening(self, listener: Process) -> None:
        """Every agent is subscribed and every gap closed: from now on the stream brings everything."""

        async def subscribed() -> bool:
            agents = await self.metric(listener, "timeoff_listener_agents_subscribed")
            return agents == len(self.agents)

        await until(subscribed, "all agents to be subscribed", listener)
        await self.until_true(
            "SELECT count(*) > 0 AND bool_and(closed_at IS NOT NULL) FROM ledger.gaps", "the first backfill"
        )

    async def metric(self, process: Process, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        async with self.sandbox.session.get(f"{process.monitor}/metrics") as answer:
            text = await answer.text()
        total = 0.0
        for line in text.splitlines():
            if (found := re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)) and all(
                f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()
            ):
                total += float(found[2])
        return total

    async def close(self) -> None:
        for process in self.services.values():
            if process.running:
                process.send(signal.SIGCONT)
                await process.kill()

    # -- ledger --------------------------------------------------------------------------------------

    async def rows(self, statement: str, *arguments: Any) -> list[Json]:
        connection = await asyncpg.connect(self.database)
        try:
            return [dict(row) for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()

    async def value(self, statement: str, *arguments: Any) -> Any:
        found = await self.rows(statement, *arguments)
        return next(iter(found[0].values())) if found else None

    async def until_true(self, statement: str, what: str, *arguments: Any) -> None:
        async def asked() -> bool:
            try:
                return bool(await self.value(statement, *arguments))
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False  # the database is away, or has no tables yet

        await until(asked, what, *self.services.values())

    async def until_settled(self, *requests: Json) -> None:
        """Nothing is left to do, and the ledger knows these requests as the sandbox has them."""
        wanted = {request["id"]: request["version"] for request in requests}
        left: Json = {}

        async def asked() -> bool:
            try:
                row = (await self.rows(QUIET))[0]
                known = await self.rows("SELECT request_id, version FROM ledger.requests")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return False
            versions = {each["request_id"]: each["version"] or 0 for each in known}
            left.clear()
            left.update({name: count for name, count in row.items() if name != "known" and count})
            left.update({id_: v for id_, v in wanted.items() if versions.get(id_, 0) < v})
            return not left

        try:
            await until(asked, "everything to settle", *self.services.values())
        except AssertionError as error:
            raise AssertionError(f"{error}\nleft: {left}") from None

    async def time_passes(self, holder: Process) -> None:
        """As if the lease time of a dead process had passed already, for its lanes and its named jobs."""
        for table in ("lanes", "leases"):
            await self.rows(
                f"UPDATE ledger.{table} SET leased_until = now() - interval '1 ms' WHERE holder LIKE $1",
                f"%:{holder.pid}:%",
            )

    # -- both worlds ---------------------------------------------------------------------------------

    @property
    def agents(self) -> list[Json]:
        return self.sandbox.agents

    async def approve(self, agent: int, day: int = 0, **fields: Any) -> Json:
        """An approved request of one day for an agent (by number); `day` counts from a fixed future day."""
        fields = {"dates": [future(day)], "dailyMinutes": 480, "minutes": [480], **fields}
        return await self.sandbox.create(self.agents[agent], **fields)

    async def change(self, request: Json, **fields: Any) -> Json:
        return await self.sandbox.patch(request, **fields)

    async def fault(self, on: str, kind: str, **more: Any) -> None:
        await self.sandbox.ok("POST", "/admin/hris/faults", {"rules": [{"on": on, "kind": kind, **more}]})

    async def until_fault_fired(self, on: str) -> None:
        async def asked() -> bool:
            rules = (await self.sandbox.ok("GET", "/admin/hris/faults"))["rules"]
            return any(rule["on"] == on and rule["fired"] for rule in rules)

        await until(asked, f"the fault on {on}", *self.services.values())

    async def entries(self) -> list[Json]:
        """Every record that the HRIS ever made, replaced and cancelled ones included."""
        return (await self.sandbox.ok("GET", "/admin/hris/entries"))["entries"]

    async def calls(self, *operations: str) -> list[Json]:
        """Calls that the HRIS has seen, all or those of some operations."""
        calls = (await self.sandbox.ok("GET", "/admin/hris/calls"))["calls"]
        return [call for call in calls if not operations or call["operation"] in operations]

    async def held(self) -> dict[str, str]:
        rows = await self.rows("SELECT request_id, reason FROM ledger.requests WHERE state = 'held'")
        return {row["request_id"]: row["reason"] for row in rows}

    async def assert_exactly_once(self) -> None:
        """Genesys, ledger and HRIS agree; nothing waits for a person; no mark stands on two live records."""
        ledger = await self.rows("SELECT request_id, state, reason, detail FROM ledger.requests")
        booked = await self.rows(
            "SELECT r.request_id, e.vendor_id, e.chain, e.live, e.adopted"
            " FROM ledger.entries e JOIN ledger.requests r USING (request_pk)"
        )
        verdict = judge(
            self.sandbox.world,
            (await self.sandbox.ok("GET", "/admin/genesys/requests"))["requests"],
            hris_bamboohr.truth(await self.entries(), await self.calls()),
            hris_bamboohr.amounts,
            rows_as_dicts(ledger),
            rows_as_dicts(booked),
            (0.0, 0.0),
        )
        counts = {name: getattr(verdict, name) for name in ("missing", "duplicate", "stale", "wrong")}
        counts |= {"held": dict(verdict.held), "failed": dict(verdict.failed)}
        assert not any(counts.values()), counts
        marks = (await self.sandbox.ok("GET", "/admin/hris/live-by-marker"))["live"]
        assert all(live <= 1 for live in marks.values()), marks


async def until(
    condition: Callable[[], Any | Awaitable[Any]], what: str, *processes: Process, within: float = PATIENCE
) -> None:
    """Ask again and again until it holds. Says what the processes said last if it never does."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if await answer if asyncio.iscoroutine(answer) else answer:
            return
        if time.monotonic() > deadline:
            said = "\n".join(f"--- {each.name}\n{each.tail(12)}" for each in processes)
            raise AssertionError(f"waited {within:.0f} s for {what}\n{said}")
        await asyncio.sleep(0.05)


def future(day: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=20 + day)).isoformat()


def merged(*trees: Json) -> Json:
    """Tables laid over each other; later ones win."""
    result: Json = {}
    for tree in trees:
        for key, value in tree.items():
            known = result.get(key)
            result[key] = (
                merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
            )
    return result


def toml(tree: Json, path: str = "") -> str:
    """Settings as TOML; what JSON and TOML write alike (text, numbers, booleans, lists) is all there is."""
    plain = [f"{key} = {json.dumps(value)}" for key, value in tree.items() if not isinstance(value, dict)]
    text = "\n".join(([f"[{path}]"] if path else []) + plain) + "\n"
    for key, value in tree.items():
        if isinstance(value, dict):
            text += toml(value, f"{path}.{key}" if path else key)
    return text


def kafka_log(bootstrap: str, names: str, **kafka: Any) -> Json:
    """The log settings for a shared broker: topics and group of this test alone."""
    return {
        "kind": "kafka",
        "group": f"{names}-sync",
        "requests_topic": f"{names}.requests",
        "outcomes_topic": f"{names}.outcomes",
        "dead_letters_topic": f"{names}.dead-letters",
        "kafka": {"bootstrap_servers": bootstrap, "session_timeout": 6.0, **kafka},
    }


@asynccontextmanager
async def running_product(
    folder: Path,
    database: str,
    *,
    log: Json | None = None,
    agents: int = 8,
    live: bool = True,
    hris_url: str | None = None,
    **settings: Any,
) -> AsyncIterator[Product]:
    """A product of which nothing runs yet; what the test starts is killed at the end. Live unless told."""
    async with running_sandbox(WorldOptions(agents=agents)) as sandbox:
        await sandbox.ok("PUT", "/admin/options", {"bamboohr": {"requestsPerMinute": None, "readLagMs": 100}})
        product = Product(
            folder, database, sandbox, log or {"kind": "postgres"}, settings, hris_url or sandbox.sandbox.url
        )
        if live:
            await product.go_live()
        try:
            yield product
        finally:
            await product.close()


async def command(product: Product, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """One command of the product with its settings: exit code, output, errors."""
    from timeoff_cli.demo.stage import COMMAND

    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env={**os.environ, **product.environment, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()

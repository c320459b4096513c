"""`timeoff-sync balance` as a process: starts from settings alone, says when it is ready, ends in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.balance import TOKEN, sha256
from tests.support.system import running_system


async def test_the_command_serves_and_ends(database_url: str, tmp_path: Path) -> None:
    async with running_system(database_url, tmp_path, listen=False, syncs=0) as system:
        tokens = f'[[balance.tokens]]\nname = "form"\nsha256 = "{sha256(TOKEN)}"\n'
        config = tmp_path / "balance.toml"
        config.write_text(f"{system.config.read_text()}\n[balance]\nport = 0\n{tokens}")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "timeoff_cli.main",
            "balance",
            "--config",
            str(config),
            stderr=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("TIMEOFF_")},
        )
        assert process.stderr is not None
        said: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(30), aiohttp.ClientSession() as http:
                urls: dict[str, str] = {}
                while not {"balance.listening", "monitor.listening"} <= urls.keys():
                    said.append(json.loads(await process.stderr.readline()))
                    if "url" in said[-1]:
                        urls[said[-1]["action"]] = said[-1]["url"]
                while (await http.get(f"{urls['monitor.listening']}/readyz")).status != 200:
                    await asyncio.sleep(0.05)
                headers = {"Authorization": f"Bearer {TOKEN}"}
                url = f"{urls['balance.listening']}/v1/time-off-types"
                async with http.get(url, headers=headers) as answer:
                    assert len((await answer.json())["types"]) == 3
                async with http.get(f"{urls['monitor.listening']}/metrics") as answer:
                    assert "timeoff_balance_following 1.0" in await answer.text()
                process.send_signal(signal.SIGTERM)
                rest = await process.stderr.read()
                assert await process.wait() == 0, rest
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert TOKEN not in json.dumps(said) + rest.decode()

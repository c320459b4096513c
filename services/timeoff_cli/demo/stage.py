"""The demo's stage: PostgreSQL, perhaps Kafka, the sandbox, listener, sync, balance: a process each."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from timeoff.embedded.child import tied
from timeoff.embedded.kafka import KafkaBroker
from timeoff.embedded.postgres import PostgresServer
from timeoff.errors import Unreachable
from timeoff_cli.demo.hris import Hris
from timeoff_cli.demo.lookups import Desk

#: Seconds within which a service says where it listens.
STARTING = 30.0
COMMAND = (sys.executable, "-m", "timeoff_cli.main")


class Service:
    """One process of the product (or the sandbox), restarted on demand; its log goes to a file."""

    def __init__(self, name: str, arguments: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._arguments = arguments
        self._environment = {**os.environ, **environment}
        self._log = log
        self.process: asyncio.subprocess.Process | None = None

    def keep(self, extra: Mapping[str, str]) -> None:
        """Environment for all later starts."""
        self._environment.update(extra)

    async def start(self, extra: Mapping[str, str] | None = None, *, pipe: bool = False) -> None:
        with self._log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *tied((*COMMAND, *self._arguments), signal.SIGTERM),
                env={**self._environment, **(extra or {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if pipe else log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def stop(self) -> None:
        if self.process is not None and self.running:
            self.process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), 30)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()

    async def address(self, event: str) -> str:
        """Where the service listens, from the line of its log that says so."""
        try:
            async with asyncio.timeout(STARTING):
                while True:
                    for line in self.tail(50).splitlines():
                        if f'"{event}"' in line:
                            url: str = json.loads(line)["url"]
                            return url
                    if not self.running:
                        raise Unreachable(f"{self.name} ended:\n{self.tail(20)}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise Unreachable(f"{self.name} did not start:\n{self.tail(20)}") from None

    def tail(self, lines: int = 5) -> str:
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])


class Stage:
    """Everything the demo stands on. An async context manager; what it started ends with it."""

    def __init__(
        self, *, log: str, hris: Hris, agents: int, seed: int, sandbox: dict[str, Any], settings: str
    ) -> None:
        self.log_kind = log
        self.hris = hris
        self.desk = Desk(self)
        self._agents = agents
        self._seed = seed
        self._sandbox_options = sandbox
        self._settings = settings
        self._opened = AsyncExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="timeoff-demo-"))
        self.database = ""
        self.database_name = ""
        self.log_name = ""
        self.bootstrap = ""
        self.url = ""
        self.http: aiohttp.ClientSession
        self.services: dict[str, Service] = {}

    async def __aenter__(self) -> Stage:
        try:
            await self._open()
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in ("listener", "sync"):
            if name in self.services:
                await self.services[name].stop()
        await self._opened.aclose()

    async def _open(self) -> None:
        self._server = await self._opened.enter_async_context(PostgresServer(None))
        self.database = await self.create_database("timeoff")
        connection = await asyncpg.connect(self.database)
        version = (await connection.fetchval("SHOW server_version")).split()[0]
        await connection.close()
        self.database_name = f"embedded PostgreSQL {version}"
        self.log_name = "PostgreSQL (embedded)"
        if self.log_kind == "kafka":
            broker = await self._opened.enter_async_context(KafkaBroker(None))
            self.bootstrap = broker.bootstrap_servers
            self.log_name = f"Apache Kafka at {self.bootstrap}"
        self.http = await self._opened.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        )
        arguments = ["sandbox", "--agents", str(self._agents), "--seed", str(self._seed)]
        arguments += ["--options", json.dumps(self._sandbox_options)]
        self.sandbox = await self.start_with_a_line("sandbox", arguments)
        self.url = self.sandbox["url"]
        await self.hris.open(self)
        self._configure()

    async def create_database(self, name: str) -> str:
        """A further database on the stage's PostgreSQL; returns its URL."""
        await self._server.create_database(name)
        return self._server.url(name)

    async def start_service(
        self, name: str, arguments: list[str], environment: Mapping[str, str], *, pipe: bool = False
    ) -> Service:
        """One more process, which ends with the stage."""
        service = Service(name, arguments, environment, self.folder / f"{name}.log")
        await service.start(pipe=pipe)
        self._opened.push_async_callback(service.stop)
        self.services[name] = service
        return service

    async def start_with_a_line(self, name: str, arguments: list[str]) -> dict[str, Any]:
        """A process that says in one line of JSON where it serves, once it does; returns what it said."""
        service = await self.start_service(name, arguments, {}, pipe=True)
        assert service.process is not None
        assert service.process.stdout is not None
        line = await asyncio.wait_for(service.process.stdout.readline(), 30)
        if not line:
            raise Unreachable(f"{name} did not start: {service.tail()}")
        said: dict[str, Any] = json.loads(line)
        return said

    def _configure(self) -> None:
        """One settings file for listener and sync; secrets go through the environment, as they should."""
        (self.folder / "settings.toml").write_text(
            self._settings.format(
                log=self.log_kind, bootstrap=self.bootstrap, url=self.url, client=self.sandbox["clientId"]
            )
            + self.hris.target()
            + self.desk.settings()
        )
        environment = {
            "TIMEOFF_CONFIG": str(self.folder / "settings.toml"),
            "TIMEOFF_DATABASE__URL": self.database,
            "TIMEOFF_GENESYS__CLIENT_SECRET": self.sandbox["clientSecret"],
            **self.hris.secrets(),
        }
        self.environment = environment
        for name in ("listener", "sync"):
            self.services[name] = Service(name, [name], environment, self.folder / f"{name}.log")

    def forget(self) -> None:
        """Remove the folder with logs and settings when the stage closes."""
        self._opened.callback(shutil.rmtree, self.folder, ignore_errors=True)

    async def command(self, *arguments: str) -> str:
        """One short command of the product, as an operator would give it."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            env={**os.environ, **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode not in (0, 1):
            raise Unreachable(f"timeoff-sync {arguments[0]} failed: {err.decode()[-400:]}")
        return out.decode()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's admin API."""
        async with self.http.request(method, f"{self.url}/admin{path}", json=body) as answer:
            if answer.status >= 400:
                raise Unreachable(f"sandbox {method} {path}: {answer.status} {(await answer.text())[:300]}")
            return await answer.json()

"""A sandbox, a listener that runs against it, and what the two have to say, for tests of the listener."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from pydantic import SecretStr
from tests.support.listener_ledger import MemoryListenerLedger
from tests.support.memory_log import MemoryLog

from timeoff.events import Observation, decode_observation
from timeoff.settings.model import GenesysSettings, ListenerSettings, Settings
from timeoff_listener.app import run
from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.world import WorldOptions

QUICK: dict[str, Any] = {
    "lag_margin": 0.05,
    "confirm_delay": 0.02,
    "look_back_days": 30,
    "horizon_days": 60,
    "reconnect_max": 0.5,
    "heartbeat_timeout": 5.0,
}


@dataclass
class Town:
    """Genesys Cloud in the sandbox, with the admin's hands on it."""

    sandbox: Sandbox
    session: aiohttp.ClientSession

    @property
    def agents(self) -> list[str]:
        return [agent["agentId"] for agent in self.sandbox.describe()["agents"]]

    @property
    def units(self) -> list[str]:
        return [unit["id"] for unit in self.sandbox.describe()["managementUnits"]]

    def unit_of(self, agent_id: str) -> str:
        return next(
            str(agent["managementUnitId"])
            for agent in self.sandbox.describe()["agents"]
            if agent["agentId"] == agent_id
        )

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        async with self.session.request(
            method,
            f"{self.sandbox.url}/admin{path}",
            data=io.BytesIO(json.dumps(body).encode()) if body is not None else None,
            headers={"Content-Type": "application/json"},
        ) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text[:500]}"
            return json.loads(text) if text else None

    async def options(self, **genesys: Any) -> None:
        await self.admin("PUT", "/options", {"genesys": genesys})

    async def submit(self, agent_id: str, *dates: str, status: str = "APPROVED", **more: Any) -> str:
        body = {
            "agentId": agent_id,
            "activityCodeId": "5",
            "status": status,
            "dates": list(dates),
            "dailyMinutes": 480,
            **more,
        }
        return str((await self.admin("POST", "/genesys/requests", body))["id"])

    async def change(self, request_id: str, **more: Any) -> Any:
        return await self.admin("PATCH", f"/genesys/requests/{request_id}", more)

    async def calls(self, part: str) -> list[dict[str, Any]]:
        calls = (await self.admin("GET", "/genesys/calls"))["calls"]
        return [call for call in calls if part in f"{call['method']} {call['path']}"]

    async def channels(self) -> list[dict[str, Any]]:
        found = await self.admin("GET", "/genesys/channels")
        return list(found["channels"] if isinstance(found, dict) else found)

    def genesys(self, **more: Any) -> GenesysSettings:
        return GenesysSettings(
            **{
                "api_url": self.sandbox.url,
                "login_url": self.sandbox.url,
                "client_id": "sandbox-client",
                "client_secret": SecretStr("sandbox-secret"),
                "requests_per_minute": 60_000,
                **more,
            }
        )


@dataclass
class Listening:
    """A listener that runs, its log, and its ledger."""

    town: Town
    log: MemoryLog
    ledger: MemoryListenerLedger
    settings: Settings
    stop: asyncio.Event

    @property
    def observations(self) -> list[Observation]:
        return [decode_observation(record) for record in self.log.records.get("timeoff.requests", ())]

    def of(self, request_id: str) -> list[Observation]:
        return [seen for seen in self.observations if seen.request_id == request_id]

    @property
    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in self.log.records.get("timeoff.dead-letters", ())]

    async def until(self, enough: Callable[[], bool], *, within: float = 15.0) -> None:
        await self.log.until(enough, within=within)

    async def settled(self, *, within: float = 15.0) -> None:
        """All gaps are closed and nothing waits for a confirming read."""
        await self.ledger.until(lambda: not self.ledger.gaps and not self.ledger.waiting, within=within)


@asynccontextmanager
async def town(*, agents: int = 6, **genesys: Any) -> AsyncIterator[Town]:
    sandbox = Sandbox({"genesys": {"requestsPerMinute": 0, **genesys}})
    sandbox.make_world(WorldOptions(agents=agents))
    await sandbox.start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Town(sandbox, session)
    finally:
        await sandbox.stop()


@asynccontextmanager
async def listening(
    town: Town,
    *,
    ledger: MemoryListenerLedger | None = None,
    log: MemoryLog | None = None,
    settle: bool = True,
    genesys: dict[str, Any] | None = None,
    notes: str = "omit",
    **listener: Any,
) -> AsyncIterator[Listening]:
    """Run a listener; on entry the gap of its start is closed, unless `settle` is false."""
    ledger, log = ledger or MemoryListenerLedger(), log or MemoryLog()
    log.on_append.append(ledger.absorb)
    settings = Settings(
        genesys=town.genesys(**(genesys or {})),
        listener=ListenerSettings(**{**QUICK, **listener}),
        notes=notes,  # type: ignore[arg-type]
    )
    stop = asyncio.Event()
    process = asyncio.create_task(run(settings, ledger, log, stop))
    running = Listening(town, log, ledger, settings, stop)
    try:
        if settle:
            opened = asyncio.create_task(ledger.until(lambda: ledger.closed and not ledger.gaps, within=15))
            await asyncio.wait({process, opened}, return_when=asyncio.FIRST_COMPLETED)
            if process.done():
                opened.cancel()
                await process
            await opened
        yield running
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await process

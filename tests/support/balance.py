"""The balance service in this process, on a database and a log, as another replica would be.

async with running_system(...) as system, served(system.settings) as desk:
    answer = await desk.query(employee_id, "2025-06-01", types=["83"])
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import aiohttp

from timeoff.settings.model import (
    BalanceClientSettings,
    BalanceSettings,
    BalanceTokenSettings,
    Settings,
)
from timeoff_balance import app
from timeoff_cli.opening import open_event_log, open_ledger

Json = dict[str, Any]

TOKEN = "token-of-a-test-that-may-read"
WRITER = "token-of-a-test-that-may-write"
CLIENT, SECRET = "genesys", "secret-of-a-client"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any
    headers: Mapping[str, str]
    raw: bytes


@dataclass
class Desk:
    """Asks the service as `token`."""

    service: app.Service
    http: aiohttp.ClientSession
    token: str | None = TOKEN
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.service.url

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Reply:
        """`body`: bytes as they are, anything else as JSON."""
        sent = dict(headers or {})
        if shown := token or self.token:
            sent.setdefault("Authorization", f"Bearer {shown}")
        if body is not None:
            more["data"] = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.url + path, headers=sent, **more) as answer:
            raw = await answer.read()
            known = answer.content_type in ("application/json", "application/problem+json")
            return Reply(answer.status, json.loads(raw) if known and raw else None, answer.headers, raw)

    async def get(self, path: str, **more: Any) -> Json:
        reply = await self.call("GET", path, **more)
        assert reply.status == 200, (path, reply.status, reply.raw)
        return reply.body  # type: ignore[no-any-return]

    async def refused(
        self, status: int, code: str, method: str, path: str, body: Any = None, **m: Any
    ) -> Reply:
        """The call ends so, as a problem."""
        reply = await self.call(method, path, body, **m)
        assert (reply.status, reply.headers["Content-Type"]) == (status, "application/problem+json"), reply
        assert (reply.body["status"], reply.body["code"]) == (status, code)
        return reply

    async def ask(self, employee_id: str | None, *dates: str, types: Sequence[str] = (), **more: Any) -> Json:
        """The whole answer of a lookup."""
        body: Json = {"dates": list(dates), **more}
        if employee_id is not None:
            body["employeeId"] = employee_id
        if types:
            body["types"] = [{"id": each} for each in types]
        reply = await self.call("POST", "/v1/balances/query", body)
        assert reply.status == 200, (reply.status, reply.raw)
        return reply.body  # type: ignore[no-any-return]

    async def rows(self, employee_id: str | None, *dates: str, **more: Any) -> list[Json]:
        return list((await self.ask(employee_id, *dates, **more))["balances"])

    async def row(self, employee_id: str | None, on: str, type_id: str = "83", **more: Any) -> Json:
        (row,) = await self.rows(employee_id, on, types=[type_id], **more)
        return row


def at_once(calls: Sequence[Json]) -> int:
    """Of calls in a sandbox's log: the most that were under way at one moment."""
    begun = [(call["at"], 1) for call in calls]
    ended = [(call["at"] + call["durationMs"] / 1000, -1) for call in calls]
    return max(accumulate(change for _, change in sorted(begun + ended)))


def balance_settings(**changes: Any) -> BalanceSettings:
    given: Json = {
        "port": 0,
        "tokens": [
            BalanceTokenSettings(name="form", sha256=sha256(TOKEN)),
            BalanceTokenSettings(name="tool", sha256=sha256(WRITER), access="read-write"),
        ],
        "clients": [
            BalanceClientSettings(client_id=CLIENT, secret_sha256=sha256(SECRET), access="read-write")
        ],
        **changes,
    }
    return BalanceSettings(**given)


@asynccontextmanager
async def served(settings: Settings, *, follow: bool = True, **balance: Any) -> AsyncIterator[Desk]:
    """One replica. `balance` are settings of `[balance]`; `follow` False leaves the topics unheard."""
    settings = settings.model_copy(update={"balance": balance_settings(**balance)})
    stop = asyncio.Event()
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(open_ledger(settings, "balance"))
        log = await opened.enter_async_context(open_event_log(settings))
        service = await opened.enter_async_context(app.serve(settings, ledger, log))
        http = await opened.enter_async_context(aiohttp.ClientSession())
        desk = Desk(service, http)
        try:
            if follow:
                desk.tasks = [asyncio.create_task(loop(stop)) for loop in service.loops.values()]
                async with asyncio.timeout(20):
                    await service.invalidation.ready.wait()
            yield desk
        finally:
            stop.set()
            async with asyncio.timeout(20):
                await asyncio.gather(*desk.tasks)

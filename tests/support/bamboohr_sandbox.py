"""The BambooHR face of the sandbox on a free loopback port, with a clock and a stopwatch that tests turn."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
from aiohttp import web

from timeoff_sandbox.bamboohr import DEFAULT_KEY, BambooHrSandbox


@dataclass
class TurnedClock:
    """Stands still at noon UTC on Monday 2 March 2026 until a test turns it."""

    moment: datetime = datetime(2026, 3, 2, 12, tzinfo=UTC)
    stopwatch: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def today(self, zone: str) -> date:
        return self.moment.astimezone(ZoneInfo(zone)).date()


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def error(self) -> str:
        return self.headers.get("X-BambooHR-Error-Message", "")


@dataclass
class Bench:
    """A running sandbox and a client of it. `hr` calls the API, `admin` the admin side."""

    sandbox: BambooHrSandbox
    clock: TurnedClock
    base: str
    http: aiohttp.ClientSession

    async def hr(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = DEFAULT_KEY,
        headers: Mapping[str, str] | None = None,
        gateway: bool = True,
    ) -> Reply:
        prefix = "/api/gateway.php/acme/v1/" if gateway else "/api/v1/"
        auth = None if key is None else aiohttp.encode_basic_auth(key, "x")
        sent = {"Accept": "application/json", **({"Authorization": auth} if auth else {}), **(headers or {})}
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.base + prefix + path, data=data, headers=sent) as response:
            return Reply(response.status, response.headers.copy(), await response.text())

    async def create(self, employee: int = 1, **fields: Any) -> Reply:
        body = {
            "status": "approved",
            "start": "2026-04-01",
            "end": "2026-04-01",
            "timeOffTypeId": 83,
            "dates": [{"ymd": "2026-04-01", "amount": 8}],
            **fields,
        }
        return await self.hr("PUT", f"employees/{employee}/time_off/request", body)

    async def listed(self, query: str = "start=2026-01-01&end=2026-12-31") -> list[dict[str, Any]]:
        reply = await self.hr("GET", f"time_off/requests?{query}")
        assert reply.status == 200, reply
        return list(reply.json)

    async def set_status(self, request_id: object, status: str, **more: Any) -> Reply:
        return await self.hr("PUT", f"time_off/requests/{request_id}/status", {"status": status, **more})

    async def admin(self, method: str, path: str, body: object = None) -> Any:
        async with self.http.request(method, self.base + "/admin/hris/" + path, json=body) as response:
            answer = await response.json()
            assert response.status < 300, (response.status, answer)
            return answer

    async def entries(self) -> list[dict[str, Any]]:
        return list((await self.admin("GET", "entries"))["entries"])

    async def fault(self, on: str, kind: str, **more: Any) -> None:
        await self.admin("POST", "faults", {"rules": [{"on": on, "kind": kind, **more}]})


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """People 1 (Ann), 2 (Bob) and 3 (without e-mail); types 83 and 85 in hours, 84 in days."""
    clock = TurnedClock()
    sandbox = BambooHrSandbox(clock, monotonic=lambda: clock.stopwatch)
    sandbox.add_employee("1", "ann@example.com", "Ann Lee")
    sandbox.add_employee("2", "bob@example.com", "Bob Ray")
    sandbox.add_employee("3", None, "Cem Oz")
    app = web.Application()
    app.add_routes(sandbox.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as http:
            # aiohttp repeats a PUT by itself when the connection was cut, as if it were idempotent here.
            http._retry_connection = False
            yield Bench(sandbox, clock, f"http://127.0.0.1:{port}", http)
    finally:
        sandbox.faults.clear()
        await runner.cleanup()

"""The leave service in this process, on a free port and a fresh database, with a clock that tests turn."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
from argon2 import PasswordHasher
from pydantic import SecretStr

from timeoff.settings.model import LeaveSettings
from timeoff_leave import app
from timeoff_leave.context import Context
from timeoff_leave.database import Connection
from timeoff_leave.passwords import Passwords
from timeoff_leave.setup import keep_account

ADMINISTRATOR = "administrator"
PASSWORD = "administrator's password"
CLIENT_ID = "timeoff-sync"
CLIENT_SECRET = "client's secret"
#: argon2 at the least cost: what is tested is not how long it takes.
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class TurnedClock:
    """Stands still at noon UTC on 26 March 2023, the day of the document's examples, until a test turns
    it."""

    moment: datetime = datetime(2023, 3, 26, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    def ok(self) -> Any:
        """The answer, which must be a success."""
        assert self.status == 200, (self.status, self.text)
        return self.json

    def refused(self, status: int = 400) -> Any:
        """What was refused, which must be with this status and in the shape of all errors."""
        assert self.status == status, (self.status, self.text)
        messages = self.json
        assert isinstance(messages, dict)
        for key, said in messages.items():
            assert key
            assert isinstance(said, list)
            assert all(isinstance(message, str) and message for message in said)
        return messages


@dataclass
class Leave:
    """A running service and a client of it, logged in as the administrator of the root region."""

    url: str
    context: Context
    clock: TurnedClock
    http: aiohttp.ClientSession
    token: str | None = None
    password: str = PASSWORD
    client_secret: str = CLIENT_SECRET
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One call below /rest/v1. `token` "" is the administrator's, None is none; a str or bytes body is
        sent as it is."""
        sent = dict(headers or {})
        shown = self.token if token == "" else token
        if shown:
            sent.setdefault("Authorization", f"Bearer {shown}")
        data: str | bytes | io.BytesIO | None = (
            body if isinstance(body, str | bytes | io.BytesIO | None) else json.dumps(body, default=str)
        )
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        return await self.send(method, "/rest/v1" + path, data, sent)

    async def send(
        self,
        method: str,
        path: str,
        data: str | bytes | io.BytesIO | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        async with self.http.request(
            method, self.url + path, data=data, headers=headers, allow_redirects=False
        ) as response:
            return Reply(response.status, response.headers.copy(), await response.text())

    async def get(self, path: str, **more: Any) -> Any:
        return (await self.call("GET", path, **more)).ok()

    async def post(self, path: str, body: object = None, **more: Any) -> Any:
        return (await self.call("POST", path, body, **more)).ok()

    async def patch(self, path: str, body: object, **more: Any) -> Any:
        return (await self.call("PATCH", path, body, **more)).ok()

    async def refused(
        self, method: str, path: str, body: object = None, status: int = 400, **more: Any
    ) -> Any:
        return (await self.call(method, path, body, **more)).refused(status)

    async def grant(self, **fields: str) -> Reply:
        """A call for tokens; client and secret are right unless they are given."""
        form = {"client_id": CLIENT_ID, "client_secret": self.client_secret, **fields}
        async with self.http.post(self.url + "/rest/oauth2/access_token", data=form) as response:
            return Reply(response.status, response.headers.copy(), await response.text())

    async def login(self, username: str = ADMINISTRATOR, password: str | None = None) -> str:
        """An access token of this account."""
        password = self.password if password is None else password
        reply = await self.grant(grant_type="password", username=username, password=password)
        return str(reply.ok()["access_token"])

    async def turn(self, moment: datetime | str) -> None:
        """Set the clock, and log in anew: tokens end by the same clock."""
        self.clock.moment = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        if self.clock.moment.tzinfo is None:
            self.clock.moment = self.clock.moment.replace(tzinfo=UTC)
        self.token = await self.login()

    async def region(self, name: str, parent: int = 1, **fields: Any) -> int:
        return int((await self.post("/regions", {"name": name, "parent": parent, **fields}))["id"])

    async def policy(self, id: int | None = None, items: Sequence[int] = (), **fields: Any) -> int:
        """A policy of 8 hours a day, reset each January, with these items. An id of choice needs the
        database."""
        number = next(self._numbers)
        body = {
            "name": f"Policy {number}",
            "region": 1,
            "effectiveStartDate": "2100-01-01T00:00:00+00:00",
            **fields,
        }
        created = int((await self.post("/leave-policies", body))["id"])
        if id is not None:
            await self.context.pool.execute("UPDATE leave_policies SET id = $2 WHERE id = $1", created, id)
            created = id
        if items:
            path = f"/leave-policies/{created}/actions/assign-leave-policy-items"
            await self.post(path, {"leavePolicyItemsIds": list(items)})
        return created

    async def item(self, **fields: Any) -> int:
        """An item of 18 days Vacation (type 10) unless told otherwise."""
        number = next(self._numbers)
        given = {"name": f"Item {number}", "region": 1, "leaveType": 10, "entitlementUnit": "DAYS", **fields}
        if "accrualRate" not in given:
            given.setdefault("quantity", 18)
        return int((await self.post("/leave-policy-items", given))["id"])

    async def assign(self, policy: int, *employees: int) -> Any:
        path = f"/leave-policies/{policy}/actions/assign-employees"
        return await self.post(path, {"employeesIds": list(employees)})

    async def account(
        self, username: str, region: int, role: str = "ADMINISTRATOR", password: str = PASSWORD
    ) -> str:
        """An account of this region; its token."""
        await keep_account(self.context, Passwords(QUICK), username, password, region=region, role=role)
        return await self.login(username, password)

    async def employee(self, id: int | None = None, region: int = 1, **fields: Any) -> int:
        """An employee. An id of choice (the document has 1404 and 1441) needs the database."""
        body = {"firstName": "Ann", "lastName": "Lee", "region": region, **fields}
        created = int((await self.post("/employees", body))["id"])
        if id is None:
            return created
        await self.context.pool.execute("UPDATE employees SET id = $2 WHERE id = $1", created, id)
        return id


@asynccontextmanager
async def served(database_url: str, moment: str | None = None, **settings: Any) -> AsyncIterator[Leave]:
    """The service; `settings` are those of `[leave]`."""
    clock = TurnedClock()
    if moment is not None:
        clock.moment = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    given: dict[str, Any] = {
        "port": 0,
        "administrator_password": SecretStr(PASSWORD),
        "client_secret": SecretStr(CLIENT_SECRET),
        **settings,
    }
    async with (
        app.serve(
            LeaveSettings(**given), database_url, clock=clock, passwords=Passwords(QUICK), pool_size=8
        ) as service,
        aiohttp.ClientSession() as http,
    ):
        leave = Leave(service.url, service.context, clock, http)
        leave.password = given["administrator_password"].get_secret_value()
        leave.client_secret = given["client_secret"].get_secret_value()
        leave.token = await leave.login()
        yield leave


_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'timeoff-leave' AND wait_event_type = 'Lock'
"""


async def waiting(holder: Connection, many: int) -> None:
    """Come back when so many connections of the service wait for a lock."""
    async with asyncio.timeout(20):
        while await holder.fetchval(_WAITING) < many:
            # Statistics are those of the beginning of a transaction unless they are asked for anew.
            await holder.execute("SELECT pg_stat_clear_snapshot()")


async def at_once(leave: Leave, *calls: tuple[str, str, Any], employees: Sequence[int]) -> list[Reply]:
    """The replies to calls that all wait for these employees before one of them goes on: none is over
    before the next begins, so that without the lock, or with a look before it, all would find what the
    first one found."""
    async with leave.context.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT FROM employees WHERE id = ANY ($1::int[]) FOR UPDATE", list(employees))
        tasks = [asyncio.create_task(leave.call(*call)) for call in calls]
        try:
            await waiting(holder, len(calls))
        finally:
            await transaction.rollback()
        return await asyncio.gather(*tasks)

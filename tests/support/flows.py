"""The balance service with the world of the blueprint's printed examples, and its flows on both ways of
calling."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import aiohttp
from tests.support.system_settings import settings_table

import timeoff_balance.app
from timeoff.settings.model import Settings
from timeoff_cli.opening import open_event_log, open_ledger
from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.bamboohr.records import TimeOffType

Json = dict[str, Any]

PLAIN: Final = "plain"
COMPATIBLE: Final = "compatible"
#: When the printed runs were launched.
PRINTED: Final = datetime(2025, 3, 26, 20, 33, 25, tzinfo=UTC)
TOKEN: Final = "token of the flows"
TITLES: Final = {
    "get-agents": "HRIS-Get-Agents",
    "get-timeoff-types": "HRIS-Get-TimeOff-Types",
    "get-balance": "HRIS-Get-Balance",
}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Blueprint:
    """A running service and a client of it."""

    url: str
    sandbox: Sandbox
    http: aiohttp.ClientSession
    service: timeoff_balance.app.Service | None = None

    async def call(self, method: str, path: str, body: object = None, *, token: str | None = TOKEN) -> Reply:
        """A body that is no text and no bytes is sent as JSON."""
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        headers = {"Content-Type": "application/json"} if data is not None else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.http.request(method, self.url + path, data=data, headers=headers) as response:
            return Reply(response.status, response.headers.copy(), await response.text())

    async def get(self, path: str) -> Reply:
        return await self.call("GET", path)

    async def post(self, path: str, body: object) -> Reply:
        return await self.call("POST", path, body)

    async def run(self, way: str, flow: str, inputs: Json | None = None) -> Json:
        """All outputs of one run. The call itself always succeeds."""
        if way == COMPATIBLE:
            return dict((await self.follow((await self.launch(flow, inputs))["id"]))["outputData"])
        reply = await self.post(f"/v1/flows/{flow}", inputs or {})
        assert reply.status == 200, (reply.status, reply.text)
        return dict(reply.json)

    async def until_state(self, flow: str, wanted: tuple[int, str]) -> None:
        """Run it until it ends so."""
        async with asyncio.timeout(20):
            while True:
                answer = await self.run(PLAIN, flow)
                if (answer["Flow.statusCode"], answer["Flow.status"]) == wanted:
                    return
                await asyncio.sleep(0.1)

    async def launch(self, flow: str, inputs: Json | None = None, name: str = "try") -> Json:
        body: Json = {"flowId": await self.flow_id(flow), "name": name}
        if inputs is not None:
            body["inputData"] = inputs
        reply = await self.post("/api/v2/flows/executions", body)
        assert reply.status == 200, (reply.status, reply.text)
        return dict(reply.json)

    async def follow(self, id: str) -> Json:
        """The run when it has ended, asked for again and again as a client has to."""
        async with asyncio.timeout(30):
            while True:
                reply = await self.get(f"/api/v2/flows/executions/{id}")
                assert reply.status == 200, (reply.status, reply.text)
                if reply.json["status"] != "RUNNING":
                    assert reply.json["status"] == "COMPLETED"
                    return dict(reply.json)
                await asyncio.sleep(0.02)

    async def flow_id(self, flow: str) -> str:
        reply = await self.get(f"/api/v2/flows?name={TITLES[flow]}")
        (found,) = reply.json["entities"]
        return str(found["id"])

    def fault(self, on: str, kind: str, **more: Any) -> None:
        """Spoil calls of the HRIS."""
        self.sandbox.bamboohr.faults.add({"rules": [{"on": on, "kind": kind, **more}]})

    def give_type(
        self,
        id: int,
        name: str,
        units: Literal["hours", "days"],
        policy: Literal["accruing", "manual", "discretionary"],
        opening: int | str = 0,
    ) -> None:
        """A type of the HRIS; a manual policy leaves everybody with its opening balance."""
        type_ = TimeOffType(id, name, units, policy, opening=Decimal(opening))
        self.sandbox.bamboohr.company.types[id] = type_


@asynccontextmanager
async def blueprint(database_url: str, **changes: Any) -> AsyncIterator[Blueprint]:
    """`changes` are merged into the settings."""
    sandbox = Sandbox({"bamboohr": {"requestsPerMinute": None}})
    sandbox.clock.offset_seconds = (PRINTED - datetime.now(UTC)).total_seconds()
    company = sandbox.bamboohr.company
    for id, who in ((313, "one"), (332, "two"), (452, "three")):
        sandbox.bamboohr.add_employee(id, f"user.{who}@companydomain.com", f"User {who.title()}")
    company.types.clear()
    await sandbox.start()
    try:
        async with aiohttp.ClientSession() as http:
            place = Blueprint("", sandbox, http)
            place.give_type(83, "Open Time Off", "hours", "manual", opening=160)
            place.give_type(90, "Study Day", "hours", "discretionary")
            place.give_type(85, "Budgeted days", "days", "discretionary")
            balance = {
                "port": 0,
                "tokens": [{"name": "flows", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}],
            }
            table = settings_table(database_url, sandbox, None, changes)
            table["balance"] = {**balance, **table.get("balance", {})}
            settings = Settings.model_validate(table)
            async with (
                open_ledger(settings, "balance") as ledger,
                open_event_log(settings) as log,
                timeoff_balance.app.serve(settings, ledger, log) as service,
            ):
                place.url, place.service = service.url, service
                yield place
    finally:
        sandbox.bamboohr.faults.clear()
        await sandbox.stop()

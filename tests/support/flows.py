"""The balance service with the world of the blueprint's printed examples, and its flows on both ways of
calling.

async with blueprint(database_url, write_path="flows") as place:     # a sync runs beside it, and books
    answer = await place.run(PLAIN, "insert-timeoff", PRINTED_INSERT)
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import aiohttp
from tests.support.system_settings import merged, settings_table

import timeoff_balance.app
import timeoff_sync.app
from timeoff.ledger import Ledger
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
READER: Final = "token that may read"
TITLES: Final = {
    "get-agents": "HRIS-Get-Agents",
    "get-timeoff-types": "HRIS-Get-TimeOff-Types",
    "get-balance": "HRIS-Get-Balance",
    "insert-timeoff": "HRIS-Insert-TimeOff",
    "update-timeoff": "HRIS-Update-TimeOff",
}
FLOWS, EVENTS = "flows", "events"
#: The id that the printed insert was answered with.
FIRST_ID: Final = 4828
PRINTED_INSERT: Final[Json] = {
    "Flow.agentId": "452",
    "Flow.notes": "Testing timeoff",
    "Flow.dates": ["2025-03-29", "2025-03-30", "2025-03-31"],
    "Flow.minDate": "2025-03-29",
    "Flow.maxDate": "2025-03-31",
    "Flow.timeOffStatus": "APPROVED",
    "Flow.timeOffTypeId": "83",
    "Flow.payableMinutes": ["480", "480", "480"],
}
PRINTED_UPDATE: Final[Json] = {
    **PRINTED_INSERT,
    "Flow.dates": ["2025-03-29", "2025-03-30", "2025-03-31", "2025-04-01"],
    "Flow.maxDate": "2025-04-01",
    "Flow.payableMinutes": ["480", "480", "480", "480"],
    "Flow.inputTimeOffRequestId": str(FIRST_ID),
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
    ledger: Ledger | None = None

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

    async def insert(self, way: str = PLAIN, **changes: Any) -> Json:
        """As printed but for what is named, without `Flow.`. `minutes`: of each of the `dates`."""
        return await self.run(way, "insert-timeoff", booking(PRINTED_INSERT, **changes))

    async def update(self, id: str | None, way: str = PLAIN, **changes: Any) -> Json:
        """As `insert`; of the same days."""
        inputs = booking(PRINTED_INSERT, inputTimeOffRequestId=id, **changes)
        return await self.run(way, "update-timeoff", inputs)

    async def entries(self, status: str | None = None) -> list[Json]:
        """What the HRIS holds, oldest first: all, or those of a status."""
        async with self.http.get(f"{self.sandbox.url}/admin/hris/entries") as answer:
            found = (await answer.json())["entries"]
        return [entry for entry in found if status in (None, entry["status"])]

    def calls(self, *operations: str) -> list[Json]:
        """Calls that reached the HRIS, oldest first."""
        calls = self.sandbox.bamboohr.calls.document()["calls"]
        return [call for call in calls if call["operation"] in operations]

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
        monthly: int | str = 0,
    ) -> None:
        """A type of the HRIS; a manual policy leaves everybody with its opening balance."""
        type_ = TimeOffType(id, name, units, policy, opening=Decimal(opening), monthly=Decimal(monthly))
        self.sandbox.bamboohr.company.types[id] = type_


def booking(printed: Json, *, minutes: int | str | None = None, **changes: Any) -> Json:
    """Inputs of a hand-over: those printed but for what is named; first and last day are of the dates."""
    inputs = {**printed, **{f"Flow.{name}": value for name, value in changes.items()}}
    dates = inputs["Flow.dates"]
    if "dates" in changes:
        inputs |= {"Flow.minDate": min(dates), "Flow.maxDate": max(dates)}
    if minutes is not None:
        inputs["Flow.payableMinutes"] = [str(minutes)] * len(dates)
    return inputs


@asynccontextmanager
async def blueprint(
    database_url: str,
    *,
    write_path: str | None = None,
    prepared: Callable[[Blueprint], None] = lambda place: None,
    **changes: Any,
) -> AsyncIterator[Blueprint]:
    """With a `write_path` a sync runs beside the service, and writes. `prepared` comes before both start;
    `changes` are merged into the settings.
    """
    sandbox = Sandbox({"bamboohr": {"requestsPerMinute": None, "firstRequestId": FIRST_ID}})
    sandbox.clock.offset_seconds = (PRINTED - datetime.now(UTC)).total_seconds()
    company = sandbox.bamboohr.company
    for id, who in ((313, "one"), (332, "two"), (452, "three")):
        sandbox.bamboohr.add_employee(id, f"user.{who}@companydomain.com", f"User {who.title()}")
    company.types.clear()
    async with AsyncExitStack() as opened:
        await sandbox.start()
        opened.push_async_callback(sandbox.stop)
        opened.callback(sandbox.bamboohr.faults.clear)
        http = await opened.enter_async_context(aiohttp.ClientSession())
        place = Blueprint("", sandbox, http)
        place.give_type(83, "Open Time Off", "hours", "manual", opening=160)
        place.give_type(90, "Study Day", "hours", "discretionary")
        place.give_type(85, "Budgeted days", "days", "discretionary")
        prepared(place)
        settings = Settings.model_validate(_settings(database_url, sandbox, write_path, changes))
        ledger = place.ledger = await opened.enter_async_context(open_ledger(settings, "balance"))
        log = await opened.enter_async_context(open_event_log(settings))
        service = await opened.enter_async_context(timeoff_balance.app.serve(settings, ledger, log))
        place.url, place.service = service.url, service
        if write_path is not None:
            await ledger.deployment.go_live((), ())
            stop = asyncio.Event()
            parts = [asyncio.create_task(loop(stop)) for loop in service.loops.values()]
            parts.append(asyncio.create_task(_sync(settings, stop)))
            opened.push_async_callback(_ended, parts, stop)
        yield place


def _settings(database_url: str, sandbox: Sandbox, write_path: str | None, changes: Json) -> Json:
    tokens = {"flows": (TOKEN, "read-write"), "reader": (READER, "read")}
    balance = {
        "port": 0,
        "tokens": [
            {"name": name, "sha256": hashlib.sha256(token.encode()).hexdigest(), "access": access}
            for name, (token, access) in tokens.items()
        ],
    }
    # Long before the printed days: what ends before the cut-over is nobody's to book.
    sync = {"cutover_date": "2025-01-01", **({"write_path": write_path} if write_path else {})}
    table = settings_table(database_url, sandbox, None, {"sync": sync})
    table = merged(table, changes)
    table["balance"] = {**balance, **table.get("balance", {})}
    return table


async def _sync(settings: Settings, stop: asyncio.Event) -> None:
    async with open_ledger(settings, "sync") as ledger, open_event_log(settings) as log:
        await timeoff_sync.app.run(settings, ledger, log, stop)


async def _ended(parts: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
    stop.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*parts)

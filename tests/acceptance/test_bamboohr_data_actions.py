"""The four BambooHR data actions of the Genesys blueprint, word for word, against the sandbox's BambooHR.

Only scheme and host are others; the company is the one that stands in the blueprint's addresses. What is
asked: does the answer, after the response template, fit the output that the action declares (strings are
strings, nothing is converted), and what is left of an answer that is none? The clock stands on the day of the
printed runs. (Blueprint `wfm-hris-blueprint`, exports of the data actions and of the two writing flows.)
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

import aiohttp
import jsonschema
import pytest
import yarl

from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.bamboohr import DEFAULT_KEY, DEFAULT_TOKEN
from timeoff_sandbox.bamboohr.records import TimeOffType

Json = dict[str, Any]

PRINTED: Final = datetime(2025, 3, 26, 20, 33, 25, tzinfo=UTC)
#: How long the flows let an action wait, seconds.
PATIENCE: Final = 60.0

STRING: Final[Json] = {"type": "string"}


def thing(required: tuple[str, ...] = (), **properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": True,
    }


def array(items: Json) -> Json:
    return {"type": "array", "items": items}


@dataclass(frozen=True)
class Failure:
    """What goes out of the branches Failure and Timeout (status None) of a call."""

    status: int | None
    why: str = ""


@dataclass(frozen=True)
class DataAction:
    """Of Velocity the exports use `${input.NAME}` and `${rawResult}` alone, without escaping."""

    method: str
    url: str
    output: Json
    body: str = "${input.rawRequest}"
    success: str = "${rawResult}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Accept": "application/json"})

    def told(self, raw: str) -> Json | Failure:
        """The outputs of a 2xx answer."""
        try:
            result = json.loads(filled(self.success, {"rawResult": raw}))
            jsonschema.Draft202012Validator(self.output).validate(result)
        except ValueError:
            return Failure(200, "not JSON")
        except jsonschema.ValidationError as error:
            return Failure(200, error.message)
        return dict(result)


API: Final = "https://api.bamboohr.com/api/gateway.php/genesystest/v1"
GET_AGENTS: Final = DataAction(
    "GET",
    f"{API}/employees/directory",
    thing(employees=array(thing(id=STRING, workEmail=STRING))),
)
GET_TYPES: Final = DataAction(
    "GET",
    f"{API}/meta/time_off/types",
    thing(
        required=("timeOffTypes",),
        timeOffTypes=array(thing(required=("id", "name"), id=STRING, name=STRING)),
        defaultHours=array(thing(name=STRING, amount=STRING)),
    ),
)
BALANCE: Final = thing(timeOffType=STRING, name=STRING, balance=STRING, units=STRING, end=STRING)
GET_BALANCE: Final = DataAction(
    "GET",
    f"{API}/employees/${{input.employeeId}}/time_off/calculator?end=${{input.end}}",
    thing(values=array(BALANCE)),
    success='{"values": ${rawResult}}',
)
PUT_REQUEST: Final = DataAction(
    "PUT",
    f"{API}/employees/${{input.employeeId}}/time_off/request",
    thing(id=STRING),
    body="${input.payload}",
    headers={"Accept": "application/json", "Content-Type": "application/json"},
)


def filled(template: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda found: values[found[1]], template)


@dataclass
class Caller:
    """Sends a data action as the integration does. `authorization` comes from its credentials."""

    sandbox: Sandbox
    http: aiohttp.ClientSession
    authorization: str
    raw_request: str = ""
    patience: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))

    async def run(self, action: DataAction, **inputs: str) -> Json | Failure:
        values = {
            f"input.{name}": value for name, value in {"rawRequest": self.raw_request, **inputs}.items()
        }
        url = filled(action.url, values).replace("https://api.bamboohr.com", self.sandbox.url, 1)
        headers = {**action.headers, "Authorization": self.authorization}
        self.patience = asyncio.timeout(PATIENCE)
        try:
            async with (
                self.patience,
                self.http.request(
                    action.method,
                    yarl.URL(url, encoded=True),
                    data=filled(action.body, values).encode() or None,
                    headers=headers,
                    skip_auto_headers=("Content-Type",),
                ) as reply,
            ):
                raw = await reply.text()
        except TimeoutError:
            return Failure(None)
        return action.told(raw) if reply.status < 300 else Failure(reply.status, raw)

    async def outputs(self, action: DataAction, **inputs: str) -> Json:
        answer = await self.run(action, **inputs)
        assert isinstance(answer, dict), answer
        return answer

    def fault(self, on: str, kind: str, **more: Any) -> None:
        self.sandbox.bamboohr.faults.add({"rules": [{"on": on, "kind": kind, **more}]})

    def fired(self) -> int:
        """How many calls were spoilt."""
        return sum(rule["fired"] for rule in self.sandbox.bamboohr.faults.remaining())

    def booked(self) -> list[tuple[int, str, dict[date, Decimal], dict[str, str]]]:
        """What the HRIS holds: id, status, days, notes."""
        requests = self.sandbox.bamboohr.company.requests.values()
        return [(each.id, each.now.status, dict(each.now.dates), each.notes) for each in requests]


@asynccontextmanager
async def blueprint_company() -> AsyncIterator[Caller]:
    """The people and types of the printed runs; its next request has the printed id."""
    sandbox = Sandbox({"bamboohr": {"company": "genesystest", "firstRequestId": 4828}})
    sandbox.clock.offset_seconds = (PRINTED - datetime.now(UTC)).total_seconds()
    company = sandbox.bamboohr.company
    for id, who in ((313, "one"), (332, "two"), (452, "three")):
        sandbox.bamboohr.add_employee(id, f"user.{who}@companydomain.com", f"User {who.title()}")
    company.types.clear()
    for type_ in (
        TimeOffType(83, "Open Time Off", "hours", "manual", opening=Decimal(160)),
        TimeOffType(90, "Study Day", "hours", "discretionary"),
        TimeOffType(85, "Budgeted days", "days", "manual", opening=Decimal("10.5")),
    ):
        company.types[type_.id] = type_
    await sandbox.start()
    try:
        async with aiohttp.ClientSession() as http:
            yield Caller(sandbox, http, f"Bearer {DEFAULT_TOKEN}")
    finally:
        sandbox.bamboohr.faults.clear()
        await sandbox.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with blueprint_company() as running:
        yield running


#: As the blueprint advises, OAuth; and the key that BambooHR's own pages show.
AUTHORIZATIONS = {
    "access token": f"Bearer {DEFAULT_TOKEN}",
    "API key": aiohttp.encode_basic_auth(DEFAULT_KEY, "x"),
}


@pytest.mark.parametrize("credentials", AUTHORIZATIONS)
@pytest.mark.parametrize("raw_request", ["", '{"rawRequest": ""}'], ids=["no body", "a body with the GET"])
async def test_the_reads_fit_what_they_declare(caller: Caller, credentials: str, raw_request: str) -> None:
    caller.authorization, caller.raw_request = AUTHORIZATIONS[credentials], raw_request
    agents = await caller.outputs(GET_AGENTS)
    assert [(each["id"], each["workEmail"]) for each in agents["employees"]] == [
        ("313", "user.one@companydomain.com"),
        ("332", "user.two@companydomain.com"),
        ("452", "user.three@companydomain.com"),
    ]
    types = await caller.outputs(GET_TYPES)
    assert [(each["id"], each["name"]) for each in types["timeOffTypes"]] == [
        ("83", "Open Time Off"),
        ("90", "Study Day"),
        ("85", "Budgeted days"),
    ]
    assert {each["name"]: each["amount"] for each in types["defaultHours"]}["Monday"] == "8"
    balance = await caller.outputs(GET_BALANCE, employeeId="452", end="2025-06-01")
    assert [{name: each[name] for name in BALANCE["properties"]} for each in balance["values"]] == [
        {"timeOffType": id, "name": name, "balance": left, "units": units, "end": "2025-06-01"}
        for id, name, left, units in (
            ("83", "Open Time Off", "160.00", "hours"),
            ("90", "Study Day", "0.00", "hours"),
            ("85", "Budgeted days", "10.50", "days"),
        )
    ]


# -- the hand-made payload -----------------------------------------------------------------------------

INSERT = (
    '{"notes": [{"from": "manager", "note": "Testing timeoff"}], "dates":[{"ymd": "2025-03-29", "amount": 8},'
    ' {"ymd": "2025-03-30", "amount": 8}, {"ymd": "2025-03-31", "amount": 8}], "status": "approved",'
    ' "start": "2025-03-29", "end": "2025-03-31", "timeOffTypeId": 83, "amount": 24}'
)
UPDATE = (
    '{"notes": [{"from": "manager", "note": "Testing timeoff"}], "dates":[{"ymd": "2025-03-29", "amount": 8},'
    ' {"ymd": "2025-03-30", "amount": 8}, {"ymd": "2025-03-31", "amount": 8}, {"ymd": "2025-04-01",'
    ' "amount": 8}], "status": "approved", "start": "2025-03-29", "end": "2025-04-01", "timeOffTypeId": 83,'
    ' "amount": 32, "previousRequest": 4828}'
)
NOTES = {"manager": "Testing timeoff"}


def days(*amounts: str) -> dict[date, Decimal]:
    """From 29 March 2025 on."""
    first = date(2025, 3, 29).toordinal()
    return {date.fromordinal(first + n): Decimal(amount) for n, amount in enumerate(amounts)}


async def put(caller: Caller, payload: str) -> Json | Failure:
    return await caller.run(PUT_REQUEST, employeeId="452", payload=payload)


async def test_insert_and_update_answer_with_the_printed_ids(caller: Caller) -> None:
    inserted = await caller.outputs(PUT_REQUEST, employeeId="452", payload=INSERT)
    assert inserted["id"] == "4828"
    updated = await caller.outputs(PUT_REQUEST, employeeId="452", payload=UPDATE)
    assert updated["id"] == "4829"
    assert caller.booked() == [
        (4828, "superceded", days("8", "8", "8"), NOTES),
        (4829, "approved", days("8", "8", "8", "8"), NOTES),
    ]
    balance = await caller.outputs(GET_BALANCE, employeeId="452", end="2025-03-31")
    assert balance["values"][0]["balance"] == "136.00"


async def test_a_cancel_of_the_flows_is_a_denied_successor(caller: Caller) -> None:
    await caller.outputs(PUT_REQUEST, employeeId="452", payload=INSERT)
    denied = UPDATE.replace('"approved"', '"denied"')
    assert (await caller.outputs(PUT_REQUEST, employeeId="452", payload=denied))["id"] == "4829"
    assert [status for _, status, _, _ in caller.booked()] == ["superceded", "denied"]


AMOUNTS = {
    "8.0": ("8.0", "24.0"),  # the other way in which the flow may write 480 / 60
    "7.5": ("7.5", "21"),  # the flow's sum counts whole hours only; BambooHR goes by the days
    "0.3333": ("0.3333", "0"),
}


@pytest.mark.parametrize("amount", AMOUNTS)
async def test_amounts_are_booked_by_day_and_exactly(caller: Caller, amount: str) -> None:
    each, total = AMOUNTS[amount]
    payload = INSERT.replace('"amount": 8}', f'"amount": {each}}}').replace("24", total)
    assert payload != INSERT
    await caller.outputs(PUT_REQUEST, employeeId="452", payload=payload)
    ((_, _, booked, _),) = caller.booked()
    assert booked == days(each, each, each)


UNWRITABLE = {
    "a quote in the note": INSERT.replace("Testing", 'Testing "'),
    "a backslash in the note": INSERT.replace("Testing", "C:\\dates"),
    "a line break in the note": INSERT.replace("Testing", "Testing\n"),
    "no previous id": UPDATE.replace("4828", ""),
    "no status": INSERT.replace('"approved"', '""'),
    "a word for a type": INSERT.replace("83", "PTO"),
    "a type that is none": INSERT.replace("83", "999"),
    "canceled": INSERT.replace("approved", "canceled"),
    "an unknown previous id": UPDATE,
    "the end before the start": INSERT.replace('"end": "2025-03-31"', '"end": "2025-03-28"'),
}


@pytest.mark.parametrize("name", UNWRITABLE)
async def test_what_cannot_be_read_is_400_and_books_nothing(caller: Caller, name: str) -> None:
    assert await put(caller, UNWRITABLE[name]) == Failure(400)
    assert caller.booked() == []


async def test_a_note_can_bring_a_field_of_its_own(caller: Caller) -> None:
    """The payload is put together from texts: this insert replaces another request, as its note says."""
    await caller.outputs(PUT_REQUEST, employeeId="452", payload=INSERT)
    note = 'x"}], "previousRequest": 4828, "ignored": [{"x": "'
    await caller.outputs(PUT_REQUEST, employeeId="452", payload=INSERT.replace("Testing timeoff", note))
    assert [status for _, status, _, _ in caller.booked()] == ["superceded", "approved"]


@pytest.mark.parametrize(
    "note", ['said \\"ill\\"', "back\\\\slash", "two\\nlines", "Ümlaut ☀", "\\u00dcmlaut", ""]
)
async def test_a_note_that_is_escaped_arrives_as_it_was_written(caller: Caller, note: str) -> None:
    payload = INSERT.replace("Testing timeoff", note)
    assert isinstance(await put(caller, payload), dict)
    ((_, _, _, notes),) = caller.booked()
    assert notes.get("manager", "") == json.loads(f'"{note}"')


# -- failures ------------------------------------------------------------------------------------------


async def test_who_is_not_there_is_404(caller: Caller) -> None:
    for employee in ("999", "0", "", "Ann%20Lee"):
        for action, inputs in ((GET_BALANCE, {"end": "2025-06-01"}), (PUT_REQUEST, {"payload": INSERT})):
            assert await caller.run(action, employeeId=employee, **inputs) == Failure(404), employee
    assert caller.booked() == []


async def test_another_company_is_not_there(caller: Caller) -> None:
    caller.sandbox.bamboohr.set_options({"company": "acme"})
    for action in (GET_AGENTS, GET_TYPES):
        assert await caller.run(action) == Failure(404)


async def test_an_id_is_not_escaped_on_its_way_into_the_address(caller: Caller) -> None:
    """The answer is another call's, and what saves the flow is the declared output."""
    answer = await caller.run(GET_BALANCE, employeeId="452?fields=workEmail&x=", end="2025-06-01")
    assert isinstance(answer, Failure)
    assert answer.status == 200
    assert "is not of type 'array'" in answer.why


@pytest.mark.parametrize("end", ["2025-02-29", "06/01/2025", ""])
async def test_a_date_that_is_none_is_400(caller: Caller, end: str) -> None:
    assert await caller.run(GET_BALANCE, employeeId="452", end=end) == Failure(400)


async def test_without_permission_it_is_403_and_an_approval_books_nothing(caller: Caller) -> None:
    rights = {"directory": False, "calculator": False, "approve": False}
    caller.sandbox.bamboohr.set_options({"accessTokens": {DEFAULT_TOKEN: rights}})
    assert await caller.run(GET_AGENTS) == Failure(403)
    assert await caller.run(GET_BALANCE, employeeId="452", end="2025-06-01") == Failure(403)
    assert await put(caller, INSERT) == Failure(403)
    assert caller.booked() == []
    assert await caller.outputs(GET_TYPES)


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Bearer ", "Basic d3Jvbmc6eA=="])
async def test_without_credentials_it_is_401(caller: Caller, authorization: str) -> None:
    caller.authorization = authorization
    assert await caller.run(GET_TYPES) == Failure(401)
    assert await put(caller, INSERT) == Failure(401)
    assert caller.booked() == []


async def test_access_tokens_that_have_ended_lock_nobody_out(caller: Caller) -> None:
    good, caller.authorization = caller.authorization, "Bearer ended"
    for _ in range(6):
        assert await caller.run(GET_TYPES) == Failure(401)
    caller.authorization = good
    assert isinstance(await caller.run(GET_TYPES), dict)


@pytest.mark.parametrize("status", [429, 503], ids=["now", "until September 2026"])
async def test_throttled_is_a_failure_without_the_time_to_wait(caller: Caller, status: int) -> None:
    """Retry-After is a header, and the branch Failure has none of these."""
    caller.sandbox.bamboohr.set_options({"requestsPerMinute": 2, "throttleStatus": status})
    assert isinstance(await caller.run(GET_TYPES), dict)
    assert isinstance(await put(caller, INSERT), dict)
    for action, inputs in (
        (GET_AGENTS, {}),
        (GET_BALANCE, {"employeeId": "452", "end": "2025-06-01"}),
        (PUT_REQUEST, {"employeeId": "452", "payload": INSERT}),
    ):
        assert await caller.run(action, **inputs) == Failure(status)
    assert [id for id, *_ in caller.booked()] == [4828]


async def test_a_timeout_does_not_say_what_was_booked(caller: Caller) -> None:
    caller.fault("create", "slow", seconds=3600)
    caller.fault("create", "hang", seconds=3600)
    for spoilt in (1, 2):
        putting = asyncio.create_task(put(caller, INSERT))
        await until(lambda: len(caller.booked()) == 1 and caller.fired() == spoilt)  # noqa: B023
        caller.patience.reschedule(asyncio.get_running_loop().time())
        assert await putting == Failure(None)
    assert [id for id, *_ in caller.booked()] == [4828]


# -- answers that do not fit ---------------------------------------------------------------------------


async def test_ids_that_are_numbers_fit_no_output_that_declares_strings(caller: Caller) -> None:
    """BambooHR's published form of them. The recorded one, strings, is the sandbox's usual."""
    caller.sandbox.bamboohr.set_options({"wire": "numbers"})
    assert await caller.run(GET_TYPES) == Failure(200, "83 is not of type 'string'")
    assert await put(caller, INSERT) == Failure(200, "4828 is not of type 'string'")
    assert [id for id, *_ in caller.booked()] == [4828]
    for action, inputs in ((GET_AGENTS, {}), (GET_BALANCE, {"employeeId": "452", "end": "2025-06-01"})):
        assert isinstance(await caller.run(action, **inputs), dict)


async def test_an_employee_without_a_work_address_spoils_the_list(caller: Caller) -> None:
    caller.sandbox.bamboohr.add_employee(500, None, "User Four")
    assert await caller.run(GET_AGENTS) == Failure(200, "None is not of type 'string'")


async def test_an_answer_without_a_body_is_a_failure_of_what_was_booked(caller: Caller) -> None:
    caller.fault("create", "no_id")
    assert await put(caller, INSERT) == Failure(200, "not JSON")
    assert [id for id, *_ in caller.booked()] == [4828]

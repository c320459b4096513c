"""The two flows that hand over, called as WFM calls them, on the whole product.

async with office(database_url, tmp_path, **FLOWS) as (system, desk):
    answer = await insert(desk, system.agents[0], in_days(14))
    assert await live(system) == [id_of(answer)]
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from tests.support.balance import WRITER, Desk, served
from tests.support.system import LIVE, Agent, System, in_days, running_system

from timeoff_balance.flows.booking import Booking

Json = dict[str, Any]

#: Settings of the paths; without any the path is `events`.
FLOWS: Final[Json] = {"sync": {"write_path": "flows"}}
EVENTS: Final[Json] = {"sync": {"write_path": "events"}}
#: A day behind all that the tests book, for balances.
LATER = in_days(50)


@asynccontextmanager
async def office(database_url: str, folder: Path, **more: Any) -> AsyncIterator[tuple[System, Desk]]:
    """`more` as of `running_system`."""
    async with running_system(database_url, folder, **more) as system, served(system.settings) as desk:
        yield system, desk


def answers_within(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """How long a call waits for its booking, in services that start from now on."""
    defaults = Booking.__init__.__kwdefaults__
    assert defaults
    assert "answer_within" in defaults
    monkeypatch.setitem(defaults, "answer_within", seconds)


# -- calls ---------------------------------------------------------------------------------------------


def order(agent: Agent | str, *dates: str, minutes: int | Sequence[int] = 480, **more: Any) -> Json:
    """Inputs of an insert; names of `more` without `Flow.`."""
    each = [minutes] * len(dates) if isinstance(minutes, int) else list(minutes)
    inputs = {
        "agentId": agent if isinstance(agent, str) else agent.employee_id,
        "dates": list(dates),
        "minDate": min(dates),
        "maxDate": max(dates),
        "timeOffStatus": "APPROVED",
        "timeOffTypeId": "83",
        "payableMinutes": [str(value) for value in each],
        **more,
    }
    return {f"Flow.{name}": value for name, value in inputs.items()}


async def run(desk: Desk, flow: str, inputs: Json) -> Json:
    """All outputs of one run of the plain call."""
    reply = await desk.call("POST", f"/v1/flows/{flow}", inputs, token=WRITER)
    assert reply.status == 200, (reply.status, reply.raw)
    return dict(reply.body)


async def insert(desk: Desk, agent: Agent | str, *dates: str, **more: Any) -> Json:
    return await run(desk, "insert-timeoff", order(agent, *dates, **more))


async def update(desk: Desk, id: str, agent: Agent | str, *dates: str, **more: Any) -> Json:
    return await run(desk, "update-timeoff", order(agent, *dates, inputTimeOffRequestId=id, **more))


async def together(*calls: Awaitable[Any]) -> list[Any]:
    return list(await asyncio.gather(*calls))


def ended(answer: Json) -> tuple[int, str]:
    return int(answer["Flow.statusCode"]), answer["Flow.status"]


def id_of(answer: Json) -> str:
    """The id that a run ended with, complete."""
    assert ended(answer) == (200, "Complete"), answer
    return str(answer["Flow.timeOffRequestId"])


def refused(answer: Json, reason: str) -> None:
    """`NotAllowed`, with this in its message, and without an id."""
    assert ended(answer) == (403, "NotAllowed"), answer
    assert reason in answer["Flow.errorMsg"], answer
    assert answer["Flow.timeOffRequestId"] is None


# -- a part of a day, as the two sides write it -----------------------------------------------------------


def part(agent: Agent, on: str, hour: int, minutes: int = 120) -> Json:
    """Fields of `System.submit`."""
    local = datetime.fromisoformat(f"{on}T{hour:02}:00").replace(tzinfo=ZoneInfo(agent.zone))
    start = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"partialStarts": [start], "minutes": [minutes], "payableMinutes": [minutes]}


def part_called(on: str, hour: int, minutes: int = 120, *, timed: bool = True) -> Json:
    """Fields of `insert`; not `timed`: without its start time."""
    starts = {"startDateTimes": [f"{on}T{hour:02}:00:00"]} if timed else {}
    return {"minutes": [minutes], **starts}


# -- what came of it --------------------------------------------------------------------------------------


async def rows(system: System) -> list[Json]:
    """All requests of the ledger, oldest first."""
    found = await system.ledger.pool.fetch(
        "SELECT request_id, handover_id, write_path, state, reason, entry_key, detail, report, reported,"
        " handed IS NOT NULL AS handed FROM ledger.requests ORDER BY request_pk"
    )
    return [{**dict(row), "detail": json.loads(row["detail"] or "{}")} for row in found]


async def bound_rows(system: System, count: int) -> list[Json]:
    """Once so many rows are all there is, each of them seen in Genesys."""

    async def all_bound() -> list[Json] | None:
        found = await rows(system)
        fits = len(found) == count and all(row["handover_id"] != row["request_id"] for row in found)
        return found if fits else None

    found: list[Json] = await system.until(f"{count} rows of what was handed over and seen", all_bound)
    return found


async def one_row(system: System) -> Json:
    """Once everything handed over and seen has become one."""
    (row,) = await bound_rows(system, 1)
    return row


async def live(system: System) -> list[str]:
    """Ids of all live records in the HRIS."""
    return [str(entry["id"]) for entry in await system.entries() if entry["status"] in LIVE]


async def booked_days(system: System) -> list[str]:
    """The dates of all live records, each as often as it is booked."""
    return sorted(on for entry in await system.entries() if entry["status"] in LIVE for on in entry["dates"])


async def left(desk: Desk, agent: Agent, on: str = LATER) -> int:
    minutes: int = (await desk.row(agent.employee_id, on))["minutes"]
    return minutes


async def comes_to(system: System, desk: Desk, agent: Agent, minutes: int, on: str = LATER) -> None:
    """Wait until so much is left."""

    async def says() -> bool:
        return await left(desk, agent, on) == minutes

    await system.until(f"{minutes} minutes left", says)


async def shows(system: System, request_id: str, status: str | None) -> None:
    """Wait until Genesys shows this integration status."""

    async def shown() -> bool:
        return await system.integration_status(request_id) == status

    await system.until(f"{request_id} shows {status}", shown)


async def seen(system: System) -> None:
    """Wait until the ledger knows all that Genesys shows, and has decided on it."""

    async def known() -> bool:
        found = await system.ledger.pool.fetch(
            "SELECT request_id, version, due_at <= now() AS d FROM requests"
        )
        versions = {row["request_id"]: row["version"] or 0 for row in found if not row["d"]}
        return all(versions.get(each["id"], 0) >= each["version"] for each in await system.genesys_requests())

    await system.until("all seen", known)


async def asked_for(system: System, agent: Agent) -> None:
    """Wait until a hand-over of this employee is in the ledger."""
    statement = (
        "SELECT count(*) FROM ledger.requests JOIN ledger.lanes USING (lane_id)"
        " WHERE employee_id = $1 AND handed IS NOT NULL"
    )
    await system.until("handed over", lambda: system.ledger.pool.fetchval(statement, agent.employee_id))


async def restarted(system: System, **sync: Any) -> None:
    """The sync ends and starts with other settings, as the balance services that start from now on do."""
    changed = system.settings.sync.model_copy(update=sync)
    system.settings = system.settings.model_copy(update={"sync": changed})
    await system.restart_sync()


def days_after(on: str, days: int) -> str:
    return (datetime.fromisoformat(on).date() + timedelta(days=days)).isoformat()

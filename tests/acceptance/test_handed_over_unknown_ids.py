"""Updates with ids that the ledger does not know: written by other hands, replaced, cancelled, of somebody
else, or of nobody. What is there is taken over; nothing is ever inserted instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.handed import (
    EVENTS,
    FLOWS,
    booked_days,
    comes_to,
    ended,
    id_of,
    left,
    live,
    office,
    one_row,
    refused,
    restarted,
    rows,
    together,
    update,
)
from tests.support.system import Agent, System, in_days

from timeoff.hris.bamboohr.client import BambooHrClient
from timeoff.hris.bamboohr.settings import BambooHrSettings
from timeoff.hris.bamboohr.wire import id_from_location

PATHS = pytest.mark.parametrize("path", [FLOWS, EVENTS], ids=["flows", "events"])


async def replaced(system: System, agent: Agent, on: str, hours: str) -> tuple[str, str]:
    """A record that the old flows changed, and what BambooHR made of it: ids of both."""
    old = await system.booked_by_hand(agent, {on: "8"})
    body = {
        "status": "approved",
        "start": on,
        "end": on,
        "timeOffTypeId": 83,
        "amount": hours,
        "dates": [{"ymd": on, "amount": hours}],
        "previousRequest": int(old),
    }
    client = BambooHrClient(BambooHrSettings.model_validate(system.settings.hris["acme"].settings))
    try:
        path = f"v1/employees/{agent.employee_id}/time_off/request"
        new = id_from_location((await client.write("update", path, body)).location)
    finally:
        await client.close()
    assert new is not None
    assert new != old
    return old, new


async def test_a_live_record_is_taken_over_and_changed(database_url: str, tmp_path: Path) -> None:
    """Promise: adopted and updated, repeated or not; from then on it is a booking like any other."""
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        old = await system.booked_by_hand(agent, {in_days(20): "8"})
        before = await left(desk, agent)
        answers = await together(*(update(desk, old, agent, in_days(22), minutes=[240]) for _ in range(3)))
        assert len({id_of(answer) for answer in answers}) == 1
        assert await live(system) == [id_of(answers[0])]
        assert await booked_days(system) == [in_days(22)]
        assert len(await rows(system)) == 1
        await comes_to(system, desk, agent, before + 240)
        request = await system.submit(agent, in_days(22), minutes=[240], payableMinutes=[240])
        assert (await one_row(system))["request_id"] == request
        gone = await update(desk, old, agent, in_days(22), minutes=[240], timeOffStatus="CANCELED")
        assert ended(gone) == (200, "Complete")
        assert await live(system) == []


async def test_a_live_record_is_cancelled(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        old = await system.booked_by_hand(agent, {in_days(20): "8"})
        answer = await update(desk, old, agent, in_days(20), timeOffStatus="CANCELED")
        assert id_of(answer) == old
        assert await live(system) == []


async def test_on_the_event_path_it_is_taken_over_when_the_request_is_seen(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: the change of a record that somebody else wrote is a change of it, never a second record; what
    Genesys says after that is booked in it too."""
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        old = await system.booked_by_hand(agent, {in_days(20): "8"})
        answer = await update(desk, old, agent, in_days(22))
        assert await live(system) == [old]
        request = await system.submit(agent, in_days(22))
        row = await one_row(system)
        await system.quiet()
        assert (row["request_id"], row["handover_id"]) == (request, id_of(answer))
        assert await booked_days(system) == [in_days(22)]
        again = await update(desk, old, agent, in_days(23))
        assert id_of(again) == id_of(answer)
        await system.change(request, dates=[in_days(23)])
        await system.quiet()
        assert await booked_days(system) == [in_days(23)]
        assert len(await rows(system)) == 1


async def test_on_the_event_path_a_record_that_went_away_is_not_replaced(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: there when the call came, gone when the request was seen: a person decides, nothing is
    booked.
    """
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        old = await system.booked_by_hand(agent, {in_days(20): "8"})
        await update(desk, old, agent, in_days(22))
        await system.admin("PATCH", f"/hris/entries/{old}", {"status": "canceled"})
        request = await system.submit(agent, in_days(22))
        await system.state(request, "held", "cancelled_in_hris")
        await system.quiet()
        assert await live(system) == []
        assert await system.writes() == []


async def test_a_replaced_record_leads_to_its_successor(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        old, new = await replaced(system, agent, in_days(20), "4")
        answer = await update(desk, old, agent, in_days(20), minutes=[480])
        assert await live(system) == [id_of(answer)]
        assert id_of(answer) not in (old, new)
        (row,) = await rows(system)
        assert await system.chain(row["request_id"]) == [new, id_of(answer)]
        again = await update(desk, new, agent, in_days(20), minutes=[480])
        assert id_of(again) == id_of(answer)


async def test_a_replaced_record_with_two_possible_successors_is_for_a_person(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        old, new = await replaced(system, agent, in_days(20), "4")
        other = await system.booked_by_hand(agent, {in_days(20): "2"})
        refused(await update(desk, old, agent, in_days(20)), "record_replaced")
        (row,) = await rows(system)
        assert {each["id"] for each in row["detail"]["hris"]} == {old, new, other}
        assert sorted(await live(system)) == sorted([new, other])
        assert len(await system.writes()) == 1, "the one that replaced it"


@PATHS
@pytest.mark.parametrize("what", ["nowhere", "of somebody else", "cancelled", "denied"])
async def test_what_is_not_there_is_not_allowed(
    what: str, path: Any, database_url: str, tmp_path: Path
) -> None:
    """Promise: NotAllowed with the reason; repeated calls pile nothing up; nothing is written."""
    async with office(database_url, tmp_path, **path) as (system, desk):
        agent, other = system.agents[:2]
        owner = other if what == "of somebody else" else agent
        id = "99999" if what == "nowhere" else await system.booked_by_hand(owner, {in_days(20): "8"})
        if what in ("cancelled", "denied"):
            word = "canceled" if what == "cancelled" else "denied"
            await system.admin("PATCH", f"/hris/entries/{id}", {"status": word})
        before = await live(system)
        answers = [await update(desk, id, agent, in_days(20), minutes=[240]) for _ in range(3)]
        for answer in answers:
            assert ended(answer) == (403, "NotAllowed"), answer
            assert answer["Flow.errorMsg"]
        assert len(await rows(system)) == (1 if path is FLOWS else 0)
        assert await live(system) == before
        assert await system.writes() == []
        gone = await update(desk, id, agent, in_days(20), minutes=[240], timeOffStatus="CANCELED")
        assert ended(gone) == ((200, "Complete") if what in ("cancelled", "denied") else (403, "NotAllowed"))
        assert await live(system) == before
        assert await system.writes() == []


@PATHS
async def test_a_known_id_of_another_employee_is_not_allowed(
    path: Any, database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **path) as (system, desk):
        agent, other = system.agents[:2]
        request = await system.submit(other, in_days(20))
        await system.state(request, *(("not_ours",) if path is FLOWS else ("settled", "insert")))
        before = await live(system)
        refused(await update(desk, request, agent, in_days(20), minutes=[240]), "is not of employee")
        assert await live(system) == before
        assert len(await rows(system)) == 1


async def test_a_change_of_path_does_not_forget_what_is_to_be_taken_over(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: an update that was held because the record was not found, and is booked by events since: still
    never an insert."""
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        refused(await update(desk, "99999", agent, in_days(22)), "record_unknown")
        request = await system.submit(agent, in_days(22))
        await one_row(system)
        await restarted(system, write_path="events")
        await system.retry(request)
        await system.state(request, "held", "record_unknown")
        await system.quiet()
        assert await system.writes() == []

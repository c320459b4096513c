"""Insert and update through the ledger: who calls, what Genesys shows, in which order, and that one record
results. Both write paths; how the two become one, changes of path and troubles have files of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.balance import Desk, served
from tests.support.handed import (
    EVENTS,
    FLOWS,
    answers_within,
    asked_for,
    booked_days,
    bound_rows,
    comes_to,
    ended,
    id_of,
    insert,
    left,
    live,
    office,
    one_row,
    rows,
    seen,
    shows,
    together,
    update,
)
from tests.support.system import System, in_days, running_system

PATHS = pytest.mark.parametrize("path", [FLOWS, EVENTS], ids=["flows", "events"])
#: A balance service hears of changes by notice, never because a figure grew old.
LONG = 600.0


@pytest.fixture(autouse=True)
def quick_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call did not put on record is told to Genesys when its time is over."""
    answers_within(monkeypatch, 8.0)


@asynccontextmanager
async def replicas(database_url: str, folder: Path, **more: Any) -> AsyncIterator[tuple[System, Desk, Desk]]:
    """Two syncs, two balance services."""
    async with AsyncExitStack() as opened:
        system = await opened.enter_async_context(running_system(database_url, folder, syncs=2, **more))
        one = await opened.enter_async_context(served(system.settings, fresh=LONG))
        two = await opened.enter_async_context(served(system.settings, fresh=LONG))
        yield system, one, two


# -- write_path = flows: the call writes ---------------------------------------------------------------


async def test_the_call_books_and_answers_with_the_id_of_the_hris(database_url: str, tmp_path: Path) -> None:
    """Promise: the id is the HRIS's; any id of the chain is good for an update; a cancelled booking is never
    taken for a new one."""
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        answer = await insert(desk, agent, in_days(20), in_days(21))
        (entry,) = await system.entries()
        assert id_of(answer) == str(entry["id"])
        assert (entry["status"], entry["employeeId"]) == ("approved", agent.employee_id)

        changed = await update(desk, id_of(answer), agent, in_days(20), minutes=[240])
        assert await live(system) == [id_of(changed)]
        again = await update(desk, id_of(answer), agent, in_days(20), minutes=[180])
        assert await live(system) == [id_of(again)]
        assert len({id_of(answer), id_of(changed), id_of(again)}) == 3
        gone = await update(
            desk, id_of(changed), agent, in_days(20), minutes=[180], timeOffStatus="CANCELLED"
        )
        assert id_of(gone) == id_of(again)
        assert await live(system) == []
        late = await update(desk, id_of(changed), agent, in_days(20), minutes=[180], timeOffStatus="CANCELED")
        assert id_of(late) == id_of(again)

        anew = await insert(desk, agent, in_days(20), minutes=[180])
        assert id_of(anew) not in (id_of(answer), id_of(changed), id_of(again))
        assert await live(system) == [id_of(anew)]


@PATHS
async def test_the_same_call_again_is_the_same_booking(path: Any, database_url: str, tmp_path: Path) -> None:
    """Promise: repeated at once and later, on two replicas, before and after a restart: one row, one id."""
    async with replicas(database_url, tmp_path, **path, listen=False) as (system, one, two):
        agent = system.agents[0]
        answers = await together(*(insert(desk, agent, in_days(20)) for desk in (one, two) * 3))
        answers.append(await insert(one, agent, in_days(20)))
        await system.restart_sync()
        answers.append(await insert(two, agent, in_days(20)))
        assert len({id_of(answer) for answer in answers}) == 1
        assert len(await rows(system)) == 1
        assert await live(system) == ([id_of(answers[0])] if path is FLOWS else [])


async def test_insert_and_update_at_once_end_with_the_update(database_url: str, tmp_path: Path) -> None:
    """Promise: an update that arrives while the insert is under way is not lost and books nothing beside
    it.
    """
    async with replicas(database_url, tmp_path, **FLOWS) as (system, one, two):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        await system.fault("create", "slow", seconds=0.5)
        inserting = asyncio.create_task(insert(one, agent, in_days(20)))
        await asked_for(system, agent)
        first, second = await together(inserting, update(two, request, agent, in_days(22)))
        assert ended(first) == ended(second) == (200, "Complete")
        assert await live(system) == [id_of(second)]
        assert await booked_days(system) == [in_days(22)]


async def test_a_cancel_while_the_insert_is_under_way(database_url: str, tmp_path: Path) -> None:
    """Promise: what is withdrawn before it was booked is not in the HRIS in the end."""
    async with replicas(database_url, tmp_path, **FLOWS, listen=False) as (system, one, two):
        agent = system.agents[0]
        await system.fault("create", "slow", seconds=0.5)
        inserting = asyncio.create_task(insert(one, agent, in_days(20)))
        await asked_for(system, agent)
        (row,) = await rows(system)
        gone = await update(two, row["handover_id"], agent, in_days(20), timeOffStatus="DENIED")
        await inserting
        assert ended(gone) == (200, "Complete")
        assert await live(system) == []
        assert len(await rows(system)) == 1


@pytest.mark.parametrize("removed", ["DENIED", "CANCELED"])
async def test_what_is_removed_already_books_nothing(removed: str, database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        answer = await insert(desk, system.agents[0], in_days(20), timeOffStatus=removed)
        assert ended(answer) == (200, "Complete")
        assert await system.entries() == []


async def test_a_pending_request_is_a_requested_record_until_it_is_approved_or_denied(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: requested counts as taken; approved is the same leave; denied gives it back, not before."""
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        approved, denied = system.agents[:2]
        full = await left(desk, approved)
        one = await insert(desk, approved, in_days(20), timeOffStatus="PENDING")
        two = await insert(desk, denied, in_days(20), timeOffStatus="PENDING")
        assert {entry["status"] for entry in await system.entries()} == {"requested"}
        await comes_to(system, desk, approved, full - 480)
        await comes_to(system, desk, approved, full - 480)

        one = await update(desk, id_of(one), approved, in_days(20))
        (entry,) = [each for each in await system.entries() if each["status"] == "approved"]
        assert str(entry["id"]) == id_of(one)
        await comes_to(system, desk, approved, full - 480)
        gone = await update(desk, id_of(two), denied, in_days(20), timeOffStatus="DENIED")
        assert ended(gone) == (200, "Complete")
        assert await live(system) == [id_of(one)]
        await comes_to(system, desk, denied, full)


# -- write_path = events: the call reserves ------------------------------------------------------------


async def test_a_reservation_counts_until_the_request_is_seen_and_booked(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: subtracted from the first moment to the last, once, on every replica; one id for ever."""
    async with replicas(database_url, tmp_path) as (system, desk, other):
        agent = system.agents[0]
        before = await left(desk, agent)
        await comes_to(system, other, agent, before)
        answer = await insert(desk, agent, in_days(20), in_days(21), timeOffStatus="PENDING")
        assert await system.entries() == []
        for each in (desk, other):
            await comes_to(system, each, agent, before - 960)

        request = await system.submit(agent, in_days(20), in_days(21), status="PENDING")
        row = await one_row(system)
        assert (row["request_id"], row["handover_id"]) == (request, id_of(answer))
        await system.quiet()
        for each in (desk, other):
            await comes_to(system, each, agent, before - 960)
        assert await system.entries() == []

        again = await update(desk, id_of(answer), agent, in_days(20), in_days(21))
        assert id_of(again) == id_of(answer)
        seen = {await left(each, agent) for each in (desk, other)}
        await system.fault("create", "slow", seconds=0.4)
        await system.change(request, status="APPROVED")

        async def booked() -> bool:
            seen.update([await left(each, agent) for each in (desk, other)])
            return bool(await system.live_entries(request))

        await system.until("booked", booked)
        await system.quiet()
        assert len(await live(system)) == 1
        assert seen | {await left(each, agent) for each in (desk, other)} == {before - 960}


@pytest.mark.parametrize("first", ["call", "event"])
async def test_a_denied_reservation_is_given_back(first: str, database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        before = await left(desk, agent)
        answer = await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        request = await system.submit(agent, in_days(20), status="PENDING")
        await one_row(system)
        await comes_to(system, desk, agent, before - 480)
        if first == "call":
            denied = await update(desk, id_of(answer), agent, in_days(20), timeOffStatus="DENIED")
            assert id_of(denied) == id_of(answer)
            await comes_to(system, desk, agent, before)
        await system.change(request, status="DENIED")
        await system.quiet()
        await comes_to(system, desk, agent, before)
        assert await system.writes() == []


async def test_cancelled_before_it_was_seen(database_url: str, tmp_path: Path) -> None:
    """Promise: a reservation that is withdrawn gives back at once; what Genesys shows late of it books
    nothing, and the same leave, submitted again, is a new one.
    """
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        before = await left(desk, agent)
        await system.delivery(drop=1.0)
        answer = await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        request = await system.submit(agent, in_days(20), status="PENDING")
        gone = await update(desk, id_of(answer), agent, in_days(20), timeOffStatus="CANCELED")
        assert id_of(gone) == id_of(answer)
        await comes_to(system, desk, agent, before)
        again = await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        assert id_of(again) != id_of(answer)
        await comes_to(system, desk, agent, before - 480)
        await system.delivery(drop=0.0)
        await system.change(request, status="CANCELED")
        await system.state(request, "settled", "removed")
        anew = await system.submit(agent, in_days(20))
        await system.state(anew, "settled", "insert")
        await system.quiet()
        assert await booked_days(system) == [in_days(20)]
        await comes_to(system, desk, agent, before - 480)
        assert {row["request_id"]: row["handover_id"] for row in await rows(system)} == {
            request: None,
            anew: id_of(again),
            id_of(answer): id_of(answer),
        }


async def test_changed_before_it_was_seen(database_url: str, tmp_path: Path) -> None:
    """Promise: an update finds what was inserted, and what Genesys shows at last is booked, once."""
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        before = await left(desk, agent)
        answer = await insert(desk, agent, in_days(20))
        changed = await update(desk, id_of(answer), agent, in_days(22), in_days(23))
        assert id_of(changed) == id_of(answer)
        await comes_to(system, desk, agent, before - 960)
        request = await system.submit(agent, in_days(22), in_days(23))
        row = await one_row(system)
        assert (row["request_id"], row["handover_id"]) == (request, id_of(answer))
        await system.quiet()
        assert await booked_days(system) == [in_days(22), in_days(23)]
        await comes_to(system, desk, agent, before - 960)


# -- both at once ---------------------------------------------------------------------------------------


@PATHS
@pytest.mark.parametrize("first", ["event", "call", "neither"])
async def test_one_record_whoever_is_first(path: Any, first: str, database_url: str, tmp_path: Path) -> None:
    """Promise: notification and call in both orders and at once, notifications doubled and swapped, calls
    repeated: one row and one record through insert, change and cancel."""
    async with replicas(database_url, tmp_path, **path) as (system, one, two):
        agent = system.agents[0]
        await system.delivery(duplicate=1.0, swap=1.0, swapMs=30)
        before = await left(one, agent)

        async def both(event: Any, *calls: Any) -> list[Any]:
            if first == "neither":
                return list((await together(event(), *(call() for call in calls)))[1:])
            if first == "event":
                await event()
                await seen(system)
            answers = await together(*(call() for call in calls))
            if first == "call":
                await event()
            return answers

        requests: list[str] = []

        async def submitted() -> None:
            requests.append(await system.submit(agent, in_days(20), in_days(21)))

        days = in_days(20), in_days(21)
        answers = await both(
            submitted, *(lambda desk=desk: insert(desk, agent, *days) for desk in (one, two))
        )
        assert len({id_of(answer) for answer in answers}) == 1
        row = await one_row(system)
        await system.quiet()
        assert (row["request_id"], row["write_path"]) == (requests[0], path["sync"]["write_path"])
        assert await booked_days(system) == list(days)
        assert len(await live(system)) == 1

        id, day = id_of(answers[0]), in_days(25)
        answers = await both(
            lambda: system.change(requests[0], dates=[day]),
            *(lambda desk=desk: update(desk, id, agent, day) for desk in (one, two)),
        )
        assert len({id_of(answer) for answer in answers}) == 1
        await system.quiet()
        assert await booked_days(system) == [day]
        await comes_to(system, one, agent, before - 480)
        await comes_to(system, two, agent, before - 480)

        answers = await both(
            lambda: system.change(requests[0], status="CANCELED"),
            *(
                lambda desk=desk: update(desk, id, agent, day, timeOffStatus="CANCELED")
                for desk in (one, two)
            ),
        )
        assert {ended(answer) for answer in answers} == {(200, "Complete")}
        await system.quiet()
        assert await live(system) == []
        assert len(await rows(system)) == 1
        assert await system.waiting_for_people() == {}
        for desk in (one, two):
            await comes_to(system, desk, agent, before)


@PATHS
async def test_submit_cancel_submit_again(path: Any, database_url: str, tmp_path: Path) -> None:
    """Promise: the same leave after a cancel is a new request, a new booking, a row of its own."""
    async with office(database_url, tmp_path, **path) as (system, desk):
        agent = system.agents[0]
        ids = []
        for _ in range(3):
            request = await system.submit(agent, in_days(20))
            answer = await insert(desk, agent, in_days(20))
            ids.append(id_of(answer))
            await bound_rows(system, len(ids))
            await system.quiet()
            assert await booked_days(system) == [in_days(20)]
            await system.change(request, status="CANCELED")
            await update(desk, ids[-1], agent, in_days(20), timeOffStatus="CANCELED")
            await system.quiet()
            assert await live(system) == []
        assert len(set(ids)) == 3


# -- what Genesys shows as integration status -----------------------------------------------------------


async def test_where_workflows_book_their_answer_is_the_status(database_url: str, tmp_path: Path) -> None:
    """Promise: neither a request that waits for its call, nor one that was booked by it, nor one without an
    employee gets a status from the event path."""
    world = {"agents_without_employee": 1}
    async with office(database_url, tmp_path, **FLOWS, agents=4, world=world) as (system, desk):
        waits = await system.submit(system.agents[0], in_days(20))
        called = await system.submit(system.agents[1], in_days(20))
        nobody = await system.submit(system.agents[3], in_days(20))
        for request in (waits, called, nobody):
            await system.state(request, "not_ours", "written_by_flows")
        await system.set_by_hand(called, "AutomaticallyComplete")  # as Genesys does with the answer
        await insert(desk, system.agents[1], in_days(20))
        await system.booked_by_hand(system.agents[2], {in_days(20): "4"})
        held = await system.submit(system.agents[2], in_days(20))
        await system.state(held, "not_ours", "written_by_flows")
        await system.set_by_hand(held, "Error")
        assert ended(await insert(desk, system.agents[2], in_days(20))) == (403, "NotAllowed")
        await system.state(held, "held", "overlap")
        await system.quiet()
        assert await told(system) == []
        assert {row["request_id"]: row["reported"] for row in await rows(system)} == {
            waits: None,
            called: "AutomaticallyComplete",
            nobody: None,
            held: "Error",
        }


async def test_a_call_without_an_answer_is_corrected_when_it_is_booked(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: answered 408, so Genesys shows Error; booked later, so Genesys hears of it; not before."""
    answers_within(monkeypatch, 0.5)
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        await system.stop_syncs()
        answer = await insert(desk, agent, in_days(20))
        assert ended(answer) == (408, "Error")
        await system.set_by_hand(request, "Error")
        await system.fault("create", "slow", seconds=1.0)
        await system.start_sync()
        await system.until("the HRIS is asked", lambda: system.ledger.pool.fetchval(_ANNOUNCED))
        assert await system.integration_status(request) == "Error"
        await shows(system, request, "AutomaticallyComplete")
        assert len(await live(system)) == 1
        again = await insert(desk, agent, in_days(20))
        assert await live(system) == [id_of(again)]


async def test_an_update_without_an_answer_is_not_taken_for_the_booking_before_it(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a request that was complete shows Error until its change is booked, not before."""
    answers_within(monkeypatch, 0.5)
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        booked = await insert(desk, agent, in_days(20))
        await one_row(system)
        await system.quiet()
        await system.set_by_hand(request, "AutomaticallyComplete")
        await system.fault("create|update", "slow", seconds=1.5)
        changed = await update(desk, id_of(booked), agent, in_days(20), in_days(21))
        assert ended(changed) == (408, "Error")
        await system.set_by_hand(request, "Error")
        assert (await rows(system))[0]["reported"] == "Error"
        await shows(system, request, "AutomaticallyComplete")
        assert await booked_days(system) == [in_days(20), in_days(21)]


async def test_on_the_event_path_results_are_reported_as_ever(database_url: str, tmp_path: Path) -> None:
    """Promise: the answer was complete, but the HRIS refuses what is approved: Genesys shows Error."""
    async with office(database_url, tmp_path) as (system, desk):
        agent, other = system.agents[:2]
        await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        request = await system.submit(agent, in_days(20), status="PENDING")
        await one_row(system)
        await system.quiet()
        # What Genesys sets by itself is not touched while there is nothing to tell.
        await system.set_by_hand(request, "Processing")
        await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        await system.quiet()
        assert await system.integration_status(request) == "Processing"
        await system.booked_by_hand(agent, {in_days(20): "4"})
        await system.options(bamboohr={"rejectOverlap": True})
        await system.change(request, status="APPROVED")
        await shows(system, request, "Error")
        fine = await system.submit(other, in_days(20))
        await shows(system, fine, "AutomaticallyComplete")


async def told(system: System) -> list[Any]:
    """Calls that set an integration status."""
    calls = await system.genesys_calls("integrationstatus")
    return [call for call in calls if not call["path"].endswith("/query")]


_ANNOUNCED = "SELECT count(*) FROM ledger.intents WHERE settled_at IS NULL"

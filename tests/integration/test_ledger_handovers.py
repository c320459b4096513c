"""Promises about what workflows hand over, as the ledger keeps it: nothing that was handed over is lost to
a step that was decided before, two rows become one or stay two, and what Genesys shows is on record.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from tests.support.cases import MONDAY, TUESDAY
from tests.support.ledger import (
    TARGET,
    Feed,
    announcement,
    booked,
    change,
    claim,
    link,
    opened,
    step,
    stepping,
)

from timeoff.errors import LeaseLost
from timeoff.handover import Handed
from timeoff.ledger import Ledger
from timeoff.ledger.handovers import Known, Person, Progress, Taken
from timeoff.ledger.lanes import Lane
from timeoff.ledger.rows import Case
from timeoff.ledger.steps import Outcome
from timeoff.vocabulary import Day, IntegrationStatus, WritePath

EMPLOYEE = "employee-of-a1"
FLOWS, EVENTS = WritePath.FLOWS, WritePath.EVENTS
COMPLETE, ERROR = IntegrationStatus.AUTOMATICALLY_COMPLETE, IntegrationStatus.ERROR


def handed(on: date = MONDAY, status: str = "APPROVED", **more: Any) -> Handed:
    return Handed("83", None, status, (Day(on, 480, whole=True),), **more)


async def add(ledger: Ledger, what: Handed, path: WritePath = FLOWS) -> Taken:
    async with ledger.handovers.turn(TARGET, EMPLOYEE) as turn:
        return await turn.add(what, path, Person(), answer_within=60.0)


async def hand(ledger: Ledger, id: str, what: Handed, path: WritePath = FLOWS) -> Taken:
    async with ledger.handovers.turn(TARGET, EMPLOYEE) as turn:
        found = await turn.named(id)
        assert found is not None
        return await turn.hand(found, what, path, answer_within=60.0, due=True)


async def known(ledger: Ledger, id: str) -> Known:
    async with ledger.handovers.turn(TARGET, EMPLOYEE) as turn:
        found = await turn.named(id)
    assert found is not None
    return found


async def progress(ledger: Ledger, id: str) -> Progress:
    found = await ledger.handovers.progress(id)
    assert found is not None
    return found


def case_of(lane: Lane, request_id: str) -> Case:
    (found,) = [case for case in lane.cases if case.view.request_id == request_id]
    return found


async def row(ledger: Ledger, request_id: str) -> Any:
    return await ledger.pool.fetchrow("SELECT * FROM requests WHERE request_id = $1", request_id)


async def test_what_is_handed_over_outlives_a_change_of_path_decided_before(database_url: str) -> None:
    """Promise: a step that says "another path" and was decided before the call came does not take its
    order.
    """
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        case = case_of(lane, "r1")
        await hand(ledger, "r1", handed())
        late = Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open",
            reason="path_changed",
            booking=1,
            writes=0,
            due_in=0.0,
            write_path=FLOWS,
        )
        await steps.commit(step(lane, late))
        now = await known(ledger, "r1")
        assert (now.handed, now.write_path, now.state) == (handed(), FLOWS, "open")


async def test_a_change_of_path_drops_what_was_handed_over_on_the_other(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        await hand(ledger, "r1", handed())
        (lane,) = await claim(ledger)
        case = case_of(lane, "r1")
        outcome = Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open",
            reason="path_changed",
            booking=1,
            writes=0,
            write_path=EVENTS,
        )
        await steps.commit(step(lane, outcome))
        now = await known(ledger, "r1")
        assert (now.handed, now.write_path) == (None, EVENTS)


async def test_the_row_that_was_written_for_stays(database_url: str) -> None:
    """Promise: handed over and written, then seen: one row with the name that Genesys gives, and the key of
    its mark; seen first, then handed over: the seen row takes it, and compares first where either had to.
    """
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        await link(ledger, "a1")
        taken = await add(ledger, handed())
        (lane,) = await claim(ledger)
        item = announcement(lane)
        await steps.commit(step(lane, announce=item))
        await steps.commit(step(lane, booked(lane, item.intent_id)))
        await ledger.lanes.release({lane.lane_id: (lane.epoch, 0.0)})
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        seen = case_of(lane, "r1")
        assert seen.near
        (ours,) = await ledger.lanes.near(seen.request_pk)
        assert await ledger.handovers.bind(ours, seen, epoch=lane.epoch)
        assert await ledger.pool.fetchval("SELECT count(*) FROM requests") == 1
        now = await row(ledger, "r1")
        assert (now["handover_id"], now["entry_key"], now["version"]) == (
            taken.handover_id,
            taken.handover_id,
            1,
        )
        assert (await known(ledger, taken.handover_id)).live_ids == ("4711",)
        assert (await known(ledger, "r1")).handed == handed()


@pytest.mark.parametrize("path", [FLOWS, EVENTS])
async def test_the_seen_row_takes_what_nothing_was_written_for(path: WritePath, database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        async with ledger.handovers.turn(TARGET, EMPLOYEE) as turn:
            wish = handed(adopt="650")
            taken = await turn.add(wish, path, Person(), answer_within=60.0, look_first=True)
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        seen = case_of(lane, "r1")
        (ours,) = await ledger.lanes.near(seen.request_pk)
        assert await ledger.handovers.bind(ours, seen, epoch=lane.epoch)
        bound = await ledger.lanes.case(seen.request_pk)
        assert bound is not None
        assert (bound.handover_id, bound.write_path, bound.adopt) == (taken.handover_id, path, "650")
        assert bound.look_first
        assert (bound.order is not None) is (path is FLOWS)
        assert not bound.near
        assert (await known(ledger, "650")).request_id == "r1"


async def test_two_rows_that_were_both_written_for_stay_two(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        item = announcement(lane)
        await steps.commit(step(lane, announce=item))
        await steps.commit(step(lane, booked(lane, item.intent_id)))
        await ledger.lanes.release({lane.lane_id: (lane.epoch, 0.0)})
        taken = await add(ledger, handed())
        (lane,) = await claim(ledger)
        item = announcement(lane)
        await steps.commit(step(lane, announce=item))
        await steps.commit(step(lane, booked(lane, item.intent_id, "4712")))
        ours = await ledger.lanes.case(taken.request_pk)
        assert ours is not None
        (seen,) = await ledger.lanes.near(taken.request_pk)
        assert not await ledger.handovers.bind(ours, seen, epoch=lane.epoch)
        assert await ledger.pool.fetchval("SELECT count(*) FROM requests") == 2


async def test_nobody_binds_what_has_moved_or_in_a_lane_that_was_lost(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        taken = await add(ledger, handed())
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        seen = case_of(lane, "r1")
        (ours,) = await ledger.lanes.near(seen.request_pk)
        with pytest.raises(LeaseLost):
            await ledger.handovers.bind(ours, seen, epoch=lane.epoch - 1)
        await hand(ledger, taken.handover_id, handed(TUESDAY))
        assert not await ledger.handovers.bind(ours, seen, epoch=lane.epoch)
        assert await ledger.pool.fetchval("SELECT count(*) FROM requests") == 2


async def test_a_call_in_its_turn_finds_the_row_it_saw(database_url: str) -> None:
    """Promise: rows become one before or after the turn of a call, never within."""
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        taken = await add(ledger, handed(), EVENTS)
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        seen = case_of(lane, "r1")
        (ours,) = await ledger.lanes.near(seen.request_pk)
        async with ledger.handovers.turn(TARGET, EMPLOYEE) as turn:
            mine = await turn.named(taken.handover_id)
            assert mine is not None
            binding = asyncio.create_task(ledger.handovers.bind(ours, seen, epoch=lane.epoch))
            await waits_for_a_turn(ledger)
            again = await turn.hand(mine, handed(), EVENTS, answer_within=60.0, due=False)
            assert again.handover_id == taken.handover_id
        assert await binding


async def waits_for_a_turn(ledger: Ledger) -> None:
    statement = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with asyncio.timeout(20):
        while not await ledger.pool.fetchval(statement):
            await asyncio.sleep(0.01)


async def test_a_repeat_is_found_by_what_was_handed_over(database_url: str) -> None:
    """Promise: Genesys moved the request meanwhile; the repeated first call still finds its row."""
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        feed = Feed(ledger)
        await feed(change("r1", "a1"))
        await hand(ledger, "r1", handed())
        await feed(change("r1", "a1", TUESDAY, version=2))
        async with ledger.handovers.turn(TARGET, EMPLOYEE) as turn:
            for day in (MONDAY, TUESDAY):
                assert [each.request_id for each in await turn.near(day, day)] == ["r1"], day


# -- what Genesys shows ---------------------------------------------------------------------------------


async def shown(ledger: Ledger, id: str) -> tuple[str | None, str | None]:
    found = await ledger.pool.fetchrow("SELECT report, reported FROM requests WHERE handover_id = $1", id)
    assert found is not None
    return found["report"], found["reported"]


async def due(ledger: Ledger) -> list[tuple[str, str]]:
    return [(each["request_id"], each["report"]) for each in await ledger.outbox.reports_due(10)]


async def seen_and_handed(ledger: Ledger, path: WritePath = FLOWS) -> Taken:
    await link(ledger, "a1")
    await Feed(ledger)(change("r1", "a1", management_unit_id="u1"))
    return await hand(ledger, "r1", handed(), path)


async def settle(ledger: Ledger, report: IntegrationStatus | None, state: str = "settled") -> None:
    """The one due request comes to this end."""
    async with stepping(ledger) as steps:
        (lane,) = await claim(ledger)
        outcome = replace(
            booked(lane, None), state=state, report=report.value if report else None, entry=None
        )
        await steps.commit(step(lane, outcome))
        await ledger.lanes.release({lane.lane_id: (lane.epoch, 0.0)})


@pytest.mark.parametrize("path", [FLOWS, EVENTS])
async def test_an_answer_by_itself_is_nothing_to_report(path: WritePath, database_url: str) -> None:
    """Promise: where nothing came of a wish yet, no status is set, whatever its call was answered."""
    async with opened(database_url) as ledger:
        taken = await seen_and_handed(ledger, path)
        await ledger.handovers.answered(taken.handover_id, ERROR)
        assert await shown(ledger, taken.handover_id) == ("Error", "Error")
        assert await due(ledger) == []
        await ledger.pool.execute("UPDATE requests SET report = NULL")
        assert await due(ledger) == []


async def test_nothing_is_told_while_a_call_may_answer_and_only_a_difference_after(database_url: str) -> None:
    async with opened(database_url) as ledger:
        taken = await seen_and_handed(ledger)
        await settle(ledger, COMPLETE)
        assert await due(ledger) == []
        await ledger.handovers.answered(taken.handover_id, COMPLETE)
        assert await shown(ledger, taken.handover_id) == ("AutomaticallyComplete", "AutomaticallyComplete")
        await hand(ledger, "r1", handed(TUESDAY))
        await ledger.handovers.answered(taken.handover_id, ERROR)
        assert await due(ledger) == [], "what was booked before says nothing of the change"
        await settle(ledger, COMPLETE)
        assert await due(ledger) == [("r1", "AutomaticallyComplete")]


async def test_a_call_that_nobody_answers_is_told_when_its_time_is_over(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await seen_and_handed(ledger)
        await settle(ledger, COMPLETE)
        assert await due(ledger) == []
        await ledger.pool.execute("UPDATE requests SET answer_until = now() - interval '1 s'")
        assert await due(ledger) == [("r1", "AutomaticallyComplete")]


async def test_a_change_that_nobody_answers_is_told_when_it_is_booked_and_not_before(
    database_url: str,
) -> None:
    """Promise: Genesys saw the first call complete and the second fail; what was told of the first is no news
    of the second.
    """
    async with opened(database_url) as ledger:
        taken = await seen_and_handed(ledger)
        await settle(ledger, COMPLETE)
        await ledger.handovers.answered(taken.handover_id, COMPLETE)
        await hand(ledger, "r1", handed(TUESDAY))
        await ledger.pool.execute("UPDATE requests SET answer_until = now() - interval '1 s'")
        assert await due(ledger) == []
        await settle(ledger, COMPLETE)
        assert await due(ledger) == [("r1", "AutomaticallyComplete")]


async def test_the_reason_of_before_does_not_end_a_call(database_url: str) -> None:
    """Promise: a reservation that becomes an order is not answered by what it waited for."""
    async with opened(database_url) as ledger:
        taken = await seen_and_handed(ledger)
        await ledger.pool.execute("UPDATE requests SET state = 'waiting', reason = 'pending'")
        assert (await progress(ledger, taken.handover_id)).reason == "pending"
        await hand(ledger, "r1", handed(TUESDAY))
        now = await progress(ledger, taken.handover_id)
        assert (now.state, now.reason) == ("open", None)

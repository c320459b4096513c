"""A plan's write path changes while leave is booked by the other: nothing is booked twice, nothing is lost,
and what is not the same on both sides waits for a person. Also two plans on two paths at once.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_operator_commands import run as command
from tests.support.balance import served
from tests.support.handed import (
    FLOWS,
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
    refused,
    restarted,
    rows,
    update,
)
from tests.support.system import DAY_OFF, SICK, System, in_days, running_system


async def path_of(system: System, request_id: str) -> str:
    statement = "SELECT write_path FROM ledger.requests WHERE request_id = $1"
    return str(await system.ledger.pool.fetchval(statement, request_id))


# -- from events to flows -------------------------------------------------------------------------------


async def test_booked_by_events_and_then_changed_and_cancelled_by_calls(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: the booking stays one; Genesys' id, the HRIS's id and ours lead to it; its row records who
    books.
    """
    async with office(database_url, tmp_path) as (system, old):
        one, two, three = system.agents[:3]
        seen = await system.submit(one, in_days(20))
        called = await insert(old, two, in_days(20))
        bound = await system.submit(two, in_days(20))
        other = await system.submit(three, in_days(20))
        await system.quiet()
        vendor = (await system.the_entry(other))["id"]
        assert len(await live(system)) == 3

        await restarted(system, write_path="flows")
        async with served(system.settings) as desk:
            again = await insert(desk, one, in_days(20))
            assert id_of(again) in await live(system)
            assert len(await live(system)) == 3
            for id, agent in ((seen, one), (id_of(called), two), (str(vendor), three)):
                changed = await update(desk, id, agent, in_days(21), minutes=[240])
                assert id_of(changed) in await live(system)
            for request in (seen, bound, other):
                await system.change(request, dates=[in_days(21)], minutes=[240], payableMinutes=[240])
            await system.quiet()
            assert await booked_days(system) == [in_days(21)] * 3
            assert {await path_of(system, request) for request in (seen, bound, other)} == {"flows"}
            gone = await update(desk, seen, one, in_days(21), minutes=[240], timeOffStatus="CANCELED")
            assert ended(gone) == (200, "Complete")
            await system.change(seen, status="CANCELED")
            await system.quiet()
            assert len(await live(system)) == 2
            assert len(await rows(system)) == 3
            assert await system.waiting_for_people() == {}


@pytest.mark.parametrize("change", [{"dates": [in_days(25)]}, {"status": "CANCELED"}], ids=["moved", "ended"])
async def test_a_change_that_no_call_brings_is_held_with_both_sides(
    change: Any, database_url: str, tmp_path: Path
) -> None:
    """Promise: leave booked by events does not stay booked unseen when Genesys says otherwise and no workflow
    does; the call that comes at last is carried out."""
    async with office(database_url, tmp_path) as (system, _):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.quiet()
        await restarted(system, write_path="flows")
        await system.change(request, **change)
        standing = await system.state(request, "held", "not_handed_over")
        assert standing.detail["booked"]
        await system.quiet()
        assert await booked_days(system) == [in_days(20)]
        async with served(system.settings) as desk:
            if "dates" in change:
                assert standing.detail["wanted"]["minutes"] == {in_days(25): 480}
                answer = await update(desk, request, agent, in_days(25))
                assert await live(system) == [id_of(answer)]
                assert await booked_days(system) == [in_days(25)]
            else:
                await update(desk, request, agent, in_days(20), timeOffStatus="CANCELED")
                assert await live(system) == []
        assert await system.waiting_for_people() == {}


async def test_a_new_call_for_leave_that_events_booked_elsewhere_is_shown(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: Genesys has no id of a request that events booked, so it inserts the moved request. The old
    days stay booked beside the new ones, but a person is told; when they are cancelled, all is well.
    """
    async with office(database_url, tmp_path) as (system, _):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.quiet()
        old = (await system.the_entry(request))["id"]
        await restarted(system, write_path="flows")
        async with served(system.settings) as desk:
            answer = await insert(desk, agent, in_days(25))
            await system.change(request, dates=[in_days(25)])
            standing = await system.state(request, "held", "not_handed_over")
            assert [each["id"] for each in standing.detail["booked"]] == [str(old)]
            await system.edited_by_hand(old, status="canceled")
            assert (await command("retry", request, config=system.config)).code == 0
            await system.quiet()
            assert await live(system) == [id_of(answer)]
            assert await system.waiting_for_people() == {}


async def test_other_leave_on_days_that_events_booked_is_held(database_url: str, tmp_path: Path) -> None:
    """Promise: right after the change a call that touches booked days, and is not that leave, books nothing
    and shows both sides.
    """
    async with office(database_url, tmp_path) as (system, _):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20), in_days(21))
        await system.quiet()
        await restarted(system, write_path="flows")
        async with served(system.settings) as desk:
            refused(await insert(desk, agent, in_days(21), in_days(22)), "overlap")
            (held,) = [row for row in await rows(system) if row["state"] == "held"]
            assert [each["id"] for each in held["detail"]["hris"]] == await live(system)
            assert held["detail"]["wanted"]["minutes"] == {in_days(21): 480, in_days(22): 480}
            again = await insert(desk, agent, in_days(21), in_days(22))
            refused(again, "overlap")
            assert len(await rows(system)) == 2
            # Shown by Genesys, it is one with its request, and still not booked over the other.
            other = await system.submit(agent, in_days(21), in_days(22))
            await bound_rows(system, 2)
            await system.state(other, "held", "overlap")
            assert await booked_days(system) == [in_days(20), in_days(21)]
            await system.change(request, status="CANCELED")
            await update(desk, request, agent, in_days(20), in_days(21), timeOffStatus="CANCELED")
            answer = await insert(desk, agent, in_days(21), in_days(22))
            assert await live(system) == [id_of(answer)]


async def test_a_reservation_of_before_is_booked_by_the_next_call(database_url: str, tmp_path: Path) -> None:
    """Promise: what was only reserved when the path changed is neither lost nor booked by both."""
    async with office(database_url, tmp_path) as (system, old):
        one, two = system.agents[:2]
        unseen = await insert(old, one, in_days(20), timeOffStatus="PENDING")
        seen = await insert(old, two, in_days(20), timeOffStatus="PENDING")
        request = await system.submit(two, in_days(20), status="PENDING")
        await bound_rows_of(system, request)
        await restarted(system, write_path="flows")
        async with served(system.settings) as desk:
            before = await left(desk, one)
            for id, agent in ((id_of(unseen), one), (id_of(seen), two)):
                answer = await update(desk, id, agent, in_days(20))
                assert id_of(answer) in await live(system)
            await system.change(request, status="APPROVED")
            shown = await system.submit(one, in_days(20))
            await bound_rows(system, 2)
            await system.quiet()
            assert await booked_days(system) == [in_days(20)] * 2
            assert {await path_of(system, each) for each in (request, shown)} == {"flows"}
            await comes_to(system, desk, one, before)


# -- from flows to events -------------------------------------------------------------------------------


async def test_booked_by_calls_and_then_changed_and_cancelled_by_events(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: seen before the change or only after it, the booking is adopted as it is and then follows what
    Genesys shows; a call that repeats itself changes nothing."""
    async with office(database_url, tmp_path, **FLOWS) as (system, old):
        one, two = system.agents[:2]
        first = await insert(old, one, in_days(20))
        seen = await system.submit(one, in_days(20))
        await one_row(system)
        await system.quiet()
        second = await insert(old, two, in_days(20))
        booked = sorted(await live(system))
        assert booked == sorted([id_of(first), id_of(second)])

        await restarted(system, write_path="events")
        async with served(system.settings) as desk:
            before = await left(desk, one)
            unseen = await system.submit(two, in_days(20))
            await bound_rows(system, 2)
            again = await insert(desk, one, in_days(20))
            assert ended(again) == (200, "Complete")
            await system.quiet()
            assert sorted(await live(system)) == booked
            await comes_to(system, desk, one, before)
            for request in (seen, unseen):
                await system.change(request, dates=[in_days(20), in_days(21)])
            await system.quiet()
            assert await booked_days(system) == [in_days(20)] * 2 + [in_days(21)] * 2
            await comes_to(system, desk, one, before - 480)
            assert {await path_of(system, request) for request in (seen, unseen)} == {"events"}
            for request in (seen, unseen):
                await system.change(request, status="CANCELED")
            await system.quiet()
            assert await live(system) == []
            assert await system.waiting_for_people() == {}


async def test_what_a_call_only_handed_over_is_booked_by_events(database_url: str, tmp_path: Path) -> None:
    """Promise: a call that found no sync, and a request that found no call, are each booked once after the
    change."""
    async with office(database_url, tmp_path, **FLOWS) as (system, _):
        called, waits = system.agents[:2]
        request = await system.submit(waits, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        shown = await system.submit(called, in_days(20))
        await system.state(shown, "not_ours", "written_by_flows")
        await restarted(system, write_path="events")
        for each in (request, shown):
            await system.state(each, "settled", "insert")
        await system.quiet()
        assert await booked_days(system) == [in_days(20)] * 2
        async with served(system.settings) as desk:
            assert ended(await insert(desk, called, in_days(20))) == (200, "Complete")
        await system.quiet()
        assert len(await live(system)) == 2
        assert len(await rows(system)) == 2


async def test_there_and_back(database_url: str, tmp_path: Path) -> None:
    """Promise: events, flows, events: one booking, from the first to the last."""
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        answer = await insert(desk, agent, in_days(20))
        request = await system.submit(agent, in_days(20))
        await one_row(system)
        for path in ("flows", "events", "flows", "events"):
            await restarted(system, write_path=path)
            async with served(system.settings) as other:
                again = await insert(other, agent, in_days(20))
                assert ended(again) == (200, "Complete")
                await system.quiet()
                assert len(await live(system)) == 1
                assert await path_of(system, request) == path
        assert await system.writes() == ["create"]
        assert (await one_row(system))["handover_id"] == id_of(answer)


# -- two plans ------------------------------------------------------------------------------------------


async def two_plans(database_url: str, folder: Path) -> Any:
    """The world's plans have the same ids in every world of that seed."""
    async with running_system(database_url, folder, listen=False, syncs=0) as system:
        return {code: await system.plan_of(code) for code in (DAY_OFF, SICK)}


async def test_each_plan_has_its_path(database_url: str, tmp_path: Path) -> None:
    """Promise: one plan's requests are booked by calls, others' by events, each once; rows say which."""
    plans = await two_plans(database_url, tmp_path)
    paths = {"sync": {"write_path_of_plans": {plans[DAY_OFF]: "flows"}}}
    async with office(database_url, tmp_path, **paths) as (system, desk):
        agent = system.agents[0]
        by_flows = await system.submit(agent, in_days(20), activityCodeId=DAY_OFF)
        by_events = await system.submit(agent, in_days(21), activityCodeId=SICK)
        await system.state(by_flows, "not_ours", "written_by_flows")
        await system.state(by_events, "settled", "insert")
        assert await booked_days(system) == [in_days(21)]
        answer = await insert(desk, agent, in_days(20), timeOffTypeId="84")
        assert id_of(answer) in await live(system)
        kept = await insert(desk, agent, in_days(21), timeOffTypeId="85")
        assert id_of(kept) not in await live(system)
        await system.quiet()
        assert await booked_days(system) == [in_days(20), in_days(21)]
        assert [await path_of(system, each) for each in (by_flows, by_events)] == ["flows", "events"]


async def test_a_request_that_moves_to_a_plan_on_the_other_path(database_url: str, tmp_path: Path) -> None:
    """Promise: another type is another plan, and here another path: held, never booked by both."""
    plans = await two_plans(database_url, tmp_path)
    paths = {"sync": {"write_path_of_plans": {plans[SICK]: "flows"}}}
    async with office(database_url, tmp_path, **paths) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20), activityCodeId=DAY_OFF)
        await system.quiet()
        booked = await live(system)
        await system.change(request, activityCodeId=SICK)
        standing = await system.state(request, "held", "type_changed")
        assert [each["id"] for each in standing.detail["booked"]] == booked
        refused(await insert(desk, agent, in_days(20), timeOffTypeId="85"), "type_changed")
        assert await live(system) == booked
        shown = json.loads((await command("held", "--json", config=system.config)).out)
        assert {item["reason"] for item in shown} == {"type_changed"}


async def bound_rows_of(system: System, request: str) -> None:
    async def bound() -> Any:
        found = [row for row in await rows(system) if row["request_id"] == request]
        return found and found[0]["handover_id"] is not None

    await system.until("bound", bound)

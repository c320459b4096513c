"""How what a workflow handed over and what Genesys shows become one request: by what is asked for, and where
that is not enough, by a person."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_operator_commands import run as command
from tests.support.handed import (
    EVENTS,
    FLOWS,
    booked_days,
    bound_rows,
    comes_to,
    days_after,
    ended,
    id_of,
    insert,
    left,
    live,
    office,
    one_row,
    part,
    part_called,
    rows,
    together,
    update,
)
from tests.support.system import System, in_days

PATHS = pytest.mark.parametrize("path", [FLOWS, EVENTS], ids=["flows", "events"])


@PATHS
async def test_two_parts_of_one_day_are_two(path: Any, database_url: str, tmp_path: Path) -> None:
    """Promise: same day, type and minutes, other start times: each call finds its own request."""
    async with office(database_url, tmp_path, **path) as (system, desk):
        agent, on = system.agents[1], in_days(20)
        morning = await system.submit(agent, **part(agent, on, 9))
        calls = [insert(desk, agent, on, **part_called(on, hour)) for hour in (9, 14)]
        first, second = await together(*calls)
        afternoon = await system.submit(agent, **part(agent, on, 14))
        found = {row["request_id"]: row["handover_id"] for row in await bound_rows(system, 2)}
        await system.quiet()
        assert found.keys() == {morning, afternoon}
        assert len(await live(system)) == 2
        assert id_of(first) != id_of(second)
        if path is EVENTS:
            assert found == {morning: id_of(first), afternoon: id_of(second)}
        else:
            assert await system.chain(morning) == [id_of(first)]
            assert await system.chain(afternoon) == [id_of(second)]


async def test_a_part_that_crosses_midnight_binds(database_url: str, tmp_path: Path) -> None:
    """Promise: both sides split a night in the same way, in the zone of the agent's unit."""
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent, on = system.agents[2], in_days(20)
        request = await system.submit(agent, **part(agent, on, 22, 240))
        night = {"minutes": [120, 120], "startDateTimes": [f"{on}T22:00:00"]}
        answer = await insert(desk, agent, on, days_after(on, 1), **night)
        assert (await one_row(system))["request_id"] == request
        assert await live(system) == [id_of(answer)]


async def test_what_cannot_be_told_apart_is_held_until_a_person_cancels_one(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: a call without start times may be either of two requests. It is listed with both, its
    balance is kept, nothing is guessed; when one of them is cancelled, it is the other.
    """
    async with office(database_url, tmp_path) as (system, desk):
        agent, on = system.agents[0], in_days(20)
        before = await left(desk, agent)
        call = part_called(on, 9, timed=False)
        await system.stop_syncs()
        answer = await insert(desk, agent, on, timeOffStatus="PENDING", **call)
        two = [await system.submit(agent, status="PENDING", **part(agent, on, hour)) for hour in (9, 14)]
        await all_logged(system, *two)
        await system.start_sync()
        standing = await system.state(id_of(answer), "held", "ambiguous_binding")
        assert sorted(standing.detail["requests"]) == sorted(two)
        await comes_to(system, desk, agent, before - 120)

        shown = await command("held", "--json", config=system.config)
        (item,) = json.loads(shown.out)
        assert (item["request_id"], item["reason"]) == (id_of(answer), "ambiguous_binding")
        assert item["what_to_do"]

        await system.change(two[0], status="CANCELED")
        found = {row["request_id"]: row["handover_id"] for row in await bound_rows(system, 2)}
        assert found == {two[0]: None, two[1]: id_of(answer)}
        await comes_to(system, desk, agent, before - 120)
        await system.change(two[1], status="APPROVED")
        await system.quiet()
        assert len(await live(system)) == 1
        await comes_to(system, desk, agent, before - 120)


async def test_two_requests_and_one_call_that_may_be_either_are_both_booked(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: what is approved is booked, whatever is unclear about the call; and subtracted once each."""
    async with office(database_url, tmp_path) as (system, desk):
        agent, on = system.agents[0], in_days(20)
        before = await left(desk, agent)
        await system.stop_syncs()
        answer = await insert(desk, agent, on, timeOffStatus="PENDING", **part_called(on, 9, timed=False))
        await all_logged(system, *[await system.submit(agent, **part(agent, on, hour)) for hour in (9, 14)])
        await system.start_sync()
        await system.state(id_of(answer), "held", "ambiguous_binding")
        await system.quiet()
        assert len(await live(system)) == 2
        await comes_to(system, desk, agent, before - 240)


async def test_never_seen_is_shown_to_a_person_and_binds_all_the_same(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: a reservation that Genesys never shows ends as `never_seen`, gives the balance back, and is
    one with the request if that turns up after all.
    """
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        before = await left(desk, agent)
        answer = await insert(desk, agent, in_days(20))
        await comes_to(system, desk, agent, before - 480)
        await system.state(id_of(answer), "waiting", "reserved")
        # A day and more passes.
        statement = "UPDATE ledger.requests SET handed_at = handed_at - interval '25 h', due_at = now()"
        await system.ledger.pool.execute(statement)
        await system.state(id_of(answer), "held", "never_seen")
        await comes_to(system, desk, agent, before)
        request = await system.submit(agent, in_days(20))
        row = await one_row(system)
        assert (row["request_id"], row["handover_id"]) == (request, id_of(answer))
        await system.quiet()
        assert await booked_days(system) == [in_days(20)]
        await comes_to(system, desk, agent, before - 480)


@PATHS
async def test_an_agent_who_is_linked_later(path: Any, database_url: str, tmp_path: Path) -> None:
    """Promise: a call names the employee, so it needs no link; when the agent has one at last, both are
    one.
    """
    world = {"agents_without_employee": 1}
    async with office(database_url, tmp_path, **path, agents=2, world=world) as (system, desk):
        unlinked = system.agents[1]
        employee = "888"
        body = {"id": employee, "email": unlinked.email, "name": "Late Comer"}
        status = "PENDING" if path is FLOWS else "APPROVED"
        request = await system.submit(unlinked, in_days(20), status=status)
        await system.state(
            request, *(("settled", "not_exported") if path is FLOWS else ("held", "no_employee"))
        )
        await system.admin("POST", "/hris/employees", body)
        answer = await insert(desk, employee, in_days(20))
        assert ended(answer) == (200, "Complete")
        assert await live(system) == ([id_of(answer)] if path is FLOWS else [])
        assert len(await rows(system)) == 2
        # Time passes: the agent is looked up again.
        await system.ledger.pool.execute("UPDATE ledger.agent_links SET looked_up_at = '-infinity'")
        if path is FLOWS:
            await system.change(request, status="APPROVED")
        else:
            assert (await command("retry", request, config=system.config)).code == 0
        row = await one_row(system)
        await system.quiet()
        assert row["request_id"] == request
        assert await booked_days(system) == [in_days(20)]
        assert len(await live(system)) == 1


async def test_genesys_changes_the_request_between_call_and_sight(database_url: str, tmp_path: Path) -> None:
    """Promise: the listener first sees a request that is not what was handed over; when the update comes, the
    two are one, and only the last is booked."""
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        answer = await insert(desk, agent, in_days(20))
        request = await system.submit(agent, in_days(20), in_days(21))
        await system.state(request, "not_ours", "written_by_flows")
        assert len(await rows(system)) == 2
        changed = await update(desk, id_of(answer), agent, in_days(20), in_days(21))
        row = await one_row(system)
        await system.quiet()
        assert (row["request_id"], row["entry_key"]) == (request, row["handover_id"])
        assert await live(system) == [id_of(changed)]
        assert await booked_days(system) == [in_days(20), in_days(21)]


async def test_genesys_changes_a_reserved_request_between_call_and_sight(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        before = await left(desk, agent)
        answer = await insert(desk, agent, in_days(20))
        request = await system.submit(agent, in_days(20), in_days(21))
        await system.state(request, "settled", "insert")
        assert len(await rows(system)) == 2
        changed = await update(desk, id_of(answer), agent, in_days(20), in_days(21))
        assert id_of(changed) == id_of(answer)
        row = await one_row(system)
        await system.quiet()
        assert (row["request_id"], row["handover_id"]) == (request, id_of(answer))
        assert await booked_days(system) == [in_days(20), in_days(21)]
        await comes_to(system, desk, agent, before - 960)


async def test_what_is_bound_waits_for_a_call_that_is_under_way(database_url: str, tmp_path: Path) -> None:
    """Promise: a row that a call is about to hand something to does not become another meanwhile."""
    async with office(database_url, tmp_path) as (system, desk):
        agent = system.agents[0]
        answer = await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        target, employee = "acme", str(agent.employee_id)
        async with system.ledger.handovers.turn(target, employee) as turn:
            known = await turn.named(id_of(answer))
            assert known is not None
            assert known.handed is not None
            request = await system.submit(agent, in_days(20), status="PENDING")
            await system.until("the worker has come to bind them", lambda: _waits_for_turn(system))
            taken = await turn.hand(
                known, known.handed, known.write_path, answer_within=5.0, due=False, decision=None
            )
        assert taken.handover_id == id_of(answer)
        assert (await one_row(system))["request_id"] == request


@PATHS
async def test_many_requests_of_one_employee_find_their_calls(
    path: Any, database_url: str, tmp_path: Path
) -> None:
    """Promise: ten leaves of one employee, handed over and shown at once in any order, bind one by one."""
    async with office(database_url, tmp_path, **path) as (system, desk):
        agent = system.agents[0]
        days = [in_days(20 + n) for n in range(10)]
        answers = dict(zip(days, await together(*(insert(desk, agent, on) for on in days)), strict=True))
        requests = dict(
            zip(days, await together(*(system.submit(agent, on) for on in reversed(days))), strict=True)
        )
        found = {row["request_id"]: row["handover_id"] for row in await bound_rows(system, 10)}
        await system.quiet()
        assert await booked_days(system) == days
        for on, request in zip(reversed(days), requests.values(), strict=True):
            if path is EVENTS:
                assert found[request] == id_of(answers[on])
            else:
                assert await system.chain(request) == [id_of(answers[on])]


async def all_logged(system: System, *requests: str) -> None:
    """Wait until the log holds an observation of each: a sync that starts now learns of them at once."""
    topic = system.settings.log.requests_topic

    async def all_there() -> bool:
        said = " ".join(str(record.value) for record in await system.records(topic))
        return all(request in said for request in requests)

    await system.until("observations of all", all_there)


async def _waits_for_turn(system: System) -> bool:
    await asyncio.sleep(0)
    return bool(
        await system.ledger.pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        )
    )


async def test_a_call_that_may_be_about_either_of_two_seen_requests_is_held(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: without start times a call picks none of them by chance."""
    async with office(database_url, tmp_path) as (system, desk):
        agent, on = system.agents[0], in_days(20)
        for hour in (9, 14):
            await system.submit(agent, status="PENDING", **part(agent, on, hour))
        await system.quiet()
        answer = await insert(desk, agent, on, timeOffStatus="PENDING", **part_called(on, 9, timed=False))
        await system.state(id_of(answer), "held", "ambiguous_binding")

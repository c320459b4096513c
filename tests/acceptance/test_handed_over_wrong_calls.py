"""Calls that are wrong, late or about people who left: none of them takes anything from a right one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_operator_commands import run as command
from tests.support.balance import served
from tests.support.handed import (
    EVENTS,
    FLOWS,
    booked_days,
    ended,
    id_of,
    insert,
    left,
    live,
    office,
    one_row,
    refused,
    restarted,
    update,
)
from tests.support.system import in_days

from timeoff.ledger.links import AgentLink

PATHS = pytest.mark.parametrize("path", [FLOWS, EVENTS], ids=["flows", "events"])


async def test_an_id_in_the_wrong_hands_stays_good_in_the_right_ones(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        owner, other = system.agents[:2]
        old = await system.booked_by_hand(owner, {in_days(20): "8"})
        refused(await update(desk, old, other, in_days(20)), "record_unknown")
        assert ended(await update(desk, old, owner, in_days(20), minutes=[240])) == (200, "Complete")
        assert len(await live(system)) == 1


async def test_a_refused_change_does_not_stand_in_the_way_of_an_insert(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        refused(await update(desk, "987654", agent, in_days(20)), "record_unknown")
        assert ended(await insert(desk, agent, in_days(20))) == (200, "Complete")
        assert await booked_days(system) == [in_days(20)]


async def test_a_late_repeat_of_the_pending_insert_takes_no_approval_back(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        first = await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        approved = await update(desk, id_of(first), agent, in_days(20))
        late = await insert(desk, agent, in_days(20), timeOffStatus="PENDING")
        assert id_of(late) == id_of(approved)
        states = [entry["status"] for entry in await system.entries() if entry["id"] in await live(system)]
        assert states == ["approved"]


async def test_an_insert_that_is_denied_already_cancels_nothing(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        booked = await insert(desk, agent, in_days(20))
        for status in ("DENIED", "CANCELED"):
            assert ended(await insert(desk, agent, in_days(20), timeOffStatus=status)) == (200, "Complete")
        assert await live(system) == [id_of(booked)]


@PATHS
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_what_is_changed_is_added_back_whoever_booked_it(
    path: Any, known: bool, database_url: str, tmp_path: Path
) -> None:
    """Promise: to make leave shorter is never refused for want of balance."""
    async with office(database_url, tmp_path, **path, listen=False) as (system, desk):
        agent, dates = system.agents[0], [in_days(20 + number) for number in range(5)]
        each = min(await left(desk, agent, dates[0]) // 5, 1440)
        if known:
            id = id_of(await insert(desk, agent, *dates, minutes=each))
        else:
            hours = str((Decimal(each) / 60).quantize(Decimal("0.01")))
            id = await system.booked_by_hand(agent, dict.fromkeys(dates, hours))
        async with served(system.settings) as fresh:
            answer = await update(fresh, id, agent, *dates, minutes=each - 10, timeOffStatus="PENDING")
            assert ended(answer) == (200, "Complete"), answer


async def test_booked_by_a_call_and_cancelled_by_a_call_before_it_was_seen(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: also when the path has changed between the two."""
    async with office(database_url, tmp_path, **FLOWS) as (system, old):
        agent = system.agents[0]
        booked = await insert(old, agent, in_days(20))
        await restarted(system, write_path="events")
        async with served(system.settings) as desk:
            gone = await update(desk, id_of(booked), agent, in_days(20), timeOffStatus="CANCELED")
            assert ended(gone) == (200, "Complete")

            async def none_left() -> bool:
                return await live(system) == []

            await system.until("it is cancelled", none_left)


async def test_leave_of_somebody_who_left_can_be_cancelled(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **FLOWS, listen=False) as (system, desk):
        agent = system.agents[0]
        booked = await insert(desk, agent, in_days(20))
        gone = {"id": agent.employee_id, "email": "gone@example.org", "name": "Gone", "active": False}
        await system.admin("POST", "/hris/employees", gone)
        async with served(system.settings) as fresh:
            answer = await update(fresh, id_of(booked), agent, in_days(20), timeOffStatus="CANCELED")
            assert ended(answer) == (200, "Complete")
            assert await live(system) == []


async def test_an_order_stays_with_its_employee_when_the_agent_is_linked_to_another(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        first, second = system.agents[:2]
        await system.fault("create", "refuse", status=400)
        assert ended(await insert(desk, first, in_days(20)))[1] == "Error"
        request = await system.submit(first, in_days(20))
        await one_row(system)
        moved = AgentLink(first.agent_id, "acme", second.employee_id, "external_id", None)
        await system.ledger.links.store([moved], ["APPROVED"])
        await command("retry", request, config=system.config)
        await system.state(request, "settled")
        assert {entry["employeeId"] for entry in await system.entries()} == {first.employee_id}


@PATHS
async def test_an_id_longer_than_any_is_refused(path: Any, database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **path, listen=False) as (system, desk):
        answer = await update(desk, "x" * 9000, system.agents[0], in_days(20))
        assert ended(answer) == (400, "Error")
        assert "inputTimeOffRequestId" in answer["Flow.errorMsg"]

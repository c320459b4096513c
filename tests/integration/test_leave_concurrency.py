"""What comes at once: calls wait for the employee's lock and then judge by what the one before them left.

Each test holds the employee itself until all of its calls wait, so that none of them is over before the next
begins: without the lock, or with a look before it, both would find the place free.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.leave import Leave, Reply, served
from tests.support.leave_balances import SOMEBODY, VACATION, act, ask, employed, journal, left

WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'timeoff-leave' AND wait_event_type = 'Lock'
"""
Call = tuple[str, str, Any]


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as service:
        yield service


async def at_once(leave: Leave, *calls: Call, employees: tuple[int, ...] = (SOMEBODY,)) -> list[Reply]:
    """The replies to calls that all wait for the employees before one of them goes on."""
    async with leave.context.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT FROM employees WHERE id = ANY ($1::int[]) FOR UPDATE", list(employees))
        tasks = [asyncio.create_task(leave.call(*call)) for call in calls]
        try:
            async with asyncio.timeout(20):
                while await holder.fetchval(WAITING) < len(calls):
                    # Statistics are those of the beginning of a transaction unless they are asked for anew.
                    await holder.execute("SELECT pg_stat_clear_snapshot()")
        finally:
            await transaction.rollback()
        return await asyncio.gather(*tasks)


def asking(start: str, end: str | None = None, **fields: Any) -> Call:
    body = {
        "employee": SOMEBODY,
        "leaveType": VACATION,
        "startDate": start,
        "endDate": end or start,
        **fields,
    }
    return "POST", "/leave-requests", body


def acting(request: int, action: str) -> Call:
    return "POST", f"/leave-requests/{request}/actions/{action}", None


def statuses(replies: list[Reply]) -> list[int]:
    return sorted(reply.status for reply in replies)


async def test_of_requests_for_the_same_date_exactly_one_is_accepted(leave: Leave) -> None:
    await employed(leave)
    replies = await at_once(leave, *(asking(f"2023-05-0{day}", "2023-05-09") for day in range(1, 6)))
    assert statuses(replies) == [200, 400, 400, 400, 400]
    for reply in replies:
        if reply.status == 400:
            assert reply.json == {"leave-requests": ["The request overlaps another leave request."]}
    (accepted,) = await leave.get("/leave-requests")
    assert (await left(leave))["2023-01-01"] == (18, 18 - accepted["totalDays"])


async def test_of_changes_to_the_same_date_exactly_one_is_accepted(leave: Leave) -> None:
    await employed(leave)
    requests = [await ask(leave, f"2023-05-0{day}") for day in range(1, 5)]
    dates = {"startDate": "2023-06-01", "endDate": "2023-06-01"}
    replies = await at_once(leave, *(("PATCH", f"/leave-requests/{r['id']}", dates) for r in requests))
    assert statuses(replies) == [200, 400, 400, 400]
    assert len(await leave.get("/leave-requests?startDate=2023-06-01")) == 1


async def test_one_key_makes_one_record_whoever_uses_it_at_once(leave: Leave) -> None:
    """For one employee the lock decides, for two of them the index."""
    policy = await employed(leave)
    await leave.assign(policy, await leave.employee(1441))
    calls = [asking(f"2023-05-0{day}", customId="r-1/1") for day in range(1, 5)]
    calls += [asking(f"2023-05-0{day}", customId="r-1/1", employee=1441) for day in range(1, 3)]
    replies = await at_once(leave, *calls, employees=(SOMEBODY, 1441))
    assert statuses(replies) == [200, 400, 400, 400, 400, 400]
    for reply in replies:
        if reply.status == 400:
            assert reply.json == {"customId": ["This value is already used."]}
    assert len(await leave.get("/leave-requests")) == 1
    assert [kind for kind, *_ in await journal(leave)] == ["grant", "grant", "take"]


@pytest.mark.parametrize("status", ["PENDING", "APPROVED"])
async def test_actions_at_once_leave_the_balance_that_belongs_to_the_status(
    leave: Leave, status: str
) -> None:
    """Approve and cancel, in whatever order they come; nothing is given back twice."""
    await employed(leave)
    requests = [(await ask(leave, f"2023-05-0{day}", status=status))["id"] for day in range(1, 4)]
    for request in requests:
        replies = await at_once(
            leave,
            *(acting(request, action) for action in ("approve", "cancel", "cancel", "decline", "approve")),
        )
        assert set(statuses(replies)) <= {200, 400}
    held = {"PENDING": (0, 1), "APPROVED": (1, 1), "DECLINED": (0, 0), "CANCELLED": (0, 0)}
    found = [held[row["status"]] for row in await leave.get("/leave-requests")]
    taken, pending = (sum(column) for column in zip(*found, strict=True))
    assert (await left(leave))["2023-01-01"] == (18 - taken, 18 - pending)


async def test_a_request_and_an_update_of_the_balance_come_one_after_the_other(leave: Leave) -> None:
    """A set that was computed from a total of before would lose the request, or count it twice."""
    policy = await employed(leave)
    update = {"employee": SOMEBODY, "leaveType": VACATION, "days": 7}
    path = f"/leave-policies/{policy}/actions/update-balance"
    replies = await at_once(leave, ("POST", path, update), asking("2023-05-01", status="APPROVED"))
    assert statuses(replies) == [200, 200]
    kinds = [kind for kind, *_ in await journal(leave)]
    last = 6 if kinds == ["grant", "set", "take"] else 7
    assert (await left(leave))["2023-01-01"] == (last, last)
    await act(leave, (await leave.get("/leave-requests"))[0]["id"], "cancel")
    assert (await left(leave))["2023-01-01"] == (last + 1, last + 1)


async def test_first_needs_of_a_period_at_once_grant_it_once(leave: Leave) -> None:
    await employed(leave, carryOver=True, carryOverLimit=5)
    await leave.turn("2024-01-02T12:00")
    reads: list[Call] = [("GET", f"/leave-balances?employee={SOMEBODY}", None)] * 3
    replies = await at_once(leave, *reads, asking("2024-03-01"), asking("2024-03-02"))
    assert statuses(replies) == [200] * 5
    kinds = [kind for kind, start, *_ in await journal(leave) if start == "2024-01-01"]
    assert sorted(kinds) == ["carry_over", "grant", "take", "take"]
    assert (await left(leave))["2024-01-01"] == (23, 21)


async def test_a_call_that_waited_in_vain_leaves_nothing(leave: Leave) -> None:
    """All or nothing: the employee was taken off the policy while the request waited."""
    policy = await employed(leave)
    off = ("POST", f"/leave-policies/{policy}/actions/unassign-employees", {"employeesIds": [SOMEBODY]})
    replies = await at_once(leave, off, asking("2023-05-01"))
    assert replies[0].status == 200
    stored = len(await leave.get("/leave-requests"))
    assert stored == (1 if replies[1].status == 200 else 0)
    assert [kind for kind, *_ in await journal(leave)] == ["grant"] + ["take"] * stored

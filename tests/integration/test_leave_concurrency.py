"""What comes at once: calls wait for the employee's lock and then judge by what the one before them left.

Each test holds the employee, or what else is locked, until all of its calls wait, so that none of them is
over before the next begins: without the lock, or with a look before it, both would find the place free.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from tests.support.leave import Leave, Reply, served, waiting
from tests.support.leave_balances import SOMEBODY, VACATION, act, ask, employed, journal, left

Call = tuple[str, str, Any]


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as service:
        yield service


async def at_once(leave: Leave, *calls: Call, employees: tuple[int, ...] = (SOMEBODY,)) -> list[Reply]:
    """The replies to calls that all wait for the employees before one of them goes on."""
    return await while_held(
        leave, "SELECT FROM employees WHERE id = ANY ($1::int[]) FOR UPDATE", [*employees], calls
    )


async def while_held(leave: Leave, statement: str, value: Any, calls: Sequence[Call]) -> list[Reply]:
    """The replies to calls that all wait for what this statement holds; then its change is committed."""
    async with leave.context.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute(statement, value)
        tasks = [asyncio.create_task(leave.call(*call)) for call in calls]
        try:
            await waiting(holder, len(calls))
        finally:
            await transaction.commit()
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


async def test_of_two_totals_that_are_set_at_once_the_later_one_holds(leave: Leave) -> None:
    """Each posts the difference to what it finds: two that found the same would add up."""
    policy = await employed(leave)
    path = f"/leave-policies/{policy}/actions/update-balance"
    totals = [{"employee": SOMEBODY, "leaveType": VACATION, "days": days} for days in (5, 7)]
    replies = await at_once(leave, *(("POST", path, total) for total in totals))
    assert statuses(replies) == [200, 200]
    assert (await left(leave))["2023-01-01"] in ((5, 5), (7, 7))


async def test_two_changes_of_an_employee_at_once_are_both_kept(leave: Leave) -> None:
    await leave.employee(SOMEBODY)
    path = f"/employees/{SOMEBODY}"
    changes: list[Call] = [("PATCH", path, {"lastName": "Frye"}), ("PATCH", path, {"jobTitle": "Mechanic"})]
    assert statuses(await at_once(leave, *changes)) == [200, 200]
    changed = await leave.get(path)
    assert (changed["lastName"], changed["jobTitle"]) == ("Frye", "Mechanic")


ARCHIVE = """
    WITH held AS (SELECT id FROM leave_types WHERE id = $1 FOR UPDATE)
    UPDATE leave_types t SET status = 'ARCHIVED' FROM held WHERE t.id = held.id
"""


async def test_a_type_that_is_being_archived_gets_no_item_and_no_request(leave: Leave) -> None:
    await employed(leave)
    item = {"name": "x", "region": 1, "leaveType": VACATION, "entitlementUnit": "DAYS", "quantity": 1}
    calls = [("POST", "/leave-policy-items", item), asking("2023-05-01")]
    replies = await while_held(leave, ARCHIVE, VACATION, calls)
    assert [list(reply.refused()) for reply in replies] == [["leaveType"], ["leaveType"]]


async def test_a_type_is_not_archived_while_an_item_or_a_request_of_it_is_made(leave: Leave) -> None:
    """The other way round: who uses the type holds it until it is done."""
    await employed(leave)
    archive: Call = ("POST", f"/leave-types/{VACATION}/actions/archive", None)
    # The item waits where its name is taken, the request where its key is: both hold the type by then.
    for held, call in (
        (
            "INSERT INTO leave_policy_items"
            " (name, entitlement_unit, quantity, region, leave_type, carry_over)"
            " VALUES ($1, 'DAYS', 1, 1, 9, false)",
            (
                "POST",
                "/leave-policy-items",
                {"name": "x", "region": 1, "leaveType": VACATION, "entitlementUnit": "DAYS", "quantity": 1},
            ),
        ),
        (
            "INSERT INTO leave_requests"
            " (custom_id, employee, leave_type, leave_policy, status, start_date, end_date, full_day,"
            " time_zone, created_on, updated_on)"
            " VALUES ($1, 1441, 9, 1, 'DECLINED', '2023-05-01', '2023-05-01', 480, 'UTC', now(), now())",
            asking("2023-05-01", customId="x"),
        ),
    ):
        if "leave_requests" in held:
            await leave.employee(1441)
        async with leave.context.pool.acquire() as holder:
            transaction = holder.transaction()
            await transaction.start()
            await holder.execute(held, "x")
            using = asyncio.create_task(leave.call(*call))
            await waiting(holder, 1)
            archiving = asyncio.create_task(leave.call(*archive))
            await waiting(holder, 2)
            await transaction.rollback()
        assert (await using).status == 200
        assert (await archiving).status == 200
        await leave.context.pool.execute("UPDATE leave_types SET status = 'ACTIVE'")


async def test_two_items_of_one_type_that_are_linked_at_once_do_not_both_stay(leave: Leave) -> None:
    policy = await leave.policy()
    path = f"/leave-policies/{policy}/actions/assign-leave-policy-items"
    calls: list[Call] = [("POST", path, {"leavePolicyItemsIds": [await leave.item()]}) for _ in range(2)]
    replies = await while_held(leave, "SELECT FROM leave_policies WHERE id = $1 FOR UPDATE", policy, calls)
    assert statuses(replies) == [200, 400]


async def test_an_item_is_linked_before_an_assignment_or_after_it_and_not_amid(leave: Leave) -> None:
    policy, item = await leave.policy(), await leave.item()
    await leave.employee(SOMEBODY)
    path = f"/leave-policies/{policy}/actions"
    async with leave.context.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE assignments IN SHARE MODE")  # here the assignment stands still
        assigning = asyncio.create_task(leave.assign(policy, SOMEBODY))
        await waiting(holder, 1)
        links = {"leavePolicyItemsIds": [item]}
        linking = asyncio.create_task(leave.post(f"{path}/assign-leave-policy-items", links))
        await waiting(holder, 2)
        await transaction.rollback()
    await asyncio.gather(assigning, linking)
    assert await left(leave) == {"2023-01-01": (18, 18)}

"""The document's examples on balances, as they are printed, and the table of what requests do to them.

TrackTik help centre, "Leave Policies, Items, Types, Assign, Unassign, Balances". Requests are this project's
extension; their table of effects is on the page of the leave API.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from tests.support.leave import Leave, served
from tests.support.leave_balances import SOMEBODY, VACATION, act, ask, employed, left

VACATION_TYPE = {"name": "Vacation", "region": None, "status": "ACTIVE", "id": 10}
OF_2023 = {
    "id": "1404-10-2023-01-01",
    "employee": 1404,
    "periodId": "2023-01-01-12",
    "balanceDays": 3,
    "balanceDaysIncludingPending": 3,
    "timeZone": "America/New_York",
    "periodStartDateTime": "2023-01-01T00:00:00-05:00",
    "periodEndDateTime": "2024-01-01T00:00:00-05:00",
    "leaveType": VACATION_TYPE,
}
OF_2024 = {
    "id": "1404-10-2024-01-01",
    "employee": 1404,
    "periodId": "2024-01-01-12",
    "balanceDays": 1,
    "balanceDaysIncludingPending": 1,
    "timeZone": "America/New_York",
    "periodStartDateTime": "2024-01-01T00:00:00-05:00",
    "periodEndDateTime": "2025-01-01T00:00:00-05:00",
    "leaveType": VACATION_TYPE,
}
UPDATE = {"employee": 1404, "leaveType": 10, "description": "balance update", "days": 1, "hours": 0}
BALANCES = "/leave-balances?employee=1404&include=leaveType"


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as service:
        yield service


async def test_balances_are_answered_as_printed(leave: Leave) -> None:
    """GET /leave-balances?employee={id}&include=leaveType, an employee with 3 days."""
    await employed(leave, quantity=3)
    assert await leave.get(BALANCES) == [OF_2023]


async def test_an_update_in_the_next_year_leaves_the_old_record_and_adds_the_printed_one(
    leave: Leave,
) -> None:
    """POST /leave-policies/{id}/actions/update-balance: both records exactly; again, and it is still 1."""
    policy = await employed(leave, quantity=3)
    await leave.turn("2024-01-05T12:00")
    answer = await leave.post(f"/leave-policies/{policy}/actions/update-balance", UPDATE)
    assert answer["id"] == policy
    assert await leave.get(BALANCES) == [OF_2023, OF_2024]
    await leave.post(f"/leave-policies/{policy}/actions/update-balance", UPDATE)
    assert await leave.get(BALANCES) == [OF_2023, OF_2024]


async def test_include_makes_an_object_of_the_leave_types_id(leave: Leave) -> None:
    await employed(leave, quantity=3)
    assert await leave.get("/leave-balances?employee=1404") == [{**OF_2023, "leaveType": 10}]


async def test_an_unknown_employee_has_an_empty_list_of_balances(leave: Leave) -> None:
    assert await leave.get("/leave-balances?employee=4711&include=leaveType") == []


async def test_four_hours_of_an_eight_hour_day_are_half_a_day(leave: Leave) -> None:
    policy = await employed(leave, quantity=3)
    body = {**UPDATE, "days": 0, "hours": 4}
    await leave.post(f"/leave-policies/{policy}/actions/update-balance", body)
    (record,) = await leave.get("/leave-balances?employee=1404")
    assert record["balanceDays"] == Decimal("0.5")
    await leave.post(f"/leave-policies/{policy}/actions/update-balance", {**UPDATE, "days": 2, "hours": 2})
    (record,) = await leave.get("/leave-balances?employee=1404")
    assert record["balanceDays"] == Decimal("2.25")


# -- the table of effects: each row is one test, days d = 2, e = 3, of 18 ------------------------------


async def holding(leave: Leave, status: str) -> int:
    """Somebody on a policy with a request of two days in this status."""
    await employed(leave)
    request = await ask(leave, "2023-05-01", "2023-05-02", status=status)
    return int(request["id"])


async def balance(leave: Leave) -> tuple[Any, Any]:
    return (await left(leave))["2023-01-01"]


async def test_creating_a_pending_request_counts_with_what_is_pending(leave: Leave) -> None:
    await holding(leave, "PENDING")
    assert await balance(leave) == (18, 16)


async def test_creating_an_approved_request_counts_at_once(leave: Leave) -> None:
    await holding(leave, "APPROVED")
    assert await balance(leave) == (16, 16)


async def test_approving_moves_days_from_pending_to_taken(leave: Leave) -> None:
    await act(leave, await holding(leave, "PENDING"), "approve")
    assert await balance(leave) == (16, 16)


@pytest.mark.parametrize("action", ["decline", "cancel"])
@pytest.mark.parametrize("status", ["PENDING", "APPROVED"])
async def test_declining_or_cancelling_gives_back_what_was_taken(
    leave: Leave, status: str, action: str
) -> None:
    await act(leave, await holding(leave, status), action)
    assert await balance(leave) == (18, 18)


@pytest.mark.parametrize(("status", "expected"), [("PENDING", (18, 15)), ("APPROVED", (15, 15))])
async def test_changing_the_days_changes_what_is_taken(leave: Leave, status: str, expected: Any) -> None:
    request = await holding(leave, status)
    changed = await leave.patch(f"/leave-requests/{request}", {"endDate": "2023-05-03"})
    assert (changed["status"], changed["totalDays"]) == (status, 3)
    assert await balance(leave) == expected


@pytest.mark.parametrize(("status", "expected"), [("PENDING", (7, 5)), ("APPROVED", (7, 7))])
async def test_an_update_sets_the_days_and_leaves_pending_ones_to_be_deducted(
    leave: Leave, status: str, expected: Any
) -> None:
    await holding(leave, status)
    policy = (await leave.get("/leave-policies"))[0]["id"]
    await leave.post(f"/leave-policies/{policy}/actions/update-balance", {**UPDATE, "days": 7})
    assert await balance(leave) == expected


async def test_a_create_repeated_with_its_custom_id_makes_one_record(leave: Leave) -> None:
    await employed(leave)
    first = await ask(leave, "2023-05-01", customId="r-1/1")
    body = {
        "employee": SOMEBODY,
        "leaveType": VACATION,
        "startDate": "2023-05-01",
        "endDate": "2023-05-01",
        "customId": "r-1/1",
    }
    refused = await leave.refused("POST", "/leave-requests", body)
    assert refused == {"customId": ["This value is already used."]}
    assert await leave.get("/leave-requests?customId=r-1/1") == [first]


async def test_cancelling_twice_is_fine(leave: Leave) -> None:
    request = await holding(leave, "APPROVED")
    once = await act(leave, request, "cancel")
    assert once["status"] == "CANCELLED"
    assert await act(leave, request, "cancel") == once
    assert await balance(leave) == (18, 18)

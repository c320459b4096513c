"""Every request and response that the vendor's document prints, and what it says of them: one test each.

(TrackTik help centre, "Leave Policies, Items, Types, Assign, Unassign, Balances" 23945490482327.) Balances
are in test_leave_document_balances.py. The day is 26 March 2023, as in its examples, unless a test says
otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.leave import Leave, served

POLICY: dict[str, Any] = {
    "customId": "ABLPAPI",
    "name": "AB API Leave Policy",
    "description": "API Testing",
    "region": 2,
    "status": "ACTIVE",
    "effectiveStartDate": "2023-03-27T00:00:00+00:00",
    "payHoursPerDay": 8,
    "balanceResetReferenceMonth": "JANUARY",
    "balanceResetsPerYear": 1,
}
ITEM: dict[str, Any] = {
    "customId": "LPIAPI1",
    "name": "Leave Policy Item API 1",
    "description": "API test 1",
    "entitlementUnit": "DAYS",
    "quantity": 18,
    "region": 2,
    "leaveType": 8,
    "accrualRate": None,
    "carryOver": True,
    "carryOverLimit": 5,
}


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    """A region 2, and whatever the document takes for granted: policy 8 with items 3 and 4 at hand, employees
    1404 and 1441 in it."""
    async with served(database_url) as leave:
        assert await leave.region("West") == 2
        yield leave


@pytest.fixture
async def stage(leave: Leave) -> Leave:
    await leave.policy(8, region=2)
    for id, leave_type in ((3, 8), (4, 10)):
        created = await leave.item(region=2, leaveType=leave_type)
        await leave.context.pool.execute("UPDATE leave_policy_items SET id = $2 WHERE id = $1", created, id)
    for employee in (1404, 1441):
        await leave.employee(employee, 2)
    return leave


async def policies_of(leave: Leave, employee: int) -> list[Any]:
    return list(await leave.get(f"/employee-leave-policies?employee={employee}"))


# -- create a leave policy ---------------------------------------------------------------------------


async def test_a_policy_is_created_with_the_shown_values(leave: Leave) -> None:
    created = await leave.post("/leave-policies", POLICY)
    assert created == {
        **POLICY,
        "startPeriodDate": "2023-01-01T00:00:00+00:00",
        "endPeriodDate": "2023-12-31T00:00:00+00:00",
        "id": created["id"],
    }
    assert list(created)[-1] == "id"
    assert await leave.get(f"/leave-policies/{created['id']}") == created
    assert await leave.get("/leave-policies") == [created]


async def test_an_effective_date_before_tomorrow_is_refused_in_these_words(leave: Leave) -> None:
    early = {**POLICY, "effectiveStartDate": "2023-03-26T00:00:00+00:00"}
    assert await leave.refused("POST", "/leave-policies", early) == {
        "effectiveStartDate": ["This value should be greater than or equal to Mar 27, 2023, 12:00 AM."]
    }
    await leave.turn("2023-03-27T09:00")
    assert await leave.refused("POST", "/leave-policies", POLICY) == {
        "effectiveStartDate": ["This value should be greater than or equal to Mar 28, 2023, 12:00 AM."]
    }
    assert await leave.get("/leave-policies") == []


@pytest.mark.parametrize(
    ("moment", "least"), [("2023-03-06T23:59:59", "Mar 7, 2023"), ("2023-12-31T00:00:00", "Jan 1, 2024")]
)
async def test_the_day_of_the_bound_has_no_leading_zero_and_is_utcs(
    leave: Leave, moment: str, least: str
) -> None:
    await leave.turn(moment)
    early = {**POLICY, "effectiveStartDate": "2023-03-01T00:00:00-05:00"}
    assert await leave.refused("POST", "/leave-policies", early) == {
        "effectiveStartDate": [f"This value should be greater than or equal to {least}, 12:00 AM."]
    }


async def test_the_period_dates_are_computed_and_sent_ones_ignored_without_an_error(leave: Leave) -> None:
    sent = {
        **POLICY,
        "effectiveStartDate": "2024-06-01T00:00:00+00:00",
        "startPeriodDate": "2020-05-05T00:00:00+00:00",
        "endPeriodDate": "not even a date",
        "id": 77,
    }
    created = await leave.post("/leave-policies", sent)
    assert created["effectiveStartDate"] == "2024-06-01T00:00:00+00:00"
    assert created["startPeriodDate"] == "2023-01-01T00:00:00+00:00"
    assert created["endPeriodDate"] == "2023-12-31T00:00:00+00:00"
    assert created["id"] != 77


# -- create leave policy items -----------------------------------------------------------------------


async def test_an_item_is_created_with_the_shown_values(leave: Leave) -> None:
    created = await leave.post("/leave-policy-items", ITEM)
    assert created == {**ITEM, "id": created["id"]}
    assert await leave.get(f"/leave-policy-items/{created['id']}") == created
    assert await leave.get("/leave-policy-items") == [created]


async def test_an_item_has_an_accrual_rate_or_a_quantity_and_not_both(leave: Leave) -> None:
    assert await leave.refused("POST", "/leave-policy-items", {**ITEM, "accrualRate": 1.5}) == {
        "leave-policy-items": ["Only accrual rate or quantity can be entered."]
    }
    assert await leave.get("/leave-policy-items") == []
    accruing = await leave.post("/leave-policy-items", {**ITEM, "accrualRate": 1.5, "quantity": None})
    assert (accruing["quantity"], str(accruing["accrualRate"])) == (None, "1.5")


@pytest.mark.parametrize("unit", ["DAYS", "HOURS"])
async def test_the_unit_of_an_item_is_days_or_hours(leave: Leave, unit: str) -> None:
    assert (await leave.post("/leave-policy-items", {**ITEM, "entitlementUnit": unit}))[
        "entitlementUnit"
    ] == unit


@pytest.mark.parametrize("unit", ["WEEKS", "days", "", 1, None])
async def test_another_unit_is_refused(leave: Leave, unit: object) -> None:
    refused = await leave.refused("POST", "/leave-policy-items", {**ITEM, "entitlementUnit": unit})
    assert list(refused) == ["entitlementUnit"]


async def test_the_leave_type_of_an_item_is_one_of_the_list(leave: Leave) -> None:
    types = {record["id"]: record for record in await leave.get("/leave-types")}
    assert types[1] == {"name": "Bereavement", "region": None, "status": "ACTIVE", "id": 1}
    assert types[8] == {"name": "Personal Day", "region": None, "status": "ACTIVE", "id": 8}
    assert types[10] == {"name": "Vacation", "region": None, "status": "ACTIVE", "id": 10}
    assert await leave.refused("POST", "/leave-policy-items", {**ITEM, "leaveType": 99}) == {
        "leaveType": ["This value is not valid."]
    }


# -- assign and un-assign items ----------------------------------------------------------------------


async def test_items_are_assigned_to_the_policy_of_the_path_and_seen_there(stage: Leave) -> None:
    path = "/leave-policies/8/actions/assign-leave-policy-items"
    answered = await stage.post(path, {"leavePolicyItemsIds": [3, 4]})
    assert answered["id"] == 8
    policy = await stage.get("/leave-policies/8?include=leavePolicyItems")
    assert [item["id"] for item in policy["leavePolicyItems"]] == [3, 4]


async def test_items_are_unassigned(stage: Leave) -> None:
    body = {"leavePolicyItemsIds": [3, 4]}
    await stage.post("/leave-policies/8/actions/assign-leave-policy-items", body)
    await stage.post("/leave-policies/8/actions/unassign-leave-policy-items", body)
    assert (await stage.get("/leave-policies/8?include=leavePolicyItems"))["leavePolicyItems"] == []


# -- leave types -------------------------------------------------------------------------------------


async def test_a_type_is_created_as_number_12(leave: Leave) -> None:
    created = await leave.post("/leave-types", {"name": "Browncoat Leave", "region": 2})
    assert created == {"name": "Browncoat Leave", "region": 2, "status": "ACTIVE", "id": 12}


async def test_the_region_of_a_type_stays_and_no_error_is_given(leave: Leave) -> None:
    await leave.post("/leave-types", {"name": "Browncoat Leave", "region": 2})
    await leave.region("East")
    unchanged = {"name": "Browncoat Leave", "region": 2, "status": "ACTIVE", "id": 12}
    assert await leave.patch("/leave-types/12", {"region": 3}) == unchanged
    assert await leave.patch("/leave-types/12", {"status": "ARCHIVED"}) == unchanged
    assert await leave.get("/leave-types/12") == unchanged
    renamed = await leave.patch("/leave-types/12", {"name": "Greycoat Leave", "region": 3})
    assert renamed == {**unchanged, "name": "Greycoat Leave"}


async def test_a_type_is_archived_without_a_body(leave: Leave) -> None:
    await leave.post("/leave-types", {"name": "Browncoat Leave", "region": 2})
    archived = {"name": "Browncoat Leave", "region": 2, "status": "ARCHIVED", "id": 12}
    assert await leave.post("/leave-types/12/actions/archive") == archived
    assert await leave.post("/leave-types/12/actions/archive") == archived
    assert await leave.get("/leave-types/12") == archived


# -- assign and un-assign employees ------------------------------------------------------------------

ASSIGN = "/leave-policies/8/actions/assign-employees"
UNASSIGN = "/leave-policies/8/actions/unassign-employees"
UNABLE = {"assign-employees": ["Unable to assign leave policy to all selected employees"]}


async def test_employees_are_assigned_and_can_be_read_back(stage: Leave) -> None:
    answered = await stage.post(ASSIGN, {"employeesIds": [1404, 1441]})
    assert answered["id"] == 8
    policy = await stage.get("/leave-policies/8?include=employees")
    assert [employee["id"] for employee in policy["employees"]] == [1404, 1441]
    [assignment] = await policies_of(stage, 1404)
    assert assignment == {
        "employee": 1404,
        "leavePolicy": 8,
        "startedOn": "2023-03-26",
        "endedOn": None,
        "id": assignment["id"],
    }


async def test_an_assigned_employee_is_not_assigned_again_nor_anybody_with_it(stage: Leave) -> None:
    other = await stage.policy(region=2)
    await stage.assign(other, 1404)
    assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, 1441]}) == {
        "assign-employees": [
            "1 employees have already been assigned to a policy, please unassign employees first."
        ]
    }
    assert await policies_of(stage, 1441) == []
    await stage.assign(other, 1441)
    assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, 1441]}) == {
        "assign-employees": [
            "2 employees have already been assigned to a policy, please unassign employees first."
        ]
    }


async def test_an_unknown_employee_is_not_assigned_nor_anybody_with_it(stage: Leave) -> None:
    for unknown in (9999, 0, -1, 2**31, 10**30):
        assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, unknown]}) == UNABLE
    assert await policies_of(stage, 1404) == []


async def test_a_terminated_employee_is_not_assigned(stage: Leave) -> None:
    await stage.patch("/employees/1441", {"status": "TERMINATED"})
    assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, 1441]}) == UNABLE
    assert await policies_of(stage, 1404) == []


async def test_an_employee_outside_of_the_policys_region_is_not_assigned(stage: Leave) -> None:
    east = await stage.region("East")
    above = await stage.employee(region=1)
    beside = await stage.employee(region=east)
    for outside in (above, beside):
        assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, outside]}) == UNABLE
    assert await policies_of(stage, 1404) == []


async def test_an_employee_of_a_region_below_the_policys_is_assigned(stage: Leave) -> None:
    below = await stage.employee(region=await stage.region("Far West", parent=2))
    await stage.post(ASSIGN, {"employeesIds": [below]})
    assert len(await policies_of(stage, below)) == 1


async def test_an_id_that_stands_twice_is_a_mismatch_of_numbers(stage: Leave) -> None:
    assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, 1404]}) == UNABLE
    assert await policies_of(stage, 1404) == []


async def test_what_cannot_be_found_comes_before_who_is_assigned(stage: Leave) -> None:
    """Otherwise the answer would tell of employees whom the caller may not see."""
    await stage.assign(8, 1404)
    assert await stage.refused("POST", ASSIGN, {"employeesIds": [1404, 9999]}) == UNABLE


async def test_employees_are_unassigned_and_can_be_assigned_again(stage: Leave) -> None:
    await stage.assign(8, 1404, 1441)
    await stage.turn("2023-04-02T12:00")
    answered = await stage.post(UNASSIGN, {"employeesIds": [1404, 1441]})
    assert answered["id"] == 8
    [ended] = await policies_of(stage, 1404)
    assert (ended["startedOn"], ended["endedOn"]) == ("2023-03-26", "2023-04-02")
    other = await stage.policy(region=2)
    await stage.assign(other, 1404)
    assert [entry["leavePolicy"] for entry in await policies_of(stage, 1404)] == [8, other]
    assert await stage.get("/employee-leave-policies?employee=1404&endedOn=null&fields=leavePolicy") == [
        {"leavePolicy": other}
    ]


async def test_nobody_is_unassigned_unless_all_are_on_this_policy(stage: Leave) -> None:
    await stage.assign(8, 1404)
    await stage.assign(await stage.policy(region=2), 1441)
    assert await stage.refused("POST", UNASSIGN, {"employeesIds": [1404, 1441]}) == {
        "unassign-employees": [
            "Only 1 employees have been assigned to this policy, please verify employees first."
        ]
    }
    [assignment] = await policies_of(stage, 1404)
    assert assignment["endedOn"] is None

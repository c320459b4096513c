"""Items and people of a policy: all of a call or nothing, one policy at a time whoever calls at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.leave import Leave, at_once, served

from timeoff_leave import journal


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as leave:
        yield leave


def assigning(policy: int, *employees: int) -> tuple[str, str, Any]:
    path = f"/leave-policies/{policy}/actions/assign-employees"
    return "POST", path, {"employeesIds": list(employees)}


def unassigning(policy: int, *employees: int) -> tuple[str, str, Any]:
    path = f"/leave-policies/{policy}/actions/unassign-employees"
    return "POST", path, {"employeesIds": list(employees)}


async def test_of_two_assigns_to_two_policies_at_once_exactly_one_wins(leave: Leave) -> None:
    """The employee's lock comes before the look: without it, both find a free employee."""
    employees = [await leave.employee() for _ in range(3)]
    policies = [await leave.policy() for _ in range(2)]
    calls = (assigning(policies[0], *employees), assigning(policies[1], *reversed(employees)))
    replies = await at_once(leave, *calls, employees=employees)
    [refused] = [reply for reply in replies if reply.status != 200]
    assert refused.refused() == {
        "assign-employees": [
            "3 employees have already been assigned to a policy, please unassign employees first."
        ]
    }
    for employee in employees:
        assert len(await leave.get(f"/employee-leave-policies?employee={employee}")) == 1


async def test_assigns_that_share_one_employee_do_not_share_it(leave: Leave) -> None:
    shared, *others = [await leave.employee() for _ in range(5)]
    policy = await leave.policy()
    calls = [assigning(policy, *sorted((shared, other), reverse=other % 2 == 0)) for other in others]
    replies = await at_once(leave, *calls, employees=[shared])
    assert sorted(reply.status for reply in replies) == [200, 400, 400, 400]
    on_it = await leave.get(f"/leave-policies/{policy}?include=employees")
    assert len(on_it["employees"]) == 2


async def test_an_unassign_counts_for_the_assign_that_waited_for_it(leave: Leave) -> None:
    employee = await leave.employee()
    one, other = await leave.policy(), await leave.policy()
    await leave.assign(one, employee)
    calls = (unassigning(one, employee), assigning(other, employee))
    first, second = await at_once(leave, *calls, employees=[employee])
    assert first.status == 200
    history = await leave.get(f"/employee-leave-policies?employee={employee}")
    assert [entry["endedOn"] is None for entry in history] == (
        [False, True] if second.status == 200 else [False]
    )


async def test_of_two_unassigns_at_once_one_finds_nobody(leave: Leave) -> None:
    employee, policy = await leave.employee(), await leave.policy()
    await leave.assign(policy, employee)
    calls = (unassigning(policy, employee), unassigning(policy, employee))
    replies = await at_once(leave, *calls, employees=[employee])
    assert sorted(reply.status for reply in replies) == [200, 400]


async def test_an_assign_that_fails_half_way_leaves_nothing(
    leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    employee, policy = await leave.employee(), await leave.policy(items=[await leave.item()])

    async def fail(*_: Any) -> None:
        raise RuntimeError("after the assignment was written")

    with monkeypatch.context() as broken:
        broken.setattr(journal, "open_current_periods", fail)
        reply = await leave.call(*assigning(policy, employee))
    assert reply.refused(500) == {"leave-policies": ["The service failed."]}
    assert await leave.get(f"/employee-leave-policies?employee={employee}") == []
    assert await leave.assign(policy, employee)


async def test_the_days_of_an_assignment_are_the_employees_own(leave: Leave) -> None:
    """At 03:00 UTC on 1 April it is still March in Denver, and in New York, the zone of regions without
    one."""
    await leave.turn("2023-04-01T03:00")
    denver = await leave.region("Denver", timeZone="America/Denver")
    tokyo = await leave.region("Tokyo", timeZone="Asia/Tokyo")
    policy = await leave.policy()
    people = {region: await leave.employee(region=region) for region in (denver, tokyo, 1)}
    await leave.assign(policy, *people.values())
    started = {
        entry["employee"]: entry["startedOn"]
        for entry in await leave.get("/employee-leave-policies?fields=employee,startedOn")
    }
    assert started == {people[denver]: "2023-03-31", people[tokyo]: "2023-04-01", people[1]: "2023-03-31"}


async def test_nobody_is_put_on_a_policy_that_is_not_active(leave: Leave) -> None:
    policy, employee = await leave.policy(status="INACTIVE"), await leave.employee()
    assert (await leave.call(*assigning(policy, employee))).refused() == {
        "assign-employees": ["The leave policy is not active."]
    }


async def test_who_has_left_can_be_taken_off_a_policy(leave: Leave) -> None:
    policy, employee = await leave.policy(), await leave.employee()
    await leave.assign(policy, employee)
    await leave.patch(f"/employees/{employee}", {"status": "TERMINATED"})
    assert (await leave.call(*unassigning(policy, employee))).ok()


async def test_lists_of_ids_are_lists_of_whole_numbers(leave: Leave) -> None:
    policy = await leave.policy()
    path = f"/leave-policies/{policy}/actions/assign-employees"
    for body in (
        {},
        {"employeesIds": None},
        {"employeesIds": []},
        {"employeesIds": "1"},
        {"employeesIds": 1},
        {"employeesIds": ["1"]},
        {"employeesIds": [1.5]},
        {"employeesIds": [True]},
        {"employeesIds": [[1]]},
        {"employeesIds": list(range(1, 1002))},
    ):
        assert list(await leave.refused("POST", path, body)) == ["employeesIds"], body


# -- items -------------------------------------------------------------------------------------------


async def items_of(leave: Leave, policy: int) -> list[int]:
    found = await leave.get(f"/leave-policies/{policy}?include=leavePolicyItems")
    return [item["id"] for item in found["leavePolicyItems"]]


async def test_items_are_linked_all_or_none_and_again_without_effect(leave: Leave) -> None:
    policy = await leave.policy()
    one, two = await leave.item(leaveType=8), await leave.item(leaveType=10)
    path = f"/leave-policies/{policy}/actions/assign-leave-policy-items"
    unable = {"assign-leave-policy-items": ["Unable to assign all selected leave policy items."]}
    for wrong in ([one, 999], [one, one], [0], [2**40]):
        assert await leave.refused("POST", path, {"leavePolicyItemsIds": wrong}) == unable
    assert await items_of(leave, policy) == []
    for _ in range(2):
        await leave.post(path, {"leavePolicyItemsIds": [one, two]})
        assert await items_of(leave, policy) == [one, two]


async def test_a_policy_has_one_item_of_a_type(leave: Leave) -> None:
    policy = await leave.policy()
    one, two = await leave.item(leaveType=8), await leave.item(leaveType=8)
    path = f"/leave-policies/{policy}/actions/assign-leave-policy-items"
    said = "Only one leave policy item of each leave type can be assigned to a policy."
    refused = {"assign-leave-policy-items": [said]}
    assert await leave.refused("POST", path, {"leavePolicyItemsIds": [one, two]}) == refused
    await leave.post(path, {"leavePolicyItemsIds": [one]})
    assert await leave.refused("POST", path, {"leavePolicyItemsIds": [two]}) == refused
    assert await items_of(leave, policy) == [one]


async def test_items_are_taken_off_all_or_none(leave: Leave) -> None:
    one, two, three = [await leave.item(leaveType=leave_type) for leave_type in (8, 9, 10)]
    policy = await leave.policy(items=[one, two])
    path = f"/leave-policies/{policy}/actions/unassign-leave-policy-items"
    assert await leave.refused("POST", path, {"leavePolicyItemsIds": [one, three]}) == {
        "unassign-leave-policy-items": [
            "Only 1 leave policy items have been assigned to this policy, "
            "please verify leave policy items first."
        ]
    }
    assert await items_of(leave, policy) == [one, two]
    await leave.post(path, {"leavePolicyItemsIds": [one]})
    assert await items_of(leave, policy) == [two]


async def test_an_archived_type_takes_no_new_item(leave: Leave) -> None:
    await leave.post("/leave-types/8/actions/archive")
    body = {"name": "x", "region": 1, "leaveType": 8, "entitlementUnit": "DAYS", "quantity": 1}
    assert await leave.refused("POST", "/leave-policy-items", body) == {
        "leaveType": ["The leave type is archived."]
    }


async def test_an_item_has_a_quantity_or_a_rate(leave: Leave) -> None:
    body = {"name": "x", "region": 1, "leaveType": 8, "entitlementUnit": "DAYS"}
    for nothing in ({}, {"quantity": None}, {"quantity": None, "accrualRate": None}):
        assert await leave.refused("POST", "/leave-policy-items", {**body, **nothing}) == {
            "leave-policy-items": ["Accrual rate or quantity must be entered."]
        }


async def test_the_policy_may_stand_in_the_body_too_and_is_not_read(leave: Leave) -> None:
    """The address names it."""
    policy, employee = await leave.policy(), await leave.employee()
    path = f"/leave-policies/{policy}/actions"
    for action in ("assign-employees", "unassign-employees"):
        body = {"id": policy + 1, "leavePolicy": policy + 1, "employeesIds": [employee]}
        assert (await leave.post(f"{path}/{action}", body))["id"] == policy

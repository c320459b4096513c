"""Regions: an account sees its own and what is below, what is defined above applies to it, the rest is not
there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from tests.support.leave import Leave, served


@dataclass
class Company:
    """west has far below it; east is beside. Each of them and the root has a type, an item, a policy with it,
    and an employee on it; all ids by the region's name."""

    leave: Leave
    regions: dict[str, int]
    types: dict[str, int]
    items: dict[str, int]
    policies: dict[str, int]
    employees: dict[str, int]
    west: str
    far: str


@pytest.fixture
async def company(database_url: str) -> AsyncIterator[Company]:
    async with served(database_url) as leave:
        regions = {"root": 1, "west": await leave.region("West"), "east": await leave.region("East")}
        regions["far"] = await leave.region("Far West", parent=regions["west"])
        types, items, policies, employees = {}, {}, {}, {}
        for name, region in regions.items():
            types[name] = (await leave.post("/leave-types", {"name": f"{name} type", "region": region}))["id"]
            items[name] = await leave.item(region=region, leaveType=types[name])
            policies[name] = await leave.policy(region=region, items=[items[name]])
            employees[name] = await leave.employee(region=region)
            await leave.assign(policies[name], employees[name])
        west = await leave.account("west", regions["west"])
        far = await leave.account("far", regions["far"])
        yield Company(leave, regions, types, items, policies, employees, west, far)


def ids(records: list[Any]) -> set[int]:
    return {record["id"] for record in records}


def of(numbers: dict[str, int], *names: str) -> set[int]:
    return {numbers[name] for name in names}


async def test_regions_and_people_are_seen_from_their_region_and_from_above(company: Company) -> None:
    for token, names in ((company.west, ("west", "far")), (company.far, ("far",))):
        get = company.leave.get
        assert ids(await get("/regions", token=token)) == of(company.regions, *names)
        assert ids(await get("/employees", token=token)) == of(company.employees, *names)
        assignments = await get("/employee-leave-policies", token=token)
        assert {entry["employee"] for entry in assignments} == of(company.employees, *names)
        balances = await get("/leave-balances", token=token)
        assert {entry["employee"] for entry in balances} == of(company.employees, *names)


async def test_what_is_defined_above_is_seen_below_and_what_is_beside_is_not(company: Company) -> None:
    get = company.leave.get
    for token, names in ((company.west, ("root", "west", "far")), (company.far, ("root", "west", "far"))):
        built_in = set(range(1, 12))
        assert ids(await get("/leave-types", token=token)) == built_in | of(company.types, *names)
        assert ids(await get("/leave-policies", token=token)) == of(company.policies, *names)
        assert ids(await get("/leave-policy-items", token=token)) == of(company.items, *names)


async def test_what_is_beside_is_not_found_whatever_is_tried(company: Company) -> None:
    type_, policy, employee = (
        company.types["east"],
        company.policies["east"],
        company.employees["east"],
    )
    body = {"employeesIds": [company.employees["west"]]}
    items = {"leavePolicyItemsIds": [company.items["west"]]}
    for method, path, sent in (
        ("GET", f"/leave-types/{type_}", None),
        ("PATCH", f"/leave-types/{type_}", {"name": "mine"}),
        ("POST", f"/leave-types/{type_}/actions/archive", None),
        ("GET", f"/leave-policies/{policy}", None),
        ("GET", f"/leave-policy-items/{company.items['east']}", None),
        ("POST", f"/leave-policies/{policy}/actions/assign-employees", body),
        ("POST", f"/leave-policies/{policy}/actions/unassign-employees", body),
        ("POST", f"/leave-policies/{policy}/actions/assign-leave-policy-items", items),
        ("POST", f"/leave-policies/{policy}/actions/unassign-leave-policy-items", items),
        ("GET", f"/employees/{employee}", None),
        ("PATCH", f"/employees/{employee}", {"firstName": "Mine"}),
        ("GET", f"/regions/{company.regions['east']}", None),
    ):
        assert await company.leave.refused(method, path, sent, 404, token=company.west), path
    for path in (f"/employees?id={employee}", f"/leave-balances?employee={employee}"):
        assert await company.leave.get(path, token=company.west) == []


async def test_what_is_defined_above_is_used_but_not_changed(company: Company) -> None:
    leave, token = company.leave, company.far
    policy, type_ = company.policies["west"], company.types["west"]
    for method, path, sent in (
        ("PATCH", f"/leave-types/{type_}", {"name": "mine"}),
        ("POST", f"/leave-types/{type_}/actions/archive", None),
        ("PATCH", "/leave-types/10", {"name": "mine"}),
        ("POST", "/leave-types", {"name": "of all regions"}),
        (
            "POST",
            f"/leave-policies/{policy}/actions/assign-leave-policy-items",
            {"leavePolicyItemsIds": [company.items["west"]]},
        ),
        (
            "POST",
            f"/leave-policies/{policy}/actions/unassign-employees",
            {"employeesIds": [company.employees["west"]]},
        ),
    ):
        assert await leave.refused(method, path, sent, 403, token=token), path
    own = await leave.post(
        "/leave-policies",
        {"name": "Mine", "region": company.regions["far"], "effectiveStartDate": "2100-01-01T00:00:00Z"},
        token=token,
    )
    linked = await leave.post(
        f"/leave-policies/{own['id']}/actions/assign-leave-policy-items?include=leavePolicyItems",
        {"leavePolicyItemsIds": [company.items["west"], company.items["root"]]},
        token=token,
    )
    assert ids(linked["leavePolicyItems"]) == of(company.items, "west", "root")


async def test_nobody_is_assigned_to_a_policy_whose_region_the_caller_does_not_reach(
    company: Company,
) -> None:
    path = f"/leave-policies/{company.policies['west']}/actions/assign-employees"
    somebody = await company.leave.employee(region=company.regions["far"])
    body = {"employeesIds": [somebody]}
    unable = {"assign-employees": ["Unable to assign leave policy to all selected employees"]}
    assert await company.leave.refused("POST", path, body, token=company.far) == unable
    assert await company.leave.post(path, body, token=company.west)


async def test_an_employee_out_of_sight_is_as_good_as_unknown(company: Company) -> None:
    path = f"/leave-policies/{company.policies['west']}/actions/assign-employees"
    unable = {"assign-employees": ["Unable to assign leave policy to all selected employees"]}
    for id in (company.employees["east"], 999_999):
        assert await company.leave.refused("POST", path, {"employeesIds": [id]}, token=company.west) == unable


async def test_nothing_is_put_into_a_region_that_the_caller_does_not_reach(company: Company) -> None:
    leave = company.leave
    not_valid = ["This value is not valid."]
    moment = "2100-01-01T00:00:00Z"
    item = {"name": "x", "entitlementUnit": "DAYS", "quantity": 1, "leaveType": 8}
    for name in ("east", "root"):
        region = company.regions[name]
        for path, sent in (
            ("/leave-types", {"name": "x"}),
            ("/leave-policies", {"name": "x", "effectiveStartDate": moment}),
            ("/leave-policy-items", item),
            ("/employees", {"firstName": "A", "lastName": "B"}),
        ):
            refused = await leave.refused("POST", path, {**sent, "region": region}, token=company.west)
            assert refused == {"region": not_valid}
        refused = await leave.refused("POST", "/regions", {"name": "x", "parent": region}, token=company.west)
        assert refused == {"parent": not_valid}
        moved = {"region": region}
        employee = f"/employees/{company.employees['west']}"
        assert await leave.refused("PATCH", employee, moved, token=company.west) == {"region": not_valid}


async def test_an_item_has_a_type_of_its_region_or_of_one_above(company: Company) -> None:
    def item(region: str, leave_type: str) -> dict[str, Any]:
        return {
            "name": f"{region} {leave_type}",
            "entitlementUnit": "DAYS",
            "quantity": 1,
            "region": company.regions[region],
            "leaveType": company.types[leave_type],
        }

    for region, leave_type in (("far", "west"), ("far", "root"), ("west", "west")):
        assert await company.leave.post("/leave-policy-items", item(region, leave_type))
    for region, leave_type in (("west", "far"), ("west", "east")):
        refused = await company.leave.refused("POST", "/leave-policy-items", item(region, leave_type))
        assert refused == {"leaveType": ["This value is not valid."]}


async def test_a_policy_has_items_of_its_region_or_of_one_above(company: Company) -> None:
    path = f"/leave-policies/{company.policies['west']}/actions/assign-leave-policy-items"
    for beside in ("far", "east"):
        body = {"leavePolicyItemsIds": [company.items["root"], company.items[beside]]}
        assert await company.leave.refused("POST", path, body) == {
            "assign-leave-policy-items": ["Unable to assign all selected leave policy items."]
        }
    linked = await company.leave.post(
        path + "?include=leavePolicyItems", {"leavePolicyItemsIds": [company.items["root"]]}
    )
    assert ids(linked["leavePolicyItems"]) == of(company.items, "west", "root")


async def test_an_included_record_that_is_out_of_sight_stays_an_id_and_is_in_no_list(
    company: Company,
) -> None:
    leave = company.leave
    west = await leave.get(f"/leave-policies/{company.policies['west']}?include=region", token=company.far)
    assert west["region"] == company.regions["west"]
    far = await leave.get("/regions?include=parent", token=company.far)
    assert [region["parent"] for region in far] == [company.regions["west"]]
    somebody = await leave.employee(region=company.regions["far"])
    await leave.assign(company.policies["west"], somebody)
    seen = await leave.get(f"/leave-policies/{company.policies['west']}?include=employees", token=company.far)
    assert ids(seen["employees"]) == {somebody}


async def test_a_region_is_below_the_callers_unless_it_says_where(company: Company) -> None:
    created = await company.leave.post("/regions", {"name": "New"}, token=company.west)
    assert created["parent"] == company.regions["west"]
    assert created["id"] in ids(await company.leave.get("/regions", token=company.west))


async def test_a_region_takes_the_zone_of_the_nearest_one_above(company: Company) -> None:
    leave = company.leave
    denver = await leave.region("Denver", timeZone="America/Denver")
    below = await leave.region("Below Denver", parent=denver)
    zone = "SELECT region_zone($1)"
    assert await leave.context.pool.fetchval(zone, below) == "America/Denver"
    assert await leave.context.pool.fetchval(zone, company.regions["west"]) is None
    for wrong in ("Mars/Olympus", "localtime", "EST5", "", "../etc/passwd"):
        refused = await leave.refused("POST", "/regions", {"name": "x", "timeZone": wrong})
        assert list(refused) == ["timeZone"]


async def test_a_region_never_moves(company: Company) -> None:
    """Its paths, on which all that is seen stands, are written once."""
    with pytest.raises(asyncpg.RaiseError, match="keeps its id and its parent"):
        await company.leave.context.pool.execute(
            "UPDATE regions SET parent = 1 WHERE id = $1", company.regions["far"]
        )


async def test_who_has_moved_out_of_sight_is_not_taken_off_a_policy(database_url: str) -> None:
    async with served(database_url) as leave:
        west, east = await leave.region("West"), await leave.region("East")
        policy, employee = await leave.policy(region=west), await leave.employee(region=west)
        await leave.assign(policy, employee)
        await leave.patch(f"/employees/{employee}", {"region": east})
        token = await leave.account("west", west)
        path = f"/leave-policies/{policy}/actions/unassign-employees"
        said = "Only 0 employees have been assigned to this policy, please verify employees first."
        refused = await leave.refused("POST", path, {"employeesIds": [employee]}, token=token)
        assert refused == {"unassign-employees": [said]}
        [entry] = await leave.get("/employee-leave-policies")
        assert entry["endedOn"] is None

"""Balances: who sees them, which period a date is in, what a new period grants, what update-balance sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from tests.support.leave import Leave, served
from tests.support.leave_balances import SICK, SOMEBODY, VACATION, ask, employed, journal, left

from timeoff_leave import bulk
from timeoff_leave.balances import balances_of


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as service:
        yield service


async def update(leave: Leave, policy: int, status: int = 200, **fields: Any) -> Any:
    body = {"employee": SOMEBODY, "leaveType": VACATION, "days": 1, **fields}
    path = f"/leave-policies/{policy}/actions/update-balance"
    if status != 200:
        return await leave.refused("POST", path, body, status)
    return await leave.post(path, body)


# -- update-balance -----------------------------------------------------------------------------------


async def test_update_balance_says_what_is_wrong_and_posts_nothing(leave: Leave) -> None:
    policy = await employed(leave)
    other = await leave.policy(items=[await leave.item()])
    before = await journal(leave)
    not_on = {"update-balance": ["Employee is not assigned to this leave policy."]}
    assert await update(leave, other, 400) == not_on
    assert await update(leave, policy, 400, employee=await leave.employee()) == not_on
    assert await update(leave, policy, 400, employee=999_999) == not_on
    not_in = {"update-balance": ["Leave type is not part of this leave policy."]}
    assert await update(leave, policy, 400, leaveType=SICK) == not_in
    assert await update(leave, policy, 400, leaveType=999) == not_in
    nothing = {"update-balance": ["Days or hours must be entered."]}
    assert await update(leave, policy, 400, days=None, hours=None) == nothing
    blank = "This value should not be blank."
    assert await update(leave, policy, 400, employee=None, leaveType=None) == {
        "employee": [blank],
        "leaveType": [blank],
    }
    assert await update(leave, policy, 400, days="1") == {"days": ["This value should be of type number."]}
    too_much = {"days": ["This value should be less than or equal to 1000000."]}
    assert await update(leave, policy, 400, days=1_000_001) == too_much
    assert list(await update(leave, policy, 400, description="x" * 300)) == ["description"]
    assert await update(leave, 4711, 404) == {"leave-policies": ["Leave policy not found."]}
    assert await journal(leave) == before


@pytest.mark.parametrize(
    ("days", "hours", "total"),
    [
        (2.5, None, "2.5"),
        (-3, 0, "-3"),
        (None, 6, "0.75"),
        (1, -12, "-0.5"),
        (0, 0, "0"),
        (0.3333, None, "0.3333"),
    ],
)
async def test_a_total_may_be_a_fraction_or_a_debt(leave: Leave, days: Any, hours: Any, total: str) -> None:
    await update(leave, await employed(leave), days=days, hours=hours)
    assert await left(leave) == {"2023-01-01": (Decimal(total), Decimal(total))}


async def test_hours_are_measured_by_the_policys_day(leave: Leave) -> None:
    """37.5 hours of 7.5 are five days; a third of a day is rounded where it is shown, and not before."""
    policy = await employed(leave, policy={"payHoursPerDay": 7.5})
    await update(leave, policy, days=0, hours=37.5)
    assert (await left(leave))["2023-01-01"] == (5, 5)
    await update(leave, policy, days=0, hours=2.5)
    assert (await left(leave))["2023-01-01"] == (Decimal("0.3333"), Decimal("0.3333"))
    await ask(leave, "2023-05-01", days=[{"date": "2023-05-01", "minutes": 150}], status="APPROVED")
    assert (await left(leave))["2023-01-01"] == (0, 0)


async def test_each_total_replaces_the_one_before_and_touches_nothing_else(leave: Leave) -> None:
    policy = await employed(leave)
    sick = await leave.item(leaveType=SICK, quantity=10)
    await leave.post(
        f"/leave-policies/{policy}/actions/assign-leave-policy-items", {"leavePolicyItemsIds": [sick]}
    )
    neighbour = await leave.employee()
    await leave.assign(policy, neighbour)
    for days in (7, 7, 2):
        await update(leave, policy, days=days)
        assert await left(leave) == {"2023-01-01": (days, days)}
    assert await left(leave, leave_type=SICK) == {"2023-01-01": (10, 10)}
    assert await left(leave, neighbour) == {"2023-01-01": (18, 18)}


async def test_a_tenant_may_have_update_balance_write_the_next_period(database_url: str) -> None:
    async with served(database_url, update_balance_period="next") as leave:
        policy = await employed(leave, quantity=3)
        await update(leave, policy, days=1)
        assert await left(leave) == {"2023-01-01": (3, 3), "2024-01-01": (1, 1)}
        await update(leave, policy, days=2)
        assert await left(leave) == {"2023-01-01": (3, 3), "2024-01-01": (2, 2)}


# -- new periods --------------------------------------------------------------------------------------


async def test_the_first_read_of_a_new_year_grants_and_carries_over_once(leave: Leave) -> None:
    await employed(leave, carryOver=True, carryOverLimit=5)
    await ask(leave, "2023-05-01", "2023-05-02", status="APPROVED")
    await leave.turn("2024-01-02T12:00")
    expected = {"2023-01-01": (16, 16), "2024-01-01": (23, 23)}
    assert await left(leave) == expected
    posted = await journal(leave)
    assert await left(leave) == expected
    assert await journal(leave) == posted


async def test_first_needs_that_come_at_once_grant_once(leave: Leave) -> None:
    policy = await employed(leave, carryOver=True, carryOverLimit=5)
    await leave.turn("2024-01-02T12:00")
    await asyncio.gather(
        *(left(leave) for _ in range(6)),
        update(leave, policy, days=9),
        ask(leave, "2024-03-01"),
        ask(leave, "2024-03-02"),
    )
    kinds = [kind for kind, start, *_ in await journal(leave) if start == "2024-01-01"]
    assert (kinds.count("grant"), kinds.count("carry_over")) == (1, 1)
    assert (await left(leave))["2024-01-01"] == (9, 7)


async def test_a_read_of_everybodys_balances_opens_nothing(leave: Leave) -> None:
    await employed(leave)
    await leave.turn("2024-01-02T12:00")
    assert [row["periodId"] for row in await leave.get("/leave-balances")] == ["2023-01-01-12"]
    assert [row["periodId"] for row in await leave.get(f"/leave-balances?employee:in=7,{SOMEBODY}")] == [
        "2023-01-01-12",
        "2024-01-01-12",
    ]


async def test_who_has_left_gets_no_new_period(leave: Leave) -> None:
    await employed(leave)
    await leave.patch(f"/employees/{SOMEBODY}", {"status": "TERMINATED"})
    await leave.turn("2024-01-02T12:00")
    assert list(await left(leave)) == ["2023-01-01"]


async def test_hours_of_an_item_become_days_and_so_does_its_limit(leave: Leave) -> None:
    await employed(leave, entitlementUnit="HOURS", quantity=100, carryOver=True, carryOverLimit=20)
    assert await left(leave) == {"2023-01-01": (Decimal("12.5"), Decimal("12.5"))}
    await leave.turn("2024-01-02T12:00")
    assert (await left(leave))["2024-01-01"] == (15, 15)


async def test_an_accrual_rate_grants_nothing_by_itself(leave: Leave) -> None:
    await employed(leave, accrualRate=1.5, quantity=None)
    assert await left(leave) == {"2023-01-01": (0, 0)}


async def test_periods_follow_the_reset_month_the_resets_and_the_zone_of_the_region(leave: Leave) -> None:
    """In Newfoundland, half an hour off, on the last evening before the reset in April."""
    st_johns = await leave.region("Newfoundland", timeZone="America/St_Johns")
    below = await leave.region("St. John's", parent=st_johns)
    await leave.turn("2023-04-01T02:29")
    policy = {"balanceResetReferenceMonth": "APRIL", "balanceResetsPerYear": 2}
    await employed(leave, region=below, policy=policy)
    await leave.turn("2023-04-01T02:30")
    old, new = await leave.get(f"/leave-balances?employee={SOMEBODY}")
    assert old["id"] == f"{SOMEBODY}-{VACATION}-2022-10-01"
    assert old["periodId"] == "2022-10-01-6"
    assert old["timeZone"] == "America/St_Johns"
    assert old["periodStartDateTime"] == "2022-10-01T00:00:00-02:30"
    assert old["periodEndDateTime"] == new["periodStartDateTime"] == "2023-04-01T00:00:00-02:30"
    assert new["periodEndDateTime"] == "2023-10-01T00:00:00-02:30"


async def test_an_item_that_is_linked_later_has_its_balance_at_the_next_read(leave: Leave) -> None:
    policy = await employed(leave)
    sick = await leave.item(leaveType=SICK, quantity=10)
    await leave.post(
        f"/leave-policies/{policy}/actions/assign-leave-policy-items", {"leavePolicyItemsIds": [sick]}
    )
    assert await left(leave, leave_type=SICK) == {"2023-01-01": (10, 10)}
    await leave.post(
        f"/leave-policies/{policy}/actions/unassign-leave-policy-items", {"leavePolicyItemsIds": [sick]}
    )
    await leave.turn("2024-01-02T12:00")
    assert await left(leave, leave_type=SICK) == {"2023-01-01": (10, 10)}, "kept, and not granted again"
    assert len(await left(leave)) == 2


async def test_being_assigned_again_does_not_grant_again(leave: Leave) -> None:
    """Neither on the same policy nor on another; what is left stays, until update-balance says otherwise."""
    policy = await employed(leave)
    await ask(leave, "2023-05-01", status="APPROVED")
    employees = {"employeesIds": [SOMEBODY]}
    await leave.post(f"/leave-policies/{policy}/actions/unassign-employees", employees)
    await leave.assign(policy, SOMEBODY)
    assert await left(leave) == {"2023-01-01": (17, 17)}
    await leave.post(f"/leave-policies/{policy}/actions/unassign-employees", employees)
    await leave.assign(await leave.policy(items=[await leave.item(quantity=30)]), SOMEBODY)
    assert await left(leave) == {"2023-01-01": (17, 17)}
    await leave.turn("2024-01-02T12:00")
    assert (await left(leave))["2024-01-01"] == (30, 30)


async def test_a_change_to_other_periods_leaves_one_record_for_each_date(leave: Leave) -> None:
    halves = await employed(leave, policy={"balanceResetsPerYear": 2})
    await leave.post(f"/leave-policies/{halves}/actions/unassign-employees", {"employeesIds": [SOMEBODY]})
    await leave.assign(await leave.policy(items=[await leave.item(quantity=30)]), SOMEBODY)
    await ask(leave, "2023-06-30", "2023-07-01", status="APPROVED")
    rows = await leave.get(f"/leave-balances?employee={SOMEBODY}")
    assert [(row["periodId"], row["balanceDays"]) for row in rows] == [
        ("2023-01-01-6", 17),
        ("2023-07-01-6", 29),
    ]
    await leave.turn("2024-01-02T12:00")
    rows = await leave.get(f"/leave-balances?employee={SOMEBODY}")
    assert rows[-1]["periodId"] == "2024-01-01-12"


# -- reading ------------------------------------------------------------------------------------------


async def test_a_region_sees_the_balances_of_its_own_people(leave: Leave) -> None:
    west, east = await leave.region("West"), await leave.region("East")
    await employed(leave, region=west)
    policy = await employed(leave, 1441, region=east)
    token = await leave.account("west", west)
    assert [row["employee"] for row in await leave.get("/leave-balances", token=token)] == [SOMEBODY]
    assert await leave.get("/leave-balances?employee=1441", token=token) == []
    assert [row["employee"] for row in await leave.get("/leave-balances")] == [SOMEBODY, 1441]
    body = {"employee": 1441, "leaveType": VACATION, "days": 1}
    path = f"/leave-policies/{policy}/actions/update-balance"
    assert await leave.refused("POST", path, body, token=token) == {
        "update-balance": ["Employee is not assigned to this leave policy."]
    }
    assert await left(leave, 1441) == {"2023-01-01": (18, 18)}


async def test_a_read_of_somebody_out_of_sight_opens_nothing(leave: Leave) -> None:
    west, east = await leave.region("West"), await leave.region("East")
    await employed(leave, region=east)
    await leave.turn("2024-01-02T12:00")
    token = await leave.account("west", west)
    before = await journal(leave)
    assert await leave.get(f"/leave-balances?employee={SOMEBODY}", token=token) == []
    assert await balances_of(leave.context, west, SOMEBODY) == []
    assert await journal(leave) == before


async def test_balances_are_filtered_sorted_paged_and_picked_like_every_list(leave: Leave) -> None:
    policy = await employed(leave)
    await leave.assign(policy, await leave.employee(1405))
    await leave.turn("2024-01-02T12:00")
    query = f"/leave-balances?employee:in={SOMEBODY},1405"
    everything = [f"{employee}-10-{year}-01-01" for employee in (SOMEBODY, 1405) for year in (2023, 2024)]

    async def ids(more: str = "") -> list[str]:
        return [row["id"] for row in await leave.get(query + more)]

    assert await ids() == everything
    assert await ids("&limit=2&offset=1") == everything[1:3]
    assert await ids("&sort=-periodId,employee") == [everything[n] for n in (1, 3, 0, 2)]
    assert await ids(f"&leaveType={SICK}") == []
    assert await ids("&periodStartDateTime:after=2023-06-30") == [everything[1], everything[3]]
    assert await ids("&periodEndDateTime:lte=2024-01-01T00:00:00") == [everything[0], everything[2]]
    await ask(leave, "2024-03-01", status="APPROVED")
    assert await ids("&balanceDays:lt=18") == [everything[1]]
    assert await leave.get(query + "&fields=employee,balanceDays:left&limit=1") == [
        {"employee": SOMEBODY, "left": 18}
    ]
    (row,) = await leave.get(query + "&include=employee,leaveType&limit=1")
    assert (row["employee"]["id"], row["leaveType"]["name"]) == (SOMEBODY, "Vacation")
    for unknown in ("date=2023-05-01", "timeZone=America/New_York", "sort=timeZone"):
        await leave.refused("GET", f"/leave-balances?{unknown}")


async def test_an_envelope_counts_all_balances(database_url: str) -> None:
    async with served(database_url, envelope=True) as leave:
        answer = await leave.get("/leave-balances?employee=4711")
        assert (answer["meta"]["count"], answer["data"]) == (0, [])


async def test_a_reader_reads_balances_and_sets_none(leave: Leave) -> None:
    policy = await employed(leave)
    token = await leave.account("reader", 1, role="READER")
    assert len(await leave.get(f"/leave-balances?employee={SOMEBODY}", token=token)) == 1
    body = {"employee": SOMEBODY, "leaveType": VACATION, "days": 1}
    await leave.refused(
        "POST", f"/leave-policies/{policy}/actions/update-balance", body, status=403, token=token
    )


async def test_a_page_gets_an_employees_balances_with_their_types(leave: Leave) -> None:
    await employed(leave)
    await leave.turn("2024-01-02T12:00")
    rows = await balances_of(leave.context, 1, SOMEBODY)
    assert [(row["periodId"], row["leaveType"]["name"]) for row in rows] == [
        ("2024-01-01-12", "Vacation"),
        ("2023-01-01-12", "Vacation"),
    ]


# -- since when something is given --------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 5])
async def test_an_item_that_is_added_later_gives_nothing_for_the_years_before(
    database_url: str, limit: int | None
) -> None:
    async with served(database_url) as leave:
        policy = await employed(leave, leaveType=SICK)
        await leave.turn("2025-06-01T12:00")
        item = await leave.item(carryOver=True, carryOverLimit=limit)
        link = f"/leave-policies/{policy}/actions/assign-leave-policy-items"
        await leave.post(link, {"leavePolicyItemsIds": [item]})
        assert await left(leave) == {"2025-01-01": (18, 18)}
        await leave.turn("2026-02-01T12:00")
        assert (await left(leave))["2026-01-01"] == (18 + (limit or 18), 18 + (limit or 18))


@pytest.mark.parametrize("by_file", [False, True], ids=["api", "file"])
async def test_years_of_absence_give_nothing_to_who_comes_back(database_url: str, by_file: bool) -> None:
    async with served(database_url) as leave:
        await employed(leave, carryOver=True)
        await leave.patch(f"/employees/{SOMEBODY}", {"customId": "E", "status": "TERMINATED"})
        await leave.turn("2026-06-01T12:00")
        if by_file:
            file = [b"customId,firstName,lastName,region\n", b"E,Kaylee,Frye,1\n"]
            await bulk.store_employees(leave.context, bulk.read_employees(file, {1}))
        else:
            await leave.patch(f"/employees/{SOMEBODY}", {"status": "ACTIVE"})
        assert await left(leave) == {"2023-01-01": (18, 18), "2026-01-01": (18, 18)}


async def test_a_year_that_was_opened_between_two_policies_is_granted_all_the_same(database_url: str) -> None:
    async with served(database_url) as leave:
        policy = await employed(leave)
        request = await ask(leave, "2023-12-20")
        off = f"/leave-policies/{policy}/actions/unassign-employees"
        await leave.post(off, {"employeesIds": [SOMEBODY]})
        dates = {"startDate": "2024-01-10", "endDate": "2024-01-10"}
        await leave.patch(f"/leave-requests/{request['id']}", dates)
        assert await left(leave) == {"2023-01-01": (18, 18), "2024-01-01": (0, -1)}
        await leave.assign(policy, SOMEBODY)
        await leave.turn("2024-02-01T12:00")
        for _ in range(2):
            assert await left(leave) == {"2023-01-01": (18, 18), "2024-01-01": (18, 17)}

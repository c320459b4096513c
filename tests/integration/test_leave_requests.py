"""Leave requests: what a record holds, what is refused in which words, where days are taken and returned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from tests.support.leave import Leave, served
from tests.support.leave_balances import SICK, SOMEBODY, VACATION, act, ask, employed, journal, left

BODY = {"employee": SOMEBODY, "leaveType": VACATION, "startDate": "2023-05-01", "endDate": "2023-05-02"}
OVERLAP = {"leave-requests": ["The request overlaps another leave request."]}


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as service:
        yield service


async def refused(leave: Leave, **changes: Any) -> Any:
    """What is said to a create of `BODY` with these changes."""
    return await leave.refused("POST", "/leave-requests", {**BODY, **changes})


async def link(leave: Leave, policy: int, **item: Any) -> None:
    body = {"leavePolicyItemsIds": [await leave.item(**item)]}
    await leave.post(f"/leave-policies/{policy}/actions/assign-leave-policy-items", body)


async def unassign(leave: Leave, policy: int) -> None:
    await leave.post(f"/leave-policies/{policy}/actions/unassign-employees", {"employeesIds": [SOMEBODY]})


def part(on: str, minutes: Any) -> dict[str, Any]:
    return {"date": on, "minutes": minutes}


# -- the record ---------------------------------------------------------------------------------------


async def test_a_record_holds_what_was_sent_and_what_the_service_knows(leave: Leave) -> None:
    policy = await employed(leave)
    created = await leave.post("/leave-requests", {**BODY, "createdBy": "unknown fields are ignored"})
    assert created == {
        "id": created["id"],
        "customId": None,
        "employee": SOMEBODY,
        "leaveType": VACATION,
        "leavePolicy": policy,
        "status": "PENDING",
        "startDate": "2023-05-01",
        "endDate": "2023-05-02",
        "startDateTime": None,
        "days": [part("2023-05-01", 480), part("2023-05-02", 480)],
        "totalDays": 2,
        "reason": None,
        "timeZone": "America/New_York",
        "createdOn": "2023-03-26T12:00:00+00:00",
        "updatedOn": "2023-03-26T12:00:00+00:00",
    }
    assert await leave.get(f"/leave-requests/{created['id']}") == created
    included = await leave.get(f"/leave-requests/{created['id']}?include=leaveType,employee")
    assert included["leaveType"]["name"] == "Vacation"
    assert included["employee"]["id"] == SOMEBODY


async def test_a_part_of_a_day_has_a_start_and_its_minutes(leave: Leave) -> None:
    await employed(leave, policy={"payHoursPerDay": 7.5})
    days = [part("2023-05-02", 150), part("2023-05-01", 450)]
    created = await ask(
        leave, "2023-05-01", "2023-05-03", days=days, startDateTime="2023-05-02T13:30:00", customId="a/1"
    )
    assert created["days"] == days[::-1]
    assert created["startDateTime"] == "2023-05-02T13:30:00"
    assert created["totalDays"] == Decimal("1.3333")
    assert created["customId"] == "a/1"
    whole = await ask(leave, "2023-06-01", "2023-06-02")
    assert (whole["days"][0]["minutes"], whole["totalDays"]) == (450, 2)


async def test_each_wrong_value_is_named_by_its_field(leave: Leave) -> None:
    await employed(leave)
    no_date = "This value should be a date, e.g. 2026-12-01."
    no_choice = "The value you selected is not a valid choice."
    blank = "This value should not be blank."
    outside = ["Each date should be between startDate and endDate."]
    for changes, expected in (
        ({"endDate": "2023-03-26", "startDate": "2023-03-27"}, "end"),
        ({"startDate": "2023-02-29"}, {"startDate": [no_date]}),
        ({"endDate": "2023-5-1"}, {"endDate": [no_date]}),
        (
            {"startDate": "0001-01-01"},
            {"startDate": ["This value should be between 2000-01-01 and 2100-12-31."]},
        ),
        ({"endDate": "2025-05-01"}, {"endDate": ["This value should be less than or equal to 2025-04-30."]}),
        ({"endDate": "9999-12-31"}, {"endDate": ["This value should be less than or equal to 2025-04-30."]}),
        ({"employee": None, "leaveType": None}, {"employee": [blank], "leaveType": [blank]}),
        ({"employee": 999_999}, {"employee": ["This value is not valid."]}),
        ({"status": "DECLINED"}, {"status": [no_choice]}),
        ({"status": "CANCELLED"}, {"status": [no_choice]}),
        ({"customId": "x" * 65}, ["customId"]),
        ({"reason": "x" * 256}, ["reason"]),
        ({"reason": 7}, {"reason": ["This value should be of type string."]}),
        ({"days": []}, {"days": [blank]}),
        ({"days": [part("2023-05-03", 60)]}, {"days": outside}),
        (
            {"days": [part("2023-05-01", 60)] * 2},
            {"days": ["This collection should contain only unique elements."]},
        ),
        (
            {"days": [part("2023-05-01", 1441)]},
            {"days": ["This value should be less than or equal to 1440."]},
        ),
        ({"days": [part("2023-05-01", -1)]}, {"days": ["This value should be greater than or equal to 0."]}),
        ({"days": [part("2023-05-01", "60")]}, {"days": ["This value should be of type number."]}),
        ({"days": "2023-05-01"}, {"days": ["This value should be of type array."]}),
        (
            {"startDateTime": "2023-05-01T09:00:00"},
            {"startDateTime": ["This value should be blank for whole days."]},
        ),
        (
            {"startDateTime": "2023-05-02T09:00:00", "days": [part("2023-05-01", 60)]},
            {"startDateTime": ["This value should be on one of the days."]},
        ),
        ({"startDateTime": "2023-05-01T09:00:00Z", "days": [part("2023-05-01", 60)]}, ["startDateTime"]),
    ):
        said = await refused(leave, **changes)
        if expected == "end":
            assert said == {
                "endDate": ["This value should be greater than or equal to Mar 27, 2023, 12:00 AM."]
            }
        elif isinstance(expected, list):
            assert list(said) == expected, changes
        else:
            assert said == expected, changes
    assert await leave.get("/leave-requests") == []
    assert [kind for kind, *_ in await journal(leave)] == ["grant"]


async def test_only_somebody_on_a_policy_of_the_type_can_ask(leave: Leave) -> None:
    await leave.employee(SOMEBODY)
    not_assigned = {"leave-requests": ["Employee is not assigned to a leave policy."]}
    assert await refused(leave) == not_assigned
    policy = await leave.policy(items=[await leave.item()])
    await leave.assign(policy, SOMEBODY)
    not_part = {"leave-requests": ["Leave type is not part of the employee's leave policy."]}
    assert await refused(leave, leaveType=SICK) == not_part
    assert await refused(leave, leaveType=999) == not_part
    await leave.patch(f"/employees/{SOMEBODY}", {"status": "TERMINATED"})
    assert await refused(leave) == {"leave-requests": ["Employee is terminated."]}
    await unassign(leave, policy)
    await leave.patch(f"/employees/{SOMEBODY}", {"status": "ACTIVE"})
    assert await refused(leave) == not_assigned


# -- overlap ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["PENDING", "APPROVED"])
async def test_a_date_is_asked_for_once(leave: Leave, status: str) -> None:
    await employed(leave)
    first = await ask(leave, "2023-05-02", "2023-05-04", status=status)
    for start, end in (
        ("2023-05-01", "2023-05-02"),
        ("2023-05-04", "2023-05-09"),
        ("2023-05-01", "2023-05-09"),
    ):
        assert await refused(leave, startDate=start, endDate=end) == OVERLAP
    assert await refused(leave, startDate="2023-05-03", endDate="2023-05-03") == OVERLAP
    await ask(leave, "2023-05-05")
    # Dates between that the other does not have are free, and so are those of somebody else.
    gap = [part("2023-05-01", 480), part("2023-05-06", 480)]
    await ask(leave, "2023-05-01", "2023-05-06", days=gap)
    policy = (await leave.get("/leave-policies"))[0]["id"]
    await leave.assign(policy, await leave.employee(1441))
    await leave.post("/leave-requests", {**BODY, "employee": 1441})
    await act(leave, first["id"], "cancel")
    await ask(leave, "2023-05-02", "2023-05-04")


async def test_parts_of_a_day_share_it_up_to_a_full_day(leave: Leave) -> None:
    await employed(leave)
    await ask(leave, "2023-05-01", days=[part("2023-05-01", 240)])
    assert await refused(leave, endDate="2023-05-01", days=[part("2023-05-01", 241)]) == OVERLAP
    assert await refused(leave, endDate="2023-05-01") == OVERLAP
    second = await ask(leave, "2023-05-01", days=[part("2023-05-01", 200)])
    await ask(leave, "2023-05-01", days=[part("2023-05-01", 40)])
    assert await refused(leave, endDate="2023-05-01", days=[part("2023-05-01", 1)]) == OVERLAP
    # A change does not clash with the request itself, but with the others.
    path = f"/leave-requests/{second['id']}"
    await leave.patch(path, {"days": [part("2023-05-01", 100)]})
    assert await leave.refused("PATCH", path, {"days": [part("2023-05-01", 201)]}) == OVERLAP
    assert await leave.refused("PATCH", path, {"days": None}) == OVERLAP
    assert (await left(leave))["2023-01-01"] == (18, Decimal("17.2083"))


async def test_a_declined_request_is_not_approved_over_another_one(leave: Leave) -> None:
    await employed(leave)
    declined = await ask(leave, "2023-05-01")
    await act(leave, declined["id"], "decline")
    other = await ask(leave, "2023-05-01")
    said = await leave.refused("POST", f"/leave-requests/{declined['id']}/actions/approve")
    assert said == OVERLAP
    await act(leave, other["id"], "cancel")
    assert (await act(leave, declined["id"], "approve"))["status"] == "APPROVED"
    assert (await left(leave))["2023-01-01"] == (17, 17)


# -- actions ------------------------------------------------------------------------------------------


async def test_an_action_whose_status_holds_changes_nothing_and_any_other_move_is_refused(
    leave: Leave,
) -> None:
    await employed(leave)
    records = {}
    for number, action in enumerate(("approve", "decline", "cancel"), 1):
        request = await ask(leave, f"2023-05-0{number}", reason="first")
        records[action] = await act(leave, request["id"], action, {"reason": "because"})
    posted = await journal(leave)
    await leave.turn("2023-03-27T12:00")
    for action, record in records.items():
        assert await act(leave, record["id"], action, {"reason": "again"}) == record
    for action, done, message in (
        ("approve", "cancel", "A cancelled leave request cannot be approved."),
        ("decline", "cancel", "A cancelled leave request cannot be declined."),
        ("cancel", "decline", "A declined leave request cannot be cancelled."),
    ):
        path = f"/leave-requests/{records[done]['id']}/actions/{action}"
        assert await leave.refused("POST", path) == {action: [message]}
    assert [record["reason"] for record in records.values()] == ["first", "because", "because"]
    assert await journal(leave) == posted
    await leave.refused("POST", "/leave-requests/4711/actions/cancel", status=404)


async def test_every_undo_is_a_posting_of_its_own(leave: Leave) -> None:
    await employed(leave)
    request = await ask(leave, "2023-05-01")
    for action in ("approve", "decline", "approve", "cancel"):
        await act(leave, request["id"], action)
    assert (await journal(leave))[1:] == [
        ("take", "2023-01-01", -1, True),
        ("return", "2023-01-01", 1, True),
        ("take", "2023-01-01", -1, False),
        ("return", "2023-01-01", 1, False),
        ("take", "2023-01-01", -1, False),
        ("return", "2023-01-01", 1, False),
    ]


async def test_a_custom_id_is_used_once_and_for_ever(leave: Leave) -> None:
    policy = await employed(leave)
    await leave.assign(policy, await leave.employee(1441))
    used = {"customId": ["This value is already used."]}
    request = await ask(leave, "2023-05-01", customId="R-1/1")
    # The same create again, the key for something else, in other letters, for somebody else.
    assert await refused(leave, endDate="2023-05-01", customId="R-1/1") == used
    assert await refused(leave, startDate="2023-07-01", endDate="2023-07-01", customId="r-1/1") == used
    assert await refused(leave, employee=1441, customId="R-1/1") == used
    await act(leave, request["id"], "cancel")
    assert await refused(leave, endDate="2023-05-01", customId="R-1/1") == used
    (found,) = await leave.get("/leave-requests?customId=R-1/1")
    assert found["status"] == "CANCELLED"
    assert (await ask(leave, "2023-05-01", customId="R-1/2"))["status"] == "PENDING"


# -- PATCH --------------------------------------------------------------------------------------------


async def test_a_change_ignores_whose_it_is_its_key_and_its_status(leave: Leave) -> None:
    await employed(leave)
    before = await ask(leave, "2023-05-01", customId="a/1", reason="old")
    posted = await journal(leave)
    sent = {"employee": 1441, "customId": "b/1", "status": "CANCELLED", "reason": "new", "totalDays": 9}
    await leave.turn("2023-03-27T12:00")
    after = await leave.patch(f"/leave-requests/{before['id']}", sent)
    assert after == {**before, "reason": "new", "updatedOn": "2023-03-27T12:00:00+00:00"}
    assert await journal(leave) == posted
    assert await leave.get(f"/leave-requests/{before['id']}") == after


async def test_whole_days_follow_the_range_and_named_days_stay(leave: Leave) -> None:
    await employed(leave)
    path = f"/leave-requests/{(await ask(leave, '2023-05-01'))['id']}"
    moved = await leave.patch(path, {"startDate": "2023-06-01", "endDate": "2023-06-03"})
    assert moved["totalDays"] == 3
    named = await leave.patch(
        path, {"days": [part("2023-06-02", 60)], "startDateTime": "2023-06-02T09:00:00"}
    )
    assert named["totalDays"] == Decimal("0.125")
    assert (await leave.patch(path, {"endDate": "2023-06-09"}))["days"] == named["days"]
    assert list(await leave.refused("PATCH", path, {"startDate": "2023-06-03"})) == ["days"]
    assert list(await leave.refused("PATCH", path, {"days": None})) == ["startDateTime"]
    whole = await leave.patch(path, {"days": None, "startDateTime": None, "endDate": "2023-06-01"})
    assert (whole["days"], whole["startDateTime"]) == ([part("2023-06-01", 480)], None)
    assert list(await leave.refused("PATCH", path, {"endDate": "2023-05-31"})) == ["endDate"]
    assert list(await leave.refused("PATCH", path, {"startDate": None})) == ["startDate"]
    assert (await left(leave))["2023-01-01"] == (18, 17)


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_what_is_over_is_not_changed(leave: Leave, action: str) -> None:
    await employed(leave)
    request = await ask(leave, "2023-05-01")
    over = await act(leave, request["id"], action)
    said = await leave.refused("PATCH", f"/leave-requests/{request['id']}", {"endDate": "2023-05-02"})
    assert said == {"leave-requests": [f"A {over['status'].lower()} leave request cannot be changed."]}
    await leave.refused("PATCH", "/leave-requests/4711", {"endDate": "2023-05-02"}, status=404)


async def test_a_change_of_type_moves_the_days_to_its_balance(leave: Leave) -> None:
    policy = await employed(leave)
    await link(leave, policy, leaveType=SICK, quantity=10)
    request = await ask(leave, "2023-05-01", "2023-05-02", status="APPROVED")
    path = f"/leave-requests/{request['id']}"
    assert (await leave.patch(path, {"leaveType": SICK}))["leaveType"] == SICK
    assert await left(leave) == {"2023-01-01": (18, 18)}
    assert await left(leave, leave_type=SICK) == {"2023-01-01": (8, 8)}
    said = await leave.refused("PATCH", path, {"leaveType": 1})
    assert said == {"leave-requests": ["Leave type is not part of the employee's leave policy."]}
    await act(leave, request["id"], "cancel")
    assert await left(leave, leave_type=SICK) == {"2023-01-01": (10, 10)}


# -- where days are taken and returned -------------------------------------------------------------------


@pytest.mark.parametrize("status", ["PENDING", "APPROVED"])
async def test_a_request_across_new_year_takes_from_both_years(leave: Leave, status: str) -> None:
    await employed(leave)
    request = await ask(leave, "2023-12-30", "2024-01-03", status=status)
    counted = [tuple(row) for row in (await left(leave)).values()]
    assert counted == ([(18, 16), (18, 15)] if status == "PENDING" else [(16, 16), (15, 15)])
    await leave.patch(
        f"/leave-requests/{request['id']}", {"startDate": "2024-01-02", "endDate": "2024-01-05"}
    )
    counted = [tuple(row) for row in (await left(leave)).values()]
    assert counted == ([(18, 18), (18, 14)] if status == "PENDING" else [(18, 18), (14, 14)])
    await act(leave, request["id"], "cancel")
    assert [tuple(row) for row in (await left(leave)).values()] == [(18, 18), (18, 18)]


async def test_days_return_to_where_they_were_taken_whatever_happened_between(leave: Leave) -> None:
    """The employee changes the policy and with it the length of a day; the type is archived."""
    hours = await employed(
        leave,
        entitlementUnit="HOURS",
        quantity=150,
        policy={"payHoursPerDay": 7.5, "balanceResetsPerYear": 2},
    )
    request = await ask(
        leave, "2023-06-30", "2023-07-01", days=[part("2023-06-30", 150), part("2023-07-01", 450)]
    )
    await act(leave, request["id"], "approve")
    expected = {"2023-01-01": (Decimal("19.6667"),) * 2, "2023-07-01": (19, 19)}
    assert await left(leave) == expected
    await unassign(leave, hours)
    await leave.assign(await leave.policy(items=[await leave.item(quantity=30)]), SOMEBODY)
    await leave.post(f"/leave-types/{VACATION}/actions/archive")
    assert await left(leave) == expected
    assert await refused(leave) == {"leaveType": ["The leave type is archived."]}
    changed = await leave.patch(
        f"/leave-requests/{request['id']}", {"days": [part("2023-07-01", 450)], "startDate": "2023-07-01"}
    )
    assert (changed["leavePolicy"], changed["totalDays"]) == (hours, 1)
    assert await left(leave) == {"2023-01-01": (20, 20), "2023-07-01": (19, 19)}
    await act(leave, request["id"], "cancel")
    assert await left(leave) == {"2023-01-01": (20, 20), "2023-07-01": (20, 20)}
    assert await leave.context.pool.fetchval(
        "SELECT sum(days) = 0 FROM postings WHERE leave_request = $1", request["id"]
    )


async def test_who_is_on_no_policy_any_more_can_still_have_a_request_moved_and_declined(leave: Leave) -> None:
    policy = await employed(leave)
    request = await ask(leave, "2023-05-01", status="APPROVED")
    await unassign(leave, policy)
    await leave.patch(
        f"/leave-requests/{request['id']}", {"startDate": "2024-05-01", "endDate": "2024-05-01"}
    )
    assert await left(leave) == {"2023-01-01": (18, 18), "2024-01-01": (-1, -1)}
    await act(leave, request["id"], "decline")
    assert await left(leave) == {"2023-01-01": (18, 18), "2024-01-01": (0, 0)}


async def test_over_drawing_is_accepted_unless_the_setting_says_otherwise(leave: Leave) -> None:
    await employed(leave, quantity=1)
    await ask(leave, "2023-05-01", "2023-05-03", status="APPROVED")
    assert await left(leave) == {"2023-01-01": (-2, -2)}


async def test_with_enforced_balances_nothing_approved_goes_below_zero(database_url: str) -> None:
    async with served(database_url, enforce_balance=True) as leave:
        policy = await employed(leave, quantity=3)
        short = "The leave balance is not sufficient."
        said = await refused(leave, endDate="2023-05-04", status="APPROVED")
        assert said == {"leave-requests": [short]}
        assert await leave.get("/leave-requests") == []
        assert await left(leave) == {"2023-01-01": (3, 3)}
        pending = await ask(leave, "2023-05-01", "2023-05-04")
        path = f"/leave-requests/{pending['id']}"
        assert await leave.refused("POST", f"{path}/actions/approve") == {"approve": [short]}
        assert (await leave.get(path))["status"] == "PENDING"
        await leave.patch(path, {"endDate": "2023-05-03"})
        await act(leave, pending["id"], "approve")
        assert await leave.refused("PATCH", path, {"endDate": "2023-05-04"}) == {"leave-requests": [short]}
        # Somebody who owes days already may give some back.
        body = {"employee": SOMEBODY, "leaveType": VACATION, "days": -2}
        await leave.post(f"/leave-policies/{policy}/actions/update-balance", body)
        await leave.patch(path, {"endDate": "2023-05-02"})
        assert await left(leave) == {"2023-01-01": (-1, -1)}


# -- lists and who sees them ------------------------------------------------------------------------------


async def test_lists_are_filtered_as_the_page_says(leave: Leave) -> None:
    policy = await employed(leave)
    await leave.assign(policy, await leave.employee(1441))
    first = await ask(leave, "2023-05-01", customId="a/1")
    second = await ask(leave, "2023-06-01", status="APPROVED")
    third = await leave.post("/leave-requests", {**BODY, "employee": 1441})

    async def ids(query: str) -> list[int]:
        return [row["id"] for row in await leave.get(f"/leave-requests?{query}")]

    everything = [first["id"], second["id"], third["id"]]
    assert await ids("") == everything
    assert await ids(f"employee={SOMEBODY}") == everything[:2]
    assert await ids("customId=A/1") == everything[:1]
    assert await ids("customId=a/2") == []
    assert await ids("status=PENDING") == [everything[0], everything[2]]
    assert await ids("status:in=APPROVED,CANCELLED") == [everything[1]]
    assert await ids("startDate:after=2023-05-01") == [everything[1]]
    assert await ids("startDate:lte=2023-05-31&endDate:gte=2023-05-02") == [everything[2]]
    assert await ids("totalDays:gt=1") == [everything[2]]
    assert await ids("sort=-startDate&limit=1") == [everything[1]]
    assert await leave.get("/leave-requests?fields=id,days&customId=a/1") == [
        {"id": first["id"], "days": [part("2023-05-01", 480)]}
    ]
    (row,) = await leave.get("/leave-requests?include=leaveType,employee&customId=a/1")
    assert (row["leaveType"]["id"], row["employee"]["id"]) == (VACATION, SOMEBODY)
    await leave.refused("GET", "/leave-requests?days=1")


async def test_requests_of_another_region_are_not_there(leave: Leave) -> None:
    west, east = await leave.region("West"), await leave.region("East")
    await employed(leave, region=east)
    request = await ask(leave, "2023-05-01", customId="a/1")
    token = await leave.account("west", west)
    path = f"/leave-requests/{request['id']}"
    assert await leave.get("/leave-requests", token=token) == []
    assert await leave.get("/leave-requests?customId=a/1", token=token) == []
    gone = {"leave-requests": ["Leave request not found."]}
    assert await leave.refused("GET", path, status=404, token=token) == gone
    assert await leave.refused("PATCH", path, {"reason": "x"}, status=404, token=token) == gone
    for action in ("approve", "decline", "cancel"):
        assert await leave.refused("POST", f"{path}/actions/{action}", status=404, token=token) == gone
    # Not even that it could not be done is told.
    declined = await act(leave, (await ask(leave, "2023-06-01"))["id"], "decline")
    over = f"/leave-requests/{declined['id']}/actions/cancel"
    assert await leave.refused("POST", over, status=404, token=token) == gone
    body = {**BODY, "startDate": "2023-07-01", "endDate": "2023-07-01"}
    assert await leave.refused("POST", "/leave-requests", body, token=token) == {
        "employee": ["This value is not valid."]
    }
    reader = await leave.account("reader", 1, role="READER")
    await leave.refused("POST", "/leave-requests", body, status=403, token=reader)
    assert await leave.get(path) == request


async def test_reasons_are_in_no_log_line_and_no_error(
    leave: Leave, capfd: pytest.CaptureFixture[str]
) -> None:
    await employed(leave)
    secret = "a reason that may be medical"
    request = await ask(leave, "2023-05-01", reason=secret)
    await act(leave, request["id"], "decline", {"reason": secret})
    texts = [
        str(await refused(leave, reason=secret * 20)),
        str(await refused(leave, leaveType=1, reason=secret)),
    ]
    printed = capfd.readouterr()
    assert "call.answered" in printed.out + printed.err
    assert secret not in "".join((printed.out, printed.err, *texts))

"""Is the sandbox's BambooHR a judge to be trusted: rules, faults, and what it says happened?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
from tests.support.bamboohr_sandbox import Bench, bench

ALL = "start=2026-01-01&end=2026-12-31"


@pytest.fixture
async def hris() -> AsyncIterator[Bench]:
    async with bench() as running:
        yield running


def days(*amounts: str, month: int = 4) -> list[dict[str, str]]:
    return [{"ymd": f"2026-{month:02}-{n:02}", "amount": amount} for n, amount in enumerate(amounts, 1)]


# -- creating ----------------------------------------------------------------------------------------


async def test_amount_without_dates_falls_on_the_first_day_and_dates_win_over_amount(hris: Bench) -> None:
    await hris.create(dates=None, amount=24, end="2026-04-03")
    await hris.create(dates=days("1", "0", "2"), amount=24, end="2026-04-03")
    await hris.create(dates=None)
    first, second, third = await hris.listed()
    assert (first["dates"], first["amount"]["amount"]) == ({"2026-04-01": "24"}, "24")
    assert second["dates"] == {"2026-04-01": "1", "2026-04-02": "0", "2026-04-03": "2"}
    assert second["amount"] == {"unit": "hours", "amount": "3"}
    assert third["dates"] == {"2026-04-01": "0"}


async def test_the_same_create_twice_makes_two_records_and_reports_the_overlap(hris: Bench) -> None:
    first, second = await hris.create(), await hris.create()
    assert first.json["overlappingRequests"] == []
    assert [other["id"] for other in second.json["overlappingRequests"]] == [first.json["id"]]
    assert len(await hris.listed()) == 2


async def test_overlaps_and_short_balances_are_refused_only_on_demand(hris: Bench) -> None:
    first = await hris.create(timeOffTypeId=84, dates=days("99"))
    assert first.status == 201
    hris.sandbox.set_options({"rejectOverlap": True})
    assert (await hris.create()).status == 409
    assert (await hris.create(employee=2)).status == 201
    replaced = await hris.create(timeOffTypeId=84, dates=days("50"), previousRequest=first.json["id"])
    assert replaced.status == 201
    hris.sandbox.set_options({"rejectOverlap": False, "rejectInsufficient": True})
    assert (await hris.create(timeOffTypeId=84, dates=days("1"))).status == 400
    assert (await hris.create(timeOffTypeId=85, dates=days("500"))).status == 201


@pytest.mark.parametrize(
    "change",
    [
        {"status": "canceled"},
        {"start": "2026-02-30"},
        {"start": "20260401"},
        {"end": "2026-03-31"},
        {"timeOffTypeId": 999},
        {"timeOffTypeId": True},
        {"timeOffTypeId": "abc"},
        {"dates": [{"ymd": "2026-04-02", "amount": 1}]},
        {"dates": [{"ymd": "2026-04-01", "amount": 1}, {"ymd": "2026-04-01", "amount": 1}]},
        {"dates": [{"ymd": "2026-04-01", "amount": "NaN"}]},
        {"dates": [{"ymd": "2026-04-01", "amount": -1}]},
        {"dates": [{"ymd": "2026-04-01"}]},
        {"dates": {"2026-04-01": 1}},
        {"dates": ["2026-04-01"]},
        {"notes": {"manager": "x"}},
        {"notes": [{"from": "boss", "note": "x"}]},
        {"notes": [{"from": "manager", "note": "x"}, {"from": "manager", "note": "y"}]},
        {"previousRequest": 5},
        {"previousRequest": "x"},
    ],
    ids=str,
)
async def test_a_wrong_field_is_400_and_writes_nothing(hris: Bench, change: dict[str, Any]) -> None:
    reply = await hris.create(**change)
    assert (reply.status, reply.text) == (400, "")
    assert reply.error
    assert await hris.entries() == []


async def test_a_note_over_the_limit_is_refused_and_not_repeated_in_the_error(hris: Bench) -> None:
    hris.sandbox.set_options({"noteLimit": 10})
    reply = await hris.create(notes=[{"from": "manager", "note": "secret" * 3}])
    assert reply.status == 400
    assert "secret" not in str(reply.headers)
    assert (await hris.create(notes=[{"from": "manager", "note": "x" * 10}])).status == 201


# -- superseding -------------------------------------------------------------------------------------


async def test_a_replacement_has_a_new_id_and_leaves_the_old_one_superceded(hris: Bench) -> None:
    old = (await hris.create()).json["id"]
    reply = await hris.create(
        start="2026-05-01", end="2026-05-01", dates=days("4", month=5), previousRequest=int(old)
    )
    new = reply.json["id"]
    assert new != old
    assert [(r["id"], r["status"]["status"]) for r in await hris.listed()] == [
        (old, "superceded"),
        (new, "approved"),
    ]
    # Nothing in an answer links the two; the admin side does.
    assert old not in reply.text
    assert [(e["supersedes"], e["supersededBy"]) for e in await hris.entries()] == [(None, new), (old, None)]


async def test_only_a_live_request_of_the_same_employee_that_has_not_begun_can_be_replaced(
    hris: Bench,
) -> None:
    begun = (await hris.create(start="2026-03-02", end="2026-03-02", dates=days("0", "8", month=3)[1:])).json
    assert (await hris.create(previousRequest=begun["id"])).status == 400
    tomorrow = (await hris.create(start="2026-03-03", end="2026-03-03", dates=None, amount=8)).json
    assert (await hris.create(employee=2, previousRequest=tomorrow["id"])).status == 400
    assert (await hris.create(previousRequest=tomorrow["id"])).status == 201
    assert (await hris.create(previousRequest=tomorrow["id"])).status == 400
    canceled = (await hris.create()).json["id"]
    await hris.set_status(canceled, "canceled")
    assert (await hris.create(previousRequest=canceled)).status == 400


async def test_whether_it_has_begun_is_judged_in_the_zone_of_the_company(hris: Bench) -> None:
    """Noon UTC on 2 March is already 3 March on Kiritimati (UTC+14)."""
    request = (await hris.create(start="2026-03-03", end="2026-03-03", dates=None, amount=8)).json["id"]
    hris.sandbox.set_options({"timeZone": "Pacific/Kiritimati"})
    assert (await hris.set_status(request, "canceled")).status == 403
    assert (await hris.create()).json["created"] == "2026-03-03"
    hris.sandbox.set_options({"timeZone": "UTC"})
    assert (await hris.set_status(request, "canceled")).status == 200


# -- status ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "start", "wanted", "code"),
    [
        ("requested", "2026-04-01", "approved", 200),
        ("requested", "2026-04-01", "declined", 200),
        ("requested", "2026-04-01", "cancelled", 200),
        ("requested", "2026-02-01", "canceled", 200),
        ("approved", "2026-04-01", "canceled", 200),
        ("approved", "2026-03-02", "canceled", 403),
        ("approved", "2026-04-01", "denied", 403),
        ("approved", "2026-04-01", "approved", 403),
        ("denied", "2026-04-01", "canceled", 403),
        ("denied", "2026-04-01", "approved", 403),
        ("requested", "2026-04-01", "superceded", 400),
    ],
)
async def test_transitions(hris: Bench, status: str, start: str, wanted: str, code: int) -> None:
    made = (await hris.create(status=status, start=start, end=start, dates=None, amount=8)).json
    reply = await hris.set_status(made["id"], wanted, note="why")
    assert reply.status == code, reply.error
    if code == 200:
        assert reply.json == {}
    (entry,) = await hris.entries()
    final = {"declined": "denied", "cancelled": "canceled"}.get(wanted, wanted) if code == 200 else status
    assert entry["status"] == final


@pytest.mark.parametrize("again", [403, 200])
async def test_canceling_twice_follows_the_switch(hris: Bench, again: int) -> None:
    hris.sandbox.set_options({"cancelAgain": again})
    request = (await hris.create()).json["id"]
    assert (await hris.set_status(request, "canceled")).status == 200
    assert (await hris.set_status(request, "canceled")).status == again
    (entry,) = await hris.entries()
    assert [state["status"] for state in entry["history"]] == ["approved", "canceled"]


async def test_a_note_on_a_status_change_leaves_the_notes_of_the_request_alone(hris: Bench) -> None:
    """The marker in the manager's note must survive a cancel, or a find would miss the record."""
    request = (await hris.create(notes=[{"from": "manager", "note": "wfm:0123456789abcdef"}])).json["id"]
    await hris.set_status(request, "canceled", note="withdrawn")
    (item,) = await hris.listed()
    assert item["notes"] == {"manager": "wfm:0123456789abcdef"}


# -- listing -----------------------------------------------------------------------------------------


async def test_the_list_is_by_overlap_inclusive_on_both_ends(hris: Bench) -> None:
    await hris.create(start="2026-04-10", end="2026-04-12", dates=None, amount=8)
    for window, seen in {
        "start=2026-04-12&end=2026-04-30": 1,
        "start=2026-04-01&end=2026-04-10": 1,
        "start=2026-04-11&end=2026-04-11": 1,
        "start=2026-04-13&end=2026-04-30": 0,
        "start=2026-04-01&end=2026-04-09": 0,
        "start=1900-01-01&end=2100-12-31": 1,
    }.items():
        assert len(await hris.listed(window)) == seen, window


async def test_filters_of_the_list(hris: Bench) -> None:
    hris.sandbox.set_options({"deniedWord": "declined"})
    vacation = (await hris.create()).json["id"]
    day_off = (await hris.create(employee=2, timeOffTypeId=84)).json["id"]
    denied = (await hris.create(status="denied", notes=[{"from": "employee", "note": "n"}])).json["id"]
    for query, ids in {
        "": [vacation, day_off, denied],
        "&employeeId=1": [vacation, denied],
        "&employeeId=0": [],
        "&employeeId=0&action=myRequests": [],
        "&employeeId=77": [],
        f"&id={day_off}": [day_off],
        f"&id={day_off}&employeeId=1": [],
        "&type=84,85": [day_off],
        "&status=approved": [vacation, day_off],
        "&status=denied": [denied],
        "&status=superceded,canceled": [],
        "&action=myRequests": [vacation, denied],
        "&action=approve": [],
    }.items():
        assert [item["id"] for item in await hris.listed(ALL + query)] == ids, query
    assert all("notes" not in item for item in await hris.listed(ALL + "&excludeNote=1"))
    for broken in ("start=2026-01-01", "start=x&end=2026-01-01", ALL + "&employeeId=x", ALL + "&action=all"):
        assert (await hris.hr("GET", f"time_off/requests?{broken}")).status == 400, broken


async def test_the_read_lag_hides_new_records_and_new_statuses_from_the_list(hris: Bench) -> None:
    hris.sandbox.set_options({"readLagMs": 2000})
    old = (await hris.create()).json["id"]
    assert await hris.listed() == []
    hris.clock.stopwatch += 2
    assert [item["id"] for item in await hris.listed()] == [old]
    new = (await hris.create(previousRequest=old)).json["id"]
    hris.clock.stopwatch += 1.9
    assert [(r["id"], r["status"]["status"]) for r in await hris.listed()] == [(old, "approved")]
    hris.clock.stopwatch += 0.2
    assert [(r["id"], r["status"]["status"]) for r in await hris.listed()] == [
        (old, "superceded"),
        (new, "approved"),
    ]
    await hris.set_status(new, "canceled")
    assert [r["status"]["status"] for r in await hris.listed()] == ["superceded", "approved"]
    # The ground truth has no lag.
    assert [entry["status"] for entry in await hris.entries()] == ["superceded", "canceled"]


# -- who may, and how often --------------------------------------------------------------------------


async def test_permissions_are_per_key_and_an_empty_list_is_not_a_refusal(hris: Bench) -> None:
    hris.sandbox.set_options(
        {
            "apiKeys": {
                "sandbox-api-key": {},
                "blind": {"view": False, "directory": False, "calculator": False},
                "clerk": {"approve": False},
                "ann-only": {"employees": [1], "employeeId": 1},
            }
        }
    )
    request = (await hris.create()).json["id"]
    await hris.create(employee=2)

    async def status_of(key: str, method: str, path: str, body: object = None) -> int:
        return (await hris.hr(method, path, body, key=key)).status

    blind = await hris.hr("GET", f"time_off/requests?{ALL}", key="blind")
    assert (blind.status, blind.json) == (200, [])
    assert await status_of("blind", "GET", "employees/directory") == 403
    assert await status_of("blind", "GET", "employees/1/time_off/calculator") == 403
    cancel = {"status": "canceled"}
    assert await status_of("clerk", "PUT", f"time_off/requests/{request}/status", cancel) == 403
    body = {"status": "approved", "start": "2026-04-01", "end": "2026-04-01", "timeOffTypeId": 83}
    assert await status_of("clerk", "PUT", "employees/1/time_off/request", body) == 403
    body["status"] = "requested"
    assert await status_of("clerk", "PUT", "employees/1/time_off/request", body) == 201
    assert await status_of("ann-only", "PUT", "employees/2/time_off/request", body) == 403
    seen = (await hris.hr("GET", f"time_off/requests?{ALL}", key="ann-only")).json
    assert {item["employeeId"] for item in seen} == {"1"}
    people = (await hris.hr("GET", "employees/directory", key="ann-only")).json["employees"]
    assert [person["id"] for person in people] == ["1"]


async def test_unknown_keys_are_401_and_then_lock_everybody_out_for_a_time(hris: Bench) -> None:
    hris.sandbox.set_options({"lockout": {"attempts": 3, "seconds": 30}})
    for _ in range(3):
        assert (await hris.hr("GET", "employees/0", key="wrong")).status == 401
    assert (await hris.hr("GET", "employees/0")).status == 403
    hris.clock.stopwatch += 31
    assert (await hris.hr("GET", "employees/0")).json == {"id": "1"}
    assert (await hris.hr("GET", "employees/0", key=None)).status == 401
    assert (await hris.hr("GET", "employees/0", headers={"Authorization": "Basic %%"})).status == 401


@pytest.mark.parametrize("code", [429, 503])
async def test_over_the_rate_limit_is_refused_with_retry_after_that_holds(hris: Bench, code: int) -> None:
    hris.sandbox.set_options({"requestsPerMinute": 2, "throttleStatus": code})
    assert [(await hris.create()).status for _ in range(3)] == [201, 201, code]
    refused = await hris.create()
    assert refused.headers["Retry-After"] == "30"
    hris.sandbox.set_options({"retryAfterForm": "date"})
    headers = (await hris.create()).headers
    when = parsedate_to_datetime(headers["Retry-After"])
    assert when == hris.clock.moment + timedelta(seconds=30)
    assert parsedate_to_datetime(headers["Date"]) == hris.clock.moment
    hris.clock.stopwatch += 30
    assert (await hris.create()).status == 201
    assert len(await hris.entries()) == 3


# -- faults ------------------------------------------------------------------------------------------


async def test_throttle_unavailable_and_error_before_commit_write_nothing(hris: Bench) -> None:
    await hris.fault("create", "throttle", retryAfter=7)
    await hris.fault("create", "unavailable", retryAfter=0)
    await hris.fault("create", "error_before_commit")
    throttled, unavailable, failed = [await hris.create() for _ in range(3)]
    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "7")
    assert (unavailable.status, unavailable.headers["Retry-After"]) == (503, "0")
    assert failed.status == 500
    assert await hris.entries() == []
    assert (await hris.create()).status == 201


async def test_commit_then_drop_and_commit_then_500_write_once(hris: Bench) -> None:
    await hris.fault("create", "commit_then_drop")
    with pytest.raises(aiohttp.ClientConnectionError):
        await hris.create(notes=[{"from": "manager", "note": "x wfm:00000000000000aa"}])
    await hris.fault("create", "commit_then_500")
    assert (await hris.create(notes=[{"from": "manager", "note": "wfm:00000000000000bb y"}])).status == 500
    assert await hris.admin("GET", "live-by-marker") == {
        "live": {"wfm:00000000000000aa": 1, "wfm:00000000000000bb": 1}
    }


async def test_delay_then_commit_commits_after_the_caller_has_given_up(hris: Bench) -> None:
    await hris.fault("create", "delay_then_commit", seconds=30)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(hris.create(), 0.2)
    assert await hris.entries() == []
    await hris.admin("DELETE", "faults")  # lets go of the held call
    async with asyncio.timeout(5):
        while not await hris.entries():
            await asyncio.sleep(0.01)
    calls = (await hris.admin("GET", "calls"))["calls"]
    assert [(call["operation"], call["fault"]) for call in calls] == [("create", "delay_then_commit")]


async def test_a_client_that_repeats_a_dropped_write_by_itself_is_caught(hris: Bench) -> None:
    """The judge must see two records when a caller is careless; aiohttp's default session is."""
    hris.http._retry_connection = True
    await hris.fault("create", "commit_then_drop")
    assert (await hris.create()).status == 201
    assert len(await hris.entries()) == 2


async def test_hang_never_commits_and_cuts_the_connection(hris: Bench) -> None:
    await hris.fault("create", "hang", seconds=0.05)
    with pytest.raises(aiohttp.ClientConnectionError):
        await hris.create()
    assert await hris.entries() == []


async def test_a_truncated_answer_breaks_off_after_the_commit(hris: Bench) -> None:
    await hris.fault("create", "truncated")
    with pytest.raises(aiohttp.ClientPayloadError):
        await hris.create()
    assert len(await hris.entries()) == 1


async def test_an_answer_without_location_still_has_its_body_and_one_without_id_has_neither(
    hris: Bench,
) -> None:
    await hris.fault("create", "no_location")
    await hris.fault("create", "no_id")
    without_location, without_id = await hris.create(), await hris.create()
    assert (without_location.status, without_id.status) == (201, 201)
    assert "Location" not in without_location.headers
    assert "Location" not in without_id.headers
    assert without_location.json["id"]
    assert without_id.text == ""


async def test_slow_answers_late_but_commits_at_once(hris: Bench) -> None:
    await hris.fault("create", "slow", seconds=30)
    answer = asyncio.create_task(hris.create())
    async with asyncio.timeout(5):
        while not await hris.entries():
            await asyncio.sleep(0.01)
    assert not answer.done()
    await hris.admin("DELETE", "faults")
    assert (await answer).status == 201


async def test_rules_skip_count_and_choose_their_operation(hris: Bench) -> None:
    await hris.fault("create|status", "error_before_commit", skip=1, times=2)
    await hris.fault("list", "throttle", times=None)
    request = (await hris.create()).json["id"]
    assert (await hris.create()).status == 500
    assert (await hris.set_status(request, "canceled")).status == 500
    assert (await hris.set_status(request, "canceled")).status == 200
    for _ in range(3):
        assert (await hris.hr("GET", f"time_off/requests?{ALL}")).status == 429
    rules = (await hris.admin("GET", "faults"))["rules"]
    assert [(rule["on"], rule["times"], rule["fired"]) for rule in rules] == [
        ("create|status", 0, 2),
        ("list", None, 3),
    ]
    await hris.admin("DELETE", "faults")
    assert len(await hris.listed()) == 1


async def test_the_latency_lies_around_the_commit(hris: Bench) -> None:
    """A caller that is killed during a call leaves a commit behind or none, as with a real vendor."""
    hris.sandbox.set_options({"latencyMs": 60})
    await hris.create()
    (call,) = (await hris.admin("GET", "calls"))["calls"]
    assert 55 <= call["durationMs"] < 1000


# -- balances and history ----------------------------------------------------------------------------


async def test_the_calculator_counts_up_to_the_end_asked_for(hris: Bench) -> None:
    await hris.create(start="2026-04-01", end="2026-04-02", dates=days("8", "7.5"))
    await hris.create(timeOffTypeId=84, dates=days("0.5"))
    await hris.create(timeOffTypeId=85)
    await hris.create(status="requested")

    async def balances(end: str, precision: int = 2) -> dict[str, tuple[str, str]]:
        reply = await hris.hr("GET", f"employees/1/time_off/calculator?end={end}&precision={precision}")
        return {row["timeOffType"]: (row["balance"], row["usedYearToDate"]) for row in reply.json}

    # Vacation: 40 hours at the start, 16.25 more on the first of February, March and April.
    assert await balances("2026-03-31") == {
        "83": ("72.50", "0.00"),
        "84": ("10.00", "0.00"),
        "85": ("0.00", "0.00"),
    }
    assert await balances("2026-04-01") == {
        "83": ("80.75", "8.00"),
        "84": ("9.50", "0.50"),
        "85": ("-8.00", "8.00"),
    }
    assert (await balances("2026-04-02", 4))["83"] == ("73.2500", "15.5000")
    assert (await hris.hr("GET", "employees/1/time_off/calculator?precision=5")).status == 400
    hris.sandbox.set_options({"scheduledCounts": False})
    assert (await balances("2026-04-02"))["83"][0] == "88.75"


async def test_history_takes_an_approved_request_once_and_adjustments_count(hris: Bench) -> None:
    request = (await hris.create()).json["id"]
    pending = (await hris.create(status="requested")).json["id"]
    used = {"date": "2026-04-01", "eventType": "used"}
    path = "employees/1/time_off/history"
    assert (await hris.hr("PUT", path, {**used, "timeOffRequestId": request})).status == 201
    assert (await hris.hr("PUT", path, {**used, "timeOffRequestId": request})).status == 409
    assert (await hris.hr("PUT", path, {**used, "timeOffRequestId": pending})).status == 400
    adjustment = {"date": "2026-04-01", "timeOffTypeId": 84, "amount": -2.5}
    path = "employees/1/time_off/balance_adjustment"
    assert (await hris.hr("PUT", path, adjustment)).status == 201
    assert (await hris.hr("PUT", path, {**adjustment, "timeOffTypeId": 85})).status == 400
    rows = (await hris.hr("GET", "employees/1/time_off/calculator?end=2026-04-30")).json
    assert {row["timeOffType"]: row["balance"] for row in rows}["84"] == "7.50"


# -- people ------------------------------------------------------------------------------------------


async def test_the_directory_shows_active_people_and_is_404_when_empty(hris: Bench) -> None:
    people = (await hris.hr("GET", "employees/directory")).json["employees"]
    assert {person["id"]: person["workEmail"] for person in people} == {
        "1": "ann@example.com",
        "2": "bob@example.com",
        "3": None,
    }
    await hris.admin("POST", "employees", {"id": "2", "email": "bob@example.com", "active": False})
    assert len((await hris.hr("GET", "employees/directory")).json["employees"]) == 2
    hris.sandbox.reset()
    assert (await hris.hr("GET", "employees/directory")).status == 404


# -- the admin side ----------------------------------------------------------------------------------


async def test_hr_works_by_hand_in_place_and_around_the_rules(hris: Bench) -> None:
    hris.sandbox.set_options({"rejectOverlap": True})
    await hris.create()
    entry = await hris.admin(
        "POST",
        "entries",
        {"employeeId": "1", "typeId": "83", "dates": {"2026-02-02": "8", "2026-04-01": "4"}, "note": "by HR"},
    )
    assert (entry["by"], entry["start"], entry["end"]) == ("hand", "2026-02-02", "2026-04-01")
    edited = await hris.admin("PATCH", f"entries/{entry['id']}", {"dates": {"2026-02-03": "7.3333"}})
    assert edited["id"] == entry["id"]
    assert edited["dates"] == {"2026-02-03": "7.3333"}
    canceled = await hris.admin("PATCH", f"entries/{entry['id']}", {"status": "canceled"})
    assert [state["status"] for state in canceled["history"]] == ["approved", "approved", "canceled"]
    (item,) = await hris.listed("start=2026-02-03&end=2026-02-03")
    assert (item["status"]["status"], item["dates"]) == ("canceled", {"2026-02-03": "7.3333"})


async def test_wrong_admin_input_is_400_and_names_the_field(hris: Bench) -> None:
    for body, status in (
        ({"employeeId": "1", "typeId": "83", "dates": {}}, 400),
        ({"employeeId": "1", "typeId": "83", "dates": {"2026-04-01": "8"}, "status": "gone"}, 400),
        ({"employeeId": "77", "typeId": "83", "dates": {"2026-04-01": "8"}}, 404),
    ):
        async with hris.http.post(hris.base + "/admin/hris/entries", json=body) as response:
            assert response.status == status, body
    async with hris.http.post(hris.base + "/admin/hris/faults", json={"rules": [{"on": "list"}]}) as response:
        assert response.status == 400
        assert "kind" in await response.text()


async def test_the_call_log_holds_every_call_and_no_notes_and_reset_forgets_all_but_options(
    hris: Bench,
) -> None:
    hris.sandbox.set_options({"wire": "numbers"})
    made = await hris.create(notes=[{"from": "employee", "note": "medical"}])
    await hris.listed()
    await hris.hr("GET", "nowhere?note=medical")
    await hris.hr("GET", "employees/0")
    log = await hris.admin("GET", "calls")
    assert [(c["operation"], c["method"], c["status"], c["entryId"]) for c in log["calls"]] == [
        ("create", "PUT", 201, str(made.json["id"])),
        ("list", "GET", 200, None),
        ("unknown", "GET", 404, None),
        ("health", "GET", 200, None),
    ]
    assert log["counts"] == {"create": 1, "list": 1, "unknown": 1, "health": 1}
    assert log["calls"][0]["at"] == datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()
    assert "medical" not in str(log)
    hris.sandbox.reset()
    assert await hris.entries() == []
    assert (await hris.admin("GET", "calls"))["calls"] == []
    assert hris.sandbox.options()["wire"] == "numbers"


def test_a_wrong_option_is_refused_and_changes_nothing(hris: Bench) -> None:
    before = hris.sandbox.options()
    for wrong in ({"wire": "xml"}, {"noSuch": 1}, {"timeZone": "Mars/Base"}, {"lockout": {"attempts": -1}}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            hris.sandbox.set_options(wrong)
    assert hris.sandbox.options() == before

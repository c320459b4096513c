"""The examples of the Genesys Cloud blueprint for WFM and an HRIS that write, on both ways of calling.

Those that read are in test_blueprint_examples.py, which tells of sandbox and clock. `flows` and `events` are
the write paths: does the call book, or is it answered while the listener's side books? Each test that names
a defect shows that the published flows' defect is not here; numbers are those of docs/reference/flows.md.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from tests.support.balance import served
from tests.support.flows import (
    COMPATIBLE,
    EVENTS,
    FLOWS,
    PLAIN,
    PRINTED_INSERT,
    PRINTED_UPDATE,
    Blueprint,
    Json,
    blueprint,
    booking,
)
from tests.support.handed import id_of, insert, one_row
from tests.support.system import running_system

import timeoff_balance.app
from timeoff.settings.model import LoggingSettings
from timeoff.telemetry import logs
from timeoff_balance import directory
from timeoff_balance.flows.booking import Booking
from timeoff_sandbox.bamboohr.api import Answer, Api, Call

both_ways = pytest.mark.parametrize("way", [PLAIN, COMPATIBLE])
both_paths = pytest.mark.parametrize("path", [FLOWS, EVENTS])
both_flows = pytest.mark.parametrize("flow", ["insert-timeoff", "update-timeoff"])
INPUTS = {"insert-timeoff": PRINTED_INSERT, "update-timeoff": PRINTED_UPDATE}
#: A Monday after the printed days.
DAY, NEXT_DAY = "2025-04-07", "2025-04-08"


@pytest.fixture
async def place(database_url: str) -> AsyncIterator[Blueprint]:
    """The call writes."""
    async with blueprint(database_url, write_path=FLOWS) as running:
        yield running


@pytest.fixture
async def reserving(database_url: str) -> AsyncIterator[Blueprint]:
    """The listener's side writes."""
    async with blueprint(database_url, write_path=EVENTS) as running:
        yield running


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls do not wait for their booking for 45 s."""
    monkeypatch.setattr(timeoff_balance.app, "Booking", functools.partial(Booking, answer_within=0.7))


def state(answer: Json) -> tuple[int, str]:
    return int(answer["Flow.statusCode"]), answer["Flow.status"]


def outputs(way: str, code: int, status: str, id: str | None, message: str | None) -> Json:
    return {
        "Flow.timeOffRequestId": id,
        "Flow.statusCode": str(code) if way == COMPATIBLE else code,
        "Flow.error": None,
        "Flow.status": status,
        "Flow.errorMsg": message,
    }


def with_balance(hours: int | str, **more: Any) -> Callable[[Blueprint], None]:
    """Type 83 with so much left."""

    def prepared(place: Blueprint) -> None:
        place.give_type(83, "Open Time Off", "hours", "manual", opening=hours)

    return prepared


def without_policy(monkeypatch: pytest.MonkeyPatch, type_id: str = "83") -> None:
    """The HRIS has the type, and nobody has a policy of it: no balance is told."""
    calculator = Api.calculator

    def left_out(api: Api, call: Call) -> Answer:
        answer = calculator(api, call)
        assert isinstance(answer.data, list)
        rows = [row for row in answer.data if row["timeOffType"] != type_id]
        return Answer(answer.status, rows, answer.root)

    monkeypatch.setattr(Api, "calculator", left_out)


async def decisions(place: Blueprint) -> list[Json]:
    """What was recorded of balance checks, oldest first."""
    assert place.ledger is not None
    rows = await place.ledger.pool.fetch(
        "SELECT detail::text AS detail FROM ledger.evidence ORDER BY recorded_at"
    )
    return [found for row in rows if "check" in (found := json.loads(row["detail"] or "{}"))]


async def until_left(place: Blueprint, minutes: int) -> None:
    """What was written lately may or may not be in a figure; it is held against the employee until it is."""
    question = {"agentId": "452", "inputDates": "2025-04-30", "inputTimeOffTypeIds": "83"}
    async with asyncio.timeout(20):
        while True:
            answer = await place.run(PLAIN, "get-balance", {f"Flow.{k}": v for k, v in question.items()})
            if answer["Flow.balanceMinutesPerDay"] == [str(minutes)]:
                return


# -- the printed examples ------------------------------------------------------------------------------


@both_ways
async def test_insert_and_update_as_printed(place: Blueprint, way: str) -> None:
    """The id of the answer is that of the HRIS, and a change makes a new one there."""
    assert await place.run(way, "insert-timeoff", PRINTED_INSERT) == outputs(
        way, 200, "Complete", "4828", None
    )
    assert await place.run(way, "update-timeoff", PRINTED_UPDATE) == outputs(
        way, 200, "Complete", "4829", None
    )
    (old, new) = await place.entries()
    assert (old["id"], old["status"], old["supersededBy"]) == ("4828", "superceded", "4829")
    assert (new["id"], new["status"], new["supersedes"]) == ("4829", "approved", "4828")
    assert (new["employeeId"], new["typeId"]) == ("452", "83")
    assert new["dates"] == dict.fromkeys(PRINTED_UPDATE["Flow.dates"], "8.00")


@both_ways
async def test_where_the_listener_books_the_id_is_ours_and_stays(reserving: Blueprint, way: str) -> None:
    answer = await reserving.run(way, "insert-timeoff", PRINTED_INSERT)
    id = answer["Flow.timeOffRequestId"]
    assert answer == outputs(way, 200, "Complete", str(uuid.UUID(id)), None)
    update = booking(PRINTED_UPDATE, inputTimeOffRequestId=id)
    assert await reserving.run(way, "update-timeoff", update) == answer
    assert await reserving.entries() == []


@both_ways
@both_paths
async def test_insufficient_balance_as_printed(database_url: str, way: str, path: str) -> None:
    async with blueprint(database_url, write_path=path, prepared=with_balance(16)) as place:
        answer = await place.run(way, "insert-timeoff", booking(PRINTED_INSERT, timeOffStatus="PENDING"))
        assert answer == outputs(
            way,
            200,
            "InsufficientBalance",
            None,
            "Insufficient balance. Date: 2025-03-31. Balance: 960 minutes. Requested: 1440 minutes.",
        )
        assert place.calls("create") == []
        (decision,) = await decisions(place)
        assert (decision["check"], decision["balance"], decision["path"]) == ("insufficient", 960, path)


@both_ways
@both_paths
async def test_a_type_without_a_balance_as_printed(
    database_url: str, way: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_policy(monkeypatch)
    async with blueprint(database_url, write_path=path) as place:
        answer = await place.run(way, "insert-timeoff", booking(PRINTED_INSERT, timeOffStatus="PENDING"))
        assert answer == outputs(way, 404, "Error", None, "83 was not found in HRIS-Get-Balance result")
        assert place.calls("create") == []


# -- identity ------------------------------------------------------------------------------------------


@both_paths
async def test_the_same_call_again_in_other_words_is_the_same_booking(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path) as place:
        answers = [await place.run(way, "insert-timeoff", PRINTED_INSERT) for way in (PLAIN, COMPATIBLE)]
        for words in (
            {"agentId": 452, "timeOffTypeId": 83, "payableMinutes": [480, 480.0, "480"]},
            {"dates": '["2025-03-29","2025-03-30","2025-03-31"]', "payableMinutes": "[480, 480, 480]"},
            {"dates": ["2025-03-31", "2025-03-30", "2025-03-29"], "timeOffStatus": "approved"},
            {"startDateTimes": [], "durationMinutes": None, "timeOffTypeId2": "", "notes": ""},
        ):
            inputs = {**PRINTED_INSERT, **{f"Flow.{name}": value for name, value in words.items()}}
            answers.append(await place.run(PLAIN, "insert-timeoff", inputs))
        assert [state(answer) for answer in answers] == [(200, "Complete")] * 6
        assert len({answer["Flow.timeOffRequestId"] for answer in answers}) == 1
        assert len(place.calls("create")) == (path == FLOWS)


@both_paths
async def test_submit_cancel_submit_again_is_a_new_booking(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path) as place:
        first = (await place.insert())["Flow.timeOffRequestId"]
        assert state(await place.update(first, timeOffStatus="CANCELED")) == (200, "Complete")
        again = (await place.insert())["Flow.timeOffRequestId"]
        assert again not in (None, first)
        if path == FLOWS:
            assert [entry["status"] for entry in await place.entries()] == ["canceled", "approved"]


@both_paths
async def test_two_parts_of_one_day_that_start_at_other_times_are_two(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path) as place:
        parts = {"dates": [DAY], "minutes": 60}
        ids = [
            (await place.insert(**parts, startDateTimes=f"{DAY}T{start}"))["Flow.timeOffRequestId"]
            for start in ("09:00:00", "14:00:00", "09:00:00")
        ]
        assert ids[0] == ids[2]
        assert len(set(ids)) == 2
        if path == FLOWS:
            assert [entry["dates"] for entry in await place.entries("approved")] == [{DAY: "1.00"}] * 2


# -- defect by defect ----------------------------------------------------------------------------------


@both_ways
async def test_defect_1_a_day_of_a_type_in_days_is_one_day(place: Blueprint, way: str) -> None:
    days = {"timeOffTypeId": "85", "dates": [DAY, NEXT_DAY]}
    assert state(await place.insert(way, **days, minutes=480)) == (200, "Complete")
    half = {"dates": ["2025-04-10"], "minutes": 240, "startDateTimes": "2025-04-10T09:00:00"}
    assert state(await place.insert(way, timeOffTypeId="85", **half)) == (200, "Complete")
    assert state(await place.insert(way, timeOffTypeId="83", **half)) == (200, "Complete")
    found = [(entry["typeId"], entry["dates"]) for entry in await place.entries()]
    assert found == [
        ("85", {DAY: "1.00", NEXT_DAY: "1.00"}),
        ("85", {"2025-04-10": "0.50"}),
        ("83", {"2025-04-10": "4.00"}),
    ]


@both_paths
async def test_defect_2_a_balance_in_days_is_counted_by_the_length_of_a_day(
    database_url: str, path: str
) -> None:
    def prepared(place: Blueprint) -> None:
        place.give_type(84, "Volunteering", "days", "manual", opening=10)

    async with blueprint(database_url, write_path=path, prepared=prepared) as place:
        days = [f"2025-04-{day:02}" for day in range(1, 12)]
        asked = {"timeOffStatus": "PENDING", "timeOffTypeId": "84", "minutes": 480}
        answer = await place.insert(**asked, dates=days)
        assert state(answer) == (200, "InsufficientBalance")
        assert answer["Flow.errorMsg"] == (
            "Insufficient balance. Date: 2025-04-11. Balance: 4800 minutes. Requested: 5280 minutes."
        )
        assert state(await place.insert(**asked, dates=days[:10])) == (200, "Complete")


@both_ways
@both_paths
async def test_defect_3_what_is_denied_or_canceled_books_nothing(
    database_url: str, way: str, path: str
) -> None:
    async with blueprint(database_url, write_path=path) as place:
        for number, status in enumerate(("DENIED", "CANCELED", "CANCELLED"), 1):
            answer = await place.insert(way, timeOffStatus=status, dates=[f"2025-04-0{number}"], minutes=480)
            assert state(answer) == (200, "Complete")
            assert answer["Flow.timeOffRequestId"]
        assert place.calls("create", "status") == []


@both_ways
@pytest.mark.parametrize("status", ["CANCELED", "DENIED"])
async def test_defect_4_what_ends_is_canceled_and_has_no_successor(
    place: Blueprint, way: str, status: str
) -> None:
    id = (await place.insert())["Flow.timeOffRequestId"]
    answer = await place.update(id, way, timeOffStatus=status)
    assert answer == outputs(way, 200, "Complete", id, None)
    (entry,) = await place.entries()
    assert (entry["id"], entry["status"], entry["supersededBy"]) == (id, "canceled", None)


@both_ways
async def test_defect_5_an_answer_that_is_lost_makes_no_second_record(place: Blueprint, way: str) -> None:
    place.fault("create", "commit_then_drop")
    for _ in range(2):
        assert await place.run(way, "insert-timeoff", PRINTED_INSERT) == outputs(
            way, 200, "Complete", "4828", None
        )
    assert len(await place.entries()) == 1


@pytest.mark.usefixtures("impatient")
async def test_defect_5_a_call_that_was_not_waited_for_is_found_by_the_next(database_url: str) -> None:
    async with blueprint(database_url, write_path=FLOWS) as place:
        place.fault("create", "delay_then_commit", seconds=1.5)
        answer = await place.insert()
        assert state(answer) == (408, "Error")
        assert answer["Flow.errorMsg"].startswith("not booked within 0.7 s; it will be")
        async with asyncio.timeout(20):
            while state(answer := await place.insert()) == (408, "Error"):
                pass
        assert answer == outputs(PLAIN, 200, "Complete", "4828", None)
        assert len(await place.entries()) == 1


@both_ways
async def test_defect_6_any_id_of_the_chain_is_good_for_an_update(place: Blueprint, way: str) -> None:
    """The answer of an update is lost, so that WFM goes on with an id that is superseded."""
    await place.insert()
    place.fault("create", "commit_then_drop")
    assert (await place.update("4828", way, minutes=420))["Flow.timeOffRequestId"] == "4829"
    assert (await place.update("4828", way, minutes=360))["Flow.timeOffRequestId"] == "4830"
    assert (await place.update("4829", way, minutes=300))["Flow.timeOffRequestId"] == "4831"
    answer = await place.update("4828", way, timeOffStatus="CANCELED")
    assert answer == outputs(way, 200, "Complete", "4831", None)
    assert [entry["status"] for entry in await place.entries()] == ["superceded"] * 3 + ["canceled"]


@both_ways
@both_flows
@both_paths
async def test_defect_7_a_run_that_breaks_off_is_no_success(
    database_url: str, way: str, flow: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Testing timeoff")

    async with blueprint(database_url, write_path=path) as place:
        monkeypatch.setattr("timeoff.ledger.handovers.Handovers.turn", broken)
        answer = await place.run(way, flow, INPUTS[flow])
        assert answer == outputs(way, 500, "Error", None, "internal error (RuntimeError)")


@both_flows
async def test_defect_7_without_the_ledger_nothing_is_handed_over(database_url: str, flow: str) -> None:
    async with blueprint(database_url) as place:
        assert place.ledger is not None
        for known in ("get-agents", "get-timeoff-types"):  # or they would be read, and wait for the ledger
            await place.run(PLAIN, known)
        await place.ledger.pool.close()
        answer = await place.run(PLAIN, flow, INPUTS[flow])
        assert answer == outputs(
            PLAIN, 503, "Error", None, "the ledger cannot be reached: call again with the same inputs"
        )


@both_flows
@both_paths
@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("throttle", {}, 429),
        ("error_before_commit", {}, 503),
        ("refuse", {"status": 403}, 502),
        ("refuse", {"status": 401}, 502),
        ("hang", {"seconds": 30}, 408),
    ],
    ids=["throttled", "broken", "refused", "credentials", "hangs"],
)
async def test_defect_8_a_balance_that_is_not_told_has_a_code_of_its_own(
    database_url: str, flow: str, path: str, kind: str, more: Json, code: int
) -> None:
    async with blueprint(database_url, write_path=path, balance={"lookup_timeout": 0.5}) as place:
        id = (await place.insert())["Flow.timeOffRequestId"]
        # Before anything is spoilt: a wrong key stops the target for everybody.
        writes = len(place.calls("create"))
        place.fault("calculator", kind, times=None, **more)
        dates = {"dates": [DAY], "minutes": 480, "timeOffStatus": "PENDING"}
        answer = await (place.insert(**dates) if flow == "insert-timeoff" else place.update(id, **dates))
        assert state(answer) == (code, "Error")
        assert answer["Flow.timeOffRequestId"] is None
        assert answer["Flow.errorMsg"].endswith(f": {DAY}")
        assert len(place.calls("create")) == writes
        place.sandbox.bamboohr.faults.clear()


@pytest.mark.parametrize(
    ("status", "code", "ended"),
    [
        (400, 400, "Error"),
        (403, 403, "NotAllowed"),
        (404, 404, "Error"),
        (409, 409, "Error"),
        (422, 400, "Error"),
    ],
)
async def test_defect_10_refusals_of_the_hris_are_told_apart(
    place: Blueprint, status: int, code: int, ended: str
) -> None:
    place.fault("create", "refuse", status=status, times=None)
    for way in (PLAIN, COMPATIBLE):
        answer = await place.insert(way)
        assert state(answer) == (code, ended), answer
        assert answer["Flow.timeOffRequestId"] is None
        assert answer["Flow.errorMsg"]
    assert await place.entries() == []
    # What was refused is tried again when it is handed over again.
    place.sandbox.bamboohr.faults.clear()
    assert state(await place.insert()) == (200, "Complete")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("throttle", {"retryAfter": 30}, 503),
        ("error_before_commit", {}, 408),
        ("hang", {"seconds": 30}, 408),
        ("refuse", {"status": 401}, 401),
    ],
    ids=["throttled", "broken", "hangs", "credentials"],
)
async def test_an_hris_in_trouble_has_a_defined_answer(
    database_url: str, kind: str, more: Json, code: int
) -> None:
    async with blueprint(database_url, write_path=FLOWS) as place:
        place.fault("create", kind, times=None, **more)
        for way in (PLAIN, COMPATIBLE):
            answer = await place.insert(way)
            assert state(answer) == (code, "Error"), answer
            assert answer["Flow.timeOffRequestId"] is None
            assert "call again with the same inputs" in answer["Flow.errorMsg"]
        assert await place.entries() == []


@both_paths
@pytest.mark.parametrize(
    ("dates", "refusal"),
    [
        (["2025-03-29", "2025-03-30"], None),
        (["2025-04-07", "2025-04-08", "2025-04-09"], None),
        (
            PRINTED_UPDATE["Flow.dates"],
            "Insufficient balance. Date: 2025-04-01. Balance: 1440 minutes. Requested: 1920 minutes.",
        ),
    ],
    ids=["shorter", "moved", "longer"],
)
async def test_defect_11_an_update_gives_back_what_it_replaces(
    database_url: str, path: str, dates: list[str], refusal: str | None
) -> None:
    prepared, quickly = with_balance(24), {"fresh": 0.05}
    async with blueprint(database_url, write_path=path, prepared=prepared, balance=quickly) as place:
        id = (await place.insert())["Flow.timeOffRequestId"]
        await until_left(place, 0)
        pending = {"timeOffStatus": "PENDING", "minutes": 480}
        assert state(await place.insert(**pending, dates=[DAY])) == (200, "InsufficientBalance")
        answer = await place.update(id, **pending, dates=dates)
        assert state(answer) == (200, "InsufficientBalance" if refusal else "Complete")
        assert answer["Flow.errorMsg"] == refusal


@both_paths
async def test_defect_12_what_is_short_before_an_accrual_is_found(database_url: str, path: str) -> None:
    """36 h are left on the last date, 24 h on the day before it, of which 32 h are asked for."""

    def prepared(place: Blueprint) -> None:
        place.give_type(83, "Open Time Off", "hours", "accruing", monthly=12)

    async with blueprint(database_url, write_path=path, prepared=prepared) as place:
        dates = ["2025-03-28", "2025-03-29", "2025-03-30", "2025-03-31", "2025-04-01"]
        minutes = ["480", "480", "480", "480", "240"]
        answer = await place.insert(timeOffStatus="PENDING", dates=dates, payableMinutes=minutes)
        assert answer["Flow.errorMsg"] == (
            "Insufficient balance. Date: 2025-03-31. Balance: 1440 minutes. Requested: 1920 minutes."
        )
        later = {"dates": ["2025-03-31", "2025-04-01"], "payableMinutes": ["1440", "720"]}
        assert state(await place.insert(timeOffStatus="PENDING", **later)) == (200, "Complete")


@both_paths
async def test_defect_12_an_unlimited_type_is_never_refused(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path) as place:
        for type_id in ("90", "85"):
            answer = await place.insert(timeOffStatus="PENDING", timeOffTypeId=type_id)
            assert state(answer) == (200, "Complete")
        assert [found["check"] for found in await decisions(place)] == ["unlimited"] * 2


async def test_defect_13_no_part_of_an_hour_is_lost(place: Blueprint) -> None:
    await place.insert(minutes=450)
    (entry,) = await place.entries()
    assert list(entry["dates"].values()) == ["7.50"] * 3


HARD = (
    'a "quoted" word, a \\ backslash,\na line\tbreak, {"note": "x"}], "status": "denied" – ünïcode ✓ ${x} %s'
)


@both_ways
async def test_defect_14_a_note_arrives_as_it_was_written(database_url: str, way: str) -> None:
    async with blueprint(database_url, write_path=FLOWS, notes="copy") as place:
        answer = await place.insert(way, notes=HARD)
        (entry,) = await place.entries()
        assert HARD in entry["notes"].values()
        assert entry["status"] == "approved"
        await place.update(answer["Flow.timeOffRequestId"], way, notes=HARD[::-1], minutes=240)
        (entry,) = await place.entries("approved")
        assert HARD[::-1] in entry["notes"].values()


WRONG: list[tuple[Json, str]] = [
    ({"payableMinutes": ["480", "450.5", "480"]}, "Flow.payableMinutes item 2 is not a whole number"),
    ({"payableMinutes": ["480", None, "480"]}, "Flow.payableMinutes item 2 is not a whole number"),
    ({"payableMinutes": ["480", "x", "480"]}, "Flow.payableMinutes item 2 is not a whole number"),
    ({"payableMinutes": ["480", "-480", "480"]}, "Flow.payableMinutes item 2 is below 0"),
    ({"payableMinutes": ["480", "1441", "480"]}, "Flow.payableMinutes item 2 is more than a day has"),
    ({"payableMinutes": ["480", "480"]}, "2 minutes for 3 dates"),
    ({"payableMinutes": ["480"] * 4}, "4 minutes for 3 dates"),
    ({"payableMinutes": []}, "Flow.payableMinutes is missing"),
    ({"durationMinutes": ["480", "1e400", "480"]}, "Flow.durationMinutes item 2 is not a whole number"),
    ({"timeOffStatus": "MAYBE"}, "Flow.timeOffStatus is none of APPROVED, PENDING, DENIED, CANCELED"),
    ({"timeOffStatus": None}, "Flow.timeOffStatus is missing"),
    ({"dates": ["2025-02-29"], "minutes": 480}, "Flow.dates item 1 is a date that does not exist"),
    ({"dates": ["29.03.2025"], "minutes": 480}, "Flow.dates item 1 is not YYYY-MM-DD"),
    ({"dates": ["2025-04-07"] * 2, "minutes": 480}, "Flow.dates names a day twice"),
    ({"dates": ["0001-01-01"], "minutes": 480}, "Flow.dates goes beyond 2000 to 2100"),
    ({"dates": ["9999-12-31"], "minutes": 480}, "Flow.dates goes beyond 2000 to 2100"),
    ({"dates": ["2025-04-07"] * 2001, "minutes": 480}, "Flow.dates has 2,001 items, at most 2,000"),
    ({"minDate": "2025-03-28"}, "Flow.minDate and Flow.maxDate say 2025-03-28 to 2025-03-31"),
    ({"maxDate": ""}, "Flow.maxDate is missing"),
    ({"startDateTimes": "2025-03-29T24:00:00"}, "is a time that does not exist"),
    ({"startDateTimes": "2025-03-29T09:00:00Z"}, "is no local time YYYY-MM-DDTHH:mm:ss"),
    ({"startDateTimes": "2025-04-02T09:00:00"}, "a part begins on 2025-04-02, which is none of the dates"),
    ({"agentId": None}, "Flow.agentId is missing"),
    ({"timeOffTypeId": {"id": 83}}, "Flow.timeOffTypeId is not a text"),
    ({"notes": "x" * 32_001}, "Flow.notes has 32,001 characters"),
]


@both_flows
@both_paths
async def test_defect_15_what_cannot_be_read_is_told_and_books_nothing(
    database_url: str, flow: str, path: str
) -> None:
    async with blueprint(database_url, write_path=path) as place:
        for changes, message in WRONG:
            inputs = booking(PRINTED_INSERT, inputTimeOffRequestId="4828", **changes)
            for way in (PLAIN, COMPATIBLE):
                answer = await place.run(way, flow, inputs)
                assert state(answer) == (400, "Error"), changes
                assert message in answer["Flow.errorMsg"], changes
                assert answer["Flow.timeOffRequestId"] is None
        assert place.calls("create", "status") == []
        assert place.ledger is not None
        assert await place.ledger.pool.fetchval("SELECT count(*) FROM ledger.requests") == 0


async def test_an_update_without_an_id_is_no_insert(place: Blueprint) -> None:
    for way in (PLAIN, COMPATIBLE):
        answer = await place.update(None, way)
        assert answer == outputs(way, 400, "Error", None, "Flow.inputTimeOffRequestId is missing")
    assert await place.entries() == []


@pytest.mark.parametrize("word", ["CANCELED", "CANCELLED", "canceled", "Cancelled", " cancelled "])
async def test_defect_16_canceled_is_understood_however_it_is_spelt(place: Blueprint, word: str) -> None:
    id = (await place.insert(timeOffStatus="Approved"))["Flow.timeOffRequestId"]
    assert state(await place.update(id, timeOffStatus=word)) == (200, "Complete")
    assert [entry["status"] for entry in await place.entries()] == ["canceled"]


async def test_defect_21_throttling_and_trouble_that_pass_are_waited_for(place: Blueprint) -> None:
    place.fault("create", "throttle", retryAfter=0.2)
    place.fault("create", "unavailable", retryAfter=0.2)
    place.fault("create", "error_before_commit")
    assert await place.insert() == outputs(PLAIN, 200, "Complete", "4828", None)
    assert len(await place.entries()) == 1


SECRET = "kidney-stone-0815"


@both_paths
async def test_defect_22_a_note_is_told_to_nobody_but_the_hris(
    database_url: str, path: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither by what goes well nor by what goes wrong: refused by us, by the HRIS, or broken."""
    logs.configure(LoggingSettings(level="debug"), "test")
    messages = []
    try:
        async with blueprint(database_url, write_path=path, notes="copy") as place:
            note = {"notes": f"my {SECRET}"}
            id = (await place.insert(**note))["Flow.timeOffRequestId"]
            place.fault("create", "refuse", status=400)
            for way in (PLAIN, COMPATIBLE):
                messages += [
                    await place.insert(way, **note, dates=[DAY], minutes=480),
                    await place.insert(way, **note, minutes=450.5),
                    await place.insert(way, **note, timeOffStatus=SECRET[:3]),
                    await place.insert(way, **note, minutes=1440, timeOffStatus="PENDING", timeOffTypeId="1"),
                    await place.update(id, way, **note, agentId="332"),
                    await place.update("no-id", way, **note),
                ]
            assert place.ledger is not None
            rows = await place.ledger.pool.fetch(
                "SELECT detail::text AS detail FROM ledger.evidence"
                " UNION ALL SELECT detail::text FROM ledger.requests"
                " UNION ALL SELECT outputs::text FROM balance.executions"
            )
            kept = await place.ledger.pool.fetchval(
                "SELECT string_agg(handed::text, ' ') FROM ledger.requests"
            )
            assert (SECRET in kept) == (path == FLOWS)  # who does not send it to the HRIS does not keep it
            monkeypatch.setattr("timeoff.ledger.handovers.Handovers.turn", _quoting)
            messages.append(await place.insert(**note))
    finally:
        logs.configure(LoggingSettings(level="error"), "test")
    out, err = capfd.readouterr()
    assert "handover.checked" in out + err, "nothing was captured"
    for text in (str(messages), str([row["detail"] for row in rows]), generate_latest().decode(), out, err):
        assert SECRET not in text
        assert "kidney" not in text


def _quoting(*_: object, **__: object) -> None:
    raise RuntimeError(f"at $3: my {SECRET}")


@both_flows
@both_paths
async def test_defect_23_no_id_leads_anywhere_else(database_url: str, flow: str, path: str) -> None:
    async with blueprint(database_url, write_path=path) as place:
        odd = ("452/../313", "../452", "452?end=2020", "452%2F", "0", "no one", "452,313", "'; --")
        for id in odd:
            inputs = booking(PRINTED_UPDATE, agentId=id)
            assert state(await place.run(PLAIN, flow, inputs)) == (404, "Error"), id
            inputs = booking(PRINTED_UPDATE, timeOffTypeId=id)
            assert state(await place.run(PLAIN, flow, inputs)) == (404, "Error"), id
            if flow == "update-timeoff":
                inputs = booking(PRINTED_UPDATE, inputTimeOffRequestId=id)
                assert state(await place.run(PLAIN, flow, inputs)) == (403, "NotAllowed"), id
        assert place.calls("create", "status", "calculator", "unknown") == []


async def test_an_id_of_somebody_else_is_not_allowed(place: Blueprint) -> None:
    id = (await place.insert())["Flow.timeOffRequestId"]
    for way in (PLAIN, COMPATIBLE):
        answer = await place.update(id, way, agentId="332", timeOffStatus="CANCELED")
        assert answer == outputs(way, 403, "NotAllowed", None, f"{id} is not of employee 332")
    assert [entry["status"] for entry in await place.entries()] == ["approved"]


@both_paths
async def test_defect_26_the_finest_balance_is_what_a_request_is_held_against(
    database_url: str, path: str
) -> None:
    """0.9917 h are 60 minutes; shown with two decimals it would be 0.99 h, or 59 minutes."""
    async with blueprint(database_url, write_path=path, prepared=with_balance("0.9917")) as place:
        asked = {"timeOffStatus": "PENDING", "dates": [DAY]}
        assert state(await place.insert(**asked, minutes=61)) == (200, "InsufficientBalance")
        assert state(await place.insert(**asked, minutes=60)) == (200, "Complete")


async def test_a_secondary_id_tells_types_apart_where_both_sides_have_one(place: Blueprint) -> None:
    first, second = [
        (await place.insert(timeOffTypeId2=id2))["Flow.timeOffRequestId"] for id2 in ("rule-1", "rule-2")
    ]
    assert first != second
    assert (await place.insert(timeOffTypeId2="rule-2"))["Flow.timeOffRequestId"] == second
    assert (await place.insert())["Flow.timeOffRequestId"] in (first, second)
    assert len(await place.entries()) == 2


# -- what a type allows --------------------------------------------------------------------------------


@both_paths
async def test_a_balance_that_nobody_knows_is_accepted_where_the_type_says_so(
    database_url: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_policy(monkeypatch)
    accepted = [{"type_id": "83", "on_unknown_balance": "accept"}]
    async with blueprint(database_url, write_path=path, types=accepted) as place:
        assert state(await place.insert(timeOffStatus="PENDING")) == (200, "Complete")
        place.fault("calculator", "error_before_commit", times=None)
        later = {"timeOffStatus": "PENDING", "dates": [DAY], "minutes": 480}
        assert state(await place.insert(**later)) == (200, "Complete")
        # Of another type nothing was said.
        assert state(await place.insert(**later, timeOffTypeId="90")) == (503, "Error")
        assert [(found["check"], found["unknown"]) for found in await decisions(place)] == [
            ("unknown_accepted", "no_balance"),
            ("unknown_accepted", "hris_unreachable"),
            ("unknown_refused", "hris_unreachable"),
        ]


@both_paths
async def test_an_overdraft_is_allowed_where_the_type_says_so(database_url: str, path: str) -> None:
    allowed = [{"type_id": "83", "overdraft": True}]
    async with blueprint(database_url, write_path=path, types=allowed, prepared=with_balance(8)) as place:
        assert state(await place.insert(timeOffStatus="PENDING")) == (200, "Complete")
        (decision,) = await decisions(place)
        assert (decision["check"], decision["balance"], decision["requested"]) == ("overdraft", 480, 1440)


@both_paths
async def test_what_is_approved_is_never_refused_for_its_balance(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path, prepared=with_balance(0)) as place:
        place.fault("calculator", "error_before_commit", times=None)
        id = (await place.insert())["Flow.timeOffRequestId"]
        assert id
        assert state(await place.update(id, minutes=1440)) == (200, "Complete")
        assert [found["check"] for found in await decisions(place)] == ["none", "none"]


async def test_what_the_hris_refuses_for_its_balance_is_told_so(database_url: str) -> None:
    """An HRIS that checks by itself, also what is approved."""
    async with blueprint(database_url, write_path=FLOWS, prepared=with_balance(8)) as place:
        place.sandbox.bamboohr.set_options({"rejectInsufficient": True})
        answer = await place.insert()
        assert state(answer) == (200, "InsufficientBalance")
        assert answer["Flow.timeOffRequestId"] is None


@both_paths
async def test_two_that_ask_at_once_do_not_share_what_is_left(database_url: str, path: str) -> None:
    async with blueprint(database_url, write_path=path, prepared=with_balance(8)) as place:
        # Parts of one day: a balance as of an earlier day would not count the later ones.
        parts = [f"{DAY}T0{hour}:00:00" for hour in range(5)]
        asked = {"timeOffStatus": "PENDING", "dates": [DAY], "minutes": 480}
        answers = await asyncio.gather(*(place.insert(**asked, startDateTimes=part) for part in parts))
        assert sorted(state(answer) for answer in answers) == [
            (200, "Complete"),
            *[(200, "InsufficientBalance")] * 4,
        ]


async def test_what_is_pending_is_requested_in_the_hris_until_it_is_approved(place: Blueprint) -> None:
    first = await place.insert(timeOffStatus="PENDING")
    assert [entry["status"] for entry in await place.entries()] == ["requested"]
    answer = await place.update(first["Flow.timeOffRequestId"], timeOffStatus="APPROVED")
    assert state(answer) == (200, "Complete")
    assert [entry["id"] for entry in await place.entries("approved")] == [answer["Flow.timeOffRequestId"]]
    assert await place.entries("requested") == []


@both_ways
async def test_nothing_is_booked_before_writing_is_on(place: Blueprint, way: str) -> None:
    assert place.ledger is not None
    await place.ledger.deployment.go_shadow()
    async with asyncio.timeout(20):
        # The workers hear of it a little later.
        for number in itertools.count(1):
            dates = [(date(2025, 5, 1) + timedelta(days=number)).isoformat()]
            answer = await place.insert(way, dates=dates, minutes=480)
            if state(answer) != (200, "Complete"):
                break
    assert state(answer) == (403, "NotAllowed")
    assert "go-live" in answer["Flow.errorMsg"]
    assert len(await place.entries()) == number - 1
    await place.ledger.deployment.go_live((), ())
    async with asyncio.timeout(20):
        while state(answer := await place.insert(way, dates=dates, minutes=480)) != (200, "Complete"):
            pass
    assert [entry["id"] for entry in await place.entries()][-1] == answer["Flow.timeOffRequestId"]


async def test_what_the_hris_has_no_type_for_any_more_can_be_canceled(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "TRIED_EVERY", 0.01)
    async with blueprint(database_url, write_path=EVENTS, balance={"lists_fresh": 0.01}) as place:
        id = (await place.insert())["Flow.timeOffRequestId"]
        del place.sandbox.bamboohr.company.types[83]
        async with asyncio.timeout(20):
            while state(await place.insert(dates=[DAY], minutes=480)) != (404, "Error"):
                pass
        answer = await place.update(id, timeOffStatus="CANCELED")
        assert answer == outputs(PLAIN, 200, "Complete", id, None)


# -- start times are the management unit's -------------------------------------------------------------


@asynccontextmanager
async def office(database_url: str, folder: Path) -> AsyncIterator[Any]:
    changes: Json = {"sync": {"write_path": FLOWS}}
    async with running_system(database_url, folder, **changes) as system, served(system.settings) as desk:

        async def known() -> bool:
            return bool(
                await system.ledger.pool.fetchval(
                    "SELECT count(*) = $1 FROM ledger.agent_links JOIN ledger.agents USING (org, agent_id)",
                    len(system.agents),
                )
            )

        await system.until("all agents and their units are known", known)
        yield system, desk


async def test_a_part_of_a_day_is_local_also_when_clocks_change(database_url: str, tmp_path: Path) -> None:
    """In Berlin clocks go from 2:00 to 3:00 on 28 March 2027: 23 h from 1:00 on end at 1:00 of the next day.
    What the listener sees of the same request, in UTC, is the same leave.
    """
    async with office(database_url, tmp_path) as (system, desk):
        berlin, new_york = (
            next(agent for agent in system.agents if agent.zone == zone)
            for zone in ("Europe/Berlin", "America/New_York")
        )
        # In New York nothing happens to the clocks on that day.
        for agent, expected in (
            (berlin, {"2027-03-28": "22.00", "2027-03-29": "1.00"}),
            (new_york, {"2027-03-28": "23.00"}),
        ):
            answer = await insert(
                desk, agent, *expected, minutes=[1380], startDateTimes="2027-03-28T01:00:00"
            )
            (entry,) = [each for each in await system.entries() if each["employeeId"] == agent.employee_id]
            assert (entry["id"], entry["dates"]) == (id_of(answer), expected)


async def test_a_night_has_two_dates_and_is_what_the_listener_sees(database_url: str, tmp_path: Path) -> None:
    """WFM names both dates of a part that crosses midnight, with minutes for each, and one start time."""
    async with office(database_url, tmp_path) as (system, desk):
        agent = next(agent for agent in system.agents if agent.zone == "America/New_York")
        nights = {"2026-12-15": "2.00", "2026-12-16": "6.00"}
        answer = await insert(
            desk, agent, *nights, minutes=[120, 360], startDateTimes=["2026-12-15T22:00:00"]
        )
        (entry,) = await system.entries()
        assert (entry["id"], entry["dates"]) == (id_of(answer), nights)
        # 22:00 in New York
        seen = await system.submit(agent, partialStarts=["2026-12-16T03:00:00Z"], minutes=[480])
        assert (await one_row(system))["request_id"] == seen
        await system.quiet()
        assert (await one_row(system))["state"] == "settled"
        assert len(await system.entries()) == 1

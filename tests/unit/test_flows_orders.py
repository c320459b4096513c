"""Inputs of insert and update as what is handed over: dates, minutes and start times that fit, or words."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.days import days_of
from timeoff.events import RequestContent
from timeoff.handover import Handed
from timeoff.vocabulary import Day
from timeoff_balance.flows.contract import INSERT_TIMEOFF
from timeoff_balance.flows.orders import Minutes, read_local, read_order
from timeoff_balance.flows.values import Unreadable, read_inputs

SATURDAY, SUNDAY = date(2027, 3, 27), date(2027, 3, 28)
BERLIN = "Europe/Berlin"


def order(*dates: str, **changes: Any) -> dict[str, Any]:
    """Whole days of eight hours unless told otherwise."""
    dates = dates or (SATURDAY.isoformat(),)
    inputs: dict[str, Any] = {
        "agentId": "452",
        "dates": list(dates),
        "minDate": min(dates),
        "maxDate": max(dates),
        "timeOffStatus": "APPROVED",
        "timeOffTypeId": "83",
        "payableMinutes": ["480"] * len(dates),
        **changes,
    }
    return {f"Flow.{name}": value for name, value in inputs.items()}


def read(
    document: dict[str, Any], *, minutes: Minutes = "payable", zone: str | None = BERLIN, notes: bool = True
) -> Handed | list[str]:
    inputs, problems = read_inputs(INSERT_TIMEOFF, document)
    assert problems == []
    return read_order(inputs, minutes=minutes, zone=zone, notes=notes)


def handed(document: dict[str, Any], **more: Any) -> Handed:
    found = read(document, **more)
    assert isinstance(found, Handed), found
    return found


def problem(document: dict[str, Any]) -> str:
    found = read(document)
    assert isinstance(found, list), found
    return "; ".join(found)


# -- whole days ----------------------------------------------------------------------------------------


def test_whole_days_are_sorted_with_their_minutes() -> None:
    found = handed(order("2027-03-28", "2027-03-27", payableMinutes=["240", "480"]))
    assert found.days == (Day(SATURDAY, 480, whole=True), Day(SUNDAY, 240, whole=True))
    assert (found.type_id, found.type_id2, found.status, found.adopt) == ("83", None, "APPROVED", None)


def test_a_day_without_minutes_stays_a_day_of_the_request() -> None:
    """It takes no leave, and it is part of the span."""
    found = handed(order("2027-03-27", "2027-03-28", payableMinutes=["480", "0"]))
    assert found.span == (SATURDAY, SUNDAY)
    assert [day.date for day in found.days if day.minutes] == [SATURDAY]


def test_the_type_says_which_minutes_count() -> None:
    both = order(payableMinutes=["450"], durationMinutes=["480"])
    assert handed(both, minutes="payable").days[0].minutes == 450
    assert handed(both, minutes="duration").days[0].minutes == 480
    assert handed(order(payableMinutes=["450"]), minutes="duration").days[0].minutes == 450


def test_a_note_is_kept_only_where_notes_are_copied() -> None:
    noted = order(notes=" my knee ")
    assert handed(noted, notes=True).note == "my knee"
    assert handed(noted, notes=False).note is None
    assert handed(order(), notes=True).note is None


def test_a_second_id_travels() -> None:
    assert handed(order(timeOffTypeId2="rule-1")).type_id2 == "rule-1"


@pytest.mark.parametrize("word", ["CANCELED", "cancelled", "Canceled"])
def test_both_spellings_of_canceled_are_one(word: str) -> None:
    found = handed(order(timeOffStatus=word))
    assert (found.status, found.removed) == ("CANCELED", True)


# -- parts of days -------------------------------------------------------------------------------------


def test_a_part_has_its_local_start() -> None:
    for starts in ("2027-03-27T09:30:00", ["2027-03-27T09:30:00"], '["2027-03-27T09:30:00"]'):
        found = handed(order(payableMinutes=["60"], startDateTimes=starts))
        assert found.days == (Day(SATURDAY, 60, whole=False, start=time(9, 30)),)


def test_a_part_that_crosses_midnight_with_minutes_for_both_dates() -> None:
    found = handed(
        order("2027-03-26", "2027-03-27", payableMinutes=[120, 360], startDateTimes="2027-03-26T22:00:00")
    )
    assert found.days == (
        Day(date(2027, 3, 26), 120, whole=False, start=time(22)),
        Day(SATURDAY, 360, whole=False, start=time()),
    )


def test_a_part_that_crosses_midnight_with_one_number_of_minutes_is_split_there() -> None:
    found = handed(
        order("2027-03-26", "2027-03-27", payableMinutes=[480], startDateTimes="2027-03-26T22:00:00")
    )
    assert [(day.date, day.minutes) for day in found.days] == [(date(2027, 3, 26), 120), (SATURDAY, 360)]


def test_the_clocks_of_the_unit_decide_where_midnight_is() -> None:
    """In Berlin 28 March 2027 has 23 hours: 1:00 and 23 hours later is 1:00 of the next day."""
    dates = ("2027-03-28", "2027-03-29")
    night = order(*dates, payableMinutes=[1380], startDateTimes="2027-03-28T01:00:00")
    assert [day.minutes for day in handed(night).days] == [1320, 60]
    # Where nothing happens to the clocks the second date has nothing.
    for zone in ("Asia/Kolkata", None):
        assert [day.minutes for day in handed(night, zone=zone).days] == [1380, 0]


def test_two_parts_of_one_day_are_one_day_from_the_first_on() -> None:
    starts = ["2027-03-27T14:00:00", "2027-03-27T09:00:00"]
    found = handed(order(payableMinutes=[60, 30], startDateTimes=starts))
    assert found.days == (Day(SATURDAY, 90, whole=False, start=time(9)),)
    # With minutes for each date, not for each part, too.
    assert handed(order(payableMinutes=[90], startDateTimes=starts)).days == found.days


#: Days on which clocks change in one of the zones below.
CHANGES = (
    date(2027, 3, 14),
    SUNDAY,
    date(2027, 4, 4),
    date(2027, 10, 3),
    date(2027, 10, 31),
    date(2027, 11, 7),
)


@given(
    around=st.sampled_from(CHANGES),
    offset=st.integers(-1440, 2880),
    minutes=st.integers(1, 1440),
    zone=st.sampled_from([BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
def test_what_is_handed_over_is_what_the_listener_makes_of_the_same_request(
    around: date, offset: int, minutes: int, zone: str
) -> None:
    """Genesys shows instants to the listener and local times to a workflow: it has to be one leave."""
    instant = datetime.combine(around, time(), UTC) + timedelta(minutes=offset)
    local = instant.astimezone(ZoneInfo(zone))
    content = RequestContent(
        status="APPROVED",
        full_day=False,
        partial_starts=(instant,),
        duration_minutes=(minutes,),
        payable_minutes=(minutes,),
    )
    seen = days_of(content, zone, "payable")
    whole = order(
        *(day.date.isoformat() for day in seen),
        startDateTimes=f"{local:%Y-%m-%dT%H:%M:%S}",
        payableMinutes=[day.minutes for day in seen],
        durationMinutes=[day.minutes for day in seen],
    )
    shared = handed(whole, zone=zone)
    assert [(day.date, day.minutes, day.start) for day in shared.days] == [
        (day.date, day.minutes, day.start) for day in seen
    ]
    assert sum(day.minutes for day in shared.days) == minutes


# -- what cannot be read -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"payableMinutes": ["450.5"]}, "Flow.payableMinutes item 1 is not a whole number"),
        ({"payableMinutes": [""]}, "Flow.payableMinutes item 1 is not a whole number"),
        ({"payableMinutes": ["-1"]}, "Flow.payableMinutes item 1 is below 0"),
        ({"payableMinutes": ["1441"]}, "Flow.payableMinutes item 1 is more than a day has: 1441"),
        ({"payableMinutes": ["480", "480"]}, "2 minutes for 1 dates"),
        (
            {"timeOffStatus": "gone"},
            'Flow.timeOffStatus is none of APPROVED, PENDING, DENIED, CANCELED: "gone"',
        ),
        ({"dates": ["2027-02-29"]}, "Flow.dates item 1 is a date that does not exist"),
        ({"dates": ["2027-3-1"]}, "Flow.dates item 1 is not YYYY-MM-DD"),
        ({"dates": ["", "2027-03-27"]}, "Flow.dates item 1 is not YYYY-MM-DD"),
        ({"minDate": "2027-03-26"}, "Flow.minDate and Flow.maxDate say 2027-03-26 to 2027-03-27"),
        ({"maxDate": "soon"}, "Flow.maxDate is not YYYY-MM-DD"),
        ({"startDateTimes": "2027-03-27"}, "Flow.startDateTimes item 1 is no local time"),
        ({"startDateTimes": "2027-03-27T09:00:00+01:00"}, "Flow.startDateTimes item 1 is no local time"),
        ({"startDateTimes": "2027-03-28T09:00:00"}, "begins on 2027-03-28, which is none of the dates"),
    ],
)
def test_what_cannot_be_read_is_told(changes: dict[str, Any], words: str) -> None:
    assert words in problem(order(**changes))


def test_a_day_twice_and_a_day_that_no_calendar_has() -> None:
    twice = order("2027-03-27", "2027-03-27")
    assert "Flow.dates names a day twice" in problem(twice)
    for odd in ("0001-01-01", "1999-12-31", "2101-01-01", "9999-12-31"):
        assert "Flow.dates goes beyond 2000 to 2100" in problem(order(odd))


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = read(order(payableMinutes=["x"], timeOffStatus="gone", startDateTimes="noon"))
    assert isinstance(found, list)
    assert [words.split()[0] for words in found] == [
        "Flow.timeOffStatus",
        "Flow.payableMinutes",
        "Flow.startDateTimes",
    ]


@pytest.mark.parametrize("text", ["2027-03-27T09:30", "2027-03-27T09:30:59", "2027-03-27T09:30:00.123"])
def test_a_local_time_is_read_to_the_minute(text: str) -> None:
    assert read_local(text) == datetime.combine(SATURDAY, time(9, 30))


@pytest.mark.parametrize("text", ["", "2027-03-27", "2027-03-27T25:00:00", "2027-03-27T09:30:00Z", "noon"])
def test_what_is_no_local_time(text: str) -> None:
    with pytest.raises(Unreadable):
        read_local(text)

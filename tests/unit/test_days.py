"""A request's days: the minutes an employee is charged with, on the right dates, whatever the clock does."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import MONDAY, TUESDAY, content, part_of_a_day

from timeoff.days import BadDays, days_of, span_of
from timeoff.events import RequestContent
from timeoff.vocabulary import Day

BERLIN = "Europe/Berlin"
ZONES = [BERLIN, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo", "UTC"]
Minutes = Literal["payable", "duration"]


def local(zone: str, *parts: int, fold: int = 0) -> datetime:
    """A local clock time as the instant that Genesys would send."""
    return datetime(*parts, tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)  # type: ignore[misc,arg-type]


def parts(starts: list[datetime], minutes: list[int], **changes: Any) -> RequestContent:
    return content(
        full_day=False,
        full_day_dates=(),
        partial_starts=tuple(starts),
        duration_minutes=tuple(minutes),
        **changes,
    )


# -- whole days -------------------------------------------------------------------------------------------


def test_whole_days_are_sorted_and_need_no_zone() -> None:
    request = content(dates=(TUESDAY, MONDAY), duration_minutes=(450, 480))
    assert days_of(request, None, "duration") == (
        Day(MONDAY, 480, whole=True),
        Day(TUESDAY, 450, whole=True),
    )


def test_one_length_serves_all_days_where_genesys_sends_no_list() -> None:
    request = content(dates=(MONDAY, TUESDAY), duration_minutes=(), daily_minutes=432)
    assert [day.minutes for day in days_of(request, None, "duration")] == [432, 432]


def test_the_list_comes_before_the_daily_length() -> None:
    request = content(dates=(MONDAY,), duration_minutes=(300,), daily_minutes=480)
    assert [day.minutes for day in days_of(request, None, "duration")] == [300]


@pytest.mark.parametrize(("minutes", "booked"), [("payable", [450, 225]), ("duration", [480, 240])])
def test_payable_or_duration_as_the_type_says(minutes: Minutes, booked: list[int]) -> None:
    request = content(dates=(MONDAY, TUESDAY), duration_minutes=(480, 240), payable_minutes=(450, 225))
    assert [day.minutes for day in days_of(request, None, minutes)] == booked


def test_without_payable_minutes_the_duration_is_booked() -> None:
    assert [day.minutes for day in days_of(content(), None, "payable")] == [480]


def test_unpaid_leave_books_nothing_as_payable_and_its_time_as_duration() -> None:
    request = content(payable_minutes=(0,))
    assert days_of(request, None, "payable") == ()
    assert [day.minutes for day in days_of(request, None, "duration")] == [480]


def test_a_day_without_minutes_is_left_out() -> None:
    """A public holiday within leave takes nothing from the employee."""
    request = content(dates=(MONDAY, TUESDAY), duration_minutes=(0, 480))
    assert [day.date for day in days_of(request, None, "duration")] == [TUESDAY]


# -- what cannot be booked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (content(dates=()), "no_days"),
        (content(full_day=False, full_day_dates=(MONDAY,)), "no_days"),
        (content(dates=(MONDAY, MONDAY)), "bad_dates"),
        (parts([datetime(2027, 3, 8, 9, tzinfo=UTC)] * 2, [60, 60]), "bad_dates"),
        (content(dates=(MONDAY, TUESDAY), duration_minutes=(480,)), "minutes_mismatch"),
        (content(dates=(MONDAY,), duration_minutes=(480, 480)), "minutes_mismatch"),
        (content(dates=(MONDAY,), duration_minutes=()), "minutes_mismatch"),
        (content(dates=(MONDAY,), payable_minutes=(480, 480)), "minutes_mismatch"),
        (content(dates=(MONDAY,), duration_minutes=(1441,)), "minutes_mismatch"),
        (content(dates=(MONDAY,), duration_minutes=(-1,)), "minutes_mismatch"),
        (content(dates=(MONDAY,), payable_minutes=(-1,)), "minutes_mismatch"),
        (content(dates=(MONDAY,), payable_minutes=(1441,)), "minutes_mismatch"),
        (content(dates=(MONDAY,), duration_minutes=(), daily_minutes=1441), "minutes_mismatch"),
        (content(dates=(date(1999, 12, 31),)), "bad_dates"),
        (content(dates=(date(2101, 1, 1),)), "bad_dates"),
        (content(dates=(date(9999, 12, 31),)), "bad_dates"),
        (part_of_a_day(datetime(2199, 12, 30, tzinfo=UTC), 60), "bad_dates"),
        (part_of_a_day(datetime(2150, 12, 31, 22, 30, tzinfo=UTC), 60), "bad_dates"),
        (part_of_a_day(datetime(1970, 1, 2, tzinfo=UTC), 60), "bad_dates"),
    ],
)
def test_what_cannot_be_booked_names_its_reason(request_: RequestContent, reason: str) -> None:
    """Never a crash and never a guess: a person is told what is wrong."""
    with pytest.raises(BadDays) as bad:
        days_of(request_, BERLIN, "payable")
    assert bad.value.reason == reason


def test_minutes_of_a_day_may_be_all_of_it() -> None:
    assert [day.minutes for day in days_of(content(duration_minutes=(1440,)), None, "duration")] == [1440]


@pytest.mark.parametrize("on", [date(2000, 1, 1), date(2100, 12, 31)])
def test_the_first_and_the_last_day_of_the_calendar_are_booked(on: date) -> None:
    assert [day.date for day in days_of(content(dates=(on,)), None, "duration")] == [on]


@pytest.mark.parametrize(
    "zone", [None, "", "Nowhere/Town", "Europe", "A" * 300, "../etc/passwd", "a\x00b", "/etc/localtime"]
)
def test_a_zone_that_is_none_is_a_reason_and_never_a_crash(zone: str | None) -> None:
    """A unit with a broken zone would stop the intake of its partition otherwise."""
    request = part_of_a_day(datetime(2027, 3, 8, 9, tzinfo=UTC), 60)
    with pytest.raises(BadDays) as bad:
        days_of(request, zone, "duration")
    assert bad.value.reason == "no_zone"
    assert span_of(request, zone) is None


def test_starts_with_and_without_an_offset_are_all_utc() -> None:
    """Mixed ones cannot be compared as they come, and would stop the intake of their partition."""
    request = parts([datetime(2027, 3, 9, 9), datetime(2027, 3, 8, 10, tzinfo=UTC)], [60, 120])  # noqa: DTZ001
    assert [(day.date, day.minutes) for day in days_of(request, "UTC", "duration")] == [
        (MONDAY, 120),
        (TUESDAY, 60),
    ]
    assert span_of(request, "UTC") == (MONDAY, TUESDAY)


# -- parts of days ----------------------------------------------------------------------------------------


def test_the_date_of_a_part_is_that_of_the_unit() -> None:
    late_in_utc = datetime(2027, 3, 8, 23, 0, tzinfo=UTC)
    assert days_of(part_of_a_day(late_in_utc, 60), BERLIN, "duration") == (
        Day(TUESDAY, 60, whole=False, start=time(0, 0)),
    )
    assert days_of(part_of_a_day(late_in_utc, 60), "Asia/Kolkata", "duration") == (
        Day(TUESDAY, 60, whole=False, start=time(4, 30)),
    )
    assert days_of(part_of_a_day(late_in_utc, 60), "America/New_York", "duration") == (
        Day(MONDAY, 60, whole=False, start=time(18, 0)),
    )


def test_a_part_that_crosses_midnight_is_split_by_date() -> None:
    night = part_of_a_day(local(BERLIN, 2027, 3, 8, 22, 0), 480)
    assert days_of(night, BERLIN, "duration") == (
        Day(MONDAY, 120, whole=False, start=time(22, 0)),
        Day(TUESDAY, 360, whole=False, start=time(0, 0)),
    )


def test_a_part_that_ends_at_midnight_touches_one_date() -> None:
    evening = part_of_a_day(local(BERLIN, 2027, 3, 8, 22, 0), 120)
    assert [day.date for day in days_of(evening, BERLIN, "duration")] == [MONDAY]
    assert span_of(evening, BERLIN) == (MONDAY, MONDAY)


def test_a_nights_paid_share_is_spread_as_its_time_is_and_none_is_lost() -> None:
    night = part_of_a_day(local(BERLIN, 2027, 3, 8, 23, 0), 180, payable_minutes=(100,))
    assert [day.minutes for day in days_of(night, BERLIN, "payable")] == [33, 67]


def test_two_parts_of_one_date_are_one_day_from_the_first_start() -> None:
    morning, afternoon = local(BERLIN, 2027, 3, 8, 8, 0), local(BERLIN, 2027, 3, 8, 15, 0)
    request = parts([afternoon, morning], [60, 90])
    assert days_of(request, BERLIN, "duration") == (Day(MONDAY, 150, whole=False, start=time(8, 0)),)


@pytest.mark.parametrize(
    ("zone", "start", "minutes", "booked"),
    [
        # The night in which an hour is missing: 22:00 to 06:00 are seven hours, of which five are Sunday's.
        (BERLIN, (2027, 3, 27, 22, 0), 420, [("2027-03-27", 120), ("2027-03-28", 300)]),
        # The night that has an hour twice.
        (BERLIN, (2027, 10, 30, 22, 0), 540, [("2027-10-30", 120), ("2027-10-31", 420)]),
        ("America/New_York", (2027, 3, 13, 23, 0), 360, [("2027-03-13", 60), ("2027-03-14", 300)]),
        ("America/New_York", (2027, 11, 6, 23, 0), 480, [("2027-11-06", 60), ("2027-11-07", 420)]),
        # The clock moves by half an hour.
        ("Australia/Lord_Howe", (2027, 4, 3, 23, 0), 480, [("2027-04-03", 60), ("2027-04-04", 420)]),
        ("Australia/Lord_Howe", (2027, 10, 2, 23, 0), 420, [("2027-10-02", 60), ("2027-10-03", 360)]),
        ("Asia/Kolkata", (2027, 3, 8, 23, 45), 60, [("2027-03-08", 15), ("2027-03-09", 45)]),
        # Midnight itself does not exist on that date.
        ("Africa/Cairo", (2027, 4, 29, 23, 0), 120, [("2027-04-29", 60), ("2027-04-30", 60)]),
    ],
)
def test_real_minutes_are_kept_when_the_clock_jumps(
    zone: str, start: tuple[int, ...], minutes: int, booked: list[tuple[str, int]]
) -> None:
    days = days_of(part_of_a_day(local(zone, *start), minutes), zone, "duration")
    assert [(day.date.isoformat(), day.minutes) for day in days] == booked


@pytest.mark.parametrize(
    ("date_", "minutes", "dates"),
    [
        # A day of 23 hours is full after 1380 minutes, one of 25 holds 1440 and is not full.
        ((2027, 3, 28), 1380, ["2027-03-28"]),
        ((2027, 3, 28), 1381, ["2027-03-28", "2027-03-29"]),
        ((2027, 10, 31), 1440, ["2027-10-31"]),
    ],
)
def test_a_day_ends_when_its_own_clock_says_so(
    date_: tuple[int, int, int], minutes: int, dates: list[str]
) -> None:
    request = part_of_a_day(local(BERLIN, *date_, 0, 0), minutes)
    assert [day.date.isoformat() for day in days_of(request, BERLIN, "duration")] == dates


def test_both_hours_of_the_clock_going_back_are_different_instants() -> None:
    first = local("America/New_York", 2027, 11, 7, 1, 30)
    second = local("America/New_York", 2027, 11, 7, 1, 30, fold=1)
    assert second - first == timedelta(hours=1)
    request = parts([first, second], [30, 30])
    assert [day.minutes for day in days_of(request, "America/New_York", "duration")] == [60]


def test_a_moved_unit_moves_the_date_of_a_part_and_not_of_a_whole_day() -> None:
    part = part_of_a_day(datetime(2027, 3, 8, 23, 30, tzinfo=UTC), 60)
    assert days_of(part, BERLIN, "duration") != days_of(part, "America/New_York", "duration")
    assert days_of(content(), BERLIN, "duration") == days_of(content(), "America/New_York", "duration")


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    stretches=st.lists(
        st.tuples(
            st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)),  # noqa: DTZ001
            st.integers(0, 1440),
            st.integers(0, 1440),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda stretch: stretch[0],
    ),
    minutes=st.sampled_from(["payable", "duration"]),
)
def test_no_minute_is_lost_or_made_and_every_date_comes_once(
    zone: str, stretches: list[tuple[datetime, int, int]], minutes: Minutes
) -> None:
    request = parts(
        [start.replace(tzinfo=UTC) for start, _, _ in stretches],
        [duration for _, duration, _ in stretches],
        payable_minutes=tuple(payable for _, _, payable in stretches),
    )
    days = days_of(request, zone, minutes)
    assert sum(day.minutes for day in days) == sum(
        payable if minutes == "payable" else duration for _, duration, payable in stretches
    )
    dates = [day.date for day in days]
    assert dates == sorted(set(dates))
    assert all(day.minutes > 0 and day.start is not None and not day.whole for day in days)
    span = span_of(request, zone)
    assert span is not None
    assert all(span[0] <= on <= span[1] for on in dates), "compare and search look at all dates booked"


# -- span -------------------------------------------------------------------------------------------------


def test_the_span_covers_all_days_and_the_end_of_a_night() -> None:
    assert span_of(content(dates=(TUESDAY, MONDAY)), None) == (MONDAY, TUESDAY)
    assert span_of(part_of_a_day(local(BERLIN, 2027, 3, 8, 22, 0), 480), BERLIN) == (MONDAY, TUESDAY)


@pytest.mark.parametrize(
    "request_",
    [
        None,
        content(dates=()),
        parts([], []),
    ],
)
def test_a_span_that_cannot_be_told_is_none_and_never_a_crash(request_: RequestContent | None) -> None:
    assert span_of(request_, "America/New_York") is None

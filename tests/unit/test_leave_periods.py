"""Balance periods: each date in exactly one, bounds at local midnight, ids as the document shows them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeoff_leave.periods import EARLIEST, LATEST, RESETS_PER_YEAR, Period, PeriodRule, local_date

DATES = st.dates(EARLIEST, LATEST)
RULES = st.builds(PeriodRule, st.integers(1, 12), st.sampled_from(RESETS_PER_YEAR))


def test_a_year_from_january_has_the_ids_and_bounds_of_the_documents_record() -> None:
    period = PeriodRule(1, 1).period_of(date(2023, 4, 16))
    assert period.id == "2023-01-01-12"
    assert period.balance_id(1404, 10) == "1404-10-2023-01-01"
    start, end = period.bounds("America/New_York")
    assert start.isoformat() == "2023-01-01T00:00:00-05:00"
    assert end.isoformat() == "2024-01-01T00:00:00-05:00"


@pytest.mark.parametrize(
    ("month", "resets", "on", "expected"),
    [
        (1, 1, date(2023, 12, 31), "2023-01-01-12"),
        (1, 1, date(2024, 1, 1), "2024-01-01-12"),
        (4, 1, date(2023, 3, 31), "2022-04-01-12"),
        (4, 1, date(2023, 4, 1), "2023-04-01-12"),
        (12, 1, date(2023, 11, 30), "2022-12-01-12"),
        (1, 2, date(2023, 6, 30), "2023-01-01-6"),
        (1, 2, date(2023, 7, 1), "2023-07-01-6"),
        (4, 2, date(2023, 1, 15), "2022-10-01-6"),
        (2, 3, date(2023, 1, 31), "2022-10-01-4"),
        (3, 4, date(2023, 2, 28), "2022-12-01-3"),
        (2, 6, date(2023, 1, 1), "2022-12-01-2"),
        (7, 12, date(2024, 2, 29), "2024-02-01-1"),
    ],
)
def test_a_period_begins_in_the_reset_month_and_as_often_as_the_policy_says(
    month: int, resets: int, on: date, expected: str
) -> None:
    assert PeriodRule(month, resets).period_of(on).id == expected


@pytest.mark.parametrize(("month", "resets"), [(0, 1), (13, 1), (1, 0), (1, 5), (1, 24)])
def test_resets_that_give_no_whole_months_are_no_rule(month: int, resets: int) -> None:
    with pytest.raises(ValueError):
        PeriodRule(month, resets)


@pytest.mark.parametrize(
    ("zone", "period", "start", "end"),
    [
        # Half-hour zones, with and without DST, and one of 45 minutes.
        (
            "Asia/Kolkata",
            Period(date(2023, 4, 1), 12),
            "2023-04-01T00:00:00+05:30",
            "2024-04-01T00:00:00+05:30",
        ),
        (
            "America/St_Johns",
            Period(date(2023, 1, 1), 6),
            "2023-01-01T00:00:00-03:30",
            "2023-07-01T00:00:00-02:30",
        ),
        (
            "Asia/Kathmandu",
            Period(date(2023, 1, 1), 1),
            "2023-01-01T00:00:00+05:45",
            "2023-02-01T00:00:00+05:45",
        ),
        # Lord Howe moves by half an hour.
        (
            "Australia/Lord_Howe",
            Period(date(2023, 1, 1), 6),
            "2023-01-01T00:00:00+11:00",
            "2023-07-01T00:00:00+10:30",
        ),
        # On 1 October 2017 the clock of Asuncion went from 00:00 to 01:00: the old offset names that instant.
        (
            "America/Asuncion",
            Period(date(2017, 7, 1), 3),
            "2017-07-01T00:00:00-04:00",
            "2017-10-01T00:00:00-04:00",
        ),
    ],
)
def test_bounds_are_local_midnights_with_the_offset_of_that_day(
    zone: str, period: Period, start: str, end: str
) -> None:
    assert tuple(bound.isoformat() for bound in period.bounds(zone)) == (start, end)


@pytest.mark.parametrize(
    "zone", ["Asia/Kolkata", "America/Asuncion", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
)
def test_an_instant_is_in_the_period_of_its_local_date(zone: str) -> None:
    """Bounds and dates say the same: the second before midnight is the old period, midnight the new one."""
    period = PeriodRule(10, 1).period_of(date(2017, 10, 1))
    start, end = (bound.astimezone(UTC) for bound in period.bounds(zone))
    second = timedelta(seconds=1)
    inside = [local_date(at, zone) in period for at in (start - second, start, end - second, end)]
    assert inside == [False, True, True, False]


def test_the_date_is_that_of_the_employees_zone() -> None:
    at = datetime(2024, 1, 1, 3, 0, tzinfo=UTC)
    assert local_date(at, "America/New_York") == date(2023, 12, 31)
    assert local_date(at, "Asia/Kolkata") == date(2024, 1, 1)


@given(rule=RULES, on=DATES)
def test_periods_of_a_rule_join_without_gap_or_overlap(rule: PeriodRule, on: date) -> None:
    period = rule.period_of(on)
    assert on in period
    assert period.months == 12 // rule.resets_per_year
    after = rule.period_of(period.end)
    before = rule.period_of(period.start - timedelta(days=1))
    assert after.start == period.end
    assert before.end == period.start
    starts, cursor = 0, period
    while cursor.start.year == period.start.year:
        cursor = rule.period_of(cursor.end)
    first = cursor
    while cursor.start.year == first.start.year:
        starts += 1
        cursor = rule.period_of(cursor.end)
    assert starts == rule.resets_per_year


@settings(max_examples=200)
@given(needs=st.lists(st.tuples(RULES, st.dates(date(2022, 1, 1), date(2026, 12, 31))), max_size=12))
def test_whatever_policies_follow_each_other_no_date_is_in_two_periods(
    needs: list[tuple[PeriodRule, date]],
) -> None:
    """An employee who changes to other periods keeps those that are open, and ids stay apart."""
    opened: set[Period] = set()
    for rule, on in needs:
        period = rule.period_of(on, opened)
        assert on in period
        assert 1 <= period.months <= 12
        opened.add(period)
    in_order = sorted(opened)
    for earlier, later in pairwise(in_order):
        assert earlier.end <= later.start


def test_after_a_change_of_policy_the_next_period_begins_where_the_open_one_ends() -> None:
    half = Period(date(2023, 1, 1), 6)
    yearly, halves = PeriodRule(1, 1), PeriodRule(1, 2)
    assert yearly.period_of(date(2023, 5, 1), [half]) == half
    assert yearly.period_of(date(2023, 8, 1), [half]).id == "2023-07-01-6"
    assert halves.period_of(date(2023, 8, 1), [Period(date(2023, 1, 1), 12)]).id == "2023-01-01-12"

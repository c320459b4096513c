"""Minutes to a vendor's unit and back: the amounts an employee is charged with are exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.hris import units
from timeoff.hris.port import HrisEntry, TimeOffType, Unit
from timeoff.vocabulary import Day, EntrySpec, EntryStatus

MONDAY = date(2027, 3, 1)
HOURS = TimeOffType("83", "Vacation", Unit.HOURS)
DAYS = TimeOffType("84", "Day off", Unit.DAYS, day_minutes={1: 480, 5: 300, 6: 0}, default_day_minutes=450)
MINUTES = TimeOffType("9", "Flex", Unit.MINUTES, step=Decimal(1))


def part(minutes: int, on: date = MONDAY) -> Day:
    return Day(on, minutes, whole=False)


@pytest.mark.parametrize(
    ("minutes", "hours"),
    [(480, "8"), (456, "7.6"), (20, "0.33"), (40, "0.67"), (1, "0.02"), (0, "0"), (1440, "24"), (97, "1.62")],
)
def test_minutes_become_hours(minutes: int, hours: str) -> None:
    assert units.amount(part(minutes), HOURS) == Decimal(hours)


def test_a_half_step_is_rounded_up_and_not_to_even() -> None:
    half = replace(HOURS, step=Decimal("0.5"))
    assert units.amount(part(15), half) == Decimal("0.5")
    assert units.amount(part(75), half) == Decimal("1.5")
    assert units.amount(part(14), half) == Decimal(0)


def test_a_whole_day_is_one_day_only_where_the_type_says_so() -> None:
    whole = Day(MONDAY, 456, whole=True)
    assert units.amount(whole, DAYS) == Decimal(1)
    assert units.amount(whole, replace(DAYS, whole_day_is_one=False)) == Decimal("0.95")
    assert units.amount(replace(whole, minutes=0), DAYS) == Decimal(0)


def test_the_length_of_a_day_is_that_of_its_weekday_and_never_zero() -> None:
    friday, saturday, sunday = (MONDAY + timedelta(days=n) for n in (4, 5, 6))
    assert units.amount(part(150, friday), DAYS) == Decimal("0.5")
    assert units.amount(part(225, saturday), DAYS) == Decimal("0.5")
    assert units.amount(part(225, sunday), DAYS) == Decimal("0.5")


def test_minutes_stay_minutes() -> None:
    assert units.amount(part(97), MINUTES) == Decimal(97)
    assert units.minutes(Decimal(97), MINUTES, MONDAY) == 97


@given(minutes=st.integers(0, 1440))
def test_hours_with_two_decimals_give_every_minute_back(minutes: int) -> None:
    assert units.minutes(units.amount(part(minutes), HOURS), HOURS, MONDAY) == minutes


@given(minutes=st.integers(0, 1440), on=st.dates(date(2020, 1, 1), date(2035, 1, 1)))
def test_days_with_four_decimals_give_every_minute_back(minutes: int, on: date) -> None:
    fine = replace(DAYS, step=Decimal("0.0001"))
    assert units.minutes(units.amount(part(minutes, on), fine), fine, on) == minutes


@given(
    minutes=st.integers(0, 1440),
    step=st.sampled_from(["0.0001", "0.01", "0.05", "0.125", "0.25", "0.5", "1"]),
)
def test_an_amount_is_a_multiple_of_the_step_and_off_by_half_of_it_at_most(minutes: int, step: str) -> None:
    type_ = replace(HOURS, step=Decimal(step))
    amount = units.amount(part(minutes), type_)
    assert amount % type_.step == 0
    assert abs(amount * 60 - minutes) <= type_.step * 30


def spec(*days: Day) -> EntrySpec:
    return EntrySpec("401", "83", None, EntryStatus.APPROVED, days, "Europe/Berlin")


def entry(**changes: object) -> HrisEntry:
    plain = HrisEntry(
        "7", "401", "83", EntryStatus.APPROVED, Unit.HOURS, {MONDAY: Decimal("8.00")}, MONDAY, MONDAY
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_days_of_amount_zero_are_left_out() -> None:
    sunday = MONDAY - timedelta(days=1)
    assert units.amounts(spec(Day(sunday, 0, whole=True), part(480)), HOURS) == {MONDAY: Decimal(8)}


def test_an_entry_says_the_same_within_the_step_only() -> None:
    wanted = spec(part(480))
    assert units.says(entry(), wanted, HOURS)
    assert units.says(entry(amounts={MONDAY: Decimal("8.009")}), wanted, HOURS)
    assert not units.says(entry(amounts={MONDAY: Decimal("8.01")}), wanted, HOURS)
    assert not units.says(entry(amounts={}), wanted, HOURS)
    extra = {MONDAY: Decimal(8), MONDAY + timedelta(days=1): Decimal("0.5")}
    assert not units.says(entry(amounts=extra), wanted, HOURS)


@pytest.mark.parametrize(
    "difference", [{"employee_id": "402"}, {"type_id": "84"}, {"status": EntryStatus.REQUESTED}]
)
def test_an_entry_of_another_person_type_or_status_says_something_else(
    difference: dict[str, object],
) -> None:
    assert not units.says(entry(**difference), spec(part(480)), HOURS)

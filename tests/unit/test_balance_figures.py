"""Figures: exact arithmetic in the HRIS's unit, one rounding that is told, unknown that is never a number."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.hris.port import Balance, BalanceAsOf, BalanceKind, TimeOffType, Unit
from timeoff_balance.figures import Figure, TypeAsked, Unknown, days_counted, figure
from timeoff_balance.reserved import Effect

ON = date(2025, 4, 2)  # a Wednesday
NOW = datetime(2025, 3, 26, tzinfo=UTC)
HOURS = TimeOffType("83", "Vacation", Unit.HOURS)
DAYS = TimeOffType("84", "Days", Unit.DAYS, day_minutes={3: 450, 5: 300}, default_day_minutes=480)


def balance(amount: str | None, unit: Unit = Unit.HOURS, **more: Any) -> Balance:
    value = None if amount is None else Decimal(amount)
    return Balance("83", ON, value, unit, more.pop("kind", BalanceKind.PROJECTED), **more)


def made(row: Balance, type_: TimeOffType = HOURS, effect: Effect | None = None) -> Figure:
    return figure(row, TypeAsked(type_.id), type_, effect or Effect(), NOW, stale=None)


@pytest.mark.parametrize(
    ("amount", "minutes", "exact"),
    [
        ("160", 9600, None),
        ("7.33", 440, "439.8"),
        ("-1.5", -90, None),
        ("0.0083", 0, "0.498"),
        ("0.0084", 1, "0.504"),
        ("-0.0084", -1, "-0.504"),
        ("0", 0, None),
    ],
)
def test_hours_become_minutes_with_one_rounding_that_is_told(
    amount: str, minutes: int, exact: str | None
) -> None:
    found = made(balance(amount))
    assert found.minutes == minutes
    assert found.rounded_from == (Decimal(exact) if exact else None)
    assert found.amount == Decimal(amount)


def test_days_are_as_long_as_the_day_asked_for() -> None:
    """The sample workflow takes every number for hours: ten days become 600 minutes."""
    assert made(balance("10", Unit.DAYS), DAYS).minutes == 4500


def test_pending_days_are_subtracted_as_days() -> None:
    """A short Friday and a Wednesday are one day each: the HRIS will take two from ten, and so do we."""
    effect = Effect(pending={date(2025, 4, 4): Decimal(1), ON: Decimal(1)})
    found = made(balance("10", Unit.DAYS), DAYS, effect)
    assert found.minutes == 8 * 450
    assert found.pending == 2 * 450


def test_pending_days_of_a_figure_in_minutes_are_as_long_as_each_is() -> None:
    effect = Effect(pending={date(2025, 4, 4): Decimal(1), ON: Decimal(1)})
    found = made(balance("6000", Unit.MINUTES), DAYS, effect)
    assert (found.minutes, found.pending) == (6000 - 300 - 450, 750)


def test_what_is_not_known_is_no_number() -> None:
    found = made(balance(None))
    assert (found.minutes, found.kind, found.unknown) == (None, None, Unknown.NO_BALANCE)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "1e30"])
def test_a_number_that_cannot_be_converted_is_unknown(amount: str) -> None:
    found = made(balance(amount))
    assert (found.minutes, found.amount, found.unknown) == (None, None, Unknown.NOT_A_NUMBER)


def test_an_unlimited_type_is_not_unknown() -> None:
    found = made(balance(None, unlimited=True))
    assert (found.minutes, found.unknown, found.unlimited) == (None, None, True)


def test_which_days_a_figure_counts() -> None:
    assert days_counted(balance("1"), BalanceAsOf.ANY_DATE) == (None, ON)
    assert days_counted(balance("1"), BalanceAsOf.PER_PERIOD) == (None, None)
    assert days_counted(balance("1", kind=BalanceKind.CURRENT_ONLY), BalanceAsOf.CURRENT) == (None, None)
    first, last = date(2025, 1, 1), date(2025, 12, 31)
    bounded = balance("1", first_day=first, last_day=last)
    assert days_counted(bounded, BalanceAsOf.PER_PERIOD) == (first, last)


@given(
    amount=st.decimals(-1000, 1000, places=4),
    pending=st.decimals(0, 100, places=4),
    added=st.decimals(0, 100, places=4),
)
def test_the_result_is_rounded_once(amount: Decimal, pending: Decimal, added: Decimal) -> None:
    effect = Effect(pending={ON: pending}, added_back={ON: added})
    found = made(balance(str(amount)), HOURS, effect)
    exact = (amount - pending + added) * 60
    assert found.minutes is not None
    assert abs(found.minutes - exact) <= Decimal("0.5")
    assert (found.rounded_from is None) == (found.minutes == exact)

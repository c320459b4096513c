"""The balance that a hand-over needs, against what is left on each of its dates."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from timeoff.handover import Handed
from timeoff.hris.port import BalanceKind, TimeOffType, Unit
from timeoff.vocabulary import Day
from timeoff_balance.figures import Figure, TypeAsked, Unknown
from timeoff_balance.flows.checking import Policy, booked_minutes, check
from timeoff_balance.flows.contract import Status

HOURS = TimeOffType("83", "Vacation", Unit.HOURS)
DAYS = TimeOffType("84", "Flex", Unit.DAYS, default_day_minutes=450)
FIRST = date(2025, 3, 29)
STRICT = Policy()


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


def handed(*minutes: int, **changes: Any) -> Handed:
    """A whole day for each number of minutes, one after the other."""
    days = tuple(Day(day(number), each, whole=True) for number, each in enumerate(minutes))
    return replace(Handed("83", None, "PENDING", days), **changes)


def left(number: int, minutes: int | None, **changes: Any) -> Figure:
    """A figure as of a day, which counts what is booked up to it."""
    on = day(number)
    figure = Figure(on, TypeAsked("83"), minutes, BalanceKind.EXACT, Unit.HOURS, counts=(None, on))
    return replace(figure, **changes)


def test_enough_is_enough_to_the_minute() -> None:
    figures = [left(0, 1440), left(1, 1440), left(2, 1440)]
    assert check(handed(480, 480, 480), HOURS, figures, STRICT).refusal is None
    short = check(handed(480, 480, 481), HOURS, figures, STRICT)
    assert short.refusal is not None
    assert (short.refusal.status, short.refusal.code) == (Status.INSUFFICIENT_BALANCE, 200)
    assert short.refusal.message == (
        "Insufficient balance. Date: 2025-03-31. Balance: 1440 minutes. Requested: 1441 minutes."
    )


def test_each_date_has_to_carry_what_is_booked_up_to_it() -> None:
    """An accrual on the last date does not help the dates before."""
    figures = [left(2, 2000), left(0, 900), left(1, 900)]
    refusal = check(handed(480, 480, 480), HOURS, figures, STRICT).refusal
    assert refusal is not None
    assert refusal.message is not None
    assert "Date: 2025-03-30. Balance: 900 minutes. Requested: 960 minutes." in refusal.message


def test_a_figure_that_counts_all_leave_has_to_carry_all() -> None:
    whole = {"counts": (None, None)}
    assert check(handed(480, 480), HOURS, [left(0, 959, **whole)], STRICT).refusal is not None
    assert check(handed(480, 480), HOURS, [left(0, 960, **whole)], STRICT).refusal is None


def test_periods_carry_their_own_days() -> None:
    first, second = {"counts": (day(0), day(0))}, {"counts": (day(1), day(9))}
    figures = [left(0, 480, **first), left(1, 480, **second)]
    assert check(handed(480, 480), HOURS, figures, STRICT).refusal is None
    assert check(handed(480, 481), HOURS, figures, STRICT).refusal is not None


def test_a_whole_day_of_a_type_in_days_takes_the_length_of_a_day() -> None:
    assert booked_minutes(handed(480), DAYS, FIRST) == Decimal(450)
    assert booked_minutes(handed(480), HOURS, FIRST) == Decimal(480)
    part = handed(480, days=(Day(FIRST, 225, whole=False),))
    assert booked_minutes(part, DAYS, FIRST) == Decimal(225)


def test_three_times_450_minutes_lose_nothing() -> None:
    assert check(handed(450, 450, 450), HOURS, [left(n, 1350) for n in range(3)], STRICT).refusal is None
    decided = check(handed(450, 450, 450), HOURS, [left(n, 1349) for n in range(3)], STRICT)
    assert decided.refusal is not None
    assert decided.decision["requested"] == 1350


def test_an_unlimited_type_is_never_refused() -> None:
    for minutes in (None, 0, -480):
        decided = check(handed(480), HOURS, [left(0, minutes, unlimited=True)], STRICT)
        assert decided.refusal is None
        assert decided.decision["check"] == "unlimited"


@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        (Unknown.UNKNOWN_TYPE, 404),
        (Unknown.NO_BALANCE, 404),
        (Unknown.NOT_A_NUMBER, 404),
        (Unknown.NOT_SUPPORTED, 404),
        (Unknown.THROTTLED, 429),
        (Unknown.UNREACHABLE, 503),
        (Unknown.REFUSED, 502),
        (Unknown.NOT_IN_TIME, 408),
        (Unknown.FAILED, 500),
    ],
)
def test_what_nobody_knows_is_refused_with_its_cause_unless_the_type_accepts_it(
    unknown: Unknown, code: int
) -> None:
    figures = [left(0, 480), left(1, None, unknown=unknown)]
    refused = check(handed(480, 480), HOURS, figures, STRICT)
    assert refused.refusal is not None
    assert (refused.refusal.status, refused.refusal.code) == (Status.ERROR, code)
    assert (refused.decision["check"], refused.decision["unknown"]) == ("unknown_refused", unknown.value)
    accepted = check(handed(480, 480), HOURS, figures, Policy(accept_unknown=True))
    assert (accepted.refusal is None) == (unknown is not Unknown.UNKNOWN_TYPE)


def test_every_reason_of_an_unknown_balance_has_an_answer() -> None:
    for unknown in Unknown:
        assert check(handed(480), HOURS, [left(0, None, unknown=unknown)], STRICT).refusal is not None
    assert check(handed(480), HOURS, [left(0, None)], STRICT).refusal is not None


def test_what_is_known_to_be_short_is_short_where_the_unknown_is_accepted() -> None:
    figures = [left(0, 0), left(1, None, unknown=Unknown.NO_BALANCE)]
    refusal = check(handed(480, 480), HOURS, figures, Policy(accept_unknown=True)).refusal
    assert refusal is not None
    assert refusal.status is Status.INSUFFICIENT_BALANCE


def test_an_overdraft_is_recorded() -> None:
    decided = check(handed(480), HOURS, [left(0, 100)], Policy(overdraft=True))
    assert decided.refusal is None
    assert decided.decision == {
        "type_id": "83",
        "status": "PENDING",
        "requested": 480,
        "date": "2025-03-29",
        "balance": 100,
        "check": "overdraft",
    }


def test_an_old_figure_is_used_and_said() -> None:
    since = datetime(2025, 3, 29, 8, tzinfo=UTC)
    figure = left(0, 480, stale=Unknown.UNREACHABLE, as_of=since)
    decided = check(handed(480), HOURS, [figure], STRICT)
    assert decided.refusal is None
    assert decided.decision["known_since"] == since.isoformat()


def test_no_note_is_recorded() -> None:
    for policy in (STRICT, Policy(True, True)):
        for figure in (left(0, 0), left(0, 480), left(0, None, unknown=Unknown.FAILED)):
            decided = check(handed(480, note="my knee"), HOURS, [figure], policy)
            assert "knee" not in str(decided)

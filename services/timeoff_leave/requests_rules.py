"""Rules of leave requests: days, overlap, and which action leads where. No clock and no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from timeoff_leave.errors import not_before
from timeoff_leave.periods import EARLIEST, LATEST

Status = Literal["PENDING", "APPROVED", "DECLINED", "CANCELLED"]
Action = Literal["approve", "decline", "cancel"]

#: Requests that hold dates and days; the others hold nothing.
LIVE: Final[frozenset[Status]] = frozenset({"PENDING", "APPROVED"})

#: Longest stretch of one request. Parental leave fits; a mistyped year does not.
MOST_DAYS: Final = 731

_LEADS_TO: Final[Mapping[Action, Status]] = {
    "approve": "APPROVED",
    "decline": "DECLINED",
    "cancel": "CANCELLED",
}
_FROM: Final[Mapping[Action, frozenset[Status]]] = {
    "approve": frozenset({"PENDING", "DECLINED"}),
    "decline": LIVE,
    "cancel": LIVE,
}


class IllegalMove(Exception):
    """The action is not for a request of this status; the text says so."""


class BadPlan(Exception):
    """Dates, days or start do not fit each other: `field` of the API, and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class LeaveDay:
    """One date of a request; `minutes` 0 to 1440."""

    on: date
    minutes: Decimal


@dataclass(frozen=True, slots=True)
class Plan:
    """When a request is: its range, both ends inclusive, its days in order, the start of a part of a day."""

    start: date
    end: date
    days: tuple[LeaveDay, ...]
    starts_at: datetime | None


def planned(
    start: date,
    end: date,
    days: Iterable[LeaveDay] | None,
    starts_at: datetime | None,
    full_day: Decimal,
) -> Plan:
    """A plan whose parts fit each other. Without days each calendar day of the range is a full one.

    Raises `BadPlan`.
    """
    if not EARLIEST <= start <= LATEST:
        raise BadPlan("startDate", f"This value should be between {EARLIEST} and {LATEST}.")
    if end < start:
        raise BadPlan("endDate", not_before(datetime.combine(start, time())))
    last = min(LATEST, start + timedelta(days=MOST_DAYS - 1))
    if end > last:
        raise BadPlan("endDate", f"This value should be less than or equal to {last}.")
    if days is None:
        if starts_at is not None:
            raise BadPlan("startDateTime", "This value should be blank for whole days.")
        return Plan(start, end, every_day(start, end, full_day), None)
    in_order = tuple(sorted(days, key=lambda day: day.on))
    dates = {day.on for day in in_order}
    if len(dates) != len(in_order):
        raise BadPlan("days", "This collection should contain only unique elements.")
    if any(not start <= on <= end for on in dates):
        raise BadPlan("days", "Each date should be between startDate and endDate.")
    if starts_at is not None and starts_at.date() not in dates:
        raise BadPlan("startDateTime", "This value should be on one of the days.")
    return Plan(start, end, in_order, starts_at)


def every_day(start: date, end: date, full_day: Decimal) -> tuple[LeaveDay, ...]:
    """Each calendar day of a range at a full day, which has `full_day` minutes."""
    count = (end - start).days + 1
    return tuple(LeaveDay(start + timedelta(days=number), full_day) for number in range(count))


def shares(days: Iterable[LeaveDay], full_day: Decimal) -> dict[date, Fraction]:
    """What part of a full day each date is; dates without minutes are left out."""
    return {day.on: Fraction(day.minutes) / Fraction(full_day) for day in days if day.minutes}


def overlaps(new: Mapping[date, Fraction], others: Mapping[date, Fraction]) -> bool:
    """Whether a date would hold more than one full day. `others` is what other live requests hold, summed.

    Parts of one date may be in several requests, as long as they are no more than a full day together.
    """
    return any(others.get(on, 0) and share + others[on] > 1 for on, share in new.items())


def status_after(action: Action, status: Status) -> Status | None:
    """The status that an action leads to; None if it holds already. Raises `IllegalMove`."""
    target = _LEADS_TO[action]
    if status == target:
        return None
    if status not in _FROM[action]:
        raise IllegalMove(f"A {status.lower()} leave request cannot be {target.lower()}.")
    return target

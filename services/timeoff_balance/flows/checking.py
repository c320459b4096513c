"""Is there enough left for what is handed over? Pure: figures in, a decision out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from timeoff.handover import Handed
from timeoff.hris import units
from timeoff.hris.port import TimeOffType
from timeoff_balance.figures import Figure, Unknown
from timeoff_balance.flows.reading import FAILURES
from timeoff_balance.flows.results import Result, failed, insufficient

#: The HRIS answered, and says nothing of this type for this employee.
_ABSENT: Final = frozenset({Unknown.NO_BALANCE, Unknown.NOT_A_NUMBER, Unknown.NOT_SUPPORTED})


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say of a type: `accept_unknown` goes on where nobody knows what is left."""

    accept_unknown: bool = False
    overdraft: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """`refusal` None: it may be handed over. `decision` is what is recorded of it, without notes."""

    refusal: Result | None
    decision: dict[str, Any]


def check(
    handed: Handed,
    type_: TimeOffType,
    figures: Sequence[Figure],
    policy: Policy,
    held: Mapping[date, Decimal] | None = None,
) -> Checked:
    """Against each date of the leave: what is left of it, and what of the leave that number has to carry.
    `held`: minutes by date that are in the number and about to be given back.
    """
    held = held or {}
    asked = {day.date: booked_minutes(handed, type_, day.date) for day in handed.days}
    total = units.whole_minutes(sum(asked.values(), Decimal()))
    facts: dict[str, Any] = {"type_id": handed.type_id, "status": handed.status, "requested": total}
    for figure in sorted(figures, key=lambda figure: figure.on):
        if figure.unlimited:
            return Checked(None, facts | {"check": "unlimited"})
        if figure.unknown is not None or figure.minutes is None:
            unknown = figure.unknown or Unknown.NO_BALANCE
            facts |= {"date": figure.on.isoformat(), "unknown": unknown.value}
            if policy.accept_unknown and unknown is not Unknown.UNKNOWN_TYPE:
                return Checked(None, facts | {"check": "unknown_accepted"})
            return Checked(_unknown(handed, figure.on, unknown), facts | {"check": "unknown_refused"})
        needed = sum((value for on, value in asked.items() if _within(on, figure)), Decimal())
        back = sum((value for on, value in held.items() if _within(on, figure)), Decimal())
        if needed > figure.minutes + back:
            facts |= {"date": figure.on.isoformat(), "balance": figure.minutes}
            if policy.overdraft:
                return Checked(None, facts | {"check": "overdraft"})
            return Checked(
                insufficient(
                    f"Insufficient balance. Date: {figure.on.isoformat()}. Balance: {figure.minutes} minutes."
                    f" Requested: {units.whole_minutes(needed)} minutes."
                ),
                facts | {"check": "insufficient"},
            )
    stale = next((figure.as_of for figure in figures if figure.stale and figure.as_of), None)
    return Checked(None, facts | {"check": "enough"} | ({"known_since": stale.isoformat()} if stale else {}))


def booked_minutes(handed: Handed, type_: TimeOffType, on: date) -> Decimal:
    """What a day of the leave takes in the HRIS, in minutes: a whole day of a type in days takes a day."""
    day = next(day for day in handed.days if day.date == on)
    return units.exact_minutes(units.amount(day, type_), type_.unit, type_, on)


def _within(on: date, figure: Figure) -> bool:
    first, last = figure.counts
    return (first is None or on >= first) and (last is None or on <= last)


def _unknown(handed: Handed, on: date, unknown: Unknown) -> Result:
    if unknown is Unknown.UNKNOWN_TYPE:
        return failed(404, f"{handed.type_id} is not a type of the HRIS")
    if unknown in _ABSENT:
        return failed(404, f"{handed.type_id} was not found in HRIS-Get-Balance result")
    code, words = FAILURES[unknown]
    return failed(code, f"{words}: {on.isoformat()}")


__all__ = ["Checked", "Policy", "booked_minutes", "check"]

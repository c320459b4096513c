"""A figure: what the HRIS says and what the ledger knows, put together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from timeoff.hris import units
from timeoff.hris.port import Balance, BalanceAsOf, BalanceKind, TimeOffType, Unit
from timeoff_balance.reserved import Effect

#: No balance comes near it; beyond lie mistakes, which would only cost memory.
_ABSURD: Final = Decimal(10) ** 9


class Unknown(StrEnum):
    """Why there is no number."""

    UNKNOWN_TYPE = "unknown_type"
    NO_BALANCE = "no_balance"
    NOT_SUPPORTED = "not_supported"
    THROTTLED = "hris_throttled"
    UNREACHABLE = "hris_unreachable"
    REFUSED = "hris_refused"
    NOT_IN_TIME = "not_in_time"
    NOT_A_NUMBER = "not_convertible"
    FAILED = "failed"


class TypeAsked(NamedTuple):
    """A time-off type as a caller names it; `id2` None: whatever second id the HRIS has for it."""

    id: str
    id2: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """What an employee has left of one type on one date.

    `minutes` is None where `unknown` says why, and for an `unlimited` type without a balance in the HRIS.
    What waits is subtracted already: `minutes` is the HRIS's number less `pending` plus `added_back`.
    """

    on: date
    type: TypeAsked
    minutes: int | None
    kind: BalanceKind | None
    unit: Unit | None = None
    #: in the HRIS's unit, exactly as it was answered
    amount: Decimal | None = None
    #: the exact minutes, where `minutes` had to be rounded
    rounded_from: Decimal | None = None
    unlimited: bool = False
    #: minutes accepted in Genesys that the HRIS's number does not hold; subtracted
    pending: int = 0
    #: of `pending`: what the HRIS's number may hold already, because a write is under way
    maybe_counted: int = 0
    #: minutes that are booked and about to be replaced; added
    added_back: int = 0
    #: when the read of the HRIS began, by the database's clock
    as_of: datetime | None = None
    #: first and last of the days whose leave the number counts; None: no bound
    counts: tuple[date | None, date | None] = (None, None)
    #: why the number is only the last known one; None: it is as new as it should be
    stale: Unknown | None = None
    unknown: Unknown | None = None


def days_counted(balance: Balance, as_of: BalanceAsOf) -> tuple[date | None, date | None]:
    """First and last of the days whose leave is in the figure; None: no bound."""
    if balance.first_day is not None or balance.last_day is not None:
        return balance.first_day, balance.last_day
    if as_of is BalanceAsOf.ANY_DATE and balance.kind is not BalanceKind.CURRENT_ONLY:
        return None, balance.on
    return None, None


def figure(
    balance: Balance,
    asked: TypeAsked,
    type_: TimeOffType,
    effect: Effect,
    as_of: datetime,
    *,
    counts: tuple[date | None, date | None] = (None, None),
    stale: Unknown | None,
) -> Figure:
    """The figure of a type whose row the HRIS answered. One rounding, of the result, and it is told."""

    def total(by_date: Mapping[date, Decimal]) -> Decimal:
        """In minutes. Where the figure is in the type's unit, days count as long as the figure's do."""
        if balance.unit is type_.unit:
            return units.exact_minutes(sum(by_date.values(), Decimal()), type_.unit, type_, balance.on)
        return sum(
            (units.exact_minutes(amount, type_.unit, type_, on) for on, amount in by_date.items()), Decimal()
        )

    pending, added = total(effect.pending), total(effect.added_back)
    minutes, exact, why = None, None, None
    if balance.amount is None:
        why = None if balance.unlimited else Unknown.NO_BALANCE
    elif not balance.amount.is_finite() or abs(balance.amount) > _ABSURD:
        why = Unknown.NOT_A_NUMBER
    else:
        exact = units.exact_minutes(balance.amount, balance.unit, type_, balance.on) - pending + added
        minutes = units.whole_minutes(exact)
    return Figure(
        on=balance.on,
        type=asked,
        minutes=minutes,
        kind=None if why else balance.kind,
        unit=balance.unit,
        amount=None if why else balance.amount,
        rounded_from=exact.normalize() if exact is not None and exact != minutes else None,
        unlimited=balance.unlimited,
        pending=units.whole_minutes(pending),
        maybe_counted=units.whole_minutes(total(effect.perhaps)),
        added_back=units.whole_minutes(added),
        as_of=as_of,
        counts=counts,
        stale=stale,
        unknown=why,
    )


def unknown(on: date, asked: TypeAsked, why: Unknown, as_of: datetime | None = None) -> Figure:
    return Figure(on, asked, None, None, unknown=why, as_of=as_of)


__all__ = ["Figure", "TypeAsked", "Unknown", "days_counted", "figure", "unknown"]

"""Minutes to the vendor's unit and back: exact decimals, one rounding, here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from timeoff.hris.port import HrisEntry, TimeOffType, Unit
from timeoff.vocabulary import Day, EntrySpec


def day_length(type_: TimeOffType, on: date) -> int:
    """Minutes of a working day on that date; never 0."""
    return type_.day_minutes.get(on.isoweekday(), 0) or type_.default_day_minutes


def amount(day: Day, type_: TimeOffType) -> Decimal:
    """What is sent for one day, in the type's unit, rounded half up to the type's step."""
    match type_.unit:
        case Unit.MINUTES:
            return Decimal(day.minutes)
        case Unit.HOURS:
            exact = Decimal(day.minutes) / 60
        case Unit.DAYS:
            if day.whole and type_.whole_day_is_one:
                return Decimal(1) if day.minutes else Decimal(0)
            exact = Decimal(day.minutes) / day_length(type_, day.date)
    return (exact / type_.step).quantize(Decimal(1), ROUND_HALF_UP) * type_.step


def amounts(spec: EntrySpec, type_: TimeOffType) -> dict[date, Decimal]:
    """Amount per date in the type's unit; dates that round to 0 are left out."""
    return {day.date: value for day in spec.days if (value := amount(day, type_))}


def exact_minutes(value: Decimal, unit: Unit, type_: TimeOffType, on: date) -> Decimal:
    """An amount in that unit in minutes, not rounded; days by the type's length of that day."""
    match unit:
        case Unit.MINUTES:
            return value
        case Unit.HOURS:
            return value * 60
        case Unit.DAYS:
            return value * day_length(type_, on)


def whole_minutes(exact: Decimal) -> int:
    """Rounded half up, away from 0."""
    return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


def minutes(value: Decimal, type_: TimeOffType, on: date) -> int:
    """The vendor's amount of one date in whole minutes, rounded half up."""
    return whole_minutes(exact_minutes(value, type_.unit, type_, on))


def same_amounts(left: Mapping[date, Decimal], right: Mapping[date, Decimal], step: Decimal) -> bool:
    """No date differs by a whole rounding step or more."""
    dates = left.keys() | right.keys()
    return all(abs(left.get(on, Decimal(0)) - right.get(on, Decimal(0))) < step for on in dates)


def says(entry: HrisEntry, spec: EntrySpec, type_: TimeOffType) -> bool:
    """Does the record say what the spec asks for: employee, type, live status, amount on every date?"""
    return (
        entry.employee_id == spec.employee_id
        and entry.type_id == spec.type_id
        and entry.status == spec.status
        and same_amounts(entry.amounts, amounts(spec, type_), type_.step)
    )

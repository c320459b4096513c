"""Rules of an organisation: an optional pure function that runs before every decision.

A rule sees what is about to be wanted of the HRIS and may skip the request, choose another type, or change
the minutes. It gets no notes, makes no calls and reads no clock: the same request must always get the same
ruling, or every replay would write. Name it in the settings as `sync.rule = "package.module:function"`.

    def no_training(asked: Asked) -> Ruling:
        return Skip("training is not leave") if asked.activity_code_id == "training" else None
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from timeoff.days import MINUTES_A_DAY
from timeoff.errors import SettingsError
from timeoff.vocabulary import Day


@dataclass(frozen=True, slots=True)
class Asked:
    """An exported request as the rule sees it. `days` are sorted, minutes whole, zeros left out."""

    request_id: str
    agent_id: str
    employee_id: str | None
    management_unit_id: str | None
    status: str
    activity_code_id: str | None
    paid: bool | None
    type_id: str
    type_id2: str | None
    days: tuple[Day, ...]


@dataclass(frozen=True, slots=True)
class Skip:
    """Not to be booked. A request that is booked already is held for a person instead."""

    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """Another type, other minutes on some dates (0 leaves a date out), or both."""

    reason: str
    type_id: str | None = None
    type_id2: str | None = None
    minutes: Mapping[date, int] = field(default_factory=dict)


Ruling = Skip | Change | None
Rule = Callable[[Asked], Ruling]


@dataclass(frozen=True, slots=True)
class Ruled:
    """What is to be booked, after the rule; `reason` is the rule's if it changed anything."""

    type_id: str
    type_id2: str | None
    days: tuple[Day, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The rule raised, or answered something that is no ruling; `error` holds no value of the request."""

    error: str


def ruled(rule: Rule | None, asked: Asked) -> Ruled | Skip | Failed:
    """What the rule makes of a request; everybody who has to know it asks here. Raises nothing."""
    if rule is None:
        return Ruled(asked.type_id, asked.type_id2, asked.days)
    try:
        ruling = rule(asked)
    except Exception as error:  # noqa: BLE001 - somebody else's code
        return Failed(type(error).__name__)
    match ruling:
        case None:
            return Ruled(asked.type_id, asked.type_id2, asked.days)
        case Skip():
            return ruling
        case Change(reason, type_id, type_id2, minutes):
            changed = tuple(replace(day, minutes=minutes.get(day.date, day.minutes)) for day in asked.days)
            if any(not 0 <= day.minutes <= MINUTES_A_DAY for day in changed):
                return Failed("minutes outside of 0 to 1440")
            if type_id is None:
                type_id, type_id2 = asked.type_id, asked.type_id2
            return Ruled(type_id, type_id2, tuple(day for day in changed if day.minutes), reason[:200])
        case _:
            return Failed("the rule returned something else")


def load_rule(path: str | None) -> Rule | None:
    """The function named by `package.module:function`. Raises `SettingsError`."""
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        rule = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        missing = f" of {error.name}" if isinstance(error, ModuleNotFoundError) else ""
        why = f"cannot be loaded ({type(error).__name__}{missing}); use package.module:function"
        raise SettingsError([f"sync.rule: {path[:80]!r} {why}"]) from None
    if not callable(rule):
        raise SettingsError([f"sync.rule: {path[:80]!r} is not a function"])
    found: Rule = rule
    return found

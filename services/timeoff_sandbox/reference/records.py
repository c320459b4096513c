"""The values of the reference HRIS: people, types, records and the states they go through.

Amounts are exact decimals in the unit of the type, below 0 in counter entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from timeoff_sandbox.reference.options import Unit

Status = Literal["requested", "approved", "denied", "cancelled", "replaced", "deleted"]
LIVE = frozenset({"requested", "approved"})


class Clock(Protocol):
    """Time as the whole sandbox sees it."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def today(self, zone: str) -> date: ...


class Refusal(Exception):
    """The API's refusal of a call. `details` are further fields of the error, for programs to read."""

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    email: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Type:
    """`allowance` per calendar year in days; None: unlimited. A working day has eight hours."""

    id: str
    name: str
    unit: Unit
    allowance: Decimal | None

    @property
    def day(self) -> Decimal:
        return {"days": Decimal(1), "hours": Decimal(8), "minutes": Decimal(480)}[self.unit]


@dataclass(frozen=True, slots=True)
class Day:
    amount: Decimal
    start: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A record as a caller wants it."""

    employee_id: str
    type_id: str
    status: Status
    days: Mapping[date, Day]
    key: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What a record says from one moment on. `changing`: an accepted write has not taken effect yet."""

    status: Status
    type_id: str
    days: Mapping[date, Day]
    note: str | None
    at: datetime
    changing: bool = False

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def first(self) -> date:
        return min(self.days)

    @property
    def last(self) -> date:
        return max(self.days)


@dataclass(frozen=True, slots=True)
class Pending:
    """An accepted write: takes effect at `due` (monotonic seconds) by calling `effect`, else `refuse`."""

    what: Literal["create", "update", "cancel"]
    due: float
    effect: Callable[[], None]
    refuse: Callable[[], None]


@dataclass(slots=True)
class Record:
    """One record with all states it went through; `written` parallels `states` (monotonic seconds)."""

    id: int
    employee_id: str
    key: str | None
    created_on: date
    by: Literal["api", "hand"]
    counter_of: int | None = None
    replaces: int | None = None
    replaced_by: int | None = None
    states: list[State] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
    pending: Pending | None = None
    comments: list[str] = field(default_factory=list)

    @property
    def now(self) -> State:
        return self.states[-1]

    def as_of(self, moment: float) -> State | None:
        """The last state written at or before the moment (monotonic seconds); None if there was none."""
        for written, state in zip(reversed(self.written), reversed(self.states), strict=True):
            if written <= moment:
                return state
        return None

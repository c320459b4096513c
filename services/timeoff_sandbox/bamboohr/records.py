"""The values the company holds: people, types, policies, requests and what was booked outside requests.

Amounts are exact decimals in the unit of the type, ids are integers as in the published specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

#: The vendor's own spelling of the status of a replaced request.
SUPERCEDED = "superceded"
LIVE = frozenset({"requested", "approved"})


class Clock(Protocol):
    """Time as the whole sandbox sees it."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        ...

    def today(self, zone: str) -> date: ...


class Refusal(Exception):
    """The API's refusal of a call: an HTTP status and a text for the error header."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Person:
    id: int
    email: str | None
    name: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class TimeOffType:
    id: int
    name: str
    units: Literal["hours", "days"]
    policy_type: Literal["accruing", "manual", "discretionary"]
    icon: str | None = "palm-trees"
    #: Opening balance, and what each month adds for accruing policies.
    opening: Decimal = Decimal(0)
    monthly: Decimal = Decimal(0)

    @property
    def policy_id(self) -> int:
        return self.id + 1000


@dataclass(frozen=True, slots=True)
class State:
    """What a request says from one moment on."""

    status: str
    start: date
    end: date
    dates: Mapping[date, Decimal]
    at: datetime
    by_user: int

    @property
    def amount(self) -> Decimal:
        return sum(self.dates.values(), Decimal(0))

    @property
    def live(self) -> bool:
        return self.status in LIVE


@dataclass(slots=True)
class Request:
    """One request with all states it went through; `written` parallels `states` (monotonic seconds)."""

    id: int
    employee_id: int
    type_id: int
    notes: dict[str, str]
    created_at: datetime
    created_on: date
    by: Literal["api", "hand"]
    supersedes: int | None = None
    superseded_by: int | None = None
    states: list[State] = field(default_factory=list)
    written: list[float] = field(default_factory=list)
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


@dataclass(frozen=True, slots=True)
class Booking:
    """An override or adjustment of a balance, outside requests."""

    employee_id: int
    type_id: int
    on: date
    amount: Decimal
    kind: Literal["override", "adjustment"]


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as asked for: by the API after its body was checked, or by a person."""

    employee_id: int
    type_id: int
    status: str
    start: date
    end: date
    dates: Mapping[date, Decimal]
    notes: Mapping[str, str]
    previous: int | None = None

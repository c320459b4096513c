"""What the demo asks of an HRIS: to be started, to be HR's tool, to be spoilt, and to tell the truth.

`hris_bamboohr` and `hris_leave` are the two there are. Nothing here knows the product: truth comes from the
HRIS itself and from what stood before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from timeoff_cli.demo.stage import Stage

#: A document of the sandbox's admin API.
Document = dict[str, Any]
#: Date (ISO) to what is booked on it, in whatever unit the HRIS keeps; days with nothing are left out.
Amounts = dict[str, Decimal]
#: Which calls a fault is about: those that book or change, or those that cancel.
Writes = Literal["book", "cancel"]


@dataclass(frozen=True, slots=True)
class Record:
    """A record of the HRIS as it is now. `claims` is the request id that its key names, where it has one."""

    id: str
    employee_id: str
    type_id: str
    live: bool
    by_hand: bool
    amounts: Amounts
    claims: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """One booking or change that the HRIS carried out for the product. Times in epoch seconds."""

    record_id: str
    amounts: Amounts
    committed_at: float
    called_at: float | None


@dataclass(frozen=True, slots=True)
class Truth:
    """All records, all writes, calls by operation, faults by kind, and what does not add up by itself."""

    records: list[Record]
    writes: list[Write]
    calls: Counter[str]
    faults: Counter[str]
    wrong: list[str] = field(default_factory=list)


class Hris(Protocol):
    """One HRIS of the demo. `open` comes first, then `fill`; the target's settings are known after `open`."""

    #: For people.
    title: str
    #: What it starts on the stage beside PostgreSQL and the sandbox.
    parts: tuple[str, ...]
    #: Does it refuse leave on days that have some already?
    refuses_overlaps: bool
    #: Operations (as in `Truth.calls`) that write.
    writing: frozenset[str]

    def sandbox_options(self) -> Document:
        """Options of the sandbox beside those of Genesys."""
        ...

    async def open(self, stage: Stage) -> None:
        """Start what it needs on the stage."""
        ...

    def target(self) -> str:
        """The table `[hris.acme]` of the settings file."""
        ...

    def secrets(self) -> Mapping[str, str]:
        """What the target's settings need from the environment."""
        ...

    async def fill(self, world: Document) -> Document:
        """Employees, types and balances for the sandbox's world; the world with the ids they have here."""
        ...

    async def book(self, employee_id: str, type_id: str, hours: Mapping[str, Decimal]) -> None:
        """HR books approved leave by hand."""
        ...

    async def change(self, record_id: str, hours: Mapping[str, Decimal]) -> None:
        """HR changes booked leave by hand."""
        ...

    async def refuse(self, employee_id: str) -> None:
        """From now on the product's credentials may not book for this employee."""
        ...

    async def spoil(self, what: Writes, kind: str, times: int, **details: Any) -> None:
        """A fault of the kinds of `timeoff_sandbox.faults` for the next calls of that sort."""
        ...

    async def records(self) -> list[Record]: ...

    async def truth(self) -> Truth: ...

    def amounts(self, version: Document, type_: Document, zone: str) -> Amounts:
        """What a record should hold for this version of a request."""
        ...

    def look_around(self) -> list[str]:
        """Lines for somebody who keeps everything running."""
        ...


def days(version: Document, zone: str) -> list[tuple[str, int, bool]]:
    """Of a request's version: each date in the zone of its unit, payable minutes, and whether it is whole."""
    whole = list(version["dates"])
    dates = whole or [
        datetime.fromisoformat(start.replace("Z", "+00:00")).astimezone(ZoneInfo(zone)).date().isoformat()
        for start in version["partialStarts"]
    ]
    return [(on, minutes, bool(whole)) for on, minutes in zip(dates, version["payableMinutes"], strict=True)]

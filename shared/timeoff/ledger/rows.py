"""Rows of the ledger as values: what intake folds, what the workers decide on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from timeoff.events import RequestContent
from timeoff.vocabulary import REMOVED_STATUSES, Day, EntrySpec, EntryStatus


@dataclass(frozen=True, slots=True)
class RequestView:
    """The Genesys side of a request, as far as it is known.

    `confirmed` is the newest version read over REST, `provisional` a notification acted on before its
    read came. `watermark` is the newest time stamp a notification named; while `unconfirmed`, a read at or
    after it is awaited.
    """

    request_id: str
    agent_id: str
    management_unit_id: str | None = None
    zone: str | None = None
    version: int | None = None
    confirmed: RequestContent | None = None
    confirmed_at: datetime | None = None
    watermark: datetime | None = None
    provisional: RequestContent | None = None
    unconfirmed: bool = False
    missing: bool = False

    @property
    def content(self) -> RequestContent | None:
        """What is wanted now, provisional before confirmed."""
        return self.provisional or self.confirmed

    @property
    def change_confirmed(self) -> bool:
        """Read over REST and not overtaken by anything seen since."""
        return not self.unconfirmed and self.provisional is None and self.confirmed is not None

    @property
    def removal_confirmed(self) -> bool:
        """DENIED or CANCELED, read over REST and not overtaken by anything seen since."""
        return (
            self.change_confirmed and self.confirmed is not None and self.confirmed.status in REMOVED_STATUSES
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One HRIS record of a request, pinned as it was written or adopted."""

    booking: int
    part: int
    target: str
    spec: EntrySpec
    fingerprint: str
    vendor_id: str
    chain: tuple[str, ...]
    live: bool
    adopted: bool = False
    #: False while the HRIS has accepted the last write but does not show it yet
    effective: bool = True
    #: seconds since it was written or adopted, by the database's clock
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Intent:
    """A write that was announced. Open until settled; `deadline` is by the database's clock."""

    intent_id: UUID
    request_pk: int
    kind: str
    booking: int
    part: int
    write_no: int
    spec: EntrySpec | None
    previous: EntrySpec | None
    vendor_id: str | None
    repeat: bool
    created_at: datetime
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Look:
    """One search after a doubt: when it began and which records it saw."""

    at: datetime
    vendor_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Case:
    """A due request with all that `decide` needs from the ledger."""

    request_pk: int
    lane_id: int
    epoch: int
    org: str
    target: str
    employee_id: str
    view: RequestView
    revision: int
    state: str
    reason: str | None
    look_first: bool
    booking: int
    writes: int
    attempts: int
    done_by_hand: bool
    #: the last write of this request was in doubt and settled as not written
    doubted: bool
    #: when to look for a twin that arrived late, after a doubt
    audit_at: datetime | None
    audit_due: bool
    linked_employee_id: str | None
    #: a write of this request ended in a doubt that only an operator's retry releases
    unsettled: bool = False
    entries: tuple[Entry, ...] = ()
    #: dates frozen by an unsettled doubt of another request of this employee
    frozen: frozenset[date] = frozenset()

    @property
    def live_entries(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.live)

    @property
    def settling(self) -> Entry | None:
        """The entry whose last write was accepted and is not in effect yet, if there is one."""
        return next((entry for entry in self.entries if not entry.effective), None)

    def entry(self, booking: int, part: int) -> Entry:
        """Raises `LookupError`."""
        for entry in self.entries:
            if (entry.booking, entry.part) == (booking, part):
                return entry
        raise LookupError(f"no entry {booking}/{part}")


def spec_to_json(spec: EntrySpec) -> dict[str, Any]:
    """A spec as JSON for the ledger; the note is left out, it is never needed again."""
    return {
        "employee_id": spec.employee_id,
        "type_id": spec.type_id,
        "type_id2": spec.type_id2,
        "status": spec.status.value,
        "zone": spec.zone,
        "ruled": spec.ruled,
        "days": [
            {
                "date": day.date.isoformat(),
                "minutes": day.minutes,
                "whole": day.whole,
                "start": day.start.isoformat() if day.start else None,
            }
            for day in spec.days
        ],
    }


def spec_from_json(text: str | dict[str, Any]) -> EntrySpec:
    data = json.loads(text) if isinstance(text, str) else text
    return EntrySpec(
        employee_id=data["employee_id"],
        type_id=data["type_id"],
        type_id2=data["type_id2"],
        status=EntryStatus(data["status"]),
        zone=data["zone"],
        ruled=data.get("ruled"),
        days=tuple(
            Day(
                date.fromisoformat(day["date"]),
                day["minutes"],
                day["whole"],
                time.fromisoformat(day["start"]) if day["start"] else None,
            )
            for day in data["days"]
        ),
    )

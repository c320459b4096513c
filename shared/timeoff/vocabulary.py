"""The nouns of the product as frozen values. Their meaning in words: docs/glossary.md.

Minutes are whole and never negative. Dates are those of the management unit, zones IANA names.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum


class RequestStatus(StrEnum):
    """Status of a Genesys time-off request. Values unknown today are kept as plain strings."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DENIED = "DENIED"
    CANCELED = "CANCELED"


#: Only these remove an entry, and only from a newer confirmed version (invariant 6).
REMOVED_STATUSES = frozenset({RequestStatus.DENIED, RequestStatus.CANCELED})


class IntegrationStatus(StrEnum):
    """What Genesys shows a supervisor about the HRIS side of a request (genesys-cloud: time-off REST)."""

    PROCESSING = "Processing"
    ERROR = "Error"
    AUTOMATICALLY_COMPLETE = "AutomaticallyComplete"
    MANUALLY_COMPLETE = "ManuallyComplete"


class EntryStatus(StrEnum):
    """Status of an entry in the HRIS, in the words all adapters share."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


#: An entry in one of these takes time from the employee, or will once approved.
LIVE_ENTRY_STATUSES = frozenset({EntryStatus.REQUESTED, EntryStatus.APPROVED})


class ObservationSource(StrEnum):
    """Where an observation comes from. All but `stream` are REST reads and carry a version."""

    STREAM = "stream"
    BACKFILL = "backfill"
    SWEEP = "sweep"
    CONFIRM = "confirm"


class WritePath(StrEnum):
    """Who tells the HRIS of a request: what the listener sees of it, or the workflows of Genesys."""

    EVENTS = "events"
    FLOWS = "flows"


class WriteMode(StrEnum):
    """State of a deployment: `shadow` plans and writes nothing, `live` writes."""

    SHADOW = "shadow"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Day:
    """Time off on one date. `whole` means that the whole working day was asked for.

    `start` is the local clock time at which a part of a day begins; None for whole days.
    """

    date: date
    minutes: int
    whole: bool
    start: time | None = None


@dataclass(frozen=True, slots=True)
class EntrySpec:
    """What an entry in the HRIS is to say. Everything else (first day, sum) is derived.

    `days` is sorted by date and dates are distinct. `note` is what the employee wrote and is None unless
    notes are copied; `ruled` is the reason of the rule that changed the spec. Neither takes part in the
    fingerprint.
    """

    employee_id: str
    type_id: str
    type_id2: str | None
    status: EntryStatus
    days: tuple[Day, ...]
    zone: str
    note: str | None = None
    ruled: str | None = None

    @property
    def first_day(self) -> date:
        return self.days[0].date

    @property
    def last_day(self) -> date:
        return self.days[-1].date

    @property
    def fingerprint(self) -> str:
        """Same fingerprint: nothing would change in the HRIS."""
        parts = [self.employee_id, self.type_id, self.type_id2 or "", self.status]
        for day in self.days:
            start = day.start.isoformat() if day.start else ""
            parts.append(f"{day.date}/{day.minutes}/{'w' if day.whole else 'p'}/{start}")
        return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class EntryKey:
    """Our stable name for one booking of one request; unique over organisations and targets.

    `deployment` is the id of the installation, so that two of them never take each other's entries.
    `booking` counts from 1 and grows when a request is approved again after a cancel. `part` counts the
    entries of one booking from 1; it grows past 1 only where the HRIS holds one day per entry.
    """

    deployment: str
    org: str
    request_id: str
    booking: int
    part: int = 1

    def __str__(self) -> str:
        part = f"/{self.part}" if self.part > 1 else ""
        return f"{self.request_id}/{self.booking}{part}"

    @property
    def marker(self) -> str:
        """Short text that marks the entry where the vendor only has free text: `wfm:1a2b3c4d5e6f7a8b`.

        Sixteen hex digits of a digest: collisions are not a practical concern within one employee.
        """
        names = (self.deployment, self.org, self.request_id, str(self.booking))
        text = "\x1f".join(names if self.part == 1 else (*names, str(self.part)))
        return "wfm:" + hashlib.sha256(text.encode()).hexdigest()[:16]


__all__ = [
    "LIVE_ENTRY_STATUSES",
    "REMOVED_STATUSES",
    "Day",
    "EntryKey",
    "EntrySpec",
    "EntryStatus",
    "IntegrationStatus",
    "ObservationSource",
    "RequestStatus",
    "WriteMode",
    "WritePath",
]

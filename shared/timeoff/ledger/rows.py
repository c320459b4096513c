"""Rows of the ledger as values: what intake folds, what the workers decide on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from timeoff.events import RequestContent
from timeoff.handover import Handed
from timeoff.vocabulary import REMOVED_STATUSES, Day, EntrySpec, EntryStatus, WritePath


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
    #: who books it, as recorded
    write_path: WritePath = WritePath.EVENTS
    #: what a workflow handed over last, under which id, and how many seconds ago
    handed: Handed | None = None
    handover_id: str | None = None
    handed_age: float = 0.0
    #: id of a record that a workflow named: taken over before anything is written
    adopt: str | None = None
    #: the name under which it is booked, where that is not the request's id
    entry_key: str | None = None
    #: something was handed over, or was seen in Genesys, that may be the same leave
    near: bool = False
    #: requests seen in Genesys that may each be what was handed over
    rivals: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What stands for this request in `EntryKey`; never changes once something was written."""
        return self.entry_key or self.view.request_id

    @property
    def bound(self) -> bool:
        """False: handed over, and not seen in Genesys yet."""
        return self.handover_id != self.view.request_id

    @property
    def order(self) -> Handed | None:
        """What was handed over, where that is what counts; None: what Genesys shows counts."""
        # What was booked for a workflow and Genesys never showed has nobody else who could say.
        if self.write_path is WritePath.FLOWS or (not self.bound and self.live_entries):
            return self.handed
        return None

    @property
    def status(self) -> str | None:
        """What is wanted now; None while nothing is known."""
        if self.order is not None:
            return self.order.status
        return self.view.content.status if self.view.content else None

    @property
    def change_confirmed(self) -> bool:
        """Nothing newer is awaited. A workflow's word is Genesys' own, so it needs no read."""
        return self.order is not None or self.view.change_confirmed

    @property
    def removal_confirmed(self) -> bool:
        """DENIED or CANCELED, and no doubt about it."""
        return self.order.removed if self.order is not None else self.view.removal_confirmed

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
        "days": _days_to_json(spec.days),
    }


def handed_to_json(handed: Handed) -> dict[str, Any]:
    """What was handed over as JSON for the ledger; its note, if any, waits there for its write."""
    return {
        "type_id": handed.type_id,
        "type_id2": handed.type_id2,
        "status": handed.status,
        "days": _days_to_json(handed.days),
        "note": handed.note,
    }


def handed_from_json(text: str) -> Handed:
    data = json.loads(text)
    return Handed(
        type_id=data["type_id"],
        type_id2=data.get("type_id2"),
        status=data["status"],
        days=_days_from_json(data["days"]),
        note=data.get("note"),
    )


def _days_to_json(days: Iterable[Day]) -> list[dict[str, Any]]:
    return [
        {
            "date": day.date.isoformat(),
            "minutes": day.minutes,
            "whole": day.whole,
            "start": day.start.isoformat() if day.start else None,
        }
        for day in days
    ]


def _days_from_json(days: Iterable[Mapping[str, Any]]) -> tuple[Day, ...]:
    return tuple(
        Day(
            date.fromisoformat(day["date"]),
            day["minutes"],
            day["whole"],
            time.fromisoformat(day["start"]) if day.get("start") else None,
        )
        for day in days
    )


def spec_from_json(text: str | dict[str, Any]) -> EntrySpec:
    data = json.loads(text) if isinstance(text, str) else text
    return EntrySpec(
        employee_id=data["employee_id"],
        type_id=data["type_id"],
        type_id2=data["type_id2"],
        status=EntryStatus(data["status"]),
        zone=data["zone"],
        ruled=data.get("ruled"),
        days=_days_from_json(data["days"]),
    )

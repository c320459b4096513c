"""Leave requests: what a record says, how far it says what was asked, and what is sent. Pure.

A `customId` is the text of an entry's key; notes are compared here and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, SecretStr

from timeoff.hris.documents import Document, Id
from timeoff.hris.port import HrisEntry, Unit
from timeoff.hris.tracktik.wire import Reference, read_record, read_records, unwrap
from timeoff.vocabulary import LIVE_ENTRY_STATUSES, EntryKey, EntrySpec, EntryStatus

#: A word that is not here is taken as live: such a record is compared and held for a person, never booked
#: over.
STATUSES: Final[Mapping[str, EntryStatus]] = {
    "pending": EntryStatus.REQUESTED,
    "approved": EntryStatus.APPROVED,
    "declined": EntryStatus.DENIED,
    "denied": EntryStatus.DENIED,
    "cancelled": EntryStatus.CANCELLED,
    "canceled": EntryStatus.CANCELLED,
}
_WORDS: Final = {EntryStatus.REQUESTED: "PENDING", EntryStatus.APPROVED: "APPROVED"}

#: As long as `customId` and `reason` may be.
KEY_LENGTH: Final = 64
REASON_LENGTH: Final = 255

_KEY: Final = re.compile(r"([^/\s]+)/([1-9][0-9]{0,5})(?:/([1-9][0-9]{0,5}))?")


def read_key(text: str | None, deployment: str, org: str) -> EntryKey | None:
    """The key that a `customId` is; None for those that other systems gave."""
    match = _KEY.fullmatch(text or "")
    if match is None:
        return None
    request_id, booking, part = match.groups()
    key = EntryKey(deployment, org, request_id, int(booking), int(part or 1))
    return key if str(key) == text else None


def write_key(key: EntryKey) -> str:
    """The `customId` of a key. Raises `ValueError` if it could not be kept or not be read back."""
    text = str(key)
    if len(text) > KEY_LENGTH:
        raise ValueError(f"the id of the request is too long for customId ({KEY_LENGTH} characters)")
    if read_key(text, key.deployment, key.org) != key:
        raise ValueError("the id of the request holds a slash or a space, which a customId cannot tell apart")
    return text


class _Day(Document):
    date: date
    minutes: Annotated[Decimal, Field(ge=0, le=1440)]


def _note(value: object) -> object:
    return value if isinstance(value, str) else None


class Request(Document):
    """One leave request. `days` is None where the record does not say how long each day is."""

    id: Id
    customId: str | None = None
    employee: Reference
    leaveType: Reference
    leavePolicy: Reference | None = None
    status: str
    startDate: date
    endDate: date
    startDateTime: datetime | None = None
    days: list[_Day] | None = None
    timeZone: str | None = None
    createdOn: datetime | None = None
    reason: Annotated[SecretStr | None, BeforeValidator(_note)] = None

    @property
    def entry_status(self) -> EntryStatus:
        return STATUSES.get(self.status.strip().lower(), EntryStatus.REQUESTED)

    @property
    def live(self) -> bool:
        return self.entry_status in LIVE_ENTRY_STATUSES

    @property
    def minutes(self) -> dict[date, Decimal]:
        return {day.date: day.minutes for day in self.days or () if day.minutes}

    def entry(self, deployment: str | None, org: str | None) -> HrisEntry:
        """As the port shows it. Without the names of whose records are ours there is no marker."""
        key = read_key(self.customId, deployment or "", org or "") if deployment is not None else None
        return HrisEntry(
            vendor_id=self.id,
            employee_id=self.employee,
            type_id=self.leaveType,
            type_id2=self.leavePolicy,
            status=self.entry_status,
            unit=Unit.MINUTES,
            amounts=dict(sorted(self.minutes.items())),
            first_day=self.startDate,
            last_day=self.endDate,
            marker=key.marker if key else None,
            created_on=self.createdOn.date() if self.createdOn else None,
        )

    def differences(self, spec: EntrySpec, minutes: Mapping[date, Decimal]) -> list[str]:
        """Fields in which the record does not say what the spec asks for."""
        start = start_of(spec, minutes)
        kept = self.startDateTime.replace(tzinfo=None) if self.startDateTime else None
        differ = {
            "employee": self.employee != spec.employee_id,
            "leaveType": self.leaveType != spec.type_id,
            "status": self.entry_status != spec.status,
            "startDate": self.startDate != min(minutes),
            "endDate": self.endDate != max(minutes),
            "startDateTime": kept != start,
            "days": self.minutes != dict(minutes),
        }
        return [name for name, differs in differ.items() if differs]

    def keeps(self, note: str) -> bool:
        """Is the note there as it was sent, but for spaces at its ends?"""
        return self.reason is not None and self.reason.get_secret_value().strip() == note.strip()


def read_request(document: Any) -> Request:
    record = unwrap(document)
    if isinstance(record, list) and len(record) == 1:
        record = record[0]
    return read_record(Request, record, "leave request")


def read_requests(items: Sequence[Any]) -> list[Request]:
    return read_records(Request, items, "leave request")


def start_of(spec: EntrySpec, minutes: Mapping[date, Decimal]) -> datetime | None:
    """When the first part of a day begins; a leave request holds one such time."""
    starts = [datetime.combine(day.date, day.start) for day in spec.days if day.start and day.date in minutes]
    return starts[0] if starts else None


def loses_starts(spec: EntrySpec, minutes: Mapping[date, Decimal]) -> bool:
    """Do parts of days begin at several clock times, of which only the first is kept?"""
    return len({day.start for day in spec.days if day.start and day.date in minutes}) > 1


def write_request(spec: EntrySpec, minutes: Mapping[date, Decimal], note: str | None) -> dict[str, Any]:
    """The fields that a create and a PATCH share. `minutes` is not empty. Without a note none is touched."""
    start = start_of(spec, minutes)
    body: dict[str, Any] = {
        "leaveType": int(spec.type_id),
        "startDate": min(minutes).isoformat(),
        "endDate": max(minutes).isoformat(),
        "startDateTime": start.isoformat(timespec="seconds") if start else None,
        "days": [{"date": on.isoformat(), "minutes": int(minutes[on])} for on in sorted(minutes)],
    }
    if note:
        body["reason"] = note
    return body


def write_new(key: str, spec: EntrySpec, minutes: Mapping[date, Decimal], note: str | None) -> dict[str, Any]:
    return {
        "customId": key,
        "employee": int(spec.employee_id),
        "status": _WORDS[spec.status],
        **write_request(spec, minutes, note),
    }

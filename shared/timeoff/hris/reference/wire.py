"""What the reference HRIS sends and takes. Pure: no I/O, no clock.

Every reader raises `ValueError` with a text that names fields and never values. Notes are looked at for our
mark and dropped at once, so that nothing behind this module can print them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from timeoff.events import describe
from timeoff.hris.documents import Amount, Document
from timeoff.hris.marker import read_mark, write_mark
from timeoff.hris.port import Balance, BalanceKind, Employee, HrisEntry, TimeOffType, Unit
from timeoff.vocabulary import EntryKey, EntrySpec, EntryStatus

STATUSES: Mapping[str, EntryStatus] = {
    "requested": EntryStatus.REQUESTED,
    "approved": EntryStatus.APPROVED,
    "denied": EntryStatus.DENIED,
    "cancelled": EntryStatus.CANCELLED,
    "replaced": EntryStatus.SUPERSEDED,
}
_KEY = re.compile(r"([^/]+)/(\d{1,9})(?:/(\d{1,9}))?")


class _Day(Document):
    date: date
    amount: Amount


class _Record(Document):
    id: str
    employeeId: str
    typeId: str
    unit: Unit
    status: str
    days: list[_Day]
    changing: bool = False
    key: str | None = None
    note: str | None = None
    counterOf: str | None = None
    createdOn: date | None = None


class _Person(Document):
    id: str
    email: str | None = None


class _Type(Document):
    id: str
    name: str
    unit: Unit


class _Balance(Document):
    typeId: str
    unit: Unit
    amount: Amount | None
    projected: bool = False
    unlimited: bool = False
    periodStart: date | None = None
    periodEnd: date | None = None


class _Answer(Document):
    employees: list[_Person] | None = None
    types: list[_Type] | None = None
    balances: list[_Balance] | None = None
    entries: list[_Record] | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A record as shown: the entry, the key it carries and the record that it counters."""

    entry: HrisEntry
    key: str | None
    counter_of: str | None


def read_employees(document: Any) -> list[Employee]:
    return [Employee(each.id, each.email) for each in _list(_read(document).employees)]


def read_types(document: Any, step: Decimal, day_minutes: int) -> list[TimeOffType]:
    return [
        TimeOffType(each.id, each.name, each.unit, step=step, default_day_minutes=day_minutes)
        for each in _list(_read(document).types)
    ]


def read_balances(document: Any, on: date, current_only: bool) -> list[Balance]:
    def kind(row: _Balance) -> BalanceKind:
        if current_only:
            return BalanceKind.CURRENT_ONLY
        return BalanceKind.PROJECTED if row.projected else BalanceKind.EXACT

    return [
        Balance(
            row.typeId,
            on,
            row.amount,
            row.unit,
            kind(row),
            unlimited=row.unlimited,
            first_day=row.periodStart,
            last_day=row.periodEnd,
        )
        for row in _list(_read(document).balances)
    ]


def read_records(document: Any) -> list[Shown]:
    """A listing. One record that cannot be read fails the whole: a part would look like absence."""
    return [_shown(each) for each in _list(_read(document).entries)]


def read_id(document: Any) -> str:
    """The id in the answer to a write."""
    found = document.get("id") if isinstance(document, dict) else None
    if not isinstance(found, str) or not found:
        raise ValueError("no id")
    return found


def _list(part: list[Any] | None) -> list[Any]:
    if part is None:
        raise ValueError("not the list that was asked for")
    return part


def _read(document: Any) -> _Answer:
    try:
        return _Answer.model_validate(document)
    except ValidationError as error:
        raise ValueError(describe(error)) from None


def _shown(record: _Record) -> Shown:
    mark = read_mark(record.note or "")
    days = {day.date: day.amount for day in record.days}
    if not days:
        raise ValueError("an entry without days")
    entry = HrisEntry(
        vendor_id=record.id,
        employee_id=record.employeeId,
        type_id=record.typeId,
        # A word that is not known is taken as live: such a record is compared, never booked over.
        status=STATUSES.get(record.status, EntryStatus.REQUESTED),
        unit=record.unit,
        amounts={on: amount for on, amount in sorted(days.items()) if amount},
        first_day=min(days),
        last_day=max(days),
        marker=mark.marker if mark else None,
        revision=mark.revision if mark else None,
        created_on=record.createdOn,
        changing=record.changing,
    )
    return Shown(entry, record.key, record.counterOf)


def named(shown: Iterable[Shown], key: EntryKey) -> list[Shown]:
    """With markers made from the keys of records whose note lost its mark.

    A key does not name deployment and organisation, so it is read as one of the asking deployment.
    """
    return [
        replace(each, entry=replace(each.entry, marker=marker))
        if each.entry.marker is None and (marker := _marker(each.key, key))
        else each
        for each in shown
    ]


def _marker(text: str | None, key: EntryKey) -> str | None:
    match = _KEY.fullmatch(text or "")
    if match is None:
        return None
    part = int(match[3] or 1)
    return EntryKey(key.deployment, key.org, match[1], int(match[2]), part).marker


def net(shown: Iterable[Shown]) -> list[HrisEntry]:
    """Records and their counter entries as the port shows them (see `HrisEntry`).

    A counter entry counts from its approval on, unless it was countered itself. The first that counts
    cancels its record and is not shown; a further one is a live record; those that wait or were refused are
    not shown.
    """
    records = {each.entry.vendor_id: each for each in shown}
    against: dict[str, list[Shown]] = {}
    for each in sorted(records.values(), key=lambda each: (len(each.entry.vendor_id), each.entry.vendor_id)):
        if each.counter_of is not None:
            against.setdefault(each.counter_of, []).append(each)

    def counting(vendor_id: str) -> list[Shown]:
        return [
            each
            for each in against.get(vendor_id, ())
            if each.entry.status is EntryStatus.APPROVED and not counting(each.entry.vendor_id)
        ]

    entries = []
    for each in records.values():
        entry = each.entry
        if each.counter_of is not None:
            if entry.status is not EntryStatus.APPROVED:
                continue
            if counting(each.counter_of)[:1] == [each]:
                continue
        if entry.live and counting(entry.vendor_id):
            entry = replace(entry, status=EntryStatus.CANCELLED)
        entries.append(entry)
    return entries


def write_record(
    key: EntryKey,
    revision: int,
    spec: EntrySpec,
    amounts: Mapping[date, Decimal],
    *,
    with_key: bool,
    with_starts: bool,
) -> dict[str, Any]:
    """Body of a create or a change. `amounts` is not empty."""
    starts = {day.date: day.start for day in spec.days if day.start and with_starts}
    note = write_mark(key, revision)
    return {
        "employeeId": spec.employee_id,
        "typeId": spec.type_id,
        "status": str(spec.status),
        "days": [
            {"date": on.isoformat(), "amount": f"{amounts[on]:f}"}
            | ({"start": f"{start:%H:%M}"} if (start := starts.get(on)) else {})
            for on in sorted(amounts)
        ],
        "note": f"{spec.note}\n{note}" if spec.note else note,
    } | ({"key": str(key)} if with_key else {})


def write_cancel(key: EntryKey, vendor_id: str, reason: str, *, with_key: bool) -> dict[str, Any]:
    """Body of a cancel. A counter entry carries a key of its own: one per record that it counters."""
    body = {"note": f"{reason}\n{write_mark(key)}"}
    return body | ({"key": f"{key}/cancel/{vendor_id}"} if with_key else {})

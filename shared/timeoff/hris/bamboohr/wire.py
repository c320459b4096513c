"""What BambooHR sends and takes, read tolerantly and written exactly. Pure: no I/O, no clock.

Numbers come as JSON numbers or as strings, depending on field and age of the account (recorded answers
differ from the published OpenAPI); empty objects come as `[]`. Both are read. Notes are looked at for our
mark and dropped at once, so that nothing behind this module can print them.

Every reader raises `ValueError` with a text that names fields and never values.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from timeoff.events import describe
from timeoff.hris.documents import Document, Id, is_id, parse
from timeoff.hris.marker import Mark, read_mark
from timeoff.hris.port import Balance, BalanceKind, Employee, HrisEntry, TimeOffType, Unit
from timeoff.vocabulary import EntrySpec, EntryStatus

#: `superceded` is BambooHR's own spelling; `declined` and `denied` are the same thing to it. A word that is
#: not here is taken as live: such a record is compared and held for a person, never booked over.
STATUSES: Mapping[str, EntryStatus] = {
    "requested": EntryStatus.REQUESTED,
    "approved": EntryStatus.APPROVED,
    "denied": EntryStatus.DENIED,
    "declined": EntryStatus.DENIED,
    "canceled": EntryStatus.CANCELLED,
    "cancelled": EntryStatus.CANCELLED,
    "superceded": EntryStatus.SUPERSEDED,
    "superseded": EntryStatus.SUPERSEDED,
}

_UNITS = {"hours": Unit.HOURS, "days": Unit.DAYS}

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

#: No amount of one day comes near it; beyond lie mistakes and numbers that only cost memory.
_ABSURD = Decimal(100_000)


def _decimal(value: object) -> Decimal:
    """A number or its text; nothing (null, empty) is 0."""
    if value is None or value == "":
        return Decimal(0)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError("not a number")
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError("not a number") from None
    # Not `abs`: it rounds, and the largest numbers have nothing to be rounded up to.
    if not number.is_finite() or number.copy_abs() > _ABSURD:
        raise ValueError("no sensible number")
    return number


def _figure(value: object) -> Decimal | None:
    """A balance: nothing is not 0."""
    return None if value is None or value == "" else _decimal(value)


def _map(value: object) -> object:
    """PHP's empty array stands for an empty object."""
    return {} if value is None or value == [] else value


def _mark(value: object) -> Mark | None:
    """The mark in the manager's note; the notes themselves end here."""
    if isinstance(value, dict):
        text = value.get("manager")
        return read_mark(text) if isinstance(text, str) else None
    if isinstance(value, list):
        for note in value:
            if isinstance(note, dict) and note.get("from") == "manager" and isinstance(note.get("note"), str):
                return read_mark(note["note"])
    return None


Number = Annotated[Decimal, BeforeValidator(_decimal)]


class _Status(Document):
    status: str


class _Kind(Document):
    id: Id = ""


class _Amount(Document):
    unit: str = ""
    amount: Number = Decimal(0)


class _Request(Document):
    """One time-off request as the listing shows it."""

    id: Id
    employeeId: Id
    status: _Status
    start: date
    end: date
    created: str | None = None
    type: Annotated[_Kind, BeforeValidator(_map)] = _Kind()
    amount: Annotated[_Amount, BeforeValidator(_map)] = _Amount()
    dates: Annotated[dict[date, Number], BeforeValidator(_map)] = Field(default_factory=dict)
    mark: Annotated[Mark | None, BeforeValidator(_mark)] = Field(None, alias="notes")

    def entry(self) -> HrisEntry:
        # Without a breakdown the whole amount belongs to the first day (BambooHR API reference, create).
        dates = self.dates or {self.start: self.amount.amount}
        return HrisEntry(
            vendor_id=self.id,
            employee_id=self.employeeId,
            type_id=self.type.id,
            status=STATUSES.get(self.status.status.strip().lower(), EntryStatus.REQUESTED),
            # A unit unknown today belongs to a type that `read_types` leaves out: never equal, so held.
            unit=_UNITS.get(self.amount.unit.strip().lower(), Unit.HOURS),
            amounts={on: amount for on, amount in sorted(dates.items()) if amount},
            first_day=self.start,
            last_day=self.end,
            marker=self.mark.marker if self.mark else None,
            revision=self.mark.revision if self.mark else None,
            created_on=_day(self.created),
        )


def _day(text: str | None) -> date | None:
    """`created` is a date; some accounts add a time."""
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None


def read_requests(document: Any) -> list[HrisEntry]:
    """The listing. One record that cannot be read fails the whole: a part would look like absence."""
    if document in ({}, None):
        return []
    if not isinstance(document, list):
        raise ValueError("time-off requests: not a list")
    entries = []
    for index, item in enumerate(document):
        try:
            entries.append(_Request.model_validate(item).entry())
        except ValidationError as error:
            raise ValueError(f"time-off request {index}: {describe(error)}") from None
    return entries


class _Person(Document):
    id: Id
    workEmail: str | None = None


class _Directory(Document):
    employees: list[_Person]


def read_directory(document: Any) -> list[Employee]:
    """The people. Raises `LookupError` if none of them shows a `workEmail` field at all."""
    try:
        people = _Directory.model_validate(document).employees
    except ValidationError as error:
        raise ValueError(f"directory: {describe(error)}") from None
    if people and not any("workEmail" in person.model_fields_set for person in people):
        raise LookupError("workEmail")
    return [Employee(person.id, (person.workEmail or "").strip() or None) for person in people]


class _Type(Document):
    id: Id
    name: str
    units: str


class _Hours(Document):
    name: str
    amount: Number


class _Types(Document):
    timeOffTypes: list[_Type]
    defaultHours: Annotated[list[_Hours], BeforeValidator(lambda value: value or [])] = Field(
        default_factory=list
    )


def read_types(
    document: Any, *, steps: Mapping[Unit, Decimal], day_minutes: int, whole_day_is_one: bool
) -> list[TimeOffType]:
    """The types; `defaultHours`, company-wide hours by weekday, become the length of the working days.

    A type in a unit unknown today cannot be booked and is left out.
    """
    try:
        types = _Types.model_validate(document)
    except ValidationError as error:
        raise ValueError(f"time-off types: {describe(error)}") from None
    days = {
        _WEEKDAYS.index(name) + 1: int((hours.amount * 60).to_integral_value())
        for hours in types.defaultHours
        if (name := hours.name.strip().lower()) in _WEEKDAYS and 0 < hours.amount <= 24
    }
    return [
        TimeOffType(
            id=type_.id,
            name=type_.name,
            unit=unit,
            step=steps[unit],
            day_minutes=days,
            default_day_minutes=day_minutes,
            whole_day_is_one=whole_day_is_one,
        )
        for type_ in types.timeOffTypes
        if (unit := _UNITS.get(type_.units.strip().lower()))
    ]


class _Left(Document):
    """One row of the calculator. `discretionary` policies have no limit, whatever the figure says."""

    timeOffType: Id
    units: str
    balance: Annotated[Decimal | None, BeforeValidator(_figure)] = None
    policyType: str = ""


def read_balances(document: Any, on: date, kind: BalanceKind) -> list[Balance]:
    """What is left of each type. A unit unknown today, or a row without a figure, is left out."""
    if not isinstance(document, list):
        raise ValueError("balances: not a list")
    balances = []
    for index, item in enumerate(document):
        try:
            row = _Left.model_validate(item)
        except ValidationError as error:
            raise ValueError(f"balance {index}: {describe(error)}") from None
        unit = _UNITS.get(row.units.strip().lower())
        unlimited = row.policyType.strip().lower() == "discretionary"
        if unit is None or (row.balance is None and not unlimited):
            continue
        left = None if unlimited else row.balance
        balances.append(Balance(row.timeOffType, on, left, unit, kind, unlimited=unlimited))
    return balances


class Answer(Document):
    """What the answer to a write may tell; every field may be missing."""

    id: Id | None = None
    status: _Status | None = None

    @property
    def entry_status(self) -> EntryStatus | None:
        return STATUSES.get(self.status.status.strip().lower()) if self.status else None


def read_answer(body: bytes) -> Answer:
    """Never raises: after a write an unreadable body is an empty one."""
    try:
        return Answer.model_validate(parse(body))
    except ValueError:
        return Answer()


def id_from_location(location: str | None) -> str | None:
    """`…/time_off/request/1675` -> `1675`."""
    last = (location or "").partition("?")[0].rstrip("/").rpartition("/")[2]
    return last if is_id(last) else None


def json_number(value: Decimal) -> int | float:
    """An exact decimal as the JSON number that prints the same digits.

    The shortest text of a float gives a decimal of up to 15 digits back unchanged.
    """
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    if Decimal(repr(number)) != value:
        raise ValueError("the amount has too many digits for a JSON number")
    return number


def write_request(
    spec: EntrySpec,
    amounts: Mapping[date, Decimal],
    *,
    mark: str,
    note: str | None,
    previous_id: str | None = None,
) -> dict[str, Any]:
    """Body of `PUT employees/{id}/time_off/request`. `amounts` is not empty; the unit is the type's."""
    dates = sorted(amounts)
    notes = [{"from": "manager", "note": mark}]
    if note:
        notes.insert(0, {"from": "employee", "note": note})
    body: dict[str, Any] = {
        "status": str(spec.status),
        "start": dates[0].isoformat(),
        "end": dates[-1].isoformat(),
        "timeOffTypeId": int(spec.type_id),
        "amount": json_number(sum(amounts.values(), Decimal(0))),
        "dates": [{"ymd": on.isoformat(), "amount": json_number(amounts[on])} for on in dates],
        "notes": notes,
    }
    if previous_id is not None:
        body["previousRequest"] = int(previous_id)
    return body


__all__ = [
    "STATUSES",
    "Answer",
    "id_from_location",
    "is_id",
    "json_number",
    "parse",
    "read_answer",
    "read_balances",
    "read_directory",
    "read_requests",
    "read_types",
    "write_request",
]

"""Answers of the API as plain documents, before they become JSON or XML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from timeoff_sandbox.bamboohr.company import Company
from timeoff_sandbox.bamboohr.options import Permissions
from timeoff_sandbox.bamboohr.records import Person, Request, State, TimeOffType
from timeoff_sandbox.bamboohr.wire import Wire

_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


def directory(people: Iterable[Person]) -> dict[str, Any]:
    return {
        "fields": [
            {"id": "displayName", "type": "text", "name": "Display Name"},
            {"id": "workEmail", "type": "email", "name": "Work Email"},
        ],
        "employees": [
            {"id": str(person.id), "displayName": person.name, "workEmail": person.email} for person in people
        ],
    }


def employee(person: Person, fields: Sequence[str]) -> dict[str, Any]:
    """A flat object of strings; fields that do not exist are left out."""
    first, _, last = person.name.partition(" ")
    known = {
        "firstName": first,
        "lastName": last,
        "displayName": person.name,
        "workEmail": person.email,
        "status": "Active" if person.active else "Inactive",
    }
    return {"id": str(person.id), **{name: known[name] for name in fields if name in known}}


def users(people: Iterable[Person]) -> dict[str, Any]:
    """Users by user id, which is never the employee id."""
    return {
        str(person.id + 2000): {
            "id": person.id + 2000,
            "employeeId": person.id,
            "firstName": person.name.partition(" ")[0],
            "lastName": person.name.partition(" ")[2],
            "email": person.email or "",
            "status": "enabled" if person.active else "disabled",
        }
        for person in people
    }


def types(all_types: Iterable[TimeOffType], wire: Wire) -> dict[str, Any]:
    return {
        "timeOffTypes": [
            {
                "id": wire.id(type_.id),
                "name": type_.name,
                "units": type_.units,
                "color": None,
                "icon": type_.icon,
                "source": "internal",
            }
            for type_ in all_types
        ],
        "defaultHours": [
            {"name": name, "amount": "0" if name in ("Sunday", "Saturday") else "8"} for name in _WEEKDAYS
        ],
    }


def policies(all_types: Iterable[TimeOffType], wire: Wire) -> list[dict[str, Any]]:
    return [
        {
            "id": wire.id(type_.policy_id),
            "timeOffTypeId": wire.id(type_.id),
            "name": f"{type_.name} policy",
            "effectiveDate": None,
            "type": type_.policy_type,
        }
        for type_ in all_types
    ]


def assignments(all_types: Iterable[TimeOffType], wire: Wire, start: str) -> list[dict[str, Any]]:
    return [
        {
            "timeOffPolicyId": wire.id(type_.policy_id),
            "timeOffTypeId": wire.id(type_.id),
            "accrualStartDate": start if type_.policy_type == "accruing" else None,
        }
        for type_ in all_types
    ]


def listed(
    company: Company,
    request: Request,
    state: State,
    wire: Wire,
    zone: ZoneInfo,
    caller: Permissions,
    *,
    notes: bool,
) -> dict[str, Any]:
    """An item of the list. Times are dates in the company's zone; no notes at all are an empty list."""
    item = _common(company, request, state, wire, caller)
    item["status"]["lastChanged"] = state.at.astimezone(zone).date().isoformat()
    if notes:
        item["notes"] = dict(request.notes) or []
    return item


def created(
    company: Company, request: Request, wire: Wire, zone: ZoneInfo, caller: Permissions
) -> dict[str, Any]:
    """The answer to a create: as in the list, and more; here the last change has a time of day."""
    state = request.now
    item = _common(company, request, state, wire, caller)
    item["status"]["lastChanged"] = f"{state.at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    type_ = company.types[request.type_id]
    year = date(state.start.year, 1, 1)
    return {
        **item,
        "notes": dict(request.notes) or [],
        "comments": [
            {
                "employeeId": wire.id(request.employee_id),
                "comment": text,
                "commentDate": request.created_on.isoformat(),
                "commenterName": "API user",
            }
            for text in request.notes.values()
        ],
        "approvers": [],
        "policyType": type_.policy_type,
        "usedYearToDate": company.used(request.employee_id, request.type_id, year, state.end),
        "balanceOnDateOfRequest": company.balance(request.employee_id, request.type_id, state.start),
        "overlappingRequests": [
            {
                "id": wire.id(other.id),
                "start": other.now.start.isoformat(),
                "end": other.now.end.isoformat(),
                "status": other.now.status,
            }
            for other in company.overlapping(request.employee_id, state.start, state.end)
            if other is not request and other.now.live
        ],
    }


def _common(
    company: Company, request: Request, state: State, wire: Wire, caller: Permissions
) -> dict[str, Any]:
    type_ = company.types[request.type_id]
    before = state.start > company.today()
    open_ = state.status == "requested"
    return {
        "id": wire.id(request.id),
        "employeeId": wire.id(request.employee_id),
        "status": {
            "status": state.status,
            "lastChanged": "",
            "lastChangedByUserId": wire.id(state.by_user),
        },
        "name": company.people[request.employee_id].name,
        "start": state.start.isoformat(),
        "end": state.end.isoformat(),
        "created": request.created_on.isoformat(),
        "type": {"id": wire.id(type_.id), "name": type_.name, "icon": type_.icon},
        "amount": {"unit": type_.units, "amount": wire.amount(state.amount)},
        "actions": {
            "view": True,
            "edit": caller.approve and state.live and before,
            "cancel": caller.approve and (open_ or (state.status == "approved" and before)),
            "approve": caller.approve and open_,
            "deny": caller.approve and open_,
            "bypass": caller.approve and open_,
        },
        "dates": {on.isoformat(): wire.amount(amount) for on, amount in state.dates.items()},
    }


def decimal_text(value: Decimal) -> str:
    """Two decimals at least, more when there are more: `8.00`, `0.3333`."""
    exponent = value.as_tuple().exponent
    return f"{value:f}" if isinstance(exponent, int) and exponent < -2 else f"{value:.2f}"

"""The wire of the reference HRIS: JSON, ids and exact decimals as text, dates `YYYY-MM-DD`."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from timeoff_sandbox.reference.options import Options
from timeoff_sandbox.reference.records import Day, Draft, Record, Refusal, State, Type

_LONGEST_TEXT: Final = 100_000


def read_body(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}", parse_float=Decimal)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Refusal(400, "invalid", "The body is not a JSON object")
    return document


def read_draft(document: dict[str, Any], options: Options) -> Draft:
    """An entry as a caller wants it. Unknown fields are ignored, as is a key that is not kept."""
    status = document.get("status", "approved")
    if status not in ("approved", "requested"):
        raise Refusal(400, "invalid", "Invalid status")
    days = document.get("days")
    if not isinstance(days, list) or not days or not all(isinstance(day, dict) for day in days):
        raise Refusal(400, "invalid", "Invalid days")
    read = {read_date(day.get("date"), "date"): _day(day, options) for day in days}
    if len(read) != len(days):
        raise Refusal(400, "invalid", "A date stands twice")
    return Draft(
        employee_id=_text(document.get("employeeId"), "employeeId"),
        type_id=_text(document.get("typeId"), "typeId"),
        status=status,
        days=dict(sorted(read.items())),
        key=read_text(document.get("key"), "key"),
        note=read_text(document.get("note"), "note"),
    )


def _day(day: dict[str, Any], options: Options) -> Day:
    start = read_text(day.get("start"), "start")
    if start is not None and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", start):
        raise Refusal(400, "invalid", "Invalid start")
    return Day(_amount(day.get("amount")), start if options.partial_day == "startTime" else None)


def read_date(value: object, name: str) -> date:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise Refusal(400, "invalid", f"Invalid {name}")


def read_text(value: object, name: str) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= _LONGEST_TEXT):
        return value or None
    raise Refusal(400, "invalid", f"Invalid {name}")


def _text(value: object, name: str) -> str:
    text = read_text(value, name)
    if text is None:
        raise Refusal(400, "invalid", f"Invalid {name}")
    return text


def _amount(value: object) -> Decimal:
    try:
        amount = Decimal(value) if isinstance(value, str) and len(value) <= 24 else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 < amount < 100_000:
        raise Refusal(400, "invalid", "Invalid amount")
    return amount


def show(record: Record, state: State, type_: Type) -> dict[str, Any]:
    """A record as the API shows it."""
    return {
        "id": str(record.id),
        "employeeId": record.employee_id,
        "typeId": state.type_id,
        "unit": type_.unit,
        "status": state.status,
        "changing": state.changing,
        "days": [
            {"date": on.isoformat(), "amount": decimal_text(day.amount)}
            | ({"start": day.start} if day.start else {})
            for on, day in state.days.items()
        ],
        "key": record.key,
        "note": state.note,
        "counterOf": None if record.counter_of is None else str(record.counter_of),
        "replaces": None if record.replaces is None else str(record.replaces),
        "createdOn": record.created_on.isoformat(),
    }


def decimal_text(value: Decimal) -> str:
    """Two decimals at least, more when there are more: `8.00`, `0.3333`."""
    exponent = value.as_tuple().exponent
    return f"{value:f}" if isinstance(exponent, int) and exponent < -2 else f"{value:.2f}"

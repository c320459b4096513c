"""Requests that wait for a person, as `timeoff-sync held` and `failed` show them. Pure.

A block a request rather than a row: ids stay whole, so that they can be copied into `timeoff-sync retry`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from timeoff.reasons import ADVICE

#: The three sides a hold can show, in the order in which a person compares them.
_SIDES = {"wanted": "wanted", "booked": "booked by us", "hris": "in the HRIS"}
_UNITS = {"minutes": "min", "hours": "h", "days": "d"}
_LONGEST = 240


def item(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the ledger's report as plain JSON values, with what to do about it."""
    return {
        "request_id": row["request_id"],
        "agent_id": row["agent_id"],
        "employee_id": row["employee_id"],
        "target": row["target"],
        "status": row["status"],
        "first_day": row["first_day"].isoformat() if row["first_day"] else None,
        "last_day": row["last_day"].isoformat() if row["last_day"] else None,
        "reason": row["reason"],
        "what_to_do": ADVICE.get(row["reason"], "see the detail"),
        "detail": json.loads(row["detail"]) if row["detail"] else {},
        "since": row["changed_at"].isoformat(timespec="seconds"),
    }


def block(item: Mapping[str, Any], now: datetime) -> Group:
    """One request for a terminal: who and when, why, what to do, and what each side says."""
    whom = f"employee {item['employee_id']}" if item["employee_id"] else f"agent {item['agent_id']}"
    head = Text.assemble((item["request_id"], "bold"), f"  {whom}  {_span(item)}  {item['status'] or ''}")
    rows = Table.grid(Column(style="dim", no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
    waited = (now - datetime.fromisoformat(item["since"])).total_seconds()
    rows.add_row("reason", Text.assemble((item["reason"], "yellow"), f", for {_age(waited)}"))
    rows.add_row("do", Text(item["what_to_do"]))
    for label, text in sides(item["detail"]):
        rows.add_row(label, Text(text))
    return Group(head, Padding(rows, (0, 0, 1, 2)))


def sides(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The detail of a hold or failure as labelled lines; both sides first."""
    for key in (*_SIDES, *(key for key in detail if key not in _SIDES)):
        if key in detail:
            values = detail[key] if isinstance(detail[key], list) else [detail[key]]
            for value in values:
                yield _SIDES.get(key, key.replace("_", " ")), _record(value)


def _record(value: Any) -> str:
    """A record as `1300, type 83, approved: 2026-12-22 4 h`; anything else as it is."""
    if not isinstance(value, dict):
        return _short(value if isinstance(value, str) else json.dumps(value))
    named = (value.get("id"), f"type {value['type_id']}" if "type_id" in value else None, value.get("status"))
    parts = [str(part) for part in named if part]
    amounts = [
        f"{on} {amount} {unit}"
        for key, unit in _UNITS.items()
        for on, amount in (value[key] if isinstance(value.get(key), dict) else {}).items()
    ]
    if not parts and not amounts:
        return _short(json.dumps(value))
    return _short(", ".join(parts) + (": " if parts and amounts else "") + ", ".join(amounts))


def _span(item: Mapping[str, Any]) -> str:
    first, last = item["first_day"], item["last_day"]
    if first is None:
        return "no dates"
    return str(first) if last in (None, first) else f"{first} to {last}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} s"

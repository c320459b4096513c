"""What an employee has left: the allowance of the calendar year less what is booked, by option."""

from __future__ import annotations

from datetime import date
from typing import Any

from timeoff_sandbox.reference.book import Book
from timeoff_sandbox.reference.options import Options
from timeoff_sandbox.reference.records import Refusal
from timeoff_sandbox.reference.wire import decimal_text


def balances(book: Book, options: Options, employee_id: str, on: date) -> list[dict[str, Any]]:
    """One row a type. `amount` is null where nothing is known: in a year that is not opened yet."""
    if options.balance == "none":
        raise Refusal(405, "notOffered", "There are no balances")
    book.person(employee_id)
    today = book.today()
    day = today if options.balance == "current" else on
    known = options.balance != "perPeriod" or day.year in (today.year - 1, today.year, today.year + 1)
    last = date(day.year, 12, 31) if options.balance == "perPeriod" else day
    rows: list[dict[str, Any]] = []
    for type_ in book.types():
        if type_.id in options.balance_unknown:
            continue
        row: dict[str, Any] = {"typeId": type_.id, "unit": type_.unit, "asOf": day.isoformat()}
        if options.balance == "perPeriod":
            row |= {"periodStart": date(day.year, 1, 1).isoformat(), "periodEnd": last.isoformat()}
        if type_.allowance is None:
            rows.append({**row, "amount": None, "unlimited": True})
            continue
        left = type_.allowance * type_.day - book.used(employee_id, type_.id, date(day.year, 1, 1), last)
        projected = options.balance == "anyDate" and day > today
        rows.append({**row, "amount": decimal_text(left) if known else None, "projected": projected})
    return rows

"""Many employees at once, from a CSV file: created, or changed where their `customId` is known.

Columns are the fields of `POST /employees`, in any order; `customId`, `firstName`, `lastName` and `region`
(its id) are needed. Every row passes the same model as the API's, and one bad row means that nothing is
stored.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from timeoff.errors import TimeoffError
from timeoff_leave.database import Pool, sql
from timeoff_leave.employees import NewEmployee
from timeoff_leave.values import read_body

_NEEDED: Final = ("customId", "firstName", "lastName", "region")
_COLUMNS: Final = ("custom_id", "first_name", "last_name", "email", "region", "job_title", "status")
_SHOWN: Final = 20


class BadFile(TimeoffError):
    """The file cannot be taken; a line for each problem, without the values of people."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How many employees were new, and how many were known."""

    created: int
    changed: int


def read_employees(lines: Iterable[str]) -> list[NewEmployee]:
    """The rows of a CSV file with a head. Raises `BadFile` with the first problems by line."""
    reader = csv.DictReader(lines, strict=True)
    try:
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise BadFile(f"line 1: there is no column {', '.join(missing)}")
        found = list(_rows(reader))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadFile(f"line {reader.line_num + 1}: {type(error).__name__}: is no CSV in UTF-8") from None
    problems = [problem for _, _, problem in found if problem]
    keys: dict[str, int] = {}
    employees = []
    for line, employee, _ in found:
        if employee is not None:
            first = keys.setdefault(str(employee.custom_id).lower(), line)
            if first != line:
                problems.append(f"line {line}: customId: stands in line {first} already")
            employees.append(employee)
    if problems:
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise BadFile("\n".join([*problems[:_SHOWN], *more]))
    return employees


def _rows(reader: csv.DictReader[str]) -> Iterator[tuple[int, NewEmployee | None, str]]:
    for row in reader:
        if None in row:
            yield reader.line_num, None, f"line {reader.line_num}: there are more values than columns"
            continue
        document: dict[str, object] = {name: text for name, text in row.items() if text}
        region = row["region"] or ""
        document["region"] = int(region) if region.isascii() and region.isdigit() else region
        if not row["customId"]:
            yield reader.line_num, None, f"line {reader.line_num}: customId: This value should not be blank."
            continue
        employee, messages = read_body(NewEmployee, document, "row")
        said = "; ".join(f"{key}: {' '.join(texts)}" for key, texts in messages.items())
        yield reader.line_num, employee, f"line {reader.line_num}: {said}" if said else ""


async def store_employees(pool: Pool, employees: list[NewEmployee]) -> Stored:
    """Create or change all of them in one transaction. Raises `BadFile` for a region that is not there."""
    async with pool.acquire() as connection, connection.transaction():
        known = {row["id"] for row in await connection.fetch(sql().region_ids)}
        if unknown := sorted({employee.region for employee in employees} - known):
            raise BadFile(f"region: there is none with the id {', '.join(map(str, unknown[:_SHOWN]))}")
        await connection.execute(sql().make_incoming_employees)
        await connection.copy_records_to_table(
            "incoming_employees",
            columns=_COLUMNS,
            records=[tuple(getattr(employee, name) for name in _COLUMNS) for employee in employees],
        )
        row = await connection.fetchrow(sql().store_incoming_employees)
    assert row is not None
    return Stored(row["created"], row["changed"])

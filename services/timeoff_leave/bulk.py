"""Many employees at once, from a CSV file: created, or changed where their `customId` is known.

Columns are the fields of `POST /employees`, in any order; `customId`, `firstName`, `lastName` and `region`
(its id) are needed. Every row passes the same model as the API's, and one bad row means that nothing is
stored.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from timeoff.errors import TimeoffError
from timeoff_leave.context import Context
from timeoff_leave.employees import NewEmployee
from timeoff_leave.values import read_body

_NEEDED: Final = ("customId", "firstName", "lastName", "region")
_COLUMNS: Final = ("custom_id", "first_name", "last_name", "email", "region", "job_title", "status")
#: Line, and what is wrong with it.
_Problems = list[tuple[int, str]]


class BadFile(TimeoffError):
    """The file cannot be taken; a line for each line that is wrong, without the values of people."""


@dataclass(frozen=True, slots=True)
class Stored:
    """How many employees were new, and how many were known."""

    created: int
    changed: int


async def known_regions(context: Context) -> set[int]:
    """The ids that an employee's region may have. A region is for ever."""
    return {row["id"] for row in await context.pool.fetch(context.sql.region_ids)}


def read_employees(lines: Iterable[bytes], regions: Collection[int]) -> list[NewEmployee]:
    """The rows of a CSV file with a head, in UTF-8. Raises `BadFile` with all that is wrong, by line."""
    problems: _Problems = []
    reader = csv.DictReader(_decoded(lines, problems), strict=True)
    employees: list[NewEmployee] = []
    seen: dict[str, int] = {}
    done = 0
    try:
        if missing := [name for name in _NEEDED if name not in (reader.fieldnames or ())]:
            problems.append((1, f"there is no column {', '.join(missing)}"))
            raise _bad(problems)
        done = reader.line_num
        for row in reader:
            line, done = reader.line_num, reader.line_num
            employee, wrong = _employee(row, regions)
            if employee is not None:
                first = seen.setdefault(str(employee.custom_id).lower(), line)
                if first != line:
                    wrong.append(f"customId: stands in line {first} already")
                employees.append(employee)
            if wrong:
                problems.append((line, "; ".join(wrong)))
    except csv.Error as error:
        problems.append((done + 1, f"is no CSV from here on: {error}"))
    if problems:
        raise _bad(problems)
    return employees


def _bad(problems: _Problems) -> BadFile:
    return BadFile("\n".join(f"line {line}: {said}" for line, said in sorted(problems)))


def _decoded(lines: Iterable[bytes], problems: _Problems) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            problems.append((number, "is not in UTF-8"))
            yield line.decode("utf-8", "replace")  # to see what else is wrong


def _employee(row: dict[str, str], regions: Collection[int]) -> tuple[NewEmployee | None, list[str]]:
    """The employee, and what is wrong."""
    if None in row:
        return None, ["there are more values than columns"]
    document: dict[str, object] = {name: text for name, text in row.items() if text}
    region = row["region"] or ""
    document["region"] = int(region) if region.isascii() and region.isdigit() and len(region) < 12 else region
    employee, messages = read_body(NewEmployee, document, "row")
    wrong = [f"{key}: {' '.join(texts)}" for key, texts in messages.items()]
    if not row["customId"]:
        employee, wrong = None, ["customId: This value should not be blank.", *wrong]
    if "region" not in messages and document["region"] not in regions:
        wrong.append(f"region: there is none with the id {region}")
    return employee, wrong


async def store_employees(context: Context, employees: list[NewEmployee]) -> Stored:
    """Create or change all of them in one transaction."""
    async with context.transaction() as connection:
        await connection.execute(context.sql.make_incoming_employees)
        await connection.copy_records_to_table(
            "incoming_employees",
            columns=_COLUMNS,
            records=[tuple(getattr(employee, name) for name in _COLUMNS) for employee in employees],
        )
        await connection.execute(context.sql.lock_incoming_employees)
        row = await connection.fetchrow(context.sql.store_incoming_employees, context.now())
    assert row is not None
    return Stored(row["created"], row["changed"])

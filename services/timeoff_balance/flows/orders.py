"""What insert and update ask for, read from their inputs. Pure.

Dates and start times are local to the agent's management unit. `dates` names all days; `payableMinutes` and
`durationMinutes` hold one number for each of them. Where only parts of days are asked for, `startDateTimes`
says when each begins: a part that crosses midnight is split there by the function that splits what the
listener sees, so that both come to the same days.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Final, Literal, TypeVar
from zoneinfo import ZoneInfo

from timeoff.days import EARLIEST, LATEST, MINUTES_A_DAY, BadDays, days_of
from timeoff.events import RequestContent
from timeoff.handover import Handed
from timeoff.vocabulary import Day
from timeoff_balance.flows.values import Inputs, Unreadable, read_date, read_minutes, read_status, shown

Minutes = Literal["payable", "duration"]
Value = TypeVar("Value")

_LOCAL: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?", re.ASCII)


def read_order(inputs: Inputs, *, minutes: Minutes, zone: str | None, notes: bool) -> Handed | list[str]:
    """What is asked for, or what is wrong with the inputs, in words. `notes`: may the note be kept?"""
    problems: list[str] = []
    status = _read(problems, "Flow.timeOffStatus", read_status, inputs.text("timeOffStatus")) or ""
    dates = _dates(inputs, problems)
    payable = _minutes("payableMinutes", inputs, problems)
    durations = _minutes("durationMinutes", inputs, problems) or payable
    starts = _starts(inputs, problems)
    if problems:
        return problems
    try:
        days = _days(dates, starts, payable, durations, minutes, zone)
    except BadDays as bad:
        return [f"Flow.dates, Flow.startDateTimes and Flow.payableMinutes do not fit: {bad}"]
    return Handed(
        type_id=inputs.text("timeOffTypeId"),
        type_id2=inputs.text("timeOffTypeId2") or None,
        status=status,
        days=days,
        note=(inputs.text("notes") or None) if notes else None,
    )


def _dates(inputs: Inputs, problems: list[str]) -> list[date]:
    found = [
        on
        for number, text in enumerate(inputs.items("dates"), 1)
        if (on := _read(problems, f"Flow.dates item {number}", read_date, text)) is not None
    ]
    first = _read(problems, "Flow.minDate", read_date, inputs.text("minDate"))
    last = _read(problems, "Flow.maxDate", read_date, inputs.text("maxDate"))
    if problems or first is None or last is None:
        return found
    if len(set(found)) != len(found):
        problems.append("Flow.dates names a day twice")
    if (min(found), max(found)) != (first, last):
        problems.append(
            f"Flow.dates goes from {min(found)} to {max(found)},"
            f" Flow.minDate and Flow.maxDate say {first} to {last}"
        )
    if not EARLIEST <= min(found) <= max(found) <= LATEST:
        problems.append(f"Flow.dates goes beyond {EARLIEST.year} to {LATEST.year}")
    return found


def _minutes(name: str, inputs: Inputs, problems: list[str]) -> list[int]:
    found = []
    for number, text in enumerate(inputs.items(name), 1):
        value = _read(problems, f"Flow.{name} item {number}", read_minutes, text)
        if value is not None and value > MINUTES_A_DAY:
            problems.append(f"Flow.{name} item {number} is more than a day has: {value}")
        found.append(value or 0)
    return found


def _starts(inputs: Inputs, problems: list[str]) -> list[datetime]:
    found = []
    for number, text in enumerate(inputs.items("startDateTimes"), 1):
        if not text:
            continue  # a whole day among parts
        at = _read(problems, f"Flow.startDateTimes item {number}", read_local, text)
        if at is not None:
            found.append(at)
    return found


def read_local(text: str) -> datetime:
    """`YYYY-MM-DDTHH:mm:ss` without an offset: the clock of the management unit. Raises `Unreadable`."""
    if not _LOCAL.fullmatch(text):
        raise Unreadable(f"is no local time YYYY-MM-DDTHH:mm:ss: {shown(text)}")
    try:
        return datetime.fromisoformat(text).replace(second=0, microsecond=0)
    except ValueError:
        raise Unreadable(f"is a time that does not exist: {shown(text)}") from None


def _days(
    dates: Sequence[date],
    starts: Sequence[datetime],
    payable: Sequence[int],
    durations: Sequence[int],
    minutes: Minutes,
    zone: str | None,
) -> tuple[Day, ...]:
    """Sorted by date. Raises `BadDays`."""
    for at in starts:
        if at.date() not in dates:
            raise BadDays("bad_dates", f"a part begins on {at.date()}, which is none of the dates")
    if starts and len(starts) == len(payable) == len(durations):
        return _parts(dates, starts, payable, durations, minutes, zone)
    amounts = durations if minutes == "duration" else payable
    if len(amounts) != len(dates):
        raise BadDays("minutes_mismatch", f"{len(amounts)} minutes for {len(dates)} dates")
    first: dict[date, time] = {}
    for at in sorted(starts, reverse=True):
        first[at.date()] = at.time()
    # What began the day before goes on from midnight.
    return tuple(
        Day(on, amount, whole=not starts, start=first.get(on, time()) if starts else None)
        for on, amount in sorted(zip(dates, amounts, strict=True))
    )


def _parts(
    dates: Sequence[date],
    starts: Sequence[datetime],
    payable: Sequence[int],
    durations: Sequence[int],
    minutes: Minutes,
    zone: str | None,
) -> tuple[Day, ...]:
    # Without a known zone local clocks have no jumps that anybody could know of.
    where = ZoneInfo(zone) if zone else UTC
    content = RequestContent(
        status="",
        full_day=False,
        partial_starts=tuple(at.replace(tzinfo=where).astimezone(UTC) for at in starts),
        payable_minutes=tuple(payable),
        duration_minutes=tuple(durations),
    )
    found = {day.date: day for day in days_of(content, zone or "UTC", minutes)}
    nothing = {on: Day(on, 0, whole=False) for on in dates}
    return tuple(day for _, day in sorted((nothing | found).items()))


def _read(problems: list[str], name: str, read: Callable[[str], Value], text: str) -> Value | None:
    try:
        return read(text)
    except Unreadable as error:
        problems.append(f"{name} {error}")
        return None


__all__ = ["Minutes", "read_local", "read_order"]

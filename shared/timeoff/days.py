"""A request's content as days: one function for everybody who needs to know what is booked on which date.

Partial days are instants in UTC; their date is that of the management unit's zone, and a part of a day that
crosses local midnight is split there. Arithmetic is done on instants, so DST days come out right: a part of
a day keeps its real minutes even when the clock jumps within it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timeoff.errors import TimeoffError
from timeoff.events import RequestContent
from timeoff.vocabulary import Day

#: No request is expected to touch dates outside; both ends leave room for a zone's offset.
EARLIEST = date(2000, 1, 1)
LATEST = date(2100, 12, 31)
MINUTES_A_DAY = 24 * 60


class BadDays(TimeoffError):
    """The content cannot be booked as it stands. `reason` is a hold reason, the message is for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def days_of(
    content: RequestContent, zone: str | None, minutes: Literal["payable", "duration"]
) -> tuple[Day, ...]:
    """Days sorted by date, each date once, dates with 0 minutes left out. Raises `BadDays`.

    `payable` takes `payableMinutes` and falls back on the duration where Genesys sent none.
    """
    dates = content.full_day_dates if content.full_day else _starts(content)
    if not dates:
        raise BadDays("no_days", "the request names no day")
    if len(set(dates)) != len(dates):
        raise BadDays("bad_dates", "the request names a day twice")
    durations = _per_day(content.duration_minutes, content.daily_minutes, len(dates), "durationMinutes")
    amounts = durations
    if minutes == "payable" and content.payable_minutes:
        amounts = _per_day(content.payable_minutes, None, len(dates), "payableMinutes")
    if any(not 0 <= amount <= MINUTES_A_DAY for amount in (*durations, *amounts)):
        raise BadDays("minutes_mismatch", "a day has less than 0 or more than 1440 minutes")
    if content.full_day:
        days = [
            Day(on, amount, whole=True) for on, amount in zip(content.full_day_dates, amounts, strict=True)
        ]
    else:
        days = _parts(content, _zone(zone), durations, amounts)
    for day in days:
        if not EARLIEST <= day.date <= LATEST:
            raise BadDays("bad_dates", f"{day.date} is outside of {EARLIEST.year} to {LATEST.year}")
    return tuple(sorted((day for day in days if day.minutes), key=lambda day: day.date))


def span_of(content: RequestContent | None, zone: str | None) -> tuple[date, date] | None:
    """First and last day that a request touches, or None where it cannot be told."""
    if content is None:
        return None
    if content.full_day:
        return (min(content.full_day_dates), max(content.full_day_dates)) if content.full_day_dates else None
    if not content.partial_starts:
        return None
    try:
        where = _zone(zone)
        starts = _starts(content)
        local = [start.astimezone(where).date() for start in starts]
        longest = max((*content.duration_minutes, content.daily_minutes or 0, 0))
        end = max(starts) + timedelta(minutes=min(longest, MINUTES_A_DAY))
        return min(local), max(max(local), (end - timedelta(seconds=1)).astimezone(where).date())
    except (BadDays, OverflowError, ValueError):
        return None


def _per_day(values: tuple[int, ...], each: int | None, count: int, name: str) -> tuple[int, ...]:
    if not values and each is not None:
        return (each,) * count
    if len(values) != count:
        raise BadDays("minutes_mismatch", f"{name} has {len(values)} values for {count} days")
    return values


def _zone(zone: str | None) -> ZoneInfo:
    if zone is None:
        raise BadDays("no_zone", "the time zone of the management unit is not known")
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a name that is a folder, or too long
        raise BadDays("no_zone", f"unknown time zone {zone[:64]!r}") from None


def _starts(content: RequestContent) -> tuple[datetime, ...]:
    """Starts of parts of days; one without an offset is taken for UTC, as Genesys sends them all."""
    return tuple(start if start.tzinfo else start.replace(tzinfo=UTC) for start in content.partial_starts)


def _parts(
    content: RequestContent, zone: ZoneInfo, durations: tuple[int, ...], amounts: tuple[int, ...]
) -> list[Day]:
    """Parts of days, split at local midnight; a paid share is spread as the time is, to the whole minute."""
    by_date: dict[date, tuple[int, time]] = {}
    for start, duration, amount in sorted(zip(_starts(content), durations, amounts, strict=True)):
        try:
            pieces = _split(start, duration, zone)
        except (OverflowError, ValueError):
            raise BadDays("bad_dates", "a start is outside of what a calendar can hold") from None
        left, time_left = amount, duration
        for on, begins, length in pieces:
            share = left if length == time_left else round(amount * length / duration)
            left, time_left = left - share, time_left - length
            before = by_date.get(on)
            by_date[on] = (before[0] + share, before[1]) if before else (share, begins)
    return [Day(on, minutes, whole=False, start=begins) for on, (minutes, begins) in by_date.items()]


def _split(start: datetime, duration: int, zone: ZoneInfo) -> list[tuple[date, time, int]]:
    """(local date, local start, real minutes) for each local date that the stretch touches."""
    pieces: list[tuple[date, time, int]] = []
    at, left = start.astimezone(UTC), duration
    while left > 0 or not pieces:
        local = at.astimezone(zone)
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone).astimezone(UTC)
        length = min(left, max(1, int((midnight - at).total_seconds()) // 60))
        pieces.append((local.date(), local.time().replace(second=0, microsecond=0), length))
        at, left = at + timedelta(minutes=length), left - length
        if duration == 0:
            break
    return pieces

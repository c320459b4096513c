"""Balance periods of a policy: pure arithmetic on months, no clock and no I/O.

A policy's periods are 12 / `balanceResetsPerYear` months long and one of them begins on the first day of
`balanceResetReferenceMonth`. A period's first day is a date; where on the time line it begins depends on the
employee's zone. Ids and bounds are those of the records that TrackTik's help centre shows ("Leave Policies,
Items, Types, Assign, Unassign, Balances"): `2023-01-01-12`, `1404-10-2023-01-01`, local midnights, the end
exclusive.

A period once opened stays as it is. When an employee changes to a policy with other periods, those already
opened go on to their end and the next one begins there, so that one date is never in two periods.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

MONTHS_A_YEAR: Final = 12

#: What `balanceResetsPerYear` may be: only these give periods of whole months.
RESETS_PER_YEAR: Final = (1, 2, 3, 4, 6, 12)

#: Dates of requests lie between; both ends leave room for a period and a zone's offset.
EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2100, 12, 31)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Whole months from the first day of one."""

    start: date
    months: int

    @property
    def end(self) -> date:
        """First day after the period."""
        return _first_of(_month_number(self.start) + self.months)

    @property
    def id(self) -> str:
        return f"{self.start.isoformat()}-{self.months}"

    def balance_id(self, employee: int, leave_type: int) -> str:
        return f"{employee}-{leave_type}-{self.start.isoformat()}"

    def bounds(self, zone: str) -> tuple[datetime, datetime]:
        """First instant of the period and of the next one, with the offset that the zone has there.

        Where the clock jumps at midnight and there is no 00:00, the old offset names the very same instant.
        """
        where = ZoneInfo(zone)
        return _midnight(self.start, where), _midnight(self.end, where)

    def __contains__(self, on: date) -> bool:
        return self.start <= on < self.end


@dataclass(frozen=True, slots=True)
class PeriodRule:
    """What a policy says: the month in which a period begins, and how many there are in a year."""

    reset_month: int
    resets_per_year: int

    def __post_init__(self) -> None:
        if not 1 <= self.reset_month <= MONTHS_A_YEAR:
            raise ValueError("a month is 1 to 12")
        if self.resets_per_year not in RESETS_PER_YEAR:
            raise ValueError(f"a year has {self.resets_per_year} resets: not whole months")

    @property
    def months(self) -> int:
        return MONTHS_A_YEAR // self.resets_per_year

    def period_of(self, on: date, opened: Collection[Period] = ()) -> Period:
        """The period that holds a date, beside those that are opened already."""
        number = _month_number(on)
        start = number - (number - (self.reset_month - 1)) % self.months
        end = start + self.months
        for other in opened:
            if on in other:
                return other
            if other.end <= on:
                start = max(start, _month_number(other.end))
            else:
                end = min(end, _month_number(other.start))
        return Period(_first_of(start), end - start)


def local_date(now: datetime, zone: str) -> date:
    """The date that it is in a zone. `now` has an offset."""
    return now.astimezone(ZoneInfo(zone)).date()


def _month_number(on: date) -> int:
    return on.year * MONTHS_A_YEAR + on.month - 1


def _first_of(number: int) -> date:
    return date(number // MONTHS_A_YEAR, number % MONTHS_A_YEAR + 1, 1)


def _midnight(on: date, where: ZoneInfo) -> datetime:
    return datetime(on.year, on.month, on.day, tzinfo=where)

"""What is left of each type, and how long a day is: by the leave policy that an employee is on.

A balance record holds days and a period; hours follow from the policy, which it does not name. The page on
leave policies has no call that tells the policy of an employee: `employee-leave-policies` is the extension of
this project's own leave service. A portal without it leaves balances in days.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field

from timeoff.errors import Forbidden, RetryLater
from timeoff.hris.documents import Amount, Document, Id, is_id, parse
from timeoff.hris.port import Balance, BalanceKind, Unit
from timeoff.hris.tracktik.client import Deadline, Refused, TrackTikClient
from timeoff.hris.tracktik.wire import Reference, read_page, read_record, read_records, unwrap

#: Policies kept, and for how many seconds: they hardly ever change, and there are not many.
_MOST: Final = 1000
_FRESH: Final = 3600.0


class Policies:
    def __init__(self, client: TrackTikClient) -> None:
        self._client = client
        self._known: dict[str, tuple[float, Decimal]] = {}

    async def hours_of(self, employee_id: str, on: date, deadline: Deadline) -> Decimal | None:
        """The hours of a day by the policy of the employee on a date; None where it cannot be seen."""
        params = {"employee": employee_id, "limit": "1000"}
        assigned = await self._read("policy", "employee-leave-policies", deadline, params)
        if assigned is None:
            return None
        try:
            policy_id = read_policy_on(read_page(assigned).items, on)
            if policy_id is None or not is_id(policy_id):
                return None
            return await self._pay_hours(policy_id, deadline)
        except ValueError as error:
            raise RetryLater(f"TrackTik policy: the answer cannot be read ({error})") from None

    async def _pay_hours(self, policy_id: str, deadline: Deadline) -> Decimal | None:
        known = self._known.get(policy_id)
        if known and time.monotonic() - known[0] < _FRESH:
            return known[1]
        policy = await self._read("policy", f"leave-policies/{policy_id}", deadline)
        if policy is None:
            return None
        hours = read_pay_hours(policy)
        if len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)))
        self._known[policy_id] = (time.monotonic(), hours)
        return hours

    async def _read(
        self, operation: str, path: str, deadline: Deadline, params: dict[str, str] | None = None
    ) -> Any:
        """None where the portal has no such call or shows it to others only."""
        try:
            return parse(await self._client.read(operation, path, params, deadline=deadline))
        except (Refused, Forbidden):
            return None
        except ValueError as error:
            raise RetryLater(f"TrackTik {operation}: the answer cannot be read ({error})") from None


class _Left(Document):
    leaveType: Reference
    balanceDaysIncludingPending: Amount | None = None
    timeZone: str
    periodStartDateTime: AwareDatetime
    periodEndDateTime: AwareDatetime


class _Assignment(Document):
    leavePolicy: Reference
    startedOn: date | None = None
    endedOn: date | None = None


class _Policy(Document):
    id: Id
    payHoursPerDay: Annotated[Decimal, Field(gt=0, le=24)]


def read_balances(items: Sequence[Any], on: date, *, now: datetime, hours: Decimal | None) -> list[Balance]:
    """For each type the record whose period holds the date, at its local midnight.

    In whole minutes by the `hours` of a day (a record's days have four decimals, so the minutes they stand
    for are within a tenth of one), in days where the hours are not known. A period that has not begun may
    still get carry-over and grants: its figure is projected.
    """
    found: dict[str, tuple[datetime, Balance]] = {}
    for record in read_records(_Left, items, "leave balance"):
        left = record.balanceDaysIncludingPending
        try:
            zone = ZoneInfo(record.timeZone)
            midnight = datetime(on.year, on.month, on.day, tzinfo=zone)
        except (ValueError, LookupError, OSError):
            raise ValueError("leave balance: timeZone") from None
        start, end = record.periodStartDateTime, record.periodEndDateTime
        if left is None or not start <= midnight.astimezone(UTC) < end:
            continue
        kind = BalanceKind.EXACT if start <= now else BalanceKind.PROJECTED
        balance = Balance(
            record.leaveType,
            on,
            left,
            Unit.DAYS,
            kind,
            first_day=start.astimezone(zone).date(),
            last_day=(end - timedelta(seconds=1)).astimezone(zone).date(),
        )
        if hours is not None:
            minutes = (left * hours * 60).to_integral_value(ROUND_HALF_UP)
            balance = replace(balance, amount=minutes, unit=Unit.MINUTES)
        if record.leaveType not in found or found[record.leaveType][0] < start:
            found[record.leaveType] = (start, balance)
    return [balance for _, balance in found.values()]


def read_policy_on(items: Sequence[Any], on: date) -> str | None:
    """The id of the policy an employee is on at that date; else of the one that is open."""
    assignments = read_records(_Assignment, items, "policy assignment")
    # On the day of a change both the old and the new one hold: the new one counts.
    assignments.sort(key=lambda each: (each.startedOn or date.min, each.endedOn is None), reverse=True)
    for each in assignments:
        if (each.startedOn is None or each.startedOn <= on) and (each.endedOn is None or on <= each.endedOn):
            return each.leavePolicy
    return next((each.leavePolicy for each in assignments if each.endedOn is None), None)


def read_pay_hours(document: Any) -> Decimal:
    return read_record(_Policy, unwrap(document), "leave policy").payHoursPerDay

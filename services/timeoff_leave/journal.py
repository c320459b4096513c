"""The journal of balances: postings that are only ever added, from which every balance is summed.

What is posted is decided in `journal_postings`; here accounts are loaded and their new postings stored. Who
writes holds the lock of the employee, so that what was loaded still holds when it is stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

import asyncpg

from timeoff_leave import employees
from timeoff_leave.context import Context
from timeoff_leave.database import Connection, Pool
from timeoff_leave.journal_postings import Account, Entitlement, Posting, Sums, Taken
from timeoff_leave.periods import Period, PeriodRule, local_date

#: (employee, leave type) to what the journal holds for each period.
Held = Mapping[tuple[int, int], Mapping[Period, Sums]]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The policy that an employee is on, and what its items give."""

    policy: int
    rule: PeriodRule
    hours_per_day: Decimal
    entitlements: Mapping[int, Entitlement]


@dataclass(frozen=True, slots=True)
class Standing:
    """An employee as the journal needs it: the zone, and the open enrolment if there is one."""

    employee: int
    active: bool
    zone: str
    enrolment: Enrolment | None

    def today(self, now: datetime) -> date:
        return local_date(now, self.zone)


@dataclass(slots=True)
class Accounts:
    """The accounts of one employee of which something is to be posted, each loaded once."""

    standing: Standing
    held: Held
    now: datetime
    _open: dict[int, Account] = field(default_factory=dict)

    def account(self, leave_type: int, policy: int, rule: PeriodRule) -> Account:
        """The account of a type; `policy` and `rule` count where the employee is on no policy (any more)."""
        if leave_type not in self._open:
            enrolment = self.standing.enrolment
            entitlement = enrolment.entitlements.get(leave_type) if enrolment else None
            self._open[leave_type] = Account(
                employee=self.standing.employee,
                leave_type=leave_type,
                policy=enrolment.policy if enrolment else policy,
                rule=enrolment.rule if enrolment else rule,
                entitlement=entitlement,
                today=self.standing.today(self.now),
                periods=dict(self.held.get((self.standing.employee, leave_type), {})),
            )
        return self._open[leave_type]

    def open_current(self) -> list[Posting]:
        """The first need of the period that holds today, for every item of the policy; what has to be posted.

        Who has left gets no new period.
        """
        enrolment = self.standing.enrolment
        if enrolment and self.standing.active:
            for leave_type in enrolment.entitlements:
                account = self.account(leave_type, enrolment.policy, enrolment.rule)
                account.need(account.today)
        return self.postings

    @property
    def postings(self) -> list[Posting]:
        return [posting for account in self._open.values() for posting in account.postings]


async def open_current_periods(
    connection: Connection, context: Context, employee_ids: Collection[int], policy_id: int, now: datetime
) -> None:
    """Give employees the current period's records of their policy's items, as far as they are not there yet.

    Called in the transaction that assigned them to this policy, after the assignments are stored and
    under the locks of all. A period that is open already is not granted again, whichever policy opened
    it.
    """
    found = await load_accounts(connection, context, employee_ids, now)
    postings = []
    for accounts in found.values():
        enrolment = accounts.standing.enrolment
        if enrolment and enrolment.policy == policy_id:
            postings += accounts.open_current()
    await append(connection, context, postings, now)


async def ensure_current(context: Context, employee_ids: Collection[int]) -> None:
    """Whoever reads balances needs the current period: open it where it is not. Locks only if it has to."""
    now = context.now()
    if employee_ids and await _missing(context.pool, context, employee_ids, now):
        async with context.transaction() as connection:
            await employees.lock(context, connection, employee_ids)
            await append(connection, context, await _missing(connection, context, employee_ids, now), now)


async def load_accounts(
    source: Connection | Pool,
    context: Context,
    employee_ids: Collection[int],
    now: datetime,
    leave_types: Collection[int] | None = None,
) -> dict[int, Accounts]:
    """Accounts by employee, of some types or all; employees that do not exist are left out."""
    standings = await load_standings(source, context, employee_ids)
    rows = await source.fetch(
        context.sql.load_sums, list(standings), None if leave_types is None else list(leave_types)
    )
    held: dict[tuple[int, int], dict[Period, Sums]] = {}
    for row in rows:
        sums = Sums(row["days"], row["pending"], row["granted"], row["carried"], row["was_set"])
        held.setdefault((row["employee"], row["leave_type"]), {})[_period(row)] = sums
    return {employee: Accounts(standing, held, now) for employee, standing in standings.items()}


async def load_standings(
    source: Connection | Pool, context: Context, employee_ids: Collection[int]
) -> dict[int, Standing]:
    """Employees by id with zone and enrolment; those that do not exist are left out."""
    rows = await source.fetch(context.sql.load_standings, list(employee_ids), context.settings.time_zone)
    by_employee: dict[int, list[asyncpg.Record]] = {}
    for row in rows:
        by_employee.setdefault(row["employee"], []).append(row)
    return {
        employee: Standing(employee, own[0]["active"], own[0]["zone"], _enrolment(own))
        for employee, own in by_employee.items()
    }


async def load_taken(connection: Connection, context: Context, request: int) -> list[Taken]:
    """What a request holds at present."""
    return [
        Taken(row["leave_type"], row["policy"], _period(row), row["pending"], row["days"])
        for row in await connection.fetch(context.sql.load_taken, request)
    ]


async def append(
    connection: Connection, context: Context, postings: Iterable[Posting], now: datetime
) -> None:
    """Store postings, all in one statement."""
    rows = [
        (
            posting.employee,
            posting.leave_type,
            posting.policy,
            posting.period.start,
            posting.period.months,
            posting.kind,
            posting.days,
            posting.pending,
            posting.leave_request,
            posting.description,
        )
        for posting in postings
    ]
    if rows:
        await connection.execute(context.sql.append_postings, *map(list, zip(*rows, strict=True)), now)


async def _missing(
    source: Connection | Pool, context: Context, employee_ids: Collection[int], now: datetime
) -> list[Posting]:
    """What has to be posted so that the current period is open."""
    found = await load_accounts(source, context, employee_ids, now)
    return [posting for accounts in found.values() for posting in accounts.open_current()]


def _period(row: asyncpg.Record) -> Period:
    return Period(row["period_start"], row["period_months"])


def _enrolment(rows: list[asyncpg.Record]) -> Enrolment | None:
    first = rows[0]
    if first["policy"] is None:
        return None
    return Enrolment(
        policy=first["policy"],
        rule=PeriodRule(first["reset_month"], first["resets_per_year"]),
        hours_per_day=first["pay_hours_per_day"],
        entitlements={row["leave_type"]: _entitlement(row) for row in rows if row["leave_type"] is not None},
    )


def _entitlement(row: asyncpg.Record) -> Entitlement:
    """An item's numbers in days. One with an accrual rate grants nothing: its balance is set from outside."""
    unit = row["pay_hours_per_day"] if row["entitlement_unit"] == "HOURS" else Decimal(1)
    quantity, limit = row["quantity"], row["carry_over_limit"]
    return Entitlement(
        since=row["since"],
        days=Decimal(0) if quantity is None else quantity / unit,
        carry_over=row["carry_over"],
        limit=None if limit is None else limit / unit,
    )

"""What happens to leave requests, each change in one transaction under the employee's lock.

Requests are rows that change; what they do to balances is posted to the journal and never changed. A
change first gives back what the request holds, where it was taken, and then takes anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import asyncpg

from timeoff_leave import employees, journal
from timeoff_leave.context import Context
from timeoff_leave.database import Connection
from timeoff_leave.errors import ALREADY_USED, Refusal, invalid, not_found
from timeoff_leave.journal import Accounts, Enrolment
from timeoff_leave.journal_postings import Account
from timeoff_leave.periods import PeriodRule
from timeoff_leave.requests_rules import (
    LIVE,
    Action,
    BadPlan,
    IllegalMove,
    LeaveDay,
    Plan,
    Status,
    every_day,
    overlaps,
    planned,
    shares,
    status_after,
)
from timeoff_leave.routes import Call

RESOURCE: Final = "leave-requests"
TITLE: Final = "Leave request"
NOT_ON_POLICY: Final = "Employee is not assigned to a leave policy."
NOT_IN_POLICY: Final = "Leave type is not part of the employee's leave policy."
TERMINATED: Final = "Employee is terminated."
ARCHIVED: Final = "The leave type is archived."
OVERLAP: Final = "The request overlaps another leave request."
NOT_ENOUGH: Final = "The leave balance is not sufficient."

_MINUTES_AN_HOUR: Final = 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A request to be made; `days` None is every day of the range."""

    employee: int
    leave_type: int
    custom_id: str | None
    status: Status
    start: date
    end: date
    days: tuple[LeaveDay, ...] | None
    starts_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A request as it stands. `full_day` is the minutes of one full day when it was made."""

    id: int
    employee: int
    leave_type: int
    policy: int
    rule: PeriodRule
    status: Status
    plan: Plan
    full_day: Decimal
    reason: str | None

    @property
    def shares(self) -> dict[date, Fraction]:
        return shares(self.plan.days, self.full_day)

    @property
    def of_whole_days(self) -> bool:
        """Whether it has the days that it would have had if none had been named."""
        whole = every_day(self.plan.start, self.plan.end, self.full_day)
        return self.plan.starts_at is None and self.plan.days == whole


async def create(call: Call, connection: Connection, draft: Draft) -> int:
    """Make a request, pending or approved at once; its id. Raises `Refusal` 400."""
    context, now = call.context, call.context.now()
    sql = context.sql
    await employees.lock(context, connection, [draft.employee])
    accounts = await _accounts(call, connection, draft.employee, now)
    if accounts is None:
        raise invalid("employee")
    # Before anything else is judged: a create that is repeated overlaps the request that it made.
    if draft.custom_id is not None and await connection.fetchval(sql.is_custom_id_used, draft.custom_id):
        raise invalid("customId", ALREADY_USED)
    if not accounts.standing.active:
        raise invalid(RESOURCE, TERMINATED)
    enrolment = await _enrolled(context, connection, accounts, draft.leave_type)
    full_day = enrolment.hours_per_day * _MINUTES_AN_HOUR
    plan = _planned(draft.start, draft.end, draft.days, draft.starts_at, full_day)
    await _refuse_overlap(context, connection, draft.employee, None, plan, full_day)
    id: int = await connection.fetchval(
        sql.insert_request,
        draft.custom_id,
        draft.employee,
        draft.leave_type,
        enrolment.policy,
        draft.status,
        plan.start,
        plan.end,
        plan.starts_at,
        full_day,
        draft.reason,
        accounts.standing.zone,
        now,
    )
    await _store_days(context, connection, id, plan)
    account = accounts.account(draft.leave_type, enrolment.policy, enrolment.rule)
    account.take(
        shares(plan.days, full_day), request=id, policy=enrolment.policy, pending=draft.status == "PENDING"
    )
    await _post(call, connection, accounts, [account], now)
    return id


async def change(call: Call, connection: Connection, sent: Mapping[str, Any]) -> None:
    """Change a live request; `sent` are the fields given, by Python name. Raises `Refusal`."""
    context, now = call.context, call.context.now()
    async with _held(call, connection, now) as (request, accounts):
        if request.status not in LIVE:
            said = f"A {request.status.lower()} leave request cannot be changed."
            raise invalid(RESOURCE, said)
        leave_type = sent.get("leave_type", request.leave_type)
        if leave_type != request.leave_type:
            await _enrolled(context, connection, accounts, leave_type)
        plan = _changed(request, sent)
        if plan.days != request.plan.days:
            await _refuse_overlap(context, connection, request.employee, request.id, plan, request.full_day)
        await connection.execute(
            context.sql.change_request,
            request.id,
            leave_type,
            request.status,
            plan.start,
            plan.end,
            plan.starts_at,
            sent.get("reason", request.reason),
            now,
        )
        if plan.days == request.plan.days and leave_type == request.leave_type:
            return
        await connection.execute(context.sql.remove_request_days, request.id)
        await _store_days(context, connection, request.id, plan)
        before = accounts.account(request.leave_type, request.policy, request.rule)
        before.give_back(await journal.load_taken(connection, context, request.id), request.id)
        after = accounts.account(leave_type, request.policy, request.rule)
        after.take(
            shares(plan.days, request.full_day),
            request=request.id,
            policy=request.policy,
            pending=request.status == "PENDING",
        )
        await _post(call, connection, accounts, [before, after], now)


async def act(call: Call, connection: Connection, action: Action, reason: str | None) -> None:
    """Approve, decline or cancel; nothing happens where that is so already. Raises `Refusal`."""
    context, now = call.context, call.context.now()
    async with _held(call, connection, now) as (request, accounts):
        try:
            status = status_after(action, request.status)
        except IllegalMove as error:
            raise invalid(call.key, str(error)) from None
        if status is None:
            return
        account = accounts.account(request.leave_type, request.policy, request.rule)
        taken = await journal.load_taken(connection, context, request.id)
        if status != "APPROVED":
            account.give_back(taken, request.id)
        elif request.status == "PENDING":
            account.confirm(taken, request.id)
        else:
            await _refuse_overlap(
                context, connection, request.employee, request.id, request.plan, request.full_day
            )
            account.take(request.shares, request=request.id, policy=request.policy, pending=False)
        await connection.execute(
            context.sql.change_request,
            request.id,
            request.leave_type,
            status,
            request.plan.start,
            request.plan.end,
            request.plan.starts_at,
            request.reason if reason is None else reason,
            now,
        )
        await _post(call, connection, accounts, [account], now)


@asynccontextmanager
async def _held(call: Call, connection: Connection, now: datetime) -> AsyncIterator[tuple[Stored, Accounts]]:
    """The request of the path and its employee's accounts, under the lock. Raises `Refusal` 404."""
    context = call.context
    employee = await connection.fetchval(context.sql.find_request_employee, call.id, call.caller.region)
    if employee is None:
        raise not_found(RESOURCE, TITLE)
    # Whose request it is never changes, so that it may be asked before the lock; all else is read after it.
    await employees.lock(context, connection, [employee])
    row = await connection.fetchrow(context.sql.load_request, call.id)
    found = await journal.load_accounts(connection, context, [employee], now)
    assert row is not None
    yield _stored(row), found[employee]


async def _accounts(call: Call, connection: Connection, employee: int, now: datetime) -> Accounts | None:
    """The accounts of an employee whom the caller sees."""
    context = call.context
    if not await connection.fetchval(context.sql.employees_in_sight, [employee], call.caller.region):
        return None
    return (await journal.load_accounts(connection, context, [employee], now)).get(employee)


async def _enrolled(
    context: Context, connection: Connection, accounts: Accounts, leave_type: int
) -> Enrolment:
    """The policy under which leave of this type can be asked for. Raises `Refusal` 400."""
    enrolment = accounts.standing.enrolment
    if enrolment is None:
        raise invalid(RESOURCE, NOT_ON_POLICY)
    if leave_type not in enrolment.entitlements:
        raise invalid(RESOURCE, NOT_IN_POLICY)
    if await connection.fetchval(context.sql.load_leave_type_status, leave_type) != "ACTIVE":
        raise invalid("leaveType", ARCHIVED)
    return enrolment


async def _refuse_overlap(
    context: Context,
    connection: Connection,
    employee: int,
    request: int | None,
    plan: Plan,
    full_day: Decimal,
) -> None:
    rows = await connection.fetch(context.sql.load_held_dates, employee, request, plan.start, plan.end)
    held: dict[date, Fraction] = {}
    for row in rows:
        share = Fraction(row["minutes"]) / Fraction(row["full_day"])
        held[row["on_date"]] = held.get(row["on_date"], Fraction(0)) + share
    if overlaps(shares(plan.days, full_day), held):
        raise invalid(RESOURCE, OVERLAP)


async def _store_days(context: Context, connection: Connection, request: int, plan: Plan) -> None:
    await connection.execute(
        context.sql.insert_request_days,
        request,
        [day.on for day in plan.days],
        [day.minutes for day in plan.days],
    )


async def _post(
    call: Call, connection: Connection, accounts: Accounts, touched: list[Account], now: datetime
) -> None:
    """Store what was posted, unless it overdraws a balance where that is not allowed."""
    if call.context.settings.enforce_balance and any(account.overdrawn for account in touched):
        raise Refusal(400, {call.key: [NOT_ENOUGH]})
    await journal.append(connection, call.context, accounts.postings, now)


def _changed(request: Stored, sent: Mapping[str, Any]) -> Plan:
    """The plan after a PATCH. Whole days follow the range; days that were named stay until others are."""
    days = sent.get("days", None if request.of_whole_days else request.plan.days)
    return _planned(
        sent.get("start_date", request.plan.start),
        sent.get("end_date", request.plan.end),
        days,
        sent.get("start_date_time", request.plan.starts_at),
        request.full_day,
    )


def _planned(
    start: date,
    end: date,
    days: tuple[LeaveDay, ...] | None,
    starts_at: datetime | None,
    full_day: Decimal,
) -> Plan:
    try:
        return planned(start, end, days, starts_at, full_day)
    except BadPlan as error:
        raise invalid(error.field, str(error)) from None


def _stored(row: asyncpg.Record) -> Stored:
    days = tuple(LeaveDay(*pair) for pair in zip(row["dates"], row["minutes"], strict=True))
    return Stored(
        id=row["id"],
        employee=row["employee"],
        leave_type=row["leave_type"],
        policy=row["leave_policy"],
        rule=PeriodRule(row["reset_month"], row["resets_per_year"]),
        status=row["status"],
        plan=Plan(row["start_date"], row["end_date"], days, row["start_date_time"]),
        full_day=row["full_day"],
        reason=row["reason"],
    )

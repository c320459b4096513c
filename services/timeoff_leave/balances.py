"""`/leave-balances` and `update-balance`: what is left of each leave type in each period, in days.

(TrackTik help centre, "Leave Policies, Items, Types, Assign, Unassign, Balances" 23945490482327.) A
balance is the sum of the journal's postings; `update-balance` posts the difference to the total that it
is given, so that it sets and does not add. Which period it sets is a setting: the document's example
fits the one that holds the present day, and no other period is altered.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import WithJsonSchema, model_validator

from timeoff_leave import employees, journal
from timeoff_leave.context import Context
from timeoff_leave.employees import EMPLOYEES, Employee
from timeoff_leave.errors import invalid
from timeoff_leave.filters import Condition
from timeoff_leave.leave_policies import LEAVE_POLICIES, policy_to_use
from timeoff_leave.leave_types import LEAVE_TYPES, LeaveType
from timeoff_leave.listing import Include, Page, Reader, Resource, Row
from timeoff_leave.periods import Period
from timeoff_leave.routes import Call, Route
from timeoff_leave.selection import MAX_LIMIT, Selection
from timeoff_leave.values import MAX_ID, Amount, Body, LocalMoment, Number, Record, Reference, Text, problem

NOT_ON_POLICY = "Employee is not assigned to this leave policy."
NOT_IN_POLICY = "Leave type is not part of this leave policy."
NOTHING_TO_SET = "Days or hours must be entered."

#: Shown with the offset of the record's zone, asked for (in filters) as a local time of that zone.
Bound = Annotated[LocalMoment, WithJsonSchema({"type": "string", "format": "date-time"})]


class LeaveBalance(Record):
    """What is left of a leave type in a period, whose end is exclusive. Filters take the bounds as
    local times of `timeZone`, without an offset."""

    id: str
    employee: int | Employee
    period_id: str
    balance_days: Number
    balance_days_including_pending: Number
    time_zone: str
    period_start_date_time: Bound
    period_end_date_time: Bound
    leave_type: int | LeaveType


class BalanceUpdate(Body):
    """The new total is `days` + `hours` / `payHoursPerDay` of the policy; at least one of them is needed."""

    employee: Reference
    leave_type: Reference
    description: Text | None = None
    days: Amount | None = None
    hours: Amount | None = None

    @model_validator(mode="after")
    def _something(self) -> BalanceUpdate:
        if self.days is None and self.hours is None:
            raise problem(NOTHING_TO_SET)
        return self


def _finish(context: Context, row: Row) -> Row:
    zone = row["timeZone"] or context.settings.time_zone
    start, end = Period(row.pop("period_start"), row.pop("period_months")).bounds(zone)
    return {**row, "timeZone": zone, "periodStartDateTime": start, "periodEndDateTime": end}


LEAVE_BALANCES = Resource(
    "leave-balances",
    "Leave balance",
    LeaveBalance,
    "leave_balances",
    {"employee": Include(EMPLOYEES), "leaveType": Include(LEAVE_TYPES)},
    finish=_finish,
    order=("employee", "leaveType", "period_start"),
    computed=frozenset({"timeZone"}),
    page_first=True,
)


async def list_leave_balances(call: Call) -> Page:
    """A page of balances. Employees whom the query names have their current period opened first."""
    await _open(call.context, call.caller.region, _named(call.selection))
    return await call.page()


async def balances_of(context: Context, region: int, employee: int) -> list[Row]:
    """All balances of one employee with their leave types, if `region` sees the employee; current
    period opened.

    For pages that show them: records as `GET /leave-balances?employee=…&include=leaveType` answers them, by
    leave type, the newest period first.
    """
    await _open(context, region, [employee])
    selection = Selection(
        limit=MAX_LIMIT,
        order=("leaveType", "-periodStartDateTime"),
        includes={"leaveType": {}},
        conditions=(Condition("employee", "integer", "", (employee,)),),
    )
    return (await Reader(context, region, context.pool).page(LEAVE_BALANCES, selection)).records


async def update_balance(call: Call) -> Row:
    """Set the total of one leave type in the current (or next) period; the policy is answered."""
    body = call.given(BalanceUpdate)
    context, now = call.context, call.context.now()
    async with context.transaction() as connection:
        await employees.lock(context, connection, [body.employee])
        policy = await policy_to_use(call, connection)
        seen = await connection.fetchval(context.sql.employees_in_sight, [body.employee], call.caller.region)
        found = await journal.load_accounts(connection, context, [body.employee], now, [body.leave_type])
        accounts = found.get(body.employee)
        enrolment = accounts.standing.enrolment if accounts and seen else None
        if accounts is None or enrolment is None or enrolment.policy != policy["id"]:
            raise invalid(call.key, NOT_ON_POLICY)
        if body.leave_type not in enrolment.entitlements:
            raise invalid(call.key, NOT_IN_POLICY)
        account = accounts.account(body.leave_type, enrolment.policy, enrolment.rule)
        period = account.period_of(account.today)
        period = account.need(
            period.end if context.settings.update_balance_period == "next" else period.start
        )
        total = (body.days or Decimal(0)) + (body.hours or Decimal(0)) / enrolment.hours_per_day
        account.set_total(period, total, body.description)
        await journal.append(connection, context, accounts.postings, now)
        return await call.record(connection)


async def _open(context: Context, region: int, ids: Sequence[int]) -> None:
    if ids:
        seen = await context.pool.fetch(context.sql.employees_in_sight, ids, region)
        await journal.ensure_current(context, [row["id"] for row in seen])


def _named(selection: Selection) -> list[int]:
    """Employees whom the filters name; nobody where they name none."""
    named: set[Any] = set()
    for condition in selection.conditions:
        if condition.field == "employee" and condition.function in ("", "in"):
            named.update(condition.values)
    return sorted(id for id in named if id is not None and 0 < id <= MAX_ID)


ROUTES = (
    Route(
        "GET",
        "/leave-balances",
        list_leave_balances,
        LEAVE_BALANCES,
        "List leave balances",
        many=True,
        description="One record for each employee, leave type and period. An employee whom the filter names "
        "gets the record of the current period with the first read.",
    ),
    Route(
        "POST",
        "/leave-policies/{id}/actions/update-balance",
        update_balance,
        LEAVE_POLICIES,
        "Set an employee's balance of a leave type",
        BalanceUpdate,
        description="Sets the total, and does not add: `days` + `hours` / `payHoursPerDay`.",
        examples=({"update-balance": [NOT_ON_POLICY]}, {"update-balance": [NOT_IN_POLICY]}),
    ),
)

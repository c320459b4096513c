"""`/leave-policies`: what a group of employees is entitled to, and how its balance periods lie in the year.

(TrackTik help centre, "Leave Policies, Items, Types, Assign, Unassign, Balances" 23945490482327.) The
period's dates are those of the calendar year in which the policy is created, whatever it says itself; sent,
they are not read. Which regions' employees it is for follows from its region.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, get_args

import asyncpg
from pydantic import AfterValidator, Field, WithJsonSchema

from timeoff_leave.database import Connection
from timeoff_leave.employees import EMPLOYEES, Employee
from timeoff_leave.errors import NOT_A_CHOICE, invalid, not_before, not_found
from timeoff_leave.leave_policy_items import LEAVE_POLICY_ITEMS, LeavePolicyItem
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.regions import REGIONS, Region, check_region
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import (
    Body,
    CustomId,
    Moment,
    Name,
    Number,
    Quantity,
    Record,
    Reference,
    Text,
    Whole,
    problem,
)

Month = Literal[
    "JANUARY",
    "FEBRUARY",
    "MARCH",
    "APRIL",
    "MAY",
    "JUNE",
    "JULY",
    "AUGUST",
    "SEPTEMBER",
    "OCTOBER",
    "NOVEMBER",
    "DECEMBER",
]
_MONTHS: Final[tuple[Month, ...]] = get_args(Month)
_RESETS: Final = (1, 2, 3, 4, 6, 12)


def _divides_the_year(value: int) -> int:
    if value not in _RESETS:
        raise problem(NOT_A_CHOICE)
    return value


def _hours_of_a_day(value: Decimal) -> Decimal:
    if not 0 < value <= 24:
        raise problem("This value should be between 0 and 24.")
    return value


PayHours = Annotated[
    Quantity,
    AfterValidator(_hours_of_a_day),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 24}),
]
Resets = Annotated[
    Whole, AfterValidator(_divides_the_year), WithJsonSchema({"type": "integer", "enum": list(_RESETS)})
]


class LeavePolicy(Record):
    """A leave policy. `leavePolicyItems` and `employees` (those on it now) are there with `include`."""

    custom_id: str | None
    name: str
    description: str | None
    region: int | Region
    status: Literal["ACTIVE", "INACTIVE"]
    effective_start_date: datetime
    pay_hours_per_day: Number
    balance_reset_reference_month: Month
    balance_resets_per_year: int
    start_period_date: datetime
    end_period_date: datetime
    id: int
    leave_policy_items: list[LeavePolicyItem]
    employees: list[Employee]


class NewLeavePolicy(Body):
    """`startPeriodDate` and `endPeriodDate` are computed and not read."""

    name: Name
    region: Reference
    effective_start_date: Moment = Field(description="tomorrow 00:00 UTC, or later")
    custom_id: CustomId | None = None
    description: Text | None = None
    status: Literal["ACTIVE", "INACTIVE"] | None = Field(None, description="default ACTIVE")
    pay_hours_per_day: PayHours | None = Field(None, description="hours that make one day; default 8")
    balance_reset_reference_month: Month | None = Field(None, description="default JANUARY")
    balance_resets_per_year: Resets | None = Field(None, description="default 1")


LEAVE_POLICIES = Resource(
    "leave-policies",
    "Leave policy",
    LeavePolicy,
    "leave_policies",
    {
        "region": Include(REGIONS),
        "leavePolicyItems": Include(LEAVE_POLICY_ITEMS, link="items_of_policies"),
        "employees": Include(EMPLOYEES, link="employees_of_policies"),
    },
)


async def policy_to_use(call: Call, connection: Connection) -> asyncpg.Record:
    """The policy of the path, as its columns and `reached` (is it the caller's to change?), which stays as
    it is until the transaction ends. Raises `Refusal` 404."""
    row = await connection.fetchrow(call.context.sql.policy_to_use, call.id, call.caller.region)
    if row is None:
        raise not_found(LEAVE_POLICIES.name, LEAVE_POLICIES.title)
    return row


async def policy_to_change(call: Call, connection: Connection) -> asyncpg.Record:
    """As `policy_to_use`, for one change at a time. Raises `Refusal` 403 too."""
    row = await connection.fetchrow(call.context.sql.policy_to_change, call.id, call.caller.region)
    if row is None:
        raise not_found(LEAVE_POLICIES.name, LEAVE_POLICIES.title)
    call.must_reach(row["reached"])
    return row


async def list_leave_policies(call: Call) -> Page:
    return await call.page()


async def read_leave_policy(call: Call) -> Row:
    return await call.record()


async def create_leave_policy(call: Call) -> Row:
    body = call.given(NewLeavePolicy)
    today = call.context.now().astimezone(UTC).date()
    tomorrow = datetime.combine(today + timedelta(days=1), time(), UTC)
    if body.effective_start_date < tomorrow:
        raise invalid("effectiveStartDate", not_before(tomorrow))
    async with call.context.transaction() as connection:
        await check_region(call, connection, body.region)
        id = await connection.fetchval(
            call.context.sql.add_leave_policy,
            body.custom_id,
            body.name,
            body.description,
            body.region,
            body.status or "ACTIVE",
            body.effective_start_date,
            body.pay_hours_per_day or Decimal(8),
            _MONTHS.index(body.balance_reset_reference_month or "JANUARY") + 1,
            body.balance_resets_per_year or 1,
            date(today.year, 1, 1),
            date(today.year, 12, 31),
        )
        return await call.record(connection, id)


ROUTES = (
    Route("GET", "/leave-policies", list_leave_policies, LEAVE_POLICIES, "List leave policies", many=True),
    Route("GET", "/leave-policies/{id}", read_leave_policy, LEAVE_POLICIES, "Read a leave policy"),
    Route(
        "POST",
        "/leave-policies",
        create_leave_policy,
        LEAVE_POLICIES,
        "Create a leave policy",
        NewLeavePolicy,
        examples=(
            {"effectiveStartDate": ["This value should be greater than or equal to Mar 27, 2023, 12:00 AM."]},
        ),
    ),
)

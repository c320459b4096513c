"""`/leave-requests`: leave that is asked for, approved, declined and cancelled.

This resource is an extension of this project. The vendor's product has leave requests and its reachable
documentation shows no API for them, so that this is the smallest one in the style of the others (what
it carries is in the TrackTik help centre: submit 17795225337623, approve and decline 17795404358807).
`customId` is the caller's own key and unique for ever, so that a create can be repeated after an
unknown outcome.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from timeoff_leave import requests_changes
from timeoff_leave.context import Context
from timeoff_leave.employees import EMPLOYEES, Employee
from timeoff_leave.errors import ALREADY_USED
from timeoff_leave.leave_policies import LEAVE_POLICIES, LeavePolicy
from timeoff_leave.leave_types import LEAVE_TYPES, LeaveType
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.requests_changes import NOT_IN_POLICY, NOT_ON_POLICY, OVERLAP, RESOURCE, TITLE, Draft
from timeoff_leave.requests_rules import MOST_DAYS, Action, LeaveDay, Status
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import (
    Body,
    CustomId,
    Day,
    LocalMoment,
    Number,
    Quantity,
    Record,
    Reference,
    clean,
    optional,
    problem,
)

MINUTES_A_DAY = 1440


def _within_a_day(value: Any) -> Any:
    if value > MINUTES_A_DAY:
        raise problem(f"This value should be less than or equal to {MINUTES_A_DAY}.")
    return value


Reason = Annotated[str, Field(strict=True, max_length=255), AfterValidator(clean)]
Minutes = Annotated[
    Quantity,
    AfterValidator(_within_a_day),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MINUTES_A_DAY}),
]


class RequestDay(Record):
    """What is taken of one date."""

    date: date
    minutes: Number


class LeaveRequest(Record):
    """A leave request. `totalDays` is minutes ÷ (payHoursPerDay × 60) of the policy when it was made."""

    id: int
    custom_id: str | None
    employee: int | Employee
    leave_type: int | LeaveType
    leave_policy: int | LeavePolicy
    status: Status
    start_date: date
    end_date: date
    start_date_time: LocalMoment | None
    days: list[RequestDay]
    total_days: Number
    reason: str | None
    time_zone: str
    created_on: datetime
    updated_on: datetime


class NewDay(Body):
    """What is taken of one date of the range."""

    date: Day
    minutes: Minutes


Days = Annotated[list[NewDay], Field(min_length=1, max_length=MOST_DAYS)]


class NewLeaveRequest(Body):
    """Both dates are inclusive. Without `days` each calendar day between them is a full one;
    `startDateTime` is for parts of days."""

    employee: Reference
    leave_type: Reference
    start_date: Day
    end_date: Day
    custom_id: CustomId | None = None
    status: Literal["PENDING", "APPROVED"] | None = Field(None, description="default PENDING")
    start_date_time: LocalMoment | None = None
    days: Days | None = None
    reason: Reason | None = None


class LeaveRequestChange(Body):
    """What is missing stays as it is; `employee`, `customId` and `status` are not read. `days` null: each day
    of the range."""

    leave_type: Reference = optional()
    start_date: Day = optional()
    end_date: Day = optional()
    start_date_time: LocalMoment | None = None
    days: Days | None = None
    reason: Reason | None = None


class ActionReason(Body):
    """Takes the place of the request's reason if it is given."""

    reason: Reason | None = None


def _finish(_: Context, row: Row) -> Row:
    days = zip(row.pop("dates"), row.pop("minutes"), strict=True)
    return {**row, "days": [{"date": on, "minutes": minutes} for on, minutes in days]}


LEAVE_REQUESTS = Resource(
    RESOURCE,
    TITLE,
    LeaveRequest,
    "leave_requests",
    {
        "employee": Include(EMPLOYEES),
        "leaveType": Include(LEAVE_TYPES),
        "leavePolicy": Include(LEAVE_POLICIES),
    },
    finish=_finish,
    page_first=True,
)


async def list_leave_requests(call: Call) -> Page:
    return await call.page()


async def read_leave_request(call: Call) -> Row:
    return await call.record()


async def create_leave_request(call: Call) -> Row:
    body = call.given(NewLeaveRequest)
    draft = Draft(
        employee=body.employee,
        leave_type=body.leave_type,
        custom_id=body.custom_id,
        status=body.status or "PENDING",
        start=body.start_date,
        end=body.end_date,
        days=_days(body.days),
        starts_at=body.start_date_time,
        reason=body.reason,
    )
    async with call.context.transaction() as connection:
        id = await requests_changes.create(call, connection, draft)
        return await call.record(connection, id)


async def change_leave_request(call: Call) -> Row:
    sent = call.given(LeaveRequestChange).sent
    if "days" in sent:
        sent["days"] = _days(sent["days"])
    async with call.context.transaction() as connection:
        await requests_changes.change(call, connection, sent)
        return await call.record(connection)


async def approve_leave_request(call: Call) -> Row:
    return await _act(call, "approve", None)


async def decline_leave_request(call: Call) -> Row:
    return await _act(call, "decline", call.given(ActionReason).reason)


async def cancel_leave_request(call: Call) -> Row:
    return await _act(call, "cancel", call.given(ActionReason).reason)


async def _act(call: Call, action: Action, reason: str | None) -> Row:
    async with call.context.transaction() as connection:
        await requests_changes.act(call, connection, action, reason)
        return await call.record(connection)


def _days(days: list[NewDay] | None) -> tuple[LeaveDay, ...] | None:
    return None if days is None else tuple(LeaveDay(day.date, day.minutes) for day in days)


ROUTES = (
    Route("GET", "/leave-requests", list_leave_requests, LEAVE_REQUESTS, "List leave requests", many=True),
    Route("GET", "/leave-requests/{id}", read_leave_request, LEAVE_REQUESTS, "Read a leave request"),
    Route(
        "POST",
        "/leave-requests",
        create_leave_request,
        LEAVE_REQUESTS,
        "Ask for leave",
        NewLeaveRequest,
        description="A `customId` is used once and for ever: a create that is repeated with the same one is "
        "refused under `customId`, and the record that was made can be read by it.",
        examples=(
            {"customId": [ALREADY_USED]},
            {RESOURCE: [NOT_ON_POLICY]},
            {RESOURCE: [NOT_IN_POLICY]},
            {RESOURCE: [OVERLAP]},
            {"endDate": ["This value should be greater than or equal to Mar 27, 2023, 12:00 AM."]},
        ),
    ),
    Route(
        "PATCH",
        "/leave-requests/{id}",
        change_leave_request,
        LEAVE_REQUESTS,
        "Change a pending or approved leave request",
        LeaveRequestChange,
        description="The status stays. `employee`, `customId` and `status` are ignored without an error.",
    ),
    Route(
        "POST",
        "/leave-requests/{id}/actions/approve",
        approve_leave_request,
        LEAVE_REQUESTS,
        "Approve a pending or declined leave request",
        description="No body is needed. Approving what is approved changes nothing.",
    ),
    Route(
        "POST",
        "/leave-requests/{id}/actions/decline",
        decline_leave_request,
        LEAVE_REQUESTS,
        "Decline a pending or approved leave request",
        ActionReason,
        body_optional=True,
    ),
    Route(
        "POST",
        "/leave-requests/{id}/actions/cancel",
        cancel_leave_request,
        LEAVE_REQUESTS,
        "Cancel a pending or approved leave request, for ever",
        ActionReason,
        body_optional=True,
        examples=({"cancel": ["A declined leave request cannot be cancelled."]},),
    ),
)

"""`/leave-types`: what leave can be of. Region and status are set by create and archive, and PATCH ignores
them."""

from __future__ import annotations

from typing import Literal

from timeoff_leave.database import Connection
from timeoff_leave.errors import not_found
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.regions import REGIONS, Region, check_region
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import Body, Name, Record, Reference, optional


class LeaveType(Record):
    """A leave type. `region` null: of all regions, as the built-in ones are."""

    name: str
    region: int | Region | None
    status: Literal["ACTIVE", "ARCHIVED"]
    id: int


class NewLeaveType(Body):
    """`status` is not read: a type starts ACTIVE."""

    name: Name
    region: Reference | None = None


class LeaveTypeChange(Body):
    """`region` and `status` are not read."""

    name: Name = optional()


LEAVE_TYPES = Resource("leave-types", "Leave type", LeaveType, "leave_types", {"region": Include(REGIONS)})


async def list_leave_types(call: Call) -> Page:
    return await call.page()


async def read_leave_type(call: Call) -> Row:
    return await call.record()


async def create_leave_type(call: Call) -> Row:
    body = call.given(NewLeaveType)
    async with call.context.transaction() as connection:
        if body.region is None:
            call.must_reach(await _is_root(call, connection))
        else:
            await check_region(call, connection, body.region)
        id = await connection.fetchval(call.context.sql.add_leave_type, body.name, body.region)
        return await call.record(connection, id)


async def change_leave_type(call: Call) -> Row:
    sent = call.given(LeaveTypeChange).sent
    async with call.context.transaction() as connection:
        await _lock(call, connection)
        if "name" in sent:
            await connection.execute(call.context.sql.rename_leave_type, call.id, sent["name"])
        return await call.record(connection)


async def archive_leave_type(call: Call) -> Row:
    async with call.context.transaction() as connection:
        await _lock(call, connection)
        await connection.execute(call.context.sql.archive_leave_type, call.id)
        return await call.record(connection)


async def _lock(call: Call, connection: Connection) -> None:
    """Raises `Refusal` 404, or 403 for a type that is defined above the caller's region."""
    row = await connection.fetchrow(call.context.sql.leave_type_to_change, call.id, call.caller.region)
    if row is None:
        raise not_found(LEAVE_TYPES.name, LEAVE_TYPES.title)
    call.must_reach(row["reached"])


async def _is_root(call: Call, connection: Connection) -> bool:
    return bool(await connection.fetchval(call.context.sql.is_root, call.caller.region))


ROUTES = (
    Route("GET", "/leave-types", list_leave_types, LEAVE_TYPES, "List leave types", many=True),
    Route("GET", "/leave-types/{id}", read_leave_type, LEAVE_TYPES, "Read a leave type"),
    Route("POST", "/leave-types", create_leave_type, LEAVE_TYPES, "Create a leave type", NewLeaveType),
    Route(
        "PATCH",
        "/leave-types/{id}",
        change_leave_type,
        LEAVE_TYPES,
        "Rename a leave type",
        LeaveTypeChange,
        description="`region` and `status` are ignored without an error.",
    ),
    Route(
        "POST",
        "/leave-types/{id}/actions/archive",
        archive_leave_type,
        LEAVE_TYPES,
        "Archive a leave type",
        description="No body is needed. An archived type stays on balances and takes no new item or request.",
    ),
)

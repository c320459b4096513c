"""`/regions`: the tree in which everything else has its place.

What an account may see and change follows from its region; a region's time zone is its own, or that of the
nearest one above. Their place in the tree is for ever. (The vendor documents `GET /regions`; the parent's
real name is not known, and creating one over the API is this project's.)
"""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import available_timezones

import asyncpg
from pydantic import AfterValidator, Field

from timeoff_leave.context import Caller, Context
from timeoff_leave.database import Connection
from timeoff_leave.errors import NOT_VALID, invalid
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import Body, Name, Record, Reference, problem

_ZONES = available_timezones()


def _known_zone(value: str) -> str:
    if value not in _ZONES:
        raise problem(NOT_VALID)
    return value


class Region(Record):
    """A region. `timeZone` is null where it takes the one of the nearest region above."""

    id: int
    name: str
    status: Literal["ACTIVE", "ARCHIVED"]
    parent: int | Region | None
    time_zone: str | None


class NewRegion(Body):
    """`parent` is by default the caller's region."""

    name: Name
    parent: Reference | None = None
    time_zone: Annotated[str, Field(strict=True, max_length=64), AfterValidator(_known_zone)] | None = None


REGIONS = Resource("regions", "Region", Region, "regions", {"parent": Include(None)})


async def reaches(context: Context, connection: Connection, caller: Caller, region: int) -> bool:
    """Is this region the caller's, or below it?"""
    return bool(await connection.fetchval(context.sql.reaches, caller.region, region))


async def check_region(call: Call, connection: Connection, region: int) -> None:
    """Raise `Refusal` 400 under `region` unless the caller reaches it; an unknown one looks the same."""
    if not await reaches(call.context, connection, call.caller, region):
        raise invalid("region")


async def knows_zone(context: Context, zone: str) -> bool:
    """Does the database know this zone too? Python's list holds a few names that it does not."""
    try:
        await context.pool.fetchval(context.sql.local_time, zone)
    except asyncpg.DataError:
        return False
    return True


async def list_regions(call: Call) -> Page:
    return await call.page()


async def read_region(call: Call) -> Row:
    return await call.record()


async def create_region(call: Call) -> Row:
    body = call.given(NewRegion)
    parent = body.parent or call.caller.region
    if body.time_zone is not None and not await knows_zone(call.context, body.time_zone):
        raise invalid("timeZone")
    async with call.context.transaction() as connection:
        if not await reaches(call.context, connection, call.caller, parent):
            raise invalid("parent")
        id = await connection.fetchval(call.context.sql.add_region, body.name, parent, body.time_zone)
        return await call.record(connection, id)


ROUTES = (
    Route("GET", "/regions", list_regions, REGIONS, "List regions", many=True),
    Route("GET", "/regions/{id}", read_region, REGIONS, "Read a region"),
    Route("POST", "/regions", create_region, REGIONS, "Create a region", NewRegion),
)

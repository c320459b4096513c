"""`/employees`: the people leave is for, as far as leave needs them. (TrackTik help centre, employee create
and customId 23914924275735; TERMINATED is this project's spelling.)"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from timeoff_leave.context import Context
from timeoff_leave.database import Connection
from timeoff_leave.errors import not_found
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.regions import REGIONS, Region, check_region
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import (
    MAX_ID,
    Body,
    CustomId,
    Name,
    Record,
    Reference,
    Text,
    clean,
    optional,
    problem,
)

Status = Literal["ACTIVE", "TERMINATED"]
_ADDRESS: Final = r"([^@\s]+@[^@\s]+)?"


def _address(value: str) -> str:
    if not re.fullmatch(_ADDRESS, value):
        raise problem("This value should be an e-mail address.")
    return value


#: An address, or an empty text for none.
Email = Annotated[
    str,
    Field(strict=True, max_length=320),
    AfterValidator(clean),
    AfterValidator(_address),
    WithJsonSchema({"type": "string", "maxLength": 320, "pattern": f"^{_ADDRESS}$"}),
]


class Employee(Record):
    """An employee. `name` is first and last name."""

    id: int
    custom_id: str | None
    first_name: str
    last_name: str
    name: str
    email: str | None
    region: int | Region
    status: Status
    job_title: str | None


class NewEmployee(Body):
    """`name` is not read."""

    first_name: Name
    last_name: Name
    region: Reference
    custom_id: CustomId | None = None
    email: Email | None = None
    job_title: Text | None = None
    status: Status = "ACTIVE"


class EmployeeChange(Body):
    """What is missing stays as it is."""

    first_name: Name = optional()
    last_name: Name = optional()
    region: Reference = optional()
    custom_id: CustomId | None = None
    email: Email | None = None
    job_title: Text | None = None
    status: Status = optional()


EMPLOYEES = Resource("employees", "Employee", Employee, "employees", {"region": Include(REGIONS)})


async def lock(context: Context, connection: Connection, ids: Collection[int]) -> None:
    """Hold these employees until the transaction ends; the first statement of whatever changes their
    assignments, postings or requests. Ids that are nobody's are passed over."""
    possible = [id for id in ids if 0 < id <= MAX_ID]
    await connection.execute(context.sql.lock_employees, possible)


async def list_employees(call: Call) -> Page:
    return await call.page()


async def read_employee(call: Call) -> Row:
    return await call.record()


async def create_employee(call: Call) -> Row:
    body = call.given(NewEmployee)
    async with call.context.transaction() as connection:
        await check_region(call, connection, body.region)
        id = await connection.fetchval(
            call.context.sql.add_employee,
            body.custom_id,
            body.first_name,
            body.last_name,
            body.email,
            body.region,
            body.job_title,
            body.status,
        )
        return await call.record(connection, id)


async def change_employee(call: Call) -> Row:
    sent = call.given(EmployeeChange).sent
    sql = call.context.sql
    async with call.context.transaction() as connection:
        if await connection.fetchval(sql.employee_to_change, call.id, call.caller.region) is None:
            raise not_found(EMPLOYEES.name, EMPLOYEES.title)
        if "region" in sent:
            await check_region(call, connection, sent["region"])
        before = await connection.fetchrow(sql.employee_fields, call.id)
        after = {**dict(before or {}), **sent}
        await connection.execute(sql.change_employee, call.id, *after.values(), call.context.now())
        return await call.record(connection)


ROUTES = (
    Route("GET", "/employees", list_employees, EMPLOYEES, "List employees", many=True),
    Route("GET", "/employees/{id}", read_employee, EMPLOYEES, "Read an employee"),
    Route("POST", "/employees", create_employee, EMPLOYEES, "Create an employee", NewEmployee),
    Route("PATCH", "/employees/{id}", change_employee, EMPLOYEES, "Change an employee", EmployeeChange),
)

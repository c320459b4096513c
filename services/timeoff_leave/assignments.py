"""Who is on which policy: `assign-employees`, `unassign-employees`, and `/employee-leave-policies` to read
it.

An assignment has a first day and, when it is over, a last one. An employee is on one policy at a time, so
that all of it happens under the employee's lock. (TrackTik help centre 23945490482327 for the three checks
and their words; the wrapper of the second message is not shown there.)
"""

from __future__ import annotations

from datetime import date
from typing import Final

from timeoff_leave import employees, journal
from timeoff_leave.employees import EMPLOYEES, Employee
from timeoff_leave.errors import Refusal
from timeoff_leave.leave_policies import LEAVE_POLICIES, LeavePolicy, policy_to_use
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import MAX_ID, Body, Ids, Record

UNABLE: Final = "Unable to assign leave policy to all selected employees"
NOT_ACTIVE: Final = "The leave policy is not active."


class EmployeesIds(Body):
    """Employees by their ids, each once."""

    employees_ids: Ids


class EmployeeLeavePolicy(Record):
    """An assignment. `endedOn` null: the employee is on the policy now."""

    employee: int | Employee
    leave_policy: int | LeavePolicy
    started_on: date
    ended_on: date | None
    id: int


EMPLOYEE_LEAVE_POLICIES = Resource(
    "employee-leave-policies",
    "Employee leave policy",
    EmployeeLeavePolicy,
    "employee_leave_policies",
    {"employee": Include(EMPLOYEES), "leavePolicy": Include(LEAVE_POLICIES)},
)


async def assign_employees(call: Call) -> Row:
    """Assigns all of them or none. First all must be found, so that a refusal tells nothing of an employee
    whom the caller may not see; then none may be on a policy."""
    wanted = call.given(EmployeesIds).employees_ids
    context, sql = call.context, call.context.sql
    possible = [id for id in wanted if 0 < id <= MAX_ID]
    async with context.transaction() as connection:
        await employees.lock(context, connection, possible)
        policy = await policy_to_use(call, connection)
        found = await connection.fetch(
            sql.employees_to_assign, possible, policy["region"], call.caller.region
        )
        if len(found) != len(wanted):
            raise Refusal(400, {call.key: [UNABLE]})
        if assigned := await connection.fetchval(sql.count_assigned, possible):
            said = (
                f"{assigned} employees have already been assigned to a policy, "
                "please unassign employees first."
            )
            raise Refusal(400, {call.key: [said]})
        if policy["status"] != "ACTIVE":
            raise Refusal(400, {call.key: [NOT_ACTIVE]})
        now = context.now()
        await connection.execute(sql.assign_employees, possible, call.id, now, context.settings.time_zone)
        await journal.open_current_periods(connection, context, possible, call.id, now)
        return await call.record(connection)


async def unassign_employees(call: Call) -> Row:
    """Ends the assignment of all of them or of none. What they had stays readable."""
    wanted = call.given(EmployeesIds).employees_ids
    context, sql = call.context, call.context.sql
    possible = [id for id in wanted if 0 < id <= MAX_ID]
    async with context.transaction() as connection:
        await employees.lock(context, connection, possible)
        policy = await policy_to_use(call, connection)
        call.must_reach(policy["reached"])
        found = await connection.fetch(sql.employees_on_policy, possible, call.id, call.caller.region)
        if len(found) != len(wanted):
            said = (
                f"Only {len(found)} employees have been assigned to this policy, "
                "please verify employees first."
            )
            raise Refusal(400, {call.key: [said]})
        now, zone = context.now(), context.settings.time_zone
        await connection.execute(sql.unassign_employees, possible, call.id, now, zone)
        return await call.record(connection)


async def list_assignments(call: Call) -> Page:
    return await call.page()


async def read_assignment(call: Call) -> Row:
    return await call.record()


ROUTES = (
    Route(
        "POST",
        "/leave-policies/{id}/actions/assign-employees",
        assign_employees,
        LEAVE_POLICIES,
        "Put employees on a policy",
        EmployeesIds,
        examples=(
            {
                "assign-employees": [
                    "1 employees have already been assigned to a policy, please unassign employees first."
                ]
            },
            {"assign-employees": [UNABLE]},
        ),
    ),
    Route(
        "POST",
        "/leave-policies/{id}/actions/unassign-employees",
        unassign_employees,
        LEAVE_POLICIES,
        "Take employees off a policy",
        EmployeesIds,
        examples=(
            {
                "unassign-employees": [
                    "Only 1 employees have been assigned to this policy, please verify employees first."
                ]
            },
        ),
    ),
    Route(
        "GET",
        "/employee-leave-policies",
        list_assignments,
        EMPLOYEE_LEAVE_POLICIES,
        "List who is and was on which policy",
        many=True,
    ),
    Route(
        "GET",
        "/employee-leave-policies/{id}",
        read_assignment,
        EMPLOYEE_LEAVE_POLICIES,
        "Read who is or was on a policy",
    ),
)

"""Which items a policy has: `assign-leave-policy-items`, `unassign-leave-policy-items`.

A policy has one item of a leave type at most: a second one would make the balance ambiguous.
"""

from __future__ import annotations

from typing import Final

from timeoff_leave.errors import Refusal
from timeoff_leave.leave_policies import LEAVE_POLICIES, policy_to_change
from timeoff_leave.listing import Row
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import MAX_ID, Body, Ids

NOT_ALL: Final = "Unable to assign all selected leave policy items."
ONE_OF_A_TYPE: Final = "Only one leave policy item of each leave type can be assigned to a policy."


class LeavePolicyItemsIds(Body):
    """Items by their ids, each once."""

    leave_policy_items_ids: Ids


async def assign_items(call: Call) -> Row:
    """Links all of them or none; one that is linked already stays so."""
    wanted = call.given(LeavePolicyItemsIds).leave_policy_items_ids
    sql = call.context.sql
    async with call.context.transaction() as connection:
        policy = await policy_to_change(call, connection)
        possible = [id for id in wanted if 0 < id <= MAX_ID]
        found = await connection.fetch(sql.items_to_assign, possible, policy["region"])
        if len(found) != len(wanted):
            raise Refusal(400, {call.key: [NOT_ALL]})
        types = [
            row["leave_type"] for row in await connection.fetch(sql.leave_types_of_policy, call.id, possible)
        ]
        if len(set(types)) != len(types):
            raise Refusal(400, {call.key: [ONE_OF_A_TYPE]})
        await connection.execute(sql.add_policy_items, call.id, possible, call.context.now())
        return await call.record(connection)


async def unassign_items(call: Call) -> Row:
    """Unlinks all of them or none."""
    wanted = call.given(LeavePolicyItemsIds).leave_policy_items_ids
    sql = call.context.sql
    async with call.context.transaction() as connection:
        await policy_to_change(call, connection)
        possible = [id for id in wanted if 0 < id <= MAX_ID]
        count = await connection.fetchval(sql.count_policy_items, call.id, possible)
        if count != len(wanted):
            said = (
                f"Only {count} leave policy items have been assigned to this policy, "
                "please verify leave policy items first."
            )
            raise Refusal(400, {call.key: [said]})
        await connection.execute(sql.remove_policy_items, call.id, possible)
        return await call.record(connection)


ROUTES = (
    Route(
        "POST",
        "/leave-policies/{id}/actions/assign-leave-policy-items",
        assign_items,
        LEAVE_POLICIES,
        "Assign items to a policy",
        LeavePolicyItemsIds,
        examples=({"assign-leave-policy-items": [NOT_ALL]},),
    ),
    Route(
        "POST",
        "/leave-policies/{id}/actions/unassign-leave-policy-items",
        unassign_items,
        LEAVE_POLICIES,
        "Take items off a policy",
        LeavePolicyItemsIds,
    ),
)

"""`/leave-policy-items`: one entitlement to one leave type: a quantity, or a rate at which it accrues.

The rate is stored and nothing accrues: the vendor does not document its unit, and balances move by the year's
grant, by `update-balance` and by requests.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from timeoff_leave.errors import invalid
from timeoff_leave.leave_types import LEAVE_TYPES, LeaveType
from timeoff_leave.listing import Include, Page, Resource, Row
from timeoff_leave.regions import REGIONS, Region, check_region
from timeoff_leave.routes import Call, Route
from timeoff_leave.values import Body, Flag, Name, Number, Quantity, Record, Reference, Text, clean, problem

BOTH: Final = "Only accrual rate or quantity can be entered."
NEITHER: Final = "Accrual rate or quantity must be entered."

#: "Shorter than nine characters" (TrackTik help centre, policies and items 17793822583575).
_ShortId = Annotated[str, Field(strict=True, min_length=1, max_length=8), AfterValidator(clean)]


class LeavePolicyItem(Record):
    """A leave policy item. `quantity` and `carryOverLimit` are in `entitlementUnit`."""

    custom_id: str | None
    name: str
    description: str | None
    entitlement_unit: Literal["DAYS", "HOURS"]
    quantity: Number | None
    region: int | Region
    leave_type: int | LeaveType
    accrual_rate: Number | None
    carry_over: bool
    carry_over_limit: Number | None
    id: int


class NewLeavePolicyItem(Body):
    """Either `quantity` or `accrualRate`; null is not given."""

    name: Name
    entitlement_unit: Literal["DAYS", "HOURS"]
    region: Reference
    leave_type: Reference
    custom_id: _ShortId | None = None
    description: Text | None = None
    quantity: Quantity | None = None
    accrual_rate: Quantity | None = None
    carry_over: Flag | None = Field(None, description="default false")
    carry_over_limit: Quantity | None = Field(None, description="null: no limit")

    @model_validator(mode="after")
    def _one_of_both(self) -> NewLeavePolicyItem:
        if self.quantity is not None and self.accrual_rate is not None:
            raise problem(BOTH)
        if self.quantity is None and self.accrual_rate is None:
            raise problem(NEITHER)
        return self


LEAVE_POLICY_ITEMS = Resource(
    "leave-policy-items",
    "Leave policy item",
    LeavePolicyItem,
    "leave_policy_items",
    {"region": Include(REGIONS), "leaveType": Include(LEAVE_TYPES)},
)


async def list_leave_policy_items(call: Call) -> Page:
    return await call.page()


async def read_leave_policy_item(call: Call) -> Row:
    return await call.record()


async def create_leave_policy_item(call: Call) -> Row:
    body = call.given(NewLeavePolicyItem)
    sql = call.context.sql
    async with call.context.transaction() as connection:
        await check_region(call, connection, body.region)
        leave_type = await connection.fetchrow(sql.leave_type_to_use, body.leave_type, body.region)
        if leave_type is None:
            raise invalid("leaveType")
        if leave_type["status"] != "ACTIVE":
            raise invalid("leaveType", "The leave type is archived.")
        id = await connection.fetchval(
            sql.add_leave_policy_item,
            body.custom_id,
            body.name,
            body.description,
            body.entitlement_unit,
            body.quantity,
            body.accrual_rate,
            body.region,
            body.leave_type,
            body.carry_over or False,
            body.carry_over_limit,
        )
        return await call.record(connection, id)


ROUTES = (
    Route(
        "GET",
        "/leave-policy-items",
        list_leave_policy_items,
        LEAVE_POLICY_ITEMS,
        "List leave policy items",
        many=True,
    ),
    Route(
        "GET",
        "/leave-policy-items/{id}",
        read_leave_policy_item,
        LEAVE_POLICY_ITEMS,
        "Read a leave policy item",
    ),
    Route(
        "POST",
        "/leave-policy-items",
        create_leave_policy_item,
        LEAVE_POLICY_ITEMS,
        "Create a leave policy item",
        NewLeavePolicyItem,
        examples=({"leave-policy-items": [BOTH]},),
    ),
)

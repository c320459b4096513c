"""Balances and requests for tests of the leave service: somebody on a policy, and what is left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.support.leave import Leave

SOMEBODY = 1404
VACATION = 10
SICK = 9


async def employed(
    leave: Leave,
    employee: int | None = SOMEBODY,
    *,
    region: int = 1,
    policy: dict[str, Any] | None = None,
    **item: Any,
) -> int:
    """An employee (1404) on a policy of one item, by default 18 days Vacation; the policy's id."""
    created = await leave.policy(items=[await leave.item(**item)], **(policy or {}))
    await leave.assign(created, await leave.employee(employee, region))
    return created


async def ask(leave: Leave, start: str, end: str | None = None, **fields: Any) -> Any:
    """A leave request of 1404 for Vacation; the record."""
    body = {
        "employee": SOMEBODY,
        "leaveType": VACATION,
        "startDate": start,
        "endDate": end or start,
        **fields,
    }
    return await leave.post("/leave-requests", body)


async def act(leave: Leave, request: int, action: str, body: object = None) -> Any:
    return await leave.post(f"/leave-requests/{request}/actions/{action}", body)


async def left(
    leave: Leave, employee: int = SOMEBODY, leave_type: int = VACATION
) -> dict[str, tuple[Decimal, Decimal]]:
    """First day of each period to (days, days including pending)."""
    rows = await leave.get(f"/leave-balances?employee={employee}&leaveType={leave_type}")
    return {
        row["id"].split("-", 2)[2]: (row["balanceDays"], row["balanceDaysIncludingPending"]) for row in rows
    }


async def journal(leave: Leave) -> list[tuple[str, str, Decimal, bool]]:
    """(kind, first day of the period, days, pending) of every posting, in order."""
    rows = await leave.context.pool.fetch(
        "SELECT kind, period_start, days, pending FROM postings ORDER BY id"
    )
    return [(row["kind"], str(row["period_start"]), row["days"], row["pending"]) for row in rows]

"""A long history of calls, compared step by step with the table of effects kept in plain counters."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from tests.support.leave import served
from tests.support.leave_balances import SICK, SOMEBODY, VACATION, employed

LIVE = ("PENDING", "APPROVED")
MOVES = {
    ("approve", "PENDING"): "APPROVED",
    ("approve", "DECLINED"): "APPROVED",
    ("decline", "PENDING"): "DECLINED",
    ("decline", "APPROVED"): "DECLINED",
    ("cancel", "PENDING"): "CANCELLED",
    ("cancel", "APPROVED"): "CANCELLED",
}


@dataclass
class Model:
    """What the documentation promises, without a journal: counters by leave type and year."""

    left: dict[tuple[int, int], Fraction] = field(default_factory=lambda: defaultdict(lambda: Fraction(18)))
    requests: dict[int, tuple[str, int, dict[date, Fraction]]] = field(default_factory=dict)

    def is_free(self, days: dict[date, Fraction], but: int | None = None) -> bool:
        held: dict[date, Fraction] = defaultdict(Fraction)
        for number, (status, _, own) in self.requests.items():
            if status in LIVE and number != but:
                for on, share in own.items():
                    held[on] += share
        return all(not held[on] or held[on] + share <= 1 for on, share in days.items())

    def become(self, number: int, status: str, leave_type: int, days: dict[date, Fraction]) -> None:
        if number in self.requests and self.requests[number][0] == "APPROVED":
            self._move(*self.requests[number][1:], 1)
        self.requests[number] = (status, leave_type, days)
        if status == "APPROVED":
            self._move(leave_type, days, -1)

    def _move(self, leave_type: int, days: dict[date, Fraction], sign: int) -> None:
        for on, share in days.items():
            self.left[leave_type, on.year] += sign * share

    def balance(self, leave_type: int, year: int) -> tuple[Fraction, Fraction]:
        pending = sum(
            share
            for status, type_, days in self.requests.values()
            if status == "PENDING" and type_ == leave_type
            for on, share in days.items()
            if on.year == year
        )
        left = self.left[leave_type, year]
        return left, left - pending


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_after_every_call_balances_are_what_the_table_of_effects_says(
    database_url: str, seed: int
) -> None:
    """Two types, days around New Year in quarters, all actions in all orders, refusals included."""
    chance, model = random.Random(seed), Model()
    async with served(database_url) as leave:
        policy = await employed(leave)
        sick = {"leavePolicyItemsIds": [await leave.item(leaveType=SICK)]}
        await leave.post(f"/leave-policies/{policy}/actions/assign-leave-policy-items", sick)

        def some_days() -> tuple[dict[date, Fraction], dict[str, Any]]:
            first = date(2023, 12, 26) + timedelta(days=chance.randrange(10))
            share = chance.choice([Fraction(1), Fraction(1), Fraction(1, 2), Fraction(1, 4)])
            days = {first + timedelta(days=number): share for number in range(chance.randint(1, 4))}
            named = [{"date": str(on), "minutes": int(part * 480)} for on, part in days.items()]
            return days, {"startDate": str(first), "endDate": str(max(days)), "days": named}

        outcomes: dict[tuple[str, bool], int] = defaultdict(int)
        for _ in range(150):
            what = chance.choice(
                ["create", "create", "patch", "patch", "approve", "decline", "cancel", "set"]
            )
            leave_type, number, expected = chance.choice([VACATION, SICK]), 0, True
            if what == "set":
                total = Fraction(chance.randrange(-8, 80), 4)
                body = {"employee": SOMEBODY, "leaveType": leave_type, "days": float(total)}
                await leave.post(f"/leave-policies/{policy}/actions/update-balance", body)
                model.left[leave_type, 2023] = total
            elif what == "create":
                days, body = some_days()
                status = chance.choice(LIVE)
                body |= {"employee": SOMEBODY, "leaveType": leave_type, "status": status}
                expected = model.is_free(days)
                reply = await leave.call("POST", "/leave-requests", body)
                assert (reply.status == 200) == expected, reply.text
                if expected:
                    model.become(reply.json["id"], status, leave_type, days)
            elif model.requests:
                number = chance.choice(list(model.requests))
                status, own_type, own = model.requests[number]
                if what == "patch":
                    days, body = some_days()
                    expected = status in LIVE and model.is_free(days, but=number)
                    reply = await leave.call(
                        "PATCH", f"/leave-requests/{number}", body | {"leaveType": leave_type}
                    )
                    if expected:
                        model.become(number, status, leave_type, days)
                else:
                    target = MOVES.get((what, status))
                    free = status != "DECLINED" or what != "approve" or model.is_free(own, but=number)
                    there = (
                        status == {"approve": "APPROVED", "decline": "DECLINED", "cancel": "CANCELLED"}[what]
                    )
                    expected = there or (target is not None and free)
                    reply = await leave.call("POST", f"/leave-requests/{number}/actions/{what}")
                    if target is not None and expected:
                        model.become(number, target, own_type, own)
                assert (reply.status == 200) == expected, reply.text
            outcomes[what, expected] += 1
            for row in await leave.get(f"/leave-balances?employee={SOMEBODY}"):
                found = Fraction(row["balanceDays"]), Fraction(row["balanceDaysIncludingPending"])
                assert found == model.balance(row["leaveType"], int(row["periodId"][:4])), (what, number)
    assert outcomes["create", True]
    assert outcomes["create", False]
    assert outcomes["patch", True]

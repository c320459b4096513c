"""What an employee has left, asked before, during and after a request of his is booked.

The balance service runs beside listener and sync. WFM's part is played as WFM plays it: it hands the request
over before it is decided on (HRIS-Insert-TimeOff), and approves it later.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from timeoff.errors import Unreachable

if TYPE_CHECKING:
    from timeoff_cli.demo.script import Asking
    from timeoff_cli.demo.stage import Stage

SETTINGS: Final = """
[balance]
port = 0
fresh = 2.0
[[balance.tokens]]
name = "demo"
sha256 = "{sha256}"
access = "read-write"
"""
#: Longer nothing is waited for.
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Lookup:
    """One answer: minutes left, how many of those subtracted wait, and what the HRIS says by itself."""

    when: str
    minutes: int | None
    waiting: int
    hris: str


@dataclass
class Lookups:
    """`taken`: minutes of the request. `right`: each answer is what it has to be."""

    taken: int
    asked: list[Lookup] = field(default_factory=list)

    @property
    def right(self) -> bool:
        if len(self.asked) != 4 or self.asked[0].minutes is None:
            return False
        less = self.asked[0].minutes - self.taken
        return [(each.minutes, each.waiting) for each in self.asked] == [
            (self.asked[0].minutes, 0),
            (less, self.taken),
            (less, self.taken),
            (less, 0),
        ]

    def as_json(self) -> dict[str, Any]:
        return {"right": self.right, "minutes": self.taken, "lookups": [asdict(each) for each in self.asked]}


class Desk:
    """The balance service as an internal tool calls it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._token = secrets.token_urlsafe(24)
        self._url = ""

    def settings(self) -> str:
        return SETTINGS.format(sha256=hashlib.sha256(self._token.encode()).hexdigest())

    async def open(self) -> None:
        """Start the service and wait until it says where it listens."""
        service = await self._stage.start_service("balance", ["balance"], self._stage.environment)
        self._url = await service.address("balance.listening")

    def look_around(self, asking: Asking) -> list[str]:
        """Lines for somebody who keeps everything running: the lookup as an internal tool makes it."""
        on, type_id = max(asking.dates), asking.type_id
        body = (
            f'{{"employeeId": "{asking.employee_id}", "dates": ["{on}"], "types": [{{"id": "{type_id}"}}]}}'
        )
        return [
            f"export BALANCE={self._url} TOKEN={self._token}",
            'curl -s $BALANCE/v1/balances/query -H "Authorization: Bearer $TOKEN"'
            f" -H 'Content-Type: application/json' -d '{body}'",
        ]

    async def watch(self, asking: Asking, operate: Callable[[int], Awaitable[None]]) -> Lookups:
        """Ask, hand over, ask, submit in Genesys, ask, approve there, and ask when it is booked.

        `operate` carries out a step of the request in Genesys.
        """
        found = Lookups(sum(asking.minutes))
        found.asked.append(await self._ask(asking, "before"))
        await self._hand_over(asking)
        found.asked.append(await self._ask(asking, "handed over by WFM"))
        await operate(0)
        found.asked.append(await self._ask(asking, "pending in Genesys"))
        await operate(1)
        booked = await self._until(asking, "approved and booked", lambda look: not look.waiting)
        found.asked.append(booked)
        return found

    async def _hand_over(self, asking: Asking) -> None:
        inputs = {
            "agentId": asking.employee_id,
            "dates": asking.dates,
            "minDate": min(asking.dates),
            "maxDate": max(asking.dates),
            "timeOffStatus": "PENDING",
            "timeOffTypeId": asking.type_id,
            "payableMinutes": [str(value) for value in asking.minutes],
        }
        answer = await self._call(
            "/v1/flows/insert-timeoff", {f"Flow.{name}": value for name, value in inputs.items()}
        )
        if answer["Flow.status"] != "Complete":
            raise Unreachable(f"HRIS-Insert-TimeOff: {answer['Flow.status']}: {answer['Flow.errorMsg']}")

    async def _ask(self, asking: Asking, when: str) -> Lookup:
        (row,) = (await self._call("/v1/balances/query", _question(asking)))["balances"]
        hris = row["hris"]
        return Lookup(
            when, row["minutes"], row["pendingMinutes"], f"{hris['amount']} {hris['unit']}" if hris else "-"
        )

    async def _until(self, asking: Asking, when: str, done: Callable[[Lookup], bool]) -> Lookup:
        async with asyncio.timeout(PATIENCE):
            while True:
                look = await self._ask(asking, when)
                if done(look):
                    return look
                await asyncio.sleep(0.2)

    async def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._stage.http.post(self._url + path, json=body, headers=headers) as answer:
            if answer.status != 200:
                raise Unreachable(f"{path}: {answer.status} {(await answer.text())[:300]}")
            said: dict[str, Any] = await answer.json()
            return said


def _question(asking: Asking) -> dict[str, Any]:
    return {
        "employeeId": asking.employee_id,
        "dates": [max(asking.dates)],
        "types": [{"id": asking.type_id}],
    }


__all__ = ["Desk", "Lookup", "Lookups"]

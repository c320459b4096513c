"""Reading balances from the HRIS: at most one call for an employee and a date, many dates at once.

Whoever asks for what is being read already waits for the same call. A call that nobody waits for any more is
not made, unless it is on its way; what it answers is kept for the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from timeoff.errors import AuthFailed, Forbidden, HrisError, NotFound, RetryLater, Unsupported
from timeoff.hris.port import Balance, BalanceAsOf
from timeoff.hris.target import BudgetedHris
from timeoff_balance import metrics
from timeoff_balance.clock import DatabaseClock
from timeoff_balance.figures import Unknown
from timeoff_balance.reserved import Read
from timeoff_balance.shelves import Reading, Shelf, Shelves


@dataclass(slots=True)
class _Flight:
    task: asyncio.Task[Reading | Unknown]
    waiting: int = 0
    sent: bool = False


class Seen(NamedTuple):
    """What there is for a date: a reading, or `why` there is none, or only the last known one."""

    reading: Reading | None
    why: Unknown | None = None


class Lookups:
    def __init__(
        self,
        target: BudgetedHris,
        shelves: Shelves,
        clock: DatabaseClock,
        *,
        oldest: float,
        in_turn: int,
    ) -> None:
        """`oldest`: a last known number is shown for so long, seconds. `in_turn`: so many dates of one
        question wait for the budget at a time, so that a question of many does not stand before all others.
        """
        self._target = target
        self._shelves = shelves
        self._clock = clock
        self._oldest = timedelta(seconds=oldest)
        self._in_turn = max(1, in_turn)
        self._flights: dict[tuple[str, date], _Flight] = {}
        self._cached = metrics.LOOKUPS.labels(target.name, "cached")
        self._read = metrics.LOOKUPS.labels(target.name, "read")
        self.lag = timedelta(seconds=target.hris.capabilities.read_lag)

    async def read(self, shelf: Shelf, dates: Sequence[date], within: float) -> Mapping[date, Seen]:
        """What there is for each date, after `within` seconds at the latest."""
        found: dict[date, Seen] = {}
        flights: dict[date, _Flight] = {}
        turns: asyncio.Semaphore | None = None
        for on in dates:
            if reading := self._shelves.fresh_reading(shelf, on):
                found[on] = Seen(reading)
            elif on not in flights:
                turns = turns or asyncio.Semaphore(self._in_turn)
                flights[on] = self._flight(shelf, on, turns)
        self._cached.inc(len(found))
        if flights:
            self._read.inc(len(flights))
            found.update(await self._await(shelf, flights, within))
        return found

    async def _await(self, shelf: Shelf, flights: Mapping[date, _Flight], within: float) -> dict[date, Seen]:
        for flight in flights.values():
            flight.waiting += 1
        try:
            await asyncio.wait([flight.task for flight in flights.values()], timeout=max(0.0, within))
        finally:
            for flight in flights.values():
                flight.waiting -= 1
                if not flight.waiting and not flight.sent:
                    flight.task.cancel()
        return {on: self._seen(shelf, on, flight) for on, flight in flights.items()}

    def _seen(self, shelf: Shelf, on: date, flight: _Flight) -> Seen:
        answer: Reading | Unknown = Unknown.NOT_IN_TIME
        if flight.task.done() and not flight.task.cancelled():
            answer = flight.task.result()
        if isinstance(answer, Reading):
            return Seen(answer)
        metrics.TROUBLES.labels(self._target.name, answer.value).inc()
        last = shelf.readings.get(on)
        if last is not None and self._clock.now() - last.read.began <= self._oldest:
            return Seen(last, answer)
        return Seen(None, answer)

    def _flight(self, shelf: Shelf, on: date, turns: asyncio.Semaphore) -> _Flight:
        key = (shelf.employee_id, on)
        flight = self._flights.get(key)
        if flight is None or flight.task.done() or flight.task.cancelling():
            task = asyncio.create_task(self._fly(shelf, on, turns))
            flight = self._flights[key] = _Flight(task)
            task.add_done_callback(lambda done, key=key: self._landed(key, done))  # type: ignore[misc]
        return flight

    def _landed(self, key: tuple[str, date], task: asyncio.Task[Reading | Unknown]) -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]

    async def _fly(self, shelf: Shelf, on: date, turns: asyncio.Semaphore) -> Reading | Unknown:
        """One call, in its turn: that lasts until the call is sent. Raises nothing."""
        if self._target.hris.capabilities.balance_as_of is BalanceAsOf.NONE:
            return Unknown.NOT_SUPPORTED
        flight = self._flights[shelf.employee_id, on]
        await turns.acquire()
        try:
            return await self._ask(shelf, on, flight, turns)
        finally:
            if not flight.sent:
                turns.release()

    async def _ask(
        self, shelf: Shelf, on: date, flight: _Flight, turns: asyncio.Semaphore
    ) -> Reading | Unknown:
        """What went wrong is an answer."""
        hris = self._target.hris
        began = self._clock.now()

        async def call() -> Sequence[Balance]:
            nonlocal began
            flight.sent = True
            turns.release()
            began = self._clock.now()
            return await hris.balances(shelf.employee_id, on)

        balances: tuple[Balance, ...] | None
        try:
            balances = tuple(await self._target.ask("balances", call))
        except NotFound as error:
            if error.what != "employee":
                return Unknown.FAILED
            balances = None
        except HrisError as error:
            return trouble_of(error)
        reading = Reading(Read(began, self._clock.latest(), self.lag), time.monotonic(), balances)
        self._shelves.keep_reading(shelf, on, reading)
        metrics.READINGS.set(self._shelves.readings)
        return reading

    async def close(self) -> None:
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)


def trouble_of(error: HrisError) -> Unknown:
    match error:
        case RetryLater():
            return Unknown.THROTTLED if error.throttled else Unknown.UNREACHABLE
        case AuthFailed() | Forbidden():
            return Unknown.REFUSED
        case Unsupported():
            return Unknown.NOT_SUPPORTED
        case _:
            return Unknown.FAILED


__all__ = ["Lookups", "Seen", "trouble_of"]

"""What was read and may be used again: a shelf for each employee, with readings by date and claims.

A reading of the HRIS is fresh for a set time, unless a write that it cannot hold has settled since. Claims of
the ledger are dropped as soon as an event, a notice or a doubt about the log says that they may have changed;
readings stay: a figure is put together anew of the old reading and the new claims, which is right either way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from typing import Final, TypeVar

from timeoff.hris.port import Balance
from timeoff_balance.figures import Figure, TypeAsked, Unknown
from timeoff_balance.reserved import Claim, Read, settling_instants

ShelfKey = tuple[str, str]
Value = TypeVar("Value")

#: Rows that are kept for an employee: those of the largest answer.
MOST_ROWS: Final = 2_000
_generations = count()


@dataclass(frozen=True, slots=True)
class Reading:
    """One answer of the HRIS. `balances` None: it does not know the employee. `at`: monotonic seconds."""

    read: Read
    at: float
    balances: tuple[Balance, ...] | None


@dataclass(frozen=True, slots=True)
class Claims:
    """What the ledger said. `complete` False: events are in the log that it has not taken in."""

    claims: tuple[Claim, ...]
    at: float
    complete: bool
    #: from each of these instants on, older readings are of no use
    settles: tuple[datetime, ...] = ()

    @classmethod
    def of(cls, claims: tuple[Claim, ...], at: float, lag: timedelta, *, complete: bool) -> Claims:
        return cls(claims, at, complete, tuple(settling_instants(claims, lag)))

    def outdates(self, began: datetime, now: datetime) -> bool:
        """Has a write settled for good since a reading began?"""
        return bisect_right(self.settles, began) < bisect_right(self.settles, now)


@dataclass(slots=True)
class Row:
    """A figure, of what it was made, and its text once somebody wrote it."""

    figure: Figure
    reading: Reading | None = None
    claims: Claims | None = None
    text: str | None = None


@dataclass(slots=True)
class Shelf:
    """One employee of one target. Each invalidation gives a `generation` that no shelf ever had; `rows` are
    of the last one."""

    target: str
    employee_id: str
    generation: int = field(default_factory=_generations.__next__)
    readings: dict[date, Reading] = field(default_factory=dict)
    claims: Claims | None = None
    agents: frozenset[str] = frozenset()
    rows: dict[tuple[date, TypeAsked], Row] = field(default_factory=dict)

    def drop_claims(self) -> None:
        self.generation = next(_generations)
        self.claims = None
        self.rows.clear()

    def keep_rows(self, on: date, rows: Collection[Row]) -> None:
        """Of types that there are: anybody can make up others without end."""
        kept = {(on, row.figure.type): row for row in rows if row.figure.unknown is not Unknown.UNKNOWN_TYPE}
        if len(self.rows) + len(kept) > MOST_ROWS:
            self.rows.clear()
        self.rows.update(kept)


class Shelves:
    """All shelves, the least used one thrown away first. `keeps` is False while the log is not followed."""

    def __init__(
        self, *, fresh: float, most_readings: int, monotonic: Callable[[], float], now: Callable[[], datetime]
    ) -> None:
        self._fresh = fresh
        self._most = most_readings
        self._monotonic = monotonic
        self._now = now
        self._shelves: OrderedDict[ShelfKey, Shelf] = OrderedDict()
        self._of_agent: dict[str, set[ShelfKey]] = {}
        self._readings = 0
        #: agent -> place in the log of his last event, as long as the ledger may not have taken it in
        self._awaited: dict[str, tuple[int, int]] = {}
        #: where the partitions ended when the log was first followed
        self._behind: dict[int, int] = {}
        self._offsets: dict[int, int] = {}
        self.keeps = False

    @property
    def readings(self) -> int:
        return self._readings

    def shelf(self, target: str, employee_id: str) -> Shelf:
        key = (target, employee_id)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = Shelf(target, employee_id)
            self._shrink()
        else:
            self._shelves.move_to_end(key)
        return shelf

    def keep_reading(self, shelf: Shelf, on: date, reading: Reading) -> None:
        if self._shelves.get((shelf.target, shelf.employee_id)) is not shelf:
            return  # thrown away meanwhile
        known = shelf.readings.get(on)
        if known is None:
            self._readings += 1
        elif known.read.began > reading.read.began:
            return
        shelf.readings[on] = reading
        self._shrink()

    def keep_claims(self, shelf: Shelf, claims: Claims, agents: frozenset[str], generation: int) -> None:
        """Keep what the ledger said, unless something changed since it was asked.

        Of an employee who is no agent yet no event would tell: his claims are asked for each time.
        """
        key = (shelf.target, shelf.employee_id)
        if self._shelves.get(key) is not shelf:
            return
        for agent in shelf.agents - agents:
            self._of_agent.get(agent, set()).discard(key)
        for agent in agents:
            self._of_agent.setdefault(agent, set()).add(key)
        shelf.agents = agents
        if self.keeps and agents and claims.complete and shelf.generation == generation:
            shelf.claims = claims
            shelf.rows.clear()

    def fresh_reading(self, shelf: Shelf, on: date) -> Reading | None:
        reading = shelf.readings.get(on)
        if reading is None or self._monotonic() - reading.at > self._fresh:
            return None
        claims = shelf.claims
        if claims is not None and claims.settles and claims.outdates(reading.read.began, self._now()):
            return None
        return reading

    def fresh_claims(self, shelf: Shelf, readings: Iterable[Reading]) -> Claims | None:
        """Claims that are as new as all of these readings."""
        claims = shelf.claims
        if claims is None or not self.keeps or self._monotonic() - claims.at > self._fresh:
            return None
        return claims if all(claims.at >= reading.at for reading in readings) else None

    def invalidate_agent(self, agent_id: str, partition: int | None = None, offset: int = -1) -> int:
        """Something of this agent changed; with a place in the log that the ledger has to reach first."""
        if partition is not None:
            self._awaited[agent_id] = (partition, offset)
            self._offsets = {}
        keys = self._of_agent.get(agent_id, set())
        for key in keys:
            if shelf := self._shelves.get(key):
                shelf.drop_claims()
        return len(keys)

    def await_all(self, ends: Mapping[int, int]) -> None:
        """What stands in the log up to these ends was not heard: the ledger has to be as far first."""
        self._behind = {partition: end for partition, end in ends.items() if end > 0}

    def caught_up(self, agents: Collection[str], offsets: Mapping[int, int]) -> bool:
        """Is all that the log holds of these agents in the ledger, whose next offsets these are?"""
        if self._behind:
            self._behind = {p: end for p, end in self._behind.items() if offsets.get(p, 0) < end}
        if self._awaited and offsets != self._offsets:
            self._offsets = dict(offsets)
            for agent_id, (partition, offset) in list(self._awaited.items()):
                if offsets.get(partition, 0) > offset:
                    del self._awaited[agent_id]
        return not self._behind and not any(agent_id in self._awaited for agent_id in agents)

    def invalidate(self, target: str, employee_id: str) -> None:
        if shelf := self._shelves.get((target, employee_id)):
            shelf.drop_claims()

    def invalidate_all(self) -> None:
        for shelf in self._shelves.values():
            shelf.drop_claims()

    def _shrink(self) -> None:
        while (self._readings > self._most or len(self._shelves) > self._most) and len(self._shelves) > 1:
            key, shelf = self._shelves.popitem(last=False)
            self._readings -= len(shelf.readings)
            shelf.drop_claims()  # nobody tells it any more what changes
            for agent in shelf.agents:
                keys = self._of_agent.get(agent, set())
                keys.discard(key)
                if not keys:
                    self._of_agent.pop(agent, None)


__all__ = ["Claims", "Reading", "Row", "Shelf", "Shelves"]

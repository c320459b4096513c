"""Playing the script: operations in time, faults at their moments, and waiting until everything is quiet."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import asyncpg

from timeoff.errors import Unreachable
from timeoff_cli.demo.hris import Record
from timeoff_cli.demo.lookups import Desk, Lookups
from timeoff_cli.demo.script import Planned, Script
from timeoff_cli.demo.stage import Stage

Tell = Callable[[str], None]
#: (seconds into the day, number of the request, the request, its step)
Schedule = list[tuple[float, int, Planned, int]]


@dataclass
class Played:
    """What was done: request ids by the script's names, and the faults that struck."""

    ids: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    restarts: int = 0
    calm_from: float = 0.0
    calm_to: float = 0.0


class Player:
    def __init__(self, stage: Stage, script: Script, seed: int, tell: Tell) -> None:
        self._stage = stage
        self._hris = stage.hris
        self._script = script
        self._random = random.Random(seed)  # noqa: S311 - a script, not a secret
        self._tell = tell
        self.done = 0
        self.played = Played()

    async def baseline(self) -> None:
        """What is there before the product starts: requests in Genesys, leave that HR booked by hand."""
        await self._operate([(planned, step) for planned in self._script.baseline for step in (0,)], True)
        later = [planned for planned in self._script.baseline if len(planned.operations) > 1]
        await self._operate([(planned, 1) for planned in later], True)
        for planned in self._script.baseline:
            await self._book(planned)

    async def asking(self, desk: Desk) -> Lookups:
        """One request on an idle system, and what its employee has left meanwhile."""
        asking = self._script.asking
        assert asking is not None
        return await desk.watch(asking, lambda step: self._operate([(asking.planned, step)]))

    async def calm(self) -> None:
        """One change after the other on an idle system, for the latency of the path itself."""
        self.played.calm_from = time.time()
        for planned in self._script.calm:
            await self._operate([(planned, 0)])
            await asyncio.sleep(0.15)
        await asyncio.sleep(0.5)
        self.played.calm_to = time.time()

    async def day(self, seconds: float) -> None:
        """The day itself: many changes side by side while faults strike."""
        schedule: Schedule = []
        for number, planned in enumerate(self._script.day):
            at = self._random.uniform(0, seconds * 0.8)
            for step in range(len(planned.operations)):
                schedule.append((at, number, planned, step))
                at += self._random.choice((0.2, 0.5, 1.0, 2.5, 4.0))
        schedule.sort(key=lambda item: (item[0], item[1], item[3]))
        began = time.monotonic()
        faults = asyncio.create_task(self._faults(began, seconds))
        people = asyncio.create_task(self._people())
        try:
            while schedule:
                now = time.monotonic() - began
                due, schedule = _next_round(schedule, now)
                if due:
                    await self._operate(due)
                await asyncio.sleep(0.05)
            await asyncio.gather(faults, people)
        finally:
            for task in (faults, people):
                task.cancel()
            await asyncio.gather(faults, people, return_exceptions=True)

    async def _operate(self, steps: list[tuple[Planned, int]], silent: bool = False) -> None:
        operations = []
        for planned, step in steps:
            operation = dict(planned.operations[step])
            if operation["op"] == "patch":
                operation["id"] = self.played.ids[planned.name]
            if silent:
                operation["silent"] = True
            operations.append(operation)
        answer = await self._stage.ask("POST", "/genesys/batch", {"operations": operations})
        for (planned, _), result in zip(steps, answer["results"], strict=True):
            if "error" in result:
                raise Unreachable(f"the sandbox refused an operation of {planned.name}: {result['error']}")
            self.played.ids[planned.name] = result["id"]
        self.done += len(steps)

    # -- faults --------------------------------------------------------------------------------------

    async def _faults(self, began: float, seconds: float) -> None:
        async def at(share: float, what: str) -> None:
            await asyncio.sleep(max(0.0, began + share * seconds - time.monotonic()))
            self.played.faults.append(what)
            self._tell(what)

        await at(0.05, "HR takes the right to book for one employee away")
        await self._hris.refuse(self._script.refused_employee)
        for planned in self._script.refused:
            await self._operate([(planned, 0)])
        await at(0.10, "notifications doubled and swapped")
        await self._stage.ask(
            "PUT", "/genesys/delivery", {"duplicate": 0.08, "swap": 0.08, "swapMs": 1500, "seed": 1}
        )
        await at(0.30, "sockets dropped, refused for 3 s while changes go on")
        await self._stage.ask("PUT", "/options", {"genesys": {"refuseSockets": True}})
        await self._stage.ask("POST", "/genesys/drop-sockets", {})
        await asyncio.sleep(3)
        await self._stage.ask("PUT", "/options", {"genesys": {"refuseSockets": False}})
        await at(0.50, "HRIS throttles (429)")
        await self._hris.spoil("book", "throttle", 2, retryAfter=1)
        await at(0.60, "HRIS answers lost after the write")
        await self._hris.spoil("book", "commit_then_drop", 2)
        await self._hris.spoil("book", "commit_then_500", 1)
        await self._hris.spoil("cancel", "commit_then_drop", 1)
        for planned in self._script.swapped:
            await self._operate([(planned, 0)])
        await at(0.70, "notifications held back, then delivered in reverse")
        await self._reverse()
        await at(0.75, "HRIS connection cut before the write")
        await self._hris.spoil("book", "error_before_commit", 1)

    async def _reverse(self) -> None:
        """Two changes of one request, a moment apart, whose notifications arrive newest first."""
        await self._stage.ask("PUT", "/genesys/delivery", {"hold": True})
        for step in (1, 2):
            for planned in self._script.swapped:
                await self._operate([(planned, step)])
            await asyncio.sleep(0.5)
        await self._stage.ask("PUT", "/genesys/delivery", {"hold": False, "reverse": True})

    @asynccontextmanager
    async def watching_sync(self) -> AsyncIterator[None]:
        """As any supervisor of processes does: a sync that ended is started again."""
        guard = asyncio.create_task(self._restart_sync())
        try:
            yield
        finally:
            guard.cancel()
            await asyncio.gather(guard, return_exceptions=True)

    async def _restart_sync(self) -> None:
        """The sync is killed (kill -9) once, right after a write; whoever runs it starts it again."""
        sync = self._stage.services["sync"]
        while True:
            assert sync.process is not None
            code = await sync.process.wait()
            self.played.restarts += 1
            self.played.faults.append(f"sync ended with {code} (kill -9) and was started again")
            self._tell(self.played.faults[-1])
            if self.played.restarts > 3:
                raise Unreachable(f"sync keeps ending:\n{sync.tail(20)}")
            await asyncio.sleep(0.5)
            await sync.start()

    async def _people(self) -> None:
        """HR works by hand in the HRIS, and Genesys does not know."""
        await self._surprise()
        await self._touch()

    async def _surprise(self) -> None:
        """Leave that HR has booked since the first start is in the way: whoever books it too is refused."""
        for planned in self._script.surprised:
            await self._book(planned)
            await self._operate([(planned, 0)])

    async def _book(self, planned: Planned) -> None:
        if hand := planned.by_hand:
            await self._hris.book(hand.employee_id, hand.type_id, hand.hours)

    async def _touch(self) -> None:
        """HR changes booked leave by hand; the next change in Genesys must not overwrite it."""
        for planned in self._script.touched:
            await self._operate([(planned, 0)])
        ids = [self.played.ids[planned.name] for planned in self._script.touched]
        records = await self._booked(ids)
        await asyncio.sleep(1.5)  # longer than the read lag: a fresh entry would be taken as untouched
        for request_id in ids:
            record = records[request_id]
            await self._hris.change(record.id, dict.fromkeys(record.amounts, Decimal(2)))
        await asyncio.sleep(1.0)  # reads of the HRIS lag behind its writes, those of HR too
        for planned in self._script.touched:
            await self._operate([(planned, 1)])

    async def _booked(self, request_ids: list[str]) -> dict[str, Record]:
        """HRIS records of requests, once all of them are there."""
        connection = await asyncpg.connect(self._stage.database)
        try:
            async with asyncio.timeout(60):
                while True:
                    rows = await connection.fetch(
                        "SELECT r.request_id, e.vendor_id FROM ledger.entries e"
                        " JOIN ledger.requests r USING (request_pk) WHERE r.request_id = ANY ($1) AND e.live",
                        request_ids,
                    )
                    if len(rows) == len(request_ids):
                        break
                    await asyncio.sleep(0.2)
        finally:
            await connection.close()
        by_id = {record.id: record for record in await self._hris.records()}
        return {row["request_id"]: by_id[row["vendor_id"]] for row in rows}


def _next_round(schedule: Schedule, now: float) -> tuple[list[tuple[Planned, int]], Schedule]:
    """What is due and can go in one batch (one step of a request at a time), and the rest."""
    due: dict[str, tuple[Planned, int]] = {}
    rest: Schedule = []
    for item in schedule:
        at, _, planned, step = item
        if at <= now and planned.name not in due:
            due[planned.name] = (planned, step)
        else:
            rest.append(item)
    return list(due.values()), rest


QUIET = """
SELECT (SELECT count(*) FROM ledger.requests WHERE due_at <= now()) AS due,
       (SELECT count(*) FROM ledger.intents WHERE settled_at IS NULL) AS intents,
       (SELECT count(*) FROM ledger.requests WHERE unconfirmed) AS unconfirmed,
       (SELECT count(*) FROM ledger.requests WHERE state = 'waiting' AND due_at IS NOT NULL) AS waiting,
       (SELECT count(*) FROM ledger.gaps WHERE closed_at IS NULL) AS gaps,
       (SELECT count(*) FROM ledger.outbox) AS outgoing,
       (SELECT count(*) FROM ledger.requests WHERE report IS DISTINCT FROM reported
        AND handover_id IS DISTINCT FROM request_id) AS reports,
       (SELECT count(*) FROM ledger.requests) AS known
"""


async def until_quiet(stage: Stage, *, known: int, patience: float, quiet_for: float = 2.0) -> dict[str, int]:
    """Wait until nothing is left to do for a while; returns what was left when patience ran out."""
    connection = await asyncpg.connect(stage.database)
    try:
        began = time.monotonic()
        quiet_since: float | None = None
        left: dict[str, int] = {}
        while time.monotonic() - began < patience:
            for name in ("listener", "sync"):
                if not stage.services[name].running and time.monotonic() - began > 3:
                    raise Unreachable(f"{name} ended:\n{stage.services[name].tail(20)}")
            try:
                row = dict(await connection.fetchrow(QUIET) or {})
            except asyncpg.UndefinedTableError:  # the services have not migrated the database yet
                row = {"known": -1}
            left = {name: count for name, count in row.items() if name != "known" and count}
            if left or row["known"] < known:
                quiet_since = None
            elif quiet_since is None:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since >= quiet_for:
                return {}
            await asyncio.sleep(0.2)
        return left or {"unknown requests": known - row["known"]}
    finally:
        await connection.close()

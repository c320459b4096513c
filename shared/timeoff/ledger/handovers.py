"""What workflows hand over, as the ledger keeps it, and how it becomes one with what Genesys shows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import uuid4

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from timeoff.errors import LeaseLost
from timeoff.events import RequestContent
from timeoff.handover import Handed
from timeoff.ledger.database import Store, as_json
from timeoff.ledger.rows import Case, handed_from_json, handed_to_json
from timeoff.vocabulary import IntegrationStatus, WritePath

#: Notices through PostgreSQL: workers have something to do; the balance of an employee has changed.
DUE_CHANNEL: Final = "timeoff_due"
BALANCE_CHANNEL: Final = "timeoff_balance"


@dataclass(frozen=True, slots=True)
class Person:
    """Who an employee is in Genesys; None where nobody has looked him up yet."""

    agent_id: str | None = None
    management_unit_id: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A request of an employee: handed over, seen in Genesys, or both.

    `entries` are (id in the HRIS, live) in the order in which they were booked.
    """

    request_pk: int
    request_id: str
    handover_id: str | None
    employee_id: str | None
    management_unit_id: str | None
    zone: str | None
    write_path: WritePath
    state: str
    reason: str | None
    revision: int
    handed: Handed | None
    handed_at: datetime | None
    content: RequestContent | None
    missing: bool
    entries: tuple[tuple[str, bool], ...]
    #: the record that it was to take over
    adopt: str | None = None

    @property
    def live_ids(self) -> tuple[str, ...]:
        return tuple(id for id, live in self.entries if live)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a hand-over is; `detail` is what a person would be shown. Names as in `requests`."""

    request_pk: int
    handover_id: str
    state: str
    reason: str | None
    detail: Mapping[str, Any]
    revision: int
    write_path: WritePath
    entries: tuple[tuple[str, bool], ...]
    #: workers look at it again, now or at a time
    due: bool = False

    @property
    def live_ids(self) -> tuple[str, ...]:
        return tuple(id for id, live in self.entries if live)


@dataclass(frozen=True, slots=True)
class Taken:
    """A hand-over that is in the ledger: its id, valid for ever, and the revision of what it asks for."""

    request_pk: int
    handover_id: str
    revision: int


class Turn:
    """An employee's hand-overs while nobody else adds one; all in one transaction."""

    def __init__(
        self, store: Handovers, connection: PoolConnectionProxy[asyncpg.Record], target: str, employee_id: str
    ) -> None:
        self._store = store
        self._connection = connection
        self._where = (store.org, target, employee_id)

    async def near(self, first_day: date, last_day: date) -> list[Known]:
        """All of this employee's requests that touch the days."""
        sql = self._store.sql.handovers_near
        rows = await self._connection.fetch(sql, *self._where, first_day, last_day)
        return [_known(row) for row in rows]

    async def named(self, id: str) -> Known | None:
        """The request that was ever given this id, of whichever employee."""
        row = await self._connection.fetchrow(
            self._store.sql.handover_named, *self._where[:2], id, self._where[2]
        )
        return _known(row) if row else None

    async def add(
        self,
        handed: Handed,
        path: WritePath,
        person: Person,
        *,
        answer_within: float,
        look_first: bool = False,
        decision: Mapping[str, Any] | None = None,
    ) -> Taken:
        """A new one. Workers see to it at once; `decision` is kept as evidence."""
        _, target, employee_id = self._where
        sql = self._store.sql
        await self._connection.execute(sql.add_lane, *self._where)
        handover_id = str(uuid4())
        first, last = handed.span
        row = await self._connection.fetchrow(
            sql.add_handover,
            *self._where,
            handover_id,
            # Events need a key also where nobody knows yet which agent this is.
            person.agent_id or f"employee:{target}:{employee_id}",
            person.management_unit_id,
            person.zone,
            look_first,
            path.value,
            as_json(handed_to_json(handed)),
            float(answer_within),
            first,
            last,
            handed.adopt,
        )
        assert row is not None
        await self._told(row["request_pk"], decision)
        return Taken(row["request_pk"], handover_id, row["revision"])

    async def hand(
        self,
        known: Known,
        handed: Handed,
        path: WritePath,
        *,
        answer_within: float,
        due: bool,
        decision: Mapping[str, Any] | None = None,
    ) -> Taken:
        """The wish for a request that is there. `due`: workers have to look at it."""
        first, last = handed.span
        row = await self._connection.fetchrow(
            self._store.sql.hand_over,
            known.request_pk,
            str(uuid4()),
            as_json(handed_to_json(handed)),
            path.value,
            float(answer_within),
            due,
            first,
            last,
            handed.removed,
        )
        assert row is not None
        await self._told(row["request_pk"], decision)
        return Taken(row["request_pk"], row["handover_id"], row["revision"])

    async def _told(self, request_pk: int, decision: Mapping[str, Any] | None) -> None:
        await self._store.told(self._connection, request_pk, self._where, decision)


class Handovers(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str, holder: str) -> None:
        super().__init__(pool)
        self.org = org
        self.holder = holder

    async def person(self, target: str, employee_id: str) -> Person:
        row = await self.pool.fetchrow(self.sql.handover_person, self.org, target, employee_id)
        return Person(row["agent_id"], row["management_unit_id"], row["zone"]) if row else Person()

    @asynccontextmanager
    async def turn(self, target: str, employee_id: str) -> AsyncIterator[Turn]:
        """Keep it short: nobody else hands over anything of this employee meanwhile."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(self.sql.lock_employee, self.org, target, employee_id)
            yield Turn(self, connection, target, employee_id)

    async def progress(self, handover_id: str) -> Progress | None:
        row = await self.pool.fetchrow(self.sql.handover_state, handover_id)
        if row is None:
            return None
        return Progress(
            request_pk=row["request_pk"],
            handover_id=row["handover_id"],
            state=row["state"],
            # The reason of an open one is why it stood still before.
            reason=row["reason"] if row["state"] != "open" else None,
            detail=json.loads(row["detail"]) if row["detail"] else {},
            revision=row["revision"],
            write_path=WritePath(row["write_path"]),
            entries=_entries(row["entries"]),
            due=row["due_at"] is not None,
        )

    async def answered(self, handover_id: str, shown: IntegrationStatus) -> None:
        """A call was answered, and Genesys shows this because of it. Another end of it, now or later, is
        reported.
        """
        await self.pool.execute(self.sql.handover_answered, handover_id, shown.value)

    async def note(self, decision: Mapping[str, Any], request_pk: int | None = None) -> None:
        """Evidence of a decision that changed nothing; without notes."""
        await self.pool.execute(
            self.sql.note_evidence, None, request_pk, self.holder, "decision", as_json(dict(decision))
        )

    async def told(
        self,
        connection: PoolConnectionProxy[asyncpg.Record],
        request_pk: int,
        where: tuple[str, str, str],
        decision: Mapping[str, Any] | None,
    ) -> None:
        """Within a transaction: evidence, and whom it wakes when it is committed."""
        if decision is not None:
            await connection.execute(
                self.sql.note_evidence, None, request_pk, self.holder, "decision", as_json(dict(decision))
            )
        org, target, employee_id = where
        notice = json.dumps({"target": target, "employee_id": employee_id})
        await connection.execute(self.sql.notify, BALANCE_CHANNEL, notice)
        await connection.execute(self.sql.notify, DUE_CHANNEL, org)

    async def bind(self, handed: Case, seen: Case, *, epoch: int) -> bool:
        """Make one row of what was handed over and what was seen; False where that cannot be.

        The row that something was written for stays. Both stand in the lane that the caller holds, whose
        `epoch` fences this; raises `LeaseLost`. Not when either has moved since: look at it again.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            # A call may be about to hand over what becomes another row here.
            await connection.execute(self.sql.lock_employee, self.org, handed.target, handed.employee_id)
            if await connection.fetchval(self.sql.lock_lane_of, handed.lane_id, epoch) is None:
                raise LeaseLost
            pks = [handed.request_pk, seen.request_pk]
            rows = {row["request_pk"]: row for row in await connection.fetch(self.sql.lock_both, pks)}
            ours, theirs = rows.get(handed.request_pk), rows.get(seen.request_pk)
            if ours is None or theirs is None:
                return False
            if (ours["revision"], theirs["revision"]) != (handed.revision, seen.revision):
                return False
            if ours["written"] and theirs["written"]:
                return False
            if ours["written"]:
                row = await connection.fetchrow(self.sql.drop_seen, seen.request_pk)
                assert row is not None
                await connection.execute(self.sql.become_seen, handed.request_pk, *row.values())
                stays = handed.request_pk
            else:
                await connection.execute(
                    self.sql.take_handover, seen.request_pk, handed.request_pk, theirs["written"]
                )
                stays = seen.request_pk
            decision = {"bound": seen.view.request_id, "handover": handed.handover_id}
            await self.told(connection, stays, (self.org, handed.target, handed.employee_id), decision)
        return True


def _known(row: asyncpg.Record) -> Known:
    return Known(
        request_pk=row["request_pk"],
        request_id=row["request_id"],
        handover_id=row["handover_id"],
        employee_id=row["employee_id"],
        management_unit_id=row["management_unit_id"],
        zone=row["zone"],
        write_path=WritePath(row["write_path"]),
        state=row["state"],
        reason=row["reason"],
        revision=row["revision"],
        handed=handed_from_json(row["handed"]) if row["handed"] else None,
        handed_at=row["handed_at"],
        content=RequestContent.model_validate_json(row["content"]) if row["content"] else None,
        missing=row["missing"],
        entries=_entries(row["entries"]),
        adopt=row["adopt"],
    )


def _entries(text: str | None) -> tuple[tuple[str, bool], ...]:
    return tuple((each["id"], each["live"]) for each in json.loads(text)) if text else ()


__all__ = ["BALANCE_CHANNEL", "DUE_CHANNEL", "Handovers", "Known", "Person", "Progress", "Taken", "Turn"]

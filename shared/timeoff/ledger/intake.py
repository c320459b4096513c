"""The intake's side of the ledger: what was read from the log, its offsets, and what follows from it.

Everything about one batch is one transaction. The offsets in the ledger are the truth about how far the log
was read; a batch that does not start where they stand was read by a member that lost its partition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from timeoff.errors import Fenced
from timeoff.eventlog.port import Span
from timeoff.events import RequestContent
from timeoff.ledger.database import Store, as_json
from timeoff.ledger.lanes import view_of
from timeoff.ledger.rows import RequestView


@dataclass(frozen=True, slots=True)
class ViewChange:
    """A request's new view. `due`: what is wanted changed, so a worker has to look at it."""

    view: RequestView
    first_seen: str
    target: str | None
    look_first: bool
    due: bool
    removed: bool
    first_day: date | None
    last_day: date | None


@dataclass(frozen=True, slots=True)
class Observed:
    """An observation as evidence. `verdict` says what it changed."""

    request_id: str
    source: str
    verdict: str
    version: int | None
    modified_at: datetime | None
    read_at: datetime
    content: RequestContent | None
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that leaves with this transaction."""

    topic: str
    key: str
    type: str
    event_id: str
    data: bytes
    extensions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class IntakeBatch:
    spans: Mapping[int, Span]
    changes: Sequence[ViewChange] = ()
    observed: Sequence[Observed] = ()
    outgoing: Sequence[Outgoing] = ()
    #: agents whose requests a read has just confirmed, or failed to
    confirmed_agents: Collection[str] = ()
    #: agents to be read over REST
    ask_agents: Collection[str] = ()
    gap: str | None = None


class IntakeStore(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str, group: str, topic: str) -> None:
        super().__init__(pool)
        self.org = org
        self.group = group
        self.topic = topic

    async def offsets(self, partitions: Collection[int]) -> dict[int, int]:
        """Next offset to read of each partition that was read before."""
        rows = await self.fetch(self.sql.offsets, self.group, self.topic, sorted(partitions))
        return {row["partition"]: row["next_offset"] for row in rows}

    async def views(self, request_ids: Collection[str]) -> dict[str, RequestView]:
        rows = await self.fetch(self.sql.views, self.org, list(request_ids))
        return {row["request_id"]: view_of(row) for row in rows}

    async def store(self, batch: IntakeBatch) -> None:
        """One transaction for all of it. Raises `Fenced` if another member moved an offset."""
        partitions = sorted(batch.spans)
        async with self.pool.acquire() as connection, connection.transaction():
            where = (self.group, self.topic, partitions)
            rows = await connection.fetch(self.sql.offsets_for_update, *where)
            if len(rows) < len(partitions):  # a partition's first batch: there must be a row to lock
                starts = [batch.spans[partition].start for partition in partitions]
                await connection.execute(self.sql.first_offsets, *where, starts)
                rows = await connection.fetch(self.sql.offsets_for_update, *where)
            for row in rows:
                if row["next_offset"] != batch.spans[row["partition"]].start:
                    raise Fenced(f"{self.topic}/{row['partition']} was read on by another member")
            await connection.execute(
                self.sql.store_offsets,
                *where,
                [batch.spans[partition].end for partition in partitions],
            )
            if batch.changes:
                ids = [change.view.request_id for change in batch.changes]
                await connection.execute(self.sql.lock_views, self.org, ids)
                await connection.execute(
                    self.sql.store_views, self.org, as_json([_change_row(c) for c in batch.changes])
                )
            if batch.observed:
                await connection.execute(
                    self.sql.store_observations,
                    self.org,
                    as_json([_observed_row(item) for item in batch.observed]),
                )
            if batch.outgoing:
                await connection.execute(
                    self.sql.store_outgoing,
                    [item.topic for item in batch.outgoing],
                    [item.key for item in batch.outgoing],
                    [item.type for item in batch.outgoing],
                    [item.event_id for item in batch.outgoing],
                    [item.data for item in batch.outgoing],
                    [as_json(dict(item.extensions)) for item in batch.outgoing],
                )
            if batch.gap:
                await connection.fetchval(self.sql.open_gap, self.org, batch.gap, [])
            if batch.confirmed_agents:
                agents = sorted(batch.confirmed_agents)
                await connection.execute(self.sql.clear_confirmations, self.org, agents)
                await connection.execute(self.sql.retry_confirmations, self.org, agents)
            if batch.ask_agents:
                await connection.execute(self.sql.ask_confirmations, self.org, sorted(batch.ask_agents))
                await connection.execute(self.sql.notify, "timeoff_confirmations", self.org)


def _change_row(change: ViewChange) -> dict[str, Any]:
    view = change.view
    return {
        "request_id": view.request_id,
        "agent_id": view.agent_id,
        "management_unit_id": view.management_unit_id,
        "zone": view.zone,
        "version": view.version,
        "confirmed": view.confirmed,
        "confirmed_at": view.confirmed_at,
        "watermark": view.watermark,
        "provisional": view.provisional,
        "unconfirmed": view.unconfirmed,
        "missing": view.missing,
        "first_seen": change.first_seen,
        "target": change.target,
        "look_first": change.look_first,
        "due": change.due,
        "removed": change.removed,
        "first_day": change.first_day,
        "last_day": change.last_day,
    }


def _observed_row(item: Observed) -> dict[str, Any]:
    return {
        "request_id": item.request_id,
        "source": item.source,
        "verdict": item.verdict,
        "version": item.version,
        "modified_at": item.modified_at,
        "read_at": item.read_at,
        "content": item.content,
        "partition": item.partition,
        "log_offset": item.offset,
    }

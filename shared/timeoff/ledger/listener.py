"""The listener's side of the ledger: confirming reads, gaps, agents, what is known already."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from timeoff.errors import Unreachable
from timeoff.ledger.database import CONNECTION_TROUBLE, Store


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An agent whose requests are to be read over REST.

    `request_ids` are those that wait for it; one that the agent's list does not hold is fetched by id.
    """

    agent_id: str
    request_ids: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of time in which changes may have been missed; closed only by a finished backfill.

    `agent_ids` empty means all agents (a global gap).
    """

    gap_id: int
    opened_at: datetime
    reason: str
    agent_ids: tuple[str, ...]


class ListenerStore(Store):
    """Implements what `timeoff_listener.ports.ListenerLedger` asks for. Raises `Unreachable`."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str) -> None:
        super().__init__(pool)
        self.org = org
        self._woken = asyncio.Event()
        self._ears: Any = None

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        try:
            return await super().fetch(statement, *arguments)
        except CONNECTION_TROUBLE as error:
            raise Unreachable(f"PostgreSQL: {type(error).__name__}") from None

    async def claim_confirmations(self, limit: int, lease: float) -> Sequence[Confirmation]:
        rows = await self.fetch(self.sql.claim_confirmations, self.org, limit, lease)
        return [Confirmation(r["agent_id"], tuple(r["request_ids"]), r["attempts"]) for r in rows]

    async def postpone_confirmation(self, agent_id: str, seconds: float) -> None:
        await self.fetch(self.sql.postpone_confirmation, self.org, agent_id, seconds)

    async def wait_for_confirmations(self, timeout: float) -> None:
        await self._listen()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), timeout)
        self._woken.clear()

    async def known_versions(self, request_ids: Collection[str]) -> Mapping[str, int]:
        rows = await self.fetch(self.sql.known_versions, self.org, list(request_ids))
        return {row["request_id"]: row["version"] for row in rows}

    async def known_requests(self, agent_ids: Collection[str]) -> Mapping[str, Mapping[str, int | None]]:
        known: dict[str, dict[str, int | None]] = defaultdict(dict)
        for row in await self.fetch(self.sql.known_requests, self.org, list(agent_ids)):
            known[row["agent_id"]][row["request_id"]] = row["version"]
        return known

    async def open_gap(self, reason: str, agent_ids: Collection[str]) -> int:
        rows = await self.fetch(self.sql.open_gap, self.org, reason, sorted(agent_ids))
        return int(rows[0]["gap_id"])

    async def open_gaps(self) -> Sequence[Gap]:
        rows = await self.fetch(self.sql.open_gaps, self.org)
        return [Gap(r["gap_id"], r["opened_at"], r["reason"], tuple(r["agent_ids"])) for r in rows]

    async def close_gap(self, gap_id: int, *, requests_read: int) -> None:
        await self.fetch(self.sql.close_gap, gap_id, requests_read)

    async def save_agents(self, agents: Mapping[str, tuple[str, str]]) -> None:
        ids = sorted(agents)
        await self.fetch(
            self.sql.save_agents,
            self.org,
            ids,
            [agents[agent_id][0] for agent_id in ids],
            [agents[agent_id][1] for agent_id in ids],
        )

    async def _listen(self) -> None:
        """LISTEN on a connection of its own; reopened when it was lost. Polling covers the time between."""
        try:
            if self._ears is not None and not self._ears.is_closed():
                return
            self._ears = await self.pool.acquire()
            await self._ears.add_listener("timeoff_confirmations", self._wake)
        except CONNECTION_TROUBLE:
            # A lost connection went back to the pool by itself, and then even `is_closed` is refused.
            self._ears = None
            return
        self._woken.set()

    def _wake(self, *_: Any) -> None:
        self._woken.set()

    async def close(self) -> None:
        if self._ears is not None:
            with contextlib.suppress(*CONNECTION_TROUBLE):
                await self._ears.remove_listener("timeoff_confirmations", self._wake)
            await self.pool.release(self._ears)
            self._ears = None

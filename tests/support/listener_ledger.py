"""The listener's view of the ledger, in memory, fed by the intake's rules in their simplest form."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from timeoff.eventlog.port import LogRecord
from timeoff.events import Observation, decode_observation
from timeoff.vocabulary import ObservationSource
from timeoff_listener.ports import Confirmation, Gap


class MemoryListenerLedger:
    """`ListenerLedger`. Give `absorb` to the log, and it behaves as if the sync read along at once.

    A notification asks for a confirming read of its agent; a read with a version, or one that finds the
    request missing, ends the wait.
    """

    def __init__(self, *, topic: str = "timeoff.requests", confirms: bool = True) -> None:
        self.topic = topic
        self.confirms = confirms
        self.versions: dict[str, int] = {}
        self.contents: dict[str, Observation] = {}
        self.agents: dict[str, tuple[str, str]] = {}
        self.gaps: dict[int, Gap] = {}
        self.closed: list[tuple[Gap, int]] = []
        self.postponed: list[tuple[str, float]] = []
        self.missing: list[str] = []
        self._owner: dict[str, str] = {}
        self._waiting: dict[str, dict[str, None]] = {}
        self._claimed: dict[str, float] = {}
        self._due_at: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._next_gap = 1
        self._changed = asyncio.Condition()

    def absorb(self, record: LogRecord) -> None:
        if record.topic == self.topic:
            self.take(decode_observation(record))

    def take(self, seen: Observation) -> None:
        self._owner[seen.request_id] = seen.agent_id
        if seen.source is ObservationSource.STREAM:
            if self.confirms:
                self.want(seen.agent_id, seen.request_id)
            return
        if seen.version is None:
            self.missing.append(seen.request_id)
        elif seen.version >= self.versions.get(seen.request_id, -1):
            self.versions[seen.request_id] = seen.version
            self.contents[seen.request_id] = seen
        waiting = self._waiting.get(seen.agent_id, {})
        waiting.pop(seen.request_id, None)
        if not waiting:
            self._waiting.pop(seen.agent_id, None)
            self._claimed.pop(seen.agent_id, None)
            self._attempts.pop(seen.agent_id, None)
        self._poke()

    def want(self, agent_id: str, request_id: str) -> None:
        """Ask for a confirming read. A read under way began too early to count."""
        self._waiting.setdefault(agent_id, {})[request_id] = None
        self._claimed.pop(agent_id, None)
        self._poke()

    @property
    def waiting(self) -> Mapping[str, Collection[str]]:
        return self._waiting

    async def until(self, enough: Any, *, within: float = 10.0) -> None:
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(enough)

    async def claim_confirmations(self, limit: int, lease: float) -> Sequence[Confirmation]:
        now = asyncio.get_running_loop().time()
        due = [
            agent_id
            for agent_id in self._waiting
            if self._claimed.get(agent_id, 0) <= now and self._due_at.get(agent_id, 0) <= now
        ][:limit]
        for agent_id in due:
            self._claimed[agent_id] = now + lease
        return [
            Confirmation(agent_id, tuple(self._waiting[agent_id]), self._attempts.get(agent_id, 0))
            for agent_id in due
        ]

    async def postpone_confirmation(self, agent_id: str, seconds: float) -> None:
        self.postponed.append((agent_id, seconds))
        self._attempts[agent_id] = self._attempts.get(agent_id, 0) + 1
        self._claimed.pop(agent_id, None)
        self._due_at[agent_id] = asyncio.get_running_loop().time() + seconds
        self._poke()

    async def wait_for_confirmations(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait()
        except TimeoutError:
            pass

    async def known_versions(self, request_ids: Collection[str]) -> Mapping[str, int]:
        return {each: self.versions[each] for each in request_ids if each in self.versions}

    async def known_requests(self, agent_ids: Collection[str]) -> Mapping[str, Mapping[str, int | None]]:
        known: dict[str, dict[str, int | None]] = {}
        for request_id, agent_id in self._owner.items():
            if agent_id in agent_ids and request_id not in self.missing:
                known.setdefault(agent_id, {})[request_id] = self.versions.get(request_id)
        return known

    async def open_gap(self, reason: str, agent_ids: Collection[str]) -> int:
        gap_id, self._next_gap = self._next_gap, self._next_gap + 1
        self.gaps[gap_id] = Gap(gap_id, datetime.now(UTC), reason, tuple(agent_ids))
        self._poke()
        return gap_id

    async def open_gaps(self) -> Sequence[Gap]:
        return list(self.gaps.values())

    async def close_gap(self, gap_id: int, *, requests_read: int) -> None:
        self.closed.append((self.gaps.pop(gap_id), requests_read))
        self._poke()

    async def save_agents(self, agents: Mapping[str, tuple[str, str]]) -> None:
        self.agents.update(agents)
        self._poke()

    def _poke(self) -> None:
        self._poking = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

"""Gaps: stretches of time in which changes may have been missed.

A gap lives in the ledger from the moment it is opened until a backfill that began after its agents were
live again has finished. This part opens them, and says which are ripe; `backfill` closes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from timeoff.errors import TimeoffError
from timeoff.telemetry.logs import get_logger
from timeoff_listener import metrics
from timeoff_listener.ports import Gap, ListenerLedger

_FIRST_WAIT: Final = 0.5
_MAX_WAIT: Final = 10.0

log = get_logger()


class Liveness(Protocol):
    """Since when agents are live, on the event loop's clock."""

    def live_since(self, agent_ids: Collection[str]) -> float | None:
        """The latest start among these agents (all if empty); None while one of them is not live.

        Agents that cannot be live (topic refused, or gone) do not count: polling serves them.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ripeness:
    """Open gaps by when they may be filled. `next_at` is when the next of the waiting ones ripens."""

    ripe: Sequence[Gap]
    next_at: float | None
    blind: int


class GapBook:
    """Opens gaps and wakes whoever fills them."""

    def __init__(self, ledger: ListenerLedger, *, lag_margin: float) -> None:
        self._ledger = ledger
        self._lag_margin = lag_margin
        self._changed = asyncio.Event()

    async def open(self, reason: str, agent_ids: Collection[str]) -> None:
        """Durable on return, however long the ledger is away. An empty collection means every agent."""
        gap_id = await self._record(reason, agent_ids)
        log.warning("gap.opened", gap_id=gap_id, reason=reason, agents=len(agent_ids) or "all")
        self.wake()

    async def _record(self, reason: str, agent_ids: Collection[str]) -> int:
        wait = _FIRST_WAIT
        while True:
            try:
                return await self._ledger.open_gap(reason, agent_ids)
            except TimeoffError as error:
                if not error.retryable:
                    raise
                # Whoever opens a gap waits for it: no socket comes back before its loss is on record.
                log.error("gap.unrecorded", reason=reason, error=error.error_class, retry_in=wait)
            await asyncio.sleep(wait)
            wait = min(_MAX_WAIT, wait * 2)

    async def open_global(self, reason: str) -> None:
        """A gap over everyone, unless one is open already: it would be filled by the same reads."""
        if not any(not gap.agent_ids for gap in await self._ledger.open_gaps()):
            await self.open(reason, ())

    def wake(self) -> None:
        """A channel came up, or a gap was opened: look again."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Return when something changed, at the latest after `seconds`."""
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()

    async def ripe(self, liveness: Liveness) -> Ripeness:
        """Which open gaps can be closed by a backfill that begins now.

        The margin lets a change that Genesys committed just before the subscription show up in reads.
        """
        now = asyncio.get_running_loop().time()
        gaps = await self._ledger.open_gaps()
        ripe: list[Gap] = []
        next_at: float | None = None
        blind = 0
        for gap in gaps:
            since = liveness.live_since(gap.agent_ids)
            if since is None:
                blind += 1
                continue
            # A gap opened while the agents are live (a frame nobody could read) waits the margin as well.
            age = (datetime.now(UTC) - gap.opened_at).total_seconds()
            at = max(since, now - max(age, 0.0)) + self._lag_margin
            if now >= at:
                ripe.append(gap)
            else:
                next_at = at if next_at is None else min(next_at, at)
        metrics.OPEN_GAPS.set(len(gaps))
        oldest = min((gap.opened_at for gap in gaps), default=None)
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest is not None else 0.0
        metrics.OLDEST_GAP.set(max(age, 0.0))
        return Ripeness(ripe, next_at, blind)

    async def close(self, gap: Gap, *, requests_read: int) -> None:
        await self._ledger.close_gap(gap.gap_id, requests_read=requests_read)
        log.info("gap.closed", gap_id=gap.gap_id, reason=gap.reason, requests=requests_read)

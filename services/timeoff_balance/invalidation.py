"""Following what happens, on every replica: each event of an employee drops the claims kept for him.

Both topics are tailed without a group, so that every process hears everything; a notice through PostgreSQL
tells of what is stored in the ledger without an event. While one of the three is not followed, nothing is
kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import asyncpg

from timeoff.errors import LogError, Unreachable
from timeoff.eventlog.port import EventLog, LogRecord
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.handovers import BALANCE_CHANNEL
from timeoff.telemetry.logs import get_logger
from timeoff_balance import metrics
from timeoff_balance.shelves import Shelves

log = get_logger()

#: Notices on this channel are `{"target": …, "employee_id": …}`.
CHANNEL: Final = BALANCE_CHANNEL
#: A lost connection is opened again after so long, and one that is there looked at so often, seconds.
AGAIN: Final = 1.0
#: A connection that does not answer for so long is lost, seconds.
SILENT: Final = 5.0


class Invalidation:
    def __init__(
        self,
        shelves: Shelves,
        event_log: EventLog,
        pool: asyncpg.Pool[asyncpg.Record],
        *,
        requests_topic: str,
        outcomes_topic: str,
    ) -> None:
        self._shelves = shelves
        self._log = event_log
        self._pool = pool
        self._requests_topic = requests_topic
        self._outcomes_topic = outcomes_topic
        self._following: set[str] = set()
        self.ready = asyncio.Event()

    @property
    def missing(self) -> list[str]:
        """What is not followed now."""
        return [name for name in ("requests", "outcomes", "notices") if name not in self._following]

    async def follow_requests(self, stop: asyncio.Event) -> None:
        await self._follow("requests", self._requests_topic, self._requested, stop)

    async def follow_outcomes(self, stop: asyncio.Event) -> None:
        await self._follow("outcomes", self._outcomes_topic, self._came_out, stop)

    async def follow_notices(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            connection = None
            try:
                async with asyncio.timeout(SILENT):
                    connection = await self._pool.acquire()
                    await connection.add_listener(CHANNEL, self._noticed)
                self._begin("notices")
                while not await _within(stop, AGAIN):
                    await connection.fetchval("SELECT 1", timeout=SILENT)
            except CONNECTION_TROUBLE as error:  # a time-out is one
                log.warning("balance.not_following", what="notices", error=type(error).__name__)
                if connection is not None:
                    with contextlib.suppress(*CONNECTION_TROUBLE):
                        connection.terminate()  # so that nothing waits for it below
            finally:
                self._end("notices")
                if connection is not None:
                    with contextlib.suppress(*CONNECTION_TROUBLE):
                        await connection.remove_listener(CHANNEL, self._noticed)
                    with contextlib.suppress(*CONNECTION_TROUBLE):
                        await self._pool.release(connection)
            await _within(stop, AGAIN)

    async def _follow(
        self, name: str, topic: str, heard: Callable[[LogRecord], None], stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            try:
                async with self._log.tail(topic) as records:
                    if name == "requests":
                        bounds = await self._log.bounds(topic)
                        self._shelves.await_all({each: found.high for each, found in bounds.items()})
                    self._begin(name)
                    await _until(stop, records, heard)
            except (LogError, Unreachable) as error:
                log.warning("balance.not_following", what=name, error=error.error_class)
            finally:
                self._end(name)
            await _within(stop, AGAIN)

    def _begin(self, name: str) -> None:
        """What happened before is not heard of: nothing that was kept until now counts."""
        self._following.add(name)
        self._shelves.invalidate_all()
        self._shelves.keeps = not self.missing
        metrics.FOLLOWING.set(self._shelves.keeps)
        if self._shelves.keeps:
            self.ready.set()

    def _end(self, name: str) -> None:
        self._following.discard(name)
        self._shelves.keeps = False
        self.ready.clear()
        metrics.FOLLOWING.set(0)

    def _requested(self, record: LogRecord) -> None:
        """Genesys changed something; the ledger will know when intake has passed this place."""
        if record.key and self._shelves.invalidate_agent(record.key, record.partition, record.offset):
            metrics.INVALIDATIONS.labels("request").inc()

    def _came_out(self, record: LogRecord) -> None:
        if record.key and self._shelves.invalidate_agent(record.key):
            metrics.INVALIDATIONS.labels("outcome").inc()
        try:
            data = json.loads(record.value)
            target, employee_id = data["target"], data["employee_id"]
        except (ValueError, TypeError, KeyError):
            return
        if isinstance(target, str) and isinstance(employee_id, str):
            self._shelves.invalidate(target, employee_id)

    def _noticed(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        metrics.INVALIDATIONS.labels("notice").inc()
        try:
            data = json.loads(payload)
            self._shelves.invalidate(str(data["target"]), str(data["employee_id"]))
        except (ValueError, TypeError, KeyError):
            self._shelves.invalidate_all()


async def _until(
    stop: asyncio.Event, records: AsyncIterator[LogRecord], heard: Callable[[LogRecord], None]
) -> None:
    """Hear records until `stop`."""
    stopped = asyncio.ensure_future(stop.wait())
    coming: asyncio.Future[LogRecord] | None = None
    try:
        while not stop.is_set():
            coming = asyncio.ensure_future(anext(records))
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                heard(coming.result())
    finally:
        for waiting in (stopped, coming):
            if waiting is not None and not waiting.done():
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)


async def _within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; True if it is over."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True


__all__ = ["CHANNEL", "Invalidation"]

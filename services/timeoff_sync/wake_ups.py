"""What a workflow hands over wakes the workers at once: somebody waits for the answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import asyncpg

from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.handovers import DUE_CHANNEL
from timeoff.telemetry.logs import get_logger
from timeoff_sync.writing import until

log = get_logger()

#: A lost connection is opened again after so long, and one that is there looked at so often, seconds.
AGAIN: Final = 1.0


class WakeUps:
    """Hears notices through PostgreSQL. One that is lost costs the time of a poll and nothing else."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], due: asyncio.Event) -> None:
        self._pool = pool
        self._due = due

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            connection = None
            try:
                connection = await self._pool.acquire()
                await connection.add_listener(DUE_CHANNEL, self._heard)
                self._due.set()
                while not await until(stop, AGAIN):
                    await connection.fetchval("SELECT 1")
            except CONNECTION_TROUBLE as error:
                log.warning("ledger.unreachable", part="wake-ups", error=type(error).__name__)
                await until(stop, AGAIN)
            finally:
                if connection is not None:
                    with contextlib.suppress(*CONNECTION_TROUBLE):
                        await connection.remove_listener(DUE_CHANNEL, self._heard)
                    with contextlib.suppress(*CONNECTION_TROUBLE):
                        await self._pool.release(connection)

    def _heard(self, *_: Any) -> None:
        self._due.set()

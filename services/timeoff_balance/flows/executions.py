"""Runs in the background, as Genesys Cloud makes them: launched at once, asked for until they have ended.

A run is a row from the moment it is launched, so that every replica can answer for it; it is run by the
replica that launched it. If that one is lost, the run is `FAILED` once its time is over. Times are the
database's.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final

from timeoff.database import CONNECTION_TROUBLE, Pool
from timeoff.telemetry.logs import get_logger
from timeoff_balance.flows.contract import Flow
from timeoff_balance.flows.results import outputs
from timeoff_balance.flows.running import Flows

#: Runs of one process at a time.
MAX_RUNNING: Final = 500
#: Seconds beyond the limit of a run after which it counts as lost.
_GRACE: Final = 30.0
#: How often it is tried to write down an end, and seconds between.
_ATTEMPTS, _AGAIN = 20, 1.0
#: Seconds between two removals of what is too old.
CLEANING: Final = 3600.0

log = get_logger()


class TooManyRunning(Exception):
    """This process runs as many flows as it may."""


@dataclass(frozen=True, slots=True)
class Execution:
    """A run as it stands. `outputs` is None until it has ended; `lost` if it never will."""

    id: str
    flow: str
    target: str
    name: str
    launched_at: datetime
    completed_at: datetime | None
    outputs: Mapping[str, Any] | None
    lost: bool


class Executions:
    def __init__(self, pool: Pool, sql: SimpleNamespace, flows: Flows, *, kept: float) -> None:
        """`pool` stands in the schema of the service; `kept` are seconds."""
        self._pool = pool
        self._sql = sql
        self._flows = flows
        self._kept = kept
        self._running: set[asyncio.Task[None]] = set()

    async def launch(self, flow: Flow, target: str, name: str, document: Mapping[str, Any]) -> str:
        """Begin a run; its id. Raises `TooManyRunning`, or an error of the database: then nothing runs."""
        if len(self._running) >= MAX_RUNNING:
            raise TooManyRunning
        id = uuid.uuid4()
        ends_within = self._flows.limit + _GRACE
        await self._pool.execute(self._sql.launch_execution, id, flow.name, target, name, ends_within)
        task = asyncio.create_task(self._run(id, flow, target, document), name=f"flow-{flow.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return str(id)

    async def _run(self, id: uuid.UUID, flow: Flow, target: str, document: Mapping[str, Any]) -> None:
        result = await self._flows.run(flow, target, document)
        written = json.dumps(outputs(flow, result, integers_as_text=True))
        for _ in range(_ATTEMPTS):
            if await self._completed(id, written):
                return
            await asyncio.sleep(_AGAIN)
        log.error("flow.end_not_written", execution=str(id), flow=flow.name, status=result.status)

    async def _completed(self, id: uuid.UUID, written: str) -> bool:
        try:
            await self._pool.execute(self._sql.complete_execution, id, written)
        except CONNECTION_TROUBLE as error:
            log.warning("flow.end_not_written_yet", execution=str(id), error=type(error).__name__)
            return False
        return True

    async def get(self, id: str) -> Execution | None:
        """None if there is none of that id, or none any more."""
        try:
            key = uuid.UUID(id)
        except ValueError:
            return None
        row = await self._pool.fetchrow(self._sql.execution, key, self._kept)
        if row is None:
            return None
        ended = row["outputs"]
        return Execution(
            id=str(row["id"]),
            flow=row["flow"],
            target=row["target"],
            name=row["name"],
            launched_at=row["launched_at"],
            completed_at=row["completed_at"],
            outputs=None if ended is None else json.loads(ended),
            lost=ended is None and row["lost"],
        )

    async def purge(self) -> None:
        """Remove what is too old."""
        await self._pool.execute(self._sql.purge_executions, self._kept)

    async def clean(self, stop: asyncio.Event) -> None:
        """Purge now and then until `stop`."""
        while True:
            try:
                await self.purge()
            except CONNECTION_TROUBLE as error:
                log.warning("flow.cleaning_failed", error=type(error).__name__)
            try:
                await asyncio.wait_for(stop.wait(), CLEANING)
            except TimeoutError:
                continue
            return

    async def close(self, drain: float) -> None:
        """Wait for what runs, for at most so many seconds; what is left ends as lost."""
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


__all__ = ["CLEANING", "MAX_RUNNING", "Execution", "Executions", "TooManyRunning"]

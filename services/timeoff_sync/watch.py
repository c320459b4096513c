"""Watching: gauges from the ledger, and the slow probe of a stopped target."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from timeoff.errors import HrisError
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.reports import Reports
from timeoff.telemetry.logs import get_logger
from timeoff_sync import metrics
from timeoff_sync.target import Target
from timeoff_sync.writing import Writing, until

log = get_logger()

EVERY = 5.0


class Watch:
    def __init__(
        self, reports: Reports, writing: Writing, targets: Mapping[str, Target], due: asyncio.Event
    ) -> None:
        self._reports = reports
        self._writing = writing
        self._targets = targets
        self._due = due

    async def run(self, stop: asyncio.Event) -> None:
        while not await until(stop, EVERY):
            try:
                await self._measure()
                await self._probe()
            except CONNECTION_TROUBLE as error:
                log.error("ledger.unreachable", part="watch", error=type(error).__name__)

    async def _measure(self) -> None:
        progress = await self._reports.progress()
        metrics.DUE.set(progress["due"])
        metrics.OLDEST_DUE.set(progress["oldest_due_seconds"] or 0.0)
        metrics.WAITING.clear()
        for row in await self._reports.state_counts():
            if row["state"] in ("held", "failed"):
                metrics.WAITING.labels(row["state"], row["reason"]).set(row["requests"])

    async def _probe(self) -> None:
        """One slow probe over all replicas tells a lock-out that passed from credentials that are wrong."""
        for name in self._writing.stopped():
            target = self._targets.get(name)
            if target is None or not await self._writing.may_probe(name):
                continue
            try:
                if await target.health():
                    await self._writing.resume(name)
                    self._due.set()
            except HrisError as error:
                log.warning("target.probe_failed", target=name, error=error.error_class)

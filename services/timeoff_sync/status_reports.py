"""Write-back: what Genesys shows a supervisor about the HRIS side of a request. Best effort.

A status that a person set (`ManuallyComplete`) is never overwritten; seen on a held or failed request it
means that somebody booked by hand, and the request is looked at again without writing.

What cannot be reported (the unit is gone, a permission is missing) is given up on; a unit in trouble does
not hold up the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import asyncpg

from timeoff.errors import GenesysError
from timeoff.genesys.client import GenesysClient
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.outbox import OutboxStore
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import IntegrationStatus
from timeoff_sync import metrics
from timeoff_sync.hand_marks import UNREADABLE
from timeoff_sync.writing import until

log = get_logger()

_BATCH = 100


class StatusReports:
    def __init__(
        self,
        genesys: GenesysClient,
        store: OutboxStore,
        due: asyncio.Event,
        *,
        every: float,
        attention: float,
    ) -> None:
        self._genesys = genesys
        self._store = store
        self._due = due
        self._every = every
        self._attention = attention
        self._unreadable: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        next_attention = time.monotonic() + self._attention
        while not await until(stop, self._every):
            try:
                while not stop.is_set() and await self._report():
                    pass
                if time.monotonic() >= next_attention:
                    await self._look_for_done_by_hand()
                    next_attention = time.monotonic() + self._attention
            except CONNECTION_TROUBLE as error:
                log.error("ledger.unreachable", part="reports", error=type(error).__name__)
            except GenesysError as error:
                log.warning("reports.failed", error=error.error_class)
                await until(stop, min(error.retry_after or 5.0, 60.0))

    async def _report(self) -> bool:
        """One batch; True if there may be more."""
        rows = await self._store.reports_due(_BATCH)
        if not rows:
            return False
        shown, failed = await self._statuses(rows)
        done: dict[int, str] = {}
        by_hand = []
        for row in rows:
            status = row["report"]
            if (trouble := failed.get(row["management_unit_id"])) is not None:
                metrics.REPORTS.labels(status, trouble.error_class).inc()
                if isinstance(trouble, UNREADABLE):
                    done[row["request_pk"]] = status
                continue
            if shown.get(row["request_id"]) == IntegrationStatus.MANUALLY_COMPLETE:
                done[row["request_pk"]] = status
                if row["state"] in ("held", "failed"):
                    by_hand.append(row["request_pk"])
                continue
            if shown.get(row["request_id"]) != status:
                try:
                    await self._genesys.set_integration_status(
                        row["management_unit_id"],
                        row["request_id"],
                        row["agent_id"],
                        IntegrationStatus(status),
                    )
                    metrics.REPORTS.labels(status, "ok").inc()
                except GenesysError as error:
                    metrics.REPORTS.labels(status, error.error_class).inc()
                    if error.retryable:
                        await self._store.reported(done)
                        raise
            done[row["request_pk"]] = status
        await self._store.reported(done)
        if by_hand:
            await self._store.done_by_hand(by_hand)
            self._due.set()
        _raise_what_passes(failed)
        return len(rows) == _BATCH

    async def _look_for_done_by_hand(self) -> None:
        rows = await self._store.attention()
        shown, failed = await self._statuses(rows)
        by_hand = [
            row["request_pk"]
            for row in rows
            if shown.get(row["request_id"]) == IntegrationStatus.MANUALLY_COMPLETE
        ]
        if by_hand:
            log.info("reports.done_by_hand", requests=len(by_hand))
            await self._store.done_by_hand(by_hand)
            self._due.set()
        _raise_what_passes(failed)

    async def _statuses(
        self, rows: Sequence[asyncpg.Record]
    ) -> tuple[dict[str, str], dict[str, GenesysError]]:
        """What Genesys shows, by request; and by unit, why nothing is known of its requests."""
        by_unit: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for row in rows:
            by_unit[row["management_unit_id"]].append((row["request_id"], row["agent_id"]))
        shown: dict[str, str] = {}
        failed: dict[str, GenesysError] = {}
        for unit, lookups in by_unit.items():
            try:
                shown.update(await self._genesys.integration_statuses(unit, lookups))
            except GenesysError as error:
                failed[unit] = error
                if isinstance(error, UNREADABLE) and unit not in self._unreadable:
                    self._unreadable.add(unit)
                    log.error("reports.unit_unreadable", management_unit_id=unit, error=error.error_class)
        return shown, failed


def _raise_what_passes(failed: Mapping[str, GenesysError]) -> None:
    """After the others were served: trouble that waiting may end."""
    for error in failed.values():
        if not isinstance(error, UNREADABLE):
            raise error

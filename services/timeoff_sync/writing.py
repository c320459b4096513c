"""May this process write now? The write mode, the brake and stopped targets, read from the ledger."""

from __future__ import annotations

import asyncio
import time

from timeoff.ledger.deployment import Deployment, DeploymentStore
from timeoff.ledger.rows import Case
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import WriteMode
from timeoff_sync import metrics

log = get_logger()


class Writing:
    """A view of the deployment that is never older than a poll; the grant of each intent checks it again."""

    def __init__(self, store: DeploymentStore, deployment: Deployment, *, probe_every: float) -> None:
        self._store = store
        self._probe_every = probe_every
        self._stopped: frozenset[str] = frozenset()
        self._read_at = 0.0
        self.deployment = deployment

    @property
    def braked(self) -> bool:
        return self.deployment.brake_reason is not None

    def allows(self, case: Case) -> bool:
        return self.deployment.writes_for(case.view.management_unit_id, case.view.agent_id)

    def stale(self) -> None:
        """What is known here does not fit the ledger: read it again before the next claim."""
        self._read_at = 0.0

    async def refresh(self, older_than: float) -> None:
        if time.monotonic() - self._read_at < older_than:
            return
        before = self.deployment
        self.deployment = await self._store.read()
        rows = await self._store.targets()
        stopped = frozenset(row["target"] for row in rows if row["stopped_at"] is not None)
        for row in rows:
            if row["target"] in stopped - self._stopped:
                log.error("target.stopped", target=row["target"], why=row["stopped_reason"])
        self._stopped = stopped
        for row in rows:
            metrics.TARGET_STOPPED.labels(row["target"]).set(row["stopped_at"] is not None)
        live = self.deployment.write_mode is WriteMode.LIVE
        metrics.WRITING.set(live and not self.braked)
        if before.write_mode is not self.deployment.write_mode:
            log.warning("writing.mode", mode=self.deployment.write_mode.value)
        if self.braked and before.brake_reason != self.deployment.brake_reason:
            log.error("writing.braked", why=self.deployment.brake_reason)
        self._read_at = time.monotonic()

    def running(self, targets: list[str]) -> list[str]:
        """Targets on which lanes may be claimed."""
        return [] if self.braked else [name for name in targets if name not in self._stopped]

    async def stop_target(self, target: str, why: str) -> None:
        if await self._store.stop_target(target, why, self._probe_every):
            log.error("target.stopped", target=target, why=why)
        self._stopped |= {target}

    def stopped(self) -> frozenset[str]:
        return self._stopped

    async def may_probe(self, target: str) -> bool:
        return await self._store.claim_probe(target, self._probe_every)

    async def resume(self, target: str) -> None:
        await self._store.resume_target(target)
        self._stopped -= {target}
        log.warning("target.resumed", target=target)


async def until(stop: asyncio.Event, seconds: float) -> bool:
    """Sleep, but end early when stopping; True when stopping."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True

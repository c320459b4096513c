"""An HRIS that is left alone after it has refused the credentials: vendors lock out who tries on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from timeoff.errors import AuthFailed, RetryLater
from timeoff.hris.target import Answer, BudgetedHris
from timeoff.ledger.deployment import DeploymentStore
from timeoff.telemetry.logs import get_logger
from timeoff_balance.database import CONNECTION_TROUBLE

#: After a refusal this process does not ask again for so long, seconds, even if nobody else heard of it.
REFUSED_PAUSE: Final = 60.0

log = get_logger()


class Stops:
    """Which targets are stopped, on all services: the ledger knows. Who finds out stops it for everybody."""

    def __init__(self, store: DeploymentStore, probe_every: float) -> None:
        self._store = store
        self._probe_every = probe_every
        self._asking: asyncio.Task[frozenset[str]] | None = None
        self._stopping: set[asyncio.Task[None]] = set()

    async def stopped(self, target: str) -> bool:
        """By the ledger. Who asks at the same time waits for the same answer."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._asked)
        return target in await asyncio.shield(self._asking)

    async def _ask(self) -> frozenset[str]:
        try:
            rows = await self._store.targets()
        except CONNECTION_TROUBLE:
            return frozenset()  # no number is given without the ledger, whatever the HRIS says
        return frozenset(row["target"] for row in rows if row["stopped_at"] is not None)

    def _asked(self, _: asyncio.Task[frozenset[str]]) -> None:
        self._asking = None

    def refused(self, target: str, reason: str) -> None:
        """Stop it for everybody; the sync's probe lets it go on."""
        task = asyncio.create_task(self._stop(target, reason))
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop(self, target: str, reason: str) -> None:
        try:
            if await self._store.stop_target(target, reason, self._probe_every):
                log.error("target.stopped", target=target, reason=reason)
        except CONNECTION_TROUBLE as error:
            log.warning("target.not_stopped", target=target, error=type(error).__name__)

    async def close(self) -> None:
        await asyncio.gather(*self._stopping, return_exceptions=True)


@dataclass(kw_only=True)
class GuardedHris(BudgetedHris):
    """Asks only while the target is not stopped. That is looked at last, after all waiting for a turn."""

    stops: Stops
    _paused_until: float = field(default=0.0, init=False)

    async def ask(self, operation: str, method: Callable[[], Awaitable[Answer]]) -> Answer:
        """As `BudgetedHris`; raises `AuthFailed` without a call where one would be tried in vain."""
        self._refuse_paused()
        async with self.admitted():
            self._refuse_paused()
            if await self.stops.stopped(self.name):
                raise AuthFailed("the target is stopped")
            self._refuse_paused()
            try:
                return await self._counted(operation, method, RetryLater)
            except AuthFailed as error:
                self._paused_until = time.monotonic() + REFUSED_PAUSE
                self.stops.refused(self.name, error.error_class)
                raise

    def _refuse_paused(self) -> None:
        if time.monotonic() < self._paused_until:
            raise AuthFailed("the credentials were refused a moment ago")


__all__ = ["REFUSED_PAUSE", "GuardedHris", "Stops"]

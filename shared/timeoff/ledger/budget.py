"""A rate budget that all replicas share: leased from the ledger in chunks, spent locally."""

from __future__ import annotations

import asyncio
import contextlib
import time

from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.deployment import DeploymentStore

#: Name of the budget of the Genesys OAuth client.
GENESYS = "genesys"


class SharedBudget:
    """`take` waits until a call may be made. `slow_down` pauses every replica."""

    def __init__(self, store: DeploymentStore, name: str, per_minute: int) -> None:
        self._store = store
        self._name = name
        self._per_minute = per_minute
        self._tokens = 0
        self._fresh_until = 0.0
        self._lock = asyncio.Lock()
        #: about what one second brings, so that a leased chunk is not hoarded
        self._chunk = max(1, per_minute // 60)

    async def take(self, n: int = 1) -> None:
        never = asyncio.Event()
        for _ in range(n):
            await self.take_before(never)

    async def take_before(self, stop: asyncio.Event) -> bool:
        """As `take`, for one call; False if it would have to wait for longer than until `stop`."""
        while not self._spend():
            async with self._lock:
                if self._tokens and time.monotonic() < self._fresh_until:
                    continue
                try:
                    granted = await self._store.lease_budget(self._name, self._per_minute, self._chunk)
                except CONNECTION_TROUBLE:  # nobody knows what the others spend: wait
                    wait = 0.5
                else:
                    self._tokens = granted.tokens
                    self._fresh_until = time.monotonic() + 2.0
                    wait = 0.0 if granted.tokens else max(granted.pause, min(60.0 / self._per_minute, 0.5))
                if wait and await _stopped_within(stop, wait):
                    return False
        return True

    def _spend(self) -> bool:
        if self._tokens <= 0 or time.monotonic() >= self._fresh_until:
            return False
        self._tokens -= 1
        return True

    async def slow_down(self, seconds: float) -> None:
        self._tokens = 0
        with contextlib.suppress(*CONNECTION_TROUBLE):
            await self._store.pause_budget(self._name, seconds)


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True

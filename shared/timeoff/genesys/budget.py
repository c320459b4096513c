"""A rate budget: every REST call takes a token before it is sent.

Genesys Cloud counts calls of a token per minute (300 by default, limit key
`client.credentials.token.rate.per.minute` of the Genesys Cloud rate-limit guide).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Budget(Protocol):
    """What the client asks before each call. Replicas that share a limit share a budget."""

    async def take(self, n: int = 1) -> None:
        """Wait until `n` calls may be sent."""
        ...

    async def slow_down(self, seconds: float) -> None:
        """Genesys throttled: nobody gets a token for `seconds`."""
        ...


class LocalBudget:
    """A token bucket of one process.

    A tenth of the minute's calls may come as a burst, the rest flows in evenly, so no stretch of sixty
    seconds ever holds more than `per_minute` calls, wherever the counting window begins.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or asyncio.get_running_loop().time
        self._burst = max(1.0, per_minute / 10)
        self._rate = max(per_minute - self._burst, 1.0) / 60
        self._level = self._burst
        self._at = self._clock()
        self._closed_until = 0.0
        self._turn = asyncio.Lock()

    async def take(self, n: int = 1) -> None:
        # The lock keeps first come, first served: whoever waits for a token lets nobody overtake.
        async with self._turn:
            wait = self._wait_for(n)
            while wait > 0:
                await asyncio.sleep(wait)
                wait = self._wait_for(n)  # a 429 may have closed the bucket meanwhile
            self._level -= n

    async def slow_down(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, self._clock() + seconds)
        self._refill()
        self._level = min(self._level, 1.0)

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now

    def _wait_for(self, n: int) -> float:
        self._refill()
        closed = self._closed_until - self._at
        # More than a burst at once is granted as a debt: waiting for it would last for ever.
        short = (min(n, self._burst) - self._level) / self._rate
        # Less than a microsecond is rounding, and a sleep that short may not move the clock at all.
        wait = max(closed, short)
        return wait if wait > 1e-6 else 0.0

"""The database's clock, known without asking it each time: instants of all replicas are of one clock."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

#: A clock that was asked longer ago is asked again, seconds.
_GOOD_FOR: Final = 60.0


class DatabaseClock:
    """`now` is never later than the database's own: it was asked before its answer came."""

    def __init__(
        self, ask: Callable[[], Awaitable[datetime]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._known: tuple[datetime, float] | None = None

    def note(self, now: datetime) -> None:
        """An answer of the database that has just come."""
        self._known = (now, self._monotonic())

    def now(self) -> datetime:
        """Raises `LookupError` before it was asked once."""
        if self._known is None:
            raise LookupError("the database's clock is not known yet")
        at, heard = self._known
        return at + timedelta(seconds=self._monotonic() - heard)

    async def refresh(self) -> None:
        if self._known is None or self._monotonic() - self._known[1] > _GOOD_FOR:
            self.note(await self._ask())


__all__ = ["DatabaseClock"]

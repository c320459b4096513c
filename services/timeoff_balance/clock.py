"""The database's clock, known without asking it each time: instants of all replicas are of one clock."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

#: A clock that was asked longer ago is asked again, seconds.
_GOOD_FOR: Final = 60.0


class DatabaseClock:
    """`now` is never later than the database's own, and `latest` never earlier: what it said was so at some
    moment between the question and its answer."""

    def __init__(
        self, ask: Callable[[], Awaitable[datetime]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._known: tuple[datetime, float] | None = None
        self._took = timedelta()

    @property
    def is_old(self) -> bool:
        return self._known is None or self._monotonic() - self._known[1] > _GOOD_FOR

    def note(self, now: datetime, asked: float) -> None:
        """An answer of the database that has just come, to a question of that moment (monotonic)."""
        heard = self._monotonic()
        self._known = (now, heard)
        self._took = timedelta(seconds=heard - asked)

    def now(self) -> datetime:
        """Raises `LookupError` before it was asked once."""
        if self._known is None:
            raise LookupError("the database's clock is not known yet")
        at, heard = self._known
        return at + timedelta(seconds=self._monotonic() - heard)

    def latest(self) -> datetime:
        """Raises as `now`."""
        return self.now() + self._took

    async def refresh(self) -> None:
        """Ask, if that was long ago."""
        if self.is_old:
            asked = self._monotonic()
            self.note(await self._ask(), asked)


__all__ = ["DatabaseClock"]

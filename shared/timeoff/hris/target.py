"""One HRIS behind its budget: every call waits for its turn, is counted, and slows all down if throttled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from prometheus_client import Counter, Histogram

from timeoff.errors import AuthFailed, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris.port import Hris
from timeoff.telemetry.logs import get_logger

Answer = TypeVar("Answer")

log = get_logger()


class Budget(Protocol):
    async def take_before(self, stop: asyncio.Event) -> bool: ...

    async def slow_down(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class CallMetrics:
    """What a service counts: calls by target, operation and result; their duration by the first two."""

    calls: Counter
    seconds: Histogram


@dataclass(kw_only=True)
class BudgetedHris:
    """An HRIS as a service sees it. Reads go through `ask`, writes through `admitted` and `call`."""

    name: str
    hris: Hris
    budget: Budget
    in_flight: asyncio.Semaphore
    metrics: CallMetrics
    _stop: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _interrupted: Callable[[], Exception] = field(
        default=lambda: RetryLater("stopping", retry_after=0.0), init=False
    )

    def interrupt(self, stop: asyncio.Event, error: Callable[[], Exception]) -> None:
        """From `stop` on nobody waits for the budget: `admitted` raises `error` instead."""
        self._stop, self._interrupted = stop, error

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """Wait until a call may be made, and make it within.

        All waiting for a turn happens here, before an intent is announced, so that no intent grows old.
        """
        async with self.in_flight:
            if not await self.budget.take_before(self._stop):
                raise self._interrupted()
            yield

    async def ask(self, operation: str, method: Callable[[], Awaitable[Answer]]) -> Answer:
        """One read, waiting for its turn. Raises nothing but `HrisError`: a read that fails did no harm."""
        async with self.in_flight:
            if not await self.budget.take_before(self._stop):
                raise RetryLater("stopping", retry_after=0.0)
            return await self._counted(operation, method, RetryLater)

    async def call(self, operation: str, method: Callable[[], Awaitable[Answer]]) -> Answer:
        """One write, admitted before. Raises nothing but `HrisError`: after a fault of the adapter's own
        nobody knows what was sent.
        """
        return await self._counted(operation, method, OutcomeUnknown)

    async def _counted(
        self, operation: str, method: Callable[[], Awaitable[Answer]], fault: type[HrisError]
    ) -> Answer:
        """One call, counted and timed. A throttling answer slows all replicas down."""
        with self.metrics.seconds.labels(self.name, operation).time():
            try:
                answer = await method()
            except HrisError as error:
                self.metrics.calls.labels(self.name, operation, error.error_class).inc()
                if isinstance(error, RetryLater) and error.throttled:
                    await self.budget.slow_down(error.retry_after or 5.0)
                raise
            except Exception as error:
                self.metrics.calls.labels(self.name, operation, "fault").inc()
                log.exception(
                    "adapter.failed", target=self.name, operation=operation, error=type(error).__name__
                )
                raise fault(type(error).__name__) from None
        self.metrics.calls.labels(self.name, operation, "ok").inc()
        return answer

    async def health(self) -> bool:
        """Reachable and authenticated? Asked when a call was forbidden or refused."""
        try:
            answer = await self.ask("health", self.hris.health)
        except AuthFailed:
            return False
        return answer.reachable and answer.authenticated


__all__ = ["Budget", "BudgetedHris", "CallMetrics"]

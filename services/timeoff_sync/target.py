"""One HRIS target as the workers see it: the adapter behind its budget, and the rules in force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from timeoff.errors import AuthFailed, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris.port import Hris, TimeOffType
from timeoff.settings.model import Settings, TypeSettings
from timeoff.telemetry.logs import get_logger
from timeoff_sync import metrics
from timeoff_sync.decisions import Rules

Answer = TypeVar("Answer")

log = get_logger()


class Budget(Protocol):
    async def take_before(self, stop: asyncio.Event) -> bool: ...

    async def slow_down(self, seconds: float) -> None: ...


@dataclass
class Target:
    """`rules` is replaced as a whole when types or plans are read anew."""

    name: str
    hris: Hris
    budget: Budget
    rules: Rules
    in_flight: asyncio.Semaphore
    #: False until its types were listed: nothing can be decided for it
    types_known: bool = True
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
        with metrics.HRIS_SECONDS.labels(self.name, operation).time():
            try:
                answer = await method()
            except HrisError as error:
                metrics.HRIS_CALLS.labels(self.name, operation, error.error_class).inc()
                if isinstance(error, RetryLater) and error.throttled:
                    await self.budget.slow_down(error.retry_after or 5.0)
                raise
            except Exception as error:
                metrics.HRIS_CALLS.labels(self.name, operation, "fault").inc()
                log.exception(
                    "adapter.failed", target=self.name, operation=operation, error=type(error).__name__
                )
                raise fault(type(error).__name__) from None
        metrics.HRIS_CALLS.labels(self.name, operation, "ok").inc()
        return answer

    async def health(self) -> bool:
        """Reachable and authenticated? Asked when a call was forbidden or refused."""
        try:
            answer = await self.ask("health", self.hris.health)
        except AuthFailed:
            return False
        return answer.reachable and answer.authenticated


def configured_type(type_: TimeOffType, settings: Settings, target: str) -> TimeOffType:
    """A type as the HRIS describes it, with what the settings say about it on top."""
    for rule in settings.types:
        if rule.type_id == type_.id and rule.target in (None, target):
            type_ = _with_rule(type_, rule)
    return type_


def _with_rule(type_: TimeOffType, rule: TypeSettings) -> TimeOffType:
    type_ = replace(type_, whole_day_is_one=rule.full_day == "one_day")
    if rule.step is not None:
        type_ = replace(type_, step=rule.step)
    if rule.day_minutes is not None:
        type_ = replace(type_, day_minutes={}, default_day_minutes=rule.day_minutes)
    return type_

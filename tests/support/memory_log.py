"""An event log in memory: what was appended, in order, and whoever wants to look at each record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

from timeoff.eventlog.port import (
    Bounds,
    LogRecord,
    Message,
    Revoked,
    Starts,
    Subscription,
    TopicSpec,
)


class MemoryLog:
    """`EventLog` as far as a writer needs it. `fail_with` makes appends fail until it is None again."""

    def __init__(self) -> None:
        self.records: dict[str, list[LogRecord]] = {}
        self.on_append: list[Callable[[LogRecord], None]] = []
        self.fail_with: Exception | None = None
        self._grown = asyncio.Condition()

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> None:
        for topic in topics:
            self.records.setdefault(topic.name, [])

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        if self.fail_with is not None:
            raise self.fail_with
        kept = self.records.setdefault(topic, [])
        for message in messages:
            record = LogRecord(
                topic, 0, len(kept), datetime.now(UTC), message.key, message.value, message.headers
            )
            kept.append(record)
            for look in self.on_append:
                look(record)
        async with self._grown:
            self._grown.notify_all()

    async def until(self, enough: Callable[[], bool], *, within: float = 10.0) -> None:
        """Wait until `enough` holds; it is asked after each append."""
        async with asyncio.timeout(within), self._grown:
            await self._grown.wait_for(enough)

    def subscribe(
        self,
        topic: str,
        group: str,
        *,
        starts: Starts | None = None,
        on_revoked: Revoked | None = None,
        member: str | None = None,
    ) -> AbstractAsyncContextManager[Subscription]:
        raise NotImplementedError("this log is for writers")

    def tail(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[LogRecord]]:
        raise NotImplementedError("this log is for writers")

    async def read(
        self, topic: str, first: Mapping[int, int], last: Mapping[int, int]
    ) -> AsyncIterator[LogRecord]:
        for record in list(self.records.get(topic, ()))[first.get(0, 0) : last.get(0)]:
            yield record

    async def bounds(self, topic: str) -> Mapping[int, Bounds]:
        return {0: Bounds(0, len(self.records.get(topic, ())))}

    async def ping(self) -> None:
        if self.fail_with is not None:
            raise self.fail_with

    async def close(self) -> None:
        """Nothing to close."""


def keys(records: Collection[LogRecord]) -> set[str | None]:
    return {record.key for record in records}

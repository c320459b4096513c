"""The `EventLog` port: an ordered, durable, partitioned log of records.

Two adapters stand behind it, Kafka and PostgreSQL, and one conformance suite runs against both
(`timeoff.testing.eventlog_suite`). Delivery is at least once; whoever needs exactly once keeps the offsets
beside its own data, as the ledger does, and passes them back through `Starts`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

#: Key, value and headers of one message together. Kafka's default limit for a record batch is 1,048,588
#: bytes (broker configuration `message.max.bytes`); the rest is room for framing.
MAX_MESSAGE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """What is appended. The key chooses the partition, the same way in every adapter."""

    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        """Bytes that count against `MAX_MESSAGE_BYTES`."""
        return (
            len(self.key.encode())
            + len(self.value)
            + sum(len(name.encode()) + len(value) for name, value in self.headers)
        )


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A message with its place. `key` is None for a foreign record without one."""

    topic: str
    partition: int
    offset: int
    appended_at: datetime
    key: str | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a partition that a batch covers: positions `start` to `end` (end not included).

    `start` is where the reader stood, so that a reader whose position moved elsewhere is noticed.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of the assigned partitions, in order within each partition; `spans` has one span for each."""

    records: tuple[LogRecord, ...]
    spans: Mapping[int, Span]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`low` is the oldest retained offset, `high` the next one to be written."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic to be ensured. `retention_hours` None keeps records for ever."""

    name: str
    partitions: int
    retention_hours: float | None = None
    replication_factor: int = 1


#: Called with the partitions just assigned; answers where to start in each. A partition that is not
#: answered starts at the group's committed offset, else at the oldest record.
Starts = Callable[[Collection[int]], Awaitable[Mapping[int, int]]]

#: Called with partitions just before they are taken away; a commit in it still counts. Not called for
#: partitions that are lost already (a session that ended), nor when the member itself leaves.
Revoked = Callable[[Collection[int]], Awaitable[None]]


class Subscription(Protocol):
    """One member of a group reading one topic. Use it as an async context manager."""

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions this member owns now."""
        ...

    async def batch(self, max_records: int, wait: float) -> Batch | None:
        """The next records, or None if none came within `wait` seconds.

        Raises `OffsetOutOfRange` for a position that the log does not hold, again at each call; the position
        stays where it is until `seek` or `pause`. `Fenced`: another process uses this member's name.
        `Unreachable`: try again later, nothing is lost. A batch may span several partitions, is not empty.
        What `starts` raises comes out here too, and `starts` is asked again at the next call.
        """
        ...

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Store the next offset to read for each partition.

        Raises `Fenced` if one is no longer owned, or if the offset was not delivered since the partition
        was assigned (it comes from a batch of an earlier ownership). All offsets are stored or none.
        """
        ...

    async def seek(self, partition: int, offset: int) -> None:
        """Continue at `offset` of an owned partition."""
        ...

    async def pause(self, partition: int) -> None:
        """Deliver nothing more of this partition until it is assigned again (it keeps its owner)."""
        ...

    async def bounds(self) -> Mapping[int, Bounds]:
        """What the log holds of the owned partitions; the lag is `high` minus the position."""
        ...


class EventLog(Protocol):
    """Open it with `timeoff.eventlog.open_log`; close it when done."""

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> None:
        """Make sure the topics exist; raises one `TopicMissing` that names all absent ones."""
        ...

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        """Durable on return, in the given order per key.

        Raises `MessageTooLarge` before anything is written, `TopicMissing`, `LogError` or `Unreachable`;
        after the last two some of the messages may be in the log.
        """
        ...

    def subscribe(
        self,
        topic: str,
        group: str,
        *,
        starts: Starts | None = None,
        on_revoked: Revoked | None = None,
        member: str | None = None,
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join a group. `member` is a stable name: the same name coming back within the session time
        gets its partitions without a rebalance where the log can do that."""
        ...

    def tail(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[LogRecord]]:
        """Every record appended after entering, without a group. Raises `OffsetOutOfRange` if the reader

        is so slow that retention passes it."""
        ...

    def read(self, topic: str, first: Mapping[int, int], last: Mapping[int, int]) -> AsyncIterator[LogRecord]:
        """Records from `first` up to, not including, `last` per partition, which has the same keys.

        Raises `OffsetOutOfRange` if the log does not hold all of it.
        """
        ...

    async def bounds(self, topic: str) -> Mapping[int, Bounds]:
        """What the log holds of each partition. Raises `TopicMissing`."""
        ...

    async def trim(self, topic: str, before: Mapping[int, int]) -> None:
        """Forget the records below these offsets, as retention does by age."""
        ...

    async def ping(self) -> None:
        """Raises `Unreachable` if the log cannot be reached now."""
        ...

    async def close(self) -> None: ...

"""The log on PostgreSQL: the default for one machine, no broker needed.

Fixed partitions by the same key hash as Kafka, positions from a counter row per partition, groups by leases
(`postgres_group`), notifications only to shorten waits (`postgres_listen`). All tables are in the schema
`eventlog`; several logs' processes may share the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import structlog

from timeoff.errors import (
    LogError,
    MessageTooLarge,
    OffsetOutOfRange,
    TimeoffError,
    TopicMissing,
    Unreachable,
)
from timeoff.eventlog.port import (
    MAX_MESSAGE_BYTES,
    Bounds,
    LogRecord,
    Message,
    Revoked,
    Starts,
    Subscription,
    TopicSpec,
)
from timeoff.eventlog.postgres_appending import Appender
from timeoff.eventlog.postgres_group import PostgresSubscription
from timeoff.eventlog.postgres_listen import Wakeups
from timeoff.eventlog.postgres_reading import (
    SQL_FOLDER,
    Stretch,
    Topic,
    bounds_of,
    fetch,
    queries,
    translated,
)
from timeoff.telemetry.metrics import LOG_APPENDED

_log = structlog.get_logger("timeoff.eventlog")

#: Any constant will do; it only has to differ from other users of advisory locks in this database.
_MIGRATION_LOCK: Final = 0x7E0FF106
_HOUSEKEEPING_LOCK: Final = 0x7E0FF107


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A member that says nothing for `lease` loses its partitions; it speaks three times in it."""

    lease: float = 10.0
    poll: float = 1.0
    housekeeping: float = 60.0
    command: float = 30.0
    revoke: float = 30.0


class PostgresLog:
    """Implements `EventLog`. Open it with `PostgresLog.open`."""

    def __init__(self, pool: asyncpg.Pool[Any], url: str, timing: Timing) -> None:
        self._pool = pool
        self._timing = timing
        self._wakeups = Wakeups(url)
        self._topics: dict[str, Topic] = {}
        self._appenders: dict[str, Appender] = {}
        self._housekeeping = asyncio.get_running_loop().create_task(
            self._keep_house(), name="eventlog-housekeeping"
        )

    @classmethod
    async def open(cls, url: str, *, timing: Timing | None = None, pool_size: int = 6) -> PostgresLog:
        """Connect and bring the schema up to date. Raises `Unreachable`; `LogError` without the right to."""
        timing = timing or Timing()
        try:
            connection = await asyncpg.connect(url, timeout=timing.command)
            try:
                await _migrate(connection)
                # Durable on return is this log's promise, whatever the server's default is for others.
                lax = await connection.fetchval("SELECT current_setting('synchronous_commit') = 'off'")
            finally:
                await connection.close()
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=pool_size,
                timeout=timing.command,
                command_timeout=timing.command,
                server_settings={"synchronous_commit": "on"} if lax else {},
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if isinstance(error, asyncpg.InsufficientPrivilegeError):
                raise LogError(
                    "this database user may not create the schema `eventlog`: grant CREATE on the database"
                ) from None
            raise Unreachable(f"PostgreSQL at {_where(url)} cannot be reached: {_cause(error)}") from None
        return cls(pool, url, timing)

    async def close(self) -> None:
        self._housekeeping.cancel()
        await asyncio.wait({self._housekeeping})
        await self._wakeups.close()
        for appender in self._appenders.values():
            await appender.close()
        try:
            async with asyncio.timeout(5):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def ping(self) -> None:
        with translated("the ping"):
            await self._pool.fetchval("SELECT 1")

    # Topics

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> None:
        with translated("looking at topics"):
            names = [spec.name for spec in topics]
            there = {row["name"] async for row in queries.existing_topics(self._pool, names=names)}
            absent = [spec for spec in topics if spec.name not in there]
            if absent and not create:
                missing = ", ".join(sorted(spec.name for spec in absent))
                raise TopicMissing(f"missing in the log: {missing}. Allow creation with log.create_topics")
            for spec in absent:
                await queries.create_topic(
                    self._pool,
                    name=spec.name,
                    partitions=spec.partitions,
                    retention_seconds=None if spec.retention_hours is None else spec.retention_hours * 3600,
                )

    async def _topic(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            with translated("looking at topics"):
                row = await queries.get_topic(self._pool, name=name)
            if row is None:
                raise TopicMissing(f"missing in the log: {name}")
            topic = self._topics[name] = Topic(row["topic_id"], row["name"], row["partitions"])
        return topic

    async def bounds(self, topic: str) -> Mapping[int, Bounds]:
        known = await self._topic(topic)
        return await bounds_of(self._pool, known, range(known.partitions))

    # Appending

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        for index, message in enumerate(messages):
            if message.size > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(index, message.size, MAX_MESSAGE_BYTES)
        known = await self._topic(topic)
        if not messages:
            return
        appender = self._appenders.get(topic)
        if appender is None:
            appender = self._appenders[topic] = Appender(self._pool, known)
        try:
            await appender.append(messages)
        except TopicMissing:
            self._topics.pop(topic, None)
            self._appenders.pop(topic, None)
            raise
        LOG_APPENDED.labels(topic).inc(len(messages))

    # Reading

    @asynccontextmanager
    async def subscribe(
        self,
        topic: str,
        group: str,
        *,
        starts: Starts | None = None,
        on_revoked: Revoked | None = None,
        member: str | None = None,
    ) -> AsyncIterator[Subscription]:
        known = await self._topic(topic)
        with (
            self._wakeups.on(f"t{known.id}") as appended,
            self._wakeups.on(f"g{known.id}/{group}") as regrouped,
        ):
            subscription = PostgresSubscription(
                self._pool,
                known,
                group,
                member=member,
                starts=starts,
                on_revoked=on_revoked,
                appended=appended,
                regrouped=regrouped,
                lease=self._timing.lease,
                poll=self._timing.poll,
                revoke_timeout=self._timing.revoke,
            )
            await subscription.join()
            try:
                yield subscription
            finally:
                await subscription.leave()

    @asynccontextmanager
    async def tail(self, topic: str) -> AsyncIterator[AsyncIterator[LogRecord]]:
        known = await self._topic(topic)
        at = {p: held.high for p, held in (await self.bounds(topic)).items()}
        with self._wakeups.on(f"t{known.id}") as appended:
            yield self._follow(known, at, appended)

    async def _follow(
        self, topic: Topic, at: dict[int, int], appended: asyncio.Event
    ) -> AsyncIterator[LogRecord]:
        while True:
            appended.clear()
            found = False
            held = await bounds_of(self._pool, topic, list(at))
            for partition, position in at.items():
                if position < held[partition].high:
                    found = True
                    last = min(held[partition].high, position + 500)
                    async for record in self._walk(topic, Stretch(partition, position, last)):
                        yield record
                    at[partition] = last
            if not found:
                try:
                    async with asyncio.timeout(self._timing.poll):
                        await appended.wait()
                except TimeoutError:
                    continue

    async def read(
        self, topic: str, first: Mapping[int, int], last: Mapping[int, int]
    ) -> AsyncIterator[LogRecord]:
        known = await self._topic(topic)
        held = await self.bounds(topic)
        for wanted in (first, last):
            for partition, offset in wanted.items():
                bounds = held.get(partition, Bounds(0, 0))
                if not bounds.low <= offset <= bounds.high:
                    raise OffsetOutOfRange(topic, partition, offset, bounds.low, bounds.high)
        for partition, start in first.items():
            async for record in self._walk(known, Stretch(partition, start, last[partition])):
                yield record

    async def _walk(self, topic: Topic, stretch: Stretch) -> AsyncIterator[LogRecord]:
        """Every record of a stretch; positions have no holes, so what does not come was trimmed meanwhile."""
        position = stretch.first
        while position < stretch.last:
            end = min(position + 500, stretch.last)
            for record in await fetch(self._pool, topic, [Stretch(stretch.partition, position, end)]):
                if record.offset != position:
                    break
                yield record
                position += 1
            if position < end:
                held = (await bounds_of(self._pool, topic, [stretch.partition]))[stretch.partition]
                raise OffsetOutOfRange(topic.name, stretch.partition, position, held.low, held.high)

    # Retention

    async def trim(self, topic: str, before: Mapping[int, int]) -> None:
        await self._trim((await self._topic(topic)).id, before)

    async def _trim(self, topic_id: int, before: Mapping[int, int]) -> None:
        # The bound first, in a transaction of its own: readers see the range end before the rows are gone,
        # and appenders wait for one update and not for the deletion.
        with translated("trimming"):
            await queries.raise_low(
                self._pool, topic_id=topic_id, partitions=list(before), befores=list(before.values())
            )
            await queries.delete_below_low(self._pool, topic_id=topic_id)

    async def expire(self) -> None:
        """Apply every topic's retention now. One process at a time does it; the others skip."""
        with translated("applying retention"):
            async with self._pool.acquire() as connection:
                if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _HOUSEKEEPING_LOCK):
                    return
                try:
                    outlived: dict[int, dict[int, int]] = {}
                    async for row in queries.outlived(connection):
                        outlived.setdefault(row["topic_id"], {})[row["partition"]] = row["before"]
                    for topic_id, before in outlived.items():
                        await self._trim(topic_id, before)
                finally:
                    await connection.fetchval("SELECT pg_advisory_unlock($1)", _HOUSEKEEPING_LOCK)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._timing.housekeeping)
            try:
                await self.expire()
            except TimeoffError as error:
                _log.warning("retention waits", reason=str(error))


async def _migrate(connection: asyncpg.Connection[Any]) -> None:
    """Apply the numbered files that this database has not seen."""
    files = sorted(SQL_FOLDER.glob("[0-9]*.sql"))
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        if not await connection.fetchval("SELECT to_regclass('eventlog.migrations') IS NOT NULL"):
            # Not `IF NOT EXISTS` alone: that asks for the right to create even where the schema is there.
            if not await connection.fetchval("SELECT to_regnamespace('eventlog') IS NOT NULL"):
                await connection.execute("CREATE SCHEMA eventlog")
            await connection.execute(
                "CREATE TABLE eventlog.migrations ("
                "number integer PRIMARY KEY, name text NOT NULL, "
                "applied_at timestamptz NOT NULL DEFAULT now())"
            )
        applied = {
            row["number"]: row["name"]
            for row in await connection.fetch("SELECT number, name FROM eventlog.migrations")
        }
        for file in files:
            number = int(file.name.split("_")[0])
            if number not in applied:
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute(
                    "INSERT INTO eventlog.migrations (number, name) VALUES ($1, $2)", number, file.stem
                )


def _where(url: str) -> str:
    """Host, port and database; never the password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or 5432}{parts.path}"


def _cause(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return type(error).__name__

"""The log on Apache Kafka.

At least once, without transactions: one idempotent producer (acks=all), consumers with manual commits,
round-robin assignment, static membership where a member has a name. Behind everything stands aiokafka; what
it does not promise by itself (bounded waits, a producer that can be given up, positions that never jump)
is added here and in `kafka_group`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from timeoff.errors import MessageTooLarge, OffsetOutOfRange, TopicMissing
from timeoff.eventlog.kafka_client import quieten, start, stop_quietly, translated
from timeoff.eventlog.kafka_group import KafkaSubscription
from timeoff.eventlog.kafka_records import record_from
from timeoff.eventlog.kafka_security import connection
from timeoff.eventlog.kafka_topics import create_topics, existing_topics
from timeoff.eventlog.partitioner import partition_of
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
from timeoff.settings.model import KafkaSettings
from timeoff.telemetry.metrics import LOG_APPENDED

_log = structlog.get_logger("timeoff.eventlog")


class KafkaLog:
    """Implements `EventLog`. Open it with `KafkaLog.open`."""

    def __init__(self, settings: KafkaSettings, arguments: dict[str, Any]) -> None:
        self._settings = settings
        self._timeout = settings.request_timeout
        self._arguments = {**arguments, "request_timeout_ms": int(settings.request_timeout * 1000)}
        self._producer: AIOKafkaProducer | None = None
        self._producer_lock = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self._observer: AIOKafkaConsumer | None = None
        self._observer_lock = asyncio.Lock()

    @classmethod
    async def open(cls, settings: KafkaSettings) -> KafkaLog:
        """Connect. Raises `Unreachable` with one line within about `request_timeout`."""
        quieten()
        log = cls(settings, connection(settings))
        await log._current_producer()
        return log

    async def close(self) -> None:
        """What was appended and awaited is on the broker already; nothing is left to flush."""
        producer, self._producer = self._producer, None
        observer, self._observer = self._observer, None
        if producer is not None:
            await stop_quietly(producer, 5.0)
        if observer is not None:
            await stop_quietly(observer, 5.0)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def ping(self) -> None:
        async with translated("the ping", self._timeout), self._admin() as admin:
            await admin.describe_cluster()

    # Topics

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._arguments)
        await start(admin, self._settings.bootstrap_servers, self._timeout)
        try:
            yield admin
        finally:
            await stop_quietly(admin, 2.0)

    async def ensure_topics(self, topics: Sequence[TopicSpec], *, create: bool) -> None:
        async with translated("looking at topics", self._timeout * 2), self._admin() as admin:
            there = await existing_topics(admin)
            absent = [spec for spec in topics if spec.name not in there]
            if not absent:
                return
            if not create:
                names = ", ".join(sorted(spec.name for spec in absent))
                raise TopicMissing(
                    f"missing on Kafka, or not to be seen by this user: {names}. "
                    "Create them, or allow it with log.create_topics"
                )
            await create_topics(admin, absent, self._settings.replication_factor)

    async def trim(self, topic: str, before: Mapping[int, int]) -> None:
        await self._partitions(topic)
        async with translated("deleting records", self._timeout), self._admin() as admin:
            await admin.delete_records(
                {TopicPartition(topic, p): RecordsToDelete(offset) for p, offset in before.items()}
            )

    async def _partitions(self, topic: str) -> list[int]:
        """Partitions of a topic. Asks for the list of topics first: naming an absent one may create it."""
        producer = await self._current_producer()
        known = producer.client.cluster.partitions_for_topic(topic)
        if known is None:
            async with translated("looking at topics", self._timeout):
                async with self._admin() as admin:
                    if topic not in await existing_topics(admin):
                        raise TopicMissing(f"missing on Kafka, or not to be seen by this user: {topic}")
                known = await producer.partitions_for(topic)
        return sorted(known)

    # Appending

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        for index, message in enumerate(messages):
            if message.size > MAX_MESSAGE_BYTES:
                raise MessageTooLarge(index, message.size, MAX_MESSAGE_BYTES)
        if not messages:
            return
        partitions = len(await self._partitions(topic))
        producer = await self._current_producer()
        acks: list[asyncio.Future[Any]] = []
        try:
            async with translated("appending", self._timeout):
                for message in messages:
                    acks.append(
                        await producer.send(
                            topic,
                            message.value,
                            message.key.encode(),
                            partition=partition_of(message.key, partitions),
                            headers=list(message.headers),
                        )
                    )
                await asyncio.gather(*acks)
        except BaseException:
            # An idempotent producer repeats its batches for ever, and a failed batch leaves a hole in its
            # sequence numbers: what it still holds would come late, after what is appended next.
            self._give_up(producer)
            for ack in acks:
                ack.add_done_callback(_consume)
            raise
        LOG_APPENDED.labels(topic).inc(len(messages))

    async def _current_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            async with self._producer_lock:
                if self._producer is None:
                    producer = AIOKafkaProducer(
                        **self._arguments,
                        acks="all",
                        enable_idempotence=True,
                        # Whole batches arrive in one turn of the loop, so waiting for more gains nothing.
                        linger_ms=0,
                        max_batch_size=256 * 1024,
                    )
                    await start(producer, self._settings.bootstrap_servers, self._timeout)
                    self._producer = producer
        return self._producer

    def _give_up(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
        task = asyncio.get_running_loop().create_task(_abandon(producer), name="kafka-producer-leaves")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # Reading

    def _consumer(self, **more: Any) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **{**self._arguments, **more},
            enable_auto_commit=False,
            auto_offset_reset="none",
            # A fetch that waits for data blocks the next seek or new partition for this long.
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )

    @asynccontextmanager
    async def _started(self, **more: Any) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = self._consumer(**more)
        await start(consumer, self._settings.bootstrap_servers, self._timeout)
        try:
            yield consumer
        finally:
            await stop_quietly(consumer, self._timeout)

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
        await self._partitions(topic)
        session = self._settings.session_timeout
        async with self._started(
            group_id=group,
            group_instance_id=member,
            session_timeout_ms=int(session * 1000),
            # A member learns of a rebalance from the answer to its heartbeat.
            heartbeat_interval_ms=int(min(session / 3, 1.0) * 1000),
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
            # Joining waits for members that are gone until their session ends.
            request_timeout_ms=int(max(self._timeout, session + 5) * 1000),
        ) as consumer:
            subscription = KafkaSubscription(
                consumer, topic, starts=starts, on_revoked=on_revoked, request_timeout=self._timeout
            )
            consumer.subscribe([topic], listener=subscription)
            yield subscription

    @asynccontextmanager
    async def tail(self, topic: str) -> AsyncIterator[AsyncIterator[LogRecord]]:
        ends = {partition: held.high for partition, held in (await self.bounds(topic)).items()}
        async with self._started() as consumer:
            yield self._from(consumer, topic, ends, None)

    async def read(
        self, topic: str, first: Mapping[int, int], last: Mapping[int, int]
    ) -> AsyncIterator[LogRecord]:
        held = await self.bounds(topic)
        for wanted in (first, last):
            for partition, offset in wanted.items():
                bounds = held.get(partition, Bounds(0, 0))
                if not bounds.low <= offset <= bounds.high:
                    raise OffsetOutOfRange(topic, partition, offset, bounds.low, bounds.high)
        async with self._started() as consumer:
            async for record in self._from(consumer, topic, dict(first), last):
                yield record

    async def _from(
        self, consumer: AIOKafkaConsumer, topic: str, at: dict[int, int], last: Mapping[int, int] | None
    ) -> AsyncIterator[LogRecord]:
        """Records from `at`, up to `last` or without an end."""
        tps = {p: TopicPartition(topic, p) for p in at if last is None or at[p] < last[p]}
        if not tps:
            return
        consumer.assign(list(tps.values()))
        for partition, tp in tps.items():
            consumer.seek(tp, at[partition])
        while tps:
            async with translated("reading"):
                try:
                    polled = await consumer.getmany(*tps.values(), timeout_ms=1000, max_records=1000)
                except OffsetOutOfRangeError as error:
                    ((tp, offset), *_) = error.args[0].items()
                    held = (await self.bounds(topic))[tp.partition]
                    raise OffsetOutOfRange(topic, tp.partition, offset, held.low, held.high) from None
            for raws in polled.values():
                for raw in raws:
                    if last is None or raw.offset < last[raw.partition]:
                        yield record_from(raw)
            if last is not None:
                for partition, tp in list(tps.items()):
                    if await consumer.position(tp) >= last[partition]:
                        del tps[partition]
                        consumer.pause(tp)

    async def bounds(self, topic: str) -> Mapping[int, Bounds]:
        tps = [TopicPartition(topic, partition) for partition in await self._partitions(topic)]
        async with self._observer_lock:
            if self._observer is None:
                observer = self._consumer()
                await start(observer, self._settings.bootstrap_servers, self._timeout)
                self._observer = observer
            async with translated("reading offsets", self._timeout):
                low = await self._observer.beginning_offsets(tps)
                high = await self._observer.end_offsets(tps)
        return {tp.partition: Bounds(low[tp], high[tp]) for tp in tps}


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Stop a producer without flushing it.

    The library's own stop flushes first, which does not end while the broker is away; the three steps
    before it make sure that nothing is left to be flushed or sent.
    """
    error = KafkaError("the producer was given up")
    producer._message_accumulator.fail_all(error)
    task = producer._sender.sender_task
    if task is not None:
        task.cancel()
    await stop_quietly(producer, 5.0)


def _consume(ack: asyncio.Future[Any]) -> None:
    """The append has failed already with the first error; the others need not be reported as unheard."""
    if not ack.cancelled():
        ack.exception()

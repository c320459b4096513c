"""One member of a Kafka consumer group.

The library's own positions are not trusted across a rebalance: it may begin to fetch from the group's
committed offset before `starts` was asked. So each owned partition has a `Place` here; before each poll
the library is set to it, and what was polled under an older assignment is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError

from timeoff.errors import Fenced
from timeoff.eventlog.kafka_client import translated
from timeoff.eventlog.kafka_records import record_from
from timeoff.eventlog.places import Place, check_commit, stand
from timeoff.eventlog.port import Batch, Bounds, LogRecord, Revoked, Span, Starts

_log = structlog.get_logger("timeoff.eventlog")


class KafkaSubscription(ConsumerRebalanceListener):  # type: ignore[misc]
    """Implements `Subscription`; the consumer is started, and subscribed with this as its listener."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        topic: str,
        *,
        starts: Starts | None,
        on_revoked: Revoked | None,
        request_timeout: float,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._starts = starts
        self._on_revoked = on_revoked
        self._request_timeout = request_timeout
        self._owned: frozenset[int] = frozenset()
        self._places: dict[int, Place] = {}
        self._paused: set[int] = set()
        self._epoch = 0
        self._assigned = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def partitions(self) -> frozenset[int]:
        return self._owned

    # Called by the consumer's coordination task, heartbeats go on meanwhile.

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._assigned.clear()
        self._changed.set()
        self._epoch += 1
        if self._owned and self._on_revoked is not None:
            try:
                await self._on_revoked(self._owned)
            except Exception:  # noqa: BLE001 - foreign code
                # The library would swallow it with its own words; the partitions go either way.
                _log.exception("on_revoked failed", topic=self._topic, partitions=sorted(self._owned))
        self._owned = frozenset()
        self._places.clear()

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._owned = frozenset(tp.partition for tp in assigned)
        self._places.clear()
        # Every rebalance takes all partitions for a moment; a pause holds for those that come back.
        self._paused &= self._owned
        self._epoch += 1
        self._assigned.set()
        self._changed.set()

    # Called by the reader.

    async def batch(self, max_records: int, wait: float) -> Batch | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            if not await self._wait_assigned(deadline):
                return None
            epoch = self._epoch
            await self._place_all(epoch)
            if epoch != self._epoch:
                continue
            for partition, place in self._places.items():
                if place.fault is not None and partition not in self._paused:
                    raise place.fault
            async with translated("reading"):
                batch = await self._poll(epoch, max_records, max(0.0, deadline - loop.time()))
            if batch is not None:
                return batch
            if loop.time() >= deadline:
                return None

    async def _wait_assigned(self, deadline: float) -> bool:
        """Whether partitions are assigned; errors of the group's coordination come out here."""
        loop = asyncio.get_running_loop()
        while True:
            async with translated("joining the consumer group"):
                # The library tells coordination errors to pollers only, and nobody polls meanwhile.
                self._consumer._coordinator.check_errors()
            if self._assigned.is_set():
                return True
            remaining = deadline - loop.time()
            if remaining <= 0:
                return False
            try:
                async with asyncio.timeout(min(remaining, 0.25)):
                    await self._assigned.wait()
            except TimeoutError:
                continue

    async def _place_all(self, epoch: int) -> None:
        """Give every owned partition a position: from `starts`, else committed, else the oldest record."""
        missing = frozenset(self._owned - self._places.keys())
        if not missing:
            return
        wanted = dict(await self._starts(missing)) if self._starts is not None else {}
        committed: dict[int, int] = {}
        async with translated("reading offsets", self._request_timeout):
            for partition in missing - wanted.keys():
                offset = await self._consumer.committed(self._tp(partition))
                if offset is not None:
                    committed[partition] = int(offset)
            held = await self._held(missing)
        if epoch != self._epoch:
            return
        for partition in missing - self._places.keys():
            bounds = held[partition]
            position = wanted.get(partition, committed.get(partition, bounds.low))
            self._put(partition, position, bounds)

    def _put(self, partition: int, position: int, bounds: Bounds) -> None:
        """Stand at `position`, or in fault if the log does not hold it."""
        place = self._places[partition] = stand(self._topic, partition, position, bounds)
        tp = self._tp(partition)
        if place.fault is None:
            self._consumer.seek(tp, position)
        if place.fault is not None or partition in self._paused:
            self._consumer.pause(tp)
        else:
            self._consumer.resume(tp)
        self._changed.set()

    async def _poll(self, epoch: int, max_records: int, wait: float) -> Batch | None:
        active = [p for p, place in self._places.items() if p not in self._paused and place.fault is None]
        if not active:
            await self._rest(wait)
            return None
        try:
            for partition in active:
                tp = self._tp(partition)
                if await self._consumer.position(tp) != self._places[partition].position:
                    self._consumer.seek(tp, self._places[partition].position)
            polled = await self._getmany([self._tp(p) for p in active], max_records, wait)
        except OffsetOutOfRangeError as error:
            await self._fault({tp.partition: offset for tp, offset in error.args[0].items()}, epoch)
            return None
        except (IllegalStateError, NoOffsetForPartitionError):
            return None  # a rebalance came between; the caller's loop looks again
        if polled is None or epoch != self._epoch:
            return None
        records: list[LogRecord] = []
        spans: dict[int, Span] = {}
        for partition in active:
            tp, place = self._tp(partition), self._places[partition]
            # Also without records the position may have passed control records.
            start, place.position = place.position, int(await self._consumer.position(tp))
            if tp in polled:
                records.extend(record_from(raw) for raw in polled[tp])
                spans[partition] = Span(start, place.position)
        return Batch(tuple(records), spans) if records else None

    async def _getmany(
        self, tps: list[TopicPartition], max_records: int, wait: float
    ) -> dict[TopicPartition, list[Any]] | None:
        """One poll that ends in time: during a rebalance the library waits without a limit."""
        poll = asyncio.ensure_future(
            self._consumer.getmany(*tps, timeout_ms=int(wait * 1000), max_records=max_records)
        )
        try:
            await asyncio.wait({poll}, timeout=wait + 0.25)
            if not poll.done():
                return None
            return dict(poll.result())
        finally:
            if not poll.done():
                poll.cancel()
                await asyncio.wait({poll})

    async def _rest(self, wait: float) -> None:
        """Nothing to read from: wait for an assignment, a seek or the time."""
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._changed.wait()

    async def _fault(self, positions: Mapping[int, int], epoch: int) -> None:
        async with translated("reading offsets", self._request_timeout):
            held = await self._held(positions.keys())
        if epoch != self._epoch:
            return
        for partition, offset in positions.items():
            place = self._places.get(partition)
            # A leader that just took over may answer so for a moment; then the bounds are fine again.
            if place is not None and place.position == offset:
                self._put(partition, offset, held[partition])

    async def commit(self, offsets: Mapping[int, int]) -> None:
        check_commit(self._topic, self._places, offsets)
        if not offsets:
            return
        async with translated("the commit of offsets", self._request_timeout):
            await self._consumer.commit({self._tp(p): offset for p, offset in offsets.items()})

    async def seek(self, partition: int, offset: int) -> None:
        self._must_own(partition)
        epoch = self._epoch
        async with translated("reading offsets", self._request_timeout):
            held = await self._held([partition])
        if epoch != self._epoch:
            raise Fenced(f"{self._topic}/{partition} was taken away")
        self._put(partition, offset, held[partition])

    async def pause(self, partition: int) -> None:
        self._must_own(partition)
        self._paused.add(partition)
        self._consumer.pause(self._tp(partition))

    async def bounds(self) -> Mapping[int, Bounds]:
        async with translated("reading offsets", self._request_timeout):
            return await self._held(self._owned)

    async def _held(self, partitions: Collection[int]) -> dict[int, Bounds]:
        tps = [self._tp(p) for p in partitions]
        low = await self._consumer.beginning_offsets(tps)
        high = await self._consumer.end_offsets(tps)
        return {tp.partition: Bounds(low[tp], high[tp]) for tp in tps}

    def _must_own(self, partition: int) -> None:
        if partition not in self._owned:
            raise Fenced(f"{self._topic}/{partition} is not owned by this member now")

    def _tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self._topic, partition)

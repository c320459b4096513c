"""What every adapter of the event log must do. Subclass it and supply the fixture `open_log`, nothing else:

    class TestMyLog(EventLogSuite):
        @pytest.fixture
        def open_log(self) -> OpenLog: ...

`open_log` opens a log on the same storage at each call, from any event loop. Needs pytest-asyncio in auto
mode. Members that crash are threads whose event loop stands still, as a stopped process would.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import ClassVar, Final

import pytest

from timeoff.errors import Fenced, MessageTooLarge, OffsetOutOfRange, TopicMissing
from timeoff.eventlog.partitioner import partition_of
from timeoff.eventlog.port import (
    MAX_MESSAGE_BYTES,
    Batch,
    Bounds,
    EventLog,
    LogRecord,
    Message,
    Subscription,
    TopicSpec,
)

OpenLog = Callable[[], Awaitable[EventLog]]

PARTITIONS: Final = 4


def key_in(partition: int) -> str:
    """A key that lands in this partition."""
    return next(key for key in map(str, range(1000)) if partition_of(key, PARTITIONS) == partition)


def messages(partition: int, count: int, first: int = 0) -> list[Message]:
    return [Message(key_in(partition), str(first + nr).encode()) for nr in range(count)]


async def collect(
    subscription: Subscription, count: int, *, commit: bool = False, within: float = 20.0
) -> list[LogRecord]:
    """The next `count` records."""
    records: list[LogRecord] = []
    deadline = time.monotonic() + within
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records after {within} s"
        batch = await subscription.batch(100, 0.5)
        if batch is not None:
            records.extend(batch.records)
            if commit:
                await subscription.commit({p: span.end for p, span in batch.spans.items()})
    return records


async def until_owned(subscription: Subscription, count: int, within: float = 25.0) -> None:
    """Poll, as a reader does, until this many partitions are owned."""
    deadline = time.monotonic() + within
    while len(subscription.partitions) != count:
        assert time.monotonic() < deadline, f"owns {sorted(subscription.partitions)}, not {count}"
        assert await subscription.batch(1, 0.05) is None


class FrozenMember:
    """A group member that reads one batch and then stands still, until `wake` lets it commit."""

    def __init__(self, open_log: OpenLog, topic: str, group: str) -> None:
        self._open_log = open_log
        self._topic, self._group = topic, group
        self._frozen, self._go_on = threading.Event(), threading.Event()
        self._commit = False
        self.batch: Batch | None = None
        self.outcome: BaseException | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name="frozen-member")

    async def __aenter__(self) -> FrozenMember:
        self._thread.start()
        assert await asyncio.to_thread(self._frozen.wait, 25)
        assert self.batch is not None
        return self

    async def __aexit__(self, *_: object) -> None:
        self._go_on.set()
        await asyncio.to_thread(self._thread.join, 25)

    async def wake(self) -> BaseException | None:
        """What its commit raised; None if it succeeded."""
        self._commit = True
        await self.__aexit__()
        return self.outcome

    async def _live(self) -> None:
        log = await self._open_log()
        try:
            async with log.subscribe(self._topic, self._group) as subscription:
                while self.batch is None:
                    self.batch = await subscription.batch(100, 1.0)
                self._frozen.set()
                self._go_on.wait(50)
                if self._commit:
                    try:
                        await subscription.commit({p: s.end for p, s in self.batch.spans.items()})
                    except Exception as error:  # noqa: BLE001 - the test looks at it
                        self.outcome = error
        finally:
            self._frozen.set()
            await log.close()


class EventLogSuite:
    """Behaviour of the port. Each test has a topic and a group of its own."""

    #: Whether a named member that returns in time gets its partitions without a rebalance of the others.
    keeps_named_members: ClassVar[bool] = True

    @pytest.fixture
    async def log(self, open_log: OpenLog) -> AsyncIterator[EventLog]:
        log = await open_log()
        yield log
        await log.close()

    @pytest.fixture
    async def topic(self, log: EventLog) -> str:
        name = f"test.{uuid.uuid4().hex[:12]}"
        await log.ensure_topics([TopicSpec(name, PARTITIONS)], create=True)
        return name

    @pytest.fixture
    def group(self) -> str:
        return f"group.{uuid.uuid4().hex[:12]}"

    # Appending and reading

    async def test_order_per_key_is_kept(self, log: EventLog, topic: str, group: str) -> None:
        keys = [f"agent-{nr}" for nr in range(30)]
        for nr in range(5):
            await log.append(topic, [Message(key, f"{nr}.{part}".encode()) for part in "ab" for key in keys])
        async with log.subscribe(topic, group) as subscription:
            records = await collect(subscription, 300)
        assert len(records) == 300
        for key in keys:
            mine = [record for record in records if record.key == key]
            assert [r.value for r in mine] == [f"{nr}.{part}".encode() for nr in range(5) for part in "ab"]
            assert {r.partition for r in mine} == {partition_of(key, PARTITIONS)}
            assert [r.offset for r in mine] == sorted(r.offset for r in mine)

    async def test_nothing_is_changed_on_the_way(self, log: EventLog, topic: str, group: str) -> None:
        sent = [
            Message("ключ-☂", bytes(range(256)), (("ce_id", b"1"), ("ce_id", b"\x00\xff"), ("leer-ü", b""))),
            Message("a", b""),
            Message("b", b"\x00" * 10),
            Message("big", b"\x00\x01" * 450_000),
        ]
        await log.append(topic, sent)
        async with log.subscribe(topic, group) as subscription:
            records = {record.key: record for record in await collect(subscription, len(sent))}
        for message in sent:
            assert records[message.key].value == message.value
            assert records[message.key].headers == message.headers
            assert abs(records[message.key].appended_at.timestamp() - time.time()) < 60

    async def test_a_message_too_large_costs_no_other_and_appends_none(
        self, log: EventLog, topic: str
    ) -> None:
        with pytest.raises(MessageTooLarge) as refused:
            await log.append(topic, [Message("a", b"fits"), Message("b", bytes(MAX_MESSAGE_BYTES))])
        assert refused.value.index == 1
        assert all(held == Bounds(0, 0) for held in (await log.bounds(topic)).values())
        await log.append(topic, [Message("a", bytes(MAX_MESSAGE_BYTES - 1))])

    async def test_appending_nothing_is_nothing(self, log: EventLog, topic: str) -> None:
        await log.append(topic, [])
        assert all(held == Bounds(0, 0) for held in (await log.bounds(topic)).values())

    async def test_concurrent_appenders_leave_no_hole_and_lose_nothing(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        """A reader that passed a record still uncommitted would miss it, and show a hole in the offsets."""
        other = await open_log()
        keys = [f"agent-{nr}" for nr in range(12)]

        async def appender(nr: int) -> None:
            through = (log, other)[nr % 2]
            for turn in range(15):
                shuffled = keys[(nr * 5 + turn) % 12 :] + keys[: (nr * 5 + turn) % 12]
                await through.append(topic, [Message(key, f"{nr}/{turn}".encode()) for key in shuffled])

        async with log.subscribe(topic, group) as subscription, asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(collect(subscription, 8 * 15 * 12, within=40))
            for nr in range(8):
                tasks.create_task(appender(nr))
            records = await reading
        await other.close()
        for partition in range(PARTITIONS):
            offsets = [record.offset for record in records if record.partition == partition]
            assert offsets == list(range(len(offsets)))
        for key in keys:
            for nr in range(8):
                turns = [r.value for r in records if r.key == key and r.value.startswith(f"{nr}/".encode())]
                assert turns == [f"{nr}/{turn}".encode() for turn in range(15)]

    async def test_spans_say_where_the_reader_stood(self, log: EventLog, topic: str, group: str) -> None:
        await log.append(topic, [*messages(0, 250), *messages(1, 250)])
        at = dict.fromkeys(range(PARTITIONS), 0)
        async with log.subscribe(topic, group) as subscription:
            read = 0
            while read < 500:
                batch = await subscription.batch(70, 5)
                assert batch is not None
                assert 0 < len(batch.records) <= 70
                assert {record.partition for record in batch.records} == set(batch.spans)
                for partition, span in batch.spans.items():
                    mine = [record.offset for record in batch.records if record.partition == partition]
                    assert mine == list(range(span.start, span.end))
                    assert span.start == at[partition]
                    at[partition] = span.end
                read += len(batch.records)

    async def test_an_empty_log_gives_no_batch_in_the_time_asked_for(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        async with log.subscribe(topic, group) as subscription:
            await until_owned(subscription, PARTITIONS)
            began = time.monotonic()
            assert await subscription.batch(10, 0.3) is None
            assert 0.25 < time.monotonic() - began < 3

    async def test_a_waiting_reader_gets_what_is_appended(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        async with log.subscribe(topic, group) as subscription:
            await until_owned(subscription, PARTITIONS)
            waiting = asyncio.create_task(subscription.batch(10, 30))
            await log.append(topic, messages(2, 1))
            batch = await asyncio.wait_for(waiting, 5)
        assert batch is not None
        assert batch.records[0].value == b"0"

    # Positions

    async def test_a_committed_offset_is_where_the_next_member_starts(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, messages(0, 10))
        async with log.subscribe(topic, group) as subscription:
            assert len(await collect(subscription, 10)) == 10
            await subscription.commit({0: 7})
        async with log.subscribe(topic, group) as subscription:
            assert [record.offset for record in await collect(subscription, 3)] == [7, 8, 9]

    async def test_starts_goes_before_the_committed_offset(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, [*messages(0, 10), *messages(1, 10)])
        async with log.subscribe(topic, group) as subscription:
            await collect(subscription, 20, commit=True)
        asked: list[frozenset[int]] = []

        async def starts(partitions: Collection[int]) -> Mapping[int, int]:
            asked.append(frozenset(partitions))
            return {0: 4}

        await log.append(topic, messages(1, 1, first=10))
        async with log.subscribe(topic, group, starts=starts) as subscription:
            records = await collect(subscription, 7)
        assert sorted((r.partition, r.offset) for r in records) == [
            *((0, nr) for nr in range(4, 10)),
            (1, 10),
        ]
        assert frozenset().union(*asked) == frozenset(range(PARTITIONS))

    async def test_an_error_of_starts_reaches_the_reader_and_is_tried_again(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, messages(0, 3))
        calls = 0

        async def starts(partitions: Collection[int]) -> Mapping[int, int]:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise ConnectionError("the ledger is away")
            return {0: 1}

        async with log.subscribe(topic, group, starts=starts) as subscription:
            with pytest.raises(ConnectionError):
                await collect(subscription, 1)
            assert [record.offset for record in await collect(subscription, 2)] == [1, 2]

    async def test_a_position_above_the_end_never_jumps(self, log: EventLog, topic: str, group: str) -> None:
        """A restored broker: reading on as if nothing had happened would hide the lost tail."""
        await log.append(topic, messages(0, 5))

        async def starts(partitions: Collection[int]) -> Mapping[int, int]:
            return {0: 8}

        async with log.subscribe(topic, group, starts=starts) as subscription:
            with pytest.raises(OffsetOutOfRange) as first:
                await collect(subscription, 1)
            assert (first.value.partition, first.value.wanted) == (0, 8)
            assert (first.value.low, first.value.high) == (0, 5)
            # Also once the log has grown past the position: those records are not the ones that were meant.
            await log.append(topic, messages(0, 10, first=5))
            with pytest.raises(OffsetOutOfRange):
                await subscription.batch(10, 0.5)
            await subscription.seek(0, 5)
            assert [record.offset for record in await collect(subscription, 10)] == list(range(5, 15))

    async def test_the_end_itself_is_in_range(self, log: EventLog, topic: str, group: str) -> None:
        await log.append(topic, messages(0, 5))

        async def starts(partitions: Collection[int]) -> Mapping[int, int]:
            return {0: 5}

        async with log.subscribe(topic, group, starts=starts) as subscription:
            await until_owned(subscription, PARTITIONS)
            assert await subscription.batch(10, 0.3) is None
            await log.append(topic, messages(0, 1))
            assert [record.offset for record in await collect(subscription, 1)] == [5]

    async def test_a_committed_offset_that_retention_has_passed_never_jumps(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, [*messages(0, 10), *messages(1, 2)])
        async with log.subscribe(topic, group) as subscription:
            await collect(subscription, 12)
            await subscription.commit({0: 2, 1: 2})
        await log.trim(topic, {0: 6})
        assert (await log.bounds(topic))[0] == Bounds(6, 10)
        async with log.subscribe(topic, group) as subscription:
            with pytest.raises(OffsetOutOfRange) as passed:
                await collect(subscription, 1)
            assert (passed.value.wanted, passed.value.low, passed.value.high) == (2, 6, 10)
            with pytest.raises(OffsetOutOfRange):
                await subscription.batch(10, 0.5)
            await subscription.seek(0, 6)
            assert [record.offset for record in await collect(subscription, 4)] == [6, 7, 8, 9]

    async def test_a_reader_that_retention_overtakes_is_told(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, messages(0, 10))
        async with log.subscribe(topic, group) as subscription:
            await collect(subscription, 10)
            await log.append(topic, messages(0, 10, first=10))
            await log.trim(topic, {0: 20})
            await subscription.seek(0, 12)
            with pytest.raises(OffsetOutOfRange):
                await collect(subscription, 1)

    async def test_a_fault_in_one_partition_leaves_the_others_to_a_reader_that_pauses_it(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, [*messages(0, 2), *messages(1, 2)])

        async def starts(partitions: Collection[int]) -> Mapping[int, int]:
            return {0: 99}

        async with log.subscribe(topic, group, starts=starts) as subscription:
            with pytest.raises(OffsetOutOfRange):
                await collect(subscription, 1)
            await subscription.pause(0)
            assert {record.partition for record in await collect(subscription, 2)} == {1}

    async def test_seek_back_reads_again(self, log: EventLog, topic: str, group: str) -> None:
        await log.append(topic, messages(3, 6))
        async with log.subscribe(topic, group) as subscription:
            assert len(await collect(subscription, 6)) == 6
            await subscription.seek(3, 4)
            assert [record.offset for record in await collect(subscription, 2)] == [4, 5]

    async def test_pause_holds_one_partition_while_others_flow(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, [*messages(0, 1), *messages(1, 1)])
        async with log.subscribe(topic, group) as subscription:
            await collect(subscription, 2, commit=True)
            await subscription.pause(0)
            await log.append(topic, [*messages(0, 5, first=1), *messages(1, 5, first=1)])
            assert {record.partition for record in await collect(subscription, 5)} == {1}
            assert await subscription.batch(10, 0.5) is None
            assert subscription.partitions == frozenset(range(PARTITIONS))
        async with log.subscribe(topic, group) as subscription:
            held = [record for record in await collect(subscription, 10) if record.partition == 0]
            assert [record.offset for record in held] == [1, 2, 3, 4, 5]

    async def test_bounds_tell_the_lag(self, log: EventLog, topic: str, group: str) -> None:
        await log.append(topic, [*messages(0, 10), *messages(2, 3)])
        await log.trim(topic, {0: 4})
        expected = {0: Bounds(4, 10), 1: Bounds(0, 0), 2: Bounds(0, 3), 3: Bounds(0, 0)}
        assert await log.bounds(topic) == expected
        async with log.subscribe(topic, group) as subscription:
            await collect(subscription, 9)
            assert await subscription.bounds() == expected

    # Groups

    async def test_two_members_share_and_a_leaver_hands_over(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        other = await open_log()
        async with log.subscribe(topic, group) as first:
            await until_owned(first, PARTITIONS)
            async with other.subscribe(topic, group) as second:
                await asyncio.gather(until_owned(first, 2), until_owned(second, 2))
                assert not first.partitions & second.partitions
                await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 5)])
                of_first, of_second = await asyncio.gather(
                    collect(first, 10, commit=True), collect(second, 10, commit=True)
                )
                assert {record.partition for record in of_first} == first.partitions
                assert {record.partition for record in of_second} == second.partitions
            await until_owned(first, PARTITIONS)
            await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 5, first=5)])
            rest = await collect(first, 20)
            assert sorted((r.partition, r.offset) for r in rest) == [
                (p, nr) for p in range(PARTITIONS) for nr in range(5, 10)
            ]
        await other.close()

    async def test_a_commit_while_partitions_are_revoked_counts(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        """Otherwise each rebalance would repeat what was in work."""
        other = await open_log()
        await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 5)])
        done: dict[int, int] = {}

        async def on_revoked(partitions: Collection[int]) -> None:
            await first.commit({p: done[p] for p in partitions})

        async with log.subscribe(topic, group, on_revoked=on_revoked) as first:
            for record in await collect(first, 20):
                done[record.partition] = record.offset + 1
            async with other.subscribe(topic, group) as second:
                await asyncio.gather(until_owned(first, 2), until_owned(second, 2))
                await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 1, first=5)])
                records = await collect(second, 2)
                assert [record.offset for record in records] == [5, 5]
        await other.close()

    async def test_partitions_of_a_crashed_member_are_taken_over_with_what_it_left_undone(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 3)])
        async with FrozenMember(open_log, topic, group), log.subscribe(topic, group) as heir:
            records = await collect(heir, 12, within=40)
            assert heir.partitions == frozenset(range(PARTITIONS))
            assert sorted((r.partition, r.offset) for r in records) == [
                (p, nr) for p in range(PARTITIONS) for nr in range(3)
            ]

    async def test_a_commit_of_a_member_that_was_taken_for_dead_is_fenced(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 3)])
        async with FrozenMember(open_log, topic, group) as zombie, log.subscribe(topic, group) as heir:
            await collect(heir, 12, within=40)
            await heir.commit(dict.fromkeys(range(PARTITIONS), 1))
            assert isinstance(await zombie.wake(), Fenced)
        async with log.subscribe(topic, group) as later:
            offsets = sorted((r.partition, r.offset) for r in await collect(later, 8))
            assert offsets == [(p, nr) for p in range(PARTITIONS) for nr in (1, 2)]

    async def test_a_commit_for_a_partition_of_somebody_else_is_fenced(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        other = await open_log()
        async with log.subscribe(topic, group) as first, other.subscribe(topic, group) as second:
            await asyncio.gather(until_owned(first, 2), until_owned(second, 2))
            for call in (
                first.commit(dict.fromkeys(second.partitions, 0)),
                first.seek(min(second.partitions), 0),
                first.pause(min(second.partitions)),
            ):
                with pytest.raises(Fenced):
                    await call
        await other.close()

    async def test_a_commit_of_what_was_never_delivered_is_fenced(
        self, log: EventLog, topic: str, group: str
    ) -> None:
        """Such an offset comes from an earlier ownership and would step over what was not read since."""
        await log.append(topic, messages(0, 5))
        async with log.subscribe(topic, group) as subscription:
            await collect(subscription, 5)
            with pytest.raises(Fenced):
                await subscription.commit({0: 99})

    async def test_a_pause_outlives_a_rebalance_where_the_partition_stays(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        """A partition is paused because its next record must not be read, whoever else joins."""
        other = await open_log()
        async with log.subscribe(topic, group) as first:
            await until_owned(first, PARTITIONS)
            for partition in range(PARTITIONS):
                await first.pause(partition)
            async with other.subscribe(topic, group) as second:
                await asyncio.gather(until_owned(first, 2), until_owned(second, 2))
                await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 1)])
                assert {record.partition for record in await collect(second, 2)} == second.partitions
                assert await first.batch(10, 1.0) is None
        await other.close()

    async def test_groups_do_not_share_offsets(self, log: EventLog, topic: str, group: str) -> None:
        await log.append(topic, messages(0, 4))
        for name in (group, group + ".other"):
            async with log.subscribe(topic, name) as subscription:
                assert len(await collect(subscription, 4, commit=True)) == 4

    async def test_a_named_member_returns_without_a_rebalance(
        self, open_log: OpenLog, log: EventLog, topic: str, group: str
    ) -> None:
        if not self.keeps_named_members:
            pytest.skip("this log has no named members")
        other = await open_log()
        revoked: list[Collection[int]] = []

        async def on_revoked(partitions: Collection[int]) -> None:
            revoked.append(partitions)

        async with log.subscribe(topic, group, member="stays", on_revoked=on_revoked) as stays:
            await until_owned(stays, PARTITIONS)
            async with other.subscribe(topic, group, member="restarts") as restarts:
                await asyncio.gather(until_owned(stays, 2), until_owned(restarts, 2))
                before = restarts.partitions
            revoked.clear()
            # Gone for a moment, as in a restart: long enough for the other to notice, were it to act on it.
            assert await stays.batch(1, 0.5) is None
            assert len(stays.partitions) == 2
            async with other.subscribe(topic, group, member="restarts") as restarts:
                await until_owned(restarts, 2)
                assert restarts.partitions == before
                await log.append(topic, [m for p in range(PARTITIONS) for m in messages(p, 1)])
                of_stays, of_restarts = await asyncio.gather(collect(stays, 2), collect(restarts, 2))
                assert {record.partition for record in of_stays} == stays.partitions
                assert {record.partition for record in of_restarts} == before
            assert revoked == []
        await other.close()

    # Reading without a group

    async def test_tail_sees_only_what_is_new(self, log: EventLog, topic: str) -> None:
        await log.append(topic, messages(0, 5))
        async with log.tail(topic) as tail:
            await log.append(topic, [*messages(0, 1, first=5), *messages(1, 1)])
            seen = [await asyncio.wait_for(anext(tail), 10) for _ in range(2)]
            await log.append(topic, messages(2, 1))
            seen.append(await asyncio.wait_for(anext(tail), 10))
        assert sorted((record.partition, record.offset) for record in seen) == [(0, 5), (1, 0), (2, 0)]

    async def test_read_gives_exactly_the_range(self, log: EventLog, topic: str) -> None:
        await log.append(topic, [*messages(0, 1200), *messages(1, 5), *messages(2, 5)])
        first, last = {0: 100, 1: 2, 2: 3}, {0: 1150, 1: 5, 2: 3}
        records = [record async for record in log.read(topic, first, last)]
        for partition, start in first.items():
            offsets = [record.offset for record in records if record.partition == partition]
            assert offsets == list(range(start, last[partition]))

    @pytest.mark.parametrize(("first", "last"), [(1, 5), (3, 11)], ids=["below", "above"])
    async def test_read_of_what_the_log_does_not_hold_raises(
        self, log: EventLog, topic: str, first: int, last: int
    ) -> None:
        await log.append(topic, messages(0, 10))
        await log.trim(topic, {0: 3})
        with pytest.raises(OffsetOutOfRange) as refused:
            await anext(log.read(topic, {0: first}, {0: last}))
        assert (refused.value.low, refused.value.high) == (3, 10)

    # Topics

    async def test_missing_topics_are_all_named(self, log: EventLog, topic: str) -> None:
        with pytest.raises(TopicMissing) as missing:
            await log.ensure_topics(
                [TopicSpec(name, 1) for name in ("absent.one", topic, "absent.two")], create=False
            )
        assert "absent.one" in str(missing.value)
        assert "absent.two" in str(missing.value)
        assert topic not in str(missing.value)

    async def test_a_missing_topic_is_an_error_at_once_and_is_not_made(self, log: EventLog) -> None:
        began = time.monotonic()
        with pytest.raises(TopicMissing):
            await log.append("absent.topic", [Message("a", b"")])
        with pytest.raises(TopicMissing):
            async with log.subscribe("absent.topic", "group"):
                pass
        with pytest.raises(TopicMissing):
            await log.bounds("absent.topic")
        assert time.monotonic() - began < 5
        with pytest.raises(TopicMissing):
            await log.ensure_topics([TopicSpec("absent.topic", 1)], create=False)

    async def test_ensuring_topics_again_changes_nothing(self, log: EventLog, topic: str) -> None:
        await log.append(topic, messages(0, 1))
        await log.ensure_topics([TopicSpec(topic, PARTITIONS + 3)], create=True)
        assert (await log.bounds(topic))[0] == Bounds(0, 1)
        assert len(await log.bounds(topic)) == PARTITIONS

    async def test_ping_answers(self, log: EventLog) -> None:
        await log.ping()

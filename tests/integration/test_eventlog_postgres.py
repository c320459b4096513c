"""The embedded log against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import replace

import asyncpg
import pytest

from timeoff.errors import Fenced, OffsetOutOfRange, Unreachable
from timeoff.eventlog import open_log as open_from_settings
from timeoff.eventlog.port import Bounds, EventLog, TopicSpec
from timeoff.eventlog.postgres import PostgresLog, Timing
from timeoff.eventlog.postgres_group import PostgresSubscription
from timeoff.settings.model import LogSettings
from timeoff.testing.eventlog_suite import PARTITIONS, EventLogSuite, OpenLog, collect, messages, until_owned

#: A short lease, so that a crash is noticed soon. The time a statement may take is the product's own: on a
#: busy machine it has nothing to do with how soon a member counts as dead.
TIMING = Timing(lease=1.2, poll=0.3, housekeeping=3600.0)


class TestPostgresLog(EventLogSuite):
    @pytest.fixture
    def open_log(self, database_url: str) -> OpenLog:
        async def open_() -> EventLog:
            return await PostgresLog.open(database_url, timing=TIMING)

        return open_


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[PostgresLog]:
    log = await PostgresLog.open(database_url, timing=TIMING)
    await log.ensure_topics([TopicSpec("t", PARTITIONS)], create=True)
    yield log
    await log.close()


@pytest.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_several_processes_may_open_a_new_database_at_once(database_url: str) -> None:
    logs = await asyncio.gather(*(PostgresLog.open(database_url) for _ in range(5)))
    await asyncio.gather(
        *(log.ensure_topics([TopicSpec("t", PARTITIONS)], create=True) for log in logs),
    )
    assert len(await logs[0].bounds("t")) == PARTITIONS
    await asyncio.gather(*(log.close() for log in logs))


async def test_the_settings_open_it(database_url: str) -> None:
    log = await open_from_settings(LogSettings(), database_url=database_url)
    await log.ping()
    await log.close()


async def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable) as refused:
        await PostgresLog.open("postgresql://user:secret-word@127.0.0.1:1/db")
    assert "127.0.0.1:1" in str(refused.value)
    assert "secret-word" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert time.monotonic() - began < 5


async def test_an_append_under_way_holds_back_later_ones_of_its_partition_only(
    log: PostgresLog, database_url: str, sql: asyncpg.Connection
) -> None:
    """Were the later one visible first, a reader would step over the earlier one."""
    other = await PostgresLog.open(database_url, timing=TIMING)
    async with log.subscribe("t", "g") as subscription:
        async with sql.transaction():
            await sql.execute("UPDATE eventlog.partitions SET high = high WHERE partition = 0")
            blocked = asyncio.create_task(log.append("t", messages(0, 2)))
            await other.append("t", messages(1, 2))
            assert {record.partition for record in await collect(subscription, 2)} == {1}
            assert not blocked.done()
        await blocked
        assert [record.offset for record in await collect(subscription, 2)] == [0, 1]
    await other.close()


async def test_concurrent_small_appends_share_a_statement(log: PostgresLog, sql: asyncpg.Connection) -> None:
    """One commit for each would make the disk the limit. Once the topic is known, they keep their order."""
    await log.bounds("t")
    await asyncio.gather(*(log.append("t", messages(nr % 4, 1, first=nr)) for nr in range(400)))
    assert sum(held.high for held in (await log.bounds("t")).values()) == 400
    transactions = await sql.fetchval("SELECT count(DISTINCT xmin::text) FROM eventlog.records")
    assert transactions <= 10
    values = [r.value async for r in log.read("t", {0: 0}, {0: 100})]
    assert values == [str(nr).encode() for nr in range(0, 400, 4)]


async def test_an_append_whose_caller_gave_up_harms_no_other(log: PostgresLog) -> None:
    given_up = asyncio.create_task(log.append("t", messages(0, 1)))
    other = asyncio.create_task(log.append("t", messages(1, 1)))
    await asyncio.sleep(0)
    given_up.cancel()
    await other
    assert (await log.bounds("t"))[1] == Bounds(0, 1)


async def test_durable_on_return_where_the_server_is_lax(log: PostgresLog) -> None:
    assert await log._pool.fetchval("SHOW synchronous_commit") == "on"


async def test_a_reader_looks_by_itself_when_notifications_are_lost(log: PostgresLog) -> None:
    async with log.subscribe("t", "g") as subscription:
        await until_owned(subscription, PARTITIONS)
        await log._wakeups.close()
        waiting = asyncio.create_task(subscription.batch(10, 20))
        await log.append("t", messages(0, 1))
        assert await asyncio.wait_for(waiting, 3) is not None


async def test_the_listening_connection_is_opened_again(database_url: str, sql: asyncpg.Connection) -> None:
    log = await PostgresLog.open(database_url, timing=replace(TIMING, poll=60, lease=60))
    await log.ensure_topics([TopicSpec("t", PARTITIONS)], create=True)

    async def listener() -> int:
        pid = None
        while pid is None:
            pid = await sql.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        return int(pid)

    async with log.subscribe("t", "g") as subscription:
        await until_owned(subscription, PARTITIONS)
        first = await listener()
        waiting = asyncio.create_task(subscription.batch(10, 30))
        await sql.fetchval("SELECT pg_terminate_backend($1, 5000)", first)
        assert await listener() != first
        await log.append("t", messages(0, 1))
        assert await asyncio.wait_for(waiting, 5) is not None
    await log.close()


async def test_three_members_share_fairly_and_nothing_moves_without_need(log: PostgresLog) -> None:
    async with log.subscribe("t", "g") as first:
        await until_owned(first, 4)
        async with log.subscribe("t", "g") as second:
            await asyncio.gather(until_owned(first, 2), until_owned(second, 2))
            before = (first.partitions, second.partitions)
            async with log.subscribe("t", "g") as third:
                await until_owned(third, 1)
                assert sorted(len(m.partitions) for m in (first, second, third)) == [1, 1, 2]
                assert first.partitions <= before[0]
                assert second.partitions <= before[1]
            await asyncio.gather(until_owned(first, 2), until_owned(second, 2))


async def test_more_members_than_partitions(log: PostgresLog) -> None:
    await log.ensure_topics([TopicSpec("one", 1)], create=True)
    async with log.subscribe("one", "g") as first, log.subscribe("one", "g") as second:
        await until_owned(first, 1)
        assert await second.batch(1, 0.5) is None
        assert not second.partitions


async def test_a_commit_stores_all_offsets_or_none(log: PostgresLog, sql: asyncpg.Connection) -> None:
    await log.append("t", [*messages(0, 3), *messages(1, 3)])
    async with log.subscribe("t", "g") as subscription:
        await collect(subscription, 6)
        await sql.execute("UPDATE eventlog.leases SET generation = generation + 1 WHERE partition = 1")
        with pytest.raises(Fenced):
            await subscription.commit({0: 3, 1: 3})
        assert await sql.fetchval("SELECT committed FROM eventlog.leases WHERE partition = 0") is None


async def test_a_reader_that_does_not_let_go_loses_its_partitions(database_url: str) -> None:
    log = await PostgresLog.open(database_url, timing=replace(TIMING, revoke=0.3))
    await log.ensure_topics([TopicSpec("t", PARTITIONS)], create=True)
    await log.append("t", [m for p in range(PARTITIONS) for m in messages(p, 1)])

    async def on_revoked(partitions: Collection[int]) -> None:
        await asyncio.Event().wait()

    async with log.subscribe("t", "g", on_revoked=on_revoked) as slow:
        await collect(slow, 4)
        async with log.subscribe("t", "g") as second:
            await until_two(second)
            with pytest.raises(Fenced):
                await slow.commit(dict.fromkeys(second.partitions, 1))
    await log.close()


async def until_two(subscription: object) -> None:
    """Poll until two partitions are owned, whatever comes with them."""
    async with asyncio.timeout(20):
        while len(subscription.partitions) != 2:  # type: ignore[attr-defined]
            await subscription.batch(1, 0.05)  # type: ignore[attr-defined]


async def test_a_member_that_was_away_asks_before_it_reads_on(log: PostgresLog) -> None:
    """A process that was stopped for longer than a lease would else read beside the new owner."""
    async with log.subscribe("t", "g") as away:
        await until_owned(away, PARTITIONS)
        assert isinstance(away, PostgresSubscription)
        for task in list(away._tasks):
            task.cancel()
        async with log.subscribe("t", "g") as heir:
            await until_owned(heir, PARTITIONS)
            await log.append("t", messages(0, 1))
            assert len(await collect(heir, 1, commit=True)) == 1
            assert await away.batch(10, 0) is None


async def test_a_member_that_freezes_while_it_renews_does_not_hold_the_group(
    log: PostgresLog, database_url: str, sql: asyncpg.Connection
) -> None:
    """Its transaction has the group's rows locked; nobody else could join, renew or take over."""
    owns, freeze, frozen, thaw = (threading.Event() for _ in range(4))

    async def live() -> None:
        own = await PostgresLog.open(database_url, timing=TIMING)
        async with own.subscribe("t", "g") as subscription:
            await until_owned(subscription, PARTITIONS)
            owns.set()
            await asyncio.to_thread(freeze.wait, 50)
            frozen.set()
            thaw.wait(50)  # the whole loop stands still
        await own.close()

    thread = threading.Thread(target=lambda: asyncio.run(live()), name="frozen-member")
    thread.start()
    try:
        assert await asyncio.to_thread(owns.wait, 25)
        async with sql.transaction():
            # The renewal stops at the member's row, with the leases locked already.
            await sql.execute("SELECT FROM eventlog.members FOR UPDATE")
            while not await sql.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock')"
            ):
                await asyncio.sleep(0.01)
            freeze.set()
            assert await asyncio.to_thread(frozen.wait, 25)
        async with log.subscribe("t", "g") as heir:
            await until_owned(heir, PARTITIONS)
    finally:
        freeze.set()
        thaw.set()
        await asyncio.to_thread(thread.join, 25)


async def test_the_later_process_of_a_name_wins(log: PostgresLog) -> None:
    await log.append("t", messages(0, 1))
    async with log.subscribe("t", "g", member="pod-0") as old:
        await collect(old, 1)
        async with log.subscribe("t", "g", member="pod-0") as new:
            with pytest.raises(Fenced):
                await old.commit({0: 1})
            with pytest.raises(Fenced):
                async with asyncio.timeout(10):
                    while True:
                        await old.batch(1, 0.1)
            assert len(await collect(new, 1)) == 1


async def test_retention_forgets_by_age_and_says_so(database_url: str, sql: asyncpg.Connection) -> None:
    log = await PostgresLog.open(database_url, timing=TIMING)
    await log.ensure_topics(
        [TopicSpec("aged", PARTITIONS, retention_hours=2), TopicSpec("kept", 1)], create=True
    )
    await log.append("aged", [*messages(0, 5), *messages(1, 3)])
    await log.append("kept", messages(0, 1))
    await sql.execute(
        "UPDATE eventlog.records SET appended_at = now() - interval '3 hours' "
        "WHERE (partition = 0 AND position < 4) OR partition = 1"
    )
    await sql.execute(
        "UPDATE eventlog.records SET appended_at = now() - interval '9 years' "
        "WHERE topic_id = (SELECT topic_id FROM eventlog.topics WHERE name = 'kept')"
    )
    await log.expire()
    held = await log.bounds("aged")
    assert (held[0], held[1]) == (Bounds(4, 5), Bounds(3, 3))
    assert await log.bounds("kept") == {0: Bounds(0, 1)}
    assert await sql.fetchval("SELECT count(*) FROM eventlog.records") == 2
    with pytest.raises(OffsetOutOfRange):
        await anext(log.read("aged", {0: 0}, {0: 5}))
    await log.close()


async def test_a_member_outlives_a_restart_of_its_connections(
    log: PostgresLog, sql: asyncpg.Connection
) -> None:
    """The reader is told, tries again, and nothing is lost or read twice."""
    await log.append("t", messages(0, 5))
    async with log.subscribe("t", "g") as subscription:
        first = await collect(subscription, 5)
        await sql.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        read = list(first)
        async with asyncio.timeout(15):
            while len(read) < 10:
                try:
                    if len(read) == 5 and (await log.bounds("t"))[0].high == 5:
                        await log.append("t", messages(0, 5, first=5))
                    batch = await subscription.batch(10, 0.5)
                except Unreachable:
                    continue
                if batch is not None:
                    read.extend(batch.records)
        assert [record.offset for record in read] == list(range(10))

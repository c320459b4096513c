"""The runs: lanes, intake alone, replay, and a bare consumer loop to compare with."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from tests.bench.measured import Measured
from tests.bench.slow_hris import SlowHris
from tests.bench.sync_parts import DEAD_LETTERS, OUTCOMES, Clock, Parts, prepare, running
from tests.bench.traffic import ORG, Traffic, publish

from timeoff.embedded.kafka import KafkaBroker
from timeoff.embedded.postgres import PostgresServer
from timeoff.eventlog import EventLog, TopicSpec, open_log
from timeoff.ledger import Ledger
from timeoff.ledger.deployment import Deployment
from timeoff.settings.model import KafkaSettings, LogSettings

PARTITIONS = 4
#: A run that takes longer is broken.
PATIENCE = 300.0
Progress = Callable[[int], None]


@dataclass
class Stage:
    """The servers that all runs share; every run has a database and a topic of its own."""

    postgres: PostgresServer
    broker: KafkaBroker
    log: EventLog

    @asynccontextmanager
    async def ledger(self) -> AsyncIterator[Ledger]:
        name = f"bench_{uuid.uuid4().hex[:8]}"
        await self.postgres.create_database(name)
        ledger = await Ledger.open(self.postgres.url(name), org=ORG, holder=name)
        try:
            yield ledger
        finally:
            await ledger.close()
            await self.postgres.drop_database(name)

    async def topic(self) -> str:
        name = f"bench.{uuid.uuid4().hex[:8]}"
        await self.log.ensure_topics([TopicSpec(name, PARTITIONS)], create=True)
        return name


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with PostgresServer(durable=True) as postgres, KafkaBroker() as broker:
        settings = LogSettings(kind="kafka", kafka=KafkaSettings(bootstrap_servers=broker.bootstrap_servers))
        log = await open_log(settings, database_url=None)
        try:
            await log.ensure_topics(
                [TopicSpec(OUTCOMES, PARTITIONS), TopicSpec(DEAD_LETTERS, 1)], create=True
            )
            yield Stage(postgres, broker, log)
        finally:
            await log.close()


async def lanes(
    on: Stage, traffic: Traffic, latency_ms: int, progress: Progress, *, replays: int = 0
) -> list[Measured]:
    """From the log to the outcome of every change; then, if asked for, the same events again and again."""
    async with on.ledger() as ledger:
        topic = await on.topic()
        deployment = await prepare(ledger, traffic)
        await publish(on.log, topic, traffic, lambda _: None)
        hris = SlowHris(latency_ms / 1000, traffic.requests, progress)
        async with running(
            ledger,
            on.log,
            deployment,
            hris,
            topic=topic,
            group="first",
            lanes=traffic.employees,
            database_pid=on.postgres.pid,
        ) as parts:
            await _until(hris.complete.wait(), parts)
            await _until(_settled(ledger, traffic.requests), parts)
            spent = parts.spent()
        wrong = []
        if hris.disorder:
            wrong.append(f"{hris.disorder} calls out of order")
        if hris.calls != traffic.requests:
            wrong.append(f"{hris.calls} calls for {traffic.requests} changes")
        done = _measured(
            "lanes",
            traffic.requests,
            [spent],
            latency_ms=latency_ms,
            lanes=traffic.employees,
            calls=hris.calls,
            wrong=tuple(wrong),
        )
        if not replays:
            return [done]
        return [done, await _replay(on, ledger, deployment, traffic, topic, replays)]


async def _replay(
    on: Stage, ledger: Ledger, deployment: Deployment, traffic: Traffic, topic: str, times: int
) -> Measured:
    """Events that were applied already, read by new groups: no call may follow."""
    hris = SlowHris(0.0, 1, lambda _: None)
    spent = []
    for number in range(times):
        async with running(
            ledger,
            on.log,
            deployment,
            hris,
            topic=topic,
            group=f"again-{number}",
            lanes=traffic.employees,
            database_pid=on.postgres.pid,
        ) as parts:
            await _until(_taken_in(parts, traffic.requests), parts)
            spent.append(parts.spent())
    events = traffic.requests * times
    wrong = (f"{hris.calls} calls to the HRIS",) if hris.calls else ()
    return _measured("replay of applied events", events, spent, calls=hris.calls, wrong=wrong)


async def intake(on: Stage, traffic: Traffic) -> Measured:
    """Intake alone, without workers: new requests into the ledger."""
    async with on.ledger() as ledger:
        topic = await on.topic()
        deployment = await prepare(ledger, traffic)
        await publish(on.log, topic, traffic, lambda _: None)
        async with running(
            ledger,
            on.log,
            deployment,
            SlowHris(0.0, 1, lambda _: None),
            topic=topic,
            group="first",
            lanes=1,
            database_pid=on.postgres.pid,
            with_workers=False,
        ) as parts:
            await _until(_taken_in(parts, traffic.requests), parts)
            spent = parts.spent()
        return _measured("intake alone", traffic.requests, [spent])


async def bare(on: Stage, traffic: Traffic, latency_ms: int) -> Measured:
    """What a consumer written in an hour does: one record, the call, the commit, the next."""
    topic = await on.topic()
    await publish(on.log, topic, traffic, lambda _: None)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=on.broker.bootstrap_servers,
        group_id=topic,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        await consumer.getone()
        began, began_cpu = time.perf_counter(), time.process_time()
        for _ in range(traffic.requests - 1):
            await consumer.getone()
            await asyncio.sleep(latency_ms / 1000)
            await consumer.commit()
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    finally:
        await consumer.stop()
    changes = traffic.requests - 1
    return Measured(
        "bare aiokafka loop",
        changes,
        seconds,
        cpu / changes * 1000,
        latency_ms=latency_ms,
        lanes=traffic.employees,
    )


def _measured(name: str, changes: int, spent: Sequence[Clock], **more: Any) -> Measured:
    database = [clock.database for clock in spent if clock.database is not None]
    return Measured(
        name,
        changes,
        sum(clock.wall for clock in spent),
        sum(clock.own for clock in spent) / changes * 1000,
        sum(database) / changes * 1000 if database else None,
        **more,
    )


async def _until(done: object, parts: Parts) -> None:
    """Wait for something, but not past the failure of a part."""
    waiting = asyncio.ensure_future(done)  # type: ignore[call-overload]
    async with asyncio.timeout(PATIENCE):
        await asyncio.wait({waiting, *parts.tasks}, return_when=asyncio.FIRST_COMPLETED)
    parts.check()
    await waiting


async def _settled(ledger: Ledger, requests: int) -> None:
    while await ledger.pool.fetchval("SELECT count(*) FROM requests WHERE state = 'settled'") < requests:
        await asyncio.sleep(0.005)


async def _taken_in(parts: Parts, records: int) -> None:
    store = parts.store
    while (
        await parts.ledger.pool.fetchval(
            "SELECT coalesce(sum(next_offset), 0) FROM log_offsets WHERE log_group = $1", store.group
        )
        < records
    ):
        await asyncio.sleep(0.005)

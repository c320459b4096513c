"""The Kafka log against a real broker."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from tests.support.kafka import Broker

from timeoff.embedded.kafka import KafkaBroker
from timeoff.errors import LogError, Unreachable
from timeoff.eventlog.kafka import KafkaLog
from timeoff.eventlog.port import EventLog, LogRecord, Message, TopicSpec
from timeoff.settings.model import KafkaSettings
from timeoff.testing.eventlog_suite import PARTITIONS, EventLogSuite, OpenLog, collect, until_owned


def settings(servers: str, **more: object) -> KafkaSettings:
    # Six seconds are the least that a broker accepts by default (group.min.session.timeout.ms).
    return KafkaSettings.model_validate(
        {"bootstrap_servers": servers, "session_timeout": 6.0, "request_timeout": 10.0, **more}
    )


class TestKafkaLog(EventLogSuite):
    @pytest.fixture
    def open_log(self, kafka_broker: Broker) -> OpenLog:
        async def open_() -> EventLog:
            return await KafkaLog.open(settings(kafka_broker.bootstrap_servers))

        return open_


@pytest.fixture
async def log(kafka_broker: Broker) -> AsyncIterator[KafkaLog]:
    log = await KafkaLog.open(settings(kafka_broker.bootstrap_servers))
    yield log
    await log.close()


async def everything(log: EventLog, topic: str) -> list[LogRecord]:
    held = await log.bounds(topic)
    first = {p: bounds.low for p, bounds in held.items()}
    last = {p: bounds.high for p, bounds in held.items()}
    return [record async for record in log.read(topic, first, last)]


async def test_a_killed_broker_loses_nothing_that_was_acknowledged(own_kafka_broker: KafkaBroker) -> None:
    """The broker dies under an appender and comes back; appender and reader go on by themselves."""
    log = await KafkaLog.open(settings(own_kafka_broker.bootstrap_servers, request_timeout=30.0))
    await log.ensure_topics([TopicSpec("t", PARTITIONS)], create=True)
    acknowledged: list[tuple[str, bytes]] = []
    enough, stop = asyncio.Event(), asyncio.Event()

    async def appender() -> None:
        nr = 0
        while not stop.is_set():
            batch = [Message(f"agent-{nr % 7}", f"{nr + part}".encode()) for part in range(10)]
            await log.append("t", batch)
            acknowledged.extend((message.key, message.value) for message in batch)
            nr += 10
            if nr > 1000:
                enough.set()
            if nr % 1000 == 0:
                await asyncio.sleep(0)

    async with log.subscribe("t", "g") as subscription:
        await until_owned(subscription, PARTITIONS)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(appender())
            await asyncio.wait_for(enough.wait(), 20)
            await own_kafka_broker.kill()
            before = len(acknowledged)
            await own_kafka_broker.start()
            async with asyncio.timeout(25):
                while len(acknowledged) < before + 500:
                    await asyncio.sleep(0.05)
            stop.set()
        read = await collect(subscription, len(acknowledged), within=25)
    seen = {(record.key or "", record.value) for record in read}
    assert len(read) == len(seen), "doubled"
    assert not set(acknowledged) - seen
    for key in {key for key, _ in acknowledged}:
        values = [int(r.value) for r in read if r.key == key]
        assert values == sorted(values)
    await log.close()


async def test_an_append_that_failed_does_not_come_late(own_kafka_broker: KafkaBroker) -> None:
    """A producer left alone would repeat the failed batch for ever, and write it after newer ones."""
    log = await KafkaLog.open(settings(own_kafka_broker.bootstrap_servers, request_timeout=2.0))
    await log.ensure_topics([TopicSpec("t", 1)], create=True)
    await log.append("t", [Message("a", b"1")])
    await own_kafka_broker.kill()
    began = time.monotonic()
    for value in (b"2", b"3"):
        with pytest.raises(Unreachable):
            await log.append("t", [Message("a", value)])
    with pytest.raises(Unreachable):
        await log.ping()
    assert time.monotonic() - began < 10
    await own_kafka_broker.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await log.append("t", [Message("a", b"4")])
                break
            except Unreachable:
                continue
    # What the first producer still had would arrive with its next retry, a tenth of a second later.
    await asyncio.sleep(1.0)
    assert [record.value for record in await everything(log, "t")] == [b"1", b"4"]
    await log.close()


async def test_leaving_and_closing_do_not_hang_without_a_broker(own_kafka_broker: KafkaBroker) -> None:
    log = await KafkaLog.open(settings(own_kafka_broker.bootstrap_servers, request_timeout=3.0))
    await log.ensure_topics([TopicSpec("t", PARTITIONS)], create=True)
    async with log.subscribe("t", "g") as subscription, log.tail("t"):
        await until_owned(subscription, PARTITIONS)
        await own_kafka_broker.kill()
        assert await subscription.batch(10, 0.5) is None
        began = time.monotonic()
    await log.close()
    assert time.monotonic() - began < 15


async def test_a_refused_connection_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable) as refused:
        await KafkaLog.open(settings("127.0.0.1:1"))
    assert time.monotonic() - began < 5
    assert "127.0.0.1:1" in str(refused.value)
    assert "log.kafka.bootstrap_servers" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capsys.readouterr() == ("", "")


async def test_the_client_library_never_logs_what_it_sends(
    log: KafkaLog, kafka_broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its debug lines hold values, and values hold notes; a process at debug level must not show them."""
    root, lines = logging.getLogger(), logging.StreamHandler()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    try:
        topic = f"test.{uuid.uuid4().hex[:12]}"
        await log.ensure_topics([TopicSpec(topic, 1)], create=True)
        await log.append(topic, [Message("a", b"a-private-note")])
        assert len(await everything(log, topic)) == 1
    finally:
        root.setLevel(level)
        root.removeHandler(lines)
    shown = "".join(capsys.readouterr())
    assert "a-private-note" not in shown
    assert "aiokafka" not in shown


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            await KafkaLog.open(settings(f"127.0.0.1:{silent.getsockname()[1]}", request_timeout=1.0))
        assert time.monotonic() - began < 6


async def test_topics_are_never_compacted_and_keep_for_ever_unless_told(
    log: KafkaLog, kafka_broker: Broker
) -> None:
    names = [f"test.{uuid.uuid4().hex[:12]}" for _ in range(2)]
    await log.ensure_topics(
        [TopicSpec(names[0], 2), TopicSpec(names[1], 1, retention_hours=0.5)], create=True
    )
    async with log._admin() as admin:
        found = {}
        for name in names:
            (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
            found[name] = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert [found[name]["cleanup.policy"] for name in names] == ["delete", "delete"]
    assert [found[name]["retention.ms"] for name in names] == ["-1", "1800000"]


async def test_what_the_broker_refuses_to_create_is_named(log: KafkaLog) -> None:
    with pytest.raises(LogError) as refused:
        await log.ensure_topics([TopicSpec("test.three-copies", 1, replication_factor=3)], create=True)
    assert "test.three-copies" in str(refused.value)


async def test_a_foreign_record_without_key_or_value_is_read(log: KafkaLog) -> None:
    topic = f"test.{uuid.uuid4().hex[:12]}"
    await log.ensure_topics([TopicSpec(topic, 1)], create=True)
    producer = await log._current_producer()
    await producer.send_and_wait(topic, value=b"x")
    await producer.send_and_wait(topic, key=b"\xff", value=None)
    assert [(r.key, r.value) for r in await everything(log, topic)] == [(None, b"x"), ("�", b"")]

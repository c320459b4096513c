"""Which promises would break? That Kafka tests meet the real broker, that a crash of it loses nothing
acknowledged, that it ends with its owner, and that a run without Kafka says so."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError
from tests.support.kafka import Broker

from timeoff.embedded import kafka_jars
from timeoff.embedded.child import command_line
from timeoff.embedded.kafka import KafkaBroker, KafkaUnavailable
from timeoff.errors import Unreachable

PROJECT = Path(__file__).parents[2]


@asynccontextmanager
async def administration(broker: Broker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def new_topic(broker: Broker) -> str:
    name = f"embedded-{uuid.uuid4().hex[:8]}"
    async with administration(broker) as admin:
        await admin.create_topics([NewTopic(name, 1, 1)])
    return name


@asynccontextmanager
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    sender = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all", enable_idempotence=True)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()


async def read(broker: Broker, topic: str, group: str | None = None) -> list[int]:
    """All that the topic holds now."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap_servers, group_id=group, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        (partition,) = consumer.assignment() or {(await consumer.getone(), *consumer.assignment())[1]}
        await consumer.seek_to_beginning(partition)
        (end,) = (await consumer.end_offsets([partition])).values()
        numbers: list[int] = []
        while await consumer.position(partition) < end:
            batch = await consumer.getmany(partition, timeout_ms=1000)
            numbers += [int(record.value) for record in batch.get(partition, ())]
        return numbers
    finally:
        await consumer.stop()


async def test_what_is_sent_is_read_in_order_by_a_group(kafka_broker: Broker) -> None:
    topic = await new_topic(kafka_broker)
    async with producer(kafka_broker) as sender:
        for number in range(10):
            await sender.send_and_wait(topic, b"%d" % number)
    assert await read(kafka_broker, topic, group=topic) == list(range(10))


async def test_a_topic_that_nobody_created_does_not_come_into_being(kafka_broker: Broker) -> None:
    name = f"misspelt-{uuid.uuid4().hex[:8]}"
    sender = AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap_servers, request_timeout_ms=1000)
    await sender.start()
    try:
        with pytest.raises(UnknownTopicOrPartitionError):
            await sender.send_and_wait(name, b"1")
    finally:
        await sender.stop()
    async with administration(kafka_broker) as admin:
        assert name not in await admin.list_topics()


async def test_the_group_offsets_lie_on_few_partitions(kafka_broker: Broker) -> None:
    """Fifty, the default, cost seconds at the first join and after each restart."""
    if not isinstance(kafka_broker, KafkaBroker):
        pytest.skip("about the broker of our own")
    topic = await new_topic(kafka_broker)
    async with producer(kafka_broker) as sender:
        await sender.send_and_wait(topic, b"1")
    await read(kafka_broker, topic, group=topic)
    async with administration(kafka_broker) as admin:
        (described,) = await admin.describe_topics(["__consumer_offsets"])
    assert len(described["partitions"]) == 5


async def test_a_killed_broker_comes_back_with_its_data_and_its_address(
    own_kafka_broker: KafkaBroker,
) -> None:
    """A producer that was sending all the time goes on by itself; nothing acknowledged is lost or doubled."""
    topic = await new_topic(own_kafka_broker)
    address = own_kafka_broker.bootstrap_servers
    acknowledged: list[int] = []
    down = asyncio.Event()

    async def feed() -> None:
        while not (down.is_set() and len(acknowledged) >= target):
            await sender.send_and_wait(topic, b"%d" % len(acknowledged))
            acknowledged.append(len(acknowledged))

    target = 0
    async with producer(own_kafka_broker) as sender:
        await sender.send_and_wait(topic, b"0")
        acknowledged.append(0)
        feeding = asyncio.create_task(feed())
        await own_kafka_broker.kill()
        assert not own_kafka_broker.running
        await own_kafka_broker.start()
        target = len(acknowledged) + 20
        down.set()
        await feeding
    assert own_kafka_broker.bootstrap_servers == address
    assert await read(own_kafka_broker, topic) == acknowledged


async def test_two_owners_do_not_fight_over_one_folder_and_a_stopped_one_leaves_nothing_running(
    own_kafka_broker: KafkaBroker,
) -> None:
    with pytest.raises(Unreachable, match=f"in use by process {os.getpid()}"):
        await KafkaBroker(own_kafka_broker.folder).start()
    assert own_kafka_broker.running
    folder, pid = own_kafka_broker.folder, own_kafka_broker.pid
    await own_kafka_broker.stop()
    assert command_line(pid) is None
    assert not folder.exists()


OWNER = """
import asyncio, sys
from pathlib import Path
from timeoff.embedded.kafka import KafkaBroker

async def main():
    broker = KafkaBroker(Path(sys.argv[1]))
    await broker.start()
    print(broker.pid, broker.bootstrap_servers, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class At:
    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers


@pytest.mark.kafka
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_broker_ends_when_its_owner_is_killed_and_the_next_owner_has_its_data(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        pid, address = owner.stdout.readline().split()
        topic = await new_topic(At(address))
        async with producer(At(address)) as sender:
            await sender.send_and_wait(topic, b"7")
        owner.kill()
    while command_line(int(pid)) is not None:
        await asyncio.sleep(0.02)
    async with KafkaBroker(tmp_path) as broker:
        assert await read(broker, topic) == [7]


@pytest.mark.kafka
async def test_a_broker_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Unreachable) as caught:
        await KafkaBroker(tmp_path, jvm=("-XX:NoSuchOption",)).start()
    assert "\n" not in str(caught.value)
    assert "NoSuchOption" in str(caught.value)


def program(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with the shell's own programs only, and a Java that answers for its version."""
    programs = tmp_path / "programs"
    program(programs, "java", """echo 'openjdk version "17.0.9"' >&2""")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return programs


def test_without_java_the_reason_is_named(bare: Path, tmp_path: Path) -> None:
    (bare / "java").unlink()
    with pytest.raises(KafkaUnavailable, match="needs Java"):
        kafka_jars.ensure(tmp_path / "cache")


def test_a_java_that_is_too_old_is_named(bare: Path, tmp_path: Path) -> None:
    program(bare, "java", """echo 'openjdk version "11.0.2"' >&2""")
    with pytest.raises(KafkaUnavailable, match=r"Java 17 or newer; .* is 11"):
        kafka_jars.ensure(tmp_path / "cache")


def test_without_maven_the_reason_is_named(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(KafkaUnavailable, match="Maven"):
        kafka_jars.ensure(tmp_path / "cache")


def test_a_failed_fetch_leaves_nothing_that_looks_complete(bare: Path, tmp_path: Path) -> None:
    program(bare, "mvn", "echo '[ERROR] no route'; exit 1")
    for _ in range(2):
        with pytest.raises(KafkaUnavailable, match="no route"):
            kafka_jars.ensure(tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("libs"))


def _ensure(cache: Path) -> None:
    kafka_jars.ensure(cache)


def test_two_processes_fetch_once_and_jars_in_the_cache_need_no_maven(bare: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    program(
        bare,
        "mvn",
        f"""echo called >> {calls}
        for argument; do case $argument in -DoutputDirectory=*) out=${{argument#*=}};; esac; done
        {shutil.which("sleep", path="/usr/bin:/bin")} 0.3
        {shutil.which("mkdir", path="/usr/bin:/bin")} -p $out && : > $out/kafka_2.13-4.3.1.jar""",
    )
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=_ensure, args=(tmp_path / "cache",)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
        assert process.exitcode == 0
    assert calls.read_text() == "called\n"
    (bare / "mvn").unlink()
    assert [jar.name for jar in kafka_jars.ensure(tmp_path / "cache").jars] == ["kafka_2.13-4.3.1.jar"]


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_run_without_kafka_ends_with_a_loud_line_and_fails_in_ci(bare: Path, ci: str, status: int) -> None:
    (bare / "java").unlink()
    environment = {"PATH": str(bare), "CI": ci, "PYTHONDONTWRITEBYTECODE": "1"}
    this = f"{__file__}::{test_a_topic_that_nobody_created_does_not_come_into_being.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", this],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 skipped" in done.stdout
    assert "Kafka tests: NOT RUN (Kafka needs Java" in done.stdout
    assert "openjdk-17-jre-headless" in done.stdout
    assert done.returncode == status

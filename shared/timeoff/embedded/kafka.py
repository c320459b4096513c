"""A real Apache Kafka broker beside this process: one node, loopback, for the demo, tests and benchmarks.

    async with KafkaBroker() as broker:
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers)

The folder holds `data`, `server.properties`, `broker.log`, `broker.pid` and `lock`. Topics are never
created by accident. Not for production: nothing is replicated and nothing is secured.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import re
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from timeoff.embedded import kafka_jars
from timeoff.embedded.child import Child, end_orphan, free_port, last_words, port_is_free
from timeoff.embedded.folder import make_temporary
from timeoff.embedded.kafka_jars import HOW_TO_GET_IT, KafkaRuntime, KafkaUnavailable
from timeoff.embedded.server import OwnedServer
from timeoff.errors import Unreachable

_START_WITHIN: Final = 50.0

#: The second tier of the compiler costs more than it gives in a broker that lives for minutes.
_JVM: Final = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_JVM_ALWAYS: Final = ("-Djava.awt.headless=true", "-XX:-UsePerfData")


class KafkaBroker(OwnedServer):
    """An owned broker on free loopback ports, bound to no event loop. It ends with this process.

    `work_dir` None: a temporary folder, removed on stop. `cache`: where the jars are kept, see
    `kafka_jars`. `jvm` replaces memory, collector and compiler options, e.g. for a benchmark.
    `start` raises `KafkaUnavailable` where no broker can be had, else `Unreachable`.
    """

    title = "embedded Kafka"
    stop_signals = ((signal.SIGTERM, 20.0),)

    def __init__(
        self, work_dir: Path | None = None, *, cache: Path | None = None, jvm: Sequence[str] = _JVM
    ) -> None:
        super().__init__(work_dir)
        self._cache = cache
        self._jvm = tuple(jvm)
        self._ports: tuple[int, int] | None = None
        self._new_archive: tuple[Path, Path] | None = None

    @property
    def bootstrap_servers(self) -> str:
        if self._ports is None:
            raise Unreachable("the embedded Kafka is not started")
        return f"127.0.0.1:{self._ports[0]}"

    async def start(self) -> None:
        """Returns when the broker answers. After `kill` or `stop`: same ports; after `kill`, and where
        `work_dir` was given, same data."""
        if self.running:
            return
        runtime = await asyncio.to_thread(kafka_jars.ensure, self._cache)
        if self._folder is None:
            self._folder = self._given_folder or make_temporary("timeoff-kafka-")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unreachable(f"cannot make {self._folder} for Kafka: {error.strerror}") from None
        try:
            self._take_lock(self._folder)
            await self._end_orphan()
            await self._launch(runtime)
        except BaseException:
            await self.stop()
            raise

    async def _end_orphan(self) -> None:
        pid_file = self.folder / "broker.pid"
        try:
            pid = int(pid_file.read_text())
        except (OSError, ValueError):
            return
        if not await end_orphan(pid, str(self.folder / "server.properties"), *self.stop_signals):
            raise Unreachable(
                f"another Kafka (process {pid}) uses {self.folder} and does not stop: stop it first"
            )
        pid_file.unlink(missing_ok=True)

    async def _launch(self, runtime: KafkaRuntime) -> None:
        log = self.folder / "broker.log"
        keeps_ports = self._ports is not None  # clients know them
        for _ in range(4):
            if self._ports is None:
                self._ports = (free_port(), free_port())
            properties = self._write_properties(*self._ports)
            await self._format(runtime, properties, log)
            size = log.stat().st_size
            self._child = self._java(runtime, "kafka.Kafka", properties, log=log, may_archive=True)
            (self.folder / "broker.pid").write_text(str(self._child.pid))
            if await self._ready(self._child):
                return
            said = log.read_bytes()[size:]
            if keeps_ports or (b"BindException" not in said and b"already in use" not in said):
                break
            self._ports = None
        raise Unreachable(f"the embedded Kafka did not start: {last_words(log)} (all of it in {log})")

    def _write_properties(self, port: int, controller_port: int) -> Path:
        replaced = {
            "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "log.dirs": str(self.folder / "data"),
        }
        text = kafka_jars.recipe("server.properties")
        for key, value in replaced.items():
            line = f"{key}={value}"
            # As a function, since a path may hold what a replacement text would read as an escape.
            text, count = re.subn(
                rf"^{re.escape(key)}=.*$", partial(_as_it_is, line), text, flags=re.MULTILINE
            )
            assert count == 1, key
        properties = self.folder / "server.properties"
        properties.write_text(text)
        (self.folder / "log4j2.properties").write_text(kafka_jars.recipe("log4j2.properties"))
        return properties

    async def _format(self, runtime: KafkaRuntime, properties: Path, log: Path) -> None:
        """Once per folder. The cluster id lives in the data from then on."""
        if (self.folder / "data" / "meta.properties").exists():
            return
        # What Kafka's own tool would print, without a second of JVM start: 16 bytes, base64url, unpadded.
        # An id must not begin with a dash, which would be read as an option.
        cluster_id = "-"
        while cluster_id.startswith("-"):
            cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        arguments = ("format", "-t", cluster_id, "-c", properties, "--ignore-formatted")
        child = self._java(runtime, "kafka.tools.StorageTool", *arguments, log=log)
        try:
            status = await child.wait(_START_WITHIN)
        except BaseException:
            await child.stop()
            raise
        if status != 0:
            await child.stop()
            raise Unreachable(f"Kafka could not format {self.folder / 'data'}: {last_words(log)} (see {log})")

    def _java(
        self, runtime: KafkaRuntime, main: str, *arguments: str | Path, log: Path, may_archive: bool = False
    ) -> Child:
        options = [*self._jvm, *_JVM_ALWAYS]
        if runtime.archive.exists():
            options += [f"-XX:SharedArchiveFile={runtime.archive}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
        elif may_archive and os.access(runtime.archive.parent, os.W_OK):
            building = runtime.archive.with_suffix(f".{os.getpid()}-{id(self)}")
            options += [f"-XX:ArchiveClassesAtExit={building}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off"]
            self._new_archive = (building, runtime.archive)
        options.append(f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}")
        return Child(
            [runtime.java, *options, "-cp", runtime.class_path, main, *arguments],
            log=log,
            death_signal=signal.SIGTERM,
            environment={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            cwd=self.folder,
        )

    def _stopped(self) -> None:
        """A JVM that stopped in order has written the classes it used: the next starts are quicker."""
        if self._new_archive is not None:
            building, archive = self._new_archive
            self._new_archive = None
            with contextlib.suppress(OSError):
                building.rename(archive)

    async def _ready(self, child: Child) -> bool:
        """True when the broker answers an admin call, False when it ended."""
        assert self._ports is not None
        clock = asyncio.get_running_loop().time
        deadline = clock() + _START_WITHIN
        while child.running:
            if not port_is_free(self._ports[0]) and await _answers(self.bootstrap_servers):
                return True
            if clock() > deadline:
                raise Unreachable(f"the embedded Kafka did not answer in {_START_WITHIN:.0f} s")
            await child.wait(0.05)
        return False


def _as_it_is(line: str, _: re.Match[str]) -> str:
    return line


async def _answers(bootstrap_servers: str) -> bool:
    with _quiet("aiokafka"):
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2000)
        try:
            await admin.start()
            await admin.list_topics()
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await admin.close()
    return True


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """A refused connection is what is expected while the broker starts; the client logs each as an error."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


__all__ = ["HOW_TO_GET_IT", "KafkaBroker", "KafkaUnavailable"]

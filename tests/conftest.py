"""Fixtures that every kind of test shares. Servers are started once for a run, on free loopback ports.

Session fixtures run outside of any test's event loop, so their servers serve tests of every loop scope.
They are stopped when the run ends, is interrupted or fails; if the run is killed, they end with it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support import kafka, postgres
from tests.support.postgres import run

from timeoff.embedded.kafka import KafkaBroker, KafkaUnavailable

_KAFKA_FIXTURES = frozenset({"kafka_broker", "own_kafka_broker"})


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.DatabaseServer]:
    """One server for the run; not durable. Give tests that stop it a server of their own."""
    external = postgres.external_server()
    if external is not None:
        yield external
        return
    server = postgres.owned_server()
    run(server.start())
    try:
        yield server
    finally:
        run(server.stop())


@pytest.fixture
def database_url(postgres_server: postgres.DatabaseServer) -> Iterator[str]:
    """Address of a new, empty database, dropped after the test whoever is still connected."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    run(postgres_server.create_database(name))
    try:
        yield postgres_server.url(name)
    finally:
        run(postgres_server.drop_database(name))


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[kafka.Broker]:
    """One real broker for the run, shared: use topics and groups of your own. Skips without Kafka."""
    external = kafka.external_broker()
    if external is not None:
        yield external
        return
    with running_broker() as broker:
        yield broker


@pytest.fixture
def own_kafka_broker() -> Iterator[KafkaBroker]:
    """A broker for one test, which may kill and restart it. Skips without Kafka."""
    with running_broker() as broker:
        yield broker


@contextmanager
def running_broker() -> Iterator[KafkaBroker]:
    kafka.skip_unless_available()
    broker = KafkaBroker()
    try:
        run(broker.start())
    except KafkaUnavailable as error:
        kafka.unavailable(error)
    try:
        yield broker
    finally:
        run(broker.stop())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _KAFKA_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.collectonly and any(map(kafka.needs_kafka, session.items)):
        own = any("own_kafka_broker" in getattr(item, "fixturenames", ()) for item in session.items)
        if own or kafka.external_broker() is None:
            kafka.fetch(session.config.pluginmanager.get_plugin("terminalreporter"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if kafka.needs_kafka(item) and kafka.external_broker() is None:
        kafka.skip_unless_available()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Where tests run in processes of their own, each of them tells this one whether it found Kafka."""
    kafka.note(getattr(node, "workeroutput", {}).get("kafka_not_run"))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["kafka_not_run"] = kafka.not_run()
    elif kafka.not_run() and os.environ.get("CI", "").lower() == "true":
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reason = kafka.not_run()
    if reason:
        terminalreporter.section("Kafka", red=True, bold=True)
        for line in kafka.summary(reason):
            terminalreporter.write_line(line, red=True, bold=True)

"""Kafka for tests: the real broker, our own or one that TIMEOFF_TEST_KAFKA (host:port) names.

Where no broker can be had, the tests that need one are skipped and the end of the run says so; under
CI=true that fails the run.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

import pytest

from timeoff.embedded import kafka_jars
from timeoff.embedded.kafka import HOW_TO_GET_IT, KafkaUnavailable

#: Why Kafka could not be had, once known.
_reason: str | None = None


class Broker(Protocol):
    @property
    def bootstrap_servers(self) -> str: ...


@dataclass(frozen=True)
class ExternalBroker:
    bootstrap_servers: str


def external_broker() -> ExternalBroker | None:
    address = os.environ.get("TIMEOFF_TEST_KAFKA")
    return ExternalBroker(address) if address else None


def needs_kafka(item: pytest.Item) -> bool:
    return item.get_closest_marker("kafka") is not None


def fetch(say: pytest.TerminalReporter | None) -> None:
    """Fetch the jars ahead of the tests, whose time limits do not allow for a download."""
    global _reason
    try:
        kafka_jars.ensure()
    except KafkaUnavailable as error:
        _reason = str(error)
        if say is not None:
            say.write_line(f"Kafka: {error}", yellow=True)


def skip_unless_available() -> None:
    if _reason is not None:
        pytest.skip(f"Kafka cannot be had: {_reason}")


def unavailable(error: KafkaUnavailable) -> None:
    """Remember and skip."""
    global _reason
    _reason = str(error)
    skip_unless_available()


def note(reason: str | None) -> None:
    """What another process of this run has found out."""
    global _reason
    _reason = _reason or reason


def not_run() -> str | None:
    return _reason


def summary(reason: str) -> list[str]:
    return [
        f"Kafka tests: NOT RUN ({reason})",
        f"To run them: {HOW_TO_GET_IT}; or name a running broker: TIMEOFF_TEST_KAFKA=host:port.",
    ]

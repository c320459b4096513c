"""Log lines: JSON with action and ids, never notes, secrets or the text of foreign exceptions."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from timeoff.errors import Unreachable
from timeoff.settings.model import LoggingSettings
from timeoff.telemetry import logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]):
    logs.configure(LoggingSettings(), "sync")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    return read


def test_a_line_is_json_with_the_four_keys_first_and_the_ids(lines) -> None:
    logs.get_logger(part="relay").info("relay.sent", request_id="r1", attempt=2)
    (line,) = lines()
    assert list(line)[:4] == ["timestamp", "level", "service", "action"]
    assert line["level"] == "info"
    assert line["service"] == "sync"
    assert line["action"] == "relay.sent"
    assert line["part"] == "relay"
    assert (line["request_id"], line["attempt"]) == ("r1", 2)


def test_lines_below_the_level_are_not_written(lines) -> None:
    logs.get_logger().debug("quiet")
    assert lines() == []


@pytest.mark.parametrize(
    "key", ["notes", "note", "Notes", "token", "access_token", "accessToken", "client_secret", "password"]
)
def test_forbidden_keys_are_dropped_at_any_depth(key: str, lines) -> None:
    logs.get_logger().info("x", kept=1, **{key: "flu"}, content={"a": [{key: "flu", "kept": 2}]})
    (line,) = lines()
    assert "flu" not in json.dumps(line)
    assert line["kept"] == 1
    assert line["content"] == {"a": [{"kept": 2}]}


@pytest.mark.parametrize("key", ["authorization", "connect_uri", "connectUri", "api_key"])
def test_credentials_are_dropped(key: str, lines) -> None:
    logs.get_logger().info("x", **{key: "wss://secret"})
    assert "secret" not in json.dumps(lines())


def test_a_foreign_exception_shows_its_class_and_places_but_not_its_text(lines) -> None:
    try:
        int("severe flu")
    except ValueError as error:
        logs.get_logger().error("x", exc_info=error)
        logs.get_logger().exception("y")
    for line in lines():
        assert "flu" not in json.dumps(line)
        assert line["error"] == "ValueError"
        assert line["where"][-1].startswith("test_logs.py:")


def test_an_error_of_ours_shows_its_reason(lines) -> None:
    logs.get_logger().error("x", exc_info=Unreachable("kafka at 127.0.0.1:1: refused"))
    assert lines()[0]["reason"] == "kafka at 127.0.0.1:1: refused"


def test_loggers_of_libraries_are_routed_from_warning_up(lines) -> None:
    logging.getLogger("aiokafka").info("chatter")
    logging.getLogger("aiokafka").warning("broker %s gone", 1)
    try:
        int("severe flu")
    except ValueError:
        logging.getLogger("asyncpg").exception("query failed")
    first, second = lines()
    assert (first["action"], first["logger"]) == ("library.message", "aiokafka")
    assert first["message"] == "broker 1 gone"
    assert first["level"] == "warning"
    assert second["error"] == "ValueError"
    assert "flu" not in json.dumps(second)


async def test_the_repr_of_a_failed_task_does_not_carry_its_text_into_the_log(lines) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {"message": "Task exception was never retrieved", "exception": ValueError("severe flu")}
    )
    logging.getLogger("asyncio").warning("Executing %r took long", ValueError("severe flu"))
    assert "flu" not in json.dumps(lines())


def test_a_cached_logger_follows_a_redirected_stderr(lines, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logs.get_logger()
    logger.info("one")
    assert len(lines()) == 1
    other = io.StringIO()
    monkeypatch.setattr(sys, "stderr", other)
    logger.info("two")
    assert "two" in other.getvalue()

"""Processes from start to end: SIGTERM drains, a crashed part ends the process, bad starts say why."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.kafka import Broker
from tests.support.processes import command, kafka_log, running_product, toml, until

from timeoff.embedded.child import free_port

pytestmark = pytest.mark.timeout(150)


async def test_sigterm_lets_a_running_call_finish_and_notes_its_outcome(
    tmp_path: Path, database_url: str
) -> None:
    """Would break: SIGTERM drains, so that a rolling upgrade leaves no doubt behind."""
    async with running_product(tmp_path, database_url) as product:
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        await product.fault("create", "slow", seconds=1.0)
        await product.approve(0)
        await until(product.entries, "the call to be on its way", sync)
        sync.send(signal.SIGTERM)
        listener.send(signal.SIGTERM)
        assert await sync.ended() == 0
        assert await listener.ended() == 0
        intents = await product.rows("SELECT outcome, holder FROM ledger.intents")
        assert [intent["outcome"] for intent in intents] == ["written"]
        assert f":{sync.pid}:" in intents[0]["holder"]
        assert await product.value("SELECT count(*) FROM ledger.entries WHERE live") == 1
        free = "SELECT count(*) FROM ledger.lanes WHERE leased_until IS NOT NULL"
        assert await product.value(free) == 0, "lanes are given back, not left to run out"


async def test_a_crashed_part_ends_the_process_with_its_reason(tmp_path: Path, database_url: str) -> None:
    """Would break: no part fails in silence; whoever runs the process sees why it ended."""
    async with running_product(tmp_path, database_url) as product:
        point = "intake.after-commit=raise"
        listener, sync = await product.start("listener", "sync", TIMEOFF_FAILPOINTS=point)
        await product.listening(listener)
        await product.approve(0)
        assert await sync.ended() == 1
        (failed,) = sync.lines("process.failed")
        assert failed["part"] == "intake"
        assert "FailpointReached" in json.dumps(failed)


@pytest.mark.parametrize("role", ["listener", "sync"])
async def test_an_unreachable_database_is_one_clear_line_and_exit_code_3(
    role: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: unreachable dependencies at start give one clear line and exit code 3."""
    async with running_product(tmp_path, database_url, live=False) as product:
        nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
        code, out, err = await command(product, role, TIMEOFF_DATABASE__URL=nowhere)
        assert code == 3, err
        (line,) = [each for each in (out + err).splitlines() if "process.failed" in each]
        assert "PostgreSQL cannot be reached" in line
        assert "Traceback" not in out + err


async def test_an_unreachable_kafka_is_one_clear_line_and_exit_code_3(
    tmp_path: Path, database_url: str
) -> None:
    """Would break: the same for the log."""
    log = kafka_log(f"127.0.0.1:{free_port()}", "none", request_timeout=3.0)
    async with running_product(tmp_path, database_url, log=log) as product:
        code, out, err = await command(product, "sync")
        assert code == 3, err
        (line,) = [each for each in (out + err).splitlines() if "process.failed" in each]
        assert "Kafka" in line
        assert "Traceback" not in out + err


async def test_wrong_settings_are_all_named_before_anything_connects(
    tmp_path: Path, database_url: str
) -> None:
    """Would break: every mistake at once, by key, exit code 2."""
    async with running_product(tmp_path, database_url, live=False) as product:
        wrong = {"sync": {"lanes": 0, "leese": 5}, "notes": "shout"}
        product.config.write_text(toml(wrong))
        code, _, err = await command(product, "sync")
        assert code == 2
        for key in ("sync.lanes", "sync.leese", "notes"):
            assert key in err, err
        connected = "SELECT count(*) FROM pg_namespace WHERE nspname = 'ledger'"
        assert await product.value(connected) == 0


@pytest.mark.kafka
async def test_listener_and_sync_run_against_kafka_with_settings_only(
    kafka_broker: Broker, tmp_path: Path, database_url: str
) -> None:
    """Would break: TOML and environment are all it takes, after one `go-live`; nothing is written before."""
    log = kafka_log(kafka_broker.bootstrap_servers, f"t{uuid4().hex[:10]}")
    async with running_product(tmp_path, database_url, log=log, live=False) as product:
        listener, _ = await product.start("listener", "sync")
        await product.listening(listener)
        request = await product.approve(0)
        planned = "SELECT count(*) > 0 FROM ledger.requests WHERE state = 'planned'"
        await product.until_true(planned, "the plan of shadow mode")
        assert await product.entries() == []

        code, out, err = await command(product, "go-live", "--yes")
        assert code == 0, err
        assert "Live" in out
        await product.until_settled(request)
        request = await product.change(request, minutes=[240], payableMinutes=[240])
        other = await product.approve(1)
        other = await product.change(other, status="CANCELED")
        await product.until_settled(request, other)
        await product.assert_exactly_once()

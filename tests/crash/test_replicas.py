"""Several sync replicas on one log: partitions move between them, leases are lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.kafka import Broker
from tests.support.processes import Json, Process, Product, kafka_log, running_product, until

pytestmark = pytest.mark.timeout(200)

AGENTS = 12
BY_HOLDER = "SELECT count(*) FROM ledger.intents WHERE holder LIKE $1 AND outcome IN ('written', 'found')"


@pytest.mark.kafka
async def test_partitions_move_between_replicas_on_kafka(
    kafka_broker: Broker, tmp_path: Path, database_url: str
) -> None:
    """Would break: one lane has one holder, whichever replica reads the partition."""
    await _two_replicas(
        tmp_path, database_url, kafka_log(kafka_broker.bootstrap_servers, f"t{uuid4().hex[:10]}")
    )


async def test_partitions_move_between_replicas_on_postgres(tmp_path: Path, database_url: str) -> None:
    """Would break: the same, on the embedded log."""
    await _two_replicas(tmp_path, database_url, {"kind": "postgres"})


async def _two_replicas(tmp_path: Path, database_url: str, log: Json) -> None:
    async with running_product(tmp_path, database_url, log=log, agents=AGENTS) as product:
        listener, first = await product.start("listener", "sync-a")
        await product.listening(listener)
        made: list[Json] = []
        enough = asyncio.Event()
        changing = asyncio.create_task(_changes(product, made, enough))
        try:
            await until(lambda: _booked(product, first, 5), "the first replica to book", first)
            (second,) = await product.start("sync-b")
            await until(lambda: _works(product, second), "the second replica to read and book", first, second)
            first.send(signal.SIGTERM)
            assert await first.ended() == 0
            left_at = len(made)
            await until(lambda: len(made) >= left_at + AGENTS, "more changes", second)
        finally:
            enough.set()
            await changing
        await product.until_settled(*made)

        await product.assert_exactly_once()
        assert len(await product.entries()) == len(made), "one record each, none ever made twice"
        for replica in (first, second):
            assert await product.value(BY_HOLDER, f"%:{replica.pid}:%") > 0, f"{replica.name} booked nothing"


async def _changes(product: Product, made: list[Json], enough: asyncio.Event) -> None:
    """New requests for all agents in turn, until told."""
    while not enough.is_set():
        made.append(await product.approve(len(made) % AGENTS, len(made) // AGENTS))
        await asyncio.sleep(0.02)  # a busy day, not a flood


async def _booked(product: Product, replica: Process, least: int) -> bool:
    return await product.value(BY_HOLDER, f"%:{replica.pid}:%") >= least


async def _works(product: Product, replica: Process) -> bool:
    """It reads partitions of its own and books."""
    read = await product.metric(replica, "timeoff_sync_observations_total")
    return read > 0 and await _booked(product, replica, 5)


@pytest.mark.parametrize("point", ["sync.after-intent", "sync.after-call"])
async def test_a_worker_that_slept_through_its_lease_writes_nothing_more(
    point: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: transitions are fenced, evidence is not; a call is only sent within the lease."""
    gate = tmp_path / "gate"
    async with running_product(tmp_path, database_url) as product:
        listener, slow = await product.start("listener", "sync-a", TIMEOFF_FAILPOINTS=f"{point}=wait:{gate}")
        await product.listening(listener)
        await product.approve(0)
        await until(lambda: gate.with_name("gate.reached").exists(), "the worker to reach the gate", slow)
        slow.send(signal.SIGSTOP)
        gate.touch()

        # The lane's lease runs out by itself here: nothing may help the fence along.
        (other,) = await product.start("sync-b")
        done = "SELECT count(*) > 0 FROM ledger.entries WHERE live"
        await product.until_true(done, "the other replica to book")
        assert len(await product.entries()) == 1
        slow.send(signal.SIGCONT)
        lost = "timeoff_sync_leases_lost_total"
        await until(lambda: product.metric(slow, lost), "the sleeper to learn that it lost its lease", slow)

        later = await product.approve(0, 1)
        await product.until_settled(later)
        await product.assert_exactly_once()
        assert len(await product.entries()) == 2
        assert await product.value(BY_HOLDER, f"%:{other.pid}:%") > 0 or point == "sync.after-call"
        if point == "sync.after-call":
            late = await product.value(
                "SELECT count(*) FROM ledger.evidence WHERE kind = 'answer' AND holder LIKE $1",
                f"%:{slow.pid}:%",
            )
            assert late >= 1, "what the HRIS answered to the sleeper is kept"

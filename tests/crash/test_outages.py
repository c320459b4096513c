"""What everything stands on goes away for a while and comes back: nobody has to do anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from tests.support.processes import Json, Product, kafka_log, running_product, until

from timeoff.embedded.kafka import KafkaBroker
from timeoff.embedded.postgres import PostgresServer

pytestmark = pytest.mark.timeout(200)


@pytest.mark.parametrize("end", [signal.SIGQUIT, signal.SIGINT], ids=["crash", "shutdown"])
async def test_postgres_that_goes_and_comes_back_costs_nothing(end: signal.Signals, tmp_path: Path) -> None:
    """Would break: ledger and log may go away; the processes wait loudly and go on by themselves."""
    async with PostgresServer(tmp_path / "data", durable=False) as server:
        await server.create_database("timeoff")
        async with running_product(tmp_path, server.url("timeoff")) as product:
            listener, sync = await product.start("listener", "sync")
            await product.listening(listener)
            made = await _busy(product, 0)
            os.kill(server.pid, end)
            await until(lambda: not server.running, "PostgreSQL to end")
            made += await _busy(product, 1)
            await server.start()
            made += await _busy(product, 2)
            await product.until_settled(*made)
            assert (listener.running, sync.running) == (True, True), "neither had to be started again"
            assert len(await product.entries()) == len(made)
            await product.assert_exactly_once()


@pytest.mark.kafka
async def test_a_kafka_broker_that_is_killed_and_comes_back_costs_nothing(
    own_kafka_broker: KafkaBroker, tmp_path: Path, database_url: str
) -> None:
    """Would break: the listener keeps what it accepted until the log takes it; the sync reads on."""
    log = kafka_log(own_kafka_broker.bootstrap_servers, f"t{uuid4().hex[:10]}", request_timeout=5.0)
    async with running_product(tmp_path, database_url, log=log) as product:
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        made = await _busy(product, 0)
        await own_kafka_broker.kill()
        made += await _busy(product, 1)
        await until(lambda: listener.lines("append.failed"), "the listener to say that it waits", listener)
        await own_kafka_broker.start()
        made += await _busy(product, 2)
        await product.until_settled(*made)
        assert (listener.running, sync.running) == (True, True), "neither had to be started again"
        assert len(await product.entries()) == len(made)
        await product.assert_exactly_once()


async def test_an_hris_that_is_away_is_tried_again_in_the_order_of_each_employee(
    tmp_path: Path, database_url: str
) -> None:
    """Would break: a refused connection is no doubt and no failure; order per employee is kept."""
    gate = Gate()
    async with contextlib.AsyncExitStack() as opened:
        url = await opened.enter_async_context(gate.serving())
        product = await opened.enter_async_context(running_product(tmp_path, database_url, hris_url=url))
        gate.target = urlsplit(product.sandbox.sandbox.url).port or 0
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        booked = await product.approve(0, 0)
        await product.until_settled(booked)

        await gate.close()
        booked = await product.change(booked, minutes=[240], payableMinutes=[240])
        others = [await product.approve(0, 1), await product.approve(1, 0)]
        retried = "SELECT count(*) = 3 FROM ledger.requests WHERE due_at IS NOT NULL AND attempts > 0"
        await product.until_true(retried, "all three to be tried, in vain, and again")
        booked = await product.change(booked, minutes=[120], payableMinutes=[120])
        assert sync.lines("write.failed"), "waiting has to be visible"
        assert await product.held() == {}

        await gate.open()
        await product.until_settled(booked, *others)
        await product.assert_exactly_once()
        amounts = sorted(each for entry in await product.entries() for each in entry["dates"].values())
        assert amounts == ["2.00", "8.00", "8.00", "8.00"], "a version that nobody needs is never written"


async def _busy(product: Product, day: int) -> list[Json]:
    """A request for each agent on one day."""
    return [await product.approve(agent, day) for agent in range(len(product.agents))]


class Gate:
    """A door before the HRIS: closed, it refuses connections as a host does on which nothing listens."""

    def __init__(self) -> None:
        self.target = 0
        self._port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        await self.open()
        try:
            yield f"http://127.0.0.1:{self._port}"
        finally:
            await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, inner_writer}
        try:
            await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        finally:
            for each in (writer, inner_writer):
                self._writers.discard(each)
                each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()

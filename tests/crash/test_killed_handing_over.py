"""kill -9 while a workflow hands something over: of the sync around its write, of the balance service that
waits, of both. The call repeated afterwards ends with the id of the one record.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.support.balance import WRITER, sha256
from tests.support.handed import order
from tests.support.processes import PATIENCE, Process, Product, future, running_product, until

pytestmark = pytest.mark.timeout(200)

NAMED = {"kind": "postgres", "member": "sync-0"}
FLOWS = {"sync": {"write_path": "flows"}}
Json = dict[str, Any]

TOKENS = f"""
[balance]
port = 0

[[balance.tokens]]
name = "genesys"
sha256 = "{sha256(WRITER)}"
access = "read-write"
"""


@asynccontextmanager
async def handing_over(folder: Path, database: str, **more: Any) -> AsyncIterator[Product]:
    async with running_product(folder, database, **more) as product:
        product.config.write_text(product.config.read_text() + TOKENS)
        yield product


async def call(service: Process, flow: str, inputs: Json) -> Json:
    """All outputs of a run. Raises `aiohttp.ClientError` when the service dies."""
    said = service.lines("balance.listening")
    assert said, service.tail(20)
    headers = {"Authorization": f"Bearer {WRITER}"}
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.post(f"{said[-1]['url']}/v1/flows/{flow}", json=inputs, headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        outputs: Json = await answer.json()
        return outputs


def leave(product: Product, agent: int, *days: int, **more: Any) -> Json:
    return order(str(product.agents[agent]["employeeId"]), *(future(day) for day in days), **more)


def id_of(outputs: Json) -> str:
    assert (outputs["Flow.statusCode"], outputs["Flow.status"]) == (200, "Complete"), outputs
    return str(outputs["Flow.timeOffRequestId"])


async def live(product: Product) -> list[str]:
    return [str(each["id"]) for each in await product.entries() if each["status"] == "approved"]


async def one_row(product: Product, request: Json) -> Json:
    """Once the request and what was handed over are one."""
    statement = (
        "SELECT count(*) = 1 AND bool_and(request_id = $1 AND handover_id IS NOT NULL) FROM ledger.requests"
    )
    await product.until_true(statement, "one row", request["id"])
    (row,) = await product.rows("SELECT * FROM ledger.requests")
    return row


async def handed(product: Product) -> None:
    await product.until_true(
        "SELECT count(*) > 0 FROM ledger.requests WHERE handed IS NOT NULL", "handed over"
    )


@pytest.mark.parametrize("point", ["sync.after-intent", "sync.after-call", "sync.before-outcome"])
async def test_a_sync_killed_while_a_call_waits(point: str, tmp_path: Path, database_url: str) -> None:
    """Would break: the call is a row before anything else, and whoever comes next settles the doubt of who
    died; the call that waited all the while is answered with the id of what was found or written.
    """
    async with handing_over(tmp_path, database_url, log=NAMED, **FLOWS) as product:
        (listener, balance) = await product.start("listener", "balance")
        (sync,) = await product.start("sync", TIMEOFF_FAILPOINTS=f"{point}=kill@1")
        await product.listening(listener)
        request = await product.approve(0)
        waiting = asyncio.create_task(call(balance, "insert-timeoff", leave(product, 0, 0)))
        assert await sync.ended() == -9
        committed = point != "sync.after-intent"
        assert len(await live(product)) == committed, "the kill struck where it was meant to"
        assert not waiting.done()

        await product.time_passes(sync)
        await product.start("sync")
        id = id_of(await asyncio.wait_for(waiting, PATIENCE))
        assert await live(product) == [id]
        again = await call(balance, "insert-timeoff", leave(product, 0, 0))
        assert id_of(again) == id
        await one_row(product, request)
        await product.assert_exactly_once()
        outcomes = await product.rows("SELECT outcome FROM ledger.intents ORDER BY created_at")
        expected = ["found"] if committed else ["not_written", "written"]
        assert [row["outcome"] for row in outcomes] == expected


async def test_a_sync_killed_while_an_update_waits(tmp_path: Path, database_url: str) -> None:
    """Would break: a change in doubt is found again, whatever the id that it was asked for with."""
    async with handing_over(tmp_path, database_url, log=NAMED, **FLOWS) as product:
        (sync, balance) = await product.start("sync", "balance")
        first = id_of(await call(balance, "insert-timeoff", leave(product, 0, 0)))
        await sync.kill()
        await product.time_passes(sync)
        (sync,) = await product.start("sync", TIMEOFF_FAILPOINTS="sync.after-call=kill@1")
        changed = leave(product, 0, 1, inputTimeOffRequestId=first)
        waiting = asyncio.create_task(call(balance, "update-timeoff", changed))
        assert await sync.ended() == -9
        await product.time_passes(sync)
        await product.start("sync")
        second = id_of(await asyncio.wait_for(waiting, PATIENCE))
        assert await live(product) == [second]
        assert id_of(await call(balance, "update-timeoff", changed)) == second
        (entry,) = [each for each in await product.entries() if each["status"] == "approved"]
        assert list(entry["dates"]) == [future(1)]


async def test_a_balance_service_killed_while_it_waits(tmp_path: Path, database_url: str) -> None:
    """Would break: what was handed over outlives the process that took it; Genesys, which saw no answer, is
    told what came of it; the call repeated elsewhere is the same booking.
    """
    async with handing_over(tmp_path, database_url, log=NAMED, **FLOWS) as product:
        (listener, sync, balance) = await product.start("listener", "sync", "balance")
        await product.listening(listener)
        request = await product.approve(0)
        seen = "SELECT state = 'not_ours' FROM ledger.requests WHERE request_id = $1"
        await product.until_true(seen, "the request to be left to its call", request["id"])
        await sync.kill()
        waiting = asyncio.create_task(call(balance, "insert-timeoff", leave(product, 0, 0)))
        await handed(product)
        await balance.kill()
        with pytest.raises(aiohttp.ClientError):
            await waiting
        assert await live(product) == []

        await product.time_passes(sync)
        await product.start("sync")
        await product.until_true("SELECT state = 'settled' FROM ledger.requests", "it to be booked")
        status = "/admin/genesys/requests/" + request["id"]
        assert (await product.sandbox.ok("GET", status))["integrationStatus"] is None, (
            "a call may still answer"
        )
        # As if the time of the call were over.
        await product.rows("UPDATE ledger.requests SET answer_until = now()")

        async def told() -> bool:
            shown = await product.sandbox.ok("GET", status)
            return bool(shown["integrationStatus"] == "AutomaticallyComplete")

        await until(told, "Genesys to be told", *product.services.values())
        (balance,) = await product.start("balance")
        answer = await call(balance, "insert-timeoff", leave(product, 0, 0))
        assert await live(product) == [id_of(answer)]
        await one_row(product, request)
        await product.assert_exactly_once()


async def test_a_reservation_outlives_who_took_it(tmp_path: Path, database_url: str) -> None:
    """Would break: on the event path the id is ours, stored before it is answered, and the same for ever."""
    async with handing_over(tmp_path, database_url, log=NAMED) as product:
        (listener, sync, balance) = await product.start("listener", "sync", "balance")
        await product.listening(listener)
        first = id_of(await call(balance, "insert-timeoff", leave(product, 0, 0, timeOffStatus="PENDING")))
        await balance.kill()
        await sync.kill()
        (balance,) = await product.start("balance-b")
        again = await call(balance, "insert-timeoff", leave(product, 0, 0, timeOffStatus="PENDING"))
        assert id_of(again) == first
        request = await product.approve(0)
        await product.time_passes(sync)
        await product.start("sync")
        await one_row(product, request)
        await product.until_settled(request)
        changed = leave(product, 0, 0, inputTimeOffRequestId=first)
        assert id_of(await call(balance, "update-timeoff", changed)) == first
        await product.assert_exactly_once()
        assert len(await product.entries()) == 1


async def test_two_of_each_and_one_of_each_dies(tmp_path: Path, database_url: str) -> None:
    """Would break: the same Insert on two replicas at once is one row, one write, one id, whoever is
    killed.
    """
    async with handing_over(tmp_path, database_url, **FLOWS) as product:
        (one, two) = await product.start("balance", "balance-b")
        (doomed,) = await product.start("sync", TIMEOFF_FAILPOINTS="sync.after-call=kill@1")
        dying = asyncio.create_task(call(one, "insert-timeoff", leave(product, 0, 0)))
        waiting = [asyncio.create_task(call(two, "insert-timeoff", leave(product, 0, 0))) for _ in range(3)]
        assert await doomed.ended() == -9
        await one.kill()
        with pytest.raises(aiohttp.ClientError):
            await dying
        await product.time_passes(doomed)
        await product.start("sync-b", "sync-c")
        ids = {id_of(answer) for answer in await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)}
        assert [*ids] == await live(product)
        assert await product.value("SELECT count(*) FROM ledger.requests") == 1
        assert len(await product.entries()) == 1

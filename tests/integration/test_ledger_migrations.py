"""Promises about the ledger's schema: whoever comes brings it up to date, once, and never backwards."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from tests.support.ledger import ORG, opened

from timeoff.errors import TimeoffError, Unreachable
from timeoff.ledger import Ledger
from timeoff.ledger.database import migrate


async def test_a_second_start_migrates_nothing_and_keeps_what_is_there(database_url: str) -> None:
    async with opened(database_url) as ledger:
        before = await ledger.deployment.read()
    async with opened(database_url) as ledger:
        assert await migrate(ledger.pool) == 0
        assert (await ledger.deployment.read()).deployment_id == before.deployment_id


async def test_replicas_that_start_together_share_one_schema_and_one_deployment(database_url: str) -> None:
    ledgers = await asyncio.gather(
        *(Ledger.open(database_url, org=ORG, holder=f"replica-{n}", pool_size=2) for n in range(6))
    )
    try:
        deployments = await asyncio.gather(*(ledger.deployment.ensure() for ledger in ledgers))
        assert len({deployment.deployment_id for deployment in deployments}) == 1
        applied = await ledgers[0].pool.fetch("SELECT number FROM migrations")
        assert len(applied) == len({row["number"] for row in applied}) >= 1
    finally:
        await asyncio.gather(*(ledger.close() for ledger in ledgers))


async def test_a_database_of_a_newer_release_is_refused_and_left_alone(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await ledger.pool.execute("INSERT INTO migrations (number, name) VALUES (9000, '9000_later.sql')")
        with pytest.raises(TimeoffError, match=r"newer release \(migration 9000\): upgrade"):
            await migrate(ledger.pool)
        assert await ledger.pool.fetchval("SELECT max(number) FROM migrations") == 9000


async def test_a_database_of_another_organisation_is_refused(database_url: str) -> None:
    async with opened(database_url):
        pass
    other = await Ledger.open(database_url, org="another", holder="x", pool_size=2)
    try:
        with pytest.raises(TimeoffError, match="belongs to org 'acme'"):
            await other.deployment.ensure()
    finally:
        await other.close()


async def test_a_server_that_is_not_there_is_unreachable_in_one_line() -> None:
    with pytest.raises(Unreachable, match=r"check database\.url") as failed:
        await Ledger.open("postgresql://postgres@127.0.0.1:1/none", org=ORG, holder="x")
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("table", ["evidence", "observations"])
@pytest.mark.parametrize("change", ["UPDATE {} SET recorded_at = now()", "DELETE FROM {}"])
async def test_what_was_learnt_cannot_be_changed_by_anybody(
    database_url: str, table: str, change: str
) -> None:
    async with opened(database_url) as ledger:
        await ledger.pool.execute(
            "INSERT INTO evidence (holder, kind, detail) VALUES ('one', 'answer', '{}');"
            "INSERT INTO observations (org, request_id, source, verdict, read_at, partition, log_offset)"
            " VALUES ('acme', 'r', 'stream', 'new', now(), 0, 0)"
        )
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            await ledger.pool.execute(change.format(table))
        assert await ledger.pool.fetchval(f"SELECT count(*) FROM {table}") == 1

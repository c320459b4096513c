"""kill -9 at the worst moments, and a start after it. Nothing is lost and nothing is done twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.processes import Product, running_product

pytestmark = pytest.mark.timeout(150)

#: As a supervisor of processes names them: who starts again under a name takes over from the dead at once.
NAMED = {"kind": "postgres", "member": "sync-0"}
LOOKS = "SELECT count(*) FROM ledger.evidence WHERE kind = 'look'"


@pytest.mark.parametrize("point", ["sync.after-intent", "sync.after-call", "sync.before-outcome"])
async def test_a_sync_killed_around_a_write_leaves_one_record(
    point: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: no write without an intent, and an intent without outcome is settled by looking."""
    async with running_product(tmp_path, database_url, log=NAMED) as product:
        listener, sync = await product.start("listener", "sync", TIMEOFF_FAILPOINTS=f"{point}=kill@1")
        await product.listening(listener)
        request = await product.approve(0)
        assert await sync.ended() == -9
        committed = 0 if point == "sync.after-intent" else 1
        assert len(await product.entries()) == committed, "the kill struck where it was meant to"
        assert await product.value("SELECT count(*) FROM ledger.intents WHERE settled_at IS NULL") == 1

        await product.time_passes(sync)
        await product.start("sync")
        other = await product.approve(1)
        await product.until_settled(request, other)

        await product.assert_exactly_once()
        assert len(await product.entries()) == 2
        outcomes = await product.rows(
            "SELECT outcome FROM ledger.intents JOIN ledger.requests USING (request_pk)"
            " WHERE request_id = $1 ORDER BY intents.created_at",
            request["id"],
        )
        if committed:
            assert [row["outcome"] for row in outcomes] == ["found"]
        else:
            assert [row["outcome"] for row in outcomes] == ["not_written", "written"]
            assert await product.value(LOOKS) >= 2, "a repeat needs two looks after deadline and read lag"


@pytest.mark.parametrize("point", ["intake.before-commit", "intake.after-commit", "relay.after-append"])
async def test_a_sync_killed_around_a_commit_neither_loses_nor_repeats(
    point: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: offsets move with the ledger's transaction; events leave at least once, with one id."""
    async with running_product(tmp_path, database_url, log=NAMED) as product:
        listener, sync = await product.start("listener", "sync", TIMEOFF_FAILPOINTS=f"{point}=kill@1")
        await product.listening(listener)
        requests = [await product.approve(agent) for agent in range(4)]
        assert await sync.ended() == -9

        await product.time_passes(sync)
        await product.start("sync")
        await product.until_settled(*requests)

        await product.assert_exactly_once()
        assert len(await product.entries()) == 4
        events = await _outcomes(product)
        assert set(events) == {request["id"] for request in requests}, "every applied change was told"
        assert all(len(ids) == 1 for ids in events.values()), "an event told twice has the same id"


@pytest.mark.parametrize("point", ["listener.before-append", "listener.after-append"])
async def test_a_listener_killed_around_an_append_loses_nothing(
    point: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: each start of the listener is a gap, and only a backfill closes it."""
    async with running_product(tmp_path, database_url, log=NAMED) as product:
        await product.start("sync")
        (listener,) = await product.start("listener", TIMEOFF_FAILPOINTS=f"{point}=kill@1")
        await product.listening(listener)
        seen = await product.approve(0)
        assert await listener.ended() == -9
        unseen = await product.approve(1)

        (again,) = await product.start("listener")
        await product.listening(again)
        await product.until_settled(seen, unseen)

        await product.assert_exactly_once()
        assert len(await product.entries()) == 2
        gaps = await product.rows("SELECT reason, closed_at FROM ledger.gaps ORDER BY gap_id")
        assert len(gaps) >= 2, gaps
        assert all(gap["closed_at"] for gap in gaps), gaps


async def _outcomes(product: Product) -> dict[str, set[str]]:
    """Event ids in the outcomes topic by request, read as any other consumer would."""
    from timeoff.eventlog import open_log
    from timeoff.settings.model import LogSettings

    event_log = await open_log(LogSettings(), database_url=product.database)
    found: dict[str, set[str]] = {}
    try:
        bounds = await event_log.bounds("timeoff.outcomes")
        first = {partition: bound.low for partition, bound in bounds.items()}
        last = {partition: bound.high for partition, bound in bounds.items()}
        async for record in event_log.read("timeoff.outcomes", first, last):
            headers = {name: value.decode() for name, value in dict(record.headers).items()}
            event_id = headers["ce_id"]
            found.setdefault(event_id.split("/")[0], set()).add(event_id)
    finally:
        await event_log.close()
    return found

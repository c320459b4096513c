"""Promises about taking records in: a batch counts once, whole, and one bad record stops nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from tests.support.cases import AT, MONDAY, content
from tests.support.ledger import (
    GROUP,
    ORG,
    TARGET,
    TOPIC,
    Feed,
    change,
    count,
    intake_of,
    link,
    opened,
    state_of,
)

from timeoff.errors import Fenced
from timeoff.eventlog.port import Batch, Bounds, LogRecord, Span
from timeoff.events import Observation, encode_observation
from timeoff.ledger import Ledger
from timeoff.ledger.intake import IntakeBatch, Observed, Outgoing
from timeoff.vocabulary import ObservationSource
from timeoff_sync.intake import Intake, IntakeNames
from timeoff_sync.protections import Protections


async def test_a_member_that_lost_its_partition_stores_nothing(database_url: str) -> None:
    """Two members read the same offsets: the second one's batch is refused as a whole."""
    async with opened(database_url) as ledger:
        store = intake_of(ledger)
        await store.store(IntakeBatch({0: Span(0, 5), 1: Span(0, 3)}, [change("r1", "a1")]))
        with pytest.raises(Fenced, match="requests/1"):
            await store.store(IntakeBatch({0: Span(5, 6), 1: Span(0, 3)}, [change("r2", "a1")]))
        assert await store.offsets([0, 1]) == {0: 5, 1: 3}
        assert await count(ledger, "requests") == 1


async def test_of_two_members_with_the_same_batch_one_counts(database_url: str) -> None:
    """Also when neither has ever stored an offset, so that there is no row to lock yet."""
    async with opened(database_url) as ledger:
        stores = [intake_of(ledger) for _ in range(6)]
        outgoing = [Outgoing("dead", "k", "t", "id", b"{}", {})]
        for start in (0, 5):
            results = await asyncio.gather(
                *(
                    store.store(IntakeBatch({0: Span(start, start + 5)}, outgoing=outgoing))
                    for store in stores
                ),
                return_exceptions=True,
            )
            fenced = [result for result in results if isinstance(result, Fenced)]
            assert [result for result in results if result is None] == [None]
            assert len(fenced) == 5
        assert await count(ledger, "outbox") == 2
        assert await stores[0].offsets([0]) == {0: 10}


async def test_a_batch_that_fails_in_its_last_part_leaves_nothing_behind(database_url: str) -> None:
    async with opened(database_url) as ledger:
        store = intake_of(ledger)
        bad = Outgoing("dead", "key with \x00", "t", "id", b"{}", {})
        with pytest.raises(asyncpg.DataError):
            await store.store(
                IntakeBatch(
                    {0: Span(0, 2)},
                    [change("r1", "a1")],
                    [Observed("r1", "stream", "new", None, AT, AT, content(), 0, 0)],
                    [bad],
                )
            )
        for table in ("requests", "observations", "outbox", "log_offsets"):
            assert await count(ledger, table) == 0, table


async def test_offsets_of_two_groups_do_not_meet(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await intake_of(ledger, "one").store(IntakeBatch({0: Span(0, 5)}))
        assert await intake_of(ledger, "two").offsets([0]) == {}
        await intake_of(ledger, "two").store(IntakeBatch({0: Span(0, 1)}))


async def test_a_change_opens_the_request_again_and_fences_a_decision_made_before(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        feed = Feed(ledger)
        await feed(change("r1", "a1"))
        before = await ledger.pool.fetchrow(
            "UPDATE requests SET state = 'settled', due_at = NULL RETURNING *"
        )
        assert before is not None
        await feed(change("r1", "a1", version=2))
        after = await ledger.pool.fetchrow("SELECT * FROM requests")
        assert after is not None
        assert (after["state"], after["version"]) == ("open", 2)
        assert after["due_at"] is not None
        assert after["revision"] > before["revision"]


async def test_a_new_request_of_a_linked_agent_finds_its_lane_at_once(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"), change("r2", "stranger"))
        rows = await ledger.pool.fetch("SELECT request_id, lane_id IS NOT NULL AS has FROM requests")
        assert {row["request_id"]: row["has"] for row in rows} == {"r1": True, "r2": False}


class OneBatch:
    """A log that holds one batch, for an intake that is to store it."""

    def __init__(self, records: list[LogRecord], start: int = 0) -> None:
        self._batch: Batch | None = Batch(tuple(records), {0: Span(start, start + len(records))})
        self.partitions = frozenset({0})
        self.committed: dict[int, int] = {}
        self.stop = asyncio.Event()

    @asynccontextmanager
    async def subscribe(self, *_: Any, **__: Any) -> AsyncIterator[OneBatch]:
        yield self

    async def batch(self, *_: Any) -> Batch | None:
        batch, self._batch = self._batch, None
        if batch is None:
            self.stop.set()
        return batch

    async def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed.update(offsets)

    async def bounds(self) -> Mapping[int, Bounds]:
        return {0: Bounds(0, 0)}

    async def pause(self, partition: int) -> None:
        raise AssertionError


def record(offset: int, request_id: str, zone: str = "Europe/Berlin") -> LogRecord:
    message = encode_observation(
        Observation(
            org=ORG,
            request_id=request_id,
            agent_id="a1",
            source=ObservationSource.BACKFILL,
            read_at=AT,
            modified_at=AT,
            version=1,
            zone=zone,
            content=content(),
        )
    )
    return LogRecord(TOPIC, 0, offset, AT, message.key, message.value, message.headers)


async def take_in(ledger: Ledger, records: list[LogRecord]) -> OneBatch:
    log = OneBatch(records)
    intake = Intake(
        log,  # type: ignore[arg-type]
        intake_of(ledger),
        IntakeNames(TOPIC, "dead", GROUP, None),
        asyncio.Event(),
        target_of={},
        default_target=TARGET,
        created_at=datetime.now(UTC),
        copy_notes=False,
        batch_size=100,
        protections=Protections(),
    )
    async with asyncio.timeout(30):
        await intake.run(log.stop)
    return log


@pytest.mark.parametrize("bad", [0, 3, 7, 15])
async def test_a_record_that_postgresql_refuses_costs_itself_only(database_url: str, bad: int) -> None:
    """Text that no table can hold passes every check before it: the batch is halved until it stands alone."""
    async with opened(database_url) as ledger:
        records = [record(n, f"r{n}", "bad\x00zone" if n == bad else "Europe/Berlin") for n in range(16)]
        log = await take_in(ledger, records)
        stored = {row["request_id"] for row in await ledger.pool.fetch("SELECT request_id FROM requests")}
        assert stored == {f"r{n}" for n in range(16) if n != bad}
        letters = await ledger.pool.fetch("SELECT event_id, data FROM outbox")
        assert [row["event_id"] for row in letters] == [f"{TOPIC}/0/{bad}"]
        assert b"refused" in letters[0]["data"]
        assert log.committed == {0: 16}
        assert await intake_of(ledger).offsets([0]) == {0: 16}


async def test_two_versions_of_a_request_in_one_batch_leave_the_newer(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1", MONDAY, version=7))
        assert await state_of(ledger, "r1") == "open"
        records = [record(n, "r2") for n in range(3)]
        await take_in_after(ledger, records)
        assert await count(ledger, "requests WHERE request_id = 'r2' AND version = 1") == 1
        assert await count(ledger, "observations WHERE request_id = 'r2'") == 1


async def take_in_after(ledger: Ledger, records: list[LogRecord]) -> None:
    """The feed above stands at offset 1."""
    await ledger.pool.execute("UPDATE log_offsets SET next_offset = 0")
    await take_in(ledger, records)

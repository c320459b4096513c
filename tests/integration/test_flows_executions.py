"""Runs of flows in the background: kept in PostgreSQL, answered by every replica, gone after their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from timeoff.hris.port import Employee, TimeOffType, Unit
from timeoff.ledger.deployment import DeploymentStore
from timeoff.ledger.handovers import Handovers
from timeoff.vocabulary import WritePath
from timeoff_balance.balances import Answer
from timeoff_balance.claims import ClaimRules
from timeoff_balance.database import open_pool, sql
from timeoff_balance.figures import TypeAsked
from timeoff_balance.flows import executions as module
from timeoff_balance.flows.booking import Booking
from timeoff_balance.flows.checking import Policy
from timeoff_balance.flows.contract import GET_AGENTS, GET_TIMEOFF_TYPES
from timeoff_balance.flows.executions import Execution, Executions, TooManyRunning
from timeoff_balance.flows.reading import Reading
from timeoff_balance.flows.running import Flows


@dataclass
class HeldDirectory:
    """Types that are told when the test lets them."""

    told: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "Open Time Off"

    async def listed_types(self, target: str, *, current: bool = False) -> Sequence[TimeOffType]:
        await self.told.wait()
        return [TimeOffType("83", self.name, Unit.HOURS)]

    async def employees(self, target: str, *, current: bool = False) -> Sequence[Employee]:
        raise RuntimeError("secret of the database")

    async def claim_rules(self, target: str) -> ClaimRules:
        return ClaimRules({}, {}, (), date(2025, 1, 1))


class NoBalances:
    async def answer(
        self,
        employee_id: str,
        dates: Sequence[date],
        types: Sequence[TypeAsked] | None,
        *,
        target: str | None = None,
        replaces: Collection[str] = (),
        within: float | None = None,
    ) -> Answer:
        raise NotImplementedError


@dataclass
class Bench:
    executions: Executions
    other: Executions
    directory: HeldDirectory
    pool: Any

    async def ended(self, id: str) -> Execution:
        async with asyncio.timeout(10):
            while True:
                execution = await self.executions.get(id)
                assert execution is not None
                if execution.completed_at is not None:
                    return execution
                await asyncio.sleep(0.01)


@asynccontextmanager
async def bench(database_url: str, *, limit: float = 55.0, kept: float = 3600.0) -> AsyncIterator[Bench]:
    pool = await open_pool(database_url, size=4)
    try:
        directory = HeldDirectory()
        booking = Booking(
            Handovers(pool, "org", "test"),
            DeploymentStore(pool, "org", "test"),
            NoBalances(),
            directory,
            {},
            lambda target, type_id: Policy(),
            default_path=WritePath.EVENTS,
            notes=False,
        )
        flows = Flows(Reading(NoBalances(), directory), booking, limit=limit)
        both = [Executions(pool, sql(), flows, kept=kept) for _ in range(2)]
        try:
            yield Bench(both[0], both[1], directory, pool)
        finally:
            directory.told.set()
            for each in both:
                await each.close(5.0)
    finally:
        await pool.close()


async def test_a_run_goes_on_until_it_has_ended_and_every_replica_tells(database_url: str) -> None:
    async with bench(database_url) as here:
        id = await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {})
        running = await here.other.get(id)
        assert running is not None
        assert (running.completed_at, running.outputs, running.lost) == (None, None, False)
        here.directory.told.set()
        ended = await here.ended(id)
        assert ended == await here.other.get(id.upper())
        assert ended.outputs is not None
        assert ended.outputs["Flow.names"] == ["Open Time Off"]
        assert ended.outputs["Flow.statusCode"] == "200"
        assert (ended.flow, ended.target, ended.name) == ("get-timeoff-types", "main", "try")
        assert ended.completed_at is not None
        assert ended.completed_at >= ended.launched_at


async def test_a_run_that_takes_too_long_ends_as_a_failure(database_url: str) -> None:
    async with bench(database_url, limit=0.05) as here:
        ended = await here.ended(await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {}))
        assert ended.outputs is not None
        assert ended.outputs["Flow.statusCode"] == "408"
        assert (ended.outputs["Flow.status"], ended.outputs["Flow.ids"]) == ("Error", [])


async def test_a_fault_of_ours_ends_as_a_failure_that_tells_no_secret(database_url: str) -> None:
    async with bench(database_url) as here:
        ended = await here.ended(await here.executions.launch(GET_AGENTS, "main", "try", {}))
        assert ended.outputs is not None
        assert (ended.outputs["Flow.statusCode"], ended.outputs["Flow.status"]) == ("500", "Error")
        assert ended.outputs["Flow.errorMsg"] == "internal error (RuntimeError)"


async def test_a_run_whose_process_is_gone_is_lost_when_its_time_is_over(database_url: str) -> None:
    async with bench(database_url) as here:
        id = await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {})
        await here.executions.close(0.0)
        running = await here.other.get(id)
        assert running is not None
        assert not running.lost
        await here.pool.execute("UPDATE executions SET ends_by = now() - interval '1 second'")
        lost = await here.other.get(id)
        assert lost is not None
        assert lost.lost
        assert lost.outputs is None


async def test_what_is_too_old_is_gone_at_once_and_removed_later(database_url: str) -> None:
    async with bench(database_url, kept=60.0) as here:
        here.directory.told.set()
        old, new = [await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {}) for _ in range(2)]
        for id in (old, new):
            await here.ended(id)
        await here.pool.execute(
            "UPDATE executions SET launched_at = launched_at - interval '61 seconds' WHERE id = $1", old
        )
        assert await here.executions.get(old) is None
        assert await here.pool.fetchval("SELECT count(*) FROM executions") == 2
        await here.executions.purge()
        assert await here.pool.fetchval("SELECT count(*) FROM executions") == 1
        assert await here.executions.get(new) is not None


async def test_only_so_many_run_at_a_time(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNNING", 2)
    async with bench(database_url) as here:
        ids = [await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {}) for _ in range(2)]
        with pytest.raises(TooManyRunning):
            await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {})
        here.directory.told.set()
        for id in ids:
            await here.ended(id)


async def test_what_runs_may_end_before_the_process_does(database_url: str) -> None:
    async with bench(database_url) as here:
        id = await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {})
        closing = asyncio.create_task(here.executions.close(10.0))
        here.directory.told.set()
        await closing
        ended = await here.other.get(id)
        assert ended is not None
        assert ended.outputs is not None


async def test_what_a_run_was_given_is_not_kept(database_url: str) -> None:
    """Notes may be medical."""
    async with bench(database_url) as here:
        here.directory.told.set()
        id = await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {"Flow.notes": "migraine"})
        await here.ended(id)
        assert "migraine" not in str(await here.pool.fetchval("SELECT executions::text FROM executions"))


@pytest.mark.parametrize("name", ["Zero\0width", "\ud83d", "naïve ✓"])
async def test_names_of_any_kind_survive(database_url: str, name: str) -> None:
    """An odd character in the HRIS must not leave a run without an end."""
    async with bench(database_url) as here:
        here.directory.name = name
        here.directory.told.set()
        ended = await here.ended(await here.executions.launch(GET_TIMEOFF_TYPES, "main", "try", {}))
        assert ended.outputs is not None
        assert ended.outputs["Flow.names"] == [name]


@pytest.mark.parametrize("id", ["", "1", "nonsense", "00000000-0000-4000-8000-000000000000"])
async def test_there_is_no_run_of_an_unknown_id(database_url: str, id: str) -> None:
    async with bench(database_url) as here:
        assert await here.executions.get(id) is None

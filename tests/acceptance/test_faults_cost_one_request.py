"""What one bad value, one bad unit or one faulty adapter costs: itself, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.acceptance.conftest import Launch
from tests.support.system import Agent, System, in_days

from timeoff.errors import GenesysForbidden, RetryLater
from timeoff.eventlog.port import Message
from timeoff.events import Observation, RequestContent, encode_observation
from timeoff.genesys.client import GenesysClient
from timeoff.hris.bamboohr.adapter import BambooHr
from timeoff.ledger.deployment import DeploymentStore, Granted
from timeoff.vocabulary import ObservationSource
from timeoff_sync import metrics


def seen(
    system: System,
    request_id: str,
    agent: Agent,
    *,
    day: str = "",
    status: str = "APPROVED",
    version: int = 1,
) -> Message:
    """A REST read of a request of one whole day."""
    now = datetime.now(UTC)
    return encode_observation(
        Observation(
            org=system.settings.org,
            request_id=request_id,
            agent_id=agent.agent_id,
            source=ObservationSource.BACKFILL,
            read_at=now,
            modified_at=now,
            version=version,
            management_unit_id=agent.unit_id,
            zone=agent.zone,
            content=RequestContent(
                status=status,
                activity_code_id="5",
                full_day=True,
                full_day_dates=(date.fromisoformat(day or in_days(14)),),
                duration_minutes=(480,),
                submitted_at=now,
            ),
        )
    )


def fails(error: Callable[[], Exception]) -> tuple[Any, asyncio.Event]:
    """A method that fails, and the event of its third call."""
    thrice, calls = asyncio.Event(), 0

    async def method(*_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= 3:
            thrice.set()
        raise error()

    return method, thrice


async def test_an_instant_before_all_time_costs_its_record(launch: Launch) -> None:
    async with launch(listen=False) as system:
        odd = seen(system, "odd", system.agents[0])
        value = json.loads(odd.value) | {"modified_at": "0001-01-01T00:00:00+14:00"}
        await system.append(replace(odd, value=json.dumps(value).encode()))
        await system.append(seen(system, "good", system.agents[1]))
        await system.state("good", "settled", "insert")
        assert await system.standing("odd") is None
        assert any("modified_at" in letter["reason"] for letter in await system.letters())


async def test_a_version_beyond_four_bytes_is_booked(launch: Launch) -> None:
    async with launch(listen=False) as system:
        await system.append(seen(system, "v", system.agents[0], version=2**40))
        await system.state("v", "settled", "insert")


async def test_the_last_month_there_is_ends_in_a_clear_outcome(launch: Launch) -> None:
    async with launch(listen=False) as system:
        await system.append(seen(system, "far", system.agents[0], day="9999-12-20", status="DENIED"))
        await system.state("far", "settled", "removed")


@pytest.mark.parametrize("seconds", [float("inf"), 1e15])
async def test_an_absurd_retry_after_costs_no_other_request(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    async with launch() as system:
        with monkeypatch.context() as patched:
            refused = asyncio.Event()

            async def refuse(*_: Any, **__: Any) -> Any:
                refused.set()
                raise RetryLater("later", retry_after=seconds)

            patched.setattr(BambooHr, "_put", refuse)
            delayed = await system.submit(system.agents[0], in_days(14))
            await refused.wait()
            await system.state(delayed, "waiting")
        other = await system.submit(system.agents[1], in_days(14))
        await system.state(other, "settled", "insert")


async def test_an_adapters_own_fault_in_a_search_leaves_the_doubt_open(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: whatever an adapter raises, sync goes on; the doubt is settled once the search works."""
    async with launch() as system:
        await system.fault("create", "commit_then_drop")
        with monkeypatch.context() as patched:
            asked = asyncio.Event()

            async def find(*_: Any, **__: Any) -> Any:
                asked.set()
                raise KeyError("an adapter's fault")

            patched.setattr(BambooHr, "find", find)
            doubtful = await system.submit(system.agents[0], in_days(14))
            await asked.wait()
            other = await system.submit(system.agents[1], in_days(14))
            await system.state(other, "settled", "insert")
        await system.state(doubtful, "settled")  # by the search, or in step when looked at once more
        assert len(await system.live_entries(doubtful)) == 1
        assert await system.writes() == ["create", "create"]


async def test_an_adapters_own_fault_in_a_listing_does_not_end_sync(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty, thrice = fails(lambda: KeyError("an adapter's fault"))
    with monkeypatch.context() as patched:
        # From the start: agents are looked up before their first request.
        patched.setattr(BambooHr, "list_employees", faulty)
        async with launch() as system:
            waits = await system.submit(system.agents[0], in_days(14))
            await thrice.wait()
            patched.undo()
            await system.state(waits, "settled", "insert")


async def test_marks_that_may_not_be_read_hold_nothing_up(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a permission that is missing in Genesys does not make a request wait for ever."""
    refuse, _ = fails(lambda: GenesysForbidden("403"))
    async with launch(listen=False) as system:
        monkeypatch.setattr(GenesysClient, "integration_statuses", refuse)
        before = metrics.UNREADABLE_MARKS._value.get()
        await system.append(seen(system, "old", system.agents[0]))  # not of the stream: looked at first
        await system.state("old", "settled", "insert")
        assert metrics.UNREADABLE_MARKS._value.get() == before + 1


async def test_a_unit_that_is_gone_does_not_stop_the_reports_of_others(launch: Launch) -> None:
    async with launch() as system:
        await system.stop_listeners()
        lost = replace(system.agents[0], unit_id="00000000-dead-4000-8000-000000000000")
        await system.append(seen(system, "lost", lost, status="WITHDRAWN"))
        await system.state("lost", "held", "unknown_status")  # to be reported
        await system.start_listener()
        other = await system.submit(system.agents[1], in_days(14))

        async def shown() -> bool:
            return await system.integration_status(other) == "AutomaticallyComplete"

        await system.until("the other unit's status", shown)


async def test_the_cancel_of_an_adopted_entry_comes_first(launch: Launch) -> None:
    """Promise: days that are booked and to be free again go before anything that is to be booked."""
    async with launch() as system:
        await system.stop_listeners()
        await system.booked_by_hand(system.agents[0], {in_days(14): "8"})
        adopted = await system.submit(system.agents[0], in_days(14))
        await system.start_listener()
        await system.state(adopted, "settled", "adopt")
        await system.stop_syncs()
        await system.change(adopted, status="CANCELED")
        await system.start_sync()
        await system.state(adopted, "settled", "cancel")
        assert await system.ledger.pool.fetchval("SELECT priority FROM ledger.requests") == 0


async def test_a_stop_ends_the_wait_for_a_paused_budget(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a pause of the HRIS costs no drain: lanes are given back, and the request stays due."""
    refused = asyncio.Event()
    lease_budget = DeploymentStore.lease_budget

    async def watched(store: DeploymentStore, name: str, *how: int) -> Granted:
        granted = await lease_budget(store, name, *how)
        if name == "hris.acme" and not granted.tokens and granted.pause > 60.0:
            refused.set()
        return granted

    monkeypatch.setattr(DeploymentStore, "lease_budget", watched)
    async with launch(runtime={"drain": 600.0}) as system:
        await system.submit(system.agents[0], in_days(10))
        await system.quiet()
        await system.ledger.deployment.pause_budget("hris.acme", 3600)
        for day in range(11, 59):  # until what was leased before the pause is spent, or no longer fresh
            if refused.is_set():
                break
            request = await system.submit(system.agents[0], in_days(day))
            await system.until("its end, or the pause", lambda: _booked_or(refused, system, request))  # noqa: B023
        waits = await system.submit(system.agents[0], in_days(59))
        leased = "SELECT count(*) FROM ledger.lanes WHERE leased_until > now()"
        waiting = (
            "SELECT count(*) FROM ledger.requests JOIN ledger.lanes USING (lane_id)"
            " WHERE request_id = $1 AND due_at IS NOT NULL AND leased_until > now()"
        )
        await system.until("the lane's wait", lambda: system.ledger.pool.fetchval(waiting, waits))
        await system.stop_listeners()
        await system.stop_syncs()
        assert await system.ledger.pool.fetchval(leased) == 0
        due = "SELECT due_at IS NOT NULL FROM ledger.requests WHERE request_id = $1"
        assert await system.ledger.pool.fetchval(due, waits)


async def _booked_or(refused: asyncio.Event, system: System, request: str) -> bool:
    standing = await system.standing(request)
    return refused.is_set() or (standing is not None and standing.state == "settled")


class Gauge:
    """Remembers what was shown, by partition."""

    def __init__(self) -> None:
        self.shown: dict[str, list[float]] = {}

    def labels(self, partition: str) -> Shown:
        return Shown(self.shown.setdefault(partition, []))


class Shown:
    def __init__(self, values: list[float]) -> None:
        self.set = values.append


async def test_the_lag_is_measured_under_load(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise: the gauge tells of a backlog while it is worked off, not only once it is gone."""
    gauge = Gauge()
    monkeypatch.setattr("timeoff_sync.intake.LAG_EVERY", 0.0)
    async with launch(listen=False, sync={"intake_batch": 1}) as system:
        await system.stop_syncs()
        await system.append(*(seen(system, f"r{n}", system.agents[0]) for n in range(20)))
        monkeypatch.setattr(metrics, "LAG", gauge)
        await system.start_sync()
        await system.until("all read", lambda: _read_all(gauge))
        (backlog,) = (values for values in gauge.shown.values() if max(values) > 0)
        assert set(range(1, 20)) <= set(backlog)


async def _read_all(gauge: Gauge) -> bool:
    return any(max(values) > 0 and values[-1] == 0 for values in gauge.shown.values())

"""Genesys runs the workflows by itself while the listener hears of the same requests: in every order, with
answers lost and calls doubled, one record results, on both write paths.

Genesys is the sandbox's, with its integration "WFM Time-off HRIS" turned on; the HRIS and Genesys' own books
are the judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.balance import WRITER, Desk, served
from tests.support.handed import (
    EVENTS,
    FLOWS,
    answers_within,
    booked_days,
    bound_rows,
    comes_to,
    left,
    live,
    part,
    rows,
    together,
)
from tests.support.native import INSERT, UPDATE, Native
from tests.support.system import DAY_OFF, VACATION, System, in_days, running_system

from timeoff_sync import lane_run, lane_writer

PATHS = pytest.mark.parametrize("path", [FLOWS, EVENTS], ids=["flows", "events"])
ORDERS = pytest.mark.parametrize("order", ["callFirst", "eventFirst", "together"])
WAYS = pytest.mark.parametrize("way", ["plain", "compatible"])


@pytest.fixture(autouse=True)
def quick_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call did not put on record is told to Genesys when its time is over."""
    answers_within(monkeypatch, 8.0)


@asynccontextmanager
async def integrated(
    database_url: str, folder: Path, *, native: Any = None, **more: Any
) -> AsyncIterator[tuple[System, Native, Desk]]:
    """Two syncs, one balance service, and Genesys calling it."""
    world = {"external_ids": 6}
    async with (
        running_system(database_url, folder, syncs=2, world=world, **more) as system,
        served(system.settings) as desk,
    ):
        integration = Native(system.admin)
        quick: dict[str, Any] = {"retrySeconds": [0.05, 0.1], "timeoutSeconds": 30, "leadSeconds": 0.2}
        await integration.turn_on(desk.url, WRITER, **quick, **(native or {}))
        yield system, integration, desk


async def wanted_days(system: System) -> list[str]:
    """The days of all approved requests as Genesys has them."""
    found = [each for each in await system.genesys_requests() if each["status"] == "APPROVED"]
    return sorted(on for each in found for on in each["dates"])


async def at_rest(system: System, native: Native) -> None:
    """No call is under way, nothing is left to do, and both sides say the same."""
    await native.settled()
    await system.quiet()
    assert await booked_days(system) == await wanted_days(system)


@PATHS
@ORDERS
@WAYS
async def test_the_life_of_a_request(
    path: Any, order: str, way: str, database_url: str, tmp_path: Path
) -> None:
    """Promise: asked for, approved, moved, cancelled and asked for again: the HRIS shows just that."""
    native: Any = {"order": order, "way": way}
    async with integrated(database_url, tmp_path, native=native, **path) as (system, integration, desk):
        agent = system.agents[0]
        full = await left(desk, agent)
        request = await system.submit(agent, in_days(20), in_days(21), status="PENDING")
        await integration.settled()
        await comes_to(system, desk, agent, full - 960)
        await system.change(request, status="APPROVED")
        await at_rest(system, integration)
        assert len(await live(system)) == 1
        (row,) = await bound_rows(system, 1)
        assert (row["request_id"], row["write_path"]) == (request, path["sync"]["write_path"])
        assert await system.integration_status(request) == "AutomaticallyComplete"

        await system.change(request, dates=[in_days(24)])
        await at_rest(system, integration)
        assert await booked_days(system) == [in_days(24)]
        await system.change(request, status="CANCELED")
        await at_rest(system, integration)
        await comes_to(system, desk, agent, full)

        again = await system.submit(agent, in_days(24))
        await at_rest(system, integration)
        assert await booked_days(system) == [in_days(24)]
        assert {row["request_id"] for row in await bound_rows(system, 2)} == {request, again}
        assert {call["flow"] for call in await integration.calls(request)} == {INSERT, UPDATE}
        assert await system.integration_status(request) == "AutomaticallyComplete"
        assert await system.integration_status(again) == "AutomaticallyComplete"
        assert await system.waiting_for_people() == {}


@PATHS
@ORDERS
async def test_lost_answers_and_doubled_calls(
    path: Any, order: str, database_url: str, tmp_path: Path
) -> None:
    """Promise: a call whose answer was lost and that is repeated, or is made twice at once, books once,
    through insert, change and cancel; notifications come doubled and swapped meanwhile.
    """
    native: Any = {"order": order}
    async with integrated(database_url, tmp_path, native=native, **path) as (system, integration, _):
        await system.delivery(duplicate=1.0, swap=1.0, swapMs=30)
        agents = system.agents[:3]
        await integration.options(loseAnswers=4, doubleCalls=3)
        requests = await together(*(system.submit(agent, in_days(20)) for agent in agents))
        await at_rest(system, integration)
        await integration.options(loseAnswers=4, doubleCalls=3)
        await together(*(system.change(request, dates=[in_days(22)]) for request in requests))
        await at_rest(system, integration)
        await integration.options(loseAnswers=2, doubleCalls=2)
        await system.change(requests[0], status="CANCELED")
        await at_rest(system, integration)
        assert await booked_days(system) == [in_days(22)] * 2
        assert len(await live(system)) == 2
        await bound_rows(system, 3)
        outcomes = Counter(call["outcome"] for call in await integration.calls())
        assert outcomes["lost"] == 10


@PATHS
async def test_the_hris_loses_answers_too(
    path: Any, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: the HRIS commits and says nothing, Genesys calls again: the doubt is settled by looking."""
    for module in (lane_run, lane_writer):
        monkeypatch.setattr(module, "SEND_WITHIN", 1.0)
    quick: Any = {"hris": {"acme": {"settings": {"call_timeout": 0.5}}}}
    async with integrated(database_url, tmp_path, **path, **quick) as (system, integration, _):
        agent = system.agents[0]
        await system.submit(agent, in_days(30))
        await at_rest(system, integration)
        await system.fault("create", "commit_then_drop")
        await integration.options(loseAnswers=1, doubleCalls=1)
        request = await system.submit(agent, in_days(20))
        await at_rest(system, integration)
        await system.fault("create|update", "commit_then_drop")
        await system.change(request, dates=[in_days(21)])
        await at_rest(system, integration)
        await system.fault("status", "commit_then_drop")
        await system.change(request, status="CANCELED")
        await at_rest(system, integration)
        assert await booked_days(system) == [in_days(30)]


@PATHS
async def test_the_balance_decides_what_is_approved(path: Any, database_url: str, tmp_path: Path) -> None:
    """Promise: what is left is subtracted at the call, so of two requests that only fit one by one, one is
    approved by Genesys itself and one is not; denied, it leaves all to the other."""
    native: Any = {"autoApprove": True, "order": "callFirst"}
    async with integrated(database_url, tmp_path, native=native, **path) as (system, integration, desk):
        agent = system.agents[0]
        full = (await desk.row(agent.employee_id, in_days(40), "84"))["minutes"]
        days = full // 480
        half = days // 2 + 1
        first = [in_days(14 + n) for n in range(half)]
        second = [in_days(14 + half + n) for n in range(half)]
        one = await system.submit(agent, *first, activityCodeId=DAY_OFF, status="PENDING")
        await integration.settled()
        two = await system.submit(agent, *second, activityCodeId=DAY_OFF, status="PENDING")
        await at_rest(system, integration)
        assert (await system.genesys_request(one))["status"] == "APPROVED"
        refused = await system.genesys_request(two)
        assert (refused["status"], refused["substatus"]) == ("PENDING", "InsufficientBalance")
        assert await booked_days(system) == first
        await system.change(two, status="DENIED")
        await at_rest(system, integration)
        assert await booked_days(system) == first


@PATHS
async def test_parts_of_days_and_many_people_at_once(path: Any, database_url: str, tmp_path: Path) -> None:
    """Promise: a busy day: whole days, parts of one day, changes while calls are under way, answers lost:
    in the end the HRIS has for each employee just what Genesys approved.
    """
    async with integrated(database_url, tmp_path, **path) as (system, integration, _):
        await system.delivery(duplicate=0.3, swap=0.3, swapMs=20, seed=5)
        await integration.options(loseAnswers=5, doubleCalls=5)
        agents = system.agents
        whole = await together(
            *(
                system.submit(agent, in_days(20 + n), activityCodeId=VACATION)
                for agent in agents
                for n in (0, 3)
            )
        )
        parts = await together(
            *(system.submit(agent, **part(agent, in_days(30), hour)) for agent in agents for hour in (9, 14))
        )
        await together(*(system.change(request, dates=[in_days(26)]) for request in whole[::4]))
        await together(*(system.change(request, status="CANCELED") for request in whole[1::4]))
        await together(*(system.change(request, status="DENIED") for request in parts[::3]))
        await integration.settled()
        await system.quiet()
        expected: Counter[tuple[str, str]] = Counter()
        for number, request in enumerate(whole):
            agent, nth = agents[number // 2], number % 2
            if number % 4 == 0:
                expected[str(agent.employee_id), in_days(26)] += 480
            elif number % 4 != 1:
                expected[str(agent.employee_id), in_days(20 + 3 * nth)] += 480
            assert request
        for number in range(len(parts)):
            if number % 3:
                expected[str(agents[number // 2].employee_id), in_days(30)] += 120
        found: Counter[tuple[str, str]] = Counter()
        for entry in await system.entries():
            if entry["status"] == "approved":
                for on, hours in entry["dates"].items():
                    found[str(entry["employeeId"]), on] += round(float(hours) * 60)
        assert found == expected
        # What was withdrawn before it was seen stays by itself.
        unbound = [row["reason"] for row in await rows(system) if row["handover_id"] == row["request_id"]]
        assert set(unbound) <= {"removed", "cancel"}
        assert await system.waiting_for_people() == {}


@PATHS
async def test_genesys_never_heard_the_id_and_moves_the_request(
    path: Any, database_url: str, tmp_path: Path
) -> None:
    """Promise: every answer of the insert was lost, so Genesys inserts the moved request. What Genesys shows
    of it tells that it is the same one: it is moved, and the old days are free.
    """
    native: Any = {"order": "eventFirst"}
    async with integrated(database_url, tmp_path, native=native, **path) as (system, integration, _):
        agent = system.agents[0]
        await integration.options(loseAnswers=3)
        request = await system.submit(agent, in_days(20))
        await integration.settled()
        await system.quiet()
        assert [call["outcome"] for call in await integration.calls()] == ["lost"] * 3
        await system.change(request, dates=[in_days(24)])
        await integration.settled()
        await system.quiet()
        assert await booked_days(system) == [in_days(24)]

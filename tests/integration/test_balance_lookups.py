"""Lookups against the sandbox's HRIS: one call for a date, many at once, and a defined answer for whatever
the HRIS or the caller does."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.balance import Desk, at_once, served
from tests.support.reference_sandbox import MODES, ReferenceOffice, for_system
from tests.support.system import System, in_days, running_system

Open = Callable[..., AbstractAsyncContextManager[tuple[System, Desk]]]


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Open:
    """Sandbox, ledger and one replica, without listener and sync. `system` are arguments of the system."""

    @asynccontextmanager
    async def open_(system: Any = None, **balance: Any) -> AsyncIterator[tuple[System, Desk]]:
        async with (
            running_system(database_url, tmp_path, listen=False, syncs=0, **(system or {})) as running,
            served(running.settings, **balance) as desk,
        ):
            for agent in running.agents:
                await link(running, agent.agent_id, agent.employee_id)
            yield running, desk

    return open_


async def link(system: System, agent_id: str, employee_id: str | None, target: str = "acme") -> None:
    await system.ledger.pool.execute(
        "INSERT INTO ledger.agent_links (org, agent_id, target, employee_id, source)"
        " VALUES ('acceptance', $1, $2, $3, 'email')",
        agent_id,
        target,
        employee_id,
    )


async def reads(system: System) -> int:
    return len(await system.calls("calculator"))


async def test_each_type_in_minutes_by_its_own_unit(opened: Open) -> None:
    """Promise: hours times sixty, days by the length of the day; unlimited and unknown are no zero."""
    async with opened() as (system, desk):
        employee = system.agents[0].employee_id
        rows = {row["typeId"]: row for row in await desk.rows(employee, in_days(0))}
        hris = {each: rows[each]["hris"] for each in rows}
        assert hris["83"]["unit"] == "hours"
        assert hris["84"]["unit"] == "days"
        assert rows["83"]["minutes"] == float(hris["83"]["amount"]) * 60
        assert rows["84"]["minutes"] == float(hris["84"]["amount"]) * 480
        assert (rows["85"]["minutes"], rows["85"]["unlimited"], rows["85"]["reason"]) == (None, True, None)
        assert {row["kind"] for row in rows.values()} == {"exact"}
        (later,) = await desk.rows(employee, in_days(40), types=["83"])
        assert later["kind"] == "projected"


async def test_one_call_for_an_employee_and_a_date_whoever_asks(opened: Open) -> None:
    """Promise: all types of a date are one call; the same date asked by many at once is one call; and again,
    while it is fresh, none."""
    async with opened() as (system, desk):
        employee = system.agents[0].employee_id
        await system.fault("calculator", "slow", seconds=0.2, times=None)
        answers = await asyncio.gather(
            *(desk.rows(employee, in_days(1), in_days(2)) for _ in range(10)),
            *(desk.rows(employee, in_days(2), types=["83"]) for _ in range(10)),
        )
        assert await reads(system) == 2
        assert all(row["reason"] is None for rows in answers for row in rows)
        await desk.rows(employee, in_days(2), in_days(1), types=["84"])
        assert await reads(system) == 2
        await desk.rows(system.agents[1].employee_id, in_days(1))
        assert await reads(system) == 3


async def test_dates_are_read_side_by_side(opened: Open) -> None:
    """Promise: the dates of a question do not wait for each other."""
    async with opened() as (system, desk):
        days = [in_days(day) for day in range(30)]
        await system.options(bamboohr={"latencyMs": 150})
        rows = await desk.rows(system.agents[0].employee_id, *days, types=["83", "84", "85"])
        assert at_once(await system.calls("calculator")) >= 10
        assert [row["date"] for row in rows] == [day for day in days for _ in range(3)]
        assert [row["typeId"] for row in rows] == ["83", "84", "85"] * 30
        assert await reads(system) == 30


async def test_a_read_is_done_when_it_surely_is(opened: Open) -> None:
    """Promise: where the database's clock is known to five seconds only, a read counts as done that much
    later: a write announced meanwhile may be in its figure."""
    async with opened() as (system, desk):
        employee, clock = system.agents[0].employee_id, desk.service.parts.clock
        await desk.row(employee, in_days(1))
        clock.note(clock.now(), time.monotonic() - 5.0)
        await desk.row(employee, in_days(2))
        read = (
            desk.service.parts.shelves.shelf("acme", employee).readings[date.fromisoformat(in_days(2))].read
        )
        assert read.done - read.began >= timedelta(seconds=5)


async def test_an_employee_whom_the_hris_does_not_know(opened: Open) -> None:
    async with opened() as (_, desk):
        body = {"employeeId": "99999", "dates": [in_days(0)]}
        await desk.refused(404, "unknown_employee", "POST", "/v1/balances/query", body)
        body = {"employeeId": "../1", "dates": [in_days(0)]}
        await desk.refused(404, "unknown_employee", "POST", "/v1/balances/query", body)
        body = {"agentId": "nobody", "dates": [in_days(0)]}
        await desk.refused(404, "unknown_employee", "POST", "/v1/balances/query", body)
        body = {"employeeId": "1", "dates": [in_days(0)], "target": "other"}
        await desk.refused(404, "unknown_target", "POST", "/v1/balances/query", body)


async def test_an_employee_of_whom_the_hris_says_nothing_is_no_stranger(opened: Open) -> None:
    mode = MODES["current_balances"]
    async with opened(for_system(mode, reference={**mode.options, "balanceUnknown": ["83", "84", "85"]})) as (
        system,
        desk,
    ):
        employee = system.agents[0].employee_id
        assert {row["reason"] for row in await desk.rows(employee, in_days(0))} == {"no_balance"}


async def test_a_genesys_user_is_looked_up_by_the_ledgers_link(opened: Open) -> None:
    async with opened() as (system, desk):
        agent = system.agents[2]
        answer = await desk.ask(None, in_days(0), agentId=agent.agent_id)
        assert (answer["employeeId"], answer["target"]) == (agent.employee_id, "acme")


async def test_a_type_that_is_not_there_is_an_answer(opened: Open) -> None:
    """Promise: an unknown type costs its own row only; a second id that the HRIS has not is no match."""
    async with opened() as (system, desk):
        rows = await desk.rows(system.agents[0].employee_id, in_days(0), types=["83", "no such type"])
        assert [(row["minutes"] is None, row["kind"], row["reason"]) for row in rows] == [
            (False, "exact", None),
            (True, "unknown", "unknown_type"),
        ]


async def test_a_type_without_a_policy_has_no_number(opened: Open) -> None:
    """Promise: where the HRIS says nothing the answer is unknown, never 0."""
    mode = MODES["current_balances"]
    async with opened(for_system(mode, reference={**mode.options, "balanceUnknown": ["84"]})) as (
        system,
        desk,
    ):
        rows = {row["typeId"]: row for row in await desk.rows(system.agents[0].employee_id, in_days(9))}
        assert (rows["84"]["minutes"], rows["84"]["kind"], rows["84"]["reason"]) == (
            None,
            "unknown",
            "no_balance",
        )
        assert rows["83"]["kind"] == "current_only"


async def test_an_hris_without_balances(opened: Open) -> None:
    async with opened(for_system(MODES["no_balances"])) as (system, desk):
        rows = await desk.rows(system.agents[0].employee_id, in_days(0), types=["83"])
        assert [row["reason"] for row in rows] == ["not_supported"]
        assert ReferenceOffice(system.sandbox).calls("balances") == []


async def test_a_period_that_is_not_open_yet_is_unknown(opened: Open) -> None:
    async with opened(for_system(MODES["period_balances"])) as (system, desk):
        employee = system.agents[0].employee_id
        (row,) = await desk.rows(employee, "2099-06-01", types=["83"])
        assert (row["minutes"], row["reason"]) == (None, "no_balance")


async def test_wrong_dates_are_named(opened: Open) -> None:
    """Promise: a date that the calendar has not is refused at its place, nothing is read."""
    async with opened() as (system, desk):
        employee = system.agents[0].employee_id
        for wrong in ("2025-02-30", "2025-13-01", "26/03/2025", "2025-3-1", "", "1999-12-31", "20250301"):
            body = {"employeeId": employee, "dates": [in_days(0), wrong]}
            reply = await desk.refused(400, "invalid", "POST", "/v1/balances/query", body)
            assert [mistake["at"] for mistake in reply.body["errors"]] == ["/dates/1"]
            assert not wrong or wrong not in reply.raw.decode()
        for odd in (20250301, None, "2025-03-01T00:00:00Z", ["2025-03-01"]):
            body = {"employeeId": employee, "dates": [odd]}
            await desk.refused(400, "invalid", "POST", "/v1/balances/query", body)
        assert await reads(system) == 0


async def test_too_much_at_once_is_refused_and_not_cut(opened: Open) -> None:
    async with opened() as (system, desk):
        employee = system.agents[0].employee_id
        days = [
            f"{2001 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
            for number in range(2001)
        ]
        body: Any = {"employeeId": employee, "dates": days}
        await desk.refused(400, "invalid", "POST", "/v1/balances/query", body)
        body = {
            "employeeId": employee,
            "dates": days[:667],
            "types": [{"id": each} for each in ("83", "84", "85")],
        }
        reply = await desk.refused(400, "too_many", "POST", "/v1/balances/query", body)
        assert "2001" in reply.body["detail"]
        body = {"employeeId": employee, "dates": days[:700]}
        await desk.refused(400, "too_many", "POST", "/v1/balances/query", body)
        assert await reads(system) == 0


async def test_nonsense_is_refused(opened: Open) -> None:
    async with opened() as (_, desk):
        path = "/v1/balances/query"
        for body in (b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"dates":["2025-01-01"]}', b"null"):
            await desk.refused(400, "invalid", "POST", path, body)
        good = {"employeeId": "1", "dates": ["2025-01-01"]}
        for more in ({"x": 1}, {"agentId": "a"}, {"types": [{}]}, {"types": "83"}, {"employeeId": 1}):
            await desk.refused(400, "invalid", "POST", path, good | more)
        await desk.refused(400, "invalid", "POST", path, good | {"employeeId": "a\u0000b"})
        await desk.refused(400, "invalid", "POST", path, good | {"dates": []})
        await desk.refused(400, "invalid", "POST", path, good | {"employeeId": "x" * 201})
        await desk.refused(400, "invalid", "POST", path, json.dumps(good).encode() + b"}")


async def test_with_the_hris_down_the_last_known_number_is_given_with_its_age(opened: Open) -> None:
    """Promise: never a wrong number: what was known is said to be old, what was not known is unknown."""
    async with opened(fresh=0.05) as (system, desk):
        employee = system.agents[0].employee_id
        known = await desk.row(employee, in_days(1))
        await system.fault("calculator", "error_before_commit", times=None)
        await asyncio.sleep(0.1)
        stale = await desk.row(employee, in_days(1))
        assert (stale["minutes"], stale["asOf"]) == (known["minutes"], known["asOf"])
        assert (stale["stale"], stale["reason"]) == (True, "hris_unreachable")
        assert stale["ageSeconds"] >= 0
        other = await desk.row(employee, in_days(2))
        assert (other["minutes"], other["kind"], other["reason"]) == (None, "unknown", "hris_unreachable")


async def test_a_number_that_is_too_old_is_not_given_any_more(opened: Open) -> None:
    async with opened(fresh=0.05, oldest=0.3) as (system, desk):
        employee = system.agents[0].employee_id
        await desk.row(employee, in_days(1))
        await system.fault("calculator", "error_before_commit", times=None)
        await asyncio.sleep(0.5)
        row = await desk.row(employee, in_days(1))
        assert (row["minutes"], row["stale"], row["reason"]) == (None, False, "hris_unreachable")


async def test_an_hris_that_throttles_slows_everybody_down_and_is_told(opened: Open) -> None:
    """Promise: a 429 is an answer at once, the shared budget pauses, and afterwards it works."""
    async with opened(lookup_timeout=0.4) as (system, desk):
        employee = system.agents[0].employee_id
        await system.fault("calculator", "throttle", retryAfter=2)
        row = await desk.row(employee, in_days(1))
        assert (row["minutes"], row["reason"]) == (None, "hris_throttled")
        row = await desk.row(employee, in_days(1))
        assert (row["minutes"], row["reason"]) == (None, "not_in_time")
        assert await reads(system) == 1, "nobody asks while the budget pauses"
        paused = await system.ledger.pool.fetchval(
            "SELECT paused_until > now() FROM ledger.budgets WHERE budget = 'hris.acme'"
        )
        assert paused

        async def answered() -> bool:
            return (await desk.row(employee, in_days(1)))["reason"] is None

        await system.until("the budget is open again", answered)


async def test_an_hris_that_hangs_holds_nobody_up(opened: Open) -> None:
    """Promise: the answer comes in time; what the HRIS says later is there for the next who asks."""
    async with opened(lookup_timeout=0.3) as (system, desk):
        employee = system.agents[0].employee_id
        await desk.row(employee, in_days(5))
        await system.fault("calculator", "slow", seconds=0.8)
        rows = await desk.rows(employee, in_days(5), in_days(6), types=["83"])
        assert [row["reason"] for row in rows] == [None, "not_in_time"]
        assert await reads(system) == 1, "the answer came before the HRIS's"

        async def landed() -> bool:
            return (await desk.row(employee, in_days(6)))["reason"] is None

        await system.until("the late answer is used", landed)
        assert await reads(system) == 2


async def test_a_read_that_nobody_waits_for_is_not_made(opened: Open) -> None:
    """Promise: who gave up costs the HRIS nothing: it is the budget that was waited for."""
    async with opened(lookup_timeout=0.2, max_in_flight=1) as (system, desk):
        employee = system.agents[0].employee_id
        await system.fault("calculator", "slow", seconds=1.0)
        rows = await desk.rows(employee, *(in_days(day) for day in range(1, 21)), types=["83"])
        assert {row["reason"] for row in rows} == {"not_in_time"}
        await asyncio.sleep(1.2)
        assert await reads(system) == 1


async def test_refused_credentials_stop_the_target_and_are_not_tried_on(opened: Open) -> None:
    """Promise: vendors lock out who tries on; the sync hears of it through the ledger."""
    async with opened() as (system, desk):
        employee = system.agents[0].employee_id
        await desk.get("/v1/time-off-types")
        await system.fault("calculator", "refuse", status=401, times=None)
        for day in (1, 2, 3):
            row = await desk.row(employee, in_days(day))
            assert (row["minutes"], row["reason"]) == (None, "hris_refused")
        assert await reads(system) == 1

        async def stopped() -> Any:
            return await system.ledger.pool.fetchval(
                "SELECT stopped_reason FROM ledger.targets WHERE target = 'acme' AND stopped_at IS NOT NULL"
            )

        assert await system.until("the target is stopped", stopped) == "auth_failed"


async def test_an_answer_that_cannot_be_read_is_unknown(opened: Open) -> None:
    async with opened() as (system, desk):
        await system.fault("calculator", "truncated")
        row = await desk.row(system.agents[0].employee_id, in_days(1))
        assert (row["minutes"], row["reason"]) == (None, "hris_unreachable")


async def test_lists_that_were_never_read_are_a_503_and_old_ones_stay(opened: Open) -> None:
    async with opened(lists_fresh=0.05) as (system, desk):
        await system.fault("types", "error_before_commit", times=2)
        await desk.refused(503, "hris_unreachable", "GET", "/v1/time-off-types")
        rows = await desk.rows(system.agents[0].employee_id, in_days(1), types=["83"])
        assert [row["reason"] for row in rows] == ["hris_unreachable"]
        listed = await desk.get("/v1/agents")
        await system.fault("directory", "error_before_commit", times=None)
        await asyncio.sleep(0.1)
        assert await desk.get("/v1/agents") == listed


async def test_agents_in_pages(opened: Open) -> None:
    """Promise: every employee once, in pages, with the Genesys user who he is."""
    async with opened({"agents": 7}) as (system, desk):
        found: list[Any] = []
        path = "/v1/agents?limit=3"
        while path:
            page = await desk.get(path)
            assert len(page["agents"]) <= 3
            found += page["agents"]
            path = f"/v1/agents?limit=3&after={page['next']}" if page["next"] else ""
        agents = {agent.employee_id: agent for agent in system.agents}
        linked = {each["employeeId"]: each for each in found}
        assert len(linked) == len(found)
        for employee_id, agent in agents.items():
            assert linked[str(employee_id)]["agentId"] == agent.agent_id
            assert linked[str(employee_id)]["email"] == agent.email
        for wrong in ("limit=0", "limit=2001", "limit=x", "after=", "x=1", "limit=1&limit=2", "target=other"):
            reply = await desk.call("GET", f"/v1/agents?{wrong}")
            assert reply.status in (400, 404), wrong


async def test_types_with_their_units_and_day_lengths(opened: Open) -> None:
    types = [{"activity_code": "x", "type_id": "84", "day_minutes": 450}]
    async with opened() as (system, desk):
        settings = system.settings.model_copy(
            update={"types": type(system.settings).model_validate({"types": types}).types}
        )
        listed = {each["id"]: each for each in (await desk.get("/v1/time-off-types"))["types"]}
        assert listed["83"]["unit"] == "hours"
        async with served(settings) as other:
            own = {each["id"]: each for each in (await other.get("/v1/time-off-types"))["types"]}
            assert (own["84"]["dayMinutes"], own["84"]["weekdayMinutes"]) == (450, {})
            row = await other.row(system.agents[0].employee_id, in_days(0), "84")
            assert row["minutes"] == float(row["hris"]["amount"]) * 450


async def test_a_ledger_without_a_table_fails_without_words(opened: Open) -> None:
    """Promise: no words of the database reach the caller."""
    async with opened(follow=False) as (system, desk):
        employee = system.agents[0].employee_id
        await desk.row(employee, in_days(1))
        await system.ledger.pool.execute("ALTER TABLE ledger.requests RENAME TO requests_away")
        body = {"employeeId": employee, "dates": [in_days(1)]}
        reply = await desk.call("POST", "/v1/balances/query", body)
        assert reply.status == 500
        assert b"requests" not in reply.raw, "no words of the database"
        assert reply.body["code"] == "failed"

"""What the service answers while something that it stands on does not: the HRIS's lists, its credentials, the
ledger. Never a wrong number, never one answer for another trouble."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.support.balance import Desk, Json, served
from tests.support.postgres import owned_server, run
from tests.support.system import System, in_days, running_system

from timeoff_balance import database, directory, invalidation

QUERY = "/v1/balances/query"
Open = Callable[..., AbstractAsyncContextManager[tuple[System, Desk]]]


@asynccontextmanager
async def office(
    database_url: str, folder: Path, hris: Any = None, **balance: Any
) -> AsyncIterator[tuple[System, Desk]]:
    """Sandbox, ledger and one replica; agents are linked, and lists are old as soon as they are read."""
    more = {"hris": {"acme": hris}} if hris else {}
    async with (
        running_system(database_url, folder, listen=False, syncs=0, **more) as system,
        served(system.settings, **{"lists_fresh": 0.001, **balance}) as desk,
    ):
        for agent in system.agents:
            await system.ledger.pool.execute(
                "INSERT INTO ledger.agent_links (org, agent_id, target, employee_id, source)"
                " VALUES ('acceptance', $1, 'acme', $2, 'email')",
                agent.agent_id,
                agent.employee_id,
            )
        yield system, desk


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Open:
    return lambda **more: office(database_url, tmp_path, **more)


async def get_balance(desk: Desk, employee_id: str, *dates: str) -> Json:
    inputs = {
        "Flow.agentId": employee_id,
        "Flow.inputDates": list(dates),
        "Flow.inputTimeOffTypeIds": ["83"],
    }
    return dict((await desk.call("POST", "/v1/flows/get-balance", inputs)).body)


async def flow(desk: Desk, name: str) -> Json:
    return dict((await desk.call("POST", f"/v1/flows/{name}", {})).body)


# -- the list of types ---------------------------------------------------------------------------------


async def test_last_known_numbers_outlive_the_list_of_types(opened: Open) -> None:
    """Promise: with the HRIS down for longer than its lists are fresh, types are no unknown ones."""
    async with opened(fresh=0.001) as (system, desk):
        employee = system.agents[0].employee_id
        known = await desk.row(employee, in_days(1))
        for operation in ("calculator", "types"):
            await system.fault(operation, "error_before_commit", times=None)
        row = await desk.row(employee, in_days(1))
        assert (row["minutes"], row["stale"], row["reason"]) == (known["minutes"], True, "hris_unreachable")
        answer = await get_balance(desk, employee, in_days(1))
        assert (answer["Flow.statusCode"], answer["Flow.balanceMinutesPerDay"]) == (
            200,
            [str(known["minutes"])],
        )
        answer = await get_balance(desk, employee, in_days(2))
        assert (answer["Flow.statusCode"], answer["Flow.status"]) == (503, "Error")


async def test_a_list_of_types_that_hangs_hides_no_number_and_blames_nobody_else(opened: Open) -> None:
    """Promise: what is fresh is given; the ledger, which answers, is not said to be away."""
    async with opened(fresh=60, lookup_timeout=1.0) as (system, desk):
        employee = system.agents[0].employee_id
        known = await desk.row(employee, in_days(1))
        await system.fault("types", "hang", seconds=60, times=None)
        for types in (["83", "84"], ["84", "83"]):
            desk.service.parts.shelves.invalidate("acme", employee)  # so that the ledger is asked
            rows = {row["typeId"]: row for row in await desk.rows(employee, in_days(1), types=types)}
            assert (rows["83"]["minutes"], rows["83"]["reason"]) == (known["minutes"], None)
        # WFM takes a list for the whole truth: an old one is none.
        assert (await flow(desk, "get-timeoff-types"))["Flow.status"] == "Error"


async def test_a_list_that_hangs_is_waited_for_once(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise: while a reading takes long, the old list serves; and the reading goes on for the next."""
    monkeypatch.setattr(directory, "PATIENCE", 0.0)
    async with opened(fresh=60) as (system, desk):
        employee = system.agents[0].employee_id
        await desk.row(employee, in_days(1))
        before = len(await system.calls("types"))
        await system.fault("types", "slow", seconds=0.5)
        for day in range(2, 6):
            assert (await desk.row(employee, in_days(day)))["reason"] is None
        assert len(await system.calls("types")) == before, "one is on its way"

        async def landed() -> bool:
            return len(await system.calls("types")) == before + 1

        await system.until("it has come", landed)


async def test_types_that_were_never_read_are_no_empty_answer(opened: Open) -> None:
    """Promise: who asks for all types and cannot be told which there are gets no 200 without rows."""
    async with opened() as (system, desk):
        await system.fault("types", "error_before_commit", times=None)
        body = {"employeeId": system.agents[0].employee_id, "dates": [in_days(1)]}
        reply = await desk.refused(503, "hris_unreachable", "POST", QUERY, body)
        assert int(reply.headers["Retry-After"]) >= 1


async def test_a_list_of_employees_that_hangs_holds_no_lookup_up(opened: Open) -> None:
    """Promise: whether an employee is a stranger is asked within the time of the question."""
    async with opened(lookup_timeout=0.3) as (system, desk):
        await desk.get("/v1/time-off-types")
        system.sandbox.bamboohr.company.types.clear()  # so that the calculator says nothing
        await system.fault("directory", "hang", seconds=60, times=None)
        body = {"employeeId": system.agents[0].employee_id, "dates": [in_days(3)], "types": [{"id": "83"}]}
        assert (await desk.call("POST", QUERY, body)).status == 200
        lists = desk.service.parts.directory._lists["acme"]
        assert lists.employees.reading is not None, "the answer did not wait for it"


# -- refused credentials -------------------------------------------------------------------------------


async def stops(system: System) -> int:
    return int(
        await system.ledger.pool.fetchval("SELECT count(*) FROM ledger.targets WHERE stopped_at IS NOT NULL")
    )


async def test_one_refusal_is_enough_for_all_dates_that_wait(opened: Open) -> None:
    """Promise: vendors lock out who tries on; what waits for its turn is not sent after a refusal, even if
    the ledger cannot be told."""
    async with opened(max_in_flight=1) as (system, desk):
        await desk.get("/v1/time-off-types")
        await system.ledger.pool.execute("DELETE FROM ledger.targets")
        await system.fault("calculator", "refuse", status=401, times=None)
        days = [in_days(day) for day in range(30)]
        rows = await desk.rows(system.agents[0].employee_id, *days, types=["83"])
        assert {row["reason"] for row in rows} == {"hris_refused"}
        assert len(await system.calls("calculator")) == 1


async def test_lists_are_not_tried_on_with_refused_credentials(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "TRIED_EVERY", 0.0)
    async with opened() as (system, desk):
        for operation in ("types", "directory"):
            await system.fault(operation, "refuse", status=401, times=None)
        for name in ("get-timeoff-types", "get-timeoff-types", "get-agents"):
            assert (await flow(desk, name))["Flow.statusCode"] == 401
        assert [call["status"] for call in await system.calls()] == [401]

        async def stopped() -> bool:
            return await stops(system) == 1

        await system.until("the target is stopped for all", stopped)


async def test_a_target_that_somebody_else_has_stopped_is_left_alone(opened: Open) -> None:
    """Promise: the sync, or another replica, found out; nobody finds out a second time."""
    async with opened(lists_fresh=300.0) as (system, desk):
        employee = system.agents[0].employee_id
        await desk.get("/v1/time-off-types")
        assert await system.ledger.deployment.stop_target("acme", "auth_failed", 600.0)
        rows = await desk.rows(employee, *[in_days(day) for day in range(5)], types=["83"])
        assert {row["reason"] for row in rows} == {"hris_refused"}
        assert await system.calls("calculator") == []
        await system.ledger.deployment.resume_target("acme")
        assert (await desk.row(employee, in_days(1)))["reason"] is None


# -- many dates ----------------------------------------------------------------------------------------


async def test_a_question_of_many_dates_does_not_stand_before_all_others(opened: Open) -> None:
    """Promise: of one question a few dates wait for the budget at a time; who asks for one date is next."""
    async with opened(hris={"requests_per_minute": 240}, lists_fresh=300.0) as (system, desk):
        await desk.get("/v1/time-off-types")
        many = asyncio.create_task(
            get_balance(desk, system.agents[0].employee_id, *[in_days(day) for day in range(300)])
        )

        async def begun() -> bool:
            return bool(await system.calls("calculator"))

        await system.until("the many are asked for", begun)
        row = await desk.row(system.agents[1].employee_id, in_days(1))
        assert row["reason"] is None
        many.cancel()
        await asyncio.gather(many, return_exceptions=True)


# -- the ledger ----------------------------------------------------------------------------------------


async def test_without_the_ledger_no_number_is_given(tmp_path: Path) -> None:
    """Promise: nobody could tell what is accepted and not booked."""
    server = owned_server()
    await asyncio.to_thread(run, server.start())
    try:
        await asyncio.to_thread(run, server.create_database("away"))
        async with office(server.url("away"), tmp_path, lists_fresh=300.0) as (system, desk):
            employee = system.agents[0].employee_id
            await desk.row(employee, in_days(1))
            await asyncio.to_thread(run, server.stop())
            body = {"employeeId": employee, "dates": [in_days(1)], "types": [{"id": "83"}]}

            async def away() -> bool:
                reply = await desk.call("POST", QUERY, body)
                return (reply.status, reply.body.get("code")) == (503, "ledger_unreachable")

            await system.until("it is noticed", away)
            reply = await desk.refused(503, "ledger_unreachable", "POST", QUERY, body)
            assert "balances" not in reply.body
            answer = await get_balance(desk, employee, in_days(1))
            assert (answer["Flow.statusCode"], answer["Flow.dates"]) == (503, [])
            await asyncio.to_thread(run, server.start())  # the services want to end in peace
    finally:
        await asyncio.to_thread(run, server.stop())


async def test_a_connection_that_says_nothing_any_more_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: notices that nobody would hear of end what is kept, even if no error tells."""
    monkeypatch.setattr(invalidation, "SILENT", 0.3)
    server = owned_server()
    await asyncio.to_thread(run, server.start())
    try:
        await asyncio.to_thread(run, server.create_database("silent"))
        async with office(server.url("silent"), tmp_path, fresh=600.0) as (system, desk):

            async def listening() -> Any:
                return await system.ledger.pool.fetchval(
                    "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT 1' AND state = 'idle'"
                    " AND datname = current_database()"
                )

            silent = await system.until("the notices are listened to", listening)
            os.kill(silent, signal.SIGSTOP)
            try:

                async def lost() -> bool:
                    return "notices" in desk.service.invalidation.missing

                await system.until("it is noticed", lost)

                async def back() -> bool:
                    return not desk.service.invalidation.missing

                await system.until("another connection listens", back)
            finally:
                os.kill(silent, signal.SIGCONT)
    finally:
        await asyncio.to_thread(run, server.stop())


@pytest.mark.parametrize("table", ["agent_links", "requests"])
async def test_a_ledger_that_hangs_is_away(
    opened: Open, database_url: str, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """Promise: whoever waits for the ledger is answered, although it is not."""
    monkeypatch.setattr(database, "LEDGER_TIMEOUT", 0.3)
    async with opened(lists_fresh=300.0) as (system, desk):
        employee = system.agents[0].employee_id
        await desk.row(employee, in_days(1))
        await desk.get("/v1/agents")
        blocker = await asyncpg.connect(database_url)
        try:
            await blocker.execute("BEGIN")
            await blocker.execute(f"LOCK TABLE ledger.{table} IN ACCESS EXCLUSIVE MODE")
            if table == "agent_links":
                await desk.refused(503, "ledger_unreachable", "GET", "/v1/agents")
                body: Json = {"agentId": system.agents[0].agent_id, "dates": [in_days(1)]}
                await desk.refused(503, "ledger_unreachable", "POST", QUERY, body)
            body = {"employeeId": employee, "dates": [in_days(2)]}
            await desk.refused(503, "ledger_unreachable", "POST", QUERY, body)
        finally:
            await blocker.close()


async def test_an_answer_that_may_be_too_high_says_so_in_the_flow_too(opened: Open) -> None:
    """Promise: a change that the ledger has not taken in is told on both ways."""
    async with opened() as (system, desk):
        agent = system.agents[0]
        assert (await get_balance(desk, agent.employee_id, in_days(1)))["Flow.errorMsg"] is None
        desk.service.parts.shelves.invalidate_agent(agent.agent_id, 0, 10**9)  # an event, far ahead
        assert (await desk.ask(agent.employee_id, in_days(1), types=["83"]))["complete"] is False
        answer = await get_balance(desk, agent.employee_id, in_days(1))
        assert answer["Flow.status"] == "Complete"
        assert "not taken in yet" in answer["Flow.errorMsg"]


async def test_what_no_hris_can_be_asked_for_is_refused_by_the_flow_too(opened: Open) -> None:
    async with opened() as (system, desk):
        employee = system.agents[0].employee_id
        for day in ("0001-01-01", "9999-12-31", "1999-12-31", "2101-01-01"):
            answer = await get_balance(desk, employee, day)
            assert answer["Flow.statusCode"] == 400
            assert day in answer["Flow.errorMsg"]
        answer = await get_balance(desk, "1" * 201, in_days(1))
        assert (answer["Flow.statusCode"], "agentId" in answer["Flow.errorMsg"]) == (400, True)
        assert await system.calls("calculator") == []


async def test_an_id_in_other_digits_is_another_id(opened: Open) -> None:
    """Promise: 0101 is not 101: the HRIS would know whom it means, the ledger would not."""
    async with opened() as (system, desk):
        body = {"employeeId": "0" + system.agents[0].employee_id, "dates": [in_days(1)]}
        await desk.refused(404, "unknown_employee", "POST", QUERY, body)


async def test_what_was_written_while_a_reading_is_fresh_counts(database_url: str, tmp_path: Path) -> None:
    """Promise: however long `balance.fresh` is, the ledger is asked as far back as a reading goes."""
    later = in_days(40)
    async with (
        running_system(database_url, tmp_path) as system,
        served(system.settings, fresh=3600.0, oldest=900.0) as desk,
    ):
        agent = system.agents[0]

        async def linked() -> Any:
            return await system.ledger.pool.fetchval(
                "SELECT employee_id FROM ledger.agent_links WHERE agent_id = $1", agent.agent_id
            )

        await system.until("linked", linked)
        first = await desk.row(agent.employee_id, later)
        await system.submit(agent, in_days(10))
        await system.quiet()
        await system.ledger.pool.execute(
            "UPDATE ledger.entries SET updated_at = updated_at - interval '20 min'"
        )
        assert (await desk.row(agent.employee_id, later))["minutes"] == first["minutes"] - 480

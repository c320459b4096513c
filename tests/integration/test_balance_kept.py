"""Answers that are kept whole: by what was asked, not by its words, and never longer than they are right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.balance import WRITER, Desk, served
from tests.support.system import System, in_days, running_system

from timeoff.ledger.balance import BalanceStore, KnownLeave
from timeoff_balance import access, balances

LONG = 600.0
QUERY = "/v1/balances/query"

Open = Callable[..., AbstractAsyncContextManager[tuple[System, Desk]]]


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Open:
    """Sandbox, ledger and one replica, and agents who are linked: of others nothing is kept."""

    @asynccontextmanager
    async def open_(**balance: Any) -> AsyncIterator[tuple[System, Desk]]:
        async with (
            running_system(database_url, tmp_path, listen=False, syncs=0) as running,
            served(running.settings, **balance) as desk,
        ):
            for agent in running.agents:
                await link(running, agent.agent_id, agent.employee_id)
            yield running, desk

    return open_


async def link(system: System, agent_id: str, employee_id: str) -> None:
    await system.ledger.pool.execute(
        "INSERT INTO ledger.agent_links (org, agent_id, target, employee_id, source)"
        " VALUES ('acceptance', $1, 'acme', $2, 'email')"
        " ON CONFLICT (org, agent_id, target) DO UPDATE SET employee_id = excluded.employee_id",
        agent_id,
        employee_id,
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Employees whose answers were put together, in order."""
    found: list[str] = []
    answer = balances.Balances.answer

    async def counted(self: balances.Balances, employee_id: str, *args: Any, **more: Any) -> balances.Answer:
        found.append(employee_id)
        return await answer(self, employee_id, *args, **more)

    monkeypatch.setattr(balances.Balances, "answer", counted)
    return found


async def test_the_same_question_in_other_words_is_answered_once(opened: Open, made: list[str]) -> None:
    async with opened(fresh=LONG) as (system, desk):
        agent = system.agents[0]
        dates, types = [in_days(1), in_days(2)], [{"id": "83"}, {"id": "84"}]
        asked = {"employeeId": agent.employee_id, "dates": dates, "types": types}
        bodies = [
            json.dumps(asked),
            json.dumps(asked, indent=3),
            json.dumps(dict(reversed(asked.items()))),
            json.dumps({**asked, "target": "acme", "replaces": []}),
            json.dumps({**asked, "types": [{**each, "id2": None} for each in types]}),
            json.dumps({"agentId": agent.agent_id, "dates": dates, "types": types}),
        ]
        replies = [await desk.call("POST", QUERY, body.encode()) for body in bodies]
        replies.append(await desk.call("POST", QUERY, asked, token=WRITER))
        assert {reply.status for reply in replies} == {200}
        assert len({reply.raw for reply in replies}) == 1
        assert made == [agent.employee_id]


async def test_another_question_is_another_answer(opened: Open, made: list[str]) -> None:
    """Promise: order, dates, types, second ids and the employee are all of the question."""
    async with opened(fresh=LONG) as (system, desk):
        first, second = system.agents[0].employee_id, system.agents[1].employee_id
        one, two = in_days(1), in_days(2)
        for _ in range(2):
            for employee, dates, types in (
                (first, [one], [{"id": "83"}]),
                (second, [one], [{"id": "83"}]),
                (first, [two], [{"id": "83"}]),
                (first, [one, two], [{"id": "83"}, {"id": "84"}]),
                (first, [two, one], [{"id": "83"}, {"id": "84"}]),
                (first, [one, two], [{"id": "84"}, {"id": "83"}]),
                (first, [one], [{"id": "83", "id2": "x"}]),
            ):
                answer = await desk.call(
                    "POST", QUERY, {"employeeId": employee, "dates": dates, "types": types}
                )
                assert answer.body["employeeId"] == employee
                assert [(row["date"], row["typeId"], row["typeId2"]) for row in answer.body["balances"]] == [
                    (on, each["id"], each.get("id2")) for on in dates for each in types
                ]
        assert len(made) == 7


async def test_what_is_about_to_be_replaced_is_asked_for_each_time(opened: Open, made: list[str]) -> None:
    async with opened(fresh=LONG) as (system, desk):
        employee = system.agents[0].employee_id
        for _ in range(2):
            await desk.row(employee, in_days(1))
            await desk.row(employee, in_days(1), replaces=["1300"])
        assert len(made) == 3


async def test_an_answer_ends_with_what_it_was_made_of(opened: Open, made: list[str]) -> None:
    """Promise: a notice ends it; and so does whatever means that no notice would be heard."""
    async with opened(fresh=LONG, max_readings=100) as (system, desk):
        first, second = system.agents[0].employee_id, system.agents[1].employee_id
        shelves = desk.service.parts.shelves
        for _ in range(2):
            await desk.row(first, in_days(1))
        assert made == [first]
        shelves.invalidate("acme", first)
        await desk.row(first, in_days(1))
        assert made == [first, first]
        await desk.rows(second, *map(in_days, range(100)), types=["83"])  # all the room there is
        shelves.invalidate("acme", first)
        await desk.row(first, in_days(1))
        assert made == [first, first, second, first]
        shelves.keeps = False  # as soon as the log or the notices are not followed
        await desk.row(first, in_days(1))
        assert made == [first, first, second, first, first]


async def test_nothing_is_kept_while_the_log_is_not_followed(opened: Open, made: list[str]) -> None:
    """Promise: a connection that is lost ends all that was kept, and what is asked then is asked anew."""
    async with opened(fresh=LONG) as (system, desk):
        employee, shelves = system.agents[0].employee_id, desk.service.parts.shelves
        for _ in range(2):
            await desk.row(employee, in_days(1))
        assert made == [employee]

        async def lost() -> bool:
            await system.ledger.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query = 'SELECT 1' AND datname = current_database()"
            )
            return not shelves.keeps

        await system.until("the notices are lost", lost)
        for _ in range(2):
            await desk.row(employee, in_days(1))
        assert len(made) == 3

        async def back() -> bool:
            return shelves.keeps

        await system.until("they are followed again", back)


async def test_an_answer_ends_when_a_write_must_show(database_url: str, tmp_path: Path) -> None:
    """Promise: what is subtracted because the HRIS may not show it yet is so no longer than that."""
    hris = {"acme": {"settings": {"read_lag": 2.0}}}
    async with (
        running_system(database_url, tmp_path, hris=hris) as system,
        served(system.settings, fresh=LONG) as desk,
    ):
        agent = system.agents[0]

        async def linked() -> Any:
            return await system.ledger.pool.fetchval(
                "SELECT employee_id FROM ledger.agent_links WHERE agent_id = $1", agent.agent_id
            )

        await system.until("linked", linked)
        await system.submit(agent, in_days(10))
        await system.quiet()
        row = await desk.row(agent.employee_id, in_days(40))
        assert row["pendingMinutes"] == row["maybeCountedMinutes"] == 480

        async def shown() -> bool:
            return (await desk.row(agent.employee_id, in_days(40)))["pendingMinutes"] == 0

        await system.until("it shows", shown)


async def test_who_asks_after_a_reading_is_not_given_claims_of_before(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a write between the two would be in neither, so the ledger is asked anew."""
    asked: list[str] = []
    answering = asyncio.Event()
    leave_of = BalanceStore.leave_of

    async def slow(self: BalanceStore, target: str, employee_id: str, **more: Any) -> KnownLeave:
        asked.append(employee_id)
        await answering.wait()
        return await leave_of(self, target, employee_id, **more)

    monkeypatch.setattr(BalanceStore, "leave_of", slow)
    async with opened(fresh=LONG) as (system, desk):
        employee = system.agents[0].employee_id
        questions = []
        for day in (1, 2):
            questions.append(asyncio.create_task(desk.row(employee, in_days(day))))

            async def both(day: int = day) -> bool:
                return len(asked) == day

            await system.until("the ledger is asked for each", both)
        answering.set()
        rows = await asyncio.gather(*questions)
        assert [row["reason"] for row in rows] == [None, None]


async def test_a_link_that_has_changed_shows_after_a_while(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a Genesys user's answer is that of the employee he is linked to now, or was `fresh` ago."""
    monkeypatch.setattr(access, "KNOWN_FOR", 3600.0)
    async with opened(fresh=0.2) as (system, desk):
        agent, other = system.agents[0], system.agents[1]
        assert (await desk.ask(None, in_days(1), agentId=agent.agent_id))["employeeId"] == agent.employee_id
        await link(system, agent.agent_id, other.employee_id)

        async def seen() -> bool:
            answer = await desk.ask(None, in_days(1), agentId=agent.agent_id)
            return bool(answer["employeeId"] == other.employee_id)

        await system.until("the new link shows", seen)


async def test_nobody_is_answered_with_what_he_may_not_see(opened: Open, made: list[str]) -> None:
    async with opened(fresh=LONG, genesys_users=True) as (system, desk):
        me, other = system.agents[0], system.agents[1]
        await desk.row(other.employee_id, in_days(1))
        desk.token = str(
            (await system.admin("POST", "/genesys/log-in", {"agentId": me.agent_id}))["accessToken"]
        )
        body = {"employeeId": other.employee_id, "dates": [in_days(1)], "types": [{"id": "83"}]}
        await desk.refused(403, "not_allowed", "POST", QUERY, body)
        assert made == [other.employee_id]

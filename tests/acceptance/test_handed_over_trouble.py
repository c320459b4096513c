"""Calls while writing is off, stopped or goes wrong: each has a defined answer, writes nothing that it should
not, and what it handed over is booked once when the trouble is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from tests.support.balance import served
from tests.support.handed import (
    EVENTS,
    FLOWS,
    answers_within,
    booked_days,
    comes_to,
    ended,
    id_of,
    insert,
    left,
    live,
    office,
    one_row,
    refused,
    rows,
    shows,
    together,
    update,
)
from tests.support.reference_sandbox import MODES, ReferenceOffice, for_system
from tests.support.system import DAY_OFF, System, in_days

import timeoff_sync.watch
from timeoff.settings.model import LoggingSettings
from timeoff.telemetry import logs
from timeoff_sync import lane_run, lane_writer

SECRET = "kidney-stone-0815"
NOTES = f'Please, it is my "{SECRET}"\nagain.'


# -- writing is off ------------------------------------------------------------------------------------


async def test_in_shadow_a_call_is_refused_and_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    """Promise: NotAllowed while nothing is written, and what was refused is not booked by go-live; handed
    over again it is.
    """
    async with office(database_url, tmp_path, **FLOWS, live=False) as (system, desk):
        agent, other = system.agents[:2]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        for _ in range(2):
            refused(await insert(desk, agent, in_days(20)), "go-live")
        refused(await insert(desk, other, in_days(21)), "go-live")
        assert [row["handover_id"] for row in await rows(system)] == [None]
        await system.go_live()
        await system.quiet()
        assert await system.writes() == []

        async def booked() -> bool:
            return ended(await insert(desk, agent, in_days(20))) == (200, "Complete")

        await system.until("the sync knows that writing is on", booked)
        await books(system, in_days(20))


async def test_in_shadow_a_reservation_is_kept_and_planned(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, live=False) as (system, desk):
        agent = system.agents[0]
        before = await left(desk, agent)
        answer = await insert(desk, agent, in_days(20))
        request = await system.submit(agent, in_days(20))
        row = await one_row(system)
        assert (row["request_id"], row["handover_id"]) == (request, id_of(answer))
        await system.state(request, "planned", "shadow")
        await comes_to(system, desk, agent, before - 480)
        assert await system.writes() == []
        await system.go_live()
        await system.state(request, "settled", "insert")
        await system.quiet()
        assert await booked_days(system) == [in_days(20)]
        await comes_to(system, desk, agent, before - 480)


async def test_a_pilot_writes_for_its_agents_only(database_url: str, tmp_path: Path) -> None:
    async with office(database_url, tmp_path, **FLOWS, live=False) as (system, desk):
        inside, outside = system.agents[:2]
        for agent in (inside, outside):
            await linked(system, agent.agent_id)
        await system.go_live(inside.agent_id)

        async def booked() -> bool:
            return ended(await insert(desk, inside, in_days(20))) == (200, "Complete")

        await system.until("the sync knows of the pilot", booked)
        refused(await insert(desk, outside, in_days(20)), "go-live")
        assert len(await live(system)) == 1
        await system.go_live()
        await system.quiet()
        assert len(await live(system)) == 1, "what was refused is not booked by itself"


async def test_a_pulled_brake_delays_and_loses_nothing(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: 408 while the brake is pulled; released, the same wish is booked once and the call again is
    it.
    """
    answers_within(monkeypatch, 1.0)
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        await system.ledger.pool.execute(
            "UPDATE ledger.deployment SET brake_reason = 'a drill', braked_at = now()"
        )
        assert ended(await insert(desk, agent, in_days(20))) == (408, "Error")
        await system.set_by_hand(request, "Error")
        assert await system.writes() == []
        await system.ledger.deployment.release_brake()
        await shows(system, request, "AutomaticallyComplete")
        assert await live(system) == [id_of(await insert(desk, agent, in_days(20)))]


async def test_refused_credentials_stop_calls_too(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: the answer is an error, nobody hammers the HRIS, and the booking follows when the key is
    good.
    """
    monkeypatch.setattr(timeoff_sync.watch, "EVERY", 0.1)
    answers_within(monkeypatch, 1.0)
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        assert await left(desk, agent)
        good = (await system.admin("GET", "/options"))["bamboohr"]["apiKeys"]
        await system.options(bamboohr={"apiKeys": {"another": {}}, "lockout": {"attempts": 0}})
        for _ in range(2):
            code, status = ended(await insert(desk, agent, in_days(20)))
            assert (code in (401, 403, 408, 502, 503), status) == (True, "Error"), code
        await system.set_by_hand(request, "Error")
        assert len(await system.writes()) <= 1
        assert await live(system) == []
        await system.options(bamboohr={"apiKeys": good})
        await shows(system, request, "AutomaticallyComplete")
        assert await booked_days(system) == [in_days(20)]
        assert len(await rows(system)) == 1


# -- the HRIS says no, or nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["commit_then_drop", "error_before_commit"])
async def test_a_lost_answer_of_the_hris_is_looked_for_while_the_call_waits(
    kind: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: committed or not, the call ends with the id of the one record."""
    for module in (lane_run, lane_writer):
        monkeypatch.setattr(module, "SEND_WITHIN", 1.0)
    quick: Any = {**FLOWS, "hris": {"acme": {"settings": {"call_timeout": 0.5}}}}
    async with office(database_url, tmp_path, **quick) as (system, desk):
        agent = system.agents[0]
        known = await insert(desk, agent, in_days(30))
        await system.fault("create", kind)
        answers = await together(*(insert(desk, agent, in_days(20)) for _ in range(2)))
        (id,) = {id_of(answer) for answer in answers}
        assert sorted(await live(system)) == sorted([id, id_of(known)])
        request = await system.submit(agent, in_days(20))
        await system.until("bound", lambda: _has_handover(system, request))
        await system.fault("create|update", kind)
        changed = await update(desk, id, agent, in_days(21))
        assert id_of(changed) in await live(system)
        await system.fault("status", kind)
        await update(desk, id, agent, in_days(21), timeOffStatus="CANCELED")
        assert await live(system) == [id_of(known)]


async def test_a_refusal_of_the_hris_is_the_answer_and_can_be_tried_again(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        await system.options(bamboohr={"rejectOverlap": True})
        other = await system.booked_by_hand(agent, {in_days(20): "2"})
        refused(await insert(desk, agent, in_days(20)), "overlap")
        await system.state(request, "held", "overlap")
        await system.admin("PATCH", f"/hris/entries/{other}", {"status": "canceled"})
        answer = await insert(desk, agent, in_days(20))
        assert await live(system) == [id_of(answer)]


async def test_equal_leave_that_was_booked_by_hand_is_adopted(database_url: str, tmp_path: Path) -> None:
    """Promise: a call for a request that Genesys showed before looks first, as for any first sight."""
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent = system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        old = await system.booked_by_hand(agent, {in_days(20): "8"})
        answer = await insert(desk, agent, in_days(20))
        assert id_of(answer) == old
        assert await system.writes() == []


@pytest.mark.parametrize("accept", [True, False])
async def test_accepted_is_complete_and_a_later_refusal_is_told(
    accept: bool, database_url: str, tmp_path: Path
) -> None:
    """Promise: the HRIS accepts now and decides later: Complete at once; only a refusal corrects the
    status.
    """
    mode = MODES["accepted_later"]
    slow = for_system(type(mode)(mode.settings, delay=3600.0, read_lag=mode.read_lag))
    async with office(database_url, tmp_path, **FLOWS, **slow) as (system, desk):
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        request = await system.submit(agent, in_days(20))
        await system.state(request, "not_ours", "written_by_flows")
        answer = await insert(desk, agent, in_days(20))
        await system.set_by_hand(request, "AutomaticallyComplete")
        await system.state(request, "waiting", "not_yet_effective")
        hr.settle(id_of(answer), accept)
        await system.ledger.pool.execute("UPDATE ledger.requests SET due_at = now()")
        if accept:
            await system.until("in effect", lambda: system.ledger.pool.fetchval(_EFFECTIVE))
            await system.quiet()
            assert await system.integration_status(request) == "AutomaticallyComplete"
        else:
            await shows(system, request, "Error")
            assert (await rows(system))[0]["state"] == "held"


async def test_done_by_hand_stands_until_something_else_is_wanted(database_url: str, tmp_path: Path) -> None:
    """Promise: ManuallyComplete in Genesys is a person's word on what was asked for then: the same call again
    writes nothing, another wish is carried out."""
    async with office(database_url, tmp_path, **FLOWS) as (system, desk):
        agent, far = system.agents[0], [in_days(20 + n) for n in range(15)]
        request = await system.submit(agent, *far, activityCodeId=DAY_OFF)
        await system.state(request, "not_ours", "written_by_flows")
        await system.options(bamboohr={"rejectInsufficient": True})
        assert ended(await insert(desk, agent, *far, timeOffTypeId="84")) == (200, "InsufficientBalance")
        await system.set_by_hand(request, "ManuallyComplete")
        await system.state(request, "settled", "done_by_hand")
        tried = await system.writes()
        again = await insert(desk, agent, *far, timeOffTypeId="84")
        assert ended(again) == (200, "Complete")
        assert await system.writes() == tried
        await system.set_by_hand(request, "Processing")  # as Genesys does before it calls
        moved = await update(desk, request, agent, in_days(23), timeOffTypeId="84")
        assert await live(system) == [id_of(moved)]


# -- what an employee wrote -----------------------------------------------------------------------------


@pytest.mark.parametrize("notes", ["omit", "copy"])
@pytest.mark.parametrize("path", [FLOWS, EVENTS], ids=["flows", "events"])
async def test_notes_go_to_the_hris_if_anywhere(
    path: Any, notes: str, database_url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Promise: no line, metric, answer, reason, evidence or topic holds a word of them; with `copy` the
    HRIS has them as they were written, with `omit` nothing at all.
    """
    async with office(database_url, tmp_path, **path, notes=notes) as (system, desk):
        logs.configure(LoggingSettings(level="debug"), "test")
        one, two, three = system.agents[:3]
        await system.booked_by_hand(two, {in_days(20): "2"})
        await system.options(bamboohr={"rejectOverlap": True})
        answers = [await insert(desk, agent, in_days(20), notes=NOTES) for agent in (one, two)]
        for agent in (one, two):
            await system.submit(agent, in_days(20), notes=NOTES)
        refusals = await together(
            insert(desk, three, in_days(20), in_days(20), notes=NOTES),
            insert(desk, three, in_days(20), timeOffStatus="PENDING", minutes=[1440], notes=NOTES),
            insert(desk, NOTES, in_days(20), notes=NOTES),
            update(desk, "99999", three, in_days(20), notes=NOTES),
        )
        await system.until(
            "booked", lambda: system.ledger.pool.fetchval("SELECT count(*) FROM ledger.entries")
        )
        if path is FLOWS:
            await system.submit(three, in_days(22), notes=NOTES)
            answers.append(await insert(desk, three, in_days(22), notes=NOTES))
        statement = "SELECT count(*) FROM ledger.requests WHERE state = 'held'"
        await system.until("one is held", lambda: system.ledger.pool.fetchval(statement))
        assert SECRET not in str(answers)
        assert SECRET not in str(
            [answer["Flow.errorMsg"] for answer in refusals if "employee" not in str(answer)]
        )
        evidence = await system.ledger.pool.fetch("SELECT detail::text AS detail FROM ledger.evidence")
        assert SECRET not in str([row["detail"] for row in evidence])
        standing = await system.ledger.pool.fetch("SELECT reason, detail::text AS d FROM ledger.requests")
        assert SECRET not in str([tuple(row) for row in standing])
        assert SECRET not in str(await system.outcomes())
        said = [str(entry["notes"]) for entry in await system.entries() if entry["status"] == "approved"]
        if notes == "copy":
            assert any(SECRET in each for each in said)
        else:
            assert SECRET not in str(said)
            assert SECRET not in await system.everything_in_tables()
            assert SECRET not in await system.everything_on_topics()
    assert SECRET not in generate_latest().decode()
    out, err = capfd.readouterr()
    assert "request.applied" in out + err, "nothing was captured"
    assert SECRET not in out + err


async def test_two_balance_services_and_a_reservation_of_one(database_url: str, tmp_path: Path) -> None:
    """Promise: the notice of a reservation, a change of it and its end reaches a replica that keeps
    figures.
    """
    async with (
        office(database_url, tmp_path) as (system, desk),
        served(system.settings, fresh=600.0) as other,
    ):
        agent = system.agents[0]
        before = await left(other, agent)
        answer = await insert(desk, agent, in_days(20))
        await comes_to(system, other, agent, before - 480)
        await update(desk, id_of(answer), agent, in_days(20), in_days(21))
        await comes_to(system, other, agent, before - 960)
        await update(desk, id_of(answer), agent, in_days(20), in_days(21), timeOffStatus="CANCELED")
        await comes_to(system, other, agent, before)


async def books(system: System, *days: str) -> None:
    """Wait until just this is booked."""

    async def booked() -> bool:
        return await booked_days(system) == sorted(days)

    await system.until("booked", booked)


async def linked(system: System, agent_id: str) -> None:
    statement = "SELECT employee_id FROM ledger.agent_links WHERE agent_id = $1"
    await system.until("linked", lambda: system.ledger.pool.fetchval(statement, agent_id))


async def _has_handover(system: System, request: str) -> bool:
    statement = "SELECT handover_id FROM ledger.requests WHERE request_id = $1"
    return bool(await system.ledger.pool.fetchval(statement, request))


_EFFECTIVE = "SELECT bool_and(effective) FROM ledger.entries"

"""A balance before, during and after a request is booked, changed and withdrawn: with listener, sync, HRIS
and two replicas of the balance service. What is accepted counts at once, and counts once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.acceptance.conftest import Launch
from tests.support.balance import Desk, served
from tests.support.leave import served as leave_served
from tests.support.reference_sandbox import MODES, ReferenceOffice, for_system
from tests.support.system import DAY_OFF, Agent, System, in_days

LATER = in_days(40)
#: Longer than anything that a test waits for: nothing changes because time goes by.
LONG = 600.0


async def linked(system: System, agent: Agent) -> None:
    async def known() -> Any:
        return await system.ledger.pool.fetchval(
            "SELECT employee_id FROM ledger.agent_links WHERE agent_id = $1", agent.agent_id
        )

    await system.until("the agent is linked", known)


async def shown(system: System, desk: Desk, agent: Agent, minutes: int, type_id: str = "83") -> Any:
    """Wait until the service says so; returns the row."""

    async def says() -> Any:
        row = await desk.row(agent.employee_id, LATER, type_id)
        return row if row["minutes"] == minutes else None

    return await system.until(f"{minutes} minutes left", says)


async def test_before_during_and_after_a_booking_on_two_replicas(launch_on_each_log: Launch) -> None:
    """Promise: what is accepted in Genesys is subtracted on every replica although nothing grew old, once
    only while it is written, and stays subtracted when the HRIS shows it."""
    async with (
        launch_on_each_log() as system,
        served(system.settings, fresh=LONG) as one,
        served(system.settings, fresh=LONG) as two,
    ):
        agent = system.agents[0]
        await linked(system, agent)
        before = [await desk.row(agent.employee_id, LATER) for desk in (one, two)]
        assert before[0]["minutes"] == before[1]["minutes"]
        left = before[0]["minutes"]
        await system.fault("create", "slow", seconds=0.5)
        seen: set[int] = set()
        request = await system.submit(agent, in_days(10), in_days(11))
        for desk in (one, two):
            row = await shown(system, desk, agent, left - 960)
            assert (row["hris"], row["pendingMinutes"]) == (before[0]["hris"], 960)

        async def booked() -> bool:
            for desk in (one, two):
                seen.add((await desk.row(agent.employee_id, LATER))["minutes"])
            return await system.live_entries(request) != []

        await system.until("booked", booked)
        await system.quiet()

        async def read_anew() -> bool:
            rows = [await desk.row(agent.employee_id, LATER) for desk in (one, two)]
            seen.update(row["minutes"] for row in rows)
            return all(row["pendingMinutes"] == 0 for row in rows)

        await system.until("the HRIS's own number holds it", read_anew)
        assert seen == {left - 960}, "neither forgotten nor counted twice at any moment"
        row = await one.row(agent.employee_id, LATER)
        assert Decimal(row["hris"]["amount"]) == Decimal(before[0]["hris"]["amount"]) - 16


async def test_a_change_and_a_withdrawal(launch: Launch) -> None:
    """Promise: an update takes what it brings and gives back what it replaces; a cancel gives back when the
    HRIS shows it."""
    async with launch() as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        request = await system.submit(agent, in_days(10), in_days(11))
        await system.quiet()
        await shown(system, desk, agent, left - 960)
        await system.change(request, dates=[in_days(10)])
        await shown(system, desk, agent, left - 480)
        await system.quiet()
        await shown(system, desk, agent, left - 480)
        await system.change(request, status="CANCELED")
        await system.quiet()
        row = await shown(system, desk, agent, left)
        assert row["pendingMinutes"] == 0


async def test_an_update_that_waits_shows_both_sides(launch: Launch) -> None:
    """Promise: while a grown request waits for the HRIS, only what it grew by is pending."""
    async with launch() as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        request = await system.submit(agent, in_days(10))
        await system.quiet()
        await shown(system, desk, agent, left - 480)
        await system.stop_syncs()
        await system.change(request, dates=[in_days(12), in_days(13)])
        await system.start_sync()
        row = await shown(system, desk, agent, left - 960)
        await system.quiet()
        await shown(system, desk, agent, left - 960)
        assert row["minutes"] == left - 960


async def test_what_is_to_be_replaced_is_added_back(launch: Launch) -> None:
    """Promise: a request that is asked to shrink or move is not in the way of itself, by any of its ids."""
    async with launch() as system, served(system.settings) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        request = await system.submit(agent, in_days(10), in_days(11))
        await system.quiet()
        await system.change(request, dates=[in_days(10), in_days(12)])
        await system.quiet()
        await shown(system, desk, agent, left - 960)

        async def certain() -> bool:
            row = await desk.row(agent.employee_id, LATER)
            return bool(row["pendingMinutes"] == 0)

        await system.until("the HRIS's own number holds it", certain)
        ids = [request, *(await system.chain(request))]
        assert len(ids) == 3
        for each in ids:
            row = await desk.row(agent.employee_id, LATER, replaces=[each])
            assert (row["minutes"], row["addedBackMinutes"]) == (left, 960), each
        row = await desk.row(agent.employee_id, LATER, replaces=["somebody else's"])
        assert (row["minutes"], row["addedBackMinutes"]) == (left - 960, 0)
        other = await desk.row(system.agents[1].employee_id, LATER, replaces=[request])
        assert other["addedBackMinutes"] == 0, "another employee's request gives nothing back"


async def test_days_after_the_date_asked_for_do_not_count(launch: Launch) -> None:
    """Promise: a balance as of a date is without the leave that comes later, as the HRIS counts it."""
    async with launch(live=False) as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        await system.submit(agent, in_days(10), in_days(20))
        await system.quiet()
        days = (in_days(9), in_days(10), in_days(19), in_days(20))
        rows = await desk.rows(agent.employee_id, *days, types=["83"])
        assert [row["pendingMinutes"] for row in rows] == [0, 480, 480, 960]


async def test_a_pending_request_and_another_type_take_nothing(launch: Launch) -> None:
    """Promise: only what is accepted, of the type that it is."""
    async with launch(live=False) as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        await system.submit(agent, in_days(10), status="PENDING")
        await system.submit(agent, in_days(11), activityCodeId=DAY_OFF)
        await system.submit(system.agents[1], in_days(10))
        await system.quiet()
        pending = {row["typeId"]: row["pendingMinutes"] for row in await desk.rows(agent.employee_id, LATER)}
        taken = {type_id: minutes for type_id, minutes in pending.items() if minutes}
        assert len(taken) == 1
        assert "83" not in taken


async def test_a_refused_request_is_still_accepted_and_still_subtracted(launch: Launch) -> None:
    """Promise: what the HRIS refused is shown as not booked, until somebody decides."""
    async with launch() as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        await system.fault("create", "refuse", status=400)
        request = await system.submit(agent, in_days(10))
        await system.state(request, "failed")
        row = await shown(system, desk, agent, left - 480)
        assert row["pendingMinutes"] == 480


async def test_a_lost_answer_is_never_a_number_too_high(launch: Launch) -> None:
    """Promise: while nobody knows whether a write arrived, its minutes stay subtracted."""
    async with launch(sync={"find_waits": [0.0, 0.6, 0.6]}) as system, served(system.settings) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        await system.fault("create", "commit_then_drop")
        request = await system.submit(agent, in_days(10))
        seen: list[int] = []

        async def settled() -> bool:
            seen.append((await desk.row(agent.employee_id, LATER))["minutes"])
            standing = await system.standing(request)
            return standing is not None and standing.state == "settled"

        await system.until("settled", settled)
        first = seen.index(next(minutes for minutes in seen if minutes != left))
        assert all(minutes <= left - 480 for minutes in seen[first:])
        await system.quiet()
        await shown(system, desk, agent, left - 480)


async def test_events_that_the_ledger_has_not_taken_in_are_told(launch: Launch) -> None:
    """Promise: with the sync down, an answer says that something is not known yet, and is not kept."""
    async with launch() as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        await system.submit(agent, in_days(30))
        await system.quiet()  # intake has an offset
        await system.stop_syncs()
        await system.submit(agent, in_days(10))

        async def told() -> bool:
            answer = await desk.ask(agent.employee_id, LATER, types=["83"])
            return not answer["complete"]

        await system.until("the answer says that it is not complete", told)
        async with served(system.settings) as newcomer:
            answer = await newcomer.ask(agent.employee_id, LATER, types=["83"])
            assert not answer["complete"], "also where nothing was heard of it"
        await system.start_sync()
        await shown(system, desk, agent, left - 960)
        await system.quiet()
        assert (await desk.ask(agent.employee_id, LATER, types=["83"]))["complete"]


async def test_a_notice_drops_what_is_kept(launch: Launch) -> None:
    """Promise: what is stored in the ledger without an event is heard of on every replica."""
    async with launch(live=False) as system, served(system.settings, fresh=LONG) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        request = await system.submit(agent, in_days(10))
        await system.quiet()
        row = await desk.row(agent.employee_id, LATER)
        assert row["pendingMinutes"] == 480
        await system.ledger.pool.execute(
            "UPDATE ledger.requests SET state = 'settled' WHERE request_id = $1", request
        )
        assert (await desk.row(agent.employee_id, LATER)) == row, "it is kept"
        notice = json.dumps({"target": "acme", "employee_id": agent.employee_id})
        await system.ledger.pool.execute("SELECT pg_notify('timeoff_balance', $1)", notice)

        async def dropped() -> bool:
            return bool((await desk.row(agent.employee_id, LATER))["pendingMinutes"] == 0)

        await system.until("the notice was heard", dropped)


async def test_nothing_is_kept_while_the_log_is_away(launch: Launch) -> None:
    """Promise: whoever does not hear of changes looks each time."""
    async with launch(live=False) as system, served(system.settings, fresh=LONG, follow=False) as desk:
        agent = system.agents[0]
        await linked(system, agent)
        left = (await desk.row(agent.employee_id, LATER))["minutes"]
        await system.submit(agent, in_days(10))
        await system.quiet()
        assert (await desk.row(agent.employee_id, LATER))["minutes"] == left - 480


async def test_periods_and_writes_that_take_effect_later(launch: Launch) -> None:
    """Promise: an accepted write counts at once, is not counted twice when it takes effect, and a request of
    one year is not in the figure of the next."""
    mode = MODES["accepted_later"].but(balance_as_of="per_period")
    async with launch(**for_system(mode)) as system, served(system.settings, fresh=0.02) as desk:
        hr = ReferenceOffice(system.sandbox)
        agent = system.agents[0]
        await linked(system, agent)
        year = int(in_days(10)[:4])
        end, begin = f"{year}-12-31", f"{year + 1}-01-01"
        before = await desk.rows(agent.employee_id, end, begin, types=["83"])
        request = await system.submit(agent, in_days(10))
        seen: list[int] = []

        async def effective() -> bool:
            rows = await desk.rows(agent.employee_id, end, begin, types=["83"])
            seen.append(rows[0]["minutes"])
            assert rows[1]["minutes"] == before[1]["minutes"]
            standing = await system.standing(request)
            return standing is not None and standing.state == "settled"

        await system.until("effective", effective)
        assert len(hr.live(agent.employee_id)) == 1
        first = seen.index(next(minutes for minutes in seen if minutes != before[0]["minutes"]))
        assert all(minutes <= before[0]["minutes"] - 480 for minutes in seen[first:])

        async def exact() -> bool:
            (row,) = await desk.rows(agent.employee_id, end, types=["83"])
            return bool(row["minutes"] == before[0]["minutes"] - 480 and row["pendingMinutes"] == 0)

        await system.until("the HRIS's own number holds it", exact)


async def test_balances_of_the_leave_service(launch: Launch, database_url: str) -> None:
    """Promise: another HRIS, in days of seven and a half hours, and minutes all the same."""
    async with leave_served(database_url, datetime.now(UTC).replace(tzinfo=None).isoformat()) as leave:
        region = await leave.region("West", timeZone="Europe/Dublin")
        item = await leave.item(leaveType=10, quantity=18, region=region)
        policy = await leave.policy(items=[item], region=region, payHoursPerDay=7.5)
        employee = await leave.employee(region=region)
        await leave.assign(policy, employee)
        hris = {
            "leave": {
                "adapter": "tracktik",
                "requests_per_minute": 60_000,
                "settings": {
                    "base_url": leave.url,
                    "username": "administrator",
                    "password": leave.password,
                    "client_id": "timeoff-sync",
                    "client_secret": leave.client_secret,
                    "read_lag": 0.05,
                    "call_timeout": 2.0,
                    "read_timeout": 1.5,
                },
                "management_units": ["nobody"],
            }
        }
        async with (
            launch(listen=False, hris=hris) as system,
            served(system.settings) as desk,
        ):
            on = in_days(1)
            (row,) = await desk.rows(str(employee), on, types=["10"], target="leave")
            assert row["minutes"] == 18 * 450
            assert row["reason"] is None
            await leave.post(
                "/leave-requests", {"employee": employee, "leaveType": 10, "startDate": on, "endDate": on}
            )
            other = in_days(2)
            (row,) = await desk.rows(str(employee), other, types=["10"], target="leave")
            assert row["minutes"] == 17 * 450
            body = {"employeeId": "99999", "target": "leave", "dates": [on]}
            await desk.refused(404, "unknown_employee", "POST", "/v1/balances/query", body)
            await desk.refused(
                400, "unknown_target", "POST", "/v1/balances/query", {"employeeId": "1", "dates": [on]}
            )


async def test_the_service_ends_when_it_is_asked_to(launch: Launch) -> None:
    async with launch(listen=False, syncs=0) as system:
        async with served(system.settings) as desk:
            tasks = desk.tasks
        assert all(task.done() and task.exception() is None for task in tasks)
        await asyncio.sleep(0)

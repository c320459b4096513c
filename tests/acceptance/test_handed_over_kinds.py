"""`write_path = flows` on every kind of HRIS: after each call it shows just what was handed over, once, or
the answer says why not.
"""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.test_every_kind_of_hris import BY_STEPS, DOUBTED, quick, whole
from tests.support.handed import (
    FLOWS,
    comes_to,
    ended,
    id_of,
    insert,
    left,
    office,
    one_row,
    refused,
    rows,
    together,
    update,
)
from tests.support.reference_sandbox import MODES, ReferenceOffice, for_system
from tests.support.system import System, in_days

from timeoff_sync import lane_run, lane_writer


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doubt is settled after the deadline of its write, most of which is slack for a busy machine."""
    for module in (lane_run, lane_writer):
        monkeypatch.setattr(module, "SEND_WITHIN", 1.0)


async def in_effect(system: System, hr: ReferenceOffice) -> None:
    """No step is left, and the ledger's entries are exactly the records that count."""

    async def agree() -> bool:
        if await system.ledger.pool.fetchval(_UNDONE):
            return False
        found = await system.ledger.pool.fetch("SELECT vendor_id, live, effective FROM ledger.entries")
        known = sorted(row["vendor_id"] for row in found if row["live"])
        return known == sorted(each["id"] for each in hr.live()) and all(row["effective"] for row in found)

    await system.until("all in effect", agree)


@pytest.mark.parametrize("name", BY_STEPS)
async def test_the_life_of_what_is_handed_over(name: str, database_url: str, tmp_path: Path) -> None:
    """Promise: inserted, repeated, changed, cancelled, inserted anew; the id of any answer leads to it."""
    async with office(database_url, tmp_path, **FLOWS, **for_system(MODES[name])) as (system, desk):
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        days = in_days(14), in_days(15), in_days(16)
        request = await system.submit(agent, *days)
        answers = await together(*(insert(desk, agent, *days) for _ in range(2)))
        assert len({id_of(answer) for answer in answers}) == 1
        await in_effect(system, hr)
        assert hr.minutes(agent.employee_id) == whole(14, 15, 16)
        assert id_of(answers[0]) in {each["id"] for each in hr.live()}
        assert (await one_row(system))["request_id"] == request

        wanted = {in_days(15): Decimal(480), in_days(16): Decimal(240), in_days(17): Decimal(480)}
        minutes = [int(wanted[on]) for on in wanted]
        ids = [id_of(answers[0])]
        for _ in range(2):
            changed = await update(desk, ids[0], agent, *wanted, minutes=minutes)
            ids.append(id_of(changed))
        await system.change(request, dates=list(wanted), minutes=minutes, payableMinutes=minutes)
        await in_effect(system, hr)
        assert hr.minutes(agent.employee_id) == wanted

        gone = await update(desk, ids[-1], agent, *wanted, minutes=minutes, timeOffStatus="CANCELED")
        assert ended(gone) == (200, "Complete")
        await in_effect(system, hr)
        assert hr.minutes(agent.employee_id) == {}
        await system.change(request, status="CANCELED")
        anew = await insert(desk, agent, *wanted, minutes=minutes)
        await in_effect(system, hr)
        assert hr.minutes(agent.employee_id) == wanted
        assert id_of(anew) not in ids
        assert await system.waiting_for_people() == {}


@pytest.mark.parametrize("name", DOUBTED)
async def test_answers_of_the_hris_that_are_lost(name: str, database_url: str, tmp_path: Path) -> None:
    """Promise: looked for while the call waits, whatever keys the HRIS has: one record, one id."""
    async with office(database_url, tmp_path, **FLOWS, **quick(name), listen=False) as (system, desk):
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        await insert(desk, agent, in_days(40))
        for kind in ("commit_then_drop", "error_before_commit"):
            hr.fault("create", kind)
            answer = await insert(desk, agent, in_days(14), in_days(15))
            await in_effect(system, hr)
            assert hr.minutes(agent.employee_id) == whole(14, 15, 40), kind
            hr.fault("create|update", kind)
            hr.fault("cancel", kind)
            changed = await update(desk, id_of(answer), agent, in_days(15), in_days(16))
            assert ended(changed) == (200, "Complete")
            await in_effect(system, hr)
            assert hr.minutes(agent.employee_id) == whole(15, 16, 40), kind
            hr.fault("cancel", kind)
            days = in_days(15), in_days(16)
            await update(desk, id_of(answer), agent, *days, timeOffStatus="CANCELED")
            await in_effect(system, hr)
            assert hr.minutes(agent.employee_id) == whole(40), kind


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("no_update", {"dates": [15]}, "update_unsupported"),
        ("no_cancel", {"status": "CANCELED"}, "cancel_unsupported"),
        ("neither", {"dates": [15]}, "update_unsupported"),
        ("neither", {"status": "CANCELED"}, "cancel_unsupported"),
    ],
)
async def test_what_the_hris_cannot_do_is_not_allowed(
    name: str, change: dict[str, Any], reason: str, database_url: str, tmp_path: Path
) -> None:
    """Promise: NotAllowed with the reason, both sides for a person; done by hand, the same call is
    complete.
    """
    async with office(database_url, tmp_path, **FLOWS, **for_system(MODES[name])) as (system, desk):
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        both_days = in_one_year(2)
        full = await left(desk, agent, both_days[-1])
        answer = await insert(desk, agent, *both_days)
        days = [both_days[1]] if "dates" in change else list(both_days)
        more = {"timeOffStatus": change["status"]} if "status" in change else {}
        for _ in range(2):
            refused(await update(desk, id_of(answer), agent, *days, **more), reason)
        assert hr.minutes(agent.employee_id) == dict.fromkeys(both_days, Decimal(480))
        assert len(await rows(system)) == 1
        assert await left(desk, agent, days[-1]) <= full - 960, "nothing is given back that is still booked"
        await comes_to(system, desk, agent, full - 960, days[-1])
        (entry,) = hr.live(agent.employee_id)
        if more:
            hr.edit_by_hand(entry["id"], "cancelled")
        else:
            hr.edit_by_hand(entry["id"], None, {date.fromisoformat(days[0]): Decimal(8)})

        async def complete() -> bool:
            done = await update(desk, id_of(answer), agent, *days, **more)
            return ended(done) == (200, "Complete")

        await system.until("complete as soon as a search shows it", complete)
        assert hr.minutes(agent.employee_id) == ({} if more else {days[0]: Decimal(480)})


def in_one_year(count: int) -> list[str]:
    """So many days in a row: this HRIS counts leave by calendar year."""
    first = next(n for n in range(14, 20) if in_days(n)[:4] == in_days(n + count - 1)[:4])
    return [in_days(first + n) for n in range(count)]


@pytest.mark.parametrize("name", ["entry_per_day", "entry_per_day_unique", "in_place", "current_balances"])
async def test_the_balance_while_it_is_booked_and_cancelled(
    name: str, database_url: str, tmp_path: Path
) -> None:
    """Promise: whatever the HRIS writes one by one, what is left moves once and not by steps."""
    async with office(database_url, tmp_path, **FLOWS, **for_system(MODES[name]), listen=False) as (
        system,
        desk,
    ):
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        days = in_one_year(3)
        full = await left(desk, agent, days[-1])
        seen: list[int] = []
        hr.fault("create", "slow", seconds=0.1, times=3)

        async def looked_at(call: Any) -> Any:
            running = asyncio.create_task(call)
            while not running.done():
                seen.append(await left(desk, agent, days[-1]))
            return await running

        answer = await looked_at(insert(desk, agent, *days))
        after = await left(desk, agent, days[-1])
        assert after == full - 1440
        assert set(seen) <= {full, after}
        assert seen == sorted(seen, reverse=True), "never given back in between"
        await update(desk, id_of(answer), agent, *days, timeOffStatus="CANCELED")
        await comes_to(system, desk, agent, full, days[-1])


_UNDONE = "SELECT count(*) FROM ledger.requests WHERE state IN ('open', 'waiting')"

"""Whatever an HRIS can do and cannot do: it shows what Genesys says, once, or a person is told what to do.

The HRIS is the sandbox's reference HRIS, whose book is the judge.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.acceptance.conftest import Launch
from tests.support.reference_sandbox import MODES, Mode, ReferenceOffice, for_system
from tests.support.system import System, in_days

from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus
from timeoff_sync import lane_run, lane_writer

BY_STEPS = [
    "in_place_status_alone",
    "replace_new_id_unique",
    "cancel_and_create",
    "cancel_and_create_no_overlap",
    "delete_and_create",
    "counter_entry",
    "counter_entry_unique",
    "entry_per_day",
    "entry_per_day_unique",
    "entry_per_day_counter",
    "accepted_later",
    "accepted_later_unique",
    "accepted_later_delete",
    "accepted_later_counter",
]

#: Each way of updating, of cancelling and of keeping keys, and what is accepted first.
DOUBTED = [
    "in_place_status_alone",
    "in_place_upsert",
    "replace_new_id_unique",
    "cancel_and_create",
    "delete_searchable",
    "counter_entry",
    "counter_entry_unique",
    "entry_per_day",
    "entry_per_day_unique",
    "accepted_later_counter",
]


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doubt is settled after the deadline of its write, most of which is slack for a busy machine."""
    for module in (lane_run, lane_writer):
        monkeypatch.setattr(module, "SEND_WITHIN", 1.0)


def quick(name: str) -> dict[str, Any]:
    """Arguments of `launch` for a mode whose calls end soon."""
    return for_system(MODES[name].but(call_timeout=0.5))


def whole(*days: int) -> dict[str, Decimal]:
    return {in_days(on): Decimal(480) for on in days}


async def all_effective(system: System, hr: ReferenceOffice) -> None:
    """Quiet, and the ledger's entries are exactly the records that count."""
    await system.quiet()
    rows = await system.ledger.pool.fetch("SELECT vendor_id FROM ledger.entries WHERE live")
    assert sorted(row["vendor_id"] for row in rows) == sorted(each["id"] for each in hr.live())
    assert not await system.ledger.pool.fetchval("SELECT count(*) FROM ledger.entries WHERE NOT effective")
    assert await system.waiting_for_people() == {}


@pytest.mark.parametrize("name", BY_STEPS)
async def test_the_life_of_a_request(launch: Launch, name: str) -> None:
    """Promise: submitted, edited, moved, cancelled, approved again: after each the HRIS shows just that."""
    async with launch(**for_system(MODES[name])) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        request = await system.submit(agent, in_days(14), in_days(15), in_days(16))
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == whole(14, 15, 16)

        days = {in_days(15): Decimal(480), in_days(16): Decimal(240), in_days(17): Decimal(480)}
        minutes = [int(days[on]) for on in days]
        await system.change(request, dates=list(days), minutes=minutes, payableMinutes=minutes)
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == days
        assert await system.integration_status(request) == "AutomaticallyComplete"

        await system.change(request, status="CANCELED")
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == {}

        await system.change(request, status="APPROVED")
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == days
        assert await system.integration_status(request) == "AutomaticallyComplete"


@pytest.mark.parametrize("name", DOUBTED)
async def test_answers_that_are_lost_cost_no_second_record(launch: Launch, name: str) -> None:
    """Promise: done and not answered, or not done and not answered: looked for, in every mode, once."""
    async with launch(**quick(name)) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        known = await system.submit(agent, in_days(40))
        await all_effective(system, hr)
        for kind in ("commit_then_drop", "error_before_commit"):
            hr.fault("create", kind)
            request = await system.submit(agent, in_days(14), in_days(15))
            await all_effective(system, hr)
            assert hr.minutes(agent.employee_id) == whole(14, 15, 40), kind
            hr.fault("create|update", kind)
            hr.fault("cancel", kind)
            await system.change(request, dates=[in_days(15), in_days(16)])
            await all_effective(system, hr)
            assert hr.minutes(agent.employee_id) == whole(15, 16, 40), kind
            hr.reference.faults.clear()
            hr.fault("cancel", kind)
            await system.change(request, status="CANCELED")
            await all_effective(system, hr)
            assert hr.minutes(agent.employee_id) == whole(40), kind
            hr.reference.faults.clear()
        assert (await system.standing(known)).state == "settled"  # type: ignore[union-attr]


async def test_cancel_and_create_are_two_announced_writes(launch: Launch) -> None:
    """Promise: one intent each, in this order, and the cancel is told from a removal."""
    async with launch(**for_system(MODES["cancel_and_create"])) as system:
        hr = ReferenceOffice(system.sandbox)
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.change(request, dates=[in_days(15)])
        await all_effective(system, hr)
        assert hr.writes() == ["create", "cancel", "create"]
        rows = await system.ledger.pool.fetch("SELECT kind, booking FROM ledger.intents ORDER BY created_at")
        assert [tuple(row) for row in rows] == [("insert", 1), ("cancel_for_change", 1), ("insert", 2)]
        told = [(event["operation"], event["booking"]) for event in await system.outcomes()]
        assert told == [("insert", 1), ("cancel", 1), ("insert", 2)]


async def test_an_entry_a_day_is_an_announced_write_a_day(launch: Launch) -> None:
    """Promise: one intent each; an edit touches only the days that changed."""
    async with launch(**for_system(MODES["entry_per_day"])) as system:
        hr = ReferenceOffice(system.sandbox)
        request = await system.submit(system.agents[0], in_days(14), in_days(15), in_days(16))
        await all_effective(system, hr)
        assert hr.writes() == ["create"] * 3
        await system.change(
            request, dates=[in_days(14), in_days(16)], minutes=[480, 60], payableMinutes=[480, 60]
        )
        await all_effective(system, hr)
        assert hr.writes()[3:] == ["cancel", "update"]
        assert await system.ledger.pool.fetchval("SELECT count(DISTINCT intent_id) FROM ledger.intents") == 5


async def test_a_refused_second_half_is_said_and_mended_by_a_retry(launch: Launch) -> None:
    """Promise: what was cancelled for a change that the HRIS then refuses does not vanish without a word."""
    async with launch(**for_system(MODES["cancel_and_create_no_overlap"])) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        request = await system.submit(agent, in_days(14))
        await system.quiet()
        hand = hr.book_by_hand(agent.employee_id, "83", {date.fromisoformat(in_days(15)): Decimal(4)})
        await system.change(request, dates=[in_days(15)])
        standing = await system.state(request, "held", "overlap")
        assert standing.detail["hris"][0]["id"] == hand
        await system.quiet()
        assert await system.integration_status(request) == "Error"
        assert [each["id"] for each in hr.live()] == [hand]
        hr.edit_by_hand(hand, status="cancelled")
        await system.retry(request)
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == whole(15)


async def test_genesys_hears_of_it_when_the_last_day_is_in_effect(launch: Launch) -> None:
    """Promise: the first of two days is no success, whoever asked for it."""
    mode = SLOW.but(effective_within=30.0, entry_per_day=True)
    async with launch(**for_system(mode)) as system:
        hr = ReferenceOffice(system.sandbox)
        request = await system.submit(system.agents[0], in_days(14), in_days(15))
        await system.state(request, "waiting", "not_yet_effective")
        hr.settle(hr.entries()[0]["id"], accept=True)
        await system.until("the second day was asked for", lambda: _count(hr.entries, 2))
        report = "SELECT report FROM ledger.requests"
        assert await system.ledger.pool.fetchval(report) is None
        hr.settle(hr.entries()[1]["id"], accept=True)
        await all_effective(system, hr)
        assert await system.integration_status(request) == "AutomaticallyComplete"


@pytest.mark.parametrize("kind", ["commit_then_drop", "error_before_commit"])
async def test_genesys_hears_of_a_removal_whose_cancel_was_in_doubt(launch: Launch, kind: str) -> None:
    """Promise: an Error that Genesys still shows gives way when the leave is gone."""
    async with launch(**quick("in_place")) as system:
        hr = ReferenceOffice(system.sandbox)
        await system.submit(system.agents[0], in_days(40))
        request = await system.submit(system.agents[0], in_days(14))
        await all_effective(system, hr)
        hr.fault("update", "refuse")
        await system.change(request, dates=[in_days(15)])
        await system.state(request, "failed")
        await system.quiet()
        assert await system.integration_status(request) == "Error"
        hr.fault("cancel", kind)
        await system.change(request, status="CANCELED")
        await all_effective(system, hr)
        assert await system.integration_status(request) == "AutomaticallyComplete"


async def test_the_brake_counts_requests_and_not_records(launch: Launch) -> None:
    brake = {"brake": {"max_cancels": 1, "max_share": 0.1}}
    async with launch(**for_system(MODES["entry_per_day"]), sync=brake) as system:
        hr = ReferenceOffice(system.sandbox)
        request = await system.submit(system.agents[0], in_days(14), in_days(15), in_days(16))
        await all_effective(system, hr)
        await system.change(request, status="CANCELED")
        await all_effective(system, hr)
        assert hr.live() == []
        assert (await system.ledger.deployment.read()).brake_reason is None


async def test_an_hris_that_cannot_update_waits_for_a_person(launch: Launch) -> None:
    """Promise: held with what to do by hand; done by hand, a retry takes it over and writes nothing."""
    async with launch(**for_system(MODES["no_update"])) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        request = await system.submit(agent, in_days(14))
        await system.quiet()
        await system.change(request, dates=[in_days(15)])
        standing = await system.state(request, "held", "update_unsupported")
        assert standing.detail["wanted"]["minutes"] == {in_days(15): 480}
        (live,) = hr.live()
        assert standing.detail["booked"][0]["id"] == live["id"]
        hr.edit_by_hand(live["id"], dates={date.fromisoformat(in_days(15)): Decimal(8)})
        await system.retry(request)
        await all_effective(system, hr)
        assert hr.writes() == ["create"]


async def test_an_hris_that_cannot_cancel_waits_for_a_person(launch: Launch) -> None:
    """Promise: held with what to do by hand; cancelled by hand, a retry notes it and writes nothing."""
    async with launch(**for_system(MODES["no_cancel"])) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        request = await system.submit(agent, in_days(14))
        await system.quiet()
        await system.change(request, status="CANCELED")
        await system.state(request, "held", "cancel_unsupported")
        hr.edit_by_hand(hr.live()[0]["id"], status="cancelled")
        await system.retry(request)
        await all_effective(system, hr)
        assert hr.writes() == ["create"]


# -- accepted, in effect later ----------------------------------------------------------------------------

SLOW = Mode(delay=3600)


async def test_an_accepted_write_is_no_success_before_it_shows(launch: Launch) -> None:
    """Promise: Genesys and the topic hear of it when it is in effect; until then nothing else is written."""
    async with launch(**for_system(SLOW.but(effective_within=10.0))) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        request = await system.submit(agent, in_days(14))
        await system.state(request, "waiting", "not_yet_effective")
        await system.change(request, dates=[in_days(15)])
        assert await system.outcomes() == []
        assert await system.integration_status(request) != "AutomaticallyComplete"
        (accepted,) = hr.entries()
        hr.settle(accepted["id"], accept=True)
        await system.until("the change is on its way", lambda: _updated(hr))
        await system.until("the topic hears of it", lambda: _told(system, ["effective"]))
        hr.settle(accepted["id"], accept=True)
        await all_effective(system, hr)
        assert hr.minutes(str(agent.employee_id)) == whole(15)
        assert hr.writes() == ["create", "update"]


async def test_an_accepted_write_that_the_vendor_refuses_later_is_held(launch: Launch) -> None:
    async with launch(**for_system(SLOW.but(effective_within=10.0))) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        refused = await system.submit(agent, in_days(14))
        await system.state(refused, "waiting", "not_yet_effective")
        hr.settle(hr.entries()[0]["id"], accept=False)
        await system.state(refused, "held", "denied_in_hris")
        await system.change(refused, status="CANCELED")
        await system.state(refused, "settled")
        assert hr.writes() == ["create"]


async def test_an_accepted_write_that_takes_no_effect_in_time_is_held(launch: Launch) -> None:
    """Promise: nobody waits for ever; when it shows after all, a retry takes it over."""
    async with launch(**for_system(SLOW.but(effective_within=0.5))) as system:
        hr = ReferenceOffice(system.sandbox)
        request = await system.submit(system.agents[0], in_days(14))
        await system.state(request, "held", "not_yet_effective")
        hr.settle(hr.entries()[0]["id"], accept=True)
        await system.retry(request)
        await all_effective(system, hr)
        assert hr.writes() == ["create"]


async def test_a_lost_answer_to_an_accepted_write_is_settled_by_what_is_on_its_way(launch: Launch) -> None:
    async with launch(**for_system(SLOW.but(effective_within=10.0))) as system:
        hr = ReferenceOffice(system.sandbox)
        hr.fault("create", "commit_then_drop")
        request = await system.submit(system.agents[0], in_days(14))
        await system.state(request, "waiting", "not_yet_effective")
        hr.settle(hr.entries()[0]["id"], accept=True)
        await all_effective(system, hr)
        hr.fault("cancel", "commit_then_drop")
        await system.change(request, status="CANCELED")
        await system.until("accepted", lambda: _changing(hr, hr.entries()[0]["id"]))
        await system.state(request, "waiting", "not_yet_effective")
        hr.settle(hr.entries()[0]["id"], accept=True)
        await all_effective(system, hr)
        assert hr.minutes(str(system.agents[0].employee_id)) == {}
        assert hr.writes() == ["create", "cancel"]


# -- late arrivals ----------------------------------------------------------------------------------------


async def test_a_counter_entry_that_arrives_twice_is_taken_back(launch: Launch) -> None:
    """Promise: the audit finds the second one by its mark and books its opposite."""
    mode = MODES["counter_entry"]
    arguments = for_system(mode.but(call_timeout=0.5))
    async with launch(**arguments, sync={"twin_audit_after": 2.0}) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        request = await system.submit(agent, in_days(14))
        await system.submit(agent, in_days(40))
        await system.quiet()
        # Nobody hears of it, and it is carried out long after everybody has looked.
        hr.fault("cancel", "delay_then_commit", seconds=2.5)
        await system.change(request, status="CANCELED")
        await system.until("two counter entries", lambda: _surplus(hr))
        await system.until("one is taken back", lambda: _sums_to(hr, agent.employee_id, whole(40)))
        await system.quiet()
        assert hr.minutes(agent.employee_id) == whole(40)


async def test_a_twins_cancel_that_was_accepted_is_not_sent_again(launch: Launch) -> None:
    """Promise: the audit waits until it shows; each one more would book a counter entry of its own."""
    mode = Mode(MODES["accepted_later_counter"].settings, delay=1.0)
    async with launch(**for_system(mode)) as system:
        hr, agent = ReferenceOffice(system.sandbox, mode), system.agents[0]
        assert agent.employee_id
        request = await system.submit(agent, in_days(14))
        await all_effective(system, hr)
        await _book_twin(system, hr, request, agent.employee_id)
        await system.until("both are in effect", lambda: _count(hr.live, 2))
        await system.ledger.pool.execute(
            "UPDATE ledger.requests SET audit_at = now(), due_at = now(), revision = revision + 1"
        )
        await system.until("one is left", lambda: _count(hr.live, 1))
        await system.until("the audit is done", lambda: _audited(system))
        assert hr.writes().count("cancel") == 1
        assert hr.minutes(agent.employee_id) == whole(14)


@pytest.mark.parametrize("moved", [False, True])
async def test_a_first_try_that_comes_before_its_repeat_stands(launch: Launch, moved: bool) -> None:
    """Promise: what stands under the key is taken for what it says, and brought up to date."""
    async with launch(**for_system(Mode({"external_key": "unique"}).but(call_timeout=0.5))) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        hr.fault("create", "delay_then_commit", seconds=1.0)
        hr.fault("create", "throttle", retryAfter=1.5)  # the repeat comes after the first has arrived
        request = await system.submit(agent, in_days(14))
        await system.until("in doubt", lambda: _intents(system))
        if moved:
            await system.change(request, dates=[in_days(15)])
        await system.until("it has arrived", lambda: _count(hr.entries, 1))
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == whole(15 if moved else 14)


async def test_a_late_first_try_under_a_guarded_key_changes_nothing(launch: Launch) -> None:
    """Promise: the key makes one record of both; and it says what is wanted by now."""
    mode = Mode({"external_key": "unique"}).but(call_timeout=0.5)
    async with launch(**for_system(mode)) as system:
        hr, agent = ReferenceOffice(system.sandbox), system.agents[0]
        assert agent.employee_id
        hr.fault("create", "delay_then_commit", seconds=2.0)  # the adapter gives up after 0.5 s
        request = await system.submit(agent, in_days(14))
        await system.until("in doubt", lambda: _intents(system))
        await system.change(request, dates=[in_days(15)])
        await all_effective(system, hr)
        await system.until("the late call has ended", lambda: _ended(hr))
        await system.retry(request)
        await all_effective(system, hr)
        assert hr.minutes(agent.employee_id) == whole(15)


async def test_a_record_of_ours_that_the_ledger_lost_is_adopted_by_its_key(launch: Launch) -> None:
    """Promise: the key is refused a second time; what holds it is looked for, and is ours."""
    async with launch(**for_system(Mode({"external_key": "unique"}))) as system:
        hr = ReferenceOffice(system.sandbox)
        request = await system.submit(system.agents[0], in_days(14))
        await all_effective(system, hr)
        for table in ("intents", "entries"):
            await system.ledger.pool.execute(f"DELETE FROM ledger.{table}")
        await system.ledger.pool.execute(
            "UPDATE ledger.requests"
            " SET due_at = now(), look_first = false, writes = 0, revision = revision + 1"
        )
        await system.restart_sync()
        await all_effective(system, hr)
        assert hr.minutes(str(system.agents[0].employee_id)) == whole(14)
        assert (await system.standing(request)).reason == "adopt"  # type: ignore[union-attr]


async def _count(entries: Callable[[], list[Any]], count: int) -> bool:
    return len(entries()) == count


async def _book_twin(system: System, hr: ReferenceOffice, request: str, employee_id: str) -> None:
    """A second record of the request's booking, as a write that was lost on the way would make it."""
    deployment = (await system.ledger.deployment.read()).deployment_id
    hris = await hr.open()
    try:
        types = {type_.id: type_ for type_ in await hris.list_time_off_types()}
        days = (Day(date.fromisoformat(in_days(14)), 480, whole=True),)
        spec = EntrySpec(employee_id, "83", None, EntryStatus.APPROVED, days, "UTC")
        await hris.insert(EntryKey(deployment, system.settings.org, request, 1), 9, spec, types["83"])
    finally:
        await hris.close()


async def _audited(system: System) -> bool:
    return await system.ledger.pool.fetchval("SELECT bool_and(audit_at IS NULL) FROM ledger.requests") is True


async def _changing(hr: ReferenceOffice, entry_id: str) -> bool:
    return bool(hr.entry(entry_id)["changing"])


async def _told(system: System, operations: list[str]) -> bool:
    return [event["operation"] for event in await system.outcomes()] == operations


async def _updated(hr: ReferenceOffice) -> bool:
    return bool(hr.calls("update"))


async def _surplus(hr: ReferenceOffice) -> bool:
    return any(Decimal(amount) < 0 for each in hr.live() for amount in each["dates"].values())


async def _sums_to(hr: ReferenceOffice, employee_id: Any, expected: dict[str, Decimal]) -> bool:
    return hr.minutes(employee_id) == expected


async def _intents(system: System) -> int:
    return int(await system.ledger.pool.fetchval("SELECT count(*) FROM ledger.intents"))


async def _ended(hr: ReferenceOffice) -> bool:
    return len(hr.calls("create")) >= 2

"""Mappings, types, units and links that change while requests wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from tests.acceptance.conftest import Launch
from tests.support.system import UNMAPPED, VACATION, Agent, System, in_days

import timeoff_sync.links
from timeoff.errors import InsufficientBalance
from timeoff.eventlog import Message
from timeoff.events import Observation, RequestContent, encode_observation
from timeoff.hris.bamboohr.adapter import BambooHr
from timeoff.hris.port import TimeOffType
from timeoff.ledger.links import AgentLink, TypeLink
from timeoff.settings.model import TypeSettings
from timeoff.vocabulary import ObservationSource

BACKFILL, CONFIRM, STREAM = ObservationSource.BACKFILL, ObservationSource.CONFIRM, ObservationSource.STREAM


async def _link_by_plan(system: System, code: str) -> None:
    plan = next(plan for plan in system.world["plans"] if VACATION in plan["activityCodeIds"])
    codes = [*plan["activityCodeIds"], code]
    await system.admin("PATCH", f"/genesys/plans/{plan['id']}", {"activityCodeIds": codes})


def _seen(
    system: System,
    agent: Agent,
    source: ObservationSource,
    *,
    version: int | None = None,
    status: str | None = "APPROVED",
    request_id: str = "r",
    unit: bool = True,
) -> Message:
    """What the listener would append; `status` None: Genesys answered 404."""
    now = datetime.now(UTC)
    content = RequestContent(
        status=status or "",
        activity_code_id=VACATION,
        full_day=True,
        full_day_dates=(datetime.fromisoformat(in_days(14)).date(),),
        duration_minutes=(480,),
        payable_minutes=(480,),
        submitted_at=now,
    )
    return encode_observation(
        Observation(
            org=system.settings.org,
            request_id=request_id,
            agent_id=agent.agent_id,
            source=source,
            read_at=now,
            modified_at=now if status else None,
            version=version,
            management_unit_id=agent.unit_id if unit else None,
            zone=agent.zone if unit else None,
            content=content if status else None,
        )
    )


async def _booked(system: System, request: str) -> None:
    await system.state(request, "settled")
    await system.until(f"{request} booked", lambda: system.live_entries(request))
    await system.the_entry(request)


async def test_a_plan_that_links_a_code_books_what_waited_although_the_hris_is_slow(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: nothing is decided by the old plans after it was opened for the new ones."""
    monkeypatch.setattr(timeoff_sync.links, "TYPES_EVERY", 0.2)
    listed = BambooHr.list_time_off_types

    async def slowly(self: BambooHr) -> Sequence[TimeOffType]:
        await asyncio.sleep(0.5)
        return await listed(self)

    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14), activityCodeId=UNMAPPED)
        await system.state(request, "not_ours", "unmapped")
        monkeypatch.setattr(BambooHr, "list_time_off_types", slowly)
        await _link_by_plan(system, UNMAPPED)
        await _booked(system, request)


async def test_plans_that_another_replica_read_count_here_soon(launch: Launch) -> None:
    """Promise: a replica does not go on by old plans until its own next read, minutes later."""
    async with launch() as system:
        agent = system.agents[0]
        request = await system.submit(agent, in_days(14), activityCodeId=UNMAPPED)
        await system.state(request, "not_ours", "unmapped")
        known = await system.ledger.links.types()
        mine = [link for link in known.values() if link.management_unit_id == agent.unit_id]
        mine.append(TypeLink(agent.unit_id, UNMAPPED, "83"))
        await system.ledger.links.store_types({agent.unit_id: mine})
        await _booked(system, request)


async def test_a_mapping_added_to_the_settings_books_what_waited(launch: Launch) -> None:
    """Promise: what was not ours for want of a mapping is looked at when there is one, plan or settings."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14), activityCodeId=UNMAPPED)
        await system.state(request, "not_ours", "unmapped")
        await system.stop_syncs()
        mapped = (TypeSettings(activity_code=UNMAPPED, type_id="83"),)
        system.settings = system.settings.model_copy(update={"types": mapped})
        await system.start_sync()
        await _booked(system, request)


async def test_a_type_that_the_hris_lists_again_books_what_was_held(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a list that was short for a while leaves nothing held."""
    monkeypatch.setattr(timeoff_sync.links, "TYPES_EVERY", 0.2)
    listed = BambooHr.list_time_off_types

    async def fewer(self: BambooHr) -> Sequence[TimeOffType]:
        return [type_ for type_ in await listed(self) if type_.id != "83"]

    with monkeypatch.context() as short:
        short.setattr(BambooHr, "list_time_off_types", fewer)
        async with launch() as system:
            request = await system.submit(system.agents[0], in_days(14))
            await system.state(request, "held", "unknown_type")
            short.undo()
            await _booked(system, request)


async def test_the_unit_that_a_confirming_read_brings_is_acted_on(launch: Launch) -> None:
    """Promise: a request whose unit was unknown at first is not lost as unmapped."""
    async with launch(listen=False) as system:
        agent = system.agents[0]
        await system.append(_seen(system, agent, STREAM, unit=False))
        await system.state("r", "not_ours", "unmapped")
        await system.append(_seen(system, agent, CONFIRM, version=1))
        await _booked(system, "r")


async def test_an_agent_who_moves_into_the_pilot_is_written_for(launch: Launch) -> None:
    """Promise: a plan made in shadow becomes a booking when the pilot reaches the agent's unit."""
    async with launch(live=False, listen=False) as system:
        agent = system.agents[0]
        elsewhere = Agent(agent.agent_id, agent.employee_id, "elsewhere", agent.zone, agent.email)
        await system.ledger.links.store_types({"elsewhere": [TypeLink("elsewhere", VACATION, "83")]})
        await system.go_live(agent.unit_id)
        await system.append(_seen(system, elsewhere, BACKFILL, version=1))
        await system.state("r", "planned")
        await system.append(_seen(system, agent, BACKFILL, version=1))
        await _booked(system, "r")


async def test_a_request_that_reappears_after_a_404_is_booked(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: a 404 for a moment loses nothing, although the version that comes back is a known one."""

    async def refuse(*_: object, **__: object) -> None:
        raise InsufficientBalance("none left")

    async with launch() as system:
        with monkeypatch.context() as refusing:
            refusing.setattr(BambooHr, "_put", refuse)
            request = await system.submit(system.agents[0], in_days(14))
            await system.state(request, "failed")
        await system.quiet()
        gone = _seen(system, system.agents[0], CONFIRM, status=None, request_id=request)
        await system.append(gone)
        await system.state(request, "settled", "gone_from_genesys")
        await system.stop_listeners()
        await system.start_listener()
        await _booked(system, request)


async def test_a_stopped_target_does_not_keep_the_others_from_starting(launch: Launch) -> None:
    """Promise: wrong credentials for one HRIS cost that HRIS only, through a restart too."""
    async with launch() as system:
        await system.stop_syncs()
        acme = system.settings.hris["acme"]
        other = acme.model_copy(update={"management_units": ("nobody",)})
        system.settings = system.settings.model_copy(update={"hris": {"acme": acme, "other": other}})
        await system.ledger.deployment.add_targets(["other"])
        await system.ledger.deployment.stop_target("other", "auth_failed", 3600.0)
        await system.start_sync()
        await _booked(system, await system.submit(system.agents[0], in_days(14)))


async def test_a_relinked_agents_next_booking_goes_through_the_new_employees_lane(launch: Launch) -> None:
    """Promise: the employee who is looked at is the employee who is booked; what is there is adopted."""
    async with launch() as system:
        agent, other = system.agents[:2]
        request = await system.submit(agent, in_days(14))
        await system.quiet()
        moved = AgentLink(agent.agent_id, "acme", other.employee_id, "external_id", None)
        await system.ledger.links.store([moved], ["APPROVED"])
        await system.change(request, status="CANCELED")
        await system.state(request, "settled", "cancel")
        by_hand = await system.booked_by_hand(other, {in_days(14): "8"})
        await system.change(request, status="APPROVED")
        await system.state(request, "settled", "adopt")
        assert (await system.the_entry(request))["id"] == by_hand


async def test_a_request_that_turns_out_to_be_another_agents_is_booked_for_that_agent(launch: Launch) -> None:
    """Promise: a corrected agent id moves the request, also where nobody has looked the new agent up."""
    async with launch(listen=False) as system:
        first, second = system.agents[:2]
        await system.append(_seen(system, first, BACKFILL, version=1, status="PENDING"))
        await system.state("r", "settled", "not_exported")
        await system.append(_seen(system, second, BACKFILL, version=2))
        await _booked(system, "r")
        assert (await system.the_entry("r"))["employeeId"] == second.employee_id

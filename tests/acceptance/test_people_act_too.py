"""People change things in the HRIS and in Genesys: what they did is never overwritten, nor done again."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.acceptance.conftest import Launch
from tests.support.system import System, in_days


async def test_an_entry_that_hr_changed_is_held(launch: Launch) -> None:
    """Promise: HR's amount stands; the next change in Genesys shows both states and writes nothing."""
    async with launch() as system:
        request, entry_id = await _booked(system)
        await system.edited_by_hand(entry_id, dates={in_days(14): "2"})
        await system.change(request, minutes=[240], payableMinutes=[240])
        await system.quiet()
        assert await system.waiting_for_people() == {request: "changed_in_hris"}
        standing = await system.standing(request)
        assert standing
        assert standing.detail["wanted"]["minutes"] == {in_days(14): 240}
        assert standing.detail["hris"][0]["hours"] == {in_days(14): "2"}
        assert await system.amounts(request) == {in_days(14): Decimal(2)}
        assert await system.writes() == ["create"]


@pytest.mark.parametrize("status", ["canceled", "denied"])
async def test_an_entry_that_hr_ended_is_never_made_again(launch: Launch, status: str) -> None:
    """Promise: neither an edit, nor a retry, nor a restart brings back what HR cancelled or denied."""
    async with launch() as system:
        request, entry_id = await _booked(system)
        await system.edited_by_hand(entry_id, status=status)
        await system.change(request, minutes=[240], payableMinutes=[240])
        await system.state(request, "held")
        assert await system.retry(request) == [request]
        await system.restart_sync()
        await system.quiet()
        reason = {"canceled": "cancelled_in_hris", "denied": "denied_in_hris"}[status]
        assert await system.waiting_for_people() == {request: reason}
        assert await system.live_entries(request) == []
        assert await system.writes() == ["create"]


async def test_what_hr_cancelled_first_is_done_when_genesys_cancels(launch: Launch) -> None:
    """Promise: both sides cancelled is agreement, without a write and without a person."""
    async with launch() as system:
        request, entry_id = await _booked(system)
        await system.edited_by_hand(entry_id, status="canceled")
        await system.change(request, status="CANCELED")
        await system.quiet()
        assert await system.waiting_for_people() == {}
        assert await system.writes() == ["create"]


async def test_an_entry_that_hr_changed_is_not_cancelled_blindly(launch: Launch) -> None:
    """Promise: a cancel in Genesys of something HR changed asks a person."""
    async with launch() as system:
        request, entry_id = await _booked(system)
        await system.edited_by_hand(entry_id, dates={in_days(14): "2", in_days(15): "8"})
        await system.change(request, status="CANCELED")
        await system.quiet()
        assert await system.waiting_for_people() == {request: "changed_in_hris"}
        assert len(await system.live_entries(request)) == 1


async def test_done_by_hand_is_adopted_without_a_write(launch: Launch) -> None:
    """Promise: ManuallyComplete on a refused request, with the leave booked by hand: adopted."""
    async with launch() as system:
        request = await _refused(system)
        hand = await system.booked_by_hand(system.agents[0], {in_days(14): "8"})
        await system.set_by_hand(request, "ManuallyComplete")
        await system.state(request, "settled", "adopt")
        await system.quiet()
        assert await system.chain(request) == [hand]
        assert await _entries_made_by_us(system) == []
        assert await system.integration_status(request) == "ManuallyComplete"


async def test_done_by_hand_without_a_trace_is_closed(launch: Launch) -> None:
    """Promise: ManuallyComplete with nothing in the HRIS closes the request; it is not written."""
    async with launch() as system:
        request = await _refused(system)
        await system.set_by_hand(request, "ManuallyComplete")
        await system.state(request, "settled", "done_by_hand")
        await system.quiet()
        assert await system.entries() == []
        assert await system.integration_status(request) == "ManuallyComplete"


async def test_marked_done_by_hand_before_the_first_start_is_not_written(launch: Launch) -> None:
    """Promise: ManuallyComplete from before we ever saw the request means the same: adopt or close."""

    async def earlier(system: System) -> None:
        request = await system.submit(system.agents[0], in_days(14))
        await system.set_by_hand(request, "ManuallyComplete")

    async with launch(before=[earlier]) as system:
        await system.quiet()
        assert await system.writes() == []


async def _booked(system: System) -> tuple[str, str]:
    request = await system.submit(system.agents[0], in_days(14))
    await system.quiet()
    return request, str((await system.the_entry(request))["id"])


async def _refused(system: System) -> str:
    """A request that failed because the key may not write; the key may again afterwards."""
    allowed = (await system.admin("GET", "/options"))["bamboohr"]["apiKeys"]
    denied = {key: {**permissions, "approve": False} for key, permissions in allowed.items()}
    await system.options(bamboohr={"apiKeys": denied})
    request = await system.submit(system.agents[0], in_days(14))
    await system.state(request, "failed", "forbidden")
    await system.quiet()
    await system.options(bamboohr={"apiKeys": allowed})
    return request


async def _entries_made_by_us(system: System) -> list[str]:
    return [entry["id"] for entry in await system.entries() if entry["by"] == "api"]

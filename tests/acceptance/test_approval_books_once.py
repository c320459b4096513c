"""An approval in Genesys becomes exactly one record in the HRIS, and follows the request from then on."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sized
from decimal import Decimal

from tests.acceptance.conftest import Launch
from tests.support.system import in_days

MARK = re.compile("wfm:[0-9a-f]{16}")


async def test_an_approved_request_becomes_exactly_one_entry(launch_on_each_log: Launch) -> None:
    """Promise: approved in Genesys, once in the HRIS, with the right days, and Genesys shows it."""
    async with launch_on_each_log() as system:
        agent = system.agents[0]
        request = await system.submit(agent, in_days(14), in_days(15), status="PENDING")
        await system.quiet()
        assert await system.live_entries(request) == [], "a pending request is not exported"
        await system.change(request, status="APPROVED")
        await system.quiet()
        entry = await system.the_entry(request)
        assert entry["employeeId"] == agent.employee_id
        assert entry["typeId"] == "83"
        assert await system.amounts(request) == {in_days(14): Decimal(8), in_days(15): Decimal(8)}
        assert await system.writes() == ["create"]
        assert await system.integration_status(request) == "AutomaticallyComplete"


async def test_doubled_and_swapped_notifications_change_nothing(launch_on_each_log: Launch) -> None:
    """Promise: in whatever order and number the notifications come, the last version counts, once."""
    async with launch_on_each_log() as system:
        await system.delivery(duplicate=1.0, hold=True)
        requests = []
        for agent in system.agents[:3]:
            request = await system.submit(agent, in_days(14), status="PENDING")
            await system.change(request, status="APPROVED")
            await system.change(request, minutes=[240], payableMinutes=[240])
            requests.append(request)
        denied = await system.submit(system.agents[3], in_days(14))
        await system.change(denied, status="DENIED")
        await system.delivery(duplicate=1.0, hold=False, reverse=True)
        await system.quiet()
        await system.delivery(duplicate=1.0, swap=1.0, swapMs=50)
        for request in requests:
            await system.change(request, minutes=[300], payableMinutes=[300])
            await system.change(request, minutes=[360], payableMinutes=[360])
        await system.quiet()
        for request in requests:
            assert await system.amounts(request) == {in_days(14): Decimal(6)}
        assert await system.live_entries(denied) == []
        live = [entry for entry in await system.entries() if entry["status"] == "approved"]
        assert len(live) == len(requests), "a second record, whoever's"


async def test_changes_while_the_socket_was_down_are_recovered(launch: Launch) -> None:
    """Promise: what no socket heard is found by the backfill, new requests, edits and cancellations alike."""
    async with launch() as system:
        edited = await system.submit(system.agents[0], in_days(14))
        cancelled = await system.submit(system.agents[1], in_days(14))
        moved = await system.submit(system.agents[2], in_days(14))
        await system.quiet()
        await system.options(genesys={"refuseSockets": True})
        assert (await system.admin("POST", "/genesys/drop-sockets", {}))["dropped"] > 0
        new = await system.submit(system.agents[3], in_days(20))
        await system.change(edited, minutes=[120], payableMinutes=[120])
        await system.change(cancelled, status="CANCELED")
        await system.change(moved, dates=[in_days(200)])  # out of every window the backfill reads
        await system.options(genesys={"refuseSockets": False})
        await system.quiet()
        assert await system.amounts(new) == {in_days(20): Decimal(8)}
        assert await system.amounts(edited) == {in_days(14): Decimal(2)}
        assert await system.amounts(moved) == {in_days(200): Decimal(8)}
        assert await system.live_entries(cancelled) == []


async def test_an_update_keeps_the_chain_of_ids(launch: Launch) -> None:
    """Promise: BambooHR gives each version a new id; the ledger holds all of them and one record is live."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        ids = [(await system.the_entry(request))["id"]]
        for minutes in (240, 120):
            await system.change(request, minutes=[minutes], payableMinutes=[minutes])
            await system.quiet()
            entry = await system.the_entry(request)
            assert entry["supersedes"] == ids[-1]
            ids.append(entry["id"])
        assert await system.chain(request) == ids
        assert await system.amounts(request) == {in_days(14): Decimal(2)}
        assert await system.writes() == ["create"] * 3


async def test_a_cancel_is_a_cancel_by_status(launch: Launch) -> None:
    """Promise: cancelled in Genesys is cancelled in the HRIS, by status, and stays visible there."""
    async with launch() as system:
        cancelled = await system.submit(system.agents[0], in_days(14))
        denied = await system.submit(system.agents[1], in_days(14))
        await system.quiet()
        await system.change(cancelled, status="CANCELED")
        await system.change(denied, status="DENIED")
        await system.quiet()
        assert [entry["status"] for entry in await system.entries()] == ["canceled", "canceled"]
        assert sorted(await system.writes()) == ["create", "create", "status", "status"]
        assert await system.integration_status(cancelled) == "AutomaticallyComplete"


async def test_approved_again_after_a_cancel_is_a_new_booking(launch: Launch) -> None:
    """Promise: an approval that is given back books anew, under a mark of its own, and one record is live."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        first = await system.the_entry(request)
        await system.change(request, status="DENIED")
        await system.quiet()
        await system.change(request, status="APPROVED")
        await system.quiet()
        second = await system.the_entry(request)
        assert second["id"] != first["id"]
        assert second["supersedes"] is None
        marks = {MARK.search(str(entry["notes"])).group() for entry in (first, second)}  # type: ignore[union-attr]
        assert len(marks) == 2, "the second booking has the first one's mark"
        assert len(await system.entries()) == 2


async def test_queued_versions_of_a_request_cost_one_call(launch: Launch) -> None:
    """Promise: many versions in one batch are one write of the last one."""
    async with launch() as system:
        await system.stop_syncs()
        request = await system.submit(system.agents[0], in_days(14), status="PENDING")
        await system.change(request, status="APPROVED")
        for minutes in (60, 120, 180):
            await system.change(request, minutes=[minutes], payableMinutes=[minutes])
        topic = system.settings.log.requests_topic
        await system.until("five frames in the log", lambda: _at_least(system.records(topic), 5))
        await system.start_sync()
        await system.quiet()
        assert await system.amounts(request) == {in_days(14): Decimal(3)}
        assert len(await system.writes()) == 1


async def test_the_outcome_is_told_on_its_topic(launch_on_each_log: Launch) -> None:
    """Promise: whoever reads the outcomes topic learns of each booking, cancel and hold, once."""
    async with launch_on_each_log(world={"agentsWithoutEmployee": 1}) as system:
        booked = await system.submit(system.agents[0], in_days(14))
        await system.booked_by_hand(system.agents[1], {in_days(14): "4"})
        await system.quiet()
        await system.change(booked, status="CANCELED")
        await system.quiet()
        told = [(event["request_id"], event.get("operation")) for event in await system.outcomes()]
        assert told == [(booked, "insert"), (booked, "cancel")]


async def _at_least(records: Awaitable[Sized], count: int) -> bool:
    return len(await records) >= count

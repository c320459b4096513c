"""Only a confirmed DENIED or CANCELED removes an entry; everything else that vanishes waits for a person."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from tests.acceptance.conftest import Launch
from tests.support.system import System, in_days

from timeoff.events import Observation, encode_observation
from timeoff.vocabulary import ObservationSource


async def _booked_a_minute_ago(system: System) -> str:
    """So old that a notification of now is clearly newer and would be acted on at once."""
    await system.options(clock={"offsetSeconds": -60})
    request = await system.submit(system.agents[0], in_days(14))
    await system.options(clock={"offsetSeconds": 0})
    await system.quiet()
    return request


async def test_a_denied_notification_that_the_read_does_not_confirm_cancels_nothing(launch: Launch) -> None:
    """Promise: DENIED in a notification, APPROVED in the confirming read: the entry stays."""
    async with launch() as system:
        request = await _booked_a_minute_ago(system)
        await system.delivery(hold=True)
        await system.change(request, status="DENIED")
        await system.change(request, status="APPROVED", silent=True)
        await system.delivery(hold=False)
        await system.quiet()
        assert await system.amounts(request) == {in_days(14): Decimal(8)}
        assert await system.writes() == ["create"]


async def test_a_forged_cancel_waits_for_its_confirming_read(launch: Launch) -> None:
    """Promise: reads older than the notification confirm nothing, so nothing is cancelled by them."""
    async with launch() as system:
        request = await _booked_a_minute_ago(system)
        frame = await system.notification(request, status="CANCELED", modifiedDate=_now())
        reads = len(await system.genesys_calls("timeoffrequests"))
        await system.send(system.agents[0], frame)
        await system.state(request, "waiting", "removal_unconfirmed")

        async def read_thrice() -> bool:
            return len(await system.genesys_calls("timeoffrequests")) >= reads + 3

        await system.until("three confirming reads", read_thrice)
        assert len(await system.live_entries(request)) == 1
        await system.change(request, minutes=[240], payableMinutes=[240])
        await system.quiet()
        assert await system.amounts(request) == {in_days(14): Decimal(4)}
        assert await system.writes() == ["create", "create"]


async def test_a_vanished_mapping_cancels_nothing_and_is_held(launch: Launch) -> None:
    """Promise: a plan that lost its HRIS type leaves its entries as they are and asks a person."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        untouched = await system.submit(system.agents[1], in_days(14))
        await system.quiet()
        await system.admin("PATCH", f"/genesys/plans/{await system.plan_of('5')}", {"unlink": True})
        await system.restart_sync()
        await system.change(request, minutes=[240], payableMinutes=[240])
        await system.quiet()
        assert await system.waiting_for_people() == {request: "mapping_vanished"}
        assert await system.amounts(request) == {in_days(14): Decimal(8)}
        assert len(await system.live_entries(untouched)) == 1
        # Genesys itself still cancels.
        await system.change(request, status="CANCELED")
        await system.quiet()
        assert await system.live_entries(request) == []


async def test_a_deleted_plan_cancels_nothing(launch: Launch) -> None:
    """Promise: a plan that is gone altogether is no cancel either."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.admin("DELETE", f"/genesys/plans/{await system.plan_of('5')}")
        await system.restart_sync()
        await system.change(request, minutes=[240], payableMinutes=[240])
        await system.quiet()
        assert await system.waiting_for_people() == {request: "mapping_vanished"}
        assert await system.amounts(request) == {in_days(14): Decimal(8)}


async def test_an_agent_who_left_cancels_nothing(launch: Launch) -> None:
    """Promise: requests that Genesys no longer shows (404, a shorter list) keep their entries."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.admin("DELETE", f"/genesys/agents/{system.agents[0].agent_id}")
        await system.stop_listeners()
        await system.start_listener()
        other = await system.submit(system.agents[1], in_days(14))
        await system.quiet(ignoring={request})
        assert await system.amounts(other) == {in_days(14): Decimal(8)}
        assert await system.amounts(request) == {in_days(14): Decimal(8)}
        # What a confirming read appends when it asks for a request that is not there.
        await system.append(
            encode_observation(
                Observation(
                    org=system.settings.org,
                    request_id=request,
                    agent_id=system.agents[0].agent_id,
                    source=ObservationSource.CONFIRM,
                    read_at=datetime.now(UTC),
                )
            )
        )
        await system.state(request, "held", "gone_from_genesys")
        assert await system.amounts(request) == {in_days(14): Decimal(8)}
        assert await system.writes() == ["create", "create"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

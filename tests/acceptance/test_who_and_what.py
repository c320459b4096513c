"""Agents without an employee, addresses that two people share, codes that nobody linked."""

from __future__ import annotations

from decimal import Decimal

from tests.acceptance.conftest import Launch
from tests.support.system import UNMAPPED, System, in_days


async def test_an_agent_without_employee_waits_until_there_is_one(launch: Launch) -> None:
    """Promise: nobody to book for is held with its reason; once the employee exists a retry books it."""
    async with launch(world={"agentsWithoutEmployee": 1}) as system:
        stranger = system.agents[-1]
        request = await system.submit(stranger, in_days(14))
        other = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        assert await system.waiting_for_people() == {request: "no_employee"}
        assert await system.integration_status(request) == "Error"
        assert len(await system.live_entries(other)) == 1
        await system.admin("POST", "/hris/employees", {"id": 900, "email": stranger.email.upper()})
        await _as_if_looked_up_long_ago(system)
        assert await system.retry(request) == [request]
        await system.quiet()
        assert (await system.the_entry(request))["employeeId"] == "900"


async def test_two_employees_with_one_address_are_not_guessed(launch: Launch) -> None:
    """Promise: an ambiguous e-mail is held; the external id in Genesys decides."""
    async with launch(world={"sharedEmails": 1}) as system:
        shared = system.agents[0]
        request = await system.submit(shared, in_days(14))
        await system.quiet()
        assert await system.waiting_for_people() == {request: "ambiguous_email"}
        assert await system.entries() == []
        second = system.world["agents"][0]["sharedEmployeeIds"][1]
        await system.admin("POST", "/genesys/link-agent", {"agentId": shared.agent_id, "externalId": second})
        await _as_if_looked_up_long_ago(system)
        await system.retry(request)
        await system.quiet()
        assert (await system.the_entry(request))["employeeId"] == second


async def test_an_unmapped_code_is_not_ours(launch: Launch) -> None:
    """Promise: a code that no plan links is counted and left alone, and bothers nobody."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14), activityCodeId=UNMAPPED)
        other = await system.submit(system.agents[0], in_days(15))
        await system.quiet()
        await system.state(request, "not_ours", "unmapped")
        assert await system.live_entries(request) == []
        assert await system.amounts(other) == {in_days(15): Decimal(8)}
        assert await system.waiting_for_people() == {}
        assert await system.integration_status(request) is None


async def test_another_type_for_a_booked_entry_is_an_operators_decision(launch: Launch) -> None:
    """Promise: a changed activity code never silently moves a booked entry to another type."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.change(request, activityCodeId="7")
        await system.quiet()
        assert await system.waiting_for_people() == {request: "type_changed"}
        assert (await system.the_entry(request))["typeId"] == "83"


async def _as_if_looked_up_long_ago(system: System) -> None:
    """Look-ups are kept for a minute; a person who corrects something is slower than that."""
    await system.stop_syncs()
    await system.ledger.pool.execute(
        "UPDATE ledger.agent_links SET looked_up_at = looked_up_at - interval '1 hour'"
    )
    await system.start_sync()

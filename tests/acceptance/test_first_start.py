"""First sight is not an insert: leave booked by hand before the first start, shadow mode, pilot, go-live."""

from __future__ import annotations

from decimal import Decimal

from tests.acceptance.conftest import Launch
from tests.support.system import DAY_OFF, System, in_days


async def test_equal_leave_booked_by_hand_is_adopted(launch: Launch) -> None:
    """Promise: what HR booked by hand before the first start is taken over as it is, without a write."""
    made: dict[str, str] = {}

    async def by_hand(system: System) -> None:
        agent = system.agents[0]
        made["request"] = await system.submit(agent, in_days(14), in_days(15))
        made["hand"] = await system.booked_by_hand(agent, {in_days(14): "8", in_days(15): "8"})
        made["days"] = await system.submit(system.agents[1], in_days(14), activityCodeId=DAY_OFF)
        made["hand days"] = await system.booked_by_hand(system.agents[1], {in_days(14): "1"}, type_id=84)

    async with launch(before=[by_hand]) as system:
        await system.quiet()
        assert await system.chain(made["request"]) == [made["hand"]]
        assert await system.chain(made["days"]) == [made["hand days"]]
        assert await system.writes() == []
        assert await system.waiting_for_people() == {}
        # From now on it is ours: a change in Genesys follows.
        await system.change(made["request"], minutes=[240, 240], payableMinutes=[240, 240])
        await system.quiet()
        assert (await system.the_entry(made["request"]))["supersedes"] == made["hand"]


async def test_different_leave_booked_by_hand_is_held_with_both_sides(launch: Launch) -> None:
    """Promise: where HR's booking differs nothing is written, and a person is shown both sides."""
    made: dict[str, str] = {}

    async def by_hand(system: System) -> None:
        agent = system.agents[0]
        made["request"] = await system.submit(agent, in_days(14), in_days(15))
        made["hand"] = await system.booked_by_hand(agent, {in_days(15): "4"})
        made["free"] = await system.submit(agent, in_days(20))
        made["ended"] = await system.submit(system.agents[1], in_days(14), status="PENDING")
        await system.change(made["ended"], status="DENIED")
        await system.booked_by_hand(system.agents[1], {in_days(14): "8"})

    async with launch(before=[by_hand]) as system:
        await system.quiet()
        assert await system.waiting_for_people() == {
            made["request"]: "overlap",
            made["ended"]: "removed_but_booked",
        }
        standing = await system.standing(made["request"])
        assert standing
        assert standing.detail["wanted"]["minutes"] == {in_days(14): 480, in_days(15): 480}
        assert [seen["id"] for seen in standing.detail["hris"]] == [made["hand"]]
        assert await system.amounts(made["free"]) == {in_days(20): Decimal(8)}, "the lane went on"
        assert await system.writes() == ["create"]
        assert await system.integration_status(made["request"]) == "Error"


async def test_a_first_start_finds_what_was_approved_before(launch: Launch) -> None:
    """Promise: requests approved before the first start are booked unless they end before the cut-over."""
    made: dict[str, str] = {}

    async def earlier(system: System) -> None:
        made["open"] = await system.submit(system.agents[0], in_days(10))
        made["past"] = await system.submit(system.agents[1], in_days(-5))

    async with launch(before=[earlier]) as system:
        await system.quiet()
        assert await system.amounts(made["open"]) == {in_days(10): Decimal(8)}
        assert await system.live_entries(made["past"]) == []
        await system.state(made["past"], "not_ours", "before_cutover")


async def test_shadow_mode_writes_nothing_and_go_live_books_it_once(launch: Launch) -> None:
    """Promise: until go-live a new deployment plans and writes nothing, to the HRIS or to Genesys."""
    async with launch(live=False, world={"agentsWithoutEmployee": 1}) as system:
        planned = await system.submit(system.agents[0], in_days(14))
        ended = await system.submit(system.agents[1], in_days(14))
        await system.change(ended, status="CANCELED")
        nobody = await system.submit(system.agents[-1], in_days(14))
        await system.booked_by_hand(system.agents[2], {in_days(14): "4"})
        held = await system.submit(system.agents[2], in_days(14))
        await system.state(planned, "planned")
        await system.state(nobody, "held", "no_employee")
        await system.quiet()
        assert await system.writes() == []
        statuses = {each["id"]: each["integrationStatus"] for each in await system.genesys_requests()}
        assert set(statuses.values()) == {None}, "shadow mode wrote to Genesys"
        await system.go_live()
        await system.state(planned, "settled", "insert")
        await system.quiet()
        assert await system.amounts(planned) == {in_days(14): Decimal(8)}
        assert await system.writes() == ["create"]
        assert await system.waiting_for_people() == {nobody: "no_employee", held: "overlap"}


async def test_go_live_reaches_what_is_being_planned_at_that_moment(launch: Launch) -> None:
    """Promise: a worker that does not know yet that writing is on leaves nothing planned for ever."""
    async with launch(live=False, sync={"poll": 3.0}) as system:
        first = await system.submit(system.agents[0], in_days(14))
        await system.state(first, "planned")
        await system.go_live()
        # Wakes the workers before their view of the mode is three seconds old.
        second = await system.submit(system.agents[1], in_days(14))
        for request in (first, second):
            await system.state(request, "settled", "insert")


async def test_a_pilot_writes_for_its_agents_and_units_only(launch: Launch) -> None:
    """Promise: go-live with a pilot writes for the named agents or units and only plans for the rest."""
    async with launch(live=False) as system:
        pilot, colleague, other = system.agents[0], system.agents[3], system.agents[1]
        assert pilot.unit_id == colleague.unit_id != other.unit_id
        requests = [await system.submit(agent, in_days(14)) for agent in (pilot, colleague, other)]
        for request in requests:
            await system.state(request, "planned")
        await system.go_live(pilot.agent_id)
        await system.state(requests[0], "settled", "insert")
        await system.quiet()
        assert len(await system.entries()) == 1
        await system.go_live(pilot.unit_id)
        await system.state(requests[1], "settled", "insert")
        await system.quiet()
        assert len(await system.entries()) == 2
        assert await system.live_entries(requests[2]) == []


async def test_back_in_shadow_mode_nothing_is_written(launch: Launch) -> None:
    """Promise: turning writing off stops updates and cancels too; turning it on again catches up."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.ledger.deployment.go_shadow()
        await system.change(request, status="CANCELED")
        await system.state(request, "planned")
        await system.quiet()
        assert len(await system.live_entries(request)) == 1
        await system.go_live()
        await system.state(request, "settled", "cancel")
        assert await system.live_entries(request) == []

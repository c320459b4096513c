"""Promises about lanes: one holder each, the most urgent first; who lost the lease is fenced."""

from __future__ import annotations

import asyncio

from tests.support.cases import MONDAY
from tests.support.ledger import (
    Feed,
    announcement,
    booked,
    change,
    claim,
    days_from,
    expire,
    link,
    opened,
    step,
    stepping,
)


async def test_cancels_go_first_then_the_nearest_start(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "late", "soon", "cancelled", "never-written")
        feed = Feed(ledger)
        await feed(
            change("r1", "late", days_from(MONDAY, 30)),
            change("r2", "soon", MONDAY),
            change("r3", "cancelled", days_from(MONDAY, 60)),
            change("r4", "never-written", MONDAY, removed=True),
        )
        await ledger.pool.execute("UPDATE requests SET writes = 1 WHERE request_id = 'r3'")
        await feed(change("r3", "cancelled", days_from(MONDAY, 60), removed=True))
        order = []
        while lanes := await claim(ledger, limit=1):
            order.append(lanes[0].cases[0].view.request_id)
        assert order == ["r3", "r2", "r1", "r4"]


async def test_within_a_lane_the_nearest_start_comes_first(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(*(change(f"r{n}", "a1", days_from(MONDAY, -n)) for n in range(1, 6)))
        (lane,) = await claim(ledger)
        assert [case.view.request_id for case in lane.cases] == ["r5", "r4", "r3", "r2", "r1"]


async def test_two_holders_that_claim_at_once_never_share_a_lane(database_url: str) -> None:
    """And neither waits for the other: what is locked is skipped."""
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        agents = [f"a{n:02}" for n in range(60)]
        await link(one, *agents)
        await Feed(one)(*(change(f"r-{agent}", agent) for agent in agents))
        claimed = await asyncio.gather(*(claim(ledger, limit=10) for ledger in (one, two) * 4))
        held = [lane.lane_id for lanes in claimed for lane in lanes]
        assert len(held) == len(set(held)) > 10
        rest = [lane.lane_id for ledger in (one, two) for lane in await claim(ledger, limit=60)]
        assert len({*held, *rest}) == len(held) + len(rest) == 60


async def test_a_locked_lane_is_skipped_and_not_waited_for(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1", "a2")
        await Feed(ledger)(change("r1", "a1"), change("r2", "a2"))
        async with ledger.pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM lanes WHERE employee_id = 'employee-of-a1' FOR UPDATE")
            async with asyncio.timeout(20):
                claimed = await claim(ledger)
        assert [lane.employee_id for lane in claimed] == ["employee-of-a2"]


async def test_a_held_lane_is_free_again_after_its_lease_with_a_higher_epoch(database_url: str) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        await link(one, "a1")
        await Feed(one)(change("r1", "a1"))
        (first,) = await claim(one)
        assert await claim(two) == []
        await expire(one, first)
        (second,) = await claim(two)
        assert second.lane_id == first.lane_id
        assert second.epoch > first.epoch


async def test_renewing_tells_which_lanes_were_lost(database_url: str) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        await link(one, "a1", "a2")
        await Feed(one)(change("r1", "a1"), change("r2", "a2"))
        lost, kept = await claim(one)
        await expire(one, lost)
        (taken,) = await claim(two)
        assert taken.lane_id == lost.lane_id
        held = {lane.lane_id: lane.epoch for lane in (lost, kept)}
        assert await one.lanes.renew(held, 60.0) == {kept.lane_id}
        # Renewed in vain: the lane still belongs to the second holder.
        assert await two.lanes.renew({taken.lane_id: taken.epoch}, 60.0) == {taken.lane_id}


async def test_only_the_present_holder_gives_a_lane_back(database_url: str) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        await link(one, "a1")
        await Feed(one)(change("r1", "a1"))
        (first,) = await claim(one)
        await expire(one, first)
        (second,) = await claim(two)
        await one.lanes.release({first.lane_id: (first.epoch, 0.0)})
        assert await claim(one) == []
        await two.lanes.release({second.lane_id: (second.epoch, 0.0)})
        assert len(await claim(one)) == 1


async def test_a_blocked_lane_is_left_alone_until_its_time(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        await ledger.lanes.release({lane.lane_id: (lane.epoch, 3600.0)})
        assert await claim(ledger) == []
        await ledger.pool.execute("UPDATE lanes SET blocked_until = now()")
        (again,) = await claim(ledger)
        await ledger.lanes.release({again.lane_id: (again.epoch, 0.0)})
        assert await ledger.pool.fetchval("SELECT blocked_until FROM lanes") is None


async def test_lanes_of_a_stopped_target_are_not_claimed(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        await ledger.deployment.stop_target("hr", "auth", 60.0)
        assert await claim(ledger) == []
        await ledger.deployment.resume_target("hr")
        assert len(await claim(ledger)) == 1


async def test_a_lane_without_due_work_is_not_claimed(database_url: str) -> None:
    async with opened(database_url) as ledger, stepping(ledger) as steps:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        (lane,) = await claim(ledger)
        assert (await steps.commit(step(lane, booked(lane, None)))).moved
        await ledger.lanes.release({lane.lane_id: (lane.epoch, 0.0)})
        assert await claim(ledger) == []


async def test_whoever_claims_a_lane_is_shown_the_intent_that_was_left_open(database_url: str) -> None:
    """Invariant 3 begins here: without it the next holder would write a second time."""
    async with opened(database_url, "one") as one, opened(database_url, "two") as two, stepping(one) as steps:
        await link(one, "a1")
        await Feed(one)(change("r1", "a1"))
        (lane,) = await claim(one)
        left = announcement(lane)
        assert (await steps.commit(step(lane, announce=left))).granted
        await expire(one, lane)
        (next_holder,) = await claim(two)
        assert next_holder.open_intent is not None
        assert next_holder.open_intent.intent_id == left.intent_id
        assert next_holder.open_intent.spec == left.spec

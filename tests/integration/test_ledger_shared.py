"""Promises about what replicas share: budgets, named leases, the outbox, links, confirming reads, gaps."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import pytest
from tests.support.ledger import (
    EXPORTED,
    TARGET,
    Feed,
    change,
    count,
    eventually,
    intake_of,
    link,
    opened,
    state_of,
)

from timeoff.errors import LogError
from timeoff.eventlog.port import Message, Span
from timeoff.ledger import Ledger
from timeoff.ledger.budget import SharedBudget
from timeoff.ledger.intake import IntakeBatch, Outgoing
from timeoff.ledger.links import AgentLink, Laneless, TypeLink
from timeoff_sync.relay import LEASE, Relay

# -- budgets ------------------------------------------------------------------------------------------


async def test_holders_together_never_take_more_than_the_rate_brought(database_url: str) -> None:
    """Two seconds' worth may be saved up, no more; measured by the database's own clock."""
    per_minute = 6000
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        clock = "SELECT extract(epoch FROM clock_timestamp())::float8"
        began = await one.pool.fetchval(clock)
        await one.deployment.add_budget("b")
        taken = 0
        for _ in range(40):
            granted = await asyncio.gather(
                *(ledger.deployment.lease_budget("b", per_minute, 100) for ledger in (one, two) * 2)
            )
            taken += sum(item.tokens for item in granted)
        ended = await one.pool.fetchval(clock)
    assert 0 < taken <= 1 + (ended - began) * per_minute / 60


async def test_a_budget_left_alone_saves_up_two_seconds_and_no_more(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await ledger.deployment.add_budget("b")
        await ledger.pool.execute("UPDATE budgets SET refilled_at = now() - interval '1 day'")
        assert (await ledger.deployment.lease_budget("b", 600, 1000)).tokens == 20


async def test_time_that_was_counted_once_is_not_counted_again(database_url: str) -> None:
    """Who waited for the row began earlier than who held it, and must not turn the clock back."""
    async with opened(database_url) as ledger:
        await ledger.deployment.add_budget("b")
        await ledger.pool.execute("UPDATE budgets SET refilled_at = now() + interval '1 hour'")
        await ledger.deployment.lease_budget("b", 6000, 10)
        assert await ledger.pool.fetchval("SELECT refilled_at > now() + interval '50 min' FROM budgets")


async def test_a_pause_stops_every_holder_until_it_is_over(database_url: str) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        await one.deployment.add_budget("b")
        await one.pool.execute("UPDATE budgets SET refilled_at = now() - interval '1 day'")
        await one.deployment.pause_budget("b", 3600.0)
        for ledger in (one, two):
            granted = await ledger.deployment.lease_budget("b", 6000, 10)
            assert granted.tokens == 0
            assert granted.pause > 3000
        # A shorter pause does not end a longer one.
        await two.deployment.pause_budget("b", 1.0)
        assert (await one.deployment.lease_budget("b", 6000, 10)).pause > 3000
        await one.pool.execute(
            "UPDATE budgets SET paused_until = now() - interval '1 s', refilled_at = now() - interval '1 s'"
        )
        assert (await two.deployment.lease_budget("b", 6000, 10)).tokens > 0


async def test_a_budget_slowed_down_gives_nothing_more_to_whoever_shares_it(database_url: str) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        await one.deployment.add_budget("b")
        budgets = [SharedBudget(ledger.deployment, "b", 60_000) for ledger in (one, two)]
        await asyncio.gather(*(budget.take() for budget in budgets))
        await budgets[0].slow_down(3600.0)
        taken = 0

        async def take_on(budget: SharedBudget) -> None:
            nonlocal taken
            while True:
                await budget.take()
                taken += 1

        takers = [asyncio.create_task(take_on(budget)) for budget in budgets]
        # The other holder may spend the rest of the second it had leased.
        await asyncio.wait(takers, timeout=0.5)
        for taker in takers:
            taker.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
        assert taken < 1000


async def test_a_stop_ends_the_wait_for_a_paused_budget(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await ledger.deployment.add_budget("b")
        await ledger.deployment.pause_budget("b", 3600.0)
        budget, stop = SharedBudget(ledger.deployment, "b", 6000), asyncio.Event()
        waiting = [asyncio.create_task(budget.take_before(stop)) for _ in range(3)]
        await asyncio.wait(waiting, timeout=0.2)
        assert not any(task.done() for task in waiting)
        stop.set()
        async with asyncio.timeout(20):
            assert await asyncio.gather(*waiting) == [False] * 3


# -- leases and the outbox ----------------------------------------------------------------------------


async def test_a_named_job_has_one_holder_until_its_lease_ends(database_url: str) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        taken = await asyncio.gather(*(ledger.deployment.take_lease("job", 60.0) for ledger in (one, two)))
        assert sorted(taken) == [False, True]
        holder, other = (one, two) if taken[0] else (two, one)
        assert await holder.deployment.take_lease("job", 60.0), "its holder prolongs it"
        assert not await other.deployment.take_lease("job", 60.0)
        await one.pool.execute("UPDATE leases SET leased_until = now() - interval '1 s'")
        assert await other.deployment.take_lease("job", 60.0)


class Topic:
    """A log that remembers what was appended; `fails` makes the next append fail."""

    def __init__(self) -> None:
        self.appended: list[str] = []
        self.fails = 0

    async def append(self, topic: str, messages: Sequence[Message]) -> None:
        if self.fails:
            self.fails -= 1
            raise LogError("not now")
        self.appended += [dict(message.headers)["ce_id"].decode() for message in messages]


async def fill_outbox(ledger: Ledger, first: int, number: int, *, start: int) -> None:
    events = [Outgoing("outcomes", "a1", "t", f"e{n:04}", b"{}", {}) for n in range(first, first + number)]
    await intake_of(ledger).store(IntakeBatch({0: Span(start, start + 1)}, outgoing=events))


@contextlib.asynccontextmanager
async def relaying(ledger: Ledger, topic: Topic):  # type: ignore[no-untyped-def]
    stop = asyncio.Event()
    relay = Relay(topic, ledger.outbox, ledger.deployment)  # type: ignore[arg-type]
    task = asyncio.create_task(relay.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def empty(ledger: Ledger) -> bool:
    return await count(ledger, "outbox") == 0


async def test_events_leave_in_the_order_they_were_made_and_only_once(database_url: str) -> None:
    async with opened(database_url) as ledger:
        topic = Topic()
        await fill_outbox(ledger, 0, 1200, start=0)
        async with relaying(ledger, topic):
            await fill_outbox(ledger, 1200, 10, start=1)
            await eventually(lambda: empty(ledger))
        assert topic.appended == [f"e{n:04}" for n in range(1210)]


async def test_what_the_log_refused_is_sent_again(database_url: str) -> None:
    async with opened(database_url) as ledger:
        topic = Topic()
        topic.fails = 1
        await fill_outbox(ledger, 0, 5, start=0)
        async with relaying(ledger, topic):
            await eventually(lambda: empty(ledger))
        assert topic.appended == [f"e{n:04}" for n in range(5)]


async def test_a_replica_without_the_lease_relays_nothing(database_url: str) -> None:
    """Two relays would interleave, and the order would be gone."""
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        assert await one.deployment.take_lease(LEASE, 3600.0)
        await fill_outbox(one, 0, 5, start=0)
        topic = Topic()
        async with relaying(two, topic):
            for _ in range(3):  # turns of the relay of the other replica
                await asyncio.sleep(0.1)
            assert topic.appended == []
            await one.pool.execute("UPDATE leases SET leased_until = now() - interval '1 s'")
            await eventually(lambda: empty(one))
        assert len(topic.appended) == 5


# -- links --------------------------------------------------------------------------------------------


async def test_a_request_that_slips_in_while_its_agent_is_looked_up_gets_its_lane(database_url: str) -> None:
    async with opened(database_url) as ledger:
        feed = Feed(ledger)
        await feed(change("r1", "a1"))
        assert await ledger.links.without_lane([TARGET], 60.0) == [
            Laneless("a1", TARGET, looked_up=False, problem=False)
        ]
        async with ledger.pool.acquire() as intake, intake.transaction():
            # An intake that began before the link was stored commits after the link was applied.
            await intake.execute(
                "INSERT INTO requests (org, request_id, agent_id, first_seen, target, due_at)"
                " VALUES ('acme', 'r2', 'a1', 'stream', 'hr', now())"
            )
            await link(ledger, "a1")
        assert await count(ledger, "requests WHERE lane_id IS NULL") == 1
        assert await ledger.links.without_lane([TARGET], 60.0) == [
            Laneless("a1", TARGET, looked_up=True, problem=False)
        ]
        await ledger.links.apply(["a1"], EXPORTED)
        assert await count(ledger, "requests WHERE lane_id IS NULL") == 0


async def test_a_look_up_that_finds_nobody_never_clears_a_link(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await link(ledger, "a1", problem="no_employee")
        row = await ledger.pool.fetchrow("SELECT employee_id, problem FROM agent_links")
        assert row is not None
        assert (row["employee_id"], row["problem"]) == ("employee-of-a1", "no_employee")
        await Feed(ledger)(change("r1", "a1"))
        assert await count(ledger, "requests WHERE lane_id IS NOT NULL") == 1


async def test_requests_of_an_agent_without_employee_wait_for_a_person_and_go_on_when_one_is_found(
    database_url: str,
) -> None:
    async with opened(database_url) as ledger:
        await Feed(ledger)(change("r1", "a1"), change("r2", "a1", removed=True))
        found = AgentLink("a1", TARGET, None, None, "ambiguous_email")
        held = await ledger.links.store([found], EXPORTED)
        assert [(row["request_id"], row["reason"]) for row in held] == [("r1", "ambiguous_email")]
        assert (await state_of(ledger, "r1"), await state_of(ledger, "r2")) == ("held", "settled")
        await link(ledger, "a1")
        assert await state_of(ledger, "r1") == "open"
        assert await count(ledger, "requests WHERE request_id = 'r1' AND due_at <= now()") == 1


async def test_a_request_with_a_live_entry_stays_in_its_lane_when_the_link_moves(database_url: str) -> None:
    """Invariant 8: a changed link is a decision for an operator, never a silent consequence."""
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("booked", "a1"), change("not-booked", "a1"))
        await ledger.pool.execute(
            "INSERT INTO entries (request_pk, booking, target, employee_id, type_id, unit, spec, fingerprint,"
            " vendor_id, chain, live)"
            " SELECT request_pk, 1, 'hr', 'employee-of-a1', '83', 'hours', '{}', '', '1', '{1}', true"
            " FROM requests WHERE request_id = 'booked'"
        )
        await ledger.links.store([AgentLink("a1", TARGET, "somebody-else", "email", None)], EXPORTED)
        rows = await ledger.pool.fetch(
            "SELECT request_id, employee_id FROM requests JOIN lanes USING (lane_id)"
        )
        assert {row["request_id"]: row["employee_id"] for row in rows} == {
            "booked": "employee-of-a1",
            "not-booked": "somebody-else",
        }


async def test_a_link_whose_lane_cannot_be_given_is_not_kept_either(database_url: str) -> None:
    """A link without its lane would have the next write go to one employee after a look at another."""
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        await ledger.pool.execute("ALTER TABLE lanes ADD CHECK (employee_id <> 'impossible')")
        with pytest.raises(asyncpg.CheckViolationError):
            await ledger.links.store([AgentLink("a1", TARGET, "impossible", "email", None)], EXPORTED)
        assert await ledger.pool.fetchval("SELECT employee_id FROM agent_links") == "employee-of-a1"


async def test_an_unbooked_request_in_the_lane_of_another_employee_is_found_and_moved(
    database_url: str,
) -> None:
    """The link moved while the entry was live; after its cancel the request must not stay behind."""
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        await Feed(ledger)(change("r1", "a1"))
        await ledger.pool.execute(
            "INSERT INTO entries (request_pk, booking, target, employee_id, type_id, unit, spec, fingerprint,"
            " vendor_id, chain, live)"
            " SELECT request_pk, 1, 'hr', 'employee-of-a1', '83', 'hours', '{}', '', '1', '{1}', true"
            " FROM requests"
        )
        await ledger.links.store([AgentLink("a1", TARGET, "somebody-else", "email", None)], EXPORTED)
        assert await ledger.links.misplaced([TARGET]) == [], "what is booked stays"
        await ledger.pool.execute("UPDATE entries SET live = false")
        assert await ledger.links.misplaced([TARGET]) == [Laneless("a1", TARGET, True, False)]
        await ledger.links.apply(["a1"], EXPORTED)
        row = await ledger.pool.fetchrow(
            "SELECT employee_id, look_first FROM requests JOIN lanes USING (lane_id)"
        )
        assert row is not None
        assert (row["employee_id"], row["look_first"]) == ("somebody-else", True)
        assert await ledger.links.misplaced([TARGET]) == []


async def test_a_request_of_another_agent_than_before_leaves_its_lane(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await link(ledger, "a1")
        feed = Feed(ledger)
        await feed(change("r1", "a1"))
        await feed(change("r1", "a2", version=2))
        assert await ledger.links.without_lane([TARGET], 60.0) == [
            Laneless("a2", TARGET, looked_up=False, problem=False)
        ]


async def test_a_person_s_word_stands_when_only_the_unit_changes(database_url: str) -> None:
    """Else what was done by hand would be booked a second time when its agent moves."""
    async with opened(database_url) as ledger:
        feed = Feed(ledger)
        await feed(change("r1", "a1", management_unit_id="u1"))
        await ledger.pool.execute("UPDATE requests SET done_by_hand = true")
        await feed(change("r1", "a1", management_unit_id="u2"))
        assert await ledger.pool.fetchval("SELECT done_by_hand FROM requests")
        await feed(change("r1", "a1", version=2, management_unit_id="u2"))
        assert not await ledger.pool.fetchval("SELECT done_by_hand FROM requests")


async def test_the_mark_of_the_plans_follows_their_content_and_nothing_else(database_url: str) -> None:
    async with opened(database_url) as ledger:
        seen = [await ledger.links.types_mark()]
        for links in ([TypeLink("u1", "c1", "83")], [TypeLink("u1", "c1", "84")], []):
            await ledger.links.store_types({"u1": links})
            seen.append(await ledger.links.types_mark())
            await ledger.links.store_types({"u1": links})
            assert await ledger.links.types_mark() == seen[-1], "read again, the same"
        assert seen[0] == seen[3]
        assert len(set(seen)) == 3


async def test_a_complete_read_of_one_units_plans_leaves_other_units_alone(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await ledger.links.store_types(
            {u: [TypeLink(u, "c1", "83"), TypeLink(u, "c2", "84")] for u in ("u1", "u2")}
        )
        await ledger.links.store_types({"u1": [TypeLink("u1", "c1", "83")]})
        assert set(await ledger.links.types()) == {("u1", "c1"), ("u2", "c1"), ("u2", "c2")}


# -- the listener's side ------------------------------------------------------------------------------


async def test_a_confirmation_goes_to_one_replica_and_comes_back_when_that_one_dies(
    database_url: str,
) -> None:
    async with opened(database_url, "one") as one, opened(database_url, "two") as two:
        await Feed(one)(
            change("r1", "a1", unconfirmed=True), change("r2", "a1"), ask_agents=["a1", "a2", "a3", "a4"]
        )
        claimed = await asyncio.gather(
            *(ledger.listener.claim_confirmations(2, 60.0) for ledger in (one, two))
        )
        agents = [item.agent_id for part in claimed for item in part]
        assert sorted(agents) == ["a1", "a2", "a3", "a4"]
        waiting = {item.agent_id: item.request_ids for part in claimed for item in part}
        assert waiting["a1"] == ("r1",), "only what waits for the read"
        assert await two.listener.claim_confirmations(10, 60.0) == []
        await one.pool.execute("UPDATE confirmations SET claimed_until = now() - interval '1 s'")
        assert len(await two.listener.claim_confirmations(10, 60.0)) == 4


async def test_a_read_older_than_the_notification_asks_again_and_a_newer_one_ends_it(
    database_url: str,
) -> None:
    async with opened(database_url) as ledger:
        feed = Feed(ledger)
        await feed(change("r1", "a1", unconfirmed=True), ask_agents=["a1"])
        await ledger.listener.claim_confirmations(10, 60.0)
        await feed(confirmed_agents=["a1"])
        row = await ledger.pool.fetchrow("SELECT claimed_until, due_at > now() AS later FROM confirmations")
        assert row is not None
        assert (row["claimed_until"], row["later"]) == (None, True)
        await feed(change("r1", "a1", version=2), confirmed_agents=["a1"])
        assert await count(ledger, "confirmations") == 0


async def test_a_listener_is_woken_by_what_intake_asks_for(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await ledger.listener.wait_for_confirmations(0.0)  # opens its ears
        await ledger.listener.wait_for_confirmations(0.0)
        waiting = asyncio.create_task(ledger.listener.wait_for_confirmations(3600.0))
        await Feed(ledger)(ask_agents=["a1"])
        async with asyncio.timeout(30):
            await waiting


async def test_a_gap_is_open_until_closed_and_closed_once(database_url: str) -> None:
    async with opened(database_url) as ledger:
        partial = await ledger.listener.open_gap("socket dropped", ["a2", "a1"])
        whole = await ledger.listener.open_gap("start", [])
        assert [(gap.gap_id, gap.agent_ids) for gap in await ledger.listener.open_gaps()] == [
            (partial, ("a1", "a2")),
            (whole, ()),
        ]
        await ledger.listener.close_gap(partial, requests_read=7)
        await ledger.listener.close_gap(partial, requests_read=99)
        assert [gap.gap_id for gap in await ledger.listener.open_gaps()] == [whole]
        assert await ledger.pool.fetchval("SELECT requests_read FROM gaps WHERE gap_id = $1", partial) == 7


async def test_what_the_log_lost_opens_a_gap_with_the_offsets_that_skip_it(database_url: str) -> None:
    async with opened(database_url) as ledger:
        await intake_of(ledger).store(IntakeBatch({0: Span(5, 900)}, gap="offset 5 out of range"))
        (gap,) = await ledger.listener.open_gaps()
        assert (gap.reason, gap.agent_ids) == ("offset 5 out of range", ())
        assert await intake_of(ledger).offsets([0]) == {0: 900}


@pytest.mark.parametrize("unconfirmed", [True, False])
async def test_a_version_counts_as_known_only_when_nothing_newer_was_announced(
    database_url: str, unconfirmed: bool
) -> None:
    """Else a backfill would drop the very read that the notification asked for."""
    async with opened(database_url) as ledger:
        await Feed(ledger)(change("r1", "a1", version=3, unconfirmed=unconfirmed))
        assert await ledger.listener.known_versions(["r1", "r2"]) == ({} if unconfirmed else {"r1": 3})


async def test_what_was_gone_is_not_known(database_url: str) -> None:
    """Else a request that Genesys did not show for a moment would stay gone until its next change."""
    async with opened(database_url) as ledger:
        await Feed(ledger)(change("r1", "a1", version=3, missing=True))
        assert await ledger.listener.known_versions(["r1"]) == {}


async def test_a_request_that_no_target_takes_is_held_and_follows_its_unit_later(database_url: str) -> None:
    """Promise: nothing is due where nobody would ever look; a unit that gets a target brings its requests."""
    async with opened(database_url) as ledger:
        feed = Feed(ledger)
        await link(ledger, "a1")
        await feed(replace(change("r1", "a1"), target=None))
        held = await ledger.links.hold_homeless()
        assert [(row["request_id"], row["reason"]) for row in held] == [("r1", "no_target")]
        await feed(change("r1", "a1", version=2))
        await ledger.links.apply(["a1"], EXPORTED)
        row = await ledger.pool.fetchrow("SELECT target, state, lane_id FROM requests")
        assert row is not None
        assert (row["target"], row["state"]) == (TARGET, "open")
        assert row["lane_id"] is not None

"""Promise: all who work on the same rows at once get through; the database never has to kill one of them."""

from __future__ import annotations

import asyncio
import random

from tests.support.ledger import (
    EXPORTED,
    TARGET,
    Feed,
    announcement,
    booked,
    change,
    claim,
    count,
    eventually,
    link,
    opened,
    step,
    stepping,
)

from timeoff.errors import LeaseLost
from timeoff.ledger import Ledger
from timeoff.ledger.lanes import Lane
from timeoff.ledger.steps import Steps

AGENTS = [f"a{n:02}" for n in range(20)]
ROUNDS = 60
A_ROUND = 30


async def test_intake_workers_links_and_operators_never_deadlock(database_url: str) -> None:
    """Some thousand changes to the same requests while two holders work them off, leases are renewed,
    links are applied and an operator sends held requests round again."""
    async with (
        opened(database_url, "one") as one,
        opened(database_url, "two") as two,
        stepping(one) as steps_of_one,
        stepping(two) as steps_of_two,
    ):
        await link(one, *AGENTS)
        fed = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(feed_all(one))
            feeding.add_done_callback(lambda _: fed.set())
            for ledger, steps in ((one, steps_of_one), (two, steps_of_two)):
                for _ in range(2):
                    group.create_task(work(ledger, steps, fed))
            group.create_task(disturb(two, fed))
        await eventually(lambda: nothing_due(one))
        assert await count(one, "requests WHERE state <> 'settled'") == 0
        assert await count(one, "intents WHERE settled_at IS NULL") == 0
        killed = await one.pool.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert killed == 0


async def feed_all(ledger: Ledger) -> None:
    feed = Feed(ledger)
    chance = random.Random(7)
    version = 1
    for _ in range(ROUNDS):
        version += 1
        agents = [chance.choice(AGENTS) for _ in range(A_ROUND)]
        changes = {
            f"r{chance.randrange(60)}-{agent}": agent for agent in agents
        }  # many are changed again while they are worked on
        await feed(*(change(name, agent, version=version) for name, agent in changes.items()))


async def work(ledger: Ledger, steps: Steps, fed: asyncio.Event) -> None:
    while True:
        lanes = await claim(ledger, limit=6)
        if not lanes and fed.is_set() and await nothing_due(ledger):
            return
        await asyncio.gather(*(work_off(lane, steps) for lane in lanes))
        await ledger.lanes.renew({lane.lane_id: lane.epoch for lane in lanes}, 60.0)
        await ledger.lanes.release({lane.lane_id: (lane.epoch, 0.0) for lane in lanes})
        await asyncio.sleep(0)


async def work_off(lane: Lane, steps: Steps) -> None:
    for number, case in enumerate(lane.cases):
        item = announcement(lane, request_pk=case.request_pk, revision=case.revision)
        if (await steps.commit(step(lane, announce=item))).granted:
            outcome = booked(lane, item.intent_id, number=number)
            if not (await steps.commit(step(lane, outcome))).moved:
                raise LeaseLost


async def disturb(ledger: Ledger, fed: asyncio.Event) -> None:
    while not fed.is_set():
        await ledger.links.apply(AGENTS, EXPORTED)
        await ledger.deployment.retry(None, None)
        await ledger.links.without_lane([TARGET], 60.0)
        await ledger.deployment.go_live([], [])
        keys = [row["request_pk"] for row in await ledger.pool.fetch("SELECT request_pk FROM requests")]
        random.shuffle(keys)
        await ledger.outbox.reported(dict.fromkeys(keys, "AutomaticallyComplete"))
        await ledger.outbox.done_by_hand(keys[:20])


async def nothing_due(ledger: Ledger) -> bool:
    return await count(ledger, "requests WHERE due_at IS NOT NULL") == 0

"""A ledger for tests: lanes and requests put in through the ledger's own doors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.support.cases import AT, MONDAY, content

from timeoff.eventlog.port import Span
from timeoff.ledger import Ledger
from timeoff.ledger.intake import IntakeBatch, IntakeStore, ViewChange
from timeoff.ledger.lanes import Lane
from timeoff.ledger.links import AgentLink
from timeoff.ledger.rows import RequestView
from timeoff.ledger.steps import Announcement, Brake, EntryChange, Evidence, Outcome, Step, Steps
from timeoff.vocabulary import Day, EntrySpec, EntryStatus

ORG = "acme"
TARGET = "hr"
TOPIC = "requests"
GROUP = "sync"
EXPORTED = ("APPROVED",)
NO_BRAKE = Brake(window=600.0, max_cancels=1_000_000, max_share=1.0)


@asynccontextmanager
async def opened(url: str, holder: str = "one", *, live: bool = True) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(url, org=ORG, holder=holder, pool_size=8)
    try:
        await ledger.deployment.ensure()
        await ledger.deployment.add_targets([TARGET])
        if live:
            await ledger.deployment.go_live([], [])
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def stepping(ledger: Ledger, brake: Brake = NO_BRAKE, writers: int = 2) -> AsyncIterator[Steps]:
    steps = Steps(ledger.pool, ledger.holder, brake, writers=writers)
    try:
        yield steps
    finally:
        await steps.close()


def intake_of(ledger: Ledger, group: str = GROUP) -> IntakeStore:
    return IntakeStore(ledger.pool, ORG, group, TOPIC)


async def link(ledger: Ledger, *agents: str, problem: str | None = None) -> None:
    """Agents with an employee of the same name (or with a problem), and so with a lane."""
    found = [
        AgentLink(agent, TARGET, None if problem else f"employee-of-{agent}", None, problem)
        for agent in agents
    ]
    await ledger.links.store(found, EXPORTED)


def change(
    request_id: str, agent: str, first_day: date = MONDAY, *, removed: bool = False, **view: Any
) -> ViewChange:
    """A request as intake stores it: new or changed, due."""
    said = content("CANCELED" if removed else "APPROVED", (first_day,))
    values: dict[str, Any] = {"version": 1, "confirmed": said, "confirmed_at": AT, "zone": "UTC"}
    return ViewChange(
        view=RequestView(request_id, agent, **(values | view)),
        first_seen="stream",
        target=TARGET,
        look_first=False,
        due=True,
        removed=removed,
        first_day=first_day,
        last_day=first_day,
    )


class Feed:
    """Stores batches one after the other, as the owner of partition 0."""

    def __init__(self, ledger: Ledger) -> None:
        self._store = intake_of(ledger)
        self._next = 0

    async def __call__(self, *changes: ViewChange, **batch: Any) -> None:
        span = Span(self._next, self._next + 1)
        await self._store.store(IntakeBatch(spans={0: span}, changes=changes, **batch))
        self._next += 1


async def claim(ledger: Ledger, limit: int = 10, lease: float = 60.0) -> list[Lane]:
    return await ledger.lanes.claim([TARGET], limit, lease, 32)


async def expire(ledger: Ledger, lane: Lane) -> None:
    """The lane's lease ends now."""
    await ledger.pool.execute(
        "UPDATE lanes SET leased_until = now() - interval '1 s' WHERE lane_id = $1", lane.lane_id
    )


def spec_of(lane: Lane, on: date = MONDAY) -> EntrySpec:
    return EntrySpec(lane.employee_id, "83", None, EntryStatus.APPROVED, (Day(on, 480, whole=True),), "UTC")


def announcement(lane: Lane, *, timeout: float = 10.0, **more: Any) -> Announcement:
    """The intent to insert the lane's first request."""
    case = lane.cases[0]
    values: dict[str, Any] = {
        "intent_id": uuid4(),
        "request_pk": case.request_pk,
        "revision": case.revision,
        "kind": "insert",
        "booking": 1,
        "write_no": 1,
        "timeout": timeout,
        "spec": spec_of(lane),
    }
    return Announcement(**(values | more))


def booked(lane: Lane, intent_id: UUID | None, vendor_id: str = "4711", *, number: int = 0) -> Outcome:
    """The outcome of an insert that took place."""
    case = lane.cases[number]
    return Outcome(
        request_pk=case.request_pk,
        revision=case.revision,
        state="settled",
        booking=1,
        writes=1,
        reason="insert",
        intent_id=intent_id,
        intent_outcome="written" if intent_id else None,
        result_id=vendor_id,
        entry=EntryChange(1, TARGET, spec_of(lane), "hours", vendor_id, live=True),
    )


def step(
    lane: Lane,
    *outcomes: Outcome,
    announce: Announcement | None = None,
    evidence: tuple[Evidence, ...] = (),
) -> Step:
    return Step(lane.lane_id, lane.epoch, outcomes, announce, evidence)


async def state_of(ledger: Ledger, request_id: str) -> str:
    return str(await ledger.pool.fetchval("SELECT state FROM requests WHERE request_id = $1", request_id))


async def count(ledger: Ledger, what: str) -> int:
    """`count(ledger, "intents WHERE settled_at IS NULL")`."""
    return int(await ledger.pool.fetchval(f"SELECT count(*) FROM {what}"))


async def eventually(holds: Callable[[], Awaitable[bool]], within: float = 30.0) -> None:
    """Ask again until it holds."""
    async with asyncio.timeout(within):
        while not await holds():
            await asyncio.sleep(0.01)


def days_from(first: date, number: int) -> date:
    return first + timedelta(days=number)

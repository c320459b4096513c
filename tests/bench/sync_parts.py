"""The parts of the sync, wired as `timeoff_sync.app` wires them, without Genesys and without a listener."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date

from tests.bench import cpu
from tests.bench.slow_hris import VACATION, SlowHris
from tests.bench.traffic import CODE, ORG, Traffic

from timeoff.eventlog import EventLog
from timeoff.ledger import Ledger
from timeoff.ledger.budget import SharedBudget
from timeoff.ledger.deployment import Deployment
from timeoff.ledger.intake import IntakeStore
from timeoff.ledger.links import AgentLink
from timeoff.ledger.steps import Brake, Steps
from timeoff.settings.model import SyncSettings
from timeoff_sync.decisions import Rules, TypeChoice
from timeoff_sync.doubts import Doubts
from timeoff_sync.intake import Intake, IntakeNames
from timeoff_sync.lane_run import Tools
from timeoff_sync.outcomes import Names, Outcomes
from timeoff_sync.protections import Protections
from timeoff_sync.relay import Relay
from timeoff_sync.settle import Patience
from timeoff_sync.sightings import Sightings
from timeoff_sync.target import Target
from timeoff_sync.workers import Workers
from timeoff_sync.writing import Writing

TARGET = "hr"
OUTCOMES = "bench.outcomes"
DEAD_LETTERS = "bench.dead-letters"
#: Calls a minute that the budget allows: never the limit here, but leased from the ledger like any other.
UNLIMITED = 60_000_000


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time, CPU of this process, CPU of the database server; seconds."""

    wall: float
    own: float
    database: float | None

    @classmethod
    def read(cls, database_pid: int) -> Clock:
        return cls(time.perf_counter(), time.process_time(), cpu.of_server(database_pid))


class StartedStore(IntakeStore):
    """Notes when partitions were assigned: the clock starts there, not with the join of the group."""

    started: Clock | None = None
    database_pid = 0

    async def offsets(self, partitions: Collection[int]) -> dict[int, int]:
        if self.started is None:
            self.started = Clock.read(self.database_pid)
        return await super().offsets(partitions)


@dataclass
class Parts:
    """Started parts. `due` is what wakes the workers."""

    ledger: Ledger
    store: StartedStore
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def spent(self) -> Clock:
        """Since partitions were assigned."""
        began, now = self.store.started, Clock.read(self.store.database_pid)
        assert began is not None
        database = None if now.database is None or began.database is None else now.database - began.database
        return Clock(now.wall - began.wall, now.own - began.own, database)

    def check(self) -> None:
        for task in self.tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error


async def prepare(ledger: Ledger, traffic: Traffic) -> Deployment:
    """A live deployment that knows every agent's employee."""
    await ledger.deployment.ensure()
    await ledger.deployment.add_targets([TARGET])
    await ledger.deployment.add_budget(f"hris.{TARGET}")
    await ledger.links.store(
        [
            AgentLink(agent, TARGET, agent.replace("agent", "employee"), "email", None)
            for agent in traffic.agents
        ],
        ["APPROVED"],
    )
    await ledger.deployment.go_live([], [])
    return await ledger.deployment.read()


@asynccontextmanager
async def running(
    ledger: Ledger,
    event_log: EventLog,
    deployment: Deployment,
    hris: SlowHris,
    *,
    topic: str,
    group: str,
    lanes: int,
    database_pid: int,
    with_workers: bool = True,
) -> AsyncIterator[Parts]:
    settings = SyncSettings(lanes=lanes)
    due = asyncio.Event()
    store = StartedStore(ledger.pool, ORG, group, topic)
    store.database_pid = database_pid
    parts = Parts(ledger, store)
    protections = Protections()
    intake = Intake(
        event_log,
        store,
        IntakeNames(topic, DEAD_LETTERS, group, None),
        due,
        target_of={},
        default_target=TARGET,
        created_at=deployment.created_at,
        copy_notes=False,
        batch_size=settings.intake_batch,
        protections=protections,
    )
    brake = settings.brake
    steps = Steps(ledger.pool, ledger.holder, Brake(brake.window, brake.max_cancels, brake.max_share))
    target = Target(
        name=TARGET,
        hris=hris,
        budget=SharedBudget(ledger.deployment, f"hris.{TARGET}", UNLIMITED),
        rules=Rules(
            deployment=deployment.deployment_id,
            exported=frozenset(settings.exported_statuses),
            cutover=date(2000, 1, 1),
            capabilities=hris.capabilities,
            types={VACATION.id: VACATION},
            choices={("", CODE): TypeChoice(VACATION.id)},
        ),
        in_flight=asyncio.Semaphore(lanes),
    )
    outcomes = Outcomes(Names(OUTCOMES, report=True), settings.retry_first, settings.retry_max)
    patience = Patience(settings.find_waits, settings.empty_wait, settings.settle_without_known_record)
    writing = Writing(ledger.deployment, deployment, probe_every=settings.probe_every)
    tools = Tools(
        target=target,
        lanes=ledger.lanes,
        steps=steps,
        sightings=Sightings(target, ledger.lanes, fresh=settings.first_sight_window),
        outcomes=outcomes,
        doubts=Doubts(
            target,
            ledger.lanes,
            steps,
            outcomes,
            patience,
            settings.twin_audit_after,
            settings.retry_attempts,
            protections,
        ),
        writing=writing,
        protections=protections,
        retry_attempts=settings.retry_attempts,
        handovers=ledger.handovers,
    )
    workers = Workers(
        ledger.lanes,
        {TARGET: tools},
        writing,
        due,
        most_lanes=lanes,
        requests_per_claim=settings.requests_per_claim,
        lease=settings.lease,
        poll=settings.poll,
    )
    runs = [intake.run]
    if with_workers:
        runs += [workers.run, Relay(event_log, ledger.outbox, ledger.deployment).run]
    parts.tasks = [asyncio.create_task(run(parts.stop)) for run in runs]
    try:
        yield parts
    finally:
        parts.stop.set()
        await asyncio.gather(*parts.tasks, return_exceptions=True)
        await steps.close()

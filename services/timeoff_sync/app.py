"""The sync service, wired from top to bottom.

requests topic ─> intake ─> ledger ─> workers ─> decide ─> intent ─> HRIS ─> outcome
                              └─> relay ─> outcomes and dead letters   └─> status reports ─> Genesys
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import date

from timeoff.errors import SettingsError
from timeoff.eventlog import EventLog
from timeoff.genesys.client import GenesysClient
from timeoff.hris import registry
from timeoff.hris.configured import choices
from timeoff.hris.port import Hris
from timeoff.ledger import Ledger
from timeoff.ledger.budget import GENESYS, SharedBudget
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.deployment import Deployment
from timeoff.ledger.intake import IntakeStore
from timeoff.ledger.steps import Brake, Steps
from timeoff.rules import load_rule
from timeoff.runtime.supervisor import supervise
from timeoff.settings.model import Settings
from timeoff.telemetry.logs import get_logger
from timeoff.web import serve_monitor
from timeoff_sync.decisions import Rules
from timeoff_sync.doubts import Doubts
from timeoff_sync.hand_marks import HandMarks
from timeoff_sync.intake import Intake, IntakeNames
from timeoff_sync.lane_writer import SEND_WITHIN, Tools
from timeoff_sync.links import Links
from timeoff_sync.outcomes import Names, Outcomes
from timeoff_sync.protections import Protections
from timeoff_sync.relay import Relay
from timeoff_sync.settle import Patience
from timeoff_sync.sightings import Sightings
from timeoff_sync.status_reports import StatusReports
from timeoff_sync.target import Target
from timeoff_sync.wake_ups import WakeUps
from timeoff_sync.watch import Watch
from timeoff_sync.workers import Workers
from timeoff_sync.writing import Writing

log = get_logger()

#: /readyz: workers that did not look for work for so long make no progress.
STALLED = 60.0


async def run(
    settings: Settings, ledger: Ledger, event_log: EventLog, stop: asyncio.Event | None = None
) -> None:
    """Sync until `stop` or a signal. Ledger and log are open and stay open."""
    protections = Protections.from_environment()
    deployment = await ledger.deployment.ensure()
    await ledger.deployment.add_targets(list(settings.hris))
    due = asyncio.Event()
    due.set()

    async with AsyncExitStack() as opened:
        genesys_budget = SharedBudget(ledger.deployment, GENESYS, settings.genesys.requests_per_minute)
        await ledger.deployment.add_budget(GENESYS)
        genesys = await opened.enter_async_context(GenesysClient(settings.genesys, budget=genesys_budget))
        targets = await _open_targets(settings, ledger, deployment, opened)

        hand_marks = HandMarks(genesys)
        opened.push_async_callback(hand_marks.close)

        brake = settings.sync.brake
        steps = Steps(ledger.pool, ledger.holder, Brake(brake.window, brake.max_cancels, brake.max_share))
        opened.push_async_callback(steps.close)
        writing = Writing(ledger.deployment, deployment, probe_every=settings.sync.probe_every)

        intake = Intake(
            event_log,
            IntakeStore(ledger.pool, settings.org, settings.log.group, settings.log.requests_topic),
            IntakeNames(
                settings.log.requests_topic,
                settings.log.dead_letters_topic,
                settings.log.group,
                settings.log.member,
            ),
            due,
            target_of=_targets_of_units(settings),
            default_target=_default_target(settings),
            created_at=deployment.created_at,
            copy_notes=settings.notes == "copy",
            batch_size=settings.sync.intake_batch,
            protections=protections,
        )
        workers = Workers(
            ledger.lanes,
            {
                name: _tools(settings, ledger, target, steps, writing, hand_marks, protections)
                for name, target in targets.items()
            },
            writing,
            due,
            most_lanes=settings.sync.lanes,
            requests_per_claim=settings.sync.requests_per_claim,
            lease=settings.sync.lease,
            poll=settings.sync.poll,
        )
        units = (_targets_of_units(settings), _default_target(settings))
        links = Links(settings, ledger.links, genesys, targets, due, writing, units)
        reports = StatusReports(
            genesys,
            ledger.outbox,
            due,
            every=settings.sync.writeback_every,
            attention=settings.sync.attention_every,
        )
        parts = {
            "intake": intake.run,
            "links": links.run,
            "workers": _after(links, workers.run),
            "handovers": WakeUps(ledger.pool, due).run,
            "relay": Relay(event_log, ledger.outbox, ledger.deployment).run,
            "watch": Watch(ledger.reports, writing, targets, due).run,
        }
        if settings.sync.writeback:
            parts["reports"] = reports.run

        async def ledger_answers() -> str | None:
            try:
                await ledger.pool.fetchval("SELECT 1")
            except CONNECTION_TROUBLE as error:
                return f"PostgreSQL: {type(error).__name__}"
            return None

        async def log_answers() -> str | None:
            await event_log.ping()
            return None

        async def makes_progress() -> str | None:
            if intake.trouble:
                return intake.trouble
            if not links.ready:
                waits = "waits for the types of the HRIS and the plans of Genesys"
                return f"{waits}; {links.trouble}" if links.trouble else waits
            if writing.braked:
                return f"brake pulled: {writing.deployment.brake_reason}"
            if stopped := sorted(writing.stopped() & targets.keys()):
                return f"targets stopped: {', '.join(stopped)}; see `timeoff-sync targets`"
            if time.monotonic() - workers.progressed_at > STALLED:
                return "workers have not looked for work for a while"
            return None

        ready = {"ledger": ledger_answers, "log": log_answers, "progress": makes_progress}
        async with serve_monitor(settings.http, ready=ready) as monitor:
            log.info(
                "sync.started",
                monitor=monitor.url,
                deployment=deployment.deployment_id,
                mode=deployment.write_mode.value,
                targets=list(targets),
                log=settings.log.kind,
            )
            await supervise(parts, drain=settings.runtime.drain, stop=stop)


def _after(links: Links, run_workers):  # type: ignore[no-untyped-def]
    """Workers decide by types and plans: they start when plans are known, for targets whose types are."""

    async def run(stop: asyncio.Event) -> None:
        while not links.started and not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 0.05)
            except TimeoutError:
                continue
        if not stop.is_set():
            await run_workers(stop)

    return run


async def _open_targets(
    settings: Settings, ledger: Ledger, deployment: Deployment, opened: AsyncExitStack
) -> dict[str, Target]:
    targets = {}
    for name, configured in settings.hris.items():
        adapter = registry.adapter(configured.adapter)
        hris: Hris = await adapter.open(registry.adapter_settings(configured))
        opened.push_async_callback(hris.close)
        _check_lease(settings.sync.lease, name, hris)
        budget = f"hris.{name}"
        await ledger.deployment.add_budget(budget)
        targets[name] = Target(
            name=name,
            hris=hris,
            budget=SharedBudget(ledger.deployment, budget, configured.requests_per_minute),
            rules=Rules(
                deployment=deployment.deployment_id,
                exported=frozenset(settings.sync.exported_statuses),
                cutover=settings.sync.cutover_date or _start_date(deployment),
                capabilities=hris.capabilities,
                types={},
                choices=choices(settings, name, ()),
                copy_notes=settings.notes == "copy",
                rule=load_rule(settings.sync.rule),
                reservation_kept=settings.sync.reservation_kept,
            ),
            in_flight=asyncio.Semaphore(configured.max_in_flight),
            types_known=False,
        )
    return targets


def _check_lease(lease: float, target: str, hris: Hris) -> None:
    """A lease is renewed every third of it: what is left then must still outlast a call."""
    least = 1.5 * (hris.capabilities.call_timeout + SEND_WITHIN)
    if lease <= least:
        timeout = hris.capabilities.call_timeout
        raise SettingsError(
            [
                f"sync.lease: {lease:g} s is too short for calls of up to {timeout:g} s to hris.{target}; "
                f"set more than {least:g}, or shorten the call_timeout of the adapter"
            ]
        )


def _tools(
    settings: Settings,
    ledger: Ledger,
    target: Target,
    steps: Steps,
    writing: Writing,
    hand_marks: HandMarks,
    protections: Protections,
) -> Tools:
    sync = settings.sync
    outcomes = Outcomes(
        Names(settings.log.outcomes_topic, report=sync.writeback),
        sync.retry_first,
        sync.retry_max,
        writing.allows,
    )
    patience = Patience(sync.find_waits, sync.empty_wait, sync.settle_without_known_record)
    return Tools(
        target=target,
        lanes=ledger.lanes,
        steps=steps,
        sightings=Sightings(target, ledger.lanes, fresh=sync.first_sight_window),
        outcomes=outcomes,
        doubts=Doubts(
            target,
            ledger.lanes,
            steps,
            outcomes,
            patience,
            sync.twin_audit_after,
            sync.retry_attempts,
            protections,
        ),
        writing=writing,
        protections=protections,
        retry_attempts=sync.retry_attempts,
        handovers=ledger.handovers,
        hand_marks=hand_marks,
    )


def _start_date(deployment: Deployment) -> date:
    return deployment.started_on


def _targets_of_units(settings: Settings) -> Mapping[str, str]:
    return {unit: name for name, target in settings.hris.items() for unit in target.management_units}


def _default_target(settings: Settings) -> str | None:
    """The target of units that no target names: the one that names none."""
    open_to_all = [name for name, target in settings.hris.items() if not target.management_units]
    return open_to_all[0] if open_to_all else None

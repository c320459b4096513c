"""The listener, wired.

sockets ─ Channel ─┐                                      ┌─> requests topic
(Fleet, Coverage)  ├─> Stream ─> observe ─> Acceptor ─────┤
                   └─ loss ─> GapBook (ledger)            └─> dead letters
Confirming ─ AgentReads ─> observe ─> Acceptor
Backfill ─ units, AgentReads ─> observe ─> Acceptor ─> closes gaps
"""

from __future__ import annotations

import asyncio

from timeoff.errors import GenesysUnavailable
from timeoff.eventlog.port import EventLog
from timeoff.genesys.budget import Budget, LocalBudget
from timeoff.genesys.client import GenesysClient
from timeoff.runtime.supervisor import supervise
from timeoff.settings.model import Settings
from timeoff.telemetry.logs import get_logger
from timeoff.web import serve_monitor
from timeoff_listener.accept import Acceptor
from timeoff_listener.agent_reads import AgentReads
from timeoff_listener.backfill import Backfill
from timeoff_listener.confirm import Confirming
from timeoff_listener.coverage import Coverage
from timeoff_listener.fleet import Fleet
from timeoff_listener.gap import GapBook
from timeoff_listener.ports import ListenerLedger
from timeoff_listener.stream import Stream, run_stream


async def run(
    settings: Settings,
    ledger: ListenerLedger,
    log: EventLog,
    stop: asyncio.Event | None = None,
    *,
    budget: Budget | None = None,
) -> None:
    """Listen until `stop` or a signal. Topics and ledger are open and stay open.

    Raises `GenesysAuthFailed` if the credentials are refused at the start, `PartCrashed` if a part fails.
    A Genesys that cannot be reached is waited for.
    """
    budget = budget or LocalBudget(settings.genesys.requests_per_minute)
    async with GenesysClient(settings.genesys, budget=budget) as client:
        try:
            await client.authenticate()
        except GenesysUnavailable as error:
            get_logger().error("genesys.unreachable", detail=str(error), api=settings.genesys.api)

        gaps = GapBook(ledger, lag_margin=settings.listener.lag_margin)
        # Whatever happened while no listener ran is unknown, and so is what the last one left unfinished.
        await gaps.open_global("start")

        acceptor = Acceptor(settings, log)
        coverage = Coverage(settings.genesys, client, ledger)
        reads = AgentReads(settings, client=client, coverage=coverage, ledger=ledger, acceptor=acceptor)
        confirming = Confirming(settings.listener, ledger=ledger, reads=reads)
        stream = Stream(settings, coverage=coverage, acceptor=acceptor, confirming=confirming, gaps=gaps)
        fleet = Fleet(settings.listener, client=client, coverage=coverage, sink=stream, gaps=gaps)
        backfill = Backfill(
            settings.listener,
            client=client,
            coverage=coverage,
            ledger=ledger,
            acceptor=acceptor,
            reads=reads,
            gaps=gaps,
            liveness=fleet,
        )

        async def log_ready() -> str | None:
            await log.ping()
            return None

        async def ledger_ready() -> str | None:
            await ledger.open_gaps()
            return None

        ready = {"log": log_ready, "ledger": ledger_ready, "stream": fleet.readiness}
        async with serve_monitor(settings.http, ready=ready):
            await supervise(
                {
                    "stream": lambda stop: run_stream(fleet, acceptor, stop),
                    "confirming": confirming.run,
                    "backfill": backfill.run,
                },
                drain=settings.runtime.drain,
                stop=stop,
            )

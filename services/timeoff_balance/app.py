"""The balance service, wired.

settings ─> HRIS behind its budget ─> Lookups ─┐
ledger ─> BalanceStore ─> claims ──────────────┼─> Balances ─> routes ─┐
topics, notices ─> Invalidation ─> Shelves ────┘                       ├─> Road ─> HTTP
settings, schema balance, Genesys ─> Access ───────────────────────────┘
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final

from aiohttp import web

from timeoff.errors import SettingsError
from timeoff.eventlog import EventLog
from timeoff.hris import registry
from timeoff.hris.choices import TypeChoice
from timeoff.hris.configured import write_path
from timeoff.hris.port import TimeOffType
from timeoff.ledger import Ledger
from timeoff.ledger.balance import BalanceStore
from timeoff.ledger.budget import SharedBudget
from timeoff.rules import load_rule
from timeoff.runtime.supervisor import Part, supervise
from timeoff.settings.model import Settings
from timeoff.telemetry.logs import get_logger
from timeoff.web import SHUTDOWN_TIMEOUT, ReadyCheck, serve_monitor
from timeoff_balance import metrics, openapi
from timeoff_balance.access import Access
from timeoff_balance.balances import Balances
from timeoff_balance.claims import ClaimRules
from timeoff_balance.clock import DatabaseClock
from timeoff_balance.database import CONNECTION_TROUBLE, open_pool, sql
from timeoff_balance.directory import Directory
from timeoff_balance.flows.booking import Booking
from timeoff_balance.flows.checking import Policy
from timeoff_balance.flows.routes import FlowService
from timeoff_balance.guard import GuardedHris, Stops
from timeoff_balance.invalidation import Invalidation
from timeoff_balance.lookups import Lookups
from timeoff_balance.parts import Parts
from timeoff_balance.road import Road
from timeoff_balance.routes import Routes
from timeoff_balance.shelves import Shelves
from timeoff_balance.users import GenesysUsers

log = get_logger()

#: Seconds between two removals of what has expired.
CLEANING: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Service:
    """The running service; `url` has no slash at its end. `loops` have to run as long as it is served."""

    url: str
    parts: Parts
    invalidation: Invalidation
    loops: Mapping[str, Part]


async def run(
    settings: Settings, ledger: Ledger, event_log: EventLog, stop: asyncio.Event | None = None
) -> None:
    """Serve until `stop` or a signal. Ledger and log are open and stay open."""
    async with (
        serve(settings, ledger, event_log) as service,
        serve_monitor(settings.http, ready=_ready(service)),
    ):
        await supervise(service.loops, drain=settings.runtime.drain, stop=stop)


def _ready(service: Service) -> Mapping[str, ReadyCheck]:
    async def database() -> str | None:
        await service.parts.pool.fetchval("SELECT 1")
        return None

    async def following() -> str | None:
        missing = service.invalidation.missing
        return f"not followed: {', '.join(missing)}" if missing else None

    return {"database": database, "following": following}


@asynccontextmanager
async def serve(settings: Settings, ledger: Ledger, event_log: EventLog) -> AsyncIterator[Service]:
    """The service on its address while the context lasts."""
    if settings.database.url is None:
        raise SettingsError(["database.url: is not set"])
    balance = settings.balance
    async with AsyncExitStack() as opened:
        deployment = await ledger.deployment.ensure()
        pool = await open_pool(
            settings.database.url.get_secret_value(), size=max(2, settings.database.pool_size // 3)
        )
        opened.push_async_callback(pool.close)

        store = BalanceStore(
            ledger.pool,
            settings.org,
            log_group=settings.log.group,
            requests_topic=settings.log.requests_topic,
        )
        clock = DatabaseClock(store.now)
        await clock.refresh()
        shelves = Shelves(
            fresh=balance.fresh,
            most_readings=balance.max_readings,
            monotonic=time.monotonic,
            now=clock.now,
        )
        targets = await _open_targets(settings, ledger, opened)
        lookups = {
            name: Lookups(target, shelves, clock, oldest=balance.oldest, in_turn=balance.max_in_flight // 4)
            for name, target in targets.items()
        }
        for each in lookups.values():
            opened.push_async_callback(each.close)
        cutover = settings.sync.cutover_date or deployment.started_on
        directory = Directory(settings, targets, ledger.links, _claim_rules(settings, cutover, targets))
        opened.push_async_callback(directory.close)
        balances = Balances(
            balance,
            directory,
            lookups,
            {name: target.hris.capabilities for name, target in targets.items()},
            shelves,
            store,
            clock,
        )
        users = None
        if balance.genesys_users:
            users = await opened.enter_async_context(GenesysUsers(settings.genesys))
        access = Access(balance, pool, store, directory.targets, users)
        parts = Parts(balance, pool, ledger, store, balances, directory, access, shelves, clock)
        invalidation = Invalidation(
            shelves,
            event_log,
            ledger.pool,
            requests_topic=settings.log.requests_topic,
            outcomes_topic=settings.log.outcomes_topic,
        )
        loops: dict[str, Part] = {
            "requests": invalidation.follow_requests,
            "outcomes": invalidation.follow_outcomes,
            "notices": invalidation.follow_notices,
            "cleaning": lambda stop: _clean(parts, stop),
        }
        flows = FlowService(
            balances=balances,
            directory=directory,
            targets=directory.targets,
            target_of=directory.target,
            pool=pool,
            sql=sql(),
            kept=balance.executions_kept,
            booking=Booking(
                ledger.handovers,
                ledger.deployment,
                balances,
                directory,
                targets,
                _policies(settings),
                default_path=write_path(settings, None),
                notes=settings.notes == "copy",
            ),
        )
        loops["executions"] = flows.executions.clean
        opened.push_async_callback(flows.executions.close, SHUTDOWN_TIMEOUT)
        url = await _listen(build(parts, flows), settings, opened)
        log.info("balance.listening", url=url, targets=list(targets))
        yield Service(url, parts, invalidation, loops)


def build(parts: Parts, flows: FlowService) -> web.Application:
    """All that the service answers."""
    road = Road(parts.access, parts.settings.cors_origins)
    app = web.Application(middlewares=[road.middleware], client_max_size=parts.settings.body_limit)
    app.add_routes(Routes(parts).routes())
    app.add_routes(flows.routes())
    app.add_routes([openapi.route([*openapi.operations(), *flows.operations()])])
    return app


async def _listen(app: web.Application, settings: Settings, opened: AsyncExitStack) -> str:
    balance = settings.balance
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT,
        logger=_http_log(),
        max_field_size=16_384,
        auto_decompress=False,  # a compressed body is refused, so that its limit is what it says
    )
    await runner.setup()
    opened.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, balance.host, balance.port).start()
    except OSError as error:
        where = f"{balance.host}:{balance.port}"
        raise SettingsError([f"balance.port: cannot listen on {where}: {error.strerror or error}"]) from error
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _http_log() -> logging.Logger:
    """What aiohttp says of requests that it cannot parse, without the error: that quotes headers."""
    http = logging.getLogger("timeoff_balance.http")
    http.addFilter(_without_error)
    return http


def _without_error(record: logging.LogRecord) -> bool:
    record.exc_info = record.exc_text = None
    return True


async def _open_targets(settings: Settings, ledger: Ledger, opened: AsyncExitStack) -> dict[str, GuardedHris]:
    """The same HRIS as the sync's, and the same budgets: lookups and writes share what a vendor allows."""
    targets = {}
    stops = Stops(ledger.deployment, settings.sync.probe_every)
    opened.push_async_callback(stops.close)
    await ledger.deployment.add_targets(list(settings.hris))
    for name, configured in settings.hris.items():
        adapter = registry.adapter(configured.adapter)
        hris = await adapter.open(registry.adapter_settings(configured))
        opened.push_async_callback(hris.close)
        budget = f"hris.{name}"
        await ledger.deployment.add_budget(budget)
        targets[name] = GuardedHris(
            name=name,
            hris=hris,
            budget=SharedBudget(ledger.deployment, budget, configured.requests_per_minute),
            in_flight=asyncio.Semaphore(settings.balance.max_in_flight),
            metrics=metrics.HRIS,
            stops=stops,
        )
    return targets


def _claim_rules(
    settings: Settings, cutover: date, targets: Mapping[str, GuardedHris]
) -> Callable[[str, Mapping[str, TimeOffType], Mapping[tuple[str, str], TypeChoice]], ClaimRules]:
    rule = load_rule(settings.sync.rule)

    def rules(
        target: str, types: Mapping[str, TimeOffType], choices: Mapping[tuple[str, str], TypeChoice]
    ) -> ClaimRules:
        return ClaimRules(
            types,
            choices,
            frozenset(settings.sync.exported_statuses),
            cutover,
            rule,
            targets[target].hris.capabilities.balance_counts_requested,
        )

    return rules


def _policies(settings: Settings) -> Callable[[str, str], Policy]:
    def policy(target: str, type_id: str) -> Policy:
        for rule in settings.types:
            if rule.type_id == type_id and rule.target in (None, target):
                return Policy(rule.on_unknown_balance == "accept", rule.overdraft)
        return Policy()

    return policy


async def _clean(parts: Parts, stop: asyncio.Event) -> None:
    """Remove tokens that are of no use any more, now and then."""
    while not stop.is_set():
        try:
            await parts.pool.execute(sql().drop_expired_tokens)
        except CONNECTION_TROUBLE as error:
            log.warning("balance.cleaning_failed", error=type(error).__name__)
        try:
            await asyncio.wait_for(stop.wait(), CLEANING)
        except TimeoutError:
            continue


__all__ = ["Service", "build", "run", "serve"]

"""The leave service, wired.

settings ─> pool (schema leave, migrated) ─> Context ─> routes of each resource ─┐
                                                                                 ├─> Road ─> HTTP
Passwords ─> Logins ─> TokenCall, pages          Door (token, rate) ─────────────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import web

from timeoff.errors import SettingsError
from timeoff.runtime.supervisor import supervise
from timeoff.settings.model import LeaveSettings, Settings
from timeoff.telemetry.logs import get_logger
from timeoff.web import SHUTDOWN_TIMEOUT, serve_monitor
from timeoff_leave import (
    assignments,
    balances,
    employees,
    leave_policies,
    leave_policy_items,
    leave_types,
    openapi,
    policy_links,
    regions,
    requests,
)
from timeoff_leave.access import Door
from timeoff_leave.clock import Clock, system_clock
from timeoff_leave.context import Context
from timeoff_leave.database import CONNECTION_TROUBLE, open_pool
from timeoff_leave.logins import Logins
from timeoff_leave.pages import Pages
from timeoff_leave.passwords import Passwords
from timeoff_leave.road import Road
from timeoff_leave.routes import Route
from timeoff_leave.setup import ensure_access
from timeoff_leave.tokens import TokenCall

ROUTES: Final[tuple[Route, ...]] = (
    *regions.ROUTES,
    *employees.ROUTES,
    *leave_types.ROUTES,
    *leave_policy_items.ROUTES,
    *leave_policies.ROUTES,
    *policy_links.ROUTES,
    *assignments.ROUTES,
    *balances.ROUTES,
    *requests.ROUTES,
)

#: Seconds between two removals of what has expired.
CLEANING: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Service:
    """The running service; `url` has no slash at its end."""

    url: str
    context: Context


async def run(settings: Settings, stop: asyncio.Event | None = None, *, clock: Clock = system_clock) -> None:
    """Serve until `stop` or a signal. Raises `Unreachable` or `SettingsError` at the start."""
    url = settings.leave.database_url or settings.database.url
    if url is None:
        raise SettingsError(["leave.database_url: is not set, nor is database.url"])
    async with serve(
        settings.leave, url.get_secret_value(), clock=clock, pool_size=settings.database.pool_size
    ) as service:

        async def database_ready() -> str | None:
            await service.context.pool.fetchval("SELECT 1")
            return None

        async with serve_monitor(settings.http, ready={"database": database_ready}):
            await supervise(
                {"cleaning": lambda stop: clean(service.context, stop)},
                drain=settings.runtime.drain,
                stop=stop,
            )


@asynccontextmanager
async def serve(
    settings: LeaveSettings,
    database_url: str,
    *,
    clock: Clock = system_clock,
    passwords: Passwords | None = None,
    pool_size: int = 12,
) -> AsyncIterator[Service]:
    """The service on its address while the context lasts."""
    pool = await open_pool(database_url, size=pool_size)
    try:
        context = Context(pool, settings, clock)
        passwords = passwords or Passwords()
        if not await regions.knows_zone(context, settings.time_zone):
            raise SettingsError([f"leave.time_zone: PostgreSQL does not know {settings.time_zone}"])
        await ensure_access(context, passwords)
        runner = web.AppRunner(
            build(context, passwords),
            access_log=None,
            shutdown_timeout=SHUTDOWN_TIMEOUT,
            max_line_size=65_536,
            auto_decompress=False,  # a compressed body is refused, so that its limit is what it says
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, settings.host, settings.port).start()
            except OSError as error:
                where = f"{settings.host}:{settings.port}"
                raise SettingsError(
                    [f"leave: cannot listen on {where}: {error.strerror or error}"]
                ) from error
            host, port = runner.addresses[0][:2]
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            get_logger().info("leave.listening", url=url)
            yield Service(url, context)
        finally:
            await runner.cleanup()
    finally:
        await pool.close()


def build(context: Context, passwords: Passwords) -> web.Application:
    """All that the service answers."""
    logins = Logins(context, passwords)
    road = Road(context, Door(context), ROUTES)
    app = web.Application(middlewares=road.middlewares, client_max_size=context.settings.body_limit)
    app.add_routes([*road.routes(), *TokenCall(logins).routes()])
    app.add_routes(Pages(context, logins).routes())
    app.add_routes([openapi.route(ROUTES, envelope=context.settings.envelope)])
    return app


async def clean(context: Context, stop: asyncio.Event) -> None:
    """Remove tokens, blocks and failures that are of no use any more, now and then."""
    while True:
        now = context.now()
        window = timedelta(seconds=context.settings.login_window)
        try:
            await context.pool.execute(context.sql.remove_expired, now, now - window)
        except CONNECTION_TROUBLE as error:
            get_logger().warning("leave.cleaning_failed", exc_info=error)
        try:
            await asyncio.wait_for(stop.wait(), CLEANING)
        except TimeoutError:
            continue
        return

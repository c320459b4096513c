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

from aiohttp import hdrs, web

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
from timeoff_leave.listening import listening
from timeoff_leave.logins import Logins
from timeoff_leave.pages import Pages
from timeoff_leave.passwords import Passwords
from timeoff_leave.road import Road, expect
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
    opened: Service | None = None

    async def database_ready() -> str | None:
        if opened is None:
            return "is being set up"
        await opened.context.pool.fetchval("SELECT 1")
        return None

    # Both addresses are taken before the database is touched: a process that cannot start changes nothing.
    async with (
        serve_monitor(settings.http, ready={"database": database_ready}),
        serve(
            settings.leave, url.get_secret_value(), clock=clock, pool_size=settings.database.pool_size
        ) as service,
    ):
        opened = service
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
    """The service on its address while the context lasts. The address is taken first, and answers last."""
    with listening(settings.host, settings.port) as sockets:
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
                for each in sockets:
                    await web.SockSite(runner, each).start()
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
    logins, door = Logins(context, passwords), Door(context)
    road = Road(context, door, ROUTES)
    app = web.Application(middlewares=road.middlewares, client_max_size=context.settings.body_limit)
    for route in (
        *road.routes(),
        *TokenCall(logins, context.settings).routes(),
        *Pages(context, logins, door).routes(),
        openapi.route(ROUTES, envelope=context.settings.envelope),
    ):
        more = {**route.kwargs, "expect_handler": expect}
        app.add_routes([web.RouteDef(route.method, route.path, route.handler, more)])
    app.on_response_prepare.append(_name_server)
    return app


async def _name_server(_: web.Request, response: web.StreamResponse) -> None:
    """In place of the names and versions of what it is made of."""
    response.headers[hdrs.SERVER] = "timeoff-leave"


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

"""The sandbox as one server: Genesys Cloud, BambooHR, the reference HRIS and the admin API on one port.

It shares no code with what it judges: nothing of `timeoff` is imported, and its logs are the ground truth.

    sandbox = Sandbox({"genesys": {"requestsPerMinute": 0}})
    sandbox.make_world(WorldOptions(agents=20))
    await sandbox.start()
    ...  # sandbox.url
    await sandbox.stop()
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import Field, ValidationError

from timeoff_sandbox.bamboohr import BambooHrSandbox
from timeoff_sandbox.clock import Clock, instant
from timeoff_sandbox.genesys import GenesysSandbox
from timeoff_sandbox.genesys.admin import admin_route, read
from timeoff_sandbox.genesys.errors import bad_request
from timeoff_sandbox.genesys.gateway import invalid_body
from timeoff_sandbox.genesys.options import Settable
from timeoff_sandbox.reference import ReferenceSandbox
from timeoff_sandbox.world import World, WorldOptions

MAX_REQUEST = 64 * 1024 * 1024
SHUTDOWN_SECONDS = 2.0


class ClockOptions(Settable):
    offset_seconds: float = 0.0


class Options(Settable):
    """Body of PUT `/admin/options`; what is not named keeps its value."""

    genesys: dict[str, Any] = Field(default_factory=dict)
    bamboohr: dict[str, Any] = Field(default_factory=dict)
    reference: dict[str, Any] = Field(default_factory=dict)
    native: dict[str, Any] = Field(default_factory=dict)
    clock: ClockOptions | None = None


class Sandbox:
    """`options` has the form of PUT `/admin/options`. Raises `ApiError` where it is wrong."""

    def __init__(self, options: Mapping[str, Any] | None = None, *, company: str = "acme") -> None:
        self.clock = Clock()
        self.genesys = GenesysSandbox(self.clock)
        self.bamboohr = BambooHrSandbox(self.clock, company=company)
        self.reference = ReferenceSandbox(self.clock)
        self.world = World(self.genesys, self.bamboohr, self.reference)
        self.url = ""
        self._runner: web.AppRunner | None = None
        try:
            self.set_options(Options.model_validate(dict(options or {})))
        except ValidationError as error:
            raise invalid_body(error) from None

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_admin_from_loopback_only], client_max_size=MAX_REQUEST)
        app.router.add_routes(
            [
                admin_route("POST", "/admin/world", self._make_world),
                admin_route("GET", "/admin/world", self._show_world),
                admin_route("GET", "/admin/options", self._show_options),
                admin_route("PUT", "/admin/options", self._set_options),
                admin_route("POST", "/admin/reset", self._reset),
                *self.bamboohr.routes(),
                *self.reference.routes(),
                *self.genesys.routes(),
            ]
        )
        app.cleanup_ctx.append(self._watch)
        app.on_shutdown.append(self._end_sockets)
        return app

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serves until `stop`; port 0 takes a free one. Returns the base URL. Raises `OSError`."""
        self._runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.stop()
            raise
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def make_world(self, options: WorldOptions) -> dict[str, Any]:
        """Forgets the old world, makes a new one, and describes it."""
        self.reset()
        self.world.make(options)
        return self.describe()

    def describe(self) -> dict[str, Any]:
        clients = self.genesys.options()["clients"]
        client_id = next(iter(clients), "")
        return {
            **self.world.truth(),
            "now": instant(self.clock.now()),
            "company": self.bamboohr.name,
            "apiKey": self.bamboohr.api_key,
            "referenceKey": self.reference.api_key,
            "clientId": client_id,
            "clientSecret": clients.get(client_id, ""),
        }

    def options(self) -> dict[str, Any]:
        return {
            "genesys": self.genesys.options(),
            "bamboohr": self.bamboohr.options(),
            "reference": self.reference.options(),
            "native": self.genesys.native_options(),
            "clock": {"offsetSeconds": self.clock.offset_seconds},
        }

    def set_options(self, options: Options) -> None:
        try:
            self.genesys.set_options(options.genesys)
            self.genesys.set_native_options(options.native)
        except ValidationError as error:
            raise invalid_body(error) from None
        try:
            self.bamboohr.set_options(options.bamboohr)
            self.reference.set_options(options.reference)
        except ValueError as error:
            raise bad_request(str(error)) from None
        if options.clock is not None:
            self.clock.offset_seconds = options.clock.offset_seconds

    def reset(self) -> None:
        """Forgets everything but the options."""
        self.genesys.reset()
        self.bamboohr.reset()
        self.reference.reset()
        self.world.clear()

    async def _make_world(self, request: web.Request) -> dict[str, Any]:
        return self.make_world(await read(request, WorldOptions))

    async def _show_world(self, request: web.Request) -> dict[str, Any]:
        return self.describe()

    async def _show_options(self, request: web.Request) -> dict[str, Any]:
        return self.options()

    async def _set_options(self, request: web.Request) -> dict[str, Any]:
        self.set_options(await read(request, Options))
        return self.options()

    async def _reset(self, request: web.Request) -> dict[str, Any]:
        self.reset()
        return {}

    async def _watch(self, app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self.genesys.watch(), name="sandbox-channel-watch")
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await self.genesys.stop()

    async def _end_sockets(self, app: web.Application) -> None:
        # Before the server waits for its handlers, of which each socket is one.
        self.genesys.close()


@web.middleware
async def _admin_from_loopback_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The admin API has no authentication, so only this machine may use it."""
    if request.path.startswith("/admin/") and not is_loopback(request.remote):
        return web.json_response({"message": "the admin API answers on loopback only"}, status=403)
    return await handler(request)


def is_loopback(address: str | None) -> bool:
    try:
        return address is not None and ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False

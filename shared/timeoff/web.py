"""What every service serves about itself: /healthz (the process), /readyz (what it needs), /metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder

from timeoff.errors import SettingsError, TimeoffError
from timeoff.settings.model import HttpSettings
from timeoff.telemetry.logs import get_logger

#: Says why the service is not ready for one reason; None if that is fine. It may raise too.
ReadyCheck = Callable[[], Awaitable[str | None]]

CHECK_TIMEOUT: Final = 2.0
SHUTDOWN_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Monitor:
    """A running server; `url` has no slash at its end."""

    url: str


@asynccontextmanager
async def serve_monitor(
    http: HttpSettings,
    *,
    ready: Mapping[str, ReadyCheck],
    registry: CollectorRegistry = REGISTRY,
    check_timeout: float = CHECK_TIMEOUT,
) -> AsyncIterator[Monitor]:
    """Serve the three pages while the context lasts.

    /readyz answers 200 with `{}`, or 503 with `{name: reason}` of the checks that are not fine. All run at
    once, each for at most `check_timeout` seconds. Raises `SettingsError` if the address cannot be used.
    """

    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def readyz(_: web.Request) -> web.Response:
        reasons = await asyncio.gather(*(_reason(check, check_timeout) for check in ready.values()))
        wrong = {name: reason for name, reason in zip(ready, reasons, strict=True) if reason is not None}
        return web.json_response(wrong, status=503 if wrong else 200)

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, http.host, http.port).start()
        except OSError as error:
            where = f"{http.host}:{http.port}"
            raise SettingsError(
                [f"http.port: cannot listen on {where}: {error.strerror or error}"]
            ) from error
        host, port = runner.addresses[0][:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        get_logger().info("monitor.listening", url=url)
        yield Monitor(url)
    finally:
        await runner.cleanup()


async def _reason(check: ReadyCheck, limit: float) -> str | None:
    try:
        async with asyncio.timeout(limit):
            return await check()
    except TimeoutError:
        return f"no answer within {limit:g} s"
    except TimeoffError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  (a failing check is an answer; its text may quote data)
        return type(error).__name__


__all__ = ["CHECK_TIMEOUT", "Monitor", "ReadyCheck", "serve_monitor"]

"""A service process from its first line to its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from timeoff.errors import PartCrashed, SettingsError, TimeoffError
from timeoff.runtime import exits, failpoints
from timeoff.settings.model import Settings
from timeoff.telemetry import logs, metrics


def run(
    main: Callable[[], Awaitable[None]],
    settings: Settings,
    *,
    service: str = "timeoff",
    environ: Mapping[str, str] | None = None,
) -> int:
    """Run `main` with logs, metrics and failpoints set up; the exit code (see `timeoff.runtime.exits`).

    An error ends in one log line, `process.failed`, that says what to do where that is known. For errors
    that are no surprise the line has no places in the code.
    """
    logs.configure(settings.logging, service)
    metrics.announce(service)
    try:
        failpoints.arm_from(os.environ if environ is None else environ)
        # What was imported stays for as long as the process does: the collector need not walk it again.
        gc.freeze()
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_guarded(main))
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the one place that turns errors into exit codes)
        report(error)
        return exits.code_of(error)
    return exits.OK


def report(error: Exception) -> None:
    """One log line that tells an operator why the process ends."""
    shown: dict[str, Any] = {"exit_code": exits.code_of(error)}
    cause: BaseException = error
    if isinstance(error, PartCrashed):
        shown["part"] = error.name
        cause = error.cause or error
    if isinstance(cause, SettingsError):
        shown |= {"error": type(cause).__name__, "problems": cause.problems}
    elif isinstance(cause, TimeoffError):
        shown |= {"error": type(cause).__name__, "reason": str(cause)}
    else:
        shown |= logs.describe_error(cause)
    logs.get_logger().error("process.failed", **shown)


async def _guarded(main: Callable[[], Awaitable[None]]) -> None:
    asyncio.get_running_loop().set_exception_handler(_unhandled)
    logs.get_logger().info("process.started", pid=os.getpid(), version=metrics.product_version())
    await main()


def _unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio could not give to anybody. Its own message quotes exceptions and with them data."""
    logs.get_logger().error(
        "process.unhandled", message=str(context.get("message", "")), exc_info=context.get("exception")
    )


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop where it runs."""
    if sys.platform != "win32":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


__all__ = ["new_loop", "report", "run"]

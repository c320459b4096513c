"""The parts of a process: started together, stopped together, and none of them fails in silence."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from timeoff.errors import PartCrashed
from timeoff.telemetry.logs import describe_error, get_logger
from timeoff.telemetry.metrics import PART_UP

#: A part: runs until the event is set, then finishes its running work and returns soon.
Part = Callable[[asyncio.Event], Awaitable[None]]

#: Seconds that a cancelled part has to clean up.
CANCEL_GRACE: Final = 5.0


async def supervise(parts: Mapping[str, Part], *, drain: float, stop: asyncio.Event | None = None) -> None:
    """Run the parts until `stop` is set or SIGTERM or SIGINT comes; return when all have ended.

    Parts that still run `drain` seconds later are cancelled and named in the log; so are all of them on a
    second signal. A part that raises, or returns before it was asked to, stops the others in the same way
    and then raises `PartCrashed`.
    """
    stop = stop or asyncio.Event()
    hurry = asyncio.Event()
    with _signals(stop, hurry):
        tasks = {asyncio.create_task(_run(name, part, stop), name=name) for name, part in parts.items()}
        try:
            crash = await _first_crash(tasks, stop)
            stop.set()
            late = await _drain(tasks, drain, hurry)
        finally:
            await _cancel(tasks)
        get_logger().info("process.stopped", parts=len(parts), cancelled=late)
        crash = crash or next(filter(None, map(_crash_of, tasks)), None)
        if crash is not None:
            raise crash from crash.cause


async def _run(name: str, part: Part, stop: asyncio.Event) -> None:
    PART_UP.labels(name).set(1)
    try:
        await part(stop)
    except Exception as error:
        get_logger().error("part.crashed", part=name, **describe_error(error))
        raise
    finally:
        PART_UP.labels(name).set(0)


async def _first_crash(tasks: set[asyncio.Task[None]], stop: asyncio.Event) -> PartCrashed | None:
    """Wait for a stop or for the end of a part; the latter is a crash unless a stop came with it."""
    stopped = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    ended = [task for task in done if task is not stopped]
    for task in ended:
        if crash := _crash_of(task):
            return crash
    if ended and not stop.is_set():
        name = ended[0].get_name()
        get_logger().error("part.ended", part=name)
        return PartCrashed(name, None)
    return None


def _crash_of(task: asyncio.Task[Any]) -> PartCrashed | None:
    if not task.done() or task.cancelled() or task.exception() is None:
        return None
    return PartCrashed(task.get_name(), task.exception())


async def _drain(tasks: set[asyncio.Task[None]], drain: float, hurry: asyncio.Event) -> list[str]:
    """Wait for the parts to end by themselves; the names of those that did not, in time or at all."""
    running = {task for task in tasks if not task.done()}
    if not running:
        return []
    get_logger().info("process.draining", parts=sorted(task.get_name() for task in running), seconds=drain)
    everything = asyncio.ensure_future(asyncio.wait(running, timeout=drain))
    hurried = asyncio.create_task(hurry.wait())
    try:
        await asyncio.wait({everything, hurried}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurried.cancel()
        everything.cancel()
    late = sorted(task.get_name() for task in running if not task.done())
    for name in late:
        get_logger().warning("part.cancelled", part=name, drain=drain)
    return late


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    running = {task for task in tasks if not task.done()}
    for task in running:
        task.cancel()
    if running:
        _, stuck = await asyncio.wait(running, timeout=CANCEL_GRACE)
        for task in stuck:
            get_logger().error("part.stuck", part=task.get_name())


@contextmanager
def _signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    """The first SIGTERM or SIGINT asks the parts to stop, the next one does not wait for them."""
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        get_logger().info("process.signal", signal=number.name)
        (hurry if stop.is_set() else stop).set()

    taken = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # only the main thread may take signals; elsewhere `stop` is the way
        with suppress(NotImplementedError, ValueError, RuntimeError):
            loop.add_signal_handler(number, asked, number)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


__all__ = ["CANCEL_GRACE", "Part", "PartCrashed", "supervise"]

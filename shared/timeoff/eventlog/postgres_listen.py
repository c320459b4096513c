"""One connection that listens, and whom it wakes.

A notification only shortens the wait: every waiter looks again after its polling time anyway, so what is
lost while the connection is away costs that time and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, Final

import asyncpg
import structlog

_log = structlog.get_logger("timeoff.eventlog")

CHANNEL: Final = "eventlog"
_REOPEN_FIRST: Final = 0.1
_REOPEN_MAX: Final = 10.0
_TROUBLE: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class Wakeups:
    """Sets the events registered for a payload when it is notified, and after each new connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def on(self, *payloads: str) -> Iterator[asyncio.Event]:
        """An event that is set after a notification; the first use opens the connection."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="eventlog-listen")
        event = asyncio.Event()
        for payload in payloads:
            self._waiting.setdefault(payload, set()).add(event)
        try:
            yield event
        finally:
            for payload in payloads:
                self._waiting[payload].discard(event)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        for event in self._waiting.get(str(payload), ()):
            event.set()

    async def _run(self) -> None:
        delay = _REOPEN_FIRST
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=10)
            except _TROUBLE as error:
                _log.info("log listener waits for the database", reason=type(error).__name__)
                await asyncio.sleep(delay)
                delay = min(delay * 2, _REOPEN_MAX)
                continue
            ended = asyncio.Event()
            connection.add_termination_listener(lambda _c, ended=ended: ended.set())
            try:
                await connection.add_listener(CHANNEL, self._heard)
                delay = _REOPEN_FIRST
                # Whatever was notified before is lost: everybody looks once.
                for events in self._waiting.values():
                    for event in events:
                        event.set()
                await ended.wait()
            except _TROUBLE as error:
                _log.info("log listener lost its connection", reason=type(error).__name__)
                await asyncio.sleep(delay)
            finally:
                connection.terminate()

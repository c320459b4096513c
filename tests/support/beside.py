"""A service in a thread and loop of its own, for tests whose tools wait for answers in the test's thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from tests.support import postgres

T = TypeVar("T")


@contextmanager
def running_beside(
    server: postgres.DatabaseServer, database: str, serve: Callable[[str], AbstractAsyncContextManager[T]]
) -> Iterator[T]:
    """Open `serve(address of a new database)` there and give what it gives; then drop the database."""
    postgres.run(server.create_database(database))
    started: Future[T] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def until_stopped() -> None:
        async with serve(server.url(database)) as place:
            started.set_result(place)
            await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(until_stopped())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield started.result(30)
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        postgres.run(server.drop_database(database))

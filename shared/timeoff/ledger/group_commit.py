"""Group commit: many waiting items written by one statement.

Items wait in a list; a few writer tasks take whatever has gathered and write it at once, so nothing waits
for a timer and the batch grows with the load.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class GroupCommit(Generic[Item, Answer]):
    """`write` gets a list of items and returns one answer per item, in order.

    An answer that is an exception is raised for its item alone.
    """

    def __init__(
        self,
        write: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        writers: int = 2,
        largest: int = 500,
    ) -> None:
        self._write = write
        self._largest = largest
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._gathered = asyncio.Event()
        self._tasks = [asyncio.create_task(self._run(), name="group-commit") for _ in range(writers)]

    async def submit(self, item: Item) -> Answer:
        """Returns when the item is durable; raises what `write` raised for its batch, or said of it alone."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._gathered.set()
        return await future

    async def _run(self) -> None:
        while True:
            await self._gathered.wait()
            batch = self._waiting[: self._largest]
            del self._waiting[: self._largest]
            if not self._waiting:
                self._gathered.clear()
            if not batch:
                continue
            try:
                answers = await self._write([item for item, _ in batch])
            except BaseException as error:  # every waiter must learn of it, cancellation included
                for _, future in batch:
                    if not future.done():
                        if isinstance(error, asyncio.CancelledError):
                            future.cancel()
                        else:
                            future.set_exception(error)
                if not isinstance(error, Exception):
                    raise
                continue
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, future in self._waiting:
            future.cancel()

"""Appends to one topic, gathered: what arrives while a statement runs goes into the next one together.

Appenders of one partition wait for each other's commit anyway, so one after the other each would cost a
sync of the disk. Nothing waits for a timer: a lone append is written at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import asyncpg

from timeoff.errors import TimeoffError, TopicMissing, Unreachable
from timeoff.eventlog.partitioner import partition_of
from timeoff.eventlog.port import Message
from timeoff.eventlog.postgres_reading import Topic, pack_headers, queries, translated

#: Limits of one statement.
_MESSAGES: Final = 5_000
_BYTES: Final = 8_000_000

_Waiting = tuple[Sequence[Message], "asyncio.Future[None]"]


class Appender:
    """Writes to one topic. `append` returns when its messages are committed."""

    def __init__(self, pool: asyncpg.Pool[Any], topic: Topic) -> None:
        self._pool = pool
        self._topic = topic
        self._waiting: deque[_Waiting] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def append(self, messages: Sequence[Message]) -> None:
        """In the order of the calls. A cancelled call may be written all the same."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((messages, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="eventlog-append")
        await done

    async def close(self) -> None:
        """Wait for what is being written; refuse nothing that was accepted."""
        if self._writer is not None:
            await asyncio.wait({self._writer})

    async def _write(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                for chunk in _chunks([message for messages, _ in group for message in messages]):
                    await self._write_chunk(chunk)
            except TimeoffError as error:
                _settle(group, error)
            except BaseException:
                _settle(group, Unreachable("the log's database: appending was interrupted"))
                raise
            else:
                _settle(group, None)

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        count = 0
        while self._waiting and (not group or count + len(self._waiting[0][0]) <= _MESSAGES):
            group.append(self._waiting.popleft())
            count += len(group[-1][0])
        return group

    async def _write_chunk(self, chunk: list[Message]) -> None:
        with translated("appending"):
            written = await queries.append(
                self._pool,
                topic_id=self._topic.id,
                partitions=[partition_of(m.key, self._topic.partitions) for m in chunk],
                keys=[m.key.encode() for m in chunk],
                values=[m.value for m in chunk],
                headers=[pack_headers(m.headers) for m in chunk],
            )
        if written != len(chunk):
            raise TopicMissing(f"missing in the log: {self._topic.name} was removed")


def _settle(group: list[_Waiting], error: TimeoffError | None) -> None:
    for _, done in group:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            # One object for each waiter: raising adds to its traceback.
            copied = type(error).__new__(type(error), *error.args)
            copied.__dict__.update(error.__dict__)
            done.set_exception(copied)


def _chunks(messages: Sequence[Message]) -> list[list[Message]]:
    """Runs of at most `_BYTES`, in order."""
    chunks: list[list[Message]] = []
    size = _BYTES
    for message in messages:
        size += message.size
        if size > _BYTES:
            chunks.append([])
            size = message.size
        chunks[-1].append(message)
    return chunks

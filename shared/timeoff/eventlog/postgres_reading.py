"""Rows of the embedded log as records, and its errors as errors of the port."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiosql
import asyncpg

from timeoff.errors import LogError, Unreachable
from timeoff.eventlog.port import Bounds, LogRecord

SQL_FOLDER: Final = Path(__file__).parent / "sql"
queries: Final[Any] = aiosql.from_path(SQL_FOLDER / "queries.sql", "asyncpg")


@dataclass(frozen=True, slots=True)
class Topic:
    id: int
    name: str
    partitions: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Positions `first` to `last` (not included) of a partition. Positions have no holes."""

    partition: int
    first: int
    last: int


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Server errors without their detail, which could quote a row."""
    try:
        yield
    except (
        OSError,
        TimeoutError,
        asyncpg.PostgresConnectionError,
        asyncpg.InterfaceError,
        # What a connection cut in the middle of a message can end in.
        asyncpg.InternalClientError,
        asyncpg.CannotConnectNowError,
        asyncpg.TooManyConnectionsError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.IdleInTransactionSessionTimeoutError,
    ) as error:
        raise Unreachable(f"the log's database: {what} failed: {type(error).__name__}") from None
    except asyncpg.PostgresError as error:
        raise LogError(f"the log's database: {what} failed: {type(error).__name__}") from None


def pack_headers(headers: Sequence[tuple[str, bytes]]) -> bytes:
    """JSON, each byte of a value as the character of that number. Names may repeat; order is kept."""
    if not headers:
        return b""
    return json.dumps([(name, value.decode("latin-1")) for name, value in headers]).encode()


def unpack_headers(packed: bytes) -> tuple[tuple[str, bytes], ...]:
    if not packed:
        return ()
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(packed))


async def bounds_of(pool: asyncpg.Pool[Any], topic: Topic, partitions: Sequence[int]) -> dict[int, Bounds]:
    with translated("reading bounds"):
        rows = queries.bounds_of(pool, topic_id=topic.id, partitions=list(partitions))
        return {row["partition"]: Bounds(row["low"], row["high"]) async for row in rows}


async def fetch(pool: asyncpg.Pool[Any], topic: Topic, stretches: Sequence[Stretch]) -> list[LogRecord]:
    """What the log holds of the stretches, in order within each partition."""
    with translated("reading records"):
        rows = queries.fetch_records(
            pool,
            topic_id=topic.id,
            partitions=[s.partition for s in stretches],
            firsts=[s.first for s in stretches],
            lasts=[s.last for s in stretches],
        )
        return [
            LogRecord(
                topic=topic.name,
                partition=row["partition"],
                offset=row["position"],
                appended_at=row["appended_at"],
                key=row["key"].decode(),
                value=row["value"],
                headers=unpack_headers(row["headers"]),
            )
            async for row in rows
        ]

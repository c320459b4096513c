"""Databases of a server, made and dropped in milliseconds. Needs PostgreSQL 15 or newer, and the right to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from timeoff.errors import Unreachable


async def create(url: str, name: str, template: str | None = None) -> None:
    """An empty database, or a clone of `template`, to which nobody may be connected.

    Raises `Unreachable`, or asyncpg's DuplicateDatabaseError.
    """
    async with _connected(url) as connection:
        # Copying files beats writing the copy to the log as long as the template is small.
        await connection.execute(
            f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(template or 'template0')} STRATEGY file_copy"
        )


async def drop(url: str, name: str) -> None:
    """Ends the connections to it first. Nothing happens if there is no such database."""
    async with _connected(url) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, asyncpg.PostgresConnectionError) as error:
        raise Unreachable(f"PostgreSQL cannot be reached: {type(error).__name__}") from None
    try:
        yield connection
    finally:
        await connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


__all__ = ["create", "drop"]

"""The ledger's database: its pool, its named SQL and its migrations (see `timeoff.database`)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import asyncpg
from pydantic_core import to_json

from timeoff import database
from timeoff.database import CONNECTION_TROUBLE, REFUSED

SCHEMA: Final = "ledger"
_LEDGER: Final = database.Schema(SCHEMA, "timeoff.ledger", 7_305_881_204_117)


def sql() -> SimpleNamespace:
    """All named statements as text: `sql().claim_lanes`."""
    return database.named_sql(_LEDGER.package)


async def open_pool(url: str, *, size: int, application: str) -> asyncpg.Pool[asyncpg.Record]:
    """A pool whose connections stand in the ledger's schema, migrated. Raises `Unreachable`."""
    return await database.open_pool(_LEDGER, url, size=size, application=application)


async def migrate(pool: asyncpg.Pool[asyncpg.Record]) -> int:
    """Bring the schema up to date; returns how many migrations were applied."""
    return await database.migrate(_LEDGER, pool)


def as_json(value: Any) -> str:
    """JSON for a statement; knows dates, UUIDs, dataclasses and models, whose empty fields are left out.

    Raises `ValueError` for text that is not Unicode.
    """
    return to_json(value, exclude_none=True).decode()


class Store:
    """Base of the ledger's parts: one pool, named statements."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        self.sql = sql()

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        return await self.pool.fetch(statement, *arguments)


__all__ = ["CONNECTION_TROUBLE", "REFUSED", "SCHEMA", "Store", "as_json", "migrate", "open_pool", "sql"]

"""The service's own tables: schema `balance`, statements of `queries/*.sql` by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final

from timeoff import database
from timeoff.database import CONNECTION_TROUBLE, Connection, Pool

SCHEMA: Final = database.Schema("balance", "timeoff_balance", 7_305_881_204_119)


def sql() -> SimpleNamespace:
    """All named statements as text: `sql().client_of_token`."""
    return database.named_sql(SCHEMA.package)


async def open_pool(url: str, *, size: int) -> Pool:
    """A pool whose connections stand in the schema, migrated. Raises `Unreachable`."""
    return await database.open_pool(SCHEMA, url, size=size, application="timeoff-balance")


__all__ = ["CONNECTION_TROUBLE", "SCHEMA", "Connection", "Pool", "open_pool", "sql"]

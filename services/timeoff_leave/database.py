"""The service's database: schema `leave`, statements of `queries/*.sql` by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final

from timeoff import database
from timeoff.database import CONNECTION_TROUBLE, Connection, Pool

SCHEMA: Final = database.Schema(
    "leave", "timeoff_leave", 7_305_881_204_118, setting="leave.database_url or database.url"
)


def sql() -> SimpleNamespace:
    """All named statements as text: `sql().assign_employees`."""
    return database.named_sql(SCHEMA.package)


async def open_pool(url: str, *, size: int) -> Pool:
    """A pool whose connections stand in the schema, migrated. Raises `Unreachable`."""
    return await database.open_pool(SCHEMA, url, size=size, application="timeoff-leave")


__all__ = ["CONNECTION_TROUBLE", "SCHEMA", "Connection", "Pool", "open_pool", "sql"]

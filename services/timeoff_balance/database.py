"""The service's own tables: schema `balance`, statements of `queries/*.sql` by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Final

from timeoff import database
from timeoff.database import CONNECTION_TROUBLE, Connection, Pool
from timeoff_balance.errors import LedgerAway

SCHEMA: Final = database.Schema("balance", "timeoff_balance", 7_305_881_204_119)


#: A ledger that takes longer to answer counts as away, seconds.
LEDGER_TIMEOUT: Final = 5.0


@asynccontextmanager
async def asking_ledger() -> AsyncIterator[None]:
    """A question to the database that an answer waits for. Raises `LedgerAway` where it fails or hangs."""
    try:
        async with asyncio.timeout(LEDGER_TIMEOUT):
            yield
    except CONNECTION_TROUBLE:  # a time-out is one
        raise LedgerAway from None


def sql() -> SimpleNamespace:
    """All named statements as text: `sql().client_of_token`."""
    return database.named_sql(SCHEMA.package)


async def open_pool(url: str, *, size: int) -> Pool:
    """A pool whose connections stand in the schema, migrated. Raises `Unreachable`."""
    return await database.open_pool(SCHEMA, url, size=size, application="timeoff-balance")


__all__ = ["CONNECTION_TROUBLE", "SCHEMA", "Connection", "Pool", "asking_ledger", "open_pool", "sql"]

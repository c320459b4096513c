"""A service's own schema in PostgreSQL: its pool, its named SQL, its migrations.

SQL stands in `queries/*.sql` of the package that calls it, one file per subject, and is called by name.
Migrations are numbered files in `migrations/` beside it, applied in order under an advisory lock, forward
only.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources
from types import SimpleNamespace
from typing import Final, TypeAlias

import aiosql
import asyncpg

from timeoff.errors import TimeoffError, Unreachable

#: Statements are few, large and all by key. A plan kept from when the tables were empty would read them whole
#: for as long as the connection lives; making a new one costs less than a millisecond for each batch.
_PLANNING: Final = {"jit": "off", "plan_cache_mode": "force_custom_plan", "random_page_cost": "1.1"}

#: What asyncpg raises when the server is away or goes away: the transaction as a whole may be tried again.
CONNECTION_TROUBLE: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a connection cut in the middle of a message can end in
    asyncpg.OperatorInterventionError,  # shutdown, crash recovery, starting up
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,  # deadlock
    OSError,
)

#: What the server raises for values that it does not take: the next try will be refused as well.
REFUSED: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = (
    "asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"
)


@dataclass(frozen=True, slots=True)
class Schema:
    """Whose tables these are. `package` holds `queries/` and `migrations/`, `lock` is the advisory lock of
    the migrations, `setting` the key that an operator has to check when the server does not answer."""

    name: str
    package: str
    lock: int
    setting: str = "database.url"


@functools.cache
def named_sql(package: str) -> SimpleNamespace:
    """All named statements of a package as text: `named_sql("timeoff.ledger").claim_lanes`."""
    folder = resources.files(package).joinpath("queries")
    found: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda item: item.name):
        queries = aiosql.from_str(file.read_text("utf-8"), "asyncpg", mandatory_parameters=False)
        for name in queries.available_queries:
            if not name.endswith("_cursor"):
                found[name] = getattr(queries, name).sql
    return SimpleNamespace(**found)


async def open_pool(schema: Schema, url: str, *, size: int, application: str) -> Pool:
    """A pool whose connections stand in the schema, migrated. Raises `Unreachable`."""
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            timeout=10,
            command_timeout=60,
            reset=_leave_as_is,
            server_settings={"search_path": schema.name, "application_name": application, **_PLANNING},
        )
    except (TimeoutError, OSError, asyncpg.PostgresError, ValueError) as error:
        said = f"{type(error).__name__}: {str(error)[:200]}"
        raise Unreachable(f"PostgreSQL cannot be reached ({said}): check {schema.setting}") from None
    await migrate(schema, pool)
    return pool


async def _leave_as_is(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nobody here changes a session, so that the round trip which would reset it can be saved."""


async def migrate(schema: Schema, pool: Pool) -> int:
    """Bring the schema up to date; returns how many migrations were applied."""
    folder = resources.files(schema.package).joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda item: item.name)
    applied = 0
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", schema.lock)
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema.name}")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (number int PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["number"] for row in await connection.fetch("SELECT number FROM migrations")}
        known = {int(file.name.split("_", 1)[0]) for file in files}
        if done - known:
            raise TimeoffError(
                f"the database was migrated by a newer release (migration {max(done - known)}): "
                "upgrade this process"
            )
        for file in files:
            number = int(file.name.split("_", 1)[0])
            if number in done:
                continue
            await connection.execute(file.read_text("utf-8"))
            await connection.execute(
                "INSERT INTO migrations (number, name) VALUES ($1, $2)", number, file.name
            )
            applied += 1
    return applied

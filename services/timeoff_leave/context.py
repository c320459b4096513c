"""What every part of the service works with, and who calls it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Literal

from timeoff.settings.model import LeaveSettings
from timeoff_leave.clock import Clock
from timeoff_leave.database import Connection, Pool, sql

Role = Literal["ADMINISTRATOR", "READER"]


@dataclass(frozen=True, slots=True)
class Caller:
    """An account that showed a valid token. It sees `region` and all below it."""

    account: int
    username: str
    region: int
    role: Role


@dataclass(frozen=True, slots=True)
class Context:
    """The process: its pool, its settings, its clock."""

    pool: Pool
    settings: LeaveSettings
    clock: Clock

    @property
    def sql(self) -> SimpleNamespace:
        return sql()

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return self.clock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """All or nothing: an action is one of these."""
        async with self.pool.acquire() as connection, connection.transaction():
            yield connection

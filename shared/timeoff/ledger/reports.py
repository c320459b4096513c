"""Read-only questions that people and programs ask the ledger."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from timeoff.ledger.database import Store


class Reports(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str) -> None:
        super().__init__(pool)
        self.org = org

    async def waiting_for_people(self, states: Sequence[str]) -> list[asyncpg.Record]:
        """Held and/or failed requests, oldest first, with the reason and its details."""
        return await self.fetch(self.sql.waiting_for_people, self.org, list(states))

    async def state_counts(self) -> list[asyncpg.Record]:
        return await self.fetch(self.sql.state_counts, self.org)

    async def planned(self) -> list[asyncpg.Record]:
        """What a shadow deployment would do, counted."""
        return await self.fetch(self.sql.planned, self.org)

    async def progress(self) -> asyncpg.Record:
        """Counts of what is not finished, and the age in seconds of the oldest due change."""
        row = await self.pool.fetchrow(self.sql.progress)
        assert row is not None
        return row

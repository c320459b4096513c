"""Outgoing events and the write-back to Genesys, as the ledger keeps them until they are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from timeoff.ledger.database import Store


class OutboxStore(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str) -> None:
        super().__init__(pool)
        self.org = org

    async def outgoing(self, limit: int) -> list[asyncpg.Record]:
        """The oldest events that were not yet appended to the log."""
        return await self.fetch(self.sql.outgoing, limit)

    async def sent(self, outbox_ids: Sequence[int]) -> None:
        await self.pool.execute(self.sql.sent, list(outbox_ids))

    async def reports_due(self, limit: int) -> list[asyncpg.Record]:
        """Requests whose integration status in Genesys is not what it should be."""
        return await self.fetch(self.sql.reports_due, self.org, limit)

    async def reported(self, statuses: Mapping[int, str]) -> None:
        """Request to the status that Genesys shows, or that was given up on."""
        await self.pool.execute(self.sql.reported, list(statuses), list(statuses.values()))

    async def attention(self) -> list[asyncpg.Record]:
        """Held and failed requests, which a person may have marked as done by hand."""
        return await self.fetch(self.sql.attention, self.org)

    async def done_by_hand(self, request_pks: Sequence[int]) -> None:
        await self.pool.execute(self.sql.done_by_hand, list(request_pks))

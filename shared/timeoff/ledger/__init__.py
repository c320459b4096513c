"""The ledger: what was seen, what was announced, what was answered, and what is booked. PostgreSQL."""

from __future__ import annotations

import asyncpg

from timeoff.ledger.database import open_pool
from timeoff.ledger.deployment import DeploymentStore
from timeoff.ledger.handovers import Handovers
from timeoff.ledger.lanes import Lanes
from timeoff.ledger.links import LinkStore
from timeoff.ledger.listener import ListenerStore
from timeoff.ledger.outbox import OutboxStore
from timeoff.ledger.reports import Reports


class Ledger:
    """All parts of the ledger on one pool. Intake and steps are opened by who uses them."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str, holder: str) -> None:
        self.pool = pool
        self.org = org
        self.holder = holder
        self.deployment = DeploymentStore(pool, org, holder)
        self.handovers = Handovers(pool, org, holder)
        self.lanes = Lanes(pool, org, holder)
        self.links = LinkStore(pool, org)
        self.listener = ListenerStore(pool, org)
        self.outbox = OutboxStore(pool, org)
        self.reports = Reports(pool, org)

    @classmethod
    async def open(cls, url: str, *, org: str, holder: str, pool_size: int = 12) -> Ledger:
        """Connect and migrate. `holder` names this process in leases. Raises `Unreachable`."""
        return cls(await open_pool(url, size=pool_size, application=f"timeoff-sync {holder}"), org, holder)

    async def close(self) -> None:
        await self.listener.close()
        await self.pool.close()


__all__ = ["Ledger"]

"""State of the installation: its id, write mode, brake, targets, shared rate budgets and named leases."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import asyncpg

from timeoff.errors import TimeoffError
from timeoff.ledger.database import Store
from timeoff.vocabulary import WriteMode


@dataclass(frozen=True, slots=True)
class Deployment:
    deployment_id: str
    org: str
    started_on: date
    created_at: datetime
    write_mode: WriteMode
    pilot_units: frozenset[str]
    pilot_agents: frozenset[str]
    brake_reason: str | None

    def writes_for(self, management_unit_id: str | None, agent_id: str) -> bool:
        """Is writing on for this agent: live, and in the pilot if there is one?"""
        if self.write_mode is not WriteMode.LIVE:
            return False
        if not self.pilot_units and not self.pilot_agents:
            return True
        return management_unit_id in self.pilot_units or agent_id in self.pilot_agents


@dataclass(frozen=True, slots=True)
class Granted:
    """A chunk of a budget: `tokens` calls may be made; `pause` seconds must pass before the next ask."""

    tokens: int
    pause: float


class DeploymentStore(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str, holder: str) -> None:
        super().__init__(pool)
        self.org = org
        self.holder = holder

    async def ensure(self) -> Deployment:
        """The deployment of this database, created at the first start."""
        await self.pool.execute(self.sql.create_deployment, secrets.token_hex(4), self.org)
        deployment = await self.read()
        if deployment.org != self.org:
            raise TimeoffError(
                f"this database belongs to org {deployment.org!r}, the settings say {self.org!r}: "
                "use another database for another org"
            )
        return deployment

    async def read(self) -> Deployment:
        row = await self.pool.fetchrow(self.sql.deployment)
        if row is None:
            raise TimeoffError("the database holds no deployment yet: start `timeoff-sync sync` once")
        return Deployment(
            deployment_id=row["deployment_id"],
            org=row["org"],
            started_on=row["started_on"],
            created_at=row["created_at"],
            write_mode=WriteMode(row["write_mode"]),
            pilot_units=frozenset(row["pilot_units"]),
            pilot_agents=frozenset(row["pilot_agents"]),
            brake_reason=row["brake_reason"],
        )

    async def go_live(self, pilot_units: Sequence[str], pilot_agents: Sequence[str]) -> int:
        """Turn writing on, or change the pilot. Returns how many requests are compared with the HRIS again:

        all that were planned, and after shadow mode those that were held too.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            before = await connection.fetchval("SELECT write_mode FROM deployment FOR UPDATE")
            states = ["planned"] if before == WriteMode.LIVE else ["planned", "held"]
            await connection.execute(self.sql.go_live, list(pilot_units), list(pilot_agents))
            rows = await connection.fetch(self.sql.reopen, self.org, states, None, None)
        return len(rows)

    async def go_shadow(self) -> None:
        """Turn writing off; running calls end, nothing new is written."""
        await self.pool.execute(self.sql.go_shadow)

    async def retry(self, request_ids: Sequence[str] | None, reasons: Sequence[str] | None) -> list[str]:
        """Look again at held and failed requests (all, or the named ones); returns their ids.

        It is a person's word: doubts that could not be settled are released, and links are looked up anew.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                self.sql.reopen,
                self.org,
                ["held", "failed"],
                list(reasons) if reasons else None,
                list(request_ids) if request_ids else None,
            )
            found = [row["request_id"] for row in rows]
            await connection.execute(self.sql.release_doubts, self.org, found)
            await connection.execute(self.sql.reopen_frozen, self.org, found)
            await connection.execute(self.sql.forget_problems, self.org, found)
        return found

    async def release_brake(self) -> bool:
        """Let writes go on; False if they were not held. What waits looks at the HRIS before it writes."""
        async with self.pool.acquire() as connection, connection.transaction():
            released = await connection.fetchval(self.sql.release_brake) is not None
            if released:
                await connection.execute(self.sql.look_first, self.org, None)
        return released

    async def add_targets(self, targets: Sequence[str]) -> None:
        await self.pool.execute(self.sql.add_targets, list(targets))

    async def stop_target(self, target: str, reason: str, probe_after: float) -> bool:
        """Stop a target on all replicas; False if it was stopped already."""
        return await self.pool.fetchval(self.sql.stop_target, target, reason, probe_after) is not None

    async def claim_probe(self, target: str, every: float) -> bool:
        """May this process probe the stopped target now? One does, in each period."""
        return await self.pool.fetchval(self.sql.claim_probe, target, every) is not None

    async def resume_target(self, target: str) -> None:
        """Let a stopped target go on. What waits for it looks before it writes."""
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(self.sql.resume_target, target)
            await connection.execute(self.sql.look_first, self.org, target)

    async def unknown_pilots(self, ids: Sequence[str]) -> list[str]:
        """Ids that are neither a unit nor an agent that the listener has seen."""
        rows = await self.fetch(self.sql.unknown_pilots, self.org, list(ids))
        return [row["id"] for row in rows]

    async def probe_soon(self, target: str) -> bool:
        """The next probe of a stopped target is due now; False if it is not stopped."""
        return await self.pool.fetchval(self.sql.probe_soon, target) is not None

    async def targets(self) -> list[asyncpg.Record]:
        return await self.fetch(self.sql.targets)

    async def add_budget(self, budget: str) -> None:
        await self.pool.execute(self.sql.add_budget, budget)

    async def lease_budget(self, budget: str, per_minute: int, wanted: int) -> Granted:
        row = await self.pool.fetchrow(self.sql.lease_budget, budget, per_minute, wanted)
        return Granted(row["granted"], row["pause"]) if row else Granted(0, 1.0)

    async def pause_budget(self, budget: str, seconds: float) -> None:
        """Nobody takes from this budget for so long, on any replica."""
        await self.pool.execute(self.sql.pause_budget, budget, seconds)

    async def take_lease(self, name: str, seconds: float) -> bool:
        """Take or prolong a named single-holder job."""
        return await self.pool.fetchval(self.sql.take_lease, name, self.holder, seconds) is not None

    async def give_lease(self, name: str) -> None:
        """Give a job back, so that the next holder need not wait for the lease to run out."""
        await self.pool.execute(self.sql.give_lease, name, self.holder)

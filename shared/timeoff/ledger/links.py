"""Links: agent to employee, activity code to HRIS type, as the ledger keeps them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from timeoff.events import HELD
from timeoff.ledger.database import Store


@dataclass(frozen=True, slots=True)
class AgentLink:
    """`employee_id` None with a `problem` when nobody could be found or more than one."""

    agent_id: str
    target: str
    employee_id: str | None
    source: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Laneless:
    """An agent with requests in no lane, or in a wrong one: looked up or not, with a known problem or not."""

    agent_id: str
    target: str
    looked_up: bool
    problem: bool


@dataclass(frozen=True, slots=True)
class TypeLink:
    """HRIS type of an activity code in a unit, as its time-off plan says."""

    management_unit_id: str
    activity_code_id: str
    type_id: str
    type_id2: str | None = None
    plan_id: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingForType:
    """Requests that are alike in what they lack: `type_id` is the HRIS type that was not known, if any."""

    management_unit_id: str | None
    activity_code_id: str | None
    reason: str
    type_id: str | None


class LinkStore(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str) -> None:
        super().__init__(pool)
        self.org = org

    async def without_lane(self, targets: Sequence[str], fresh: float) -> list[Laneless]:
        """Agents with due requests that have no lane. `fresh`: a look-up so recent (s) is not repeated."""
        rows = await self.fetch(self.sql.agents_without_lane, self.org, list(targets), fresh)
        return [Laneless(r["agent_id"], r["target"], r["linked"], r["problem"]) for r in rows]

    async def misplaced(self, targets: Sequence[str]) -> list[Laneless]:
        """Agents whose requests stand in the lane of another employee, with nothing that keeps them there."""
        rows = await self.fetch(self.sql.misplaced_agents, self.org, list(targets))
        return [Laneless(r["agent_id"], r["target"], r["linked"], r["problem"]) for r in rows]

    async def never_linked(
        self, target_of: Mapping[str, str], default_target: str | None
    ) -> list[tuple[str, str]]:
        """(agent, target) pairs that the listener brought and nobody looked up yet."""
        rows = await self.fetch(
            self.sql.agents_never_linked,
            self.org,
            list(target_of),
            list(target_of.values()),
            default_target,
        )
        return [(row["agent_id"], row["target"]) for row in rows]

    async def stale(
        self, targets: Sequence[str], older_than: float, problems_older_than: float
    ) -> list[tuple[str, str]]:
        """Up to 500 pairs to look up again; ages in seconds, spread by a tenth around what is asked."""
        rows = await self.fetch(
            self.sql.stale_agents, self.org, list(targets), older_than, problems_older_than
        )
        return [(row["agent_id"], row["target"]) for row in rows]

    async def store(
        self,
        links: Sequence[AgentLink],
        exported: Collection[str],
        *,
        cutover: date = date.min,
        codes: Collection[str] | None = None,
        codes_of_flows: Collection[str] = (),
        outcomes_topic: str | None = None,
    ) -> list[asyncpg.Record]:
        """Keep what was looked up and `apply` it, both or nothing. Returns what was held."""
        agents = sorted({link.agent_id for link in links})
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                self.sql.store_links, self.org, json.dumps([asdict(link) for link in links])
            )
            return await self._apply(
                connection, agents, exported, cutover, codes, codes_of_flows, outcomes_topic
            )

    async def apply(
        self,
        agents: Sequence[str],
        exported: Collection[str],
        *,
        cutover: date = date.min,
        codes: Collection[str] | None = None,
        codes_of_flows: Collection[str] = (),
        outcomes_topic: str | None = None,
    ) -> list[asyncpg.Record]:
        """Requests of these agents follow the links in the ledger. Returns those held for want of one.

        Only requests that would be booked are held: of an exported status, not over before `cutover`, and
        of one of the mapped activity `codes` (None: of any) that is not one of those which the workflows of
        Genesys book. Each hold leaves an event for the topic.
        """
        async with self.pool.acquire() as connection, connection.transaction():
            return await self._apply(
                connection, agents, exported, cutover, codes, codes_of_flows, outcomes_topic
            )

    async def _apply(
        self,
        connection: PoolConnectionProxy[asyncpg.Record],
        agents: Sequence[str],
        exported: Collection[str],
        cutover: date,
        codes: Collection[str] | None,
        codes_of_flows: Collection[str],
        outcomes_topic: str | None,
    ) -> list[asyncpg.Record]:
        wanted, flows = None if codes is None else list(codes), list(codes_of_flows)
        await connection.execute(self.sql.add_lanes, self.org, agents)
        await connection.execute(self.sql.lock_misplaced, self.org, agents)
        await connection.execute(self.sql.assign_lanes, self.org, agents)
        held: list[asyncpg.Record] = await connection.fetch(
            self.sql.hold_unlinked, self.org, agents, list(exported), cutover, wanted, flows
        )
        await connection.execute(self.sql.settle_unlinked, self.org, agents, list(exported), cutover, flows)
        if held and outcomes_topic:
            await connection.execute(
                self.sql.store_outgoing,
                [outcomes_topic] * len(held),
                [row["agent_id"] for row in held],
                [HELD] * len(held),
                [f"{row['request_id']}/{row['revision']}/{row['reason']}" for row in held],
                [_held_data(self.org, row) for row in held],
                ["{}"] * len(held),
            )
        return held

    async def hold_homeless(self) -> list[asyncpg.Record]:
        """Due requests that no target takes: held, or nobody would ever look at them."""
        return await self.fetch(self.sql.hold_homeless, self.org)

    async def store_types(self, units: Mapping[str, Iterable[TypeLink]]) -> None:
        """Replace the links of units whose plans were read completely; others stay as they are."""
        async with self.pool.acquire() as connection, connection.transaction():
            for unit, unit_links in units.items():
                links = list(unit_links)
                await connection.execute(
                    self.sql.store_type_links, self.org, json.dumps([asdict(link) for link in links])
                )
                codes = [link.activity_code_id for link in links]
                await connection.execute(self.sql.drop_type_links, self.org, unit, codes)

    async def types(self) -> dict[tuple[str, str], TypeLink]:
        """(unit, activity code) to link."""
        return {
            (r["management_unit_id"], r["activity_code_id"]): TypeLink(
                r["management_unit_id"], r["activity_code_id"], r["type_id"], r["type_id2"], r["plan_id"]
            )
            for r in await self.fetch(self.sql.type_links, self.org)
        }

    async def types_mark(self) -> str:
        """Another text whenever `types` answers something else; cheap to ask for."""
        mark: str = await self.pool.fetchval(self.sql.type_links_mark, self.org)
        return mark

    async def waiting_for_types(self, target: str) -> list[WaitingForType]:
        """What kinds of requests of a target stand still for want of a mapping or a type."""
        rows = await self.fetch(self.sql.waiting_for_types, self.org, target)
        return [
            WaitingForType(r["management_unit_id"], r["activity_code_id"], r["reason"], r["type_id"])
            for r in rows
        ]

    async def reopen_types(self, target: str, kinds: Sequence[WaitingForType]) -> list[str]:
        """Look again at the requests of these kinds; returns their ids."""
        found = json.dumps([asdict(kind) for kind in kinds])
        rows = await self.fetch(self.sql.reopen_types, self.org, target, found)
        return [row["request_id"] for row in rows]


def _held_data(org: str, row: asyncpg.Record) -> bytes:
    data = {
        "org": org,
        "request_id": row["request_id"],
        "agent_id": row["agent_id"],
        "target": row["target"],
        "employee_id": None,
        "version": row["version"],
        "reason": row["reason"],
    }
    return json.dumps(data).encode()

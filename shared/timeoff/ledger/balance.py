"""What the ledger knows of an employee's leave beside the HRIS: for who asks what is left."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from timeoff.events import RequestContent
from timeoff.handover import Handed
from timeoff.ledger.database import Store
from timeoff.ledger.rows import handed_from_json, spec_from_json
from timeoff.vocabulary import REMOVED_STATUSES, EntrySpec


@dataclass(frozen=True, slots=True)
class KnownEntry:
    """An entry as it was last written. `mine`: it is of the employee who was asked for."""

    booking: int
    part: int
    spec: EntrySpec
    live: bool
    effective: bool
    mine: bool


@dataclass(frozen=True, slots=True)
class KnownWrite:
    """An announced write; `settled_at` None while its outcome is not known."""

    booking: int
    part: int
    kind: str
    spec: EntrySpec | None
    previous: EntrySpec | None
    created_at: datetime
    settled_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class KnownRequest:
    """A request with all its entries and writes, oldest write first.

    `handed` is what a workflow said of it, where that is newer than `content` or all there is; `handover_id`
    is set where one ever did. `bound` False: Genesys has not shown the request yet.
    """

    request_id: str
    agent_id: str
    management_unit_id: str | None
    zone: str | None
    state: str
    look_first: bool
    done_by_hand: bool
    booking: int
    content: RequestContent | None
    replaced: bool
    entries: tuple[KnownEntry, ...]
    writes: tuple[KnownWrite, ...]
    handed: Handed | None = None
    handover_id: str | None = None
    bound: bool = True
    #: why it stands as `state` says
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class KnownLeave:
    """One snapshot. `now` is the database's clock before it was taken; `offsets` say how far intake is."""

    now: datetime
    agents: frozenset[str]
    offsets: Mapping[int, int]
    requests: tuple[KnownRequest, ...]


class BalanceStore(Store):
    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], org: str, *, log_group: str, requests_topic: str
    ) -> None:
        super().__init__(pool)
        self.org = org
        self._log = (log_group, requests_topic)

    async def leave_of(
        self, target: str, employee_id: str, *, written_within: float, named: Collection[str] = ()
    ) -> KnownLeave:
        """Requests that are not done, or were written within so many seconds, or are `named`."""
        rows = await self.fetch(
            self.sql.balance_of_employee,
            self.org,
            target,
            employee_id,
            *self._log,
            float(written_within),
            list(named),
        )
        first = rows[0]
        offsets = json.loads(first["offsets"]) if first["offsets"] else {}
        return KnownLeave(
            now=first["now"],
            agents=frozenset(first["agents"] or ()),
            offsets={int(partition): offset for partition, offset in offsets.items()},
            requests=tuple(_request(row) for row in rows if row["request_pk"] is not None),
        )

    async def employees_of(self, agent_id: str, targets: Sequence[str]) -> list[tuple[str, str]]:
        """(target, employee) pairs that a Genesys agent is linked to."""
        rows = await self.fetch(self.sql.employee_of_agent, self.org, agent_id, list(targets))
        return [(row["target"], row["employee_id"]) for row in rows]

    async def agents_of(self, target: str, employee_ids: Sequence[str]) -> dict[str, str]:
        """Employee to agent, for those that are linked."""
        rows = await self.fetch(self.sql.agents_of_employees, self.org, target, list(employee_ids))
        return {row["employee_id"]: row["agent_id"] for row in rows}

    async def now(self) -> datetime:
        at: datetime = await self.pool.fetchval(self.sql.database_now)
        return at


def _request(row: asyncpg.Record) -> KnownRequest:
    return KnownRequest(
        request_id=row["request_id"],
        agent_id=row["agent_id"],
        management_unit_id=row["management_unit_id"],
        zone=row["zone"],
        state=row["state"],
        look_first=row["look_first"],
        done_by_hand=row["done_by_hand"],
        booking=row["booking"],
        content=content_of(_content(row["provisional"]), _content(row["confirmed"])),
        replaced=row["replaced"],
        handed=handed_from_json(row["handed"]) if row["handed"] else None,
        handover_id=row["handover_id"],
        bound=row["bound"],
        reason=row["reason"],
        entries=tuple(
            KnownEntry(
                each["booking"],
                each["part"],
                spec_from_json(each["spec"]),
                each["live"],
                each["effective"],
                each["mine"],
            )
            for each in _list(row["entries"])
        ),
        writes=tuple(
            KnownWrite(
                each["booking"],
                each["part"],
                each["kind"],
                spec_from_json(each["spec"]) if each["spec"] else None,
                spec_from_json(each["previous"]) if each["previous"] else None,
                datetime.fromisoformat(each["created_at"]),
                datetime.fromisoformat(each["settled_at"]) if each["settled_at"] else None,
                each["outcome"],
            )
            for each in _list(row["intents"])
        ),
    )


def content_of(provisional: RequestContent | None, confirmed: RequestContent | None) -> RequestContent | None:
    """What is wanted. A removal counts once it is confirmed: until then the leave may still be booked."""
    if provisional is not None and confirmed is not None and provisional.status in REMOVED_STATUSES:
        return confirmed
    return provisional or confirmed


def _content(value: str | None) -> RequestContent | None:
    return RequestContent.model_validate_json(value) if value else None


def _list(value: str | None) -> list[Any]:
    return list(json.loads(value)) if value else []


__all__ = ["BalanceStore", "KnownEntry", "KnownLeave", "KnownRequest", "KnownWrite", "content_of"]

"""Lanes: claim, load, renew, release. A lane is one employee of one target with one holder at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from timeoff.events import RequestContent
from timeoff.ledger.database import Store
from timeoff.ledger.rows import Case, Entry, Intent, RequestView, handed_from_json, spec_from_json
from timeoff.vocabulary import EntrySpec, WritePath


@dataclass(frozen=True, slots=True)
class Lane:
    """A claimed lane with its due requests, and the intent that was left open in it, if any."""

    lane_id: int
    epoch: int
    target: str
    employee_id: str
    cases: tuple[Case, ...]
    open_intent: Intent | None


@dataclass(frozen=True, slots=True)
class KnownRecord:
    """A record in the HRIS that the ledger knows: its ids over time and the dates it covers."""

    vendor_id: str
    chain: tuple[str, ...]
    first_day: date
    last_day: date
    live: bool
    #: by whom it was written
    write_path: WritePath = WritePath.EVENTS


class Lanes(Store):
    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], org: str, holder: str) -> None:
        super().__init__(pool)
        self.org = org
        self.holder = holder

    async def claim(
        self, targets: Sequence[str], limit: int, lease: float, requests_per_lane: int
    ) -> list[Lane]:
        """Up to `limit` free lanes with due work, each leased for `lease` seconds, loaded."""
        rows = await self.fetch(
            self.sql.claim_lanes, self.org, list(targets), limit, self.holder, float(lease)
        )
        return await self.load({row["lane_id"]: dict(row) for row in rows}, requests_per_lane)

    async def load(self, lanes: Mapping[int, Mapping[str, Any]], requests_per_lane: int) -> list[Lane]:
        """The due requests of lanes already held; rows hold lane_id, epoch, target, employee_id."""
        if not lanes:
            return []
        ids = list(lanes)
        rows = await self.fetch(self.sql.load_cases, ids, requests_per_lane)
        intents = {row["lane_id"]: row for row in await self.fetch(self.sql.load_open_intents, ids)}
        frozen = await self._frozen(ids)
        cases: dict[int, list[Case]] = defaultdict(list)
        entries = await self._entries([row["request_pk"] for row in rows])
        for row in rows:
            blocked = frozenset(
                on
                for request_pk, days in frozen.get(row["lane_id"], ())
                if request_pk != row["request_pk"]
                for on in days
            )
            cases[row["lane_id"]].append(_case(row, entries.get(row["request_pk"], ()), blocked))
        loaded = []
        for lane_id, lane in lanes.items():
            intent = intents.get(lane_id)
            loaded.append(
                Lane(
                    lane_id=lane_id,
                    epoch=lane["epoch"],
                    target=lane["target"],
                    employee_id=lane["employee_id"],
                    cases=tuple(cases.get(lane_id, ())),
                    open_intent=_intent(intent) if intent else None,
                )
            )
        return loaded

    async def case(self, request_pk: int) -> Case | None:
        """One request as it is now, due or not."""
        row = await self.pool.fetchrow(self.sql.load_request, request_pk)
        if row is None:
            return None
        frozen = await self._frozen([row["lane_id"]])
        blocked = frozenset(
            on for pk, days in frozen.get(row["lane_id"], ()) if pk != request_pk for on in days
        )
        entries = await self._entries([request_pk])
        return _case(row, entries.get(request_pk, ()), blocked)

    async def near(self, request_pk: int) -> list[Case]:
        """What stands in the same lane on the same days and may be the same leave, on the other side: seen
        in Genesys where the request was handed over, handed over where it was seen.
        """
        rows = await self.fetch(self.sql.near_of, request_pk)
        found = [await self.case(row["request_pk"]) for row in rows]
        return [case for case in found if case is not None]

    async def open_intent(self, lane_id: int) -> Intent | None:
        """The lane's open intent as the ledger holds it."""
        rows = await self.fetch(self.sql.load_open_intents, [lane_id])
        return _intent(rows[0]) if rows else None

    async def announced(self, request_pk: int) -> list[tuple[int, int, EntrySpec]]:
        """(booking, part, spec) of all inserts and updates announced, and of what they were to replace."""
        return [
            (row["booking"], row["part"], spec_from_json(spec))
            for row in await self.fetch(self.sql.announced_of, request_pk)
            for spec in (row["spec"], row["previous"])
            if spec is not None
        ]

    async def now(self) -> datetime:
        """The database's clock, by which deadlines are set."""
        at: datetime = await self.pool.fetchval("SELECT clock_timestamp()")
        return at

    async def known_records(self, target: str, employee_id: str) -> list[KnownRecord]:
        """All records of an employee that the ledger knows, over all requests."""
        return [
            KnownRecord(
                r["vendor_id"],
                tuple(r["chain"]),
                r["first_day"],
                r["last_day"],
                r["live"],
                WritePath(r["write_path"]),
            )
            for r in await self.fetch(self.sql.known_ids, target, employee_id)
        ]

    async def first_looks(self, target: str) -> int:
        """How many due requests will compare with the HRIS first (at most 50 are counted)."""
        return int(await self.pool.fetchval(self.sql.count_first_looks, target))

    async def renew(self, lanes: Mapping[int, int], lease: float) -> frozenset[int]:
        """Prolong held lanes (lane id to epoch); returns the ids that are still held."""
        if not lanes:
            return frozenset()
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(self.sql.lock_lanes, list(lanes), list(lanes.values()))
            held = [row["lane_id"] for row in rows]
            await connection.execute(self.sql.renew_lanes, held, float(lease))
        return frozenset(held)

    async def release(self, lanes: Mapping[int, tuple[int, float]]) -> None:
        """Give lanes back: lane id to (epoch, seconds for which nobody may claim it)."""
        if not lanes:
            return
        async with self.pool.acquire() as connection, connection.transaction():
            rows = await connection.fetch(
                self.sql.lock_lanes, list(lanes), [epoch for epoch, _ in lanes.values()]
            )
            held = [row["lane_id"] for row in rows]
            blocks = [float(lanes[lane_id][1]) for lane_id in held]
            await connection.execute(self.sql.release_lanes, held, blocks)

    async def _frozen(self, lane_ids: Collection[int]) -> dict[int, list[tuple[int, list[date]]]]:
        frozen: dict[int, list[tuple[int, list[date]]]] = defaultdict(list)
        for row in await self.fetch(self.sql.load_frozen, list(lane_ids)):
            if row["spec"] is not None:
                days = [day.date for day in spec_from_json(row["spec"]).days]
                frozen[row["lane_id"]].append((row["request_pk"], days))
        return frozen

    async def _entries(self, request_pks: Sequence[int]) -> dict[int, tuple[Entry, ...]]:
        found: dict[int, list[Entry]] = defaultdict(list)
        if request_pks:
            for row in await self.fetch(self.sql.load_entries, list(request_pks)):
                found[row["request_pk"]].append(_entry(row))
        return {request_pk: tuple(entries) for request_pk, entries in found.items()}


def _entry(row: asyncpg.Record) -> Entry:
    return Entry(
        booking=row["booking"],
        part=row["part"],
        target=row["target"],
        spec=spec_from_json(row["spec"]),
        fingerprint=row["fingerprint"],
        vendor_id=row["vendor_id"],
        chain=tuple(row["chain"]),
        live=row["live"],
        adopted=row["adopted"],
        effective=row["effective"],
        age=row["age"],
    )


def _intent(row: asyncpg.Record) -> Intent:
    return Intent(
        intent_id=row["intent_id"],
        request_pk=row["request_pk"],
        kind=row["kind"],
        booking=row["booking"],
        part=row["part"],
        write_no=row["write_no"],
        spec=spec_from_json(row["spec"]) if row["spec"] else None,
        previous=spec_from_json(row["previous"]) if row["previous"] else None,
        vendor_id=row["vendor_id"],
        repeat=row["repeat"],
        created_at=row["created_at"],
        deadline=row["deadline"],
    )


def view_of(row: asyncpg.Record) -> RequestView:
    """The Genesys side of a row of `requests`."""
    return RequestView(
        request_id=row["request_id"],
        agent_id=row["agent_id"],
        management_unit_id=row["management_unit_id"],
        zone=row["zone"],
        version=row["version"],
        confirmed=RequestContent.model_validate_json(row["confirmed"]) if row["confirmed"] else None,
        confirmed_at=row["confirmed_at"],
        watermark=row["watermark"],
        provisional=RequestContent.model_validate_json(row["provisional"]) if row["provisional"] else None,
        unconfirmed=row["unconfirmed"],
        missing=row["missing"],
    )


def _case(row: asyncpg.Record, entries: tuple[Entry, ...], frozen: frozenset[date]) -> Case:
    return Case(
        request_pk=row["request_pk"],
        lane_id=row["lane_id"],
        epoch=row["epoch"],
        org=row["org"],
        target=row["target"],
        employee_id=row["employee_id"],
        view=view_of(row),
        revision=row["revision"],
        state=row["state"],
        reason=row["reason"],
        look_first=row["look_first"],
        booking=row["booking"],
        writes=row["writes"],
        attempts=row["attempts"],
        done_by_hand=row["done_by_hand"],
        doubted=row["doubted"],
        audit_at=row["audit_at"],
        audit_due=row["audit_due"],
        linked_employee_id=row["linked_employee_id"],
        unsettled=row["unsettled"],
        entries=entries,
        frozen=frozen,
        write_path=WritePath(row["write_path"]),
        handed=handed_from_json(row["handed"]) if row["handed"] else None,
        handover_id=row["handover_id"],
        handed_age=row["handed_age"] or 0.0,
        adopt=row["adopt"],
        entry_key=row["entry_key"],
        near=row["near"],
    )


__all__ = ["KnownRecord", "Lane", "Lanes", "view_of"]

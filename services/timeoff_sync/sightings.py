"""Reading the HRIS before a decision: one search for a single doubt, one listing for many first sights."""

from __future__ import annotations

import asyncio
import time
from calendar import monthrange
from dataclasses import replace
from datetime import date

from timeoff.hris.port import HrisEntry
from timeoff.ledger.lanes import Lanes
from timeoff.ledger.rows import Case
from timeoff.vocabulary import EntryKey
from timeoff_sync.decisions import Look, Sighting, Take
from timeoff_sync.target import Target

#: From so many first sights on, a listing of everybody costs less than a search for each.
MANY = 4


class Sightings:
    """Per target: window listings that many first sights share while they are fresh."""

    def __init__(self, target: Target, lanes: Lanes, *, fresh: float) -> None:
        self._target = target
        self._lanes = lanes
        self._fresh = fresh
        self._windows: dict[date, tuple[float, dict[str, list[HrisEntry]]]] = {}
        self._locks: dict[date, asyncio.Lock] = {}

    async def look(self, case: Case, look: Look) -> Sighting:
        """What the HRIS holds for the request's employee between the dates. Raises `HrisError`."""
        entries: tuple[HrisEntry, ...]
        # After a hold somebody may just have put things right: that needs a look of its own.
        shareable = not case.entries and case.attempts == 0 and case.reason in (None, "shadow")
        if (
            shareable
            and self._target.hris.capabilities.can_list
            and (look.last_day - look.first_day).days <= 62
            and (self._cached(look) or await self._lanes.first_looks(self._target.name) >= MANY)
        ):
            entries = await self._listed(case.employee_id, look)
        else:
            entries = await self._found(case, look)
        return await self._sighting(case, entries)

    async def take(self, case: Case, take: Take) -> Sighting:
        """The record that a workflow names, and what else is there between the dates. Raises `HrisError`."""
        named = await self._target.ask(
            "get",
            lambda: self._target.hris.get(take.vendor_id, case.employee_id, take.first_day, take.last_day),
        )
        entries = await self._found(case, Look(take.first_day, take.last_day))
        return replace(await self._sighting(case, entries), named=named)

    async def _sighting(self, case: Case, entries: tuple[HrisEntry, ...]) -> Sighting:
        records = await self._lanes.known_records(self._target.name, case.employee_id)
        return Sighting(
            entries,
            frozenset(id for record in records for id in record.chain),
            frozenset(
                id for record in records if record.write_path is not case.write_path for id in record.chain
            ),
        )

    async def _found(self, case: Case, look: Look) -> tuple[HrisEntry, ...]:
        key = EntryKey(self._target.rules.deployment, case.org, case.key, case.booking)
        found = await self._target.ask(
            "find",
            lambda: self._target.hris.find(key, case.employee_id, look.first_day, look.last_day),
        )
        return found.entries

    def _cached(self, look: Look) -> bool:
        now = time.monotonic()
        return all(
            start in self._windows and now - self._windows[start][0] < self._fresh
            for start in _months(look.first_day, look.last_day)
        )

    async def _listed(self, employee_id: str, look: Look) -> tuple[HrisEntry, ...]:
        seen: dict[str, HrisEntry] = {}
        for start in _months(look.first_day, look.last_day):
            for entry in (await self._window(start)).get(employee_id, ()):
                if entry.first_day <= look.last_day and entry.last_day >= look.first_day:
                    seen[entry.vendor_id] = entry
        return tuple(seen.values())

    async def _window(self, start: date) -> dict[str, list[HrisEntry]]:
        lock = self._locks.setdefault(start, asyncio.Lock())
        async with lock:
            cached = self._windows.get(start)
            if cached and time.monotonic() - cached[0] < self._fresh:
                return cached[1]
            began = time.monotonic()
            end = start.replace(day=monthrange(start.year, start.month)[1])
            entries = await self._target.ask("list", lambda: self._target.hris.list_entries(start, end, None))
            by_employee: dict[str, list[HrisEntry]] = {}
            for entry in entries:
                by_employee.setdefault(entry.employee_id, []).append(entry)
            # A listing of everybody is large: none is kept longer than it may be used.
            fresh = {at: kept for at, kept in self._windows.items() if began - kept[0] < self._fresh}
            self._windows = {**fresh, start: (began, by_employee)}
            return by_employee


def _months(first: date, last: date) -> list[date]:
    """The first day of each month that the dates touch; the last month there is may be among them."""
    count = (last.year - first.year) * 12 + last.month - first.month + 1
    return [
        date(first.year + (first.month - 1 + n) // 12, (first.month - 1 + n) % 12 + 1, 1)
        for n in range(count)
    ]

"""What a look at the HRIS says about the entries of a request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from timeoff.hris import units
from timeoff.hris.port import HrisEntry
from timeoff.ledger.rows import Case, Entry
from timeoff.vocabulary import Day, EntrySpec, EntryStatus
from timeoff_sync.decisions import Rules, Sighting


def foreign(days: Sequence[Day], sighting: Sighting) -> tuple[HrisEntry, ...]:
    """Live records that touch one of the dates and that the ledger does not know."""
    dates = {day.date for day in days}
    return tuple(
        found
        for found in sighting.entries
        if found.live and found.vendor_id not in sighting.known and touches(found, dates)
    )


def across(days: Sequence[Day], sighting: Sighting) -> tuple[HrisEntry, ...]:
    """Live records on one of the dates that the ledger knows from requests that somebody else books."""
    dates = {day.date for day in days}
    return tuple(
        found
        for found in sighting.entries
        if found.live and found.vendor_id in sighting.across and touches(found, dates)
    )


def touches(found: HrisEntry, dates: set[date]) -> bool:
    """Does the record take time on one of the dates (or cover one, where it has no amounts)?"""
    if found.amounts:
        return not dates.isdisjoint(found.amounts)
    return any(found.first_day <= on <= found.last_day for on in dates)


def fresh(entry: Entry, rules: Rules) -> bool:
    """Written so recently that a search may not show it yet, and nobody can have changed it unseen."""
    return entry.age <= rules.capabilities.read_lag


def state_of(entry: Entry, sighting: Sighting | None, rules: Rules) -> str:
    """How the HRIS shows an entry of ours: same, changed, cancelled, denied, replaced or lost.

    A search may not show yet what was written just now, so that is taken for the same.
    """
    if sighting is None or fresh(entry, rules):
        return "same"
    found = next((seen for seen in sighting.entries if seen.vendor_id == entry.vendor_id), None)
    if found is None:
        return "lost"
    if not found.live:
        return ended_state(found)
    type_ = rules.types.get(entry.spec.type_id)
    if type_ is None:
        return "changed"
    return "same" if units.says(found, entry.spec, type_) else "changed"


def ended_state(found: HrisEntry) -> str:
    """What became of a record that is no longer live: cancelled, denied or replaced."""
    return "replaced" if found.status is EntryStatus.SUPERSEDED else found.status.value


def sides_of(case: Case, spec: EntrySpec | None = None, seen: Sequence[HrisEntry] = ()) -> dict[str, Any]:
    """Both sides of a doubt for a person to look at: dates, amounts, types and ids; never notes."""
    sides: dict[str, Any] = {}
    if spec is not None:
        sides["wanted"] = {
            "type_id": spec.type_id,
            "status": spec.status.value,
            "minutes": {day.date.isoformat(): day.minutes for day in spec.days},
        }
    if case.live_entries:
        sides["booked"] = [
            {
                "id": entry.vendor_id,
                "type_id": entry.spec.type_id,
                "minutes": {day.date.isoformat(): day.minutes for day in entry.spec.days},
            }
            for entry in case.live_entries
        ]
    if seen:
        sides["hris"] = [
            {
                "id": found.vendor_id,
                "type_id": found.type_id,
                "status": found.status.value,
                found.unit.value: {on.isoformat(): str(value) for on, value in found.amounts.items()},
            }
            for found in seen[:10]
        ]
    return sides

"""What to do about a request: one pure function from what is known to one decision.

No await, no clock, no I/O. The worker carries the decision out; where it says `Look`, the worker reads the
HRIS and asks again with what it saw.
"""

from __future__ import annotations

from timeoff.hris import units
from timeoff.hris.port import CancelMode, Capabilities, HrisEntry
from timeoff.ledger.rows import Case, Entry
from timeoff.vocabulary import REMOVED_STATUSES, EntrySpec, RequestStatus, WritePath
from timeoff_sync.bookings import booked, pieces_of, unbooked
from timeoff_sync.decisions import (
    Cancel,
    ChangePath,
    Decision,
    Effective,
    Gone,
    Hold,
    Look,
    Nothing,
    Rules,
    Sighting,
    Wait,
)
from timeoff_sync.handed import (
    contradicted,
    exported_of,
    left_alone,
    reserved,
    span_wanted,
    stays_with_events,
    taken_over,
)
from timeoff_sync.seen import ended_state, foreign, fresh, sides_of, state_of
from timeoff_sync.wanted import wanted


def decide(case: Case, rules: Rules, sighting: Sighting | None = None) -> Decision:
    """One decision for one request. `sighting` is None until the HRIS was read in this turn."""
    view = case.view
    live = case.live_entries
    if case.unsettled:
        return Hold("unsettled_doubt", sides_of(case))
    removed = case.status in REMOVED_STATUSES
    if (entry := case.settling) is not None:
        taking_effect = _taking_effect(case, entry, rules, sighting, removed=removed)
        if taking_effect is not None:
            return taking_effect
    path = case.write_path if stays_with_events(case) else rules.path_of(case)
    if path is not case.write_path:
        return ChangePath(path)
    if case.order is None:
        if not case.bound:
            return reserved(case, rules)
        if path is WritePath.FLOWS and not live:
            return Nothing("written_by_flows", ours=False)
        if view.missing:
            return Hold("gone_from_genesys", sides_of(case)) if live else Nothing("gone_from_genesys")
    if case.status is None:
        return Wait("unread")
    if case.adopt and not case.entries:
        return taken_over(case, case.adopt, rules, sighting)
    decision = _shown(case, rules, sighting)
    if case.order is not None and isinstance(decision, Nothing):
        return contradicted(case, decision)
    if path is WritePath.FLOWS and case.order is None:
        return left_alone(case, decision, rules, sighting)
    return decision


def _shown(case: Case, rules: Rules, sighting: Sighting | None) -> Decision:
    """From what is wanted and what is booked to a step, whoever says what is wanted."""
    live = case.live_entries
    removed = case.status in REMOVED_STATUSES
    if removed:
        return _removed(case, rules, sighting)
    if case.status not in exported_of(case, rules):
        if not live and case.status not in set(RequestStatus):
            return Hold("unknown_status", {"status": str(case.status)[:40]})
        if not live and case.handover_id is not None:
            return Wait("pending")  # its balance is kept for it
        return Nothing("kept_though_not_exported" if live else "not_exported")
    spec = wanted(case, rules)
    if not isinstance(spec, EntrySpec):
        return spec
    if case.frozen & {day.date for day in spec.days}:
        return Hold("overlaps_unsettled_doubt", sides_of(case, spec))
    return (booked if live else unbooked)(case, rules, spec, sighting)


def next_reading(capabilities: Capabilities) -> float:
    """Seconds between two readings of a write that was accepted: many within the time it may take."""
    return min(max(capabilities.effective_within / 50, 0.2), 900.0)


def _taking_effect(
    case: Case, entry: Entry, rules: Rules, sighting: Sighting | None, *, removed: bool
) -> Decision | None:
    """A write was accepted and is read until it shows. None: the record has ended, which is for others."""
    if sighting is None:
        near = [entry, *case.live_entries]
        return Look(min(e.spec.first_day for e in near), max(e.spec.last_day for e in near))
    found = next((seen for seen in sighting.entries if seen.vendor_id == entry.vendor_id), None)
    if entry.live:
        type_ = rules.types.get(entry.spec.type_id)
        shown = found is not None and type_ is not None and units.says(found, entry.spec, type_)
        if found is not None and shown and not found.changing:
            return Effective(entry)
        if found is not None and not found.live:
            return _refused_later(case, entry, found, sighting, removed=removed)
    elif (found is not None and not found.live) or (
        found is None and rules.capabilities.cancel_mode is CancelMode.DELETE
    ):
        return Effective(entry)
    if case.done_by_hand:
        return Nothing("done_by_hand")
    if entry.age > rules.capabilities.effective_within:
        return Hold("not_yet_effective", sides_of(case, entry.spec, sighting.entries))
    return Wait("not_yet_effective", next_reading(rules.capabilities))


def _refused_later(
    case: Case, entry: Entry, found: HrisEntry, sighting: Sighting, *, removed: bool
) -> Decision | None:
    """The HRIS had accepted a write and ended its record: as wanted by now, or for a person to see."""
    if case.done_by_hand:
        return Nothing("done_by_hand")
    if removed:
        more = len(case.live_entries) > 1
        return Gone(entry, "cancelled_in_hris", more) if case.removal_confirmed else None
    return Hold(f"{ended_state(found)}_in_hris", sides_of(case, seen=sighting.entries))


def _removed(case: Case, rules: Rules, sighting: Sighting | None) -> Decision:
    """DENIED or CANCELED: only a confirmed one removes, and only what is ours."""
    if not case.removal_confirmed:
        return Wait("removal_unconfirmed")
    live = case.live_entries
    if not live:
        return _removed_unbooked(case, rules, sighting)
    if case.done_by_hand:
        return Nothing("done_by_hand")
    if sighting is None and not all(fresh(entry, rules) for entry in live):
        return Look(min(entry.spec.first_day for entry in live), max(entry.spec.last_day for entry in live))
    states = [state_of(entry, sighting, rules) for entry in live]
    touched = [state for state in states if state not in ("same", "cancelled", "denied")]
    if touched:
        return Hold(f"{touched[0]}_in_hris", sides_of(case, seen=sighting.entries if sighting else ()))
    entry, more = live[0], len(live) > 1
    if states[0] != "same":
        return Gone(entry, "cancelled_in_hris", more)
    if rules.capabilities.cancel_mode is CancelMode.NONE:
        return Hold("cancel_unsupported", sides_of(case))
    return Cancel(entry, f"{str(case.status).lower()} in Genesys", more=more)


def _removed_unbooked(case: Case, rules: Rules, sighting: Sighting | None) -> Decision:
    """A removed request that we never booked: somebody else may have, before the first start."""
    if case.writes or not case.look_first or case.entries:
        return Nothing("removed")
    span = span_wanted(case)
    if span is None or span[1] < rules.cutover:
        return Nothing("removed")
    if sighting is None:
        return Look(*span)
    spec = wanted(case, rules)
    if isinstance(spec, EntrySpec):
        type_ = rules.types[spec.type_id]
        for piece in pieces_of(spec, rules):
            for found in foreign(piece.days, sighting):
                if units.says(found, piece, type_):
                    return Hold("removed_but_booked", sides_of(case, spec, (found,)))
    return Nothing("removed")

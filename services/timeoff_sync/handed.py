"""What workflows hand over: what becomes of a reservation, of a record that only they know, and of leave that
was booked before they did it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any, Final

from timeoff.days import EARLIEST, LATEST, span_of
from timeoff.handover import Handed, Leave, leave_of_request
from timeoff.hris import units
from timeoff.hris.port import HrisEntry, TimeOffType, Unit
from timeoff.ledger.rows import Case
from timeoff.vocabulary import REMOVED_STATUSES, Day, EntrySpec, EntryStatus, RequestStatus, WritePath
from timeoff_sync.decisions import (
    Adopt,
    Cancel,
    Decision,
    Gone,
    Hold,
    Nothing,
    Rules,
    Sighting,
    Take,
    Wait,
    Write,
)
from timeoff_sync.seen import ended_state, sides_of, state_of, touches

#: A change in Genesys and the call that brings it are not further apart than this, seconds.
CALL_WITHIN: Final = 60.0
#: Reasons of a request that the event path had nothing to do with.
NOT_TAKEN_UP: Final = frozenset({"unmapped", "before_cutover", "skipped_by_rule", "written_by_flows"})
#: A record that only a workflow knows may lie so far from the days that are asked for now.
FAR: Final = timedelta(days=370)


def exported_of(case: Case, rules: Rules) -> Collection[str]:
    """Statuses in which the HRIS is to hold an entry. A workflow waits for the id of what it hands over, so
    what is pending is booked as requested wherever the HRIS has such a status.
    """
    if case.order is not None and EntryStatus.REQUESTED in rules.capabilities.insert_statuses:
        return rules.exported | {RequestStatus.PENDING}
    return rules.exported


def span_wanted(case: Case) -> tuple[date, date] | None:
    """First and last day of what is wanted, whoever says it; None where that cannot be told."""
    return case.order.span if case.order else span_of(case.view.content, case.view.zone)


def leave_seen(case: Case, rules: Rules) -> Leave | None:
    """What a request of Genesys asks for, if it still does."""
    view, content = case.view, case.view.content
    if content is None or view.missing or content.status in REMOVED_STATUSES:
        return None
    choice = rules.choice(view.management_unit_id, content.activity_code_id)
    return leave_of_request(content, view.zone, choice)


def same_leave(handed: Case, seen: Sequence[Case], rules: Rules) -> list[Case]:
    """Which of the requests seen in Genesys ask for what was handed over."""
    if handed.handed is None or handed.handed.removed:
        return []
    leave = handed.handed.leave
    return [case for case in seen if (other := leave_seen(case, rules)) and leave.same(other)]


def reserved(case: Case, rules: Rules) -> Decision:
    """Handed over, and booked when Genesys shows the request: until then its balance is kept for it."""
    handed = case.handed
    if handed is None or handed.removed:
        return Nothing("removed")
    if case.rivals:
        return Hold("ambiguous_binding", {"handed_over": _shown(handed), "requests": list(case.rivals[:10])})
    left = rules.reservation_kept - case.handed_age
    if left <= 0:
        return Hold("never_seen", {"handed_over": _shown(handed)})
    return Wait("reserved", left)


def stays_with_events(case: Case) -> bool:
    """Was it taken up by the event path and not booked yet? Then no workflow hands it over any more, whatever
    its plan says by now: a call that was answered, or one that never came, is not made again.
    """
    if case.write_path is not WritePath.EVENTS or not case.bound or case.live_entries:
        return False
    taken_up = case.reason not in (None, "path_changed") and case.state != "not_ours"
    return case.handover_id is not None or (taken_up and case.reason not in NOT_TAKEN_UP)


def contradicted(case: Case, decision: Nothing) -> Decision:
    """All is as a workflow wants it. But where Genesys has cancelled the request and no call says so, none
    may ever come (it never learnt of the booking): after a while a person has to know.
    """
    if case.order is None or case.order.removed or not (case.live_entries and case.view.removal_confirmed):
        return decision
    if case.reason != "call_awaited":
        return Wait("call_awaited", CALL_WITHIN)
    return Hold("not_handed_over", sides_of(case))


def left_alone(case: Case, decision: Decision, rules: Rules, sighting: Sighting | None) -> Decision:
    """Booked before workflows did it, and none has handed it over since: a change is theirs to bring. So what
    would be written is shown to a person; what a person has ended is noted.
    """
    seen = sighting.entries if sighting else ()
    for entry in case.live_entries:
        if state_of(entry, sighting, rules) in ("cancelled", "denied"):
            return Gone(entry, "cancelled_in_hris", more=True)
    if isinstance(decision, Write):
        spec = None if isinstance(decision, Cancel) else decision.spec
        return Hold("not_handed_over", sides_of(case, spec, seen))
    return decision


def taken_over(case: Case, vendor_id: str, rules: Rules, sighting: Sighting | None) -> Decision:
    """A change of a record that the ledger does not know: taken over if it is there, never booked anew."""
    span = span_wanted(case)
    if span is None:
        return Hold("no_days", sides_of(case))
    first, last = span
    if sighting is None:
        return Take(vendor_id, max(first - FAR, EARLIEST), min(last + FAR, LATEST))
    named = sighting.named
    if named is None or named.employee_id != case.employee_id:
        return Hold("record_unknown", {"id": vendor_id[:80]})
    if named.status is EntryStatus.SUPERSEDED:
        after = _successors(named, first, last, sighting)
        if len(after) != 1:
            return Hold("record_replaced", sides_of(case, seen=[named, *after]))
        named = after[0]
    elif not named.live:
        if case.status in REMOVED_STATUSES:
            return Nothing("removed") if case.removal_confirmed else Wait("removal_unconfirmed")
        return Hold(f"{ended_state(named)}_in_hris", sides_of(case, seen=[named]))
    type_ = rules.types.get(named.type_id)
    spec = spec_of(named, type_, case.view.zone) if type_ else None
    if type_ is None or spec is None or not units.says(named, spec, type_):
        return Hold("unknown_type", sides_of(case, seen=[named]) | {"type_id": named.type_id})
    return Adopt(named, spec, case.booking, more=True)


def spec_of(found: HrisEntry, type_: TimeOffType, zone: str | None) -> EntrySpec | None:
    """What a record says, in minutes; None where it says nothing of any day."""
    days = tuple(
        Day(on, units.minutes(amount, type_, on), whole=type_.unit is Unit.DAYS and amount == 1)
        for on, amount in sorted(found.amounts.items())
    )
    if not days:
        return None
    return EntrySpec(found.employee_id, found.type_id, found.type_id2, found.status, days, zone or "UTC")


def _successors(named: HrisEntry, first: date, last: date, sighting: Sighting) -> list[HrisEntry]:
    """Live records that can have taken the place of one that was replaced: nobody says which it is."""
    dates = _between(first, last) | _dates(named)
    return [
        found
        for found in sighting.entries
        if found.live
        and found.vendor_id not in sighting.known
        and found.type_id == named.type_id
        and touches(found, dates)
    ]


def _dates(found: HrisEntry) -> set[date]:
    return set(found.amounts) or _between(found.first_day, found.last_day)


def _between(first: date, last: date) -> set[date]:
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}


def _shown(handed: Handed) -> dict[str, Any]:
    return {
        "type_id": handed.type_id,
        "status": handed.status,
        "minutes": {day.date.isoformat(): day.minutes for day in handed.days},
    }

"""What to do about a request: one pure function from what is known to one decision.

No await, no clock, no I/O. The worker carries the decision out; where it says `Look`, the worker reads the
HRIS and asks again with what it saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from timeoff.days import MINUTES_A_DAY, BadDays, days_of, span_of
from timeoff.events import RequestContent
from timeoff.hris import units
from timeoff.hris.port import CancelMode, Capabilities, HrisEntry, TimeOffType, UpdateMode
from timeoff.ledger.rows import Case, Entry
from timeoff.rules import Asked, Change, Rule, Skip
from timeoff.vocabulary import (
    REMOVED_STATUSES,
    Day,
    EntryKey,
    EntrySpec,
    EntryStatus,
    RequestStatus,
)


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """HRIS type for an activity code, with the rules of the type."""

    type_id: str
    type_id2: str | None = None
    minutes: Literal["payable", "duration"] = "payable"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings, the plans and the HRIS say; the same for all requests of a target."""

    deployment: str
    exported: frozenset[str]
    cutover: date
    capabilities: Capabilities
    types: Mapping[str, TimeOffType]
    #: (unit or "", activity code) to type; the unit's own choice comes first
    choices: Mapping[tuple[str, str], TypeChoice]
    copy_notes: bool = False
    rule: Rule | None = None

    def choice(self, unit: str | None, code: str | None) -> TypeChoice | None:
        if code is None:
            return None
        return self.choices.get((unit or "", code)) or self.choices.get(("", code))


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the HRIS holds for the employee around the request's dates.

    `entries` are of any status when they came from `find`, live ones when from a listing; `known` are the
    ids, old ones included, that the ledger holds for this employee.
    """

    entries: tuple[HrisEntry, ...]
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing to do. `ours` False: the request is none of this deployment's business."""

    reason: str
    ours: bool = True
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing yet: a confirming read, or the move to another lane, makes the request due again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A person has to decide; `detail` shows both sides, without notes."""

    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """The HRIS has to be read before anything can be said."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Insert:
    spec: EntrySpec
    booking: int


@dataclass(frozen=True, slots=True)
class Update:
    entry: Entry
    spec: EntrySpec


@dataclass(frozen=True, slots=True)
class Cancel:
    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """The HRIS holds the wanted entry already: take it into the ledger, write nothing."""

    found: HrisEntry
    spec: EntrySpec
    booking: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The entry has ended in the HRIS as wanted, by other hands: note it, write nothing."""

    entry: Entry
    reason: str


Decision = Nothing | Wait | Hold | Look | Insert | Update | Cancel | Adopt | Gone


def decide(case: Case, rules: Rules, sighting: Sighting | None = None) -> Decision:
    """One decision for one request. `sighting` is None until the HRIS was read in this turn."""
    view = case.view
    live = case.live_entries
    if case.unsettled:
        return Hold("unsettled_doubt", _sides(case))
    if view.missing:
        return Hold("gone_from_genesys", _sides(case)) if live else Nothing("gone_from_genesys")
    content = view.content
    if content is None:
        return Wait("unread")
    if content.status in REMOVED_STATUSES:
        return _removed(case, rules, content, sighting)
    if content.status not in rules.exported:
        if not live and content.status not in set(RequestStatus):
            return Hold("unknown_status", {"status": str(content.status)[:40]})
        return Nothing("kept_though_not_exported" if live else "not_exported")
    spec = _wanted(case, rules, content)
    if not isinstance(spec, EntrySpec):
        return spec
    if case.frozen & {day.date for day in spec.days}:
        return Hold("overlaps_unsettled_doubt", _sides(case, spec))
    if live:
        return _booked(case, rules, live[-1], spec, sighting)
    return _unbooked(case, rules, spec, sighting)


def _removed(case: Case, rules: Rules, content: RequestContent, sighting: Sighting | None) -> Decision:
    """DENIED or CANCELED: only a confirmed one removes, and only what is ours."""
    if not case.view.removal_confirmed:
        return Wait("removal_unconfirmed")
    live = case.live_entries
    if not live:
        return _removed_unbooked(case, rules, content, sighting)
    entry = live[0]
    if case.done_by_hand:
        return Nothing("done_by_hand")
    if rules.capabilities.cancel_mode is CancelMode.NONE:
        return Hold("cancel_unsupported", _sides(case))
    if sighting is None and not _fresh(entry, rules):
        return Look(entry.spec.first_day, entry.spec.last_day)
    state = _state_of(entry, sighting, rules)
    if state == "same":
        return Cancel(entry, f"{content.status.lower()} in Genesys")
    if state in ("cancelled", "denied"):
        return Gone(entry, "cancelled_in_hris")
    return Hold(f"{state}_in_hris", _sides(case, seen=sighting.entries if sighting else ()))


def _removed_unbooked(
    case: Case, rules: Rules, content: RequestContent, sighting: Sighting | None
) -> Decision:
    """A removed request that we never booked: somebody else may have, before the first start."""
    if case.writes or not case.look_first or case.entries:
        return Nothing("removed")
    span = span_of(content, case.view.zone)
    if span is None or span[1] < rules.cutover:
        return Nothing("removed")
    if sighting is None:
        return Look(*span)
    spec = _wanted(case, rules, content)
    if isinstance(spec, EntrySpec):
        type_ = rules.types[spec.type_id]
        for found in _foreign(spec.days, sighting):
            if units.says(found, spec, type_):
                return Hold("removed_but_booked", _sides(case, spec, (found,)))
    return Nothing("removed")


def _wanted(case: Case, rules: Rules, content: RequestContent) -> EntrySpec | Nothing | Hold | Wait:
    """What the entry should say, or why there can be none."""
    view = case.view
    live = case.live_entries
    span = span_of(content, view.zone)
    if span is not None and span[1] < rules.cutover and not live:
        return Nothing("before_cutover", ours=False)
    choice = rules.choice(view.management_unit_id, content.activity_code_id)
    if choice is None:
        code = {"activity_code_id": str(content.activity_code_id)[:80]}
        return Hold("mapping_vanished", _sides(case) | code) if live else Nothing("unmapped", ours=False)
    type_ = rules.types.get(choice.type_id)
    if type_ is None:
        return Hold("unknown_type", _sides(case) | {"type_id": choice.type_id})
    try:
        days = days_of(content, view.zone, choice.minutes)
    except BadDays as bad:
        return Hold(bad.reason, _sides(case) | {"problem": str(bad)})
    ruled = _ruled(case, rules, content, choice, days)
    if not isinstance(ruled, _Ruled):
        return ruled
    choice, days = ruled.choice, ruled.days
    type_ = rules.types.get(choice.type_id)
    if type_ is None:
        return Hold("unknown_type", _sides(case) | {"type_id": choice.type_id})
    if not any(units.amount(day, type_) for day in days):
        return Hold("no_minutes_left", _sides(case)) if live else Nothing("nothing_to_book")
    if case.linked_employee_id is None and not live:
        return Hold("no_employee", {"agent_id": view.agent_id})
    if case.linked_employee_id != case.employee_id and not live:
        return Wait("link_moved")  # this lane looks at another employee: the request is about to leave it
    return EntrySpec(
        employee_id=case.linked_employee_id or case.employee_id,
        type_id=choice.type_id,
        type_id2=choice.type_id2,
        status=_entry_status(content.status),
        days=days,
        zone=view.zone or "UTC",
        note=content.notes if rules.copy_notes else None,
        ruled=ruled.reason,
    )


@dataclass(frozen=True, slots=True)
class _Ruled:
    choice: TypeChoice
    days: tuple[Day, ...]
    reason: str | None = None


def _ruled(
    case: Case, rules: Rules, content: RequestContent, choice: TypeChoice, days: tuple[Day, ...]
) -> _Ruled | Nothing | Hold:
    """What the organisation's rule makes of it. A rule that fails costs the request it fails on."""
    if rules.rule is None:
        return _Ruled(choice, days)
    asked = Asked(
        request_id=case.view.request_id,
        agent_id=case.view.agent_id,
        employee_id=case.linked_employee_id,
        management_unit_id=case.view.management_unit_id,
        status=content.status,
        activity_code_id=content.activity_code_id,
        paid=content.paid,
        type_id=choice.type_id,
        type_id2=choice.type_id2,
        days=days,
    )
    try:
        ruling = rules.rule(asked)
    except Exception as error:  # noqa: BLE001 - somebody else's code
        return Hold("rule_failed", _sides(case) | {"error": type(error).__name__})
    match ruling:
        case None:
            return _Ruled(choice, days)
        case Skip(reason):
            detail = {"rule": reason[:200]}
            if case.live_entries:
                return Hold("rule_skips_booked", _sides(case) | detail)
            return Nothing("skipped_by_rule", ours=False, detail=detail)
        case Change(reason, type_id, type_id2, minutes):
            changed = tuple(replace(day, minutes=minutes.get(day.date, day.minutes)) for day in days)
            if any(not 0 <= day.minutes <= MINUTES_A_DAY for day in changed):
                return Hold("rule_failed", _sides(case) | {"error": "minutes outside of 0 to 1440"})
            if type_id is not None:
                choice = replace(choice, type_id=type_id, type_id2=type_id2)
            return _Ruled(choice, tuple(day for day in changed if day.minutes), reason[:200])
        case _:
            return Hold("rule_failed", _sides(case) | {"error": "the rule returned something else"})


def _booked(case: Case, rules: Rules, entry: Entry, spec: EntrySpec, sighting: Sighting | None) -> Decision:
    """The request has a live entry: nothing, update, or a person."""
    if entry.fingerprint == spec.fingerprint:
        return Nothing("in_step")
    if entry.spec.employee_id != spec.employee_id:
        return Hold("link_changed", _sides(case, spec))
    if (entry.spec.type_id, entry.spec.type_id2) != (spec.type_id, spec.type_id2):
        return Hold("type_changed", _sides(case, spec))
    type_ = rules.types[spec.type_id]
    if replace(entry.spec, days=(), ruled=None) == replace(
        spec, days=(), note=None, ruled=None, zone=entry.spec.zone
    ) and (
        units.amounts(entry.spec, type_) == units.amounts(spec, type_)
        and [day.start for day in entry.spec.days] == [day.start for day in spec.days]
    ):
        return Nothing("in_step")
    if rules.capabilities.update_mode not in (UpdateMode.IN_PLACE, UpdateMode.REPLACE_NEW_ID):
        return Hold("update_unsupported", _sides(case, spec))
    if sighting is None and (case.done_by_hand or not _fresh(entry, rules)):
        return Look(min(entry.spec.first_day, spec.first_day), max(entry.spec.last_day, spec.last_day))
    if sighting is not None and case.done_by_hand:
        by_hand = [found for found in sighting.entries if found.live and units.says(found, spec, type_)]
        return Adopt(by_hand[0], spec, entry.booking) if len(by_hand) == 1 else Nothing("done_by_hand")
    state = _state_of(entry, sighting, rules)
    if state == "same":
        return Update(entry, spec)
    seen = sighting.entries if sighting else ()
    corrected = next((found for found in seen if found.vendor_id == entry.vendor_id), None)
    if corrected is not None and corrected.live and units.says(corrected, spec, type_):
        return Adopt(corrected, spec, entry.booking)  # a person made both sides equal
    return Hold(f"{state}_in_hris", _sides(case, spec, seen))


def _unbooked(case: Case, rules: Rules, spec: EntrySpec, sighting: Sighting | None) -> Decision:
    """Wanted and not booked: insert, unless the HRIS holds something there already."""
    booking = case.booking + 1 if any(e.booking == case.booking for e in case.entries) else case.booking
    if spec.status not in rules.capabilities.insert_statuses:
        return Hold("status_unsupported", _sides(case, spec))
    if not (case.look_first or case.done_by_hand):
        return Insert(spec, booking)
    if sighting is None:
        return Look(spec.first_day, spec.last_day)
    type_ = rules.types[spec.type_id]
    foreign = _foreign(spec.days, sighting)
    key = EntryKey(rules.deployment, case.org, case.view.request_id, booking)
    ours = [found for found in foreign if found.marker == key.marker]
    equal = [found for found in ours or foreign if units.says(found, spec, type_)]
    if len(equal) == 1 and (ours or len(foreign) == 1):
        return Adopt(equal[0], spec, booking)
    if foreign:
        return Hold("overlap", _sides(case, spec, foreign))
    if case.done_by_hand:
        return Nothing("done_by_hand")
    return Insert(spec, booking)


def _foreign(days: Sequence[Day], sighting: Sighting) -> tuple[HrisEntry, ...]:
    """Live records that touch one of the dates and that the ledger does not know."""
    dates = {day.date for day in days}
    return tuple(
        found
        for found in sighting.entries
        if found.live and found.vendor_id not in sighting.known and touches(found, dates)
    )


def touches(found: HrisEntry, dates: set[date]) -> bool:
    """Does the record take time on one of the dates (or cover one, where it has no amounts)?"""
    if found.amounts:
        return not dates.isdisjoint(found.amounts)
    return any(found.first_day <= on <= found.last_day for on in dates)


def _fresh(entry: Entry, rules: Rules) -> bool:
    """Written so recently that a search may not show it yet, and nobody can have changed it unseen."""
    return entry.age <= rules.capabilities.read_lag


def _state_of(entry: Entry, sighting: Sighting | None, rules: Rules) -> str:
    """How the HRIS shows an entry of ours: same, changed, cancelled, denied, replaced or lost."""
    if sighting is None:
        return "same"
    found = next((seen for seen in sighting.entries if seen.vendor_id == entry.vendor_id), None)
    if found is None:
        return "lost"
    if found.status is EntryStatus.SUPERSEDED:
        return "replaced"
    if not found.live:
        return str(found.status.value)
    type_ = rules.types.get(entry.spec.type_id)
    if type_ is None:
        return "changed"
    return "same" if units.says(found, entry.spec, type_) else "changed"


def _entry_status(status: str) -> EntryStatus:
    return EntryStatus.REQUESTED if status == RequestStatus.PENDING else EntryStatus.APPROVED


def _sides(case: Case, spec: EntrySpec | None = None, seen: Sequence[HrisEntry] = ()) -> dict[str, Any]:
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

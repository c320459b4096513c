"""What the entry of a request should say, or why there can be none. Pure."""

from __future__ import annotations

from timeoff.days import BadDays, days_of, span_of
from timeoff.events import RequestContent
from timeoff.hris import units
from timeoff.ledger.rows import Case
from timeoff.rules import Asked, Failed, Ruled, Skip, ruled
from timeoff.vocabulary import Day, EntrySpec, EntryStatus, RequestStatus
from timeoff_sync.decisions import Hold, Nothing, Rules, TypeChoice, Wait
from timeoff_sync.seen import sides_of

#: A request whose link moved looks again so soon whether it is in its new lane.
MOVE_SECONDS = 2.0


def wanted(case: Case, rules: Rules, content: RequestContent) -> EntrySpec | Nothing | Hold | Wait:
    """What the entry should say, or why there can be none."""
    view = case.view
    live = case.live_entries
    span = span_of(content, view.zone)
    if span is not None and span[1] < rules.cutover and not live:
        return Nothing("before_cutover", ours=False)
    choice = rules.choice(view.management_unit_id, content.activity_code_id)
    if choice is None:
        code = {"activity_code_id": str(content.activity_code_id)[:80]}
        return Hold("mapping_vanished", sides_of(case) | code) if live else Nothing("unmapped", ours=False)
    type_ = rules.types.get(choice.type_id)
    if type_ is None:
        return Hold("unknown_type", sides_of(case) | {"type_id": choice.type_id})
    try:
        days = days_of(content, view.zone, choice.minutes)
    except BadDays as bad:
        return Hold(bad.reason, sides_of(case) | {"problem": str(bad)})
    booked = _ruled(case, rules, content, choice, days)
    if not isinstance(booked, Ruled):
        return booked
    type_ = rules.types.get(booked.type_id)
    if type_ is None:
        return Hold("unknown_type", sides_of(case) | {"type_id": booked.type_id})
    if not any(units.amount(day, type_) for day in booked.days):
        return Hold("no_minutes_left", sides_of(case)) if live else Nothing("nothing_to_book")
    if case.linked_employee_id is None and not live:
        return Hold("no_employee", {"agent_id": view.agent_id})
    if case.linked_employee_id != case.employee_id and not live:
        # This lane looks at another employee: a periodic pass is about to move the request.
        return Wait("link_moved", MOVE_SECONDS)
    return EntrySpec(
        employee_id=case.linked_employee_id or case.employee_id,
        type_id=booked.type_id,
        type_id2=booked.type_id2,
        status=_entry_status(content.status),
        days=booked.days,
        zone=view.zone or "UTC",
        note=content.notes if rules.copy_notes else None,
        ruled=booked.reason,
    )


def _ruled(
    case: Case, rules: Rules, content: RequestContent, choice: TypeChoice, days: tuple[Day, ...]
) -> Ruled | Nothing | Hold:
    """What the organisation's rule makes of it. A rule that fails costs the request it fails on."""
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
    match ruled(rules.rule, asked):
        case Failed(error):
            return Hold("rule_failed", sides_of(case) | {"error": error})
        case Skip(reason):
            detail = {"rule": reason[:200]}
            if case.live_entries:
                return Hold("rule_skips_booked", sides_of(case) | detail)
            return Nothing("skipped_by_rule", ours=False, detail=detail)
        case Ruled() as found:
            return found


def _entry_status(status: str) -> EntryStatus:
    return EntryStatus.REQUESTED if status == RequestStatus.PENDING else EntryStatus.APPROVED

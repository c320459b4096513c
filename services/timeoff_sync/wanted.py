"""What the entry of a request should say, or why there can be none. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from timeoff.days import BadDays, days_of, span_of
from timeoff.handover import Handed
from timeoff.hris import units
from timeoff.ledger.rows import Case
from timeoff.rules import Asked, Failed, Ruled, Skip, ruled
from timeoff.vocabulary import Day, EntrySpec, EntryStatus, RequestStatus
from timeoff_sync.decisions import Hold, Nothing, Rules, Wait
from timeoff_sync.seen import sides_of

#: A request whose link moved looks again so soon whether it is in its new lane.
MOVE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked for, before the organisation's rule; `ordered` by a workflow, else seen in Genesys."""

    status: str
    type_id: str
    type_id2: str | None
    days: tuple[Day, ...]
    note: str | None
    activity_code_id: str | None = None
    paid: bool | None = None
    ordered: bool = False


def wanted(case: Case, rules: Rules) -> EntrySpec | Nothing | Hold | Wait:
    """What the entry should say, or why there can be none. The case has a status, of the path that counts."""
    live = case.live_entries
    wish = _ordered(case, rules, case.order) if case.order else _seen(case, rules)
    if not isinstance(wish, _Wish):
        return wish
    if wish.type_id not in rules.types:
        return Hold("unknown_type", sides_of(case) | {"type_id": wish.type_id})
    booked = _ruled(case, rules, wish)
    if not isinstance(booked, Ruled):
        return booked
    type_ = rules.types.get(booked.type_id)
    if type_ is None:
        return Hold("unknown_type", sides_of(case) | {"type_id": booked.type_id})
    if not any(units.amount(day, type_) for day in booked.days):
        return Hold("no_minutes_left", sides_of(case)) if live else Nothing("nothing_to_book")
    employee_id = case.employee_id
    if not wish.ordered:
        if case.linked_employee_id is None and not live:
            return Hold("no_employee", {"agent_id": case.view.agent_id})
        if case.linked_employee_id != case.employee_id and not live:
            # This lane looks at another employee: a periodic pass is about to move the request.
            return Wait("link_moved", MOVE_SECONDS)
        employee_id = case.linked_employee_id or case.employee_id
    return EntrySpec(
        employee_id=employee_id,
        type_id=booked.type_id,
        type_id2=booked.type_id2,
        status=_entry_status(wish.status),
        days=booked.days,
        zone=case.view.zone or "UTC",
        note=wish.note if rules.copy_notes else None,
        ruled=booked.reason,
    )


def _ordered(case: Case, rules: Rules, order: Handed) -> _Wish | Nothing:
    """A workflow names the type itself, and the employee."""
    if order.span[1] < rules.cutover and not case.live_entries:
        return Nothing("before_cutover", ours=False)
    return _Wish(order.status, order.type_id, order.type_id2, order.days, order.note, ordered=True)


def _seen(case: Case, rules: Rules) -> _Wish | Nothing | Hold | Wait:
    """What Genesys shows has an activity code, and instants."""
    view, live, content = case.view, case.live_entries, case.view.content
    if content is None:
        return Wait("unread")
    span = span_of(content, view.zone)
    if span is not None and span[1] < rules.cutover and not live:
        return Nothing("before_cutover", ours=False)
    choice = rules.choice(view.management_unit_id, content.activity_code_id)
    if choice is None:
        code = {"activity_code_id": str(content.activity_code_id)[:80]}
        return Hold("mapping_vanished", sides_of(case) | code) if live else Nothing("unmapped", ours=False)
    if choice.type_id not in rules.types:
        return Hold("unknown_type", sides_of(case) | {"type_id": choice.type_id})
    try:
        days = days_of(content, view.zone, choice.minutes)
    except BadDays as bad:
        return Hold(bad.reason, sides_of(case) | {"problem": str(bad)})
    return _Wish(
        content.status,
        choice.type_id,
        choice.type_id2,
        days,
        content.notes,
        content.activity_code_id,
        content.paid,
    )


def _ruled(case: Case, rules: Rules, wish: _Wish) -> Ruled | Nothing | Hold:
    """What the organisation's rule makes of it. A rule that fails costs the request it fails on."""
    asked = Asked(
        request_id=case.view.request_id,
        agent_id=case.view.agent_id,
        employee_id=case.employee_id if wish.ordered else case.linked_employee_id,
        management_unit_id=case.view.management_unit_id,
        status=wish.status,
        activity_code_id=wish.activity_code_id,
        paid=wish.paid,
        type_id=wish.type_id,
        type_id2=wish.type_id2,
        days=tuple(day for day in wish.days if day.minutes),
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

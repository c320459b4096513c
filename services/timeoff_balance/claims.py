"""Requests of the ledger as claims: what each wants, what it holds, which of its writes may not show yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from timeoff.days import BadDays, days_of, span_of
from timeoff.hris import units
from timeoff.hris.choices import TypeChoice, choice_of
from timeoff.hris.port import TimeOffType
from timeoff.ledger.balance import KnownEntry, KnownRequest, KnownWrite
from timeoff.rules import Asked, Rule, Ruled, ruled
from timeoff.vocabulary import EntrySpec
from timeoff_balance.reserved import Amounts, Claim, Place, Record, Write

#: How a doubt ends that nothing was written after.
_WITHOUT_EFFECT = frozenset({"refused", "not_written", "repeated"})
#: States in which the next step is made without a person.
_GOES_ON = frozenset({"open", "waiting"})


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the settings, the plans and the HRIS say of a target's requests."""

    types: Mapping[str, TimeOffType]
    choices: Mapping[tuple[str, str], TypeChoice]
    exported: Collection[str]
    cutover: date
    rule: Rule | None = None


def claims_of(requests: Iterable[KnownRequest], employee_id: str, rules: ClaimRules) -> tuple[Claim, ...]:
    return tuple(_claim(request, employee_id, rules) for request in requests)


def _claim(request: KnownRequest, employee_id: str, rules: ClaimRules) -> Claim:
    records = tuple(_records(request, rules))
    if request.replaced:
        return Claim(request.request_id, {}, records, gives_back=True)
    if request.state in ("settled", "not_ours"):
        return Claim(request.request_id, None, records)
    wanted = {} if request.done_by_hand else _wanted(request, employee_id, rules)
    updates = wanted is not None and bool(wanted) and request.state in _GOES_ON
    return Claim(
        request.request_id,
        wanted,
        records,
        gives_back=updates,
        perhaps_booked=not records and (request.look_first or request.state in ("held", "failed")),
    )


def _records(request: KnownRequest, rules: ClaimRules) -> Iterable[Record]:
    entries = {(entry.booking, entry.part): entry for entry in request.entries}
    writes: dict[tuple[int, int], list[KnownWrite]] = {}
    for write in request.writes:
        if write.kind != "cancel_twin" and write.outcome not in _WITHOUT_EFFECT:
            writes.setdefault((write.booking, write.part), []).append(write)
    for place in {**entries, **writes}:
        entry = entries.get(place)
        if entry is not None and not entry.mine:
            continue
        booked = _amounts(entry.spec, rules) if entry is not None and entry.live else {}
        yield Record(booked, tuple(_writes(writes.get(place, ()), entry, rules)))


def _writes(writes: Collection[KnownWrite], entry: KnownEntry | None, rules: ClaimRules) -> Iterable[Write]:
    for number, write in enumerate(writes, 1):
        last = number == len(writes)
        shown = write.settled_at
        if write.outcome == "unsettled" or (last and entry is not None and not entry.effective):
            shown = None  # the HRIS shows it some day, or nobody knows
        yield Write(
            write.created_at,
            shown,
            _amounts(write.previous, rules),
            _amounts(write.spec, rules),
        )


def _amounts(spec: EntrySpec | None, rules: ClaimRules) -> Amounts:
    if spec is None or (type_ := rules.types.get(spec.type_id)) is None:
        return {}
    return {(spec.type_id, spec.type_id2, on): value for on, value in units.amounts(spec, type_).items()}


def _wanted(request: KnownRequest, employee_id: str, rules: ClaimRules) -> Amounts | None:
    """What the request takes once it is booked; None where nothing but what is booked can be told."""
    content = request.content
    if content is None:
        return None
    if content.status not in rules.exported:
        # Denied or cancelled: it takes time until the HRIS shows that it is gone.
        return {}
    span = span_of(content, request.zone)
    if span is not None and span[1] < rules.cutover and not request.entries:
        return {}
    choice = choice_of(rules.choices, request.management_unit_id, content.activity_code_id)
    if choice is None or choice.type_id not in rules.types:
        return None
    try:
        days = days_of(content, request.zone, choice.minutes)
    except BadDays:
        return None
    asked = Asked(
        request_id=request.request_id,
        agent_id=request.agent_id,
        employee_id=employee_id,
        management_unit_id=request.management_unit_id,
        status=content.status,
        activity_code_id=content.activity_code_id,
        paid=content.paid,
        type_id=choice.type_id,
        type_id2=choice.type_id2,
        days=days,
    )
    booked = ruled(rules.rule, asked)
    if not isinstance(booked, Ruled):
        return None  # skipped; or failed, and then the sync holds the request and says so
    type_ = rules.types.get(booked.type_id)
    if type_ is None:
        return None
    found: dict[Place, Decimal] = {}
    for day in booked.days:
        if amount := units.amount(day, type_):
            found[booked.type_id, booked.type_id2, day.date] = amount
    return found


__all__ = ["ClaimRules", "claims_of"]

"""Requests of the ledger as claims: what each wants, what it holds, which of its writes may not show yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from timeoff.days import BadDays, days_of, span_of
from timeoff.handover import Handed, leave_of_request
from timeoff.hris import units
from timeoff.hris.choices import TypeChoice, choice_of
from timeoff.hris.port import TimeOffType
from timeoff.ledger.balance import KnownEntry, KnownRequest, KnownWrite
from timeoff.rules import Asked, Rule, Ruled, ruled
from timeoff.vocabulary import (
    REMOVED_STATUSES,
    Day,
    EntrySpec,
    EntryStatus,
    RequestStatus,
    WritePath,
)
from timeoff_balance.reserved import ZERO, Amounts, Claim, Place, Record, Write

#: How a doubt ends that nothing was written after.
_WITHOUT_EFFECT = frozenset({"refused", "not_written", "repeated"})
#: States in which the next step is made without a person.
_GOES_ON = frozenset({"open", "waiting"})
#: States in which nothing is left to do, unless a workflow has said something that Genesys has not shown yet.
_DONE = frozenset({"settled", "not_ours"})


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the settings, the plans and the HRIS say of a target's requests."""

    types: Mapping[str, TimeOffType]
    choices: Mapping[tuple[str, str], TypeChoice]
    exported: Collection[str]
    cutover: date
    rule: Rule | None = None
    #: as the HRIS declares it: does its own number count what is only requested?
    counts_requested: bool = True


def claims_of(requests: Iterable[KnownRequest], employee_id: str, rules: ClaimRules) -> tuple[Claim, ...]:
    requests = tuple(requests)
    twice = _known_twice(requests, rules)
    return tuple(
        _claim(request, employee_id, rules, elsewhere=request.request_id in twice) for request in requests
    )


def _known_twice(requests: Collection[KnownRequest], rules: ClaimRules) -> set[str]:
    """Of what was handed over and what Genesys shows and is the same leave: which counts with the other.

    They become one row soon; until then it must not be subtracted twice.
    """
    seen = [each for each in requests if each.bound and each.handover_id is None]
    found = set()
    for request in requests:
        if request.bound or request.handed is None or request.handed.removed:
            continue
        same = [each for each in seen if _same_leave(request.handed, each, rules)]
        if len(same) == 1 and not (same[0].entries or same[0].writes):
            found.add(same[0].request_id)
        elif same and all(_counts(each, rules) for each in same):
            found.add(request.request_id)  # whichever of them it is
    return found


def _counts(seen: KnownRequest, rules: ClaimRules) -> bool:
    """Does a request that was seen take what it asks for by itself?"""
    exported = seen.content is not None and seen.content.status in rules.exported
    return bool(seen.entries or seen.writes) or exported


def _same_leave(handed: Handed, seen: KnownRequest, rules: ClaimRules) -> bool:
    content = seen.content
    if content is None or content.status in REMOVED_STATUSES:
        return False
    choice = choice_of(rules.choices, seen.management_unit_id, content.activity_code_id)
    leave = leave_of_request(content, seen.zone, choice)
    return leave is not None and handed.leave.same(leave)


def _claim(request: KnownRequest, employee_id: str, rules: ClaimRules, *, elsewhere: bool) -> Claim:
    records = tuple(_records(request, rules))
    if request.replaced:
        return Claim(request.request_id, {}, records, gives_back=True)
    if elsewhere or (request.state in _DONE and request.handed is None):
        return Claim(request.request_id, _only_requested(request, rules), records)
    wanted = {} if request.done_by_hand else _wanted(request, employee_id, rules)
    newer = request.handed is not None and request.state in _DONE
    goes_on = request.state in _GOES_ON or newer
    if wanted is not None and not goes_on:
        wanted = _with_booked(wanted, records)
    return Claim(
        request.request_id,
        wanted,
        records,
        gives_back=bool(wanted) and goes_on,
        perhaps_booked=not records and (request.look_first or request.state in ("held", "failed")),
    )


def _only_requested(request: KnownRequest, rules: ClaimRules) -> Amounts | None:
    """What a request that is done takes, where the HRIS holds and does not count it; None: it counts it."""
    live = [entry.spec for entry in request.entries if entry.live and entry.mine]
    if all(_counted(spec, rules) for spec in live):
        return None
    found: dict[Place, Decimal] = {}
    for spec in live:
        for place, amount in _all_amounts(spec, rules).items():
            found[place] = found.get(place, ZERO) + amount
    return found


def _counted(spec: EntrySpec, rules: ClaimRules) -> bool:
    return rules.counts_requested or spec.status is not EntryStatus.REQUESTED


def _with_booked(wanted: Amounts, records: Collection[Record]) -> Amounts:
    """Where no next step is made, what is booked stays booked, wanted or not."""
    booked: dict[Place, Decimal] = {}
    for record in records:
        for place, amount in record.booked.items():
            booked[place] = booked.get(place, ZERO) + amount
    places = wanted.keys() | booked.keys()
    return {place: max(wanted.get(place, ZERO), booked.get(place, ZERO)) for place in places}


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
    """What the HRIS's own number counts of a record."""
    return _all_amounts(spec, rules) if spec is not None and _counted(spec, rules) else {}


def _all_amounts(spec: EntrySpec, rules: ClaimRules) -> Amounts:
    if (type_ := rules.types.get(spec.type_id)) is None:
        return {}
    return {(spec.type_id, spec.type_id2, on): value for on, value in units.amounts(spec, type_).items()}


def _wanted(request: KnownRequest, employee_id: str, rules: ClaimRules) -> Amounts | None:
    """What the request takes once it is booked; None where nothing but what is booked can be told."""
    asked = _seen(request, rules) if request.handed is None else _handed(request, request.handed, rules)
    if asked is None or not asked.days:
        return None if asked is None else {}
    booked = ruled(rules.rule, replace(asked, employee_id=employee_id))
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


def _handed(request: KnownRequest, handed: Handed, rules: ClaimRules) -> Asked | None:
    """As a workflow said it. Without days: it takes nothing. None: that cannot be told."""
    refused = (
        not request.bound
        and request.state in ("held", "failed")
        and request.reason != "ambiguous_binding"  # one of them it is
        and not request.writes
    )
    if handed.removed or refused or (handed.span[1] < rules.cutover and not request.entries):
        return _asked(request, handed.status)
    if handed.type_id not in rules.types:
        return None
    days = tuple(day for day in handed.days if day.minutes)
    return _asked(request, handed.status, handed.type_id, handed.type_id2, days)


def _seen(request: KnownRequest, rules: ClaimRules) -> Asked | None:
    """As Genesys shows it. Without days: it takes nothing. None: that cannot be told."""
    content = request.content
    if content is None:
        return None
    # What a workflow has accepted keeps its balance until it is approved or denied.
    accepted = request.handover_id is not None and content.status == RequestStatus.PENDING
    if content.status not in rules.exported and not accepted:
        # Denied or cancelled: it takes time until the HRIS shows that it is gone.
        return _asked(request, content.status)
    span = span_of(content, request.zone)
    if span is not None and span[1] < rules.cutover and not request.entries:
        return _asked(request, content.status)
    choice = choice_of(rules.choices, request.management_unit_id, content.activity_code_id)
    if choice is None or choice.type_id not in rules.types:
        return None
    if choice.write_path is WritePath.FLOWS:
        return None  # a workflow hands it over, and that counts
    try:
        days = days_of(content, request.zone, choice.minutes)
    except BadDays:
        return None
    asked = _asked(request, content.status, choice.type_id, choice.type_id2, days)
    return replace(asked, activity_code_id=content.activity_code_id, paid=content.paid)


def _asked(
    request: KnownRequest,
    status: str,
    type_id: str = "",
    type_id2: str | None = None,
    days: tuple[Day, ...] = (),
) -> Asked:
    return Asked(
        request_id=request.request_id,
        agent_id=request.agent_id,
        employee_id=None,
        management_unit_id=request.management_unit_id,
        status=status,
        activity_code_id=None,
        paid=None,
        type_id=type_id,
        type_id2=type_id2,
        days=days,
    )


__all__ = ["ClaimRules", "claims_of"]

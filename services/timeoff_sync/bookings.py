"""From what should be booked and what is booked to the next step. Pure.

A request is booked as one entry, or, where the HRIS holds one day per entry, as one for each of its days.
Each step is one write. A step that takes an entry away so that another can take its place is a cancel, and a
cancel is never provisional: it waits until the change is confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from timeoff.hris import units
from timeoff.hris.port import CancelMode, HrisEntry, UpdateMode
from timeoff.ledger.rows import Case, Entry
from timeoff.vocabulary import EntryKey, EntrySpec
from timeoff_sync.decisions import (
    Adopt,
    Cancel,
    Decision,
    Gone,
    Hold,
    Insert,
    Look,
    Nothing,
    Rules,
    Sighting,
    Update,
    Wait,
)
from timeoff_sync.seen import across, foreign, fresh, sides_of, state_of

#: A change that waits for its confirming read is looked at again so soon, in seconds.
CONFIRMED_SOON = 1.0


@dataclass(frozen=True, slots=True)
class _Pair:
    """A live entry and what it should say; None: it should not be there, or is not there yet."""

    entry: Entry | None
    piece: EntrySpec | None


def pieces_of(spec: EntrySpec, rules: Rules) -> tuple[EntrySpec, ...]:
    """What is booked as one entry each: the whole, or every day that takes time."""
    if not rules.capabilities.entry_per_day:
        return (spec,)
    type_ = rules.types[spec.type_id]
    return tuple(replace(spec, days=(day,)) for day in spec.days if units.amount(day, type_))


def booked(case: Case, rules: Rules, spec: EntrySpec, sighting: Sighting | None) -> Decision:
    """The request has live entries: nothing, a step, or a person."""
    live = case.live_entries
    if len(live) == 1 and not _differs(_Pair(live[0], spec), rules):
        return Nothing("in_step")
    if rules.capabilities.entry_per_day:
        pairs = _by_day(live, pieces_of(spec, rules))
        if any(len(entry.spec.days) > 1 for entry in live):
            # Booked when the HRIS held a request in one record: which of its days to take apart is no guess.
            return Hold("update_unsupported", sides_of(case, spec))
    elif len(live) > 1:
        # Booked when the HRIS held a day per entry: to make one of them the whole would book days twice.
        return Hold("update_unsupported", sides_of(case, spec))
    else:
        pairs = [_Pair(live[0], spec)]
    pairs = [pair for pair in pairs if _differs(pair, rules)]
    if not pairs:
        return Nothing("in_step")
    if any(entry.spec.employee_id != spec.employee_id for entry in live):
        return Hold("link_changed", sides_of(case, spec))
    if any((entry.spec.type_id, entry.spec.type_id2) != (spec.type_id, spec.type_id2) for entry in live):
        return Hold("type_changed", sides_of(case, spec))

    touched = [pair.entry for pair in pairs if pair.entry is not None]
    missing = [pair.piece for pair in pairs if pair.entry is None and pair.piece is not None]
    if any(_makes_way(pair, rules) for pair in pairs) and not case.change_confirmed:
        return Wait("change_unconfirmed", CONFIRMED_SOON)  # before a look, which would be made again
    if sighting is None and (
        case.done_by_hand
        or not all(fresh(entry, rules) for entry in touched)
        or (missing and case.look_first)
    ):
        return _look([*(entry.spec for entry in touched), spec])
    steps = [
        _step(case, rules, spec, pair.entry, pair.piece, sighting, more=len(pairs) > 1)
        for pair in pairs
        if pair.entry is not None
    ]
    if missing:
        steps.append(_missing(case, rules, spec, missing, live[0].booking, sighting))
    # A person's decision comes before the first step, so that nothing is left half done for want of it.
    return next(
        (step for step in steps if isinstance(step, Hold)),
        next((step for step in steps if not isinstance(step, Nothing)), steps[0]),
    )


def unbooked(case: Case, rules: Rules, spec: EntrySpec, sighting: Sighting | None) -> Decision:
    """Wanted and not booked: insert, unless the HRIS holds something there already."""
    booking = case.booking + 1 if any(e.booking == case.booking for e in case.entries) else case.booking
    if spec.status not in rules.capabilities.insert_statuses:
        return Hold("status_unsupported", sides_of(case, spec))
    if sighting is None and (case.look_first or case.done_by_hand):
        return Look(spec.first_day, spec.last_day)
    return _missing(case, rules, spec, pieces_of(spec, rules), booking, sighting)


def _by_day(live: Sequence[Entry], pieces: Iterable[EntrySpec]) -> list[_Pair]:
    """Surplus days first, so that a short balance has room for the new ones; then changes, then new ones."""
    wanted = {piece.first_day: piece for piece in pieces}
    have = {entry.spec.first_day: entry for entry in live}
    return [
        *(_Pair(entry, None) for on, entry in sorted(have.items()) if on not in wanted),
        *(_Pair(entry, wanted[on]) for on, entry in sorted(have.items()) if on in wanted),
        *(_Pair(None, piece) for on, piece in sorted(wanted.items()) if on not in have),
    ]


def _makes_way(pair: _Pair, rules: Rules) -> bool:
    """Is the entry to be cancelled, so that another, or nothing, can take its place?"""
    if pair.entry is None or rules.capabilities.cancel_mode is CancelMode.NONE:
        return False
    return pair.piece is None or rules.capabilities.update_mode is UpdateMode.CANCEL_AND_CREATE


def _differs(pair: _Pair, rules: Rules) -> bool:
    """Would the HRIS say something else? What rounds to the same amounts does not count."""
    entry, piece = pair.entry, pair.piece
    if entry is None or piece is None:
        return True
    if entry.fingerprint == piece.fingerprint:
        return False
    type_ = rules.types[piece.type_id]
    plain = replace(piece, days=(), note=None, ruled=None, zone=entry.spec.zone)
    return (
        replace(entry.spec, days=(), ruled=None) != plain
        or units.amounts(entry.spec, type_) != units.amounts(piece, type_)
        or [day.start for day in entry.spec.days] != [day.start for day in piece.days]
    )


def _step(
    case: Case,
    rules: Rules,
    spec: EntrySpec,
    entry: Entry,
    piece: EntrySpec | None,
    sighting: Sighting | None,
    *,
    more: bool,
) -> Decision:
    """What to do about one entry that should say `piece`, or should not be there (None)."""
    seen = sighting.entries if sighting else ()
    state = state_of(entry, sighting, rules)
    if sighting is not None and case.done_by_hand:
        equal = _saying(piece, seen, rules) if piece else []
        if piece is not None and len(equal) == 1:
            return Adopt(equal[0], piece, entry.booking, entry.part, more)
        return Nothing("done_by_hand")
    if state == "same":
        return _change(case, rules, spec, entry, piece, more=more)
    if piece is None and state in ("cancelled", "denied"):
        return Gone(entry, "cancelled_in_hris", more)
    corrected = [found for found in seen if found.vendor_id == entry.vendor_id]
    if piece is not None and (equal := _saying(piece, corrected, rules)):
        return Adopt(equal[0], piece, entry.booking, entry.part, more)  # a person made both sides equal
    if piece is not None and sighting is not None and _ended(state, rules):
        others = foreign(piece.days, sighting)
        if len(others) == 1 and _saying(piece, others, rules):
            return Gone(entry, "rebooked_in_hris", more=True)  # what they booked instead is adopted next
    return Hold(f"{state}_in_hris", sides_of(case, spec, seen))


def _ended(state: str, rules: Rules) -> bool:
    """Has a person ended the record? Where a cancel deletes, a record that is not there was deleted."""
    deleted = state == "lost" and rules.capabilities.cancel_mode is CancelMode.DELETE
    return deleted or state in ("cancelled", "replaced")


def _change(
    case: Case, rules: Rules, spec: EntrySpec, entry: Entry, piece: EntrySpec | None, *, more: bool
) -> Decision:
    """The write that brings an untouched entry nearer to what it should say, as the HRIS can do it."""
    capabilities = rules.capabilities
    mode = capabilities.update_mode
    if piece is not None and mode in (UpdateMode.IN_PLACE, UpdateMode.REPLACE_NEW_ID):
        if capabilities.status_with_days or piece.status == entry.spec.status:
            return Update(entry, piece, more)
        days_first = replace(piece, status=entry.spec.status)
        if _differs(_Pair(entry, days_first), rules):
            return Update(entry, days_first, more=True)
        return Update(entry, piece, more)
    cannot_cancel = capabilities.cancel_mode is CancelMode.NONE
    if piece is not None and (mode is UpdateMode.NONE or cannot_cancel):
        return Hold("update_unsupported", sides_of(case, spec))
    if cannot_cancel:
        return Hold("cancel_unsupported", sides_of(case, spec))
    if piece is not None and piece.status not in capabilities.insert_statuses:
        return Hold("status_unsupported", sides_of(case, spec))
    return Cancel(entry, "changed in Genesys", for_change=True, more=True)


def _missing(
    case: Case,
    rules: Rules,
    spec: EntrySpec,
    missing: Sequence[EntrySpec],
    booking: int,
    sighting: Sighting | None,
) -> Decision:
    """The next of the pieces that are not booked: insert, or adopt what the HRIS holds already."""
    parts = [entry.part for entry in case.entries if entry.booking == booking]
    part, more = max(parts, default=0) + 1, len(missing) > 1
    if sighting is None or not (case.look_first or case.done_by_hand):
        return Insert(missing[0], booking, part, more)
    marks = {
        EntryKey(rules.deployment, case.org, case.key, booking, number).marker: number
        for number in range(1, max(part, case.writes) + len(missing) + 1)
    }
    adopted: list[tuple[EntrySpec, HrisEntry]] = []
    for piece in missing:
        there = foreign(piece.days, sighting)
        ours = [found for found in there if found.marker in marks]
        equal = _saying(piece, ours or there, rules)
        if len(equal) == 1 and (ours or len(there) == 1):
            adopted.append((piece, equal[0]))
        elif there:
            return Hold("overlap", sides_of(case, spec, there))
        elif other := across(piece.days, sighting):
            # Booked before who books it changed, and not the same leave as far as anybody can tell.
            return Hold("overlap", sides_of(case, spec, other))
    if adopted:
        piece, found = adopted[0]
        by_hand = [each.vendor_id for _, each in adopted if each.marker not in marks]
        if by_hand and len(adopted) < len(missing):
            # Somebody booked a part of it by hand: whether the rest is wanted too is theirs to say.
            return Hold("overlap", sides_of(case, spec, [each for _, each in adopted]))
        return Adopt(found, piece, booking, marks.get(found.marker or "", part), more)
    if case.done_by_hand:
        return Nothing("done_by_hand")
    return Insert(missing[0], booking, part, more)


def _saying(piece: EntrySpec, entries: Iterable[HrisEntry], rules: Rules) -> list[HrisEntry]:
    type_ = rules.types[piece.type_id]
    return [found for found in entries if found.live and units.says(found, piece, type_)]


def _look(specs: Sequence[EntrySpec]) -> Look:
    return Look(min(spec.first_day for spec in specs), max(spec.last_day for spec in specs))

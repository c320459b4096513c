"""Settling a doubt by looking. Pure.

An intent without outcome may or may not have been written. Looks (searches in the HRIS) are evidence; this
function says what they prove. A write is repeated only when two looks after the deadline and the read lag
saw a record that must be visible (the predecessor, or one the ledger knows) but not this write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from timeoff.hris import units
from timeoff.hris.port import CancelMode, Capabilities, ExternalKey, HrisEntry, TimeOffType, UpdateMode
from timeoff.ledger.rows import Intent
from timeoff.vocabulary import EntrySpec, EntryStatus


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to look: seconds between looks, and for an employee of whom no record is known."""

    waits: tuple[float, ...]
    empty_wait: float
    settle_without_known_record: bool
    most_looks: int = 8


@dataclass(frozen=True, slots=True)
class PastLook:
    """A search made earlier: when it began, and whether it saw a record that had to be there."""

    at: datetime
    proven: bool


@dataclass(frozen=True, slots=True)
class Written:
    """The write took place; this is the record's id now.

    `live` False: it was ended since, by others. `effective` False: accepted, and not in effect yet. `spec`:
    what arrived is an earlier try under the same key, and this is what that one said.
    """

    vendor_id: str
    live: bool = True
    effective: bool = True
    spec: EntrySpec | None = None


@dataclass(frozen=True, slots=True)
class NotWritten:
    """The write certainly did not take place and may be made again."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A cancel is done: the record is no longer live, or (`effective` False) soon will not be."""

    effective: bool = True


@dataclass(frozen=True, slots=True)
class Again:
    """A cancel is not done: send it again, it harms nothing twice."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing is proven yet. `seconds` until the next look."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Looking did not settle it; a person must."""

    why: Literal["cannot_see", "several", "changed", "no_known_record", "predecessor_gone"]


Settlement = Written | NotWritten | Ended | Again | LookAgain | Unsettled


def settle(
    intent: Intent,
    marker: str,
    seen: Sequence[HrisEntry],
    known: frozenset[str],
    began: datetime,
    past: Sequence[PastLook],
    capabilities: Capabilities,
    type_: TimeOffType | None,
    patience: Patience,
    announced: Sequence[EntrySpec] = (),
) -> Settlement:
    """What the look that began at `began` and saw `seen` proves, with the `past` ones.

    `known` are ids the ledger holds for this employee, the intent's predecessor included; `announced` is what
    this intent and earlier ones of the same key were to write.
    """
    proven = any(found.vendor_id in known for found in seen)
    ripe = intent.deadline + timedelta(seconds=capabilities.read_lag)
    if intent.kind.startswith("cancel"):
        return _cancel(intent, seen, proven, began, ripe, past, capabilities, patience)
    # Some vendors that replace change a mere status in place: the predecessor may say it all already.
    if intent.kind == "update" and (edited := _edited(intent, seen, type_)) is not None:
        return edited
    if intent.kind == "insert" or capabilities.update_mode is UpdateMode.REPLACE_NEW_ID:
        ours = [found for found in seen if _is_this_write(found, intent, marker, known, capabilities)]
        if len({found.vendor_id for found in ours}) > 1:
            return Unsettled("several")
        if ours:
            return _arrived(ours[0], intent, type_, capabilities, announced)
        if intent.kind == "update" and _superseded(intent, seen):
            # Replaced, but by which record? Its own search may lag behind.
            return _on_and_on("predecessor_gone", began, ripe, past, patience)
    elif (on_its_way := _on_its_way(intent, seen)) is not None:
        return on_its_way
    if intent.kind == "insert" and capabilities.external_key is ExternalKey.UNIQUE:
        return _absent_under_key(began, past, capabilities)
    if began < ripe:
        return _early(began, ripe, past, patience)
    if intent.kind == "insert" and (late := _earlier_try(intent, marker, seen, known, type_)) is not None:
        return late
    return _absent(proven, began, ripe, past, patience)


def _is_this_write(
    found: HrisEntry, intent: Intent, marker: str, known: frozenset[str], capabilities: Capabilities
) -> bool:
    """Our mark, this write's number, and not a record that an earlier write made."""
    if found.marker != marker or found.vendor_id in known:
        return False
    if intent.kind == "insert" and capabilities.external_key is ExternalKey.UNIQUE:
        return True  # one key, one record: whichever try it was
    return found.revision is None or found.revision == intent.write_no


def _arrived(
    found: HrisEntry,
    intent: Intent,
    type_: TimeOffType | None,
    capabilities: Capabilities,
    announced: Sequence[EntrySpec],
) -> Written | Unsettled:
    """The record of this write, or, where marks carry no number, of an earlier try of the same key."""
    if not found.live or intent.spec is None or type_ is None or units.says(found, intent.spec, type_):
        return Written(found.vendor_id, live=found.live, effective=not found.changing)
    later = capabilities.effective_within > 0
    if found.revision is not None and found.revision == intent.write_no:
        return Written(
            found.vendor_id, effective=not later
        )  # it is this write, and somebody changed it since
    for spec in (intent.spec, *announced):
        # What is on its way shows the days already, and another status.
        status = found.status if found.changing else spec.status
        if units.says(found, replace(spec, status=status), type_):
            earlier = None if spec is intent.spec else spec
            return Written(found.vendor_id, effective=not found.changing, spec=earlier)
    return Written(found.vendor_id, effective=False) if later else Unsettled("changed")


def _earlier_try(
    intent: Intent,
    marker: str,
    seen: Sequence[HrisEntry],
    known: frozenset[str],
    type_: TimeOffType | None,
) -> Written | Unsettled | None:
    """A record of this very booking from an earlier try that showed itself late: never book beside it."""
    late = [found for found in seen if found.live and found.marker == marker and found.vendor_id not in known]
    if not late:
        return None
    if len(late) > 1 or intent.spec is None or type_ is None or not units.says(late[0], intent.spec, type_):
        return Unsettled("several")
    return Written(late[0].vendor_id)


def _edited(intent: Intent, seen: Sequence[HrisEntry], type_: TimeOffType | None) -> Written | None:
    for found in seen:
        if found.vendor_id != intent.vendor_id or intent.spec is None or type_ is None:
            continue
        if units.says(found, intent.spec, type_):
            return Written(found.vendor_id, live=found.live, effective=not found.changing)
    return None


def _on_its_way(intent: Intent, seen: Sequence[HrisEntry]) -> Written | None:
    """A change of the record itself was accepted; one lane, one intent: it is this one."""
    changing = (found for found in seen if found.vendor_id == intent.vendor_id and found.changing)
    return next((Written(found.vendor_id, effective=False) for found in changing), None)


def _superseded(intent: Intent, seen: Sequence[HrisEntry]) -> bool:
    return any(
        found.vendor_id == intent.vendor_id and found.status is EntryStatus.SUPERSEDED for found in seen
    )


def _cancel(
    intent: Intent,
    seen: Sequence[HrisEntry],
    proven: bool,
    began: datetime,
    ripe: datetime,
    past: Sequence[PastLook],
    capabilities: Capabilities,
    patience: Patience,
) -> Settlement:
    found = next((entry for entry in seen if entry.vendor_id == intent.vendor_id), None)
    if found is not None:
        if not found.live:
            return Ended()
        if found.changing:
            return Ended(effective=False)
        if began < ripe:
            return _early(began, ripe, past, patience)
        # A counter entry is booked as often as it is asked for: not seen has to be proven, as for an insert.
        if capabilities.cancel_mode is CancelMode.COUNTER_ENTRY and not _proven_before(past, ripe):
            return _next(past, patience)
        return Again()
    if began < ripe:
        return _early(began, ripe, past, patience)
    # Where cancelling deletes, absence is the proof, if the search can see this employee at all; and to
    # delete again what is gone does no harm.
    if proven and _proven_before(past, ripe):
        return Ended()
    if capabilities.cancel_mode is CancelMode.DELETE and past:
        return Again()
    return _on_and_on("cannot_see", began, ripe, past, patience)


def _proven_before(past: Sequence[PastLook], ripe: datetime) -> bool:
    return any(look.proven and look.at >= ripe for look in past)


def _absent(
    proven: bool, began: datetime, ripe: datetime, past: Sequence[PastLook], patience: Patience
) -> Settlement:
    """The write was not seen. Is that proof enough?"""
    after = [look for look in past if look.at >= ripe]
    if proven:
        if any(look.proven for look in after):
            return NotWritten()
        return _next(past, patience)
    if any(look.proven for look in past):
        return _on_and_on("cannot_see", began, ripe, past, patience)
    if not patience.settle_without_known_record:
        return Unsettled("no_known_record")
    if any(began - look.at >= timedelta(seconds=patience.empty_wait) for look in after):
        return NotWritten()
    return LookAgain(patience.empty_wait)


def _absent_under_key(began: datetime, past: Sequence[PastLook], capabilities: Capabilities) -> Settlement:
    """Not seen for as long as reads lag behind. Should it arrive after all, one of the two is refused."""
    if any((began - look.at).total_seconds() >= capabilities.read_lag for look in past):
        return NotWritten()
    return LookAgain(max(0.05, capabilities.read_lag))


def _early(began: datetime, ripe: datetime, past: Sequence[PastLook], patience: Patience) -> LookAgain:
    """Before deadline and lag have passed absence proves nothing, but the write may show any moment."""
    left = (ripe - began).total_seconds()
    return LookAgain(max(0.05, min(left, _next(past, patience).seconds)))


def _on_and_on(
    why: Literal["cannot_see", "predecessor_gone"],
    began: datetime,
    ripe: datetime,
    past: Sequence[PastLook],
    patience: Patience,
) -> Settlement:
    """Looks that prove nothing end at some time, and a person takes over."""
    ripe_looks = sum(1 for look in past if look.at >= ripe) + (began >= ripe)
    return Unsettled(why) if ripe_looks >= patience.most_looks else _next(past, patience)


def _next(past: Sequence[PastLook], patience: Patience) -> LookAgain:
    """Seconds between looks grow as the settings say."""
    waits = patience.waits or (5.0,)
    return LookAgain(max(0.05, waits[min(len(past) + 1, len(waits) - 1)]))

"""What is accepted and not booked, against one read of the HRIS. Pure.

A read of the HRIS began at some instant and was done at another. A write that was settled more than the
vendor's `read_lag` before it began is in the figure; one that was announced after it was done is not; of all
others the figure may hold what was before or what came after. What is subtracted is always on the safe side:
the least that the figure can hold of a request is taken as counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

#: Amounts in the type's unit, by type, its second id, and date.
Place = tuple[str, str | None, date]
Amounts = Mapping[Place, Decimal]

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Write:
    """An announced write of a record: what the HRIS held before, and holds after if it took effect.

    `settled_at` None: nobody knows yet whether it did, or since when the HRIS shows it.
    """

    created_at: datetime
    settled_at: datetime | None
    before: Amounts
    after: Amounts


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a request in the HRIS: what it holds by the ledger, and its writes, oldest first."""

    booked: Amounts
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One request. `wanted` None: what is booked is what is wanted.

    `gives_back`: what is booked and no longer wanted is about to be replaced, so it counts as left.
    `perhaps_booked`: what is wanted may stand in the HRIS by other hands.
    """

    request_id: str
    wanted: Amounts | None
    records: tuple[Record, ...] = ()
    gives_back: bool = False
    perhaps_booked: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """When a read of the HRIS began and was done, by the database's clock, and how late the vendor shows."""

    began: datetime
    done: datetime
    lag: timedelta


@dataclass(slots=True)
class Effect:
    """Amounts of one type by date: not in the figure; of these perhaps in it; in it, and about to go."""

    pending: dict[date, Decimal] = field(default_factory=dict)
    perhaps: dict[date, Decimal] = field(default_factory=dict)
    added_back: dict[date, Decimal] = field(default_factory=dict)


def counted(record: Record, read: Read) -> tuple[Amounts, Amounts]:
    """The least and the most that the figure of this read can hold of a record."""
    open_to_doubt = [
        write
        for write in record.writes
        if write.settled_at is None or write.settled_at + read.lag > read.began
    ]
    if not open_to_doubt:
        return record.booked, record.booked
    held = [open_to_doubt[0].before]
    held += [write.after for write in open_to_doubt if write.created_at <= read.done]
    places = {place for amounts in held for place in amounts}
    least = {place: min(amounts.get(place, ZERO) for amounts in held) for place in places}
    most = {place: max(amounts.get(place, ZERO) for amounts in held) for place in places}
    return least, most


def effects(
    claims: Iterable[Claim], read: Read, first_day: date | None, last_day: date | None
) -> dict[tuple[str, str | None], Effect]:
    """By type: what the claims change about a figure that counts the leave of these days."""
    found: dict[tuple[str, str | None], Effect] = defaultdict(Effect)
    for claim in claims:
        for place, (least, most, wanted) in _by_place(claim, read).items():
            type_id, type_id2, on = place
            if (first_day and on < first_day) or (last_day and on > last_day):
                continue
            effect = found[type_id, type_id2]
            if wanted > least:
                _add(effect.pending, on, wanted - least)
                perhaps = wanted if claim.perhaps_booked else min(most, wanted)
                _add(effect.perhaps, on, max(perhaps - least, ZERO))
            elif claim.gives_back:
                _add(effect.added_back, on, least - wanted)
    return found


def settling_instants(claims: Iterable[Claim], lag: timedelta) -> list[datetime]:
    """From each of these on, a new read says more than one that began before it."""
    return sorted(
        write.settled_at + lag
        for claim in claims
        for record in claim.records
        for write in record.writes
        if write.settled_at is not None
    )


def _by_place(claim: Claim, read: Read) -> dict[Place, tuple[Decimal, Decimal, Decimal]]:
    least: dict[Place, Decimal] = defaultdict(Decimal)
    most: dict[Place, Decimal] = defaultdict(Decimal)
    booked: dict[Place, Decimal] = defaultdict(Decimal)
    for record in claim.records:
        low, high = counted(record, read)
        for total, amounts in ((least, low), (most, high), (booked, record.booked)):
            for place, amount in amounts.items():
                total[place] += amount
    wanted = booked if claim.wanted is None else claim.wanted
    places = least.keys() | most.keys() | wanted.keys()
    return {
        place: (least.get(place, ZERO), most.get(place, ZERO), wanted.get(place, ZERO)) for place in places
    }


def _add(total: dict[date, Decimal], on: date, amount: Decimal) -> None:
    if amount:
        total[on] = total.get(on, ZERO) + amount

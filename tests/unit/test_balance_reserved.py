"""What is accepted and not booked, against reads that began before, during and after a write. No number is
ever too high: whatever a read may not show stays subtracted."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from timeoff_balance.reserved import Amounts, Claim, Read, Record, Write, effects, settling_instants

T0 = datetime(2025, 3, 26, 12, tzinfo=UTC)
LAG = timedelta(seconds=10)
DAY = date(2025, 4, 1)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def hours(value: int | str, on: date = DAY) -> Amounts:
    return {("83", None, on): Decimal(value)}


def read(began: float, done: float | None = None) -> Read:
    return Read(at(began), at(began + 0.2 if done is None else done), LAG)


def effect(claim: Claim, when: Read) -> tuple[Decimal, Decimal, Decimal]:
    """Pending, of these perhaps counted, added back."""
    found = effects([claim], when, None, None)["83", None]
    return (
        sum(found.pending.values(), Decimal()),
        sum(found.perhaps.values(), Decimal()),
        sum(found.added_back.values(), Decimal()),
    )


INSERT = Write(at(100), at(101), {}, hours(8))
BOOKED = Claim("r", None, (Record(hours(8), (INSERT,)),))


def test_what_was_never_booked_is_subtracted() -> None:
    assert effect(Claim("r", hours(8)), read(0)) == (8, 0, 0)


@pytest.mark.parametrize(
    ("when", "pending", "perhaps"),
    [
        (read(0), 8, 0),  # done before the write was announced: certainly not in the figure
        (read(99.9, 100.5), 8, 8),  # at the same time: perhaps
        (read(102), 8, 8),  # after it, but within the read lag
        (read(110.99), 8, 8),
        (read(111), 0, 0),  # after write and lag: certainly in the figure
        (read(500), 0, 0),
    ],
)
def test_an_applied_write_stays_subtracted_until_a_read_that_must_show_it(
    when: Read, pending: int, perhaps: int
) -> None:
    assert effect(BOOKED, when) == (pending, perhaps, 0)


def test_a_write_whose_outcome_nobody_knows_stays_subtracted_whenever_it_is_read() -> None:
    doubt = Claim("r", hours(8), (Record({}, (Write(at(100), None, {}, hours(8)),)),))
    assert effect(doubt, read(0)) == (8, 0, 0)
    assert effect(doubt, read(100_000)) == (8, 8, 0)


def test_an_update_under_way_gives_back_what_it_replaces_and_takes_what_it_brings() -> None:
    old, new = hours(8), hours(8, date(2025, 4, 2))
    moved = Claim("r", new, (Record(old),), gives_back=True)
    assert effect(moved, read(0)) == (8, 0, 8)
    held = Claim("r", new, (Record(old),))
    assert effect(held, read(0)) == (8, 0, 0), "what waits for a person is not given back"


def test_an_update_that_shrinks_is_given_back_by_the_difference() -> None:
    assert effect(Claim("r", hours(3), (Record(hours(8)),), gives_back=True), read(0)) == (0, 0, 5)


def test_a_read_during_an_update_counts_the_lesser_of_both() -> None:
    update = Write(at(100), at(101), hours(8), hours(4))
    claim = Claim("r", None, (Record(hours(4), (INSERT, update)),))
    assert effect(claim, read(50)) == (4, 0, 0), "before both writes nothing is in the figure"
    grown = Claim("r", None, (Record(hours(8), (Write(at(200), at(201), hours(4), hours(8)),)),))
    assert effect(grown, read(150)) == (4, 0, 0), "the old four hours are in the figure"
    assert effect(grown, read(202)) == (4, 4, 0)
    assert effect(grown, read(212)) == (0, 0, 0)


def test_a_cancel_gives_nothing_back_before_the_figure_shows_it() -> None:
    cancel = Write(at(100), at(101), hours(8), {})
    cancelled = Claim("r", None, (Record({}, (cancel,)),))
    for began in (0, 102, 500):
        assert effect(cancelled, read(began)) == (0, 0, 0)


def test_what_is_replaced_is_given_back_and_never_subtracted() -> None:
    replaced = Claim("r", {}, (Record(hours(8)),), gives_back=True)
    assert effect(replaced, read(0)) == (0, 0, 8)
    fresh = Claim("r", {}, (Record(hours(8), (INSERT,)),), gives_back=True)
    assert effect(fresh, read(102)) == (0, 0, 0), "the figure may not hold it: nothing to give back"


def test_parts_of_one_request_are_one_claim() -> None:
    days = [date(2025, 4, day) for day in (1, 2, 3)]
    wanted = {("83", None, on): Decimal(8) for on in days}
    booked = tuple(Record(hours(8, on)) for on in days[:2])
    assert effect(Claim("r", wanted, booked, gives_back=True), read(0)) == (8, 0, 0)


def test_only_days_that_the_figure_counts_matter() -> None:
    claim = Claim("r", {("83", None, date(2025, 4, day)): Decimal(8) for day in (1, 2, 3)})

    def pending(first: date | None, last: date | None) -> Decimal:
        found = effects([claim], read(0), first, last)
        return sum((sum(each.pending.values(), Decimal()) for each in found.values()), Decimal())

    assert pending(None, None) == 24
    assert pending(None, date(2025, 4, 2)) == 16
    assert pending(date(2025, 4, 2), date(2025, 4, 2)) == 8
    assert pending(date(2025, 5, 1), None) == 0


def test_what_waits_for_a_person_may_be_booked_by_hand_and_that_is_told() -> None:
    assert effect(Claim("r", hours(8), perhaps_booked=True), read(0)) == (8, 8, 0)


def test_instants_from_which_a_new_read_says_more() -> None:
    assert settling_instants([BOOKED, Claim("x", hours(1))], LAG) == [at(111)]

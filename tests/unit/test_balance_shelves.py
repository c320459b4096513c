"""Shelves: what may be used again, and what throws it away."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from timeoff_balance.access import Rate
from timeoff_balance.clock import DatabaseClock
from timeoff_balance.reserved import Claim, Read, Record, Write
from timeoff_balance.shelves import Claims, Reading, Shelf, Shelves

T0 = datetime(2025, 3, 26, 12, tzinfo=UTC)
ON = date(2025, 4, 1)
LAG = timedelta(seconds=5)


@dataclass
class Time:
    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.seconds)


@dataclass
class Bench:
    time: Time = field(default_factory=Time)
    most: int = 1000

    def __post_init__(self) -> None:
        self.shelves = Shelves(
            fresh=30, most_readings=self.most, monotonic=self.time.monotonic, now=self.time.now
        )
        self.shelves.keeps = True

    def read(self, shelf: Shelf, on: date = ON) -> Reading:
        read = Read(self.time.now(), self.time.now(), LAG)
        reading = Reading(read, self.time.seconds, ())
        self.shelves.keep_reading(shelf, on, reading)
        return reading

    def ask(self, shelf: Shelf, *claims: Claim, complete: bool = True) -> Claims:
        found = Claims.of(claims, self.time.seconds, LAG, complete=complete)
        self.shelves.keep_claims(shelf, found, frozenset({"agent"}), shelf.generation)
        return found

    def fresh(self, shelf: Shelf) -> Reading | None:
        return self.shelves.fresh_reading(shelf, ON)


def written(at: float) -> Claim:
    moment = T0 + timedelta(seconds=at)
    amounts = {("83", None, ON): Decimal(8)}
    return Claim("r", None, (Record(amounts, (Write(moment, moment, {}, amounts),)),))


def test_a_reading_grows_old() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    reading = bench.read(shelf)
    bench.time.seconds = 29
    assert bench.fresh(shelf) is reading
    bench.time.seconds = 31
    assert bench.fresh(shelf) is None
    assert shelf.readings[ON] is reading, "it is still the last known"


def test_a_reading_ends_when_a_write_that_it_cannot_hold_must_show() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    bench.read(shelf)
    bench.ask(shelf, written(2))
    bench.time.seconds = 6.9
    assert bench.fresh(shelf) is not None
    bench.time.seconds = 7
    assert bench.fresh(shelf) is None


def test_an_event_of_the_agent_drops_the_claims_until_the_ledger_has_it() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    reading = bench.read(shelf)
    claims = bench.ask(shelf)
    assert bench.shelves.fresh_claims(shelf, [reading]) is claims
    assert bench.shelves.invalidate_agent("agent", 2, 40) == 1
    assert bench.shelves.fresh_claims(shelf, [reading]) is None
    mine = {"agent"}
    assert not bench.shelves.caught_up(mine, {2: 40}), "the next offset to be read is that of the event"
    assert bench.shelves.caught_up({"somebody else"}, {2: 40})
    bench.ask(shelf, complete=False)
    assert bench.shelves.fresh_claims(shelf, [reading]) is None, "what is not complete is not kept"
    assert bench.shelves.caught_up(mine, {2: 41})
    assert bench.shelves.invalidate_agent("somebody else", 2, 50) == 0


def test_what_was_in_the_log_before_it_was_followed_has_to_be_in_the_ledger() -> None:
    bench = Bench()
    bench.shelves.await_all({0: 0, 1: 7})
    assert not bench.shelves.caught_up({"agent"}, {}), "no sync has ever read the log"
    assert not bench.shelves.caught_up({"agent"}, {1: 6})
    assert bench.shelves.caught_up({"agent"}, {1: 7})
    assert bench.shelves.caught_up({"agent"}, {}), "it was there once"


def test_an_event_of_somebody_never_asked_for_is_remembered() -> None:
    bench = Bench()
    bench.shelves.invalidate_agent("agent", 1, 3)
    assert not bench.shelves.caught_up({"agent"}, {1: 3})
    assert bench.shelves.caught_up({"agent"}, {1: 4})


def test_claims_asked_for_before_an_event_are_not_kept_after_it() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    before = shelf.generation
    bench.shelves.invalidate("acme", "7")
    late = Claims.of((), 0.0, LAG, complete=True)
    bench.shelves.keep_claims(shelf, late, frozenset({"agent"}), before)
    assert shelf.claims is None


def test_claims_older_than_a_reading_are_asked_for_anew() -> None:
    """A write between the two would be in the figure and among the claims."""
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    bench.ask(shelf)
    bench.time.seconds = 1
    assert bench.shelves.fresh_claims(shelf, [bench.read(shelf)]) is None


def test_nothing_is_kept_while_the_log_is_not_followed() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    reading = bench.read(shelf)
    bench.ask(shelf)
    bench.shelves.keeps = False
    assert bench.shelves.fresh_claims(shelf, [reading]) is None
    bench.ask(shelf)
    bench.shelves.keeps = True
    bench.shelves.invalidate_all()
    assert bench.shelves.fresh_claims(shelf, [reading]) is None


def test_claims_of_an_employee_who_is_no_agent_are_not_kept() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    found = Claims.of((), 0.0, LAG, complete=True)
    bench.shelves.keep_claims(shelf, found, frozenset(), shelf.generation)
    assert shelf.claims is None


def test_memory_has_an_end() -> None:
    bench = Bench(most=100)
    for number in range(50):
        shelf = bench.shelves.shelf("acme", str(number))
        for day in range(1, 11):
            bench.read(shelf, date(2025, 5, day))
    assert bench.shelves.readings <= 100
    assert bench.shelves.shelf("acme", "49").readings, "the last used stays"
    for number in range(1000):
        bench.shelves.shelf("acme", f"nobody {number}")
    assert len(bench.shelves._shelves) <= 100


def test_the_rate_of_a_caller() -> None:
    time = Time()
    rate = Rate(60, monotonic=time.monotonic)
    assert [rate.wait("a") for _ in range(60)] == [0.0] * 60
    assert 0 < rate.wait("a") <= 1
    assert rate.wait("b") == 0.0, "each caller has his own"
    time.seconds = 1.0
    assert rate.wait("a") == 0.0
    assert rate.wait("a", 0.0) > 0, "a look does not spend, but tells"


async def test_the_clock_is_never_ahead_of_the_database() -> None:
    time = Time()

    async def ask() -> datetime:
        asked = T0 + timedelta(seconds=time.seconds + 1000)
        time.seconds += 0.5  # the answer takes its time
        return asked

    clock = DatabaseClock(ask, monotonic=time.monotonic)
    await clock.refresh()
    time.seconds += 3
    assert clock.now() == T0 + timedelta(seconds=1003)

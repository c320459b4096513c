"""Shelves: what may be used again, and what throws it away."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from timeoff.eventlog.port import LogRecord
from timeoff.hris.port import BalanceKind
from timeoff_balance.access import Rate
from timeoff_balance.clock import DatabaseClock
from timeoff_balance.figures import Figure, TypeAsked, Unknown
from timeoff_balance.invalidation import Invalidation
from timeoff_balance.reserved import Claim, Read, Record, Write, effects
from timeoff_balance.shelves import MOST_ROWS, Claims, Reading, Row, Shelf, Shelves

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


@pytest.mark.parametrize(("key", "employee"), [("agent", "8"), ("nobody", "7"), (None, "7")])
def test_an_outcome_drops_the_claims_of_its_agent_and_of_its_employee(key: str | None, employee: str) -> None:
    """Leave of before a link changed is of another agent, or of none; it is this employee's all the same."""
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    bench.ask(shelf)
    none: Any = None  # an outcome that is given by hand is read nowhere
    following = Invalidation(bench.shelves, none, none, requests_topic="r", outcomes_topic="o")
    value = json.dumps({"target": "acme", "employee_id": employee}).encode()
    following._came_out(LogRecord("o", 0, 7, T0, key, value, ()))
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


def test_rows_have_an_end() -> None:
    """Anybody can make up types and second ids without end; readings are not more for it."""
    shelf = Bench().shelves.shelf("acme", "7")
    for number in range(10):
        shelf.keep_rows(
            ON, [row(TypeAsked(f"made up {number}-{n}"), Unknown.UNKNOWN_TYPE) for n in range(500)]
        )
    assert shelf.rows == {}
    for number in range(10):
        shelf.keep_rows(ON, [row(TypeAsked("83", f"made up {number}-{n}")) for n in range(500)])
    assert 0 < len(shelf.rows) <= MOST_ROWS
    assert (ON, TypeAsked("83", "made up 9-499")) in shelf.rows, "the last ones stay"


def row(asked: TypeAsked, unknown: Unknown | None = None) -> Row:
    return Row(Figure(ON, asked, None if unknown else 480, BalanceKind.EXACT, unknown=unknown))


def test_a_shelf_that_was_thrown_away_counts_for_nothing() -> None:
    """No event reaches it any more; and the next one of this employee is not taken for it."""
    bench = Bench(most=100)
    shelf = bench.shelves.shelf("acme", "7")
    bench.read(shelf)
    bench.ask(shelf)
    before = shelf.generation
    other = bench.shelves.shelf("acme", "8")
    for day in range(100):
        bench.read(other, ON + timedelta(days=day))
    assert (shelf.claims, shelf.generation == before) == (None, False)
    again = bench.shelves.shelf("acme", "7")
    assert again is not shelf
    assert again.generation not in (before, shelf.generation)


def test_a_reading_that_comes_late_does_not_replace_a_newer_one() -> None:
    bench = Bench()
    shelf = bench.shelves.shelf("acme", "7")
    old = Reading(Read(bench.time.now(), bench.time.now(), LAG), 0.0, ())
    bench.time.seconds = 1
    new = bench.read(shelf)
    bench.shelves.keep_reading(shelf, ON, old)
    assert shelf.readings[ON] is new


def test_what_was_spent_in_advance_comes_back() -> None:
    rate = Rate(2, monotonic=Time().monotonic)
    for _ in range(5):
        assert rate.wait("a") == 0.0
        rate.give_back("a")
    assert [rate.wait("a") > 0 for _ in range(3)] == [False, False, True]
    rate.give_back("b")
    assert [rate.wait("b") > 0 for _ in range(3)] == [False, False, True], "never more than there is"


def test_the_rate_of_a_caller() -> None:
    time = Time()
    rate = Rate(60, monotonic=time.monotonic)
    assert [rate.wait("a") for _ in range(60)] == [0.0] * 60
    assert 0 < rate.wait("a") <= 1
    assert rate.wait("b") == 0.0, "each caller has his own"
    time.seconds = 1.0
    assert rate.wait("a") == 0.0
    assert rate.wait("a", 0.0) > 0, "a look does not spend, but tells"


async def test_the_databases_clock_lies_between_the_two_that_are_known() -> None:
    """What was announced while a read was under way must not count as announced after it."""
    time = Time()

    def true() -> datetime:
        return T0 + timedelta(seconds=time.seconds + 1000)

    for before, after in ((0.0, 0.5), (0.5, 0.0), (0.2, 0.3)):

        async def ask(before: float = before, after: float = after) -> datetime:
            time.seconds += before  # the question takes its time
            said = true()
            time.seconds += after  # and so does the answer
            return said

        clock = DatabaseClock(ask, monotonic=time.monotonic)
        assert clock.is_old
        await clock.refresh()
        assert not clock.is_old
        time.seconds += 3
        assert true() - timedelta(seconds=after) == clock.now()
        assert true() + timedelta(seconds=before) == clock.latest()


async def test_a_read_is_done_by_the_latest_that_the_clock_can_be() -> None:
    """A write that began by the database's clock while the read was under way may be in its figure."""
    time = Time()
    clock = DatabaseClock(_never, monotonic=time.monotonic)
    said = time.now()
    time.seconds = 2.0
    clock.note(said, 0.0)
    time.seconds = 10.0
    began, announced = clock.now(), time.now() + timedelta(seconds=0.5)
    time.seconds = 11.0
    place = ("83", None, ON)
    write = Write(announced, None, {place: Decimal(8)}, {place: Decimal(4)})
    claim = Claim("r", {place: Decimal(4)}, (Record({place: Decimal(8)}, (write,)),), gives_back=True)
    assert effects([claim], Read(began, clock.now(), LAG), None, None)["83", None].added_back, "too high"
    assert not effects([claim], Read(began, clock.latest(), LAG), None, None)["83", None].added_back


async def _never() -> datetime:
    raise AssertionError

"""The arithmetic of postings: granted once, carried over once, sums as the table of effects says."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timeoff_leave.journal_postings import Account, Entitlement, Sums, Taken
from timeoff_leave.periods import Period, PeriodRule
from timeoff_leave.requests_rules import (
    IllegalMove,
    LeaveDay,
    every_day,
    overlaps,
    shares,
    status_after,
)

Y2023, Y2024, Y2025 = (Period(date(year, 1, 1), 12) for year in (2023, 2024, 2025))
MARCH = date(2023, 3, 1)
EIGHTEEN = Entitlement(MARCH, Decimal(18), carry_over=True, limit=Decimal(5))


def account(
    entitlement: Entitlement | None = EIGHTEEN, today: date = date(2023, 5, 1), **more: Any
) -> Account:
    values: dict[str, Any] = {
        "employee": 1404,
        "leave_type": 8,
        "policy": 8,
        "rule": PeriodRule(1, 1),
    }
    return Account(entitlement=entitlement, today=today, **(values | more))


def on_a_later_day(before: Account, today: date, **changes: Any) -> Account:
    """The same journal, loaded again on another day."""
    return replace(before, today=today, postings=[], periods=dict(before.periods), **changes)


def lines(book: Account) -> list[tuple[str, str, Decimal]]:
    return [(posting.kind, posting.period.id, posting.days) for posting in book.postings]


def some_days(first: date, count: int, share: str = "1") -> dict[date, Fraction]:
    return {first + timedelta(days=number): Fraction(share) for number in range(count)}


# -- opening ------------------------------------------------------------------------------------------


def test_the_first_need_grants_and_the_second_does_not() -> None:
    book = account()
    book.need(date(2023, 5, 1))
    book.need(date(2023, 12, 31))
    assert lines(book) == [("grant", "2023-01-01-12", Decimal(18)), ("carry_over", "2023-01-01-12", 0)]


@pytest.mark.parametrize(
    ("used", "limit", "carried"), [(2, 5, 5), (15, 5, 3), (18, 5, 0), (20, 5, 0), (2, None, 16), (2, 0, 0)]
)
def test_carry_over_is_what_is_left_up_to_the_limit_and_never_a_debt(
    used: int, limit: int | None, carried: int
) -> None:
    entitlement = Entitlement(MARCH, Decimal(18), True, None if limit is None else Decimal(limit))
    book = account(entitlement)
    book.take(some_days(date(2023, 5, 1), used), request=1, policy=8, pending=False)
    later = on_a_later_day(book, date(2024, 1, 1))
    later.need(date(2024, 1, 1))
    assert lines(later) == [("grant", Y2024.id, 18), ("carry_over", Y2024.id, carried)]
    assert later.periods[Y2024].days == 18 + carried
    assert later.periods[Y2023].days == 18 - used, "a period is never altered by the next one"


def test_an_item_without_carry_over_carries_nothing() -> None:
    book = account(Entitlement(MARCH, Decimal(18), False, Decimal(5)))
    book.need(date(2023, 5, 1))
    later = on_a_later_day(book, date(2024, 1, 1))
    later.need(date(2024, 1, 1))
    assert lines(later) == [("grant", Y2024.id, 18)]


def test_pending_requests_count_as_taken_when_days_carry_over() -> None:
    """Else a day could be carried and, approved later, be used as well."""
    book = account()
    book.take(some_days(date(2023, 5, 1), 16), request=1, policy=8, pending=True)
    later = on_a_later_day(book, date(2024, 1, 2))
    later.need(date(2024, 1, 2))
    assert later.periods[Y2024].days == 20


def test_a_period_opened_ahead_gets_its_carry_over_when_it_has_begun() -> None:
    """In November nobody knows what December will leave."""
    book = account(today=date(2023, 11, 1))
    book.take(some_days(date(2024, 1, 1), 1), request=1, policy=8, pending=False)
    assert book.periods[Y2024].days == 17
    book.take(some_days(date(2023, 12, 1), 14), request=2, policy=8, pending=False)
    later = on_a_later_day(book, date(2024, 1, 1))
    later.need(date(2024, 1, 1))
    assert lines(later) == [("carry_over", Y2024.id, 4)]
    again = on_a_later_day(later, date(2024, 1, 2))
    again.need(date(2024, 1, 2))
    assert lines(again) == []


def test_days_that_come_back_to_the_old_period_later_do_not_carry_over_again() -> None:
    book = account()
    book.take(some_days(date(2023, 5, 1), 18), request=1, policy=8, pending=False)
    later = on_a_later_day(book, date(2024, 1, 1))
    later.need(date(2024, 1, 1))
    later.give_back([Taken(8, 8, Y2023, False, Decimal(18))], request=1)
    later = on_a_later_day(later, date(2024, 2, 1))
    later.need(date(2024, 2, 1))
    assert later.periods[Y2024].days == 18


def test_years_that_nobody_looked_at_carry_over_all_the_same() -> None:
    """A balance does not depend on who looked at it when: 2024 is opened because 2025 needs what it left."""
    book = account()
    book.need(date(2023, 5, 1))
    later = on_a_later_day(book, date(2025, 6, 1))
    later.need(date(2025, 6, 1))
    assert lines(later) == [
        ("grant", Y2024.id, 18),
        ("carry_over", Y2024.id, 5),
        ("grant", Y2025.id, 18),
        ("carry_over", Y2025.id, 5),
    ]


def test_a_period_before_the_assignment_is_opened_only_if_a_date_in_it_is_needed() -> None:
    book = account(replace(EIGHTEEN, since=date(2024, 5, 1)), today=date(2024, 5, 1))
    book.need(date(2024, 5, 1))
    assert set(book.periods) == {Y2024}
    book.take(some_days(date(2023, 12, 31), 1), request=1, policy=8, pending=False)
    assert book.periods[Y2023].days == 17
    assert book.periods[Y2024].days == 18


def test_without_carry_over_years_that_nobody_looked_at_stay_closed() -> None:
    book = account(Entitlement(MARCH, Decimal(18)))
    book.need(date(2023, 5, 1))
    later = on_a_later_day(book, date(2025, 6, 1))
    later.need(date(2025, 6, 1))
    assert lines(later) == [("grant", Y2025.id, 18)]


def test_a_type_that_the_policy_no_longer_has_opens_with_nothing() -> None:
    book = account(None)
    book.take(some_days(date(2023, 5, 1), 2), request=1, policy=8, pending=False)
    assert lines(book) == [("open", Y2023.id, 0), ("take", Y2023.id, -2)]


def test_a_period_opened_with_nothing_is_granted_once_when_there_is_something_to_grant() -> None:
    book = account(None)
    book.take(some_days(date(2023, 5, 1), 2), request=1, policy=8, pending=False)
    later = on_a_later_day(book, date(2023, 6, 1), entitlement=Entitlement(MARCH, Decimal(18)))
    later.need(date(2023, 6, 1))
    later.need(date(2023, 6, 1))
    assert lines(later) == [("grant", Y2023.id, 18)]
    assert later.periods[Y2023].days == 16


def test_what_is_given_from_a_later_date_on_opens_nothing_of_before() -> None:
    book = account(replace(EIGHTEEN, since=date(2025, 6, 1)), today=date(2025, 6, 1))
    book.need(date(2025, 6, 1))
    assert lines(book) == [("grant", Y2025.id, 18), ("carry_over", Y2025.id, 0)]


def test_a_total_that_was_set_is_not_raised_by_carry_over() -> None:
    book = account(today=date(2023, 11, 1))
    period = book.need(date(2024, 1, 1))
    book.set_total(period, Decimal(7))
    later = on_a_later_day(book, date(2024, 1, 1))
    later.need(date(2024, 1, 1))
    assert later.periods[Y2024].days == 7


# -- requests -----------------------------------------------------------------------------------------


def test_a_request_across_new_year_is_taken_from_both_years() -> None:
    book = account()
    periods = book.take(some_days(date(2023, 12, 30), 5), request=1, policy=8, pending=False)
    assert periods == {Y2023, Y2024}
    assert [line for line in lines(book) if line[0] == "take"] == [
        ("take", Y2023.id, -2),
        ("take", Y2024.id, -3),
    ]


def test_what_comes_back_is_what_was_taken_to_the_last_place() -> None:
    """A third of a day has no end; taken and returned it leaves nothing behind."""
    book = account()
    book.take(some_days(date(2023, 5, 1), 2, "1/3"), request=1, policy=8, pending=False)
    taken = -book.postings[-1].days
    assert taken == Decimal("0.6666666667")
    book.give_back([Taken(8, 8, Y2023, False, taken)], request=1)
    assert book.periods[Y2023].days == 18


def test_shares_of_another_type_are_left_alone() -> None:
    book = account()
    book.need(date(2023, 5, 1))
    book.give_back([Taken(10, 8, Y2023, False, Decimal(2))], request=1)
    assert book.periods[Y2023] == Sums(Decimal(18), granted=True, carried=True)


@dataclass
class Table:
    """The table of effects with plain counters, to compare the journal with."""

    left: dict[int, Fraction] = field(default_factory=lambda: defaultdict(lambda: Fraction(18)))
    pending: dict[int, Fraction] = field(default_factory=lambda: defaultdict(Fraction))

    def move(self, days: dict[date, Fraction], approved: int, pending: int) -> None:
        for on, share in days.items():
            self.left[on.year] += approved * share
            self.pending[on.year] += pending * share


ACTIONS = st.tuples(
    st.sampled_from(["create", "create_approved", "approve", "decline", "cancel", "patch", "set"]),
    st.integers(0, 3),
    st.dates(date(2023, 12, 25), date(2024, 1, 5)),
    st.integers(1, 6),
    st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(1, 4)]),
)


@settings(max_examples=200)
@given(actions=st.lists(ACTIONS, max_size=25))
def test_the_sum_of_postings_is_what_the_table_of_effects_says(actions: list[Any]) -> None:
    """Any sequence of actions on four requests around New Year, in quarters of days."""
    book, table = account(Entitlement(MARCH, Decimal(18))), Table()
    status: dict[int, str] = {}
    days_of: dict[int, dict[date, Fraction]] = {}

    def held(request: int) -> list[Taken]:
        sums: dict[tuple[Period, bool], Decimal] = defaultdict(Decimal)
        for posting in book.postings:
            if posting.leave_request == request:
                sums[posting.period, posting.pending] -= posting.days
        return [Taken(8, 8, period, pending, days) for (period, pending), days in sums.items() if days]

    for action, request, first, count, share in actions:
        days = {first + timedelta(days=number): share for number in range(count)}
        now = status.get(request)
        if action == "set":
            period = book.need(first)
            book.set_total(period, Decimal(count))
            table.left[first.year] = Fraction(count)
        elif action.startswith("create"):
            if now is not None:
                continue
            pending = action == "create"
            book.take(days, request=request, policy=8, pending=pending)
            table.move(days, 0 if pending else -1, 1 if pending else 0)
            status[request], days_of[request] = "PENDING" if pending else "APPROVED", days
        elif action == "patch":
            if now not in ("PENDING", "APPROVED"):
                continue
            pending = now == "PENDING"
            book.give_back(held(request), request)
            book.take(days, request=request, policy=8, pending=pending)
            table.move(days_of[request], 0 if pending else 1, -1 if pending else 0)
            table.move(days, 0 if pending else -1, 1 if pending else 0)
            days_of[request] = days
        elif action == "approve":
            if now == "PENDING":
                book.confirm(held(request), request)
                table.move(days_of[request], -1, -1)
            elif now == "DECLINED":
                book.take(days_of[request], request=request, policy=8, pending=False)
                table.move(days_of[request], -1, 0)
            else:
                continue
            status[request] = "APPROVED"
        elif now in ("PENDING", "APPROVED"):
            book.give_back(held(request), request)
            table.move(days_of[request], 0 if now == "PENDING" else 1, -1 if now == "PENDING" else 0)
            status[request] = "DECLINED" if action == "decline" else "CANCELLED"
    for period, sums in book.periods.items():
        year = period.start.year
        assert Fraction(sums.days) == table.left[year]
        assert Fraction(sums.including_pending) == table.left[year] - table.pending[year]
        assert sums.days == sum(p.days for p in book.postings if p.period == period and not p.pending)


# -- rules of requests --------------------------------------------------------------------------------


def test_every_day_of_a_range_counts_a_full_day() -> None:
    days = every_day(date(2024, 2, 28), date(2024, 3, 1), Decimal(450))
    assert [str(day.on) for day in days] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert sum(shares(days, Decimal(450)).values()) == 3


@pytest.mark.parametrize(
    ("new", "held", "clash"),
    [
        (480, 0, False),
        (480, 480, True),
        (240, 240, False),
        (241, 240, True),
        (480, 1, True),
        (1, 480, True),
        (0, 480, False),
        (600, 0, False),
        (600, 60, True),
    ],
)
def test_a_date_holds_one_full_day_in_how_many_requests_ever(new: int, held: int, clash: bool) -> None:
    on, full = date(2024, 5, 1), Decimal(480)
    others = shares([LeaveDay(on, Decimal(held))], full)
    assert overlaps(shares([LeaveDay(on, Decimal(new))], full), others) is clash
    assert not overlaps(shares([LeaveDay(on + timedelta(days=1), Decimal(new))], full), others)


def test_each_request_is_measured_by_its_own_full_day() -> None:
    """A whole day of six hours is a whole day, also to somebody who now works eight."""
    on = date(2024, 5, 1)
    whole_of_six = shares([LeaveDay(on, Decimal(360))], Decimal(360))
    hour_of_eight = shares([LeaveDay(on, Decimal(60))], Decimal(480))
    assert overlaps(hour_of_eight, whole_of_six)


@pytest.mark.parametrize(
    ("action", "status", "after"),
    [
        ("approve", "PENDING", "APPROVED"),
        ("approve", "DECLINED", "APPROVED"),
        ("approve", "APPROVED", None),
        ("decline", "PENDING", "DECLINED"),
        ("decline", "APPROVED", "DECLINED"),
        ("decline", "DECLINED", None),
        ("cancel", "PENDING", "CANCELLED"),
        ("cancel", "APPROVED", "CANCELLED"),
        ("cancel", "CANCELLED", None),
    ],
)
def test_an_action_leads_to_its_status_or_finds_it_there(action: Any, status: Any, after: str | None) -> None:
    assert status_after(action, status) == after


@pytest.mark.parametrize(
    ("action", "status", "message"),
    [
        ("cancel", "DECLINED", "A declined leave request cannot be cancelled."),
        ("approve", "CANCELLED", "A cancelled leave request cannot be approved."),
        ("decline", "CANCELLED", "A cancelled leave request cannot be declined."),
    ],
)
def test_any_other_move_is_refused_in_words(action: Any, status: Any, message: str) -> None:
    with pytest.raises(IllegalMove) as refusal:
        status_after(action, status)
    assert str(refusal.value) == message

"""What workflows hand over: kept, booked, taken over, left alone, told apart; by one decision at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from tests.support.cases import (
    CODE,
    MONDAY,
    TUESDAY,
    VACATION,
    case,
    content,
    days,
    entry,
    part_of_a_day,
    record,
    rules,
    spec,
    view,
)

from timeoff.handover import Handed
from timeoff.ledger.rows import Case, RequestView
from timeoff.vocabulary import Day, EntryStatus, IntegrationStatus, WritePath
from timeoff_sync.decide import decide
from timeoff_sync.decisions import (
    Adopt,
    Cancel,
    ChangePath,
    Decision,
    Gone,
    Hold,
    Insert,
    Look,
    Nothing,
    Sighting,
    Take,
    TypeChoice,
    Update,
    Wait,
)
from timeoff_sync.handed import leave_seen, same_leave
from timeoff_sync.outcomes import Names, Outcomes

EVENTS, FLOWS = WritePath.EVENTS, WritePath.FLOWS
BY_EVENTS = rules()
BY_FLOWS = rules(choices={("", CODE): TypeChoice(VACATION.id, write_path=FLOWS)})
DAY = 86_400.0


def wish(*dates: date, status: str = "APPROVED", minutes: int = 480, **more: Any) -> Handed:
    return Handed(VACATION.id, None, status, days(dates or (MONDAY,), minutes), **more)


def unseen(of: Handed | None = None, path: WritePath = FLOWS, **changes: Any) -> Case:
    """Handed over, and not shown by Genesys yet: its name is our id."""
    unknown = RequestView("h-1", "employee:main:157")
    values: dict[str, Any] = {"handed": of or wish(), "handover_id": "h-1", "write_path": path}
    return replace(case(unknown, linked_employee_id=None), **(values | changes))


def bound(of: Handed | None, seen: RequestView | None = None, path: WritePath = FLOWS, **more: Any) -> Case:
    return case(seen or view(content()), handed=of, handover_id="h-1", write_path=path, **more)


def held(decision: Decision, reason: str) -> Hold:
    assert isinstance(decision, Hold), decision
    assert decision.reason == reason
    return decision


# -- the order counts, on its path ----------------------------------------------------------------------


def test_what_a_workflow_orders_is_booked_for_the_employee_that_it_names() -> None:
    """Without a link, without a zone, without a word of Genesys."""
    assert decide(unseen(), BY_FLOWS) == Insert(spec(zone="UTC"), 1)


@pytest.mark.parametrize("shown", [content("PENDING"), content(dates=(TUESDAY,))])
def test_what_genesys_shows_does_not_count_beside_an_order(shown: Any) -> None:
    seen = view(shown)
    assert decide(bound(wish(), seen), BY_FLOWS) == Insert(spec(), 1)
    assert decide(bound(wish(), seen, entries=(entry(),)), BY_FLOWS) == Nothing("in_step")


def test_a_cancel_that_no_call_brings_is_shown_to_a_person_after_a_while() -> None:
    """Genesys may never have learnt of the booking; and nobody but a person takes leave away then."""
    case = bound(wish(), view(content("CANCELED")), entries=(entry(),))
    assert decide(case, BY_FLOWS) == Wait("call_awaited", 60.0)
    later = decide(replace(case, state="waiting", reason="call_awaited"), BY_FLOWS)
    assert isinstance(later, Hold)
    assert later.reason == "not_handed_over"
    called = replace(case, handed=wish(status="CANCELED"), reason="call_awaited")
    assert isinstance(decide(called, BY_FLOWS), Look | Cancel)


def test_an_ordered_change_and_removal_need_no_confirming_read() -> None:
    unread = view(provisional=content())
    moved = decide(bound(wish(TUESDAY), unread, entries=(entry(age=0.0),)), BY_FLOWS)
    assert moved == Update(entry(age=0.0), spec(days=days((TUESDAY,))))
    gone = decide(bound(wish(status="CANCELED"), unread, entries=(entry(age=0.0),)), BY_FLOWS)
    assert isinstance(gone, Cancel)


def test_pending_is_a_requested_record_where_the_hris_has_such() -> None:
    pending = unseen(wish(status="PENDING"))
    assert decide(pending, BY_FLOWS) == Insert(spec(zone="UTC", status=EntryStatus.REQUESTED), 1)
    plain = rules({"insert_statuses": frozenset({EntryStatus.APPROVED})}, BY_FLOWS.choices)
    assert decide(pending, plain) == Wait("pending")


def test_removed_before_it_was_booked_books_nothing() -> None:
    assert decide(unseen(wish(status="DENIED")), BY_FLOWS) == Nothing("removed")


def test_on_the_path_of_workflows_what_is_only_seen_is_left_to_them() -> None:
    assert decide(case(write_path=FLOWS), BY_FLOWS) == Nothing("written_by_flows", ours=False)


def test_on_the_path_of_events_what_was_handed_over_does_not_count() -> None:
    pending = bound(wish(), view(content("PENDING")), EVENTS)
    assert decide(pending, BY_EVENTS) == Wait("pending")
    assert decide(bound(wish(TUESDAY), path=EVENTS), BY_EVENTS) == Insert(spec(), 1)


# -- change of path -------------------------------------------------------------------------------------


def test_the_path_follows_the_plan_once_the_request_is_seen() -> None:
    assert decide(case(), BY_FLOWS) == ChangePath(FLOWS)
    assert decide(bound(wish()), BY_EVENTS) == ChangePath(EVENTS)
    assert not isinstance(decide(unseen(), BY_EVENTS), ChangePath)
    assert decide(unseen(path=EVENTS), BY_FLOWS) == Wait("reserved", DAY)


def test_booked_by_events_and_unchanged_is_in_step() -> None:
    assert decide(case(write_path=FLOWS, entries=(entry(),)), BY_FLOWS) == Nothing("in_step")


@pytest.mark.parametrize("shown", [content(dates=(TUESDAY,)), content("CANCELED")])
def test_booked_by_events_and_changed_waits_for_its_workflow_in_sight_of_a_person(shown: Any) -> None:
    left = case(view(shown), write_path=FLOWS, entries=(entry(),))
    assert isinstance(decide(left, BY_FLOWS), Look)
    hold = held(decide(left, BY_FLOWS, Sighting((record(),))), "not_handed_over")
    assert [each["id"] for each in hold.detail["booked"]] == ["700"]
    ended = decide(left, BY_FLOWS, Sighting((record(status=EntryStatus.CANCELLED),)))
    assert ended == Gone(entry(), "cancelled_in_hris", more=True)
    ordered = replace(left, handed=wish(TUESDAY), handover_id="h-1")
    assert isinstance(decide(ordered, BY_FLOWS, Sighting((record(),))), Update)


def test_leave_of_the_other_path_on_the_same_days_is_held() -> None:
    first = unseen(look_first=True)
    other = record("800", {MONDAY: "4"})
    sighting = Sighting((other,), frozenset({"800"}), across=frozenset({"800"}))
    held(decide(first, BY_FLOWS, sighting), "overlap")
    # Booked by the same path, it is other leave of which the HRIS may judge.
    assert decide(first, BY_FLOWS, replace(sighting, across=frozenset())) == Insert(spec(zone="UTC"), 1)


# -- reserved -------------------------------------------------------------------------------------------


def test_a_reservation_waits_for_its_request_and_then_for_a_person() -> None:
    kept = unseen(path=EVENTS, handed_age=100.0)
    assert decide(kept, BY_EVENTS) == Wait("reserved", DAY - 100)
    held(decide(replace(kept, handed_age=DAY), BY_EVENTS), "never_seen")
    assert decide(replace(kept, handed=wish(status="CANCELED")), BY_EVENTS) == Nothing("removed")


def test_two_that_it_may_be_are_shown() -> None:
    hold = held(decide(unseen(path=EVENTS, rivals=("r1", "r2")), BY_EVENTS), "ambiguous_binding")
    assert hold.detail["requests"] == ["r1", "r2"]
    assert hold.detail["handed_over"]["minutes"] == {MONDAY.isoformat(): 480}


def test_details_hold_no_notes() -> None:
    noted = unseen(wish(note="kidney stone"), EVENTS, rivals=("r1", "r2"))
    for each in (noted, replace(noted, rivals=(), handed_age=DAY)):
        assert "kidney" not in str(decide(each, BY_EVENTS))


# -- a record that only a workflow knows ----------------------------------------------------------------


@pytest.mark.parametrize("path", [FLOWS, EVENTS])
def test_a_named_record_is_read_first_and_taken_over(path: WritePath) -> None:
    by = BY_FLOWS if path is FLOWS else BY_EVENTS
    known = bound(wish(), path=path, adopt="700", look_first=True)
    take = decide(known, by)
    assert isinstance(take, Take)
    assert (take.vendor_id, take.first_day < MONDAY - timedelta(days=365)) == ("700", True)
    named = record()
    adopt = decide(known, by, Sighting((named,), named=named))
    assert isinstance(adopt, Adopt)
    assert (adopt.found, adopt.more) == (named, True)
    assert adopt.spec.days == (Day(MONDAY, 480, whole=False),)


@pytest.mark.parametrize("path", [FLOWS, EVENTS])
@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (None, "record_unknown"),
        (record(employee_id="158"), "record_unknown"),
        (record(status=EntryStatus.CANCELLED), "cancelled_in_hris"),
        (record(status=EntryStatus.DENIED), "denied_in_hris"),
        (record(status=EntryStatus.SUPERSEDED), "record_replaced"),
        (record(type_id="99"), "unknown_type"),
        (record(amounts={}), "unknown_type"),
    ],
)
def test_what_cannot_be_taken_over_is_never_booked_instead(path: WritePath, named: Any, reason: str) -> None:
    by = BY_FLOWS if path is FLOWS else BY_EVENTS
    held(decide(bound(wish(), path=path, adopt="700"), by, Sighting((), named=named)), reason)


def test_a_removal_of_what_has_ended_is_done() -> None:
    gone = bound(wish(status="CANCELED"), adopt="700")
    ended = record(status=EntryStatus.CANCELLED)
    assert decide(gone, BY_FLOWS, Sighting((), named=ended)) == Nothing("removed")
    unread = bound(None, view(provisional=content("CANCELED")), EVENTS, adopt="700")
    assert decide(unread, BY_EVENTS, Sighting((), named=ended)) == Wait("removal_unconfirmed")


def test_a_replaced_record_has_one_successor_or_a_person_decides() -> None:
    asks = bound(wish(TUESDAY), adopt="650")
    old = record("650", status=EntryStatus.SUPERSEDED)
    new, other = record("700"), record("701", {TUESDAY: "2"})
    adopt = decide(asks, BY_FLOWS, Sighting((old, new), named=old))
    assert isinstance(adopt, Adopt)
    assert adopt.found == new
    held(decide(asks, BY_FLOWS, Sighting((old, new, other), named=old)), "record_replaced")
    known = Sighting((old, new, other), frozenset({"701"}), named=old)
    assert isinstance(decide(asks, BY_FLOWS, known), Adopt)
    elsewhere = record("702", {MONDAY + timedelta(days=9): "8"})
    assert isinstance(decide(asks, BY_FLOWS, Sighting((old, new, elsewhere), named=old)), Adopt)


def test_what_was_taken_over_once_is_a_booking_like_any_other() -> None:
    ended = entry(live=False)
    assert isinstance(decide(bound(wish(), adopt="700", entries=(ended,)), BY_FLOWS), Insert)


# -- the same leave -------------------------------------------------------------------------------------


def test_a_request_is_told_by_what_it_asks_for() -> None:
    same, other = case(view(content())), case(view(content(dates=(TUESDAY,))))
    assert same_leave(unseen(), [same, other], BY_FLOWS) == [same]
    assert same_leave(unseen(wish(status="CANCELED")), [same], BY_FLOWS) == []
    assert same_leave(unseen(wish(minutes=240)), [same], BY_FLOWS) == []
    assert same_leave(unseen(), [same, same], BY_FLOWS) == [same, same]


@pytest.mark.parametrize(
    "seen",
    [
        view(content("CANCELED")),
        view(content("DENIED")),
        view(content(), missing=True),
        view(content(activity_code_id="other")),
        view(content(duration_minutes=(1, 2, 3))),
        RequestView("r", "a"),
    ],
)
def test_what_asks_for_nothing_is_nobodys_request(seen: RequestView) -> None:
    assert same_leave(unseen(), [case(seen)], BY_FLOWS) == []


def test_parts_of_a_day_are_told_by_their_start() -> None:
    def seen(hour: int) -> Case:
        return case(view(part_of_a_day(datetime(2027, 3, 8, hour - 1, tzinfo=UTC), 120)))

    timed = replace(wish(), days=(Day(MONDAY, 120, whole=False, start=time(9)),))
    plain = replace(wish(), days=(Day(MONDAY, 120, whole=True),))
    assert same_leave(unseen(timed), [seen(9), seen(14)], BY_FLOWS) == [seen(9)]
    assert same_leave(unseen(plain), [seen(9), seen(14)], BY_FLOWS) == [seen(9), seen(14)]


def test_a_second_id_counts_where_both_have_one() -> None:
    choices = {("", CODE): TypeChoice(VACATION.id, "A", write_path=FLOWS)}
    with_second = rules(choices=choices)
    seen = case(view(content()))
    assert leave_seen(seen, with_second) is not None
    for second, fits in (("A", True), ("B", False), (None, True)):
        found = same_leave(unseen(replace(wish(), type_id2=second)), [seen], with_second)
        assert bool(found) is fits, second


# -- what is told ---------------------------------------------------------------------------------------


def test_who_is_told_what() -> None:
    """The event path reports; beside workflows only what was handed over; what nobody has seen, never."""
    outcomes = Outcomes(Names("outcomes", report=True), 1.0, 2.0)
    error, complete = IntegrationStatus.ERROR, IntegrationStatus.AUTOMATICALLY_COMPLETE
    for each, told in (
        (case(), True),
        (bound(wish()), True),
        (case(write_path=FLOWS), False),
        (unseen(path=EVENTS), False),
    ):
        assert outcomes.held(each, "overlap", {}).report == (error.value if told else None)
    assert outcomes.settled(bound(wish()), "removed").report == complete.value
    assert outcomes.settled(bound(wish()), "before_cutover", ours=False).report is None
    assert outcomes.waiting(bound(wish()), "pending").report == complete.value
    assert outcomes.waiting(bound(wish(), path=EVENTS), "pending").report is None

"""One decision for one request: what is written to the HRIS, what is left alone, what a person must say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from tests.support.cases import (
    AGENT,
    CODE,
    CUTOVER,
    EMPLOYEE,
    FLEX,
    MONDAY,
    REQUEST,
    TUESDAY,
    VACATION,
    case,
    content,
    days,
    entry,
    key,
    part_of_a_day,
    record,
    rules,
    spec,
    view,
)

from timeoff.events import RequestContent
from timeoff.hris.port import CancelMode, HrisEntry, UpdateMode
from timeoff.ledger.rows import Case
from timeoff.vocabulary import Day, EntryKey, EntryStatus, RequestStatus
from timeoff_sync.decide import decide
from timeoff_sync.decisions import (
    Adopt,
    Cancel,
    Decision,
    Gone,
    Hold,
    Insert,
    Look,
    Nothing,
    Sighting,
    TypeChoice,
    Update,
    Wait,
)
from timeoff_sync.seen import touches

APPROVED = content()
MOVED = content(dates=(TUESDAY,))
DENIED = content("DENIED")
RULES = rules()
#: Both sides of an entry that says Monday, for a request that is now about Tuesday.
BOOKED = case(view(MOVED), entries=(entry(),))


def saw(*entries: HrisEntry, known: frozenset[str] = frozenset({"650", "700"})) -> Sighting:
    return Sighting(entries, known)


def held(decision: Decision, reason: str) -> Hold:
    assert isinstance(decision, Hold), decision
    assert decision.reason == reason
    return decision


def first_sight(of: RequestContent = APPROVED, **changes: Any) -> Case:
    return case(view(of), look_first=True, **changes)


# -- nothing applied --------------------------------------------------------------------------------------


def test_an_approved_request_is_booked() -> None:
    assert decide(case(), RULES) == Insert(spec(), 1)


def test_a_provisional_approval_is_booked_at_once() -> None:
    """Within a second, not after the next read."""
    assert decide(case(view(provisional=APPROVED)), RULES) == Insert(spec(), 1)


def test_a_request_asked_for_and_not_read_yet_waits() -> None:
    assert decide(case(view()), RULES) == Wait("unread")


def test_a_pending_request_is_booked_only_where_it_is_exported() -> None:
    pending = case(view(content("PENDING")))
    assert decide(pending, RULES) == Nothing("not_exported")
    exported = rules(exported=frozenset({"APPROVED", "PENDING"}))
    assert decide(pending, exported) == Insert(spec(status=EntryStatus.REQUESTED), 1)


def test_an_approved_request_is_not_booked_where_approved_is_not_exported() -> None:
    assert decide(case(), rules(exported=frozenset({"PENDING"}))) == Nothing("not_exported")


def test_an_unknown_status_goes_to_a_person_and_is_never_taken_for_approved() -> None:
    hold = held(decide(case(view(content("WAITLISTED"))), RULES), "unknown_status")
    assert hold.detail == {"status": "WAITLISTED"}


@pytest.mark.parametrize("status", list(RequestStatus))
def test_every_known_status_is_decided_without_a_person(status: RequestStatus) -> None:
    assert not isinstance(decide(case(view(content(status))), RULES), Hold)


def test_a_status_that_the_hris_does_not_take_goes_to_a_person() -> None:
    only_requested = rules({"insert_statuses": frozenset({EntryStatus.REQUESTED})})
    held(decide(case(), only_requested), "status_unsupported")


def test_the_note_is_copied_only_where_the_settings_say_so() -> None:
    noted = case(view(content(notes="dentist")))
    assert decide(noted, RULES) == Insert(spec(note=None), 1)
    copied = decide(noted, rules(copy_notes=True))
    assert isinstance(copied, Insert)
    assert copied.spec.note == "dentist"


def test_the_dates_are_those_of_the_unit() -> None:
    late = part_of_a_day(datetime(2027, 3, 8, 23, 30, tzinfo=UTC), 60)
    decision = decide(case(view(late)), RULES)
    assert isinstance(decision, Insert)
    assert decision.spec.days == (Day(TUESDAY, 60, whole=False, start=time(0, 30)),)


def test_minutes_that_do_not_match_the_days_go_to_a_person() -> None:
    hold = held(decide(case(view(content(duration_minutes=(480, 480)))), RULES), "minutes_mismatch")
    assert "durationMinutes" in hold.detail["problem"]


def test_a_part_of_a_day_without_zone_goes_to_a_person() -> None:
    part = part_of_a_day(datetime(2027, 3, 8, 9, tzinfo=UTC), 60)
    held(decide(case(view(part, zone=None)), RULES), "no_zone")


@pytest.mark.parametrize(
    "nothing",
    [content(duration_minutes=(0,)), content(payable_minutes=(0,)), content(duration_minutes=(1,))],
)
def test_what_takes_no_time_is_not_booked(nothing: RequestContent) -> None:
    """One minute of eight hours is 0.00 days: no record of nothing."""
    by_days = rules(
        choices={("", CODE): TypeChoice(FLEX.id)}, types={FLEX.id: replace(FLEX, whole_day_is_one=False)}
    )
    assert decide(case(view(nothing)), by_days) == Nothing("nothing_to_book")


def test_no_employee_goes_to_a_person() -> None:
    hold = held(decide(case(linked_employee_id=None), RULES), "no_employee")
    assert hold.detail == {"agent_id": AGENT}


def test_days_frozen_by_a_doubt_wait_for_it() -> None:
    held(decide(case(frozen=frozenset({MONDAY})), RULES), "overlaps_unsettled_doubt")
    assert isinstance(decide(case(frozen=frozenset({TUESDAY})), RULES), Insert)


# -- types ------------------------------------------------------------------------------------------------


def test_the_units_own_type_comes_before_the_general_one() -> None:
    both = rules(choices={("unit-1", CODE): TypeChoice(FLEX.id, "x"), ("", CODE): TypeChoice(VACATION.id)})
    here, elsewhere = case(), case(view(APPROVED, management_unit_id="unit-2"))
    for where, type_ids in ((here, (FLEX.id, "x")), (elsewhere, (VACATION.id, None))):
        decision = decide(where, both)
        assert isinstance(decision, Insert)
        assert (decision.spec.type_id, decision.spec.type_id2) == type_ids


@pytest.mark.parametrize("code", [None, "code-unlinked"])
def test_an_unmapped_code_is_not_ours_and_visible_as_such(code: str | None) -> None:
    assert decide(case(view(content(activity_code_id=code))), RULES) == Nothing("unmapped", ours=False)


def test_a_type_that_the_hris_does_not_know_goes_to_a_person() -> None:
    hold = held(decide(case(), rules(types={})), "unknown_type")
    assert hold.detail["type_id"] == VACATION.id


def test_the_type_says_which_minutes_are_booked() -> None:
    request = case(view(content(payable_minutes=(450,))))
    by_duration = rules(choices={("", CODE): TypeChoice(VACATION.id, None, "duration")})
    assert decide(request, RULES) == Insert(spec(days=days(minutes=450)), 1)
    assert decide(request, by_duration) == Insert(spec(), 1)


# -- cutover ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("look_first", [False, True])
def test_a_request_that_ended_before_the_cutover_is_not_ours(look_first: bool) -> None:
    before = content(dates=(CUTOVER - timedelta(days=2), CUTOVER - timedelta(days=1)))
    assert decide(case(view(before), look_first=look_first), RULES) == Nothing("before_cutover", ours=False)


def test_a_request_whose_last_day_is_the_cutover_is_ours_with_all_its_days() -> None:
    across = (CUTOVER - timedelta(days=1), CUTOVER)
    assert decide(case(view(content(dates=across))), RULES) == Insert(spec(days=days(across)), 1)


def test_a_booked_request_stays_ours_when_it_moves_before_the_cutover() -> None:
    early = content(dates=(CUTOVER - timedelta(days=1),))
    moved = case(view(early), entries=(entry(),))
    assert isinstance(decide(moved, RULES, saw(record())), Update)


def test_a_removed_request_from_before_the_cutover_asks_the_hris_nothing() -> None:
    before = content("DENIED", dates=(CUTOVER - timedelta(days=1),))
    assert decide(first_sight(before), RULES) == Nothing("removed")


# -- first sight ------------------------------------------------------------------------------------------


def test_first_sight_is_not_an_insert_but_a_look_at_all_its_days() -> None:
    assert decide(first_sight(content(dates=(TUESDAY, MONDAY))), RULES) == Look(MONDAY, TUESDAY)


def test_first_sight_of_free_days_is_booked() -> None:
    assert decide(first_sight(), RULES, saw()) == Insert(spec(), 1)


def test_leave_booked_by_hand_is_adopted() -> None:
    by_hand = record("9001")
    assert decide(first_sight(), RULES, saw(by_hand)) == Adopt(by_hand, spec(), 1)


def test_equal_means_within_the_rounding_step() -> None:
    third = case(view(content(duration_minutes=(20,))), look_first=True)
    rounded = record("9001", {MONDAY: "0.333"})
    assert isinstance(decide(third, RULES, saw(rounded)), Adopt)
    held(decide(third, RULES, saw(record("9001", {MONDAY: "0.34"}))), "overlap")


@pytest.mark.parametrize(
    "different",
    [
        record("9001", {MONDAY: "4"}),
        record("9001", {MONDAY: "8", TUESDAY: "8"}),
        record("9001", type_id="99"),
        record("9001", status=EntryStatus.REQUESTED),
        record("9001", {}, last_day=TUESDAY),
    ],
)
def test_leave_that_overlaps_but_differs_goes_to_a_person_with_both_sides(different: HrisEntry) -> None:
    hold = held(decide(first_sight(), RULES, saw(different)), "overlap")
    assert hold.detail["wanted"]["minutes"] == {"2027-03-08": 480}
    assert [side["id"] for side in hold.detail["hris"]] == ["9001"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        record("9001", {TUESDAY: "8"}),
        record("9001", {MONDAY - timedelta(days=1): "8", TUESDAY: "8"}),
        record("9001", status=EntryStatus.CANCELLED),
        record("9001", status=EntryStatus.DENIED),
        record("9001", status=EntryStatus.SUPERSEDED),
    ],
)
def test_leave_on_other_days_or_no_longer_live_is_no_overlap(elsewhere: HrisEntry) -> None:
    assert decide(first_sight(), RULES, saw(elsewhere)) == Insert(spec(), 1)


def test_a_record_of_another_request_of_ours_is_no_overlap() -> None:
    """Two requests of one day are Genesys' business; what the ledger knows was not booked by hand."""
    theirs = record("9001")
    assert isinstance(decide(first_sight(), RULES, saw(theirs, known=frozenset({"9001"}))), Insert)


def test_two_equal_records_are_for_a_person() -> None:
    held(decide(first_sight(), RULES, saw(record("9001"), record("9002"))), "overlap")


def test_an_equal_record_beside_a_different_one_is_for_a_person() -> None:
    held(decide(first_sight(), RULES, saw(record("9001"), record("9002", {MONDAY: "2"}))), "overlap")


def test_a_record_with_our_mark_is_ours_whatever_else_is_there() -> None:
    """A ledger that was restored meets what it wrote before."""
    ours = record("9001", marker=key().marker)
    assert decide(first_sight(), RULES, saw(ours, record("9002"))) == Adopt(ours, spec(), 1)


def test_two_records_with_our_mark_are_for_a_person() -> None:
    twins = [record(vendor_id, marker=key().marker) for vendor_id in ("9001", "9002")]
    held(decide(first_sight(), RULES, saw(*twins)), "overlap")


def test_a_record_with_our_mark_that_says_something_else_is_for_a_person() -> None:
    ours = record("9001", {MONDAY: "4"}, marker=key().marker)
    held(decide(first_sight(), RULES, saw(ours, record("9002"))), "overlap")


@pytest.mark.parametrize(
    "other",
    [
        EntryKey("d-2", "acme", REQUEST, 1),
        EntryKey("d-1", "other", REQUEST, 1),
        EntryKey("d-1", "acme", "request-2", 1),
        EntryKey("d-1", "acme", REQUEST, 2),
    ],
)
def test_a_mark_of_another_deployment_request_or_booking_is_not_ours(other: EntryKey) -> None:
    marked = record("9001", marker=other.marker)
    held(decide(first_sight(), RULES, saw(marked, record("9002"))), "overlap")


@pytest.mark.parametrize("status", ["DENIED", "CANCELED"])
def test_a_removed_request_that_was_booked_by_hand_is_shown_to_a_person(status: str) -> None:
    removed = first_sight(content(status))
    assert decide(removed, RULES) == Look(MONDAY, MONDAY)
    hold = held(decide(removed, RULES, saw(record("9001"))), "removed_but_booked")
    assert [side["id"] for side in hold.detail["hris"]] == ["9001"]


@pytest.mark.parametrize("seen", [(), (record("9001", {MONDAY: "4"}),), (record("700"),)])
def test_a_removed_request_that_nobody_booked_is_done(seen: tuple[HrisEntry, ...]) -> None:
    assert decide(first_sight(DENIED), RULES, saw(*seen)) == Nothing("removed")


@pytest.mark.parametrize("changes", [{"look_first": False}, {"writes": 1}, {"entries": (entry(live=False),)}])
def test_a_removed_request_that_was_never_in_doubt_costs_no_call(changes: dict[str, Any]) -> None:
    assert decide(case(view(DENIED), **({"look_first": True} | changes)), RULES) == Nothing("removed")


def test_a_removed_request_whose_days_cannot_be_told_is_done() -> None:
    assert decide(first_sight(content("DENIED", dates=())), RULES) == Nothing("removed")


def test_a_removed_request_of_an_unmapped_code_is_done() -> None:
    unmapped = first_sight(content("DENIED", activity_code_id="other"))
    assert decide(unmapped, RULES, saw(record("9001"))) == Nothing("removed")


# -- booked -----------------------------------------------------------------------------------------------


def test_the_same_content_costs_no_call() -> None:
    assert decide(case(entries=(entry(),)), RULES) == Nothing("in_step")


def test_a_change_is_an_update_of_the_entry_after_a_look() -> None:
    assert decide(BOOKED, RULES) == Look(MONDAY, TUESDAY)
    assert decide(BOOKED, RULES, saw(record())) == Update(entry(), spec(days=days((TUESDAY,))))


def test_an_entry_just_written_is_updated_without_a_look() -> None:
    """A search may not show it yet, and nobody can have changed it unseen."""
    at_the_lag = case(view(MOVED), entries=(entry(age=5.0),))
    assert isinstance(decide(at_the_lag, RULES), Update)
    assert isinstance(decide(case(view(MOVED), entries=(entry(age=5.1),)), RULES), Look)


def test_a_provisional_change_is_booked_at_once() -> None:
    changed = case(view(APPROVED, provisional=MOVED), entries=(entry(age=0.0),))
    assert isinstance(decide(changed, RULES), Update)


def test_a_change_that_rounds_away_costs_no_call() -> None:
    """A whole day is one day of the type, whatever its minutes."""
    by_days = rules(choices={("", CODE): TypeChoice(FLEX.id)})
    booked = case(entries=(entry(spec(type_id=FLEX.id, days=days(minutes=470))),))
    assert decide(booked, by_days) == Nothing("in_step")


def test_a_part_of_a_day_at_another_hour_is_an_update() -> None:
    at_nine = part_of_a_day(datetime(2027, 3, 8, 8, tzinfo=UTC), 60)
    was = spec(days=(Day(MONDAY, 60, whole=False, start=time(13, 0)),))
    booked = case(view(at_nine), entries=(entry(was, age=0.0),))
    assert isinstance(decide(booked, RULES), Update)


def test_a_requested_entry_becomes_an_approved_one() -> None:
    booked = case(entries=(entry(spec(status=EntryStatus.REQUESTED), age=0.0),))
    assert decide(booked, RULES) == Update(booked.entries[0], spec())


def test_a_booked_request_back_to_pending_is_kept() -> None:
    """Only DENIED and CANCELED remove; the agent's edit waits for its approval."""
    assert decide(case(view(content("PENDING")), entries=(entry(),)), RULES) == Nothing(
        "kept_though_not_exported"
    )


def test_another_employee_is_an_operators_decision() -> None:
    hold = held(decide(case(entries=(entry(),), linked_employee_id="158"), RULES), "link_changed")
    assert [side["id"] for side in hold.detail["booked"]] == ["700"]


def test_a_lost_link_leaves_a_live_entry_alone() -> None:
    assert decide(case(entries=(entry(),), linked_employee_id=None), RULES) == Nothing("in_step")


@pytest.mark.parametrize("choice", [TypeChoice(FLEX.id), TypeChoice(VACATION.id, "other")])
def test_another_type_is_an_operators_decision(choice: TypeChoice) -> None:
    held(decide(case(entries=(entry(),)), rules(choices={("", CODE): choice})), "type_changed")


def test_a_vanished_mapping_cancels_nothing() -> None:
    hold = held(decide(case(entries=(entry(),)), rules(choices={})), "mapping_vanished")
    assert hold.detail["activity_code_id"] == CODE
    assert [side["id"] for side in hold.detail["booked"]] == ["700"]


def test_a_vanished_type_cancels_nothing() -> None:
    held(decide(case(entries=(entry(),)), rules(types={})), "unknown_type")


def test_a_404_cancels_nothing() -> None:
    gone = view(APPROVED, missing=True)
    hold = held(decide(case(gone, entries=(entry(),)), RULES), "gone_from_genesys")
    assert [side["id"] for side in hold.detail["booked"]] == ["700"]
    assert decide(case(gone), RULES) == Nothing("gone_from_genesys")
    assert decide(case(gone, entries=(entry(live=False),)), RULES) == Nothing("gone_from_genesys")


@pytest.mark.parametrize("nothing", [content(duration_minutes=(0,)), content(payable_minutes=(0,))])
def test_no_minutes_left_of_a_booked_request_cancels_nothing(nothing: RequestContent) -> None:
    held(decide(case(view(nothing), entries=(entry(),)), RULES), "no_minutes_left")


def test_broken_days_of_a_booked_request_cancel_nothing() -> None:
    broken = content(duration_minutes=(1, 2))
    hold = held(decide(case(view(broken), entries=(entry(),)), RULES), "minutes_mismatch")
    assert hold.detail["booked"]


def test_an_hris_that_cannot_update_gets_no_update() -> None:
    held(decide(BOOKED, rules({"update_mode": UpdateMode.NONE}), saw(record())), "update_unsupported")


def test_an_hris_that_edits_in_place_gets_the_same_update() -> None:
    in_place = rules({"update_mode": UpdateMode.IN_PLACE})
    assert isinstance(decide(BOOKED, in_place, saw(record())), Update)


def test_a_frozen_day_stops_an_update_to_it() -> None:
    frozen = replace(BOOKED, frozen=frozenset({TUESDAY}))
    held(decide(frozen, RULES, saw(record())), "overlaps_unsettled_doubt")


# -- people act too ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ((record(amounts={MONDAY: "4"}),), "changed_in_hris"),
        ((record(status=EntryStatus.REQUESTED),), "changed_in_hris"),
        ((record(type_id="84"),), "changed_in_hris"),
        ((record(status=EntryStatus.CANCELLED),), "cancelled_in_hris"),
        ((record(status=EntryStatus.DENIED),), "denied_in_hris"),
        ((record(status=EntryStatus.SUPERSEDED), record("701")), "replaced_in_hris"),
        ((), "lost_in_hris"),
        ((record("701"),), "lost_in_hris"),
    ],
)
def test_what_a_person_did_to_an_entry_is_never_undone_by_an_update(
    seen: tuple[HrisEntry, ...], reason: str
) -> None:
    hold = held(decide(BOOKED, RULES, saw(*seen)), reason)
    assert hold.detail["wanted"]["minutes"] == {"2027-03-09": 480}
    assert [side["id"] for side in hold.detail["booked"]] == ["700"]
    assert [side["id"] for side in hold.detail.get("hris", [])] == [found.vendor_id for found in seen]


def test_an_entry_that_a_person_made_equal_is_in_step_again() -> None:
    """The advice for a held change is to make both sides equal and retry: that must help."""
    corrected = record(amounts={TUESDAY: "8"})
    assert decide(BOOKED, RULES, saw(corrected)) == Adopt(corrected, spec(days=days((TUESDAY,))), 1)


def test_an_entry_that_is_equal_but_over_is_not_in_step() -> None:
    over = record(amounts={TUESDAY: "8"}, status=EntryStatus.CANCELLED)
    held(decide(BOOKED, RULES, saw(over)), "cancelled_in_hris")


def test_done_by_hand_is_adopted_where_it_is_found() -> None:
    case_ = case(done_by_hand=True)
    assert decide(case_, RULES) == Look(MONDAY, MONDAY)
    assert decide(case_, RULES, saw(record("9001"))) == Adopt(record("9001"), spec(), 1)


def test_done_by_hand_is_closed_where_nothing_is_found_and_never_written() -> None:
    assert decide(case(done_by_hand=True), RULES, saw()) == Nothing("done_by_hand")


def test_a_change_done_by_hand_is_adopted_or_closed_and_never_written() -> None:
    by_hand = replace(BOOKED, done_by_hand=True)
    assert decide(by_hand, RULES) == Look(MONDAY, TUESDAY)
    made = record("9001", {TUESDAY: "8"})
    assert decide(by_hand, RULES, saw(record(), made)) == Adopt(made, spec(days=days((TUESDAY,))), 1)
    assert decide(by_hand, RULES, saw(record())) == Nothing("done_by_hand")
    twice = saw(made, replace(made, vendor_id="9002"))
    assert decide(by_hand, RULES, twice) == Nothing("done_by_hand")


def test_a_fresh_entry_of_a_request_done_by_hand_is_looked_for_all_the_same() -> None:
    fresh = case(view(MOVED), entries=(entry(age=0.0),), done_by_hand=True)
    assert isinstance(decide(fresh, RULES), Look)


def test_a_removal_done_by_hand_writes_nothing() -> None:
    removed = case(view(DENIED), entries=(entry(),), done_by_hand=True)
    assert decide(removed, RULES, saw(record())) == Nothing("done_by_hand")


# -- cancel -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["DENIED", "CANCELED"])
def test_a_confirmed_removal_cancels_the_entry_after_a_look(status: str) -> None:
    removed = case(view(content(status)), entries=(entry(),))
    assert decide(removed, RULES) == Look(MONDAY, MONDAY)
    decision = decide(removed, RULES, saw(record()))
    assert decision == Cancel(entry(), f"{status.lower()} in Genesys")


def test_the_look_before_a_cancel_is_where_the_entry_is_and_not_the_request() -> None:
    removed = case(view(content("DENIED", dates=(TUESDAY,))), entries=(entry(),))
    assert decide(removed, RULES) == Look(MONDAY, MONDAY)


@pytest.mark.parametrize("status", ["DENIED", "CANCELED"])
@pytest.mark.parametrize("seen", [None, saw(record())])
def test_a_cancel_is_never_provisional(status: str, seen: Sighting | None) -> None:
    heard = case(view(APPROVED, provisional=content(status)), entries=(entry(age=0.0),))
    assert decide(heard, RULES, seen) == Wait("removal_unconfirmed")


def test_a_removal_that_something_newer_casts_doubt_on_waits() -> None:
    doubtful = case(view(DENIED, unconfirmed=True), entries=(entry(),))
    assert decide(doubtful, RULES, saw(record())) == Wait("removal_unconfirmed")


def test_a_denied_notification_whose_read_says_approved_cancels_nothing() -> None:
    assert decide(case(view(APPROVED, version=2), entries=(entry(),)), RULES) == Nothing("in_step")


def test_a_fresh_entry_is_cancelled_without_a_look() -> None:
    removed = case(view(DENIED), entries=(entry(age=1.0),))
    assert isinstance(decide(removed, RULES), Cancel)


@pytest.mark.parametrize("status", [EntryStatus.CANCELLED, EntryStatus.DENIED])
def test_an_entry_that_ended_already_is_noted_and_not_cancelled_again(status: EntryStatus) -> None:
    removed = case(view(DENIED), entries=(entry(),))
    assert decide(removed, RULES, saw(record(status=status))) == Gone(entry(), "cancelled_in_hris")


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ((record(amounts={MONDAY: "4"}),), "changed_in_hris"),
        ((record(status=EntryStatus.SUPERSEDED), record("701")), "replaced_in_hris"),
        ((), "lost_in_hris"),
    ],
)
def test_an_entry_that_a_person_changed_is_not_cancelled_over_their_head(
    seen: tuple[HrisEntry, ...], reason: str
) -> None:
    held(decide(case(view(DENIED), entries=(entry(),)), RULES, saw(*seen)), reason)


def test_an_hris_that_cannot_cancel_gets_no_cancel() -> None:
    removed = case(view(DENIED), entries=(entry(),))
    held(decide(removed, rules({"cancel_mode": CancelMode.NONE}), saw(record())), "cancel_unsupported")


def test_a_cancel_needs_neither_mapping_nor_employee() -> None:
    removed = case(view(DENIED), entries=(entry(),), linked_employee_id=None)
    assert isinstance(decide(removed, rules(choices={}), saw(record())), Cancel)


def test_every_live_entry_of_a_removed_request_is_cancelled_one_by_one() -> None:
    first, second = entry(booking=1, age=0.0), entry(booking=2, vendor_id="800", age=0.0)
    assert decide(case(view(DENIED), entries=(first, second)), RULES) == Cancel(
        first, "denied in Genesys", more=True
    )
    one_left = (replace(first, live=False), second)
    assert decide(case(view(DENIED), entries=one_left), RULES) == Cancel(second, "denied in Genesys")
    none_left = (replace(first, live=False), replace(second, live=False))
    assert decide(case(view(DENIED), entries=none_left), RULES) == Nothing("removed")


# -- bookings ---------------------------------------------------------------------------------------------


def test_approved_again_after_a_cancel_is_a_new_booking() -> None:
    ended = case(entries=(entry(live=False),), booking=1, writes=2)
    assert decide(ended, RULES) == Insert(spec(), 2)


def test_and_again_the_next_number() -> None:
    ended = case(entries=(entry(live=False), entry(booking=2, live=False)), booking=2)
    assert decide(ended, RULES) == Insert(spec(), 3)


def test_a_try_that_was_not_written_keeps_its_number() -> None:
    assert decide(case(entries=(entry(live=False),), booking=2), RULES) == Insert(spec(), 2)
    assert decide(case(booking=1, writes=1, doubted=True), RULES) == Insert(spec(), 1)


def test_a_new_booking_is_not_taken_for_the_old_one() -> None:
    again = case(entries=(entry(live=False),), booking=1, look_first=True)
    ours = record("9001", marker=key(2).marker)
    assert decide(again, RULES, saw(ours)) == Adopt(ours, spec(), 2)


def test_an_insert_after_a_failure_starts_with_a_look() -> None:
    assert isinstance(decide(case(look_first=True, writes=1, attempts=3), RULES), Look)


# -- purity and privacy -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sighting", [None, saw(), saw(record()), saw(record(amounts={MONDAY: "4"})), saw(record("9001"))]
)
@pytest.mark.parametrize("look_first", [False, True])
@pytest.mark.parametrize("entries", [(), (entry(),), (entry(live=False),)])
@pytest.mark.parametrize("of", [APPROVED, MOVED, DENIED, content("X"), content(duration_minutes=(9, 9))])
def test_a_look_is_asked_for_once_and_no_hold_shows_notes(
    of: RequestContent, entries: tuple[Any, ...], look_first: bool, sighting: Sighting | None
) -> None:
    secret = of.model_copy(update={"notes": "knee surgery"})
    now = case(view(secret), entries=entries, look_first=look_first)
    decision = decide(now, rules(copy_notes=True), sighting)
    assert sighting is None or not isinstance(decision, Look), "a second look would never end"
    if isinstance(decision, Hold):
        assert "surgery" not in repr(decision)
    assert decide(now, rules(copy_notes=True), sighting) == decision


@pytest.mark.parametrize(
    ("found", "on", "answer"),
    [
        (record(amounts={MONDAY: "8"}), MONDAY, True),
        (record(amounts={MONDAY: "8"}), TUESDAY, False),
        (record(amounts={}, first_day=MONDAY, last_day=TUESDAY), TUESDAY, True),
        (record(amounts={}, first_day=MONDAY, last_day=MONDAY), TUESDAY, False),
    ],
)
def test_a_record_touches_the_days_it_takes_time_on(found: HrisEntry, on: date, answer: bool) -> None:
    assert touches(found, {on}) is answer


def test_nothing_is_written_for_another_employee_than_the_lane_looks_at() -> None:
    """Looks and fences are the lane's: the request moves to the lane of its employee first."""
    assert decide(case(employee_id="1", linked_employee_id=EMPLOYEE), RULES) == Wait("link_moved", 2.0)


def test_an_unsettled_doubt_holds_whatever_genesys_says_by_now() -> None:
    for status in ("APPROVED", "PENDING", "DENIED", "CANCELED"):
        decision = decide(case(view(content(status)), unsettled=True), RULES)
        assert isinstance(decision, Hold)
        assert decision.reason == "unsettled_doubt"

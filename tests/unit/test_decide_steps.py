"""Requests that take several writes, and writes that take their time: one step after the other, none lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import (
    MONDAY,
    TUESDAY,
    case,
    content,
    days,
    entry,
    key,
    record,
    rules,
    spec,
    view,
)

from timeoff.days import days_of
from timeoff.hris import units
from timeoff.hris.port import CancelMode, HrisEntry, UpdateMode
from timeoff.ledger.rows import Case, Entry
from timeoff.vocabulary import EntryKey, EntrySpec, EntryStatus
from timeoff_sync.decide import decide
from timeoff_sync.decisions import (
    Adopt,
    Cancel,
    Decision,
    Effective,
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

WEDNESDAY = MONDAY + timedelta(days=2)
REBOOKS = rules({"update_mode": UpdateMode.CANCEL_AND_CREATE})
DAILY = rules({"entry_per_day": True, "update_mode": UpdateMode.IN_PLACE})
DAILY_REBOOKS = rules({"entry_per_day": True, "update_mode": UpdateMode.CANCEL_AND_CREATE})
LATER = rules({"effective_within": 600.0})
MOVED = content(dates=(TUESDAY,))
LONG = content(dates=(MONDAY, TUESDAY, WEDNESDAY))


def saw(*entries: HrisEntry, known: frozenset[str] = frozenset({"650", "700"})) -> Sighting:
    return Sighting(entries, known)


def held(decision: Decision, reason: str) -> Hold:
    assert isinstance(decision, Hold), decision
    assert decision.reason == reason
    return decision


def day_spec(on: Any, minutes: int = 480, **changes: Any) -> EntrySpec:
    return spec(days=days((on,), minutes), **changes)


def day_entry(part: int, on: Any, minutes: int = 480, **changes: Any) -> Entry:
    fresh: dict[str, Any] = {"part": part, "vendor_id": f"70{part}", "chain": (f"70{part}",), "age": 0.0}
    return entry(day_spec(on, minutes), **(fresh | changes))


# -- cancel and create ------------------------------------------------------------------------------------


def test_a_change_is_a_cancel_and_then_a_new_booking() -> None:
    booked = case(view(MOVED), entries=(entry(),), writes=1)
    first = decide(booked, REBOOKS, saw(record()))
    assert first == Cancel(entry(), "changed in Genesys", for_change=True, more=True)
    ended = replace(booked, entries=(entry(live=False),), writes=2)
    assert decide(ended, REBOOKS) == Insert(day_spec(TUESDAY), 2)


def test_a_cancel_for_a_change_is_never_provisional() -> None:
    """It waits for the confirming read, as every cancel does, and asks Genesys, not the HRIS, again."""
    for unread in (view(provisional=MOVED), view(MOVED, unconfirmed=True)):
        waiting = decide(case(unread, entries=(entry(),)), REBOOKS)
        assert isinstance(waiting, Wait)
        assert waiting.reason == "change_unconfirmed"
        assert waiting.seconds is not None


def test_what_a_person_changed_is_not_cancelled_to_be_booked_anew() -> None:
    booked = case(view(MOVED), entries=(entry(),))
    held(decide(booked, REBOOKS, saw(record(amounts={MONDAY: "3"}))), "changed_in_hris")
    held(decide(booked, REBOOKS, saw()), "lost_in_hris")


def test_a_request_cancelled_between_the_two_writes_is_done() -> None:
    between = case(view(content("CANCELED")), entries=(entry(live=False),), writes=2)
    assert decide(between, REBOOKS) == Nothing("removed")


def test_without_a_cancel_there_is_no_cancel_and_create() -> None:
    stuck = rules({"update_mode": UpdateMode.CANCEL_AND_CREATE, "cancel_mode": CancelMode.NONE})
    held(decide(case(view(MOVED), entries=(entry(),)), stuck, saw(record())), "update_unsupported")


# -- no update, no cancel ---------------------------------------------------------------------------------


def test_a_missing_update_is_held_with_both_sides_and_adopted_when_done_by_hand() -> None:
    no_update = rules({"update_mode": UpdateMode.NONE})
    booked = case(view(MOVED), entries=(entry(),))
    hold = held(decide(booked, no_update, saw(record())), "update_unsupported")
    assert hold.detail["wanted"]["minutes"] == {TUESDAY.isoformat(): 480}
    assert hold.detail["booked"][0]["id"] == "700"
    by_hand = record(amounts={TUESDAY: "8"})
    assert decide(booked, no_update, saw(by_hand)) == Adopt(by_hand, day_spec(TUESDAY), 1)


def test_a_missing_cancel_is_held_and_noted_when_done_by_hand() -> None:
    no_cancel = rules({"cancel_mode": CancelMode.NONE})
    removed = case(view(content("CANCELED")), entries=(entry(),))
    held(decide(removed, no_cancel, saw(record())), "cancel_unsupported")
    gone = decide(removed, no_cancel, saw(record(status=EntryStatus.CANCELLED)))
    assert isinstance(gone, Gone)


@pytest.mark.parametrize(
    ("mode", "old"),
    [
        (CancelMode.STATUS, (record(status=EntryStatus.CANCELLED),)),
        (CancelMode.STATUS, (record(status=EntryStatus.SUPERSEDED),)),
        (CancelMode.DELETE, ()),
    ],
)
def test_what_a_person_booked_anew_in_the_place_of_an_entry_is_taken_over(
    mode: CancelMode, old: tuple[HrisEntry, ...]
) -> None:
    """Where nothing can be edited, that is the only way a person has."""
    cannot = rules({"update_mode": UpdateMode.NONE, "cancel_mode": mode})
    booked = case(view(MOVED), entries=(entry(),), look_first=True)
    anew = record("801", {TUESDAY: "8"})
    assert decide(booked, cannot, saw(*old, anew)) == Gone(entry(), "rebooked_in_hris", more=True)
    over = replace(booked, entries=(entry(live=False),))
    assert decide(over, cannot, saw(*old, anew)) == Adopt(anew, day_spec(TUESDAY), 2)
    for other in (record("801", {TUESDAY: "3"}), record("801", {WEDNESDAY: "8"})):
        assert isinstance(decide(booked, cannot, saw(*old, other)), Hold)


def test_a_status_that_cannot_be_booked_is_held_before_anything_is_cancelled() -> None:
    approved_only = rules(
        {"update_mode": UpdateMode.CANCEL_AND_CREATE, "insert_statuses": frozenset({EntryStatus.APPROVED})},
        exported=frozenset({"APPROVED", "PENDING"}),
    )
    back_to_pending = case(view(content("PENDING")), entries=(entry(age=0.0),), writes=1)
    held(decide(back_to_pending, approved_only), "status_unsupported")


# -- days and status apart --------------------------------------------------------------------------------

APART = rules(
    {"update_mode": UpdateMode.IN_PLACE, "status_with_days": False},
    exported=frozenset({"APPROVED", "PENDING"}),
)


def test_days_and_status_are_two_updates_where_the_hris_cannot_change_both_at_once() -> None:
    requested = entry(spec(status=EntryStatus.REQUESTED), age=0.0)
    days_first = decide(case(view(MOVED), entries=(requested,)), APART)
    assert days_first == Update(requested, day_spec(TUESDAY, status=EntryStatus.REQUESTED), more=True)
    moved = entry(day_spec(TUESDAY, status=EntryStatus.REQUESTED), age=0.0)
    assert decide(case(view(MOVED), entries=(moved,)), APART) == Update(moved, day_spec(TUESDAY))


def test_one_update_is_enough_for_days_or_status_alone() -> None:
    requested = entry(spec(status=EntryStatus.REQUESTED), age=0.0)
    assert decide(case(entries=(requested,)), APART) == Update(requested, spec())
    approved = entry(age=0.0)
    assert decide(case(view(MOVED), entries=(approved,)), APART) == Update(approved, day_spec(TUESDAY))


# -- an entry per day -------------------------------------------------------------------------------------


def test_a_request_of_three_days_is_three_inserts_one_after_the_other() -> None:
    long = case(view(LONG))
    assert decide(long, DAILY) == Insert(day_spec(MONDAY), 1, 1, more=True)
    one = replace(long, entries=(day_entry(1, MONDAY),), writes=1)
    assert decide(one, DAILY) == Insert(day_spec(TUESDAY), 1, 2, more=True)
    two = replace(long, entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY)), writes=2)
    assert decide(two, DAILY) == Insert(day_spec(WEDNESDAY), 1, 3)
    three = replace(two, entries=(*two.entries, day_entry(3, WEDNESDAY)), writes=3)
    assert decide(three, DAILY) == Nothing("in_step")


def test_a_day_that_falls_away_is_cancelled_before_another_is_added() -> None:
    moved = content(dates=(TUESDAY, WEDNESDAY))
    booked = case(view(moved), entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY)), writes=2)
    first = decide(booked, DAILY)
    assert first == Cancel(booked.entries[0], "changed in Genesys", for_change=True, more=True)
    over = replace(booked, entries=(day_entry(1, MONDAY, live=False), day_entry(2, TUESDAY)), writes=3)
    assert decide(over, DAILY) == Insert(day_spec(WEDNESDAY), 1, 3)


def test_a_day_that_was_cancelled_comes_back_under_a_name_of_its_own() -> None:
    """The vendor's key of the first record is used up."""
    again = case(view(LONG), entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY, live=False)), writes=3)
    assert decide(again, DAILY) == Insert(day_spec(TUESDAY), 1, 3, more=True)


def test_a_changed_day_is_one_update_of_its_entry() -> None:
    shorter = content(dates=(MONDAY, TUESDAY), duration_minutes=(480, 240))
    booked = case(view(shorter), entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY)), writes=2)
    decision = decide(booked, DAILY)
    assert isinstance(decision, Update)
    assert (decision.entry.part, decision.spec.days[0].minutes, decision.more) == (2, 240, False)


def test_a_changed_day_is_cancelled_and_booked_again_where_nothing_can_be_edited() -> None:
    shorter = content(dates=(MONDAY, TUESDAY), duration_minutes=(480, 240))
    booked = case(view(shorter), entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY)), writes=2)
    assert isinstance(decide(booked, DAILY_REBOOKS), Cancel)
    over = replace(booked, entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY, live=False)), writes=3)
    decision = decide(over, DAILY_REBOOKS)
    assert isinstance(decision, Insert)
    assert (decision.booking, decision.part, decision.spec.first_day) == (1, 3, TUESDAY)


def test_every_day_of_a_removed_request_is_cancelled() -> None:
    removed = case(view(content("DENIED")), entries=(day_entry(1, MONDAY), day_entry(2, TUESDAY)), writes=2)
    assert decide(removed, DAILY) == Cancel(removed.entries[0], "denied in Genesys", more=True)
    left = replace(removed, entries=(day_entry(1, MONDAY, live=False), day_entry(2, TUESDAY)))
    assert decide(left, DAILY) == Cancel(left.entries[1], "denied in Genesys")


def test_one_day_that_a_person_changed_holds_the_request_before_any_day_is_touched() -> None:
    old = (day_entry(1, MONDAY, age=3600.0), day_entry(2, TUESDAY, age=3600.0))
    seen = saw(record("701"), record("702", {TUESDAY: "2"}), known=frozenset({"701", "702"}))
    removed = case(view(content("DENIED")), entries=old, writes=2)
    assert decide(removed, DAILY) == Look(MONDAY, TUESDAY)
    held(decide(removed, DAILY, seen), "changed_in_hris")
    moved = content(dates=(WEDNESDAY,))
    held(decide(case(view(moved), entries=old, writes=2), DAILY, seen), "changed_in_hris")


def test_days_booked_by_hand_are_adopted_one_by_one() -> None:
    first_sight = case(view(content(dates=(MONDAY, TUESDAY))), look_first=True)
    hand = (record("801"), record("802", {TUESDAY: "8"}))
    adopted = decide(first_sight, DAILY, saw(*hand))
    assert adopted == Adopt(hand[0], day_spec(MONDAY), 1, 1, more=True)
    one = replace(first_sight, entries=(entry(day_spec(MONDAY), vendor_id="801"),))
    assert decide(one, DAILY) == Look(MONDAY, TUESDAY)
    second = decide(one, DAILY, saw(*hand, known=frozenset({"801"})))
    assert second == Adopt(hand[1], day_spec(TUESDAY), 1, 2)


def test_a_request_that_is_booked_by_hand_in_part_is_for_a_person() -> None:
    """Adopt or hold: to add the other day would be a guess."""
    first_sight = case(view(content(dates=(MONDAY, TUESDAY))), look_first=True)
    held(decide(first_sight, DAILY, saw(record("801"))), "overlap")


def test_a_day_of_ours_that_the_ledger_lost_is_found_by_its_mark_and_the_rest_is_added() -> None:
    first_sight = case(view(content(dates=(MONDAY, TUESDAY))), look_first=True, writes=2)
    second_part = EntryKey(key().deployment, key().org, key().request_id, 1, 2)
    ours = record("802", {TUESDAY: "8"}, marker=second_part.marker)
    assert decide(first_sight, DAILY, saw(ours)) == Adopt(ours, day_spec(TUESDAY), 1, 2, more=True)


def test_an_entry_from_before_the_hris_took_days_apart_is_for_a_person() -> None:
    whole = entry(spec(days=days((MONDAY, TUESDAY))), age=0.0)
    held(decide(case(view(LONG), entries=(whole,)), DAILY), "update_unsupported")
    still_right = case(view(content(dates=(MONDAY, TUESDAY))), entries=(whole,))
    assert decide(still_right, DAILY) == Nothing("in_step")


def test_entries_from_when_the_hris_took_days_apart_are_for_a_person() -> None:
    """To make one of them the whole request would book the other days twice."""
    parts = (day_entry(1, MONDAY), day_entry(2, TUESDAY))
    held(decide(case(view(LONG), entries=parts, writes=2), rules()), "update_unsupported")


def test_a_part_written_just_now_is_not_missed_in_a_search_that_cannot_show_it_yet() -> None:
    two = (day_entry(1, MONDAY, age=3600.0), day_entry(2, TUESDAY, age=1.0))
    removed = case(view(content("CANCELED", dates=(MONDAY, TUESDAY))), entries=two, writes=2)
    assert isinstance(decide(removed, DAILY), Look)
    assert isinstance(decide(removed, DAILY, saw(record("701"), known=frozenset({"701", "702"}))), Cancel)


def test_a_day_that_rounds_to_nothing_is_no_entry() -> None:
    sliver = content(dates=(MONDAY, TUESDAY), full_day=True, duration_minutes=(480, 0))
    assert decide(case(view(sliver)), DAILY) == Insert(day_spec(MONDAY), 1)


# -- accepted, in effect later ----------------------------------------------------------------------------


def accepted(says: EntrySpec | None = None, **changes: Any) -> Entry:
    return entry(says, **({"effective": False, "age": 5.0} | changes))


def test_an_accepted_write_is_read_until_it_shows() -> None:
    waiting = case(entries=(accepted(),), writes=1)
    assert decide(waiting, LATER) == Look(MONDAY, MONDAY)
    for not_yet in (saw(record(status=EntryStatus.REQUESTED)), saw()):
        decision = decide(waiting, LATER, not_yet)
        assert isinstance(decision, Wait), decision
        assert decision.reason == "not_yet_effective"
        assert decision.seconds == pytest.approx(12.0)
    assert decide(waiting, LATER, saw(record())) == Effective(accepted())


def test_an_accepted_write_that_never_shows_goes_to_a_person() -> None:
    late = case(entries=(accepted(age=601.0),), writes=1)
    held(decide(late, LATER, saw()), "not_yet_effective")
    assert decide(late, LATER, saw(record())) == Effective(accepted(age=601.0)), "late is better than never"


def test_an_accepted_write_that_the_vendor_then_denied_goes_to_a_person() -> None:
    waiting = case(entries=(accepted(),), writes=1)
    held(decide(waiting, LATER, saw(record(status=EntryStatus.DENIED))), "denied_in_hris")


def test_an_accepted_request_that_is_still_on_its_way_is_not_in_effect() -> None:
    """It says already what was asked for, where a mere request was."""
    exported = rules({"effective_within": 600.0}, exported=frozenset({"APPROVED", "PENDING"}))
    asked = accepted(spec(status=EntryStatus.REQUESTED))
    waiting = case(view(content("PENDING")), entries=(asked,), writes=1)
    requested = record(status=EntryStatus.REQUESTED)
    assert isinstance(decide(waiting, exported, saw(replace(requested, changing=True))), Wait)
    assert decide(waiting, exported, saw(requested)) == Effective(asked)


@pytest.mark.parametrize("seen", [(), (record(status=EntryStatus.DENIED),)])
def test_an_accepted_write_that_a_person_saw_to_is_closed(seen: tuple[HrisEntry, ...]) -> None:
    late = case(entries=(accepted(age=601.0),), done_by_hand=True, writes=1)
    assert decide(late, LATER, saw(*seen)) == Nothing("done_by_hand")


def test_a_denied_part_of_a_removed_request_hides_no_other_part() -> None:
    daily = rules({"entry_per_day": True, "effective_within": 600.0, "update_mode": UpdateMode.IN_PLACE})
    parts = (day_entry(1, MONDAY, age=3600.0), day_entry(2, TUESDAY, age=5.0, effective=False))
    removed = case(view(content("CANCELED", dates=(MONDAY, TUESDAY))), entries=parts, writes=2)
    assert decide(removed, daily) == Look(MONDAY, TUESDAY)
    seen = saw(record("701"), record("702", {TUESDAY: "8"}, status=EntryStatus.DENIED))
    assert decide(removed, daily, seen) == Gone(parts[1], "cancelled_in_hris", more=True)


def test_nothing_else_is_written_while_a_write_is_on_its_way() -> None:
    for seen in (content("CANCELED"), MOVED, content("PENDING")):
        waiting = case(view(seen), entries=(accepted(),), writes=1)
        assert decide(waiting, LATER) == Look(MONDAY, MONDAY)
        decision = decide(waiting, LATER, saw(record(status=EntryStatus.REQUESTED)))
        assert isinstance(decision, Wait), decision


def test_a_removed_request_whose_accepted_write_was_denied_is_done() -> None:
    waiting = case(view(content("CANCELED")), entries=(accepted(),), writes=1)
    gone = decide(waiting, LATER, saw(record(status=EntryStatus.DENIED)))
    assert isinstance(gone, Gone)


def test_an_accepted_cancel_is_read_until_the_record_has_ended() -> None:
    ending = accepted(live=False)
    waiting = case(view(content("CANCELED")), entries=(ending,), writes=2)
    decision = decide(waiting, LATER, saw(record(changing=True)))
    assert isinstance(decision, Wait)
    assert decide(waiting, LATER, saw(record(status=EntryStatus.CANCELLED))) == Effective(ending)
    assert isinstance(decide(waiting, LATER, saw()), Wait), "not to be seen is not cancelled"
    deleting = rules({"effective_within": 600.0, "cancel_mode": CancelMode.DELETE})
    assert decide(waiting, deleting, saw()) == Effective(ending)


# -- all of it --------------------------------------------------------------------------------------------


class Vendor:
    """What an HRIS of the rules' kind would hold after each step; the least that can play along."""

    def __init__(self, of: Rules) -> None:
        self.rules = of
        self.entries: list[Entry] = []
        self.writes = 0

    def carry_out(self, decision: Decision) -> None:
        self.writes += 1
        match decision:
            case Insert(what, booking, part):
                names = {(e.booking, e.part) for e in self.entries}
                assert (booking, part) not in names, "a name is used once"
                vendor_id = str(900 + self.writes)
                self.entries.append(
                    entry(what, booking=booking, part=part, vendor_id=vendor_id, chain=(vendor_id,), age=0.0)
                )
            case Update(old, what):
                self._replace(old, replace(old, spec=what, fingerprint=what.fingerprint))
            case Cancel(old):
                self._replace(old, replace(old, live=False))
            case _:
                raise AssertionError(decision)
        if self.rules.capabilities.entry_per_day:
            assert all(len(e.spec.days) == 1 for e in self.entries)

    def _replace(self, old: Entry, new: Entry) -> None:
        self.entries = [new if e is old else e for e in self.entries]

    def amounts(self) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for each in self.entries:
            if each.live:
                for on, value in units.amounts(each.spec, self.rules.types[each.spec.type_id]).items():
                    assert on not in found, "a day booked twice"
                    found[on] = value
        return found


REQUESTS = st.tuples(
    st.sampled_from(["APPROVED", "APPROVED", "DENIED", "CANCELED"]),
    st.dictionaries(
        st.sampled_from([MONDAY + timedelta(days=n) for n in range(4)]),
        st.sampled_from([60, 240, 480]),
        min_size=1,
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([REBOOKS, DAILY, DAILY_REBOOKS, rules(), rules({"update_mode": UpdateMode.IN_PLACE})]),
    st.lists(REQUESTS, min_size=1, max_size=5),
    st.data(),
)
def test_steps_lead_to_what_is_wanted_whenever_it_changes(
    of: Rules, versions: list[Any], data: st.DataObject
) -> None:
    """Versions come between any two steps. In the end the HRIS says the last one; `more` told no lies."""
    vendor = Vendor(of)
    for number, (status, minutes) in enumerate(versions):
        asked = content(
            status, tuple(sorted(minutes)), duration_minutes=tuple(minutes[on] for on in sorted(minutes))
        )
        steps = data.draw(st.integers(0, 6)) if number < len(versions) - 1 else 50
        finished, more = False, True
        for _ in range(steps):
            booking = max((e.booking for e in vendor.entries), default=1)
            now: Case = case(
                view(asked), entries=tuple(vendor.entries), booking=booking, writes=vendor.writes
            )
            decision = decide(now, of)
            if isinstance(decision, Nothing):
                finished = True
                break
            assert more, "a step said that it was the last one, and was not"
            more = bool(getattr(decision, "more", False))
            vendor.carry_out(decision)
        if number == len(versions) - 1:
            assert finished
            wanted = status == "APPROVED"
            whole = spec(days=days_of(asked, now.view.zone, "payable"))
            expected = units.amounts(whole, of.types[whole.type_id]) if wanted else {}
            assert vendor.amounts() == expected

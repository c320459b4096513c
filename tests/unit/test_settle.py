"""What a search after a doubt proves: a write is repeated only when it certainly did not take place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import (
    CAPABILITIES,
    MONDAY,
    TUESDAY,
    VACATION,
    after,
    days,
    intent,
    key,
    record,
    spec,
)

from timeoff.hris.port import CancelMode, ExternalKey, HrisEntry, TimeOffType, UpdateMode
from timeoff.ledger.rows import Intent
from timeoff.vocabulary import EntrySpec, EntryStatus
from timeoff_sync.settle import (
    Again,
    Ended,
    LookAgain,
    NotWritten,
    PastLook,
    Patience,
    Settlement,
    Unsettled,
    Written,
    settle,
)

#: The deadline of the intent (15 s) and the adapter's read lag (5 s) have passed.
RIPE = after(20)
PATIENCE = Patience(waits=(0.0, 5.0, 15.0), empty_wait=60.0, settle_without_known_record=True, most_looks=4)
MARKER = key().marker
KNOWN = frozenset({"500", "700"})
#: A record of this employee that the ledger holds: whoever sees it sees the employee.
OTHER = record("500", {TUESDAY: "8"}, marker="wfm:0000000000000000")
#: The write in doubt, as the HRIS shows it.
OURS = record("900", marker=MARKER, revision=2)
PREDECESSOR = record("700", {MONDAY: "4"}, marker=MARKER, revision=1)


def looked(
    doubt: Intent,
    *seen: HrisEntry,
    began: datetime = RIPE,
    past: Sequence[PastLook] = (),
    known: frozenset[str] = KNOWN,
    mode: UpdateMode = UpdateMode.REPLACE_NEW_ID,
    type_: TimeOffType | None = VACATION,
    announced: Sequence[EntrySpec] = (),
    capabilities: Mapping[str, Any] | None = None,
    **patience: Any,
) -> Settlement:
    return settle(
        doubt,
        MARKER,
        seen,
        known,
        began,
        past,
        replace(CAPABILITIES, **({"update_mode": mode} | dict(capabilities or {}))),
        type_,
        replace(PATIENCE, **patience),
        announced,
    )


def proven(at: datetime = RIPE) -> PastLook:
    return PastLook(at, proven=True)


def empty(at: datetime = RIPE) -> PastLook:
    return PastLook(at, proven=False)


# -- insert: seen -----------------------------------------------------------------------------------------


def test_a_record_with_our_mark_is_the_write_whenever_it_is_seen() -> None:
    assert looked(intent(), OURS, began=after(1)) == Written("900")
    assert looked(intent(), OURS, OTHER) == Written("900")


def test_a_write_that_somebody_ended_since_was_written_all_the_same() -> None:
    """Not to be written again: a person cancelled it."""
    over = replace(OURS, status=EntryStatus.CANCELLED)
    assert looked(intent(), over) == Written("900", live=False)


def test_a_mark_without_number_is_enough() -> None:
    assert looked(intent(), replace(OURS, revision=None)) == Written("900")


@pytest.mark.parametrize(
    "other",
    [
        replace(OURS, marker=None, revision=None),
        replace(OURS, marker=key(2).marker),
        replace(OURS, marker="wfm:ffffffffffffffff"),
    ],
)
def test_a_record_without_our_mark_is_not_the_write_even_if_it_says_the_same(other: HrisEntry) -> None:
    """Leave booked by hand meanwhile: it is for the next decision to compare."""
    assert looked(intent(), other, OTHER, past=[proven()]) == NotWritten()


def test_a_record_that_the_ledger_knows_is_an_earlier_write() -> None:
    earlier = replace(OURS, vendor_id="700")
    assert looked(intent(), earlier, past=[proven()]) == NotWritten()


def test_two_records_with_our_mark_are_for_a_person() -> None:
    assert looked(intent(), OURS, replace(OURS, vendor_id="901")) == Unsettled("several")


def test_one_record_listed_twice_is_one() -> None:
    assert looked(intent(), OURS, OURS) == Written("900")


def test_a_record_of_an_earlier_try_that_came_late_is_not_booked_beside() -> None:
    """Both tries carry the mark of one booking: writing once more would make two of it."""
    late = replace(OURS, revision=1)
    assert looked(intent(), late, OTHER, past=[proven()]) == Written("900")
    assert looked(intent(), late, OTHER, began=after(1)) == LookAgain(5.0), "the last try may show up yet"


def test_an_earlier_try_that_says_something_else_is_for_a_person() -> None:
    late = record("900", {MONDAY: "4"}, marker=MARKER, revision=1)
    assert looked(intent(), late, OTHER, past=[proven()]) == Unsettled("several")
    twice = (replace(OURS, revision=1), replace(OURS, vendor_id="901", revision=0))
    assert looked(intent(), *twice, past=[proven()]) == Unsettled("several")
    assert looked(intent(), replace(OURS, revision=1), past=[proven()], type_=None) == Unsettled("several")


def test_an_earlier_try_that_is_over_does_not_stand_in_the_way() -> None:
    over = replace(OURS, revision=1, status=EntryStatus.CANCELLED)
    assert looked(intent(), over, OTHER, past=[proven()]) == NotWritten()


# -- insert: not seen -------------------------------------------------------------------------------------


def test_two_looks_that_saw_a_known_record_prove_that_nothing_was_written() -> None:
    assert looked(intent(), OTHER) == LookAgain(5.0)
    assert looked(intent(), OTHER, past=[proven()], began=after(25)) == NotWritten()


def test_a_look_before_the_deadline_and_the_lag_proves_no_absence() -> None:
    """The call may still be on its way, and the search may lag behind it."""
    for seconds in (0.0, 14.9, 15.0, 19.999):
        early = looked(intent(), OTHER, began=after(seconds), past=[proven(after(1)), proven(after(2))])
        assert isinstance(early, LookAgain)
    just_before = [proven(RIPE - timedelta(microseconds=1))]
    assert isinstance(looked(intent(), OTHER, past=just_before), LookAgain)


def test_a_second_look_that_cannot_see_proves_nothing() -> None:
    assert isinstance(looked(intent(), past=[proven()], began=after(25)), LookAgain)


def test_a_first_look_that_could_not_see_does_not_count() -> None:
    assert isinstance(looked(intent(), OTHER, past=[empty()], began=after(90)), LookAgain)


def test_looks_that_stop_seeing_end_with_a_person() -> None:
    """The search saw the employee once: empty answers now are its fault and no proof."""
    past = [proven(), empty(after(30)), empty(after(100))]
    assert looked(intent(), past=past, began=after(200)) == Unsettled("cannot_see")
    assert isinstance(looked(intent(), past=past[:2], began=after(200)), LookAgain)


def test_an_employee_without_any_record_takes_two_empty_looks_far_apart() -> None:
    none: frozenset[str] = frozenset()
    assert looked(intent(), known=none) == LookAgain(60.0)
    assert looked(intent(), known=none, past=[empty()], began=after(79.9)) == LookAgain(60.0)
    assert looked(intent(), known=none, past=[empty()], began=after(80)) == NotWritten()


def test_an_empty_look_before_the_lag_is_not_the_first_of_the_two() -> None:
    assert looked(intent(), known=frozenset(), past=[empty(after(5))], began=after(90)) == LookAgain(60.0)


def test_where_the_settings_forbid_it_empty_looks_settle_nothing() -> None:
    forbidden = looked(
        intent(),
        known=frozenset(),
        past=[empty()],
        began=after(500),
        settle_without_known_record=False,
    )
    assert forbidden == Unsettled("no_known_record")


def test_a_record_that_nobody_knows_proves_nothing_about_the_search() -> None:
    stranger = record("9001", {TUESDAY: "8"})
    assert looked(intent(), stranger, known=frozenset()) == LookAgain(60.0)


# -- update -----------------------------------------------------------------------------------------------


def test_a_replacement_is_found_by_its_mark_and_number() -> None:
    superseded = replace(PREDECESSOR, status=EntryStatus.SUPERSEDED)
    assert looked(intent("update"), superseded, OURS) == Written("900")


def test_the_replacement_of_an_earlier_write_is_not_this_one() -> None:
    earlier = replace(OURS, vendor_id="800", revision=1)
    assert looked(intent("update"), PREDECESSOR, earlier, past=[proven()]) == NotWritten()


def test_a_predecessor_seen_twice_unchanged_proves_that_nothing_was_written() -> None:
    assert isinstance(looked(intent("update"), PREDECESSOR), LookAgain)
    assert looked(intent("update"), PREDECESSOR, past=[proven()], began=after(25)) == NotWritten()


def test_a_superseded_predecessor_is_no_proof_of_absence() -> None:
    """It was replaced, only the new record does not show yet: a repeat would make two."""
    superseded = replace(PREDECESSOR, status=EntryStatus.SUPERSEDED)
    past = [proven(), proven(after(30))]
    assert isinstance(looked(intent("update"), superseded, past=past, began=after(60)), LookAgain)
    past.append(proven(after(60)))
    assert looked(intent("update"), superseded, past=past, began=after(90)) == Unsettled("predecessor_gone")


def test_a_vendor_that_edits_shows_the_change_in_the_record_itself() -> None:
    edited = record("700")
    assert looked(intent("update"), edited, mode=UpdateMode.IN_PLACE, began=after(1)) == Written("700")


def test_a_vendor_that_replaces_may_change_a_mere_status_in_place() -> None:
    assert looked(intent("update"), record("700"), began=after(1)) == Written("700")


def test_an_edit_is_not_found_by_somebody_elses_record() -> None:
    same_words = record("9001", marker=MARKER, revision=2)
    seen = (PREDECESSOR, same_words)
    assert looked(intent("update"), *seen, mode=UpdateMode.IN_PLACE, past=[proven()]) == NotWritten()


def test_an_edit_not_seen_twice_was_not_made() -> None:
    in_place = UpdateMode.IN_PLACE
    assert isinstance(looked(intent("update"), PREDECESSOR, mode=in_place), LookAgain)
    assert looked(intent("update"), PREDECESSOR, mode=in_place, past=[proven()]) == NotWritten()


def test_without_the_type_an_edit_is_not_recognised() -> None:
    assert isinstance(looked(intent("update"), record("700"), type_=None), LookAgain)


# -- cancel -----------------------------------------------------------------------------------------------

CANCELS = pytest.mark.parametrize("kind", ["cancel", "cancel_twin", "cancel_for_change"])


@CANCELS
@pytest.mark.parametrize("status", [EntryStatus.CANCELLED, EntryStatus.DENIED, EntryStatus.SUPERSEDED])
def test_a_record_that_is_no_longer_live_is_cancelled(kind: str, status: EntryStatus) -> None:
    assert looked(intent(kind), record(status=status), began=after(1)) == Ended()


@CANCELS
@pytest.mark.parametrize("status", [EntryStatus.APPROVED, EntryStatus.REQUESTED])
def test_a_live_record_is_cancelled_again_once_the_first_call_cannot_act(
    kind: str, status: EntryStatus
) -> None:
    live = record(status=status)
    assert isinstance(looked(intent(kind), live, began=after(19)), LookAgain)
    assert looked(intent(kind), live) == Again()


@CANCELS
def test_a_deleted_record_is_proven_by_two_looks_that_saw_others(kind: str) -> None:
    assert isinstance(looked(intent(kind), OTHER), LookAgain)
    assert looked(intent(kind), OTHER, past=[proven()], began=after(25)) == Ended()


@CANCELS
def test_absence_is_no_proof_where_the_search_shows_nothing_known(kind: str) -> None:
    past = [proven(), empty(after(30)), empty(after(40))]
    assert isinstance(looked(intent(kind), past=past[:2], began=after(50)), LookAgain)
    assert looked(intent(kind), past=past, began=after(50)) == Unsettled("cannot_see")


@CANCELS
def test_absence_before_the_deadline_is_no_proof(kind: str) -> None:
    assert isinstance(looked(intent(kind), OTHER, began=after(19), past=[proven(after(18))]), LookAgain)
    assert isinstance(looked(intent(kind), OTHER, past=[proven(after(18))]), LookAgain)


def test_a_counter_entry_is_not_booked_again_on_one_look() -> None:
    """Two of them would give the employee more than was taken."""
    counters = {"cancel_mode": CancelMode.COUNTER_ENTRY}
    live = record()
    assert isinstance(looked(intent("cancel"), live, capabilities=counters), LookAgain)
    early = [proven(after(18))]
    assert isinstance(looked(intent("cancel"), live, past=early, capabilities=counters), LookAgain)
    assert looked(intent("cancel"), live, past=[proven()], capabilities=counters) == Again()
    ended = record(status=EntryStatus.CANCELLED)
    assert looked(intent("cancel"), ended, capabilities=counters) == Ended()


def test_a_delete_is_completed_forward_where_absence_cannot_be_proven() -> None:
    """To delete what is gone does no harm, and its answer is clear."""
    deletes = {"cancel_mode": CancelMode.DELETE}
    assert isinstance(looked(intent("cancel"), capabilities=deletes), LookAgain)
    assert looked(intent("cancel"), past=[empty()], began=after(30), capabilities=deletes) == Again()


# -- keys that the vendor guards --------------------------------------------------------------------------

GUARDED = {"external_key": ExternalKey.UNIQUE}


def test_an_insert_under_a_guarded_key_is_repeated_when_reads_have_caught_up() -> None:
    """Whichever arrives second is refused: one record, whatever is late; no deadline has to pass."""
    assert looked(intent(), began=after(1), capabilities=GUARDED) == LookAgain(5.0)
    past = [empty(after(1))]
    assert looked(intent(), began=after(5), past=past, capabilities=GUARDED) == LookAgain(5.0)
    assert looked(intent(), began=after(6), past=past, capabilities=GUARDED) == NotWritten()
    assert looked(intent(), OTHER, began=after(6), past=past, capabilities=GUARDED) == NotWritten()
    assert looked(intent(), replace(OURS, revision=None), capabilities=GUARDED) == Written("900")


@pytest.mark.parametrize("mode", [ExternalKey.SEARCHABLE, ExternalKey.UPSERT, ExternalKey.NONE])
def test_a_key_that_guards_nothing_shortens_nothing(mode: ExternalKey) -> None:
    """A late upsert would write its old days over the new ones."""
    assert isinstance(looked(intent(), began=after(1), capabilities={"external_key": mode}), LookAgain)


def test_an_update_under_a_guarded_key_takes_two_looks_like_any_other() -> None:
    in_place = GUARDED | {"update_mode": UpdateMode.IN_PLACE}
    assert isinstance(looked(intent("update"), PREDECESSOR, capabilities=in_place), LookAgain)


def test_an_earlier_try_that_arrived_under_the_key_is_taken_for_what_it_says() -> None:
    """The request changed between two tries: the ledger must not believe that the HRIS shows the second."""
    old = spec(days=intent("update").previous.days)  # type: ignore[union-attr]
    arrived = record("900", {MONDAY: "4"}, marker=MARKER)
    seen = looked(intent(), arrived, announced=[old, spec()], capabilities=GUARDED)
    assert seen == Written("900", spec=old)
    assert looked(intent(), arrived, announced=[spec()], capabilities=GUARDED) == Unsettled("changed")


def test_under_a_guarded_key_the_mark_is_enough_whatever_its_number() -> None:
    """One key, one record: the first try arrived, and the repeat was refused."""
    arrived = record("900", marker=MARKER, revision=1)
    now = intent(spec=spec(days=days((TUESDAY,))), write_no=3)
    seen = looked(now, arrived, announced=[spec(), now.spec], capabilities=GUARDED)  # type: ignore[list-item]
    assert seen == Written("900", spec=spec())
    assert looked(intent(write_no=3), arrived, announced=[spec()], capabilities=GUARDED) == Written("900")


def test_an_earlier_try_that_is_on_its_way_under_the_key_is_taken_for_what_it_says() -> None:
    later = GUARDED | {"effective_within": 600.0}
    now = intent(spec=spec(days=days((TUESDAY,))))
    announced: list[Any] = [spec(), now.spec]
    in_effect = record("900", marker=MARKER)
    assert looked(now, in_effect, announced=announced, capabilities=later) == Written("900", spec=spec())
    coming = replace(in_effect, status=EntryStatus.REQUESTED, changing=True)
    expected = Written("900", effective=False, spec=spec())
    assert looked(now, coming, announced=announced, capabilities=later) == expected


# -- accepted, in effect later ----------------------------------------------------------------------------

LATER = {"effective_within": 600.0}


def test_a_record_that_is_on_its_way_was_accepted() -> None:
    requested = replace(OURS, status=EntryStatus.REQUESTED)
    assert looked(intent(), requested, capabilities=LATER) == Written("900", effective=False)
    assert looked(intent(), OURS, capabilities=LATER) == Written("900")
    assert looked(intent(), requested, capabilities={}) == Written("900"), "by its number it is this write"


def test_a_request_that_says_it_all_but_is_on_its_way_was_accepted() -> None:
    wanted = intent(spec=spec(status=EntryStatus.REQUESTED))
    coming = replace(OURS, status=EntryStatus.REQUESTED, changing=True)
    assert looked(wanted, coming, capabilities=LATER) == Written("900", effective=False)


def test_a_record_whose_change_was_accepted_is_not_changed_again() -> None:
    in_place = LATER | {"update_mode": UpdateMode.IN_PLACE}
    changing = replace(PREDECESSOR, changing=True)
    assert looked(intent("update"), changing, capabilities=in_place) == Written("700", effective=False)


@CANCELS
def test_a_record_whose_cancel_was_accepted_is_not_cancelled_again(kind: str) -> None:
    assert looked(intent(kind), record(changing=True), capabilities=LATER) == Ended(effective=False)


# -- waiting ----------------------------------------------------------------------------------------------


def test_the_waits_grow_as_the_settings_say_and_stay_at_the_last() -> None:
    waits = (0.0, 5.0, 15.0, 40.0)
    for number, expected in enumerate((5.0, 15.0, 40.0, 40.0)):
        looks = [PastLook(after(1), False)] * number
        assert looked(intent(), OTHER, past=looks, waits=waits) == LookAgain(expected)


def test_an_early_look_is_repeated_at_the_latest_when_the_lag_has_passed() -> None:
    assert looked(intent(), OTHER, began=after(18)) == LookAgain(2.0)
    assert looked(intent(), OTHER, began=after(1)) == LookAgain(5.0)


def test_looks_never_spin() -> None:
    nearly = RIPE - timedelta(microseconds=1)
    assert looked(intent(), OTHER, began=nearly) == LookAgain(0.05)
    assert looked(intent(), OTHER, waits=(0.0,)) == LookAgain(0.05)
    assert looked(intent(), OTHER, waits=()) == LookAgain(5.0)


# -- all together -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    kind=st.sampled_from(["insert", "update"]),
    mode=st.sampled_from([UpdateMode.IN_PLACE, UpdateMode.REPLACE_NEW_ID]),
    seconds=st.floats(0, 200),
    past=st.lists(st.builds(PastLook, st.floats(0, 200).map(after), st.booleans()), max_size=8),
    seen=st.lists(st.sampled_from([OTHER, OURS, PREDECESSOR, record("9001")]), max_size=4),
    known=st.sampled_from([KNOWN, frozenset({"700"}), frozenset()]),
)
def test_nothing_is_repeated_without_the_proof(
    kind: str,
    mode: UpdateMode,
    seconds: float,
    past: list[PastLook],
    seen: list[HrisEntry],
    known: frozenset[str],
) -> None:
    """`NotWritten` needs a look after deadline and lag that did not show the write, and one before it

    that was as good.
    """
    began = after(seconds)
    answer = looked(intent(kind), *seen, began=began, past=past, known=known, mode=mode)
    if not isinstance(answer, NotWritten):
        return
    ripe = [look for look in past if look.at >= RIPE]
    assert began >= RIPE
    assert ripe
    if kind == "insert" or mode is UpdateMode.REPLACE_NEW_ID:
        assert OURS not in seen
    if any(found.vendor_id in known for found in seen):
        assert any(look.proven for look in ripe)
    else:
        assert not any(look.proven for look in past)
        assert any(began - look.at >= timedelta(seconds=60) for look in ripe)

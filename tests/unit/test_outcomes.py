"""What a turn leaves behind: how the request stands, what is due, what Genesys and other readers are told."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from tests.support.cases import MONDAY, TUESDAY, case, content, days, entry, record, spec, view

import timeoff.days
import timeoff_sync.bookings
import timeoff_sync.decide
import timeoff_sync.handed
import timeoff_sync.lane_run
import timeoff_sync.links
import timeoff_sync.outcomes
import timeoff_sync.wanted
from timeoff.errors import (
    AlreadyBegun,
    Conflict,
    Forbidden,
    HrisError,
    InsufficientBalance,
    NotFound,
    Rejected,
    RetryLater,
    Unsupported,
)
from timeoff.events import APPLIED, FAILED, HELD
from timeoff.ledger.steps import Outcome
from timeoff.reasons import ADVICE
from timeoff.vocabulary import EntryStatus
from timeoff_sync.outcomes import LONG_TRIED, Names, Outcomes, change_for, change_of_found

OUTCOMES = Outcomes(Names("outcomes", report=True), retry_first=2.0, retry_max=60.0)
SHADOW = Outcomes(Names("outcomes", report=True), retry_first=2.0, retry_max=60.0, writes=lambda _: False)
SILENT = Outcomes(Names("outcomes", report=False), retry_first=2.0, retry_max=60.0)
INTENT = UUID(int=7)
CASE = case(writes=3, attempts=2, booking=2, doubted=True)


def event_of(outcome: Outcome) -> tuple[str, str, str]:
    assert outcome.event is not None
    return outcome.event.topic, outcome.event.key, outcome.event.type


# -- nothing to do ----------------------------------------------------------------------------------------


def test_nothing_to_do_says_why_and_tells_nobody() -> None:
    settled = OUTCOMES.settled(CASE, "not_exported")
    assert (settled.state, settled.reason) == ("settled", "not_exported")
    assert settled.due_in is None
    assert settled.event is None
    assert settled.report is None
    assert (settled.booking, settled.writes, settled.attempts) == (2, 3, 0)


def test_genesys_hears_that_all_is_done_when_the_last_step_has_left_nothing_to_do() -> None:
    """Steps and settled doubts say nothing themselves; whoever finds both sides equal does."""
    assert OUTCOMES.settled(CASE, "in_step").report == "AutomaticallyComplete"
    assert OUTCOMES.settled(replace(CASE, writes=0), "in_step").report is None
    ended = replace(CASE, entries=(entry(live=False),))
    assert OUTCOMES.settled(ended, "removed").report == "AutomaticallyComplete"
    assert OUTCOMES.settled(CASE, "removed").report is None, "nothing of it was ever booked"


def test_what_is_not_ours_is_told_apart_with_its_reason() -> None:
    skipped = OUTCOMES.settled(CASE, "skipped_by_rule", ours=False, detail={"rule": "temp staff"})
    assert (skipped.state, skipped.detail) == ("not_ours", {"rule": "temp staff"})


def test_a_later_wish_is_still_compared_while_nothing_was_ever_booked() -> None:
    """First seen PENDING, approved later: leave booked by hand would be doubled otherwise."""
    assert OUTCOMES.settled(case(look_first=True), "not_exported").look_first
    assert not OUTCOMES.settled(case(look_first=True, entries=(entry(),)), "in_step").look_first
    assert OUTCOMES.settled(case(entries=(entry(),)), "skipped_by_rule", ours=False).look_first
    assert not OUTCOMES.settled(case(look_first=False), "in_step").look_first


@pytest.mark.parametrize("look_first", [False, True])
def test_waiting_changes_nothing_else(look_first: bool) -> None:
    waiting = OUTCOMES.waiting(case(look_first=look_first, doubted=True, writes=4), "unread")
    assert (waiting.state, waiting.reason, waiting.due_in) == ("waiting", "unread", None)
    assert waiting.look_first is look_first
    assert waiting.doubted
    assert waiting.writes == 4


def test_a_plan_is_compared_again_before_it_is_written() -> None:
    """What shadow mode planned may be booked by hand before writing is turned on."""
    plan = OUTCOMES.planned(case(), "insert", spec())
    assert (plan.state, plan.reason) == ("planned", "shadow")
    assert plan.look_first
    assert plan.detail == {"plan": "insert", "minutes": {"2027-03-08": 480}}
    assert plan.event is None
    assert plan.report is None
    assert OUTCOMES.planned(case(), "cancel", None).detail == {"plan": "cancel"}


# -- held and failed --------------------------------------------------------------------------------------


def test_a_hold_waits_for_a_person_and_is_told() -> None:
    held = OUTCOMES.held(CASE, "overlap", {"hris": []})
    assert (held.state, held.reason, held.detail) == ("held", "overlap", {"hris": []})
    assert held.due_in is None
    assert held.look_first, "what a person did meanwhile has to be seen first"
    assert held.report == "Error"
    assert event_of(held) == ("outcomes", "agent-1", HELD)
    assert held.writes == 3
    assert held.doubted


def test_a_hold_in_shadow_mode_tells_genesys_nothing() -> None:
    assert SHADOW.held(CASE, "overlap", {}).report is None
    assert SHADOW.failed(CASE, "rejected", "no").report is None
    assert SILENT.held(CASE, "overlap", {}).report is None


def test_a_hold_that_settles_an_intent_counts_its_write() -> None:
    held = OUTCOMES.held(CASE, "begun", {}, intent_id=INTENT, intent_outcome="refused")
    assert (held.intent_id, held.intent_outcome, held.writes) == (INTENT, "refused", 4)


def test_a_failure_shows_the_vendors_words_cut_short() -> None:
    failed = OUTCOMES.failed(CASE, "rejected", "x" * 900, intent_id=INTENT)
    assert (failed.state, failed.reason) == ("failed", "rejected")
    assert failed.detail == {"hris": "x" * 500}
    assert (failed.intent_id, failed.intent_outcome, failed.writes) == (INTENT, "refused", 4)
    assert failed.look_first
    assert not failed.doubted
    assert failed.report == "Error"
    assert event_of(failed) == ("outcomes", "agent-1", FAILED)


def test_a_failure_without_words_or_intent() -> None:
    failed = OUTCOMES.failed(CASE, "gave_up", "")
    assert (failed.detail, failed.intent_outcome, failed.writes) == ({}, None, 3)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (AlreadyBegun("x"), "held", "begun"),
        (Unsupported("update"), "held", "update_unsupported"),
        (NotFound("employee"), "held", "employee_unknown"),
        (NotFound("type"), "held", "type_unknown"),
        (NotFound("request"), "held", "lost_in_hris"),
        (Conflict("x"), "failed", "conflict"),
        (InsufficientBalance("x"), "failed", "insufficient_balance"),
        (Forbidden("x"), "failed", "forbidden"),
        (Rejected("x"), "failed", "rejected"),
        (HrisError("x"), "failed", "rejected"),
    ],
)
def test_a_refusal_is_held_where_a_decision_and_failed_where_a_correction_is_needed(
    error: HrisError, state: str, reason: str
) -> None:
    refused = OUTCOMES.refused(CASE, error, intent_id=INTENT)
    assert (refused.state, refused.reason) == (state, reason)
    assert (refused.intent_id, refused.intent_outcome) == (INTENT, "refused")
    assert refused.due_in is None, "a clear no is not repeated by itself"
    assert reason in ADVICE


def test_every_reason_to_hold_or_fail_comes_with_what_to_do() -> None:
    """A person has to be able to act on each line of `held` and `failed`."""
    reasons = {f"{state}_in_hris" for state in ("changed", "cancelled", "denied", "replaced", "lost")}
    for module in (
        timeoff.days,
        timeoff_sync.bookings,
        timeoff_sync.decide,
        timeoff_sync.handed,
        timeoff_sync.lane_run,
        timeoff_sync.links,
        timeoff_sync.outcomes,
        timeoff_sync.wanted,
    ):
        for call in ast.walk(ast.parse(Path(str(module.__file__)).read_text())):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            place = {"Hold": 0, "BadDays": 0, "held": 1, "failed": 1, "_retried": None}.get(name)
            if name == "AgentLink":
                place = 4
            if place is not None and len(call.args) > place:
                reasons |= {
                    part.value
                    for part in ast.walk(call.args[place])
                    if isinstance(part, ast.Constant)
                    and isinstance(part.value, str)
                    and part.value != "_in_hris"
                }
    reasons.discard("_unknown")
    assert {"overlap", "no_zone", "gave_up", "ambiguous_email", "internal_error"} <= reasons, (
        "the search works"
    )
    assert reasons <= set(ADVICE)


# -- retry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("attempts", "longest"), [(0, 2.0), (1, 4.0), (4, 32.0), (5, 60.0), (10_000, 60.0)])
def test_retries_come_later_and_later_with_jitter_and_an_end(attempts: int, longest: float) -> None:
    waits = [OUTCOMES.retry(case(attempts=attempts), RetryLater("x")).due_in or 0.0 for _ in range(50)]
    assert all(longest / 2 <= wait <= longest for wait in waits)
    assert len(set(waits)) > 1


def test_a_retry_is_never_earlier_than_the_vendor_said() -> None:
    assert OUTCOMES.retry(case(), RetryLater("x", retry_after=300.0)).due_in == 300.0
    assert (OUTCOMES.retry(case(), RetryLater("x", retry_after=0.01)).due_in or 0) >= 1.0


def test_a_retry_keeps_what_is_known_and_counts_the_attempt() -> None:
    retry = OUTCOMES.retry(CASE, RetryLater("x"), intent_id=INTENT)
    assert (retry.state, retry.reason, retry.attempts) == ("waiting", "retry_later", 3)
    assert (retry.intent_id, retry.intent_outcome, retry.writes) == (INTENT, "not_written", 4)
    assert retry.doubted
    assert retry.event is None
    assert OUTCOMES.retry(CASE, RetryLater("x")).writes == 3
    assert OUTCOMES.retry(CASE, RetryLater("x")).intent_outcome is None


def test_a_retry_looks_first_once_it_has_tried_for_long() -> None:
    """Somebody may have booked by hand in the meantime."""
    assert not OUTCOMES.retry(case(attempts=LONG_TRIED - 1), RetryLater("x")).look_first
    assert OUTCOMES.retry(case(attempts=LONG_TRIED), RetryLater("x")).look_first
    assert OUTCOMES.retry(case(look_first=True), RetryLater("x")).look_first


# -- booked -----------------------------------------------------------------------------------------------


def test_a_booked_request_is_settled_and_told() -> None:
    change = change_of_found(record("9001"), spec(), 2, "main")
    booked = OUTCOMES.booked(CASE, "insert", change, intent_id=INTENT)
    assert (booked.state, booked.reason, booked.booking, booked.writes) == ("settled", "insert", 2, 4)
    assert (booked.intent_id, booked.intent_outcome, booked.result_id) == (INTENT, "written", "9001")
    assert booked.entry == change
    assert not booked.look_first
    assert not booked.doubted
    assert booked.attempts == 0
    assert booked.report == "AutomaticallyComplete"
    assert event_of(booked) == ("outcomes", "agent-1", APPLIED)
    assert booked.event is not None
    assert booked.event.data["days"] == {"2027-03-08": 480}
    assert booked.event.data["operation"] == "insert"
    assert booked.event.data["vendor_id"] == "9001"


@pytest.mark.parametrize(
    ("operation", "writes"), [("insert", 4), ("update", 4), ("cancel", 4), ("adopt", 3), ("gone", 3)]
)
def test_only_writes_are_counted_as_writes(operation: str, writes: int) -> None:
    """The number travels with the mark and tells two writes of one booking apart."""
    change = change_of_found(record("9001"), spec(), 1, "main")
    assert OUTCOMES.booked(CASE, operation, change).writes == writes


def test_a_step_that_is_not_the_last_is_decided_on_at_once_and_reported_to_nobody() -> None:
    """Genesys would show the request as done while days of it are missing."""
    change = change_for(entry(), live=True)
    last = OUTCOMES.booked(CASE, "insert", change)
    step = OUTCOMES.booked(CASE, "insert", change, more=True)
    assert (last.state, last.due_in, last.report) == ("settled", None, "AutomaticallyComplete")
    assert (step.state, step.due_in, step.report) == ("open", 0.0, None)
    assert not step.look_first
    for taken_over in ("adopt", "gone"):
        assert OUTCOMES.booked(CASE, taken_over, change, more=True).look_first, "what comes next is compared"
    assert not OUTCOMES.booked(CASE, "adopt", change).look_first


def test_a_write_that_was_accepted_is_told_to_nobody_and_read_again() -> None:
    accepted = OUTCOMES.accepted(
        CASE, change_for(entry(), live=True), intent_id=INTENT, how="accepted", seconds=12.0
    )
    assert (accepted.state, accepted.reason, accepted.due_in) == ("waiting", "not_yet_effective", 12.0)
    assert (accepted.report, accepted.event, accepted.intent_outcome) == (None, None, "accepted")
    assert accepted.entry is not None
    assert not accepted.entry.effective
    assert accepted.writes == CASE.writes + 1


def test_a_conflict_is_compared_with_what_is_there() -> None:
    again = OUTCOMES.look_again(CASE, intent_id=INTENT)
    assert (again.state, again.due_in, again.look_first) == ("open", 0.0, True)
    assert (again.intent_outcome, again.report, again.event) == ("refused", None, None)


def test_an_adoption_settles_no_intent() -> None:
    adopted = OUTCOMES.booked(CASE, "adopt", change_of_found(record("9001"), spec(), 1, "main"))
    assert (adopted.intent_id, adopted.intent_outcome) == (None, None)
    assert SILENT.booked(CASE, "adopt", change_of_found(record(), spec(), 1, "main")).report is None
    unreported = SHADOW.booked(CASE, "adopt", change_of_found(record(), spec(), 1, "main"))
    assert unreported.report is None


def test_a_settled_doubt_decides_again_at_once_and_later_when_it_comes_back() -> None:
    more = {"outcome": "not_written", "doubted": True, "audit_in": 3600.0, "look_first": True}
    first = OUTCOMES.again(replace(CASE, attempts=0), INTENT, **more)
    assert (first.due_in, first.attempts) == (0.0, 1)
    again = OUTCOMES.again(CASE, INTENT, **more)
    assert again.due_in is not None
    assert 4.0 <= again.due_in <= 8.0
    assert (again.state, again.writes, again.attempts) == ("open", 4, 3)
    assert (again.intent_id, again.intent_outcome) == (INTENT, "not_written")
    assert again.doubted
    assert again.audit_in == 3600.0
    assert again.look_first


# -- events and entries -----------------------------------------------------------------------------------


def test_the_same_turn_gives_the_same_event_and_another_turn_another() -> None:
    """Readers of the outcomes drop repeats by id."""
    ids = [
        OUTCOMES.held(turn, reason, {}).event.event_id  # type: ignore[union-attr]
        for turn, reason in [
            (case(), "overlap"),
            (case(), "overlap"),
            (case(revision=6), "overlap"),
            (case(writes=1), "overlap"),
            (case(booking=2), "overlap"),
            (case(), "no_zone"),
        ]
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


def test_no_outcome_carries_notes() -> None:
    noted = case(view(content(notes="knee surgery")), entries=(entry(),))
    change = change_of_found(record(), spec(), 1, "main")
    for outcome in (
        OUTCOMES.booked(noted, "insert", change),
        OUTCOMES.held(noted, "overlap", {}),
        OUTCOMES.failed(noted, "rejected", "no"),
        OUTCOMES.planned(noted, "insert", spec(note="knee surgery")),
    ):
        assert "surgery" not in repr(outcome)


def test_a_change_keeps_all_of_the_entry_that_is_not_named() -> None:
    kept = entry(booking=3, part=2, adopted=True)
    ended = change_for(kept, live=False)
    assert (ended.booking, ended.part, ended.target, ended.vendor_id) == (3, 2, "main", "700")
    assert (ended.spec, ended.adopted, ended.live) == (kept.spec, True, False)
    moved = change_for(kept, live=True, spec=spec(days=days((TUESDAY,))), vendor_id="701", unit="hours")
    assert (moved.vendor_id, moved.unit, moved.spec.first_day) == ("701", "hours", TUESDAY)


def test_an_adopted_record_is_marked_as_such_with_the_words_of_the_request() -> None:
    found = record("9001", {MONDAY: "8"}, status=EntryStatus.APPROVED)
    change = change_of_found(found, spec(), 1, "main")
    assert change.adopted
    assert change.live
    assert (change.vendor_id, change.unit, change.spec) == ("9001", "hours", spec())

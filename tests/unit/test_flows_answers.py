"""What became of a hand-over, as outputs that do not contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from timeoff.ledger.handovers import Progress
from timeoff.reasons import ADVICE
from timeoff.vocabulary import WritePath
from timeoff_balance.flows.answers import answer_of, ended, no_answer
from timeoff_balance.flows.contract import Status

OURS = "5b4f1d9e-0000-4000-8000-000000000000"


def progress(state: str, reason: str | None = None, **changes: Any) -> Progress:
    values: dict[str, Any] = {
        "request_pk": 1,
        "handover_id": OURS,
        "state": state,
        "reason": reason,
        "detail": {"hris": "quotes a note"},
        "revision": 1,
        "write_path": WritePath.FLOWS,
        "entries": (),
    }
    return Progress(**(values | changes))


@pytest.mark.parametrize(
    ("state", "reason", "is_end"),
    [
        ("open", None, False),
        ("open", "conflict", False),
        ("open", "path_changed", False),
        ("waiting", "retry_later", False),
        ("waiting", "auth_failed", False),
        ("waiting", "not_yet_effective", True),
        ("waiting", "pending", True),
        ("waiting", "reserved", True),
        ("settled", "insert", True),
        ("held", "overlap", True),
        ("failed", "rejected", True),
        ("planned", "shadow", True),
        ("not_ours", "before_cutover", True),
    ],
)
def test_when_there_is_an_answer(state: str, reason: str | None, is_end: bool) -> None:
    assert ended(progress(state, reason)) is is_end


def test_the_id_is_that_of_the_record() -> None:
    chain = progress("settled", "update", entries=(("4828", False), ("4829", True)))
    assert answer_of(chain, removed=False).values == {"timeOffRequestId": "4829"}


def test_what_ended_has_the_id_of_its_last_record() -> None:
    gone = progress("settled", "cancel", entries=(("4828", False), ("4829", False)))
    answer = answer_of(gone, removed=True)
    assert (answer.status, answer.values) == (Status.COMPLETE, {"timeOffRequestId": "4829"})
    assert answer.message is None


def test_without_a_record_the_id_is_ours() -> None:
    for state, reason, removed in (
        ("settled", "removed", True),
        ("waiting", "pending", False),
        ("waiting", "reserved", False),
    ):
        answer = answer_of(progress(state, reason), removed=removed)
        assert (answer.code, answer.values, answer.message) == (200, {"timeOffRequestId": OURS}, None)
    nothing = answer_of(progress("settled", "nothing_to_book"), removed=False)
    assert (nothing.code, nothing.message) == (200, "nothing to book: it has no minutes")


@pytest.mark.parametrize(
    ("state", "reason", "code", "status"),
    [
        ("failed", "rejected", 400, Status.ERROR),
        ("held", "employee_unknown", 404, Status.ERROR),
        ("held", "unknown_type", 404, Status.ERROR),
        ("failed", "conflict", 409, Status.ERROR),
        ("held", "internal_error", 500, Status.ERROR),
        ("failed", "gave_up", 503, Status.ERROR),
        ("held", "unsettled_doubt", 504, Status.ERROR),
        ("failed", "forbidden", 403, Status.NOT_ALLOWED),
        ("held", "begun", 403, Status.NOT_ALLOWED),
        ("held", "overlap", 403, Status.NOT_ALLOWED),
        ("held", "record_unknown", 403, Status.NOT_ALLOWED),
        ("planned", "shadow", 403, Status.NOT_ALLOWED),
        ("not_ours", "before_cutover", 403, Status.NOT_ALLOWED),
        ("not_ours", "skipped_by_rule", 403, Status.NOT_ALLOWED),
        ("failed", "insufficient_balance", 200, Status.INSUFFICIENT_BALANCE),
        ("held", "something_new", 403, Status.NOT_ALLOWED),
    ],
)
def test_what_stands_in_the_way_is_told_apart(state: str, reason: str, code: int, status: Status) -> None:
    answer = answer_of(progress(state, reason), removed=False)
    assert (answer.code, answer.status, answer.values) == (code, status, {})
    assert answer.message


@pytest.mark.parametrize("reason", ADVICE)
def test_every_reason_to_wait_for_a_person_is_no_success_and_quotes_nobody(reason: str) -> None:
    for state in ("held", "failed"):
        for removed in (False, True):
            answer = answer_of(progress(state, reason, entries=(("4828", True),)), removed=removed)
            assert answer.status is not Status.COMPLETE
            assert answer.message
            assert "note" not in answer.message


@pytest.mark.parametrize(
    ("reason", "code"),
    [(None, 408), ("conflict", 408), ("retry_later", 503), ("auth_failed", 401), ("forbidden", 401)],
)
def test_what_takes_too_long_says_why_and_that_it_goes_on(reason: str | None, code: int) -> None:
    answer = no_answer(45.0, reason)
    assert (answer.code, answer.status, answer.values) == (code, Status.ERROR, {})
    assert answer.message is not None
    assert "call again with the same inputs" in answer.message

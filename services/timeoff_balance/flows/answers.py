"""What became of a hand-over, as the end of a run. Pure.

Free texts of the HRIS stay out: one may quote a note.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from timeoff.ledger.handovers import Progress
from timeoff.reasons import ADVICE
from timeoff_balance.flows.results import NO_ANSWER, Result, complete, failed, insufficient, not_allowed

#: Reasons to wait that nothing is amiss with: the balance is kept, or the HRIS has accepted the write.
_ACCEPTED: Final = frozenset({"pending", "reserved", "not_yet_effective", "call_awaited"})
#: Holds and failures that are mistakes of the call or troubles of the HRIS; others are decisions to be made.
_ERRORS: Final[Mapping[str, int]] = {
    "employee_unknown": 404,
    "unknown_type": 404,
    "type_unknown": 404,
    "rejected": 400,
    "conflict": 409,
    "gave_up": 503,
    "unsettled_doubt": 504,
    "overlaps_unsettled_doubt": 504,
    "internal_error": 500,
    "rule_failed": 500,
}
#: What the ledger notes of a write that is tried again: classes of errors.
_DELAYS: Final[Mapping[str, tuple[int, str]]] = {
    "auth_failed": (401, "the HRIS refuses our credentials"),
    "forbidden": (401, "the HRIS refuses our credentials"),
    "retry_later": (503, "the HRIS throttles or does not answer"),
}
#: Ends without a record that are right all the same.
_NOTHING_BOOKED: Final[Mapping[str, str]] = {
    "nothing_to_book": "nothing to book: it has no minutes",
    "done_by_hand": "a person sees to it by hand",
}
NOT_OURS: Final[Mapping[str, str]] = {
    "before_cutover": "it ends before the day from which leave is ours to book",
    "skipped_by_rule": "the organisation's rule does not book this",
}


SHADOW: Final = "nothing is written yet: `timeoff-sync go-live` turns writing on, then hand it over again"


def ended(progress: Progress) -> bool:
    """Is there an answer? Else it is on its way."""
    if progress.state == "planned":
        return not progress.due  # writing was turned on meanwhile
    return progress.state not in ("open", "waiting") or progress.reason in _ACCEPTED


def answer_of(progress: Progress, *, removed: bool) -> Result:
    """The end of a run whose hand-over has ended. `removed`: what was asked for is that there is no leave."""
    reason = progress.reason or ""
    match progress.state:
        case "settled" | "waiting":
            return _handed_over(progress, removed=removed)
        case "not_ours":
            return not_allowed(NOT_OURS.get(reason, reason))
        case "planned":
            return not_allowed(SHADOW)
        case "failed" if reason == "insufficient_balance":
            return insufficient("the balance does not suffice in the HRIS")
        case _:
            words = f"{reason}: {ADVICE[reason]}" if reason in ADVICE else reason
            if (code := _ERRORS.get(reason)) is not None:
                return failed(code, words)
            return not_allowed(words)


def no_answer(seconds: float, reason: str | None = None) -> Result:
    """It is in the ledger and will be booked: the same call again is the same booking.

    `reason`: why it waits, as the ledger has it.
    """
    code, words = _DELAYS.get(reason or "", (NO_ANSWER, f"not booked within {seconds:g} s"))
    return failed(code, f"{words}; it will be booked when the HRIS answers: call again with the same inputs")


def _handed_over(progress: Progress, *, removed: bool) -> Result:
    if progress.live_ids:
        return complete({"timeOffRequestId": progress.live_ids[0]})
    if progress.entries and removed:
        return complete({"timeOffRequestId": progress.entries[-1][0]})
    message = (
        _NOTHING_BOOKED.get(progress.reason or "") if progress.state == "settled" and not removed else None
    )
    return complete({"timeOffRequestId": progress.handover_id}, message)


__all__ = ["NOT_OURS", "SHADOW", "answer_of", "ended", "no_answer"]

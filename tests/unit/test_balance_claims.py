"""Requests of the ledger as claims: in every state a request wants, holds and gives back what it should."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from timeoff.events import RequestContent
from timeoff.handover import Handed
from timeoff.hris.choices import TypeChoice
from timeoff.hris.port import TimeOffType, Unit
from timeoff.ledger.balance import KnownEntry, KnownRequest, KnownWrite, content_of
from timeoff.rules import Asked, Change, Ruling, Skip
from timeoff.vocabulary import Day, EntrySpec, EntryStatus, WritePath
from timeoff_balance.claims import ClaimRules, claims_of
from timeoff_balance.reserved import Read, effects

T0 = datetime(2025, 3, 26, 12, tzinfo=UTC)
LAG = timedelta(seconds=10)
DAY, NEXT = date(2025, 4, 1), date(2025, 4, 2)
RULES = ClaimRules(
    types={"83": TimeOffType("83", "Vacation", Unit.HOURS), "84": TimeOffType("84", "Days", Unit.DAYS)},
    choices={("", "5"): TypeChoice("83")},
    exported={"APPROVED"},
    cutover=date(2025, 3, 1),
)


def content(*dates: date, status: str = "APPROVED", code: str = "5", minutes: int = 480) -> RequestContent:
    return RequestContent(
        status=status,
        activity_code_id=code,
        full_day=True,
        full_day_dates=dates or (DAY,),
        daily_minutes=minutes,
    )


def spec(*dates: date) -> EntrySpec:
    days = tuple(Day(on, 480, whole=True) for on in dates or (DAY,))
    return EntrySpec("7", "83", None, EntryStatus.APPROVED, days, "UTC")


def entry(*dates: date, **changes: Any) -> KnownEntry:
    return replace(KnownEntry(1, 1, spec(*dates), live=True, effective=True, mine=True), **changes)


def write(kind: str = "insert", **changes: Any) -> KnownWrite:
    made = KnownWrite(1, 1, kind, spec(), None, T0, T0 + timedelta(seconds=1), "written")
    return replace(made, **changes)


def request(**changes: Any) -> KnownRequest:
    made = KnownRequest(
        request_id="r",
        agent_id="a",
        management_unit_id="u",
        zone="UTC",
        state="open",
        look_first=False,
        done_by_hand=False,
        booking=1,
        content=content(),
        replaced=False,
        entries=(),
        writes=(),
    )
    return replace(made, **changes)


def effect(known: KnownRequest, rules: ClaimRules = RULES, began: float = 3600) -> tuple[int, int, int]:
    """Hours pending, of these perhaps counted, added back, against a read so many seconds after T0."""
    at = T0 + timedelta(seconds=began)
    found = effects(claims_of([known], "7", rules), Read(at, at, LAG), None, None).get(("83", None))
    if found is None:
        return 0, 0, 0
    totals = (found.pending, found.perhaps, found.added_back)
    return tuple(int(sum(each.values(), Decimal())) for each in totals)  # type: ignore[return-value]


def test_accepted_and_not_booked() -> None:
    assert effect(request()) == (8, 0, 0)
    assert effect(request(look_first=True)) == (8, 8, 0), "a person may have booked it"


@pytest.mark.parametrize("state", ["open", "waiting", "planned", "held", "failed"])
def test_each_state_that_is_not_done_takes_its_minutes(state: str) -> None:
    assert effect(request(state=state))[0] == 8


@pytest.mark.parametrize("status", ["PENDING", "DENIED", "CANCELED", "SOMETHING_NEW"])
def test_only_what_is_accepted_takes_anything(status: str) -> None:
    assert effect(request(content=content(status=status))) == (0, 0, 0)


def test_pending_takes_minutes_where_it_is_exported() -> None:
    rules = replace(RULES, exported={"APPROVED", "PENDING"})
    assert effect(request(content=content(status="PENDING")), rules) == (8, 0, 0)


@pytest.mark.parametrize("state", ["settled", "not_ours"])
def test_what_is_done_takes_nothing_but_what_it_has_just_booked(state: str) -> None:
    assert effect(request(state=state)) == (0, 0, 0)
    booked = request(state=state, entries=(entry(),), writes=(write(),))
    assert effect(booked) == (0, 0, 0)
    assert effect(booked, began=5) == (8, 8, 0)


def test_a_cancel_in_genesys_gives_nothing_back_yet() -> None:
    waiting = request(content=content(status="CANCELED"), entries=(entry(),), writes=(write(),))
    assert effect(waiting) == (0, 0, 0)


def test_an_update_gives_back_only_while_it_goes_on_by_itself() -> None:
    moved = request(content=content(NEXT), entries=(entry(),), writes=(write(),))
    assert effect(moved) == (8, 0, 8)
    for state in ("held", "failed", "planned"):
        assert effect(replace(moved, state=state)) == (8, 0, 0)


def test_a_write_that_is_accepted_and_not_in_effect_stays_subtracted() -> None:
    """Promise: however long ago the HRIS accepted it."""
    late = request(state="waiting", entries=(entry(effective=False),), writes=(write(),))
    assert effect(late, began=100_000) == (8, 8, 0)


def test_a_doubt_that_a_person_has_to_settle_stays_subtracted() -> None:
    assert effect(request(state="held", writes=(write(outcome="unsettled"),)))[:1] == (8,)
    gone = request(state="held", writes=(write(settled_at=None, outcome=None),))
    assert effect(gone)[:1] == (8,)


@pytest.mark.parametrize("outcome", ["refused", "not_written", "repeated"])
def test_a_write_without_effect_changes_nothing(outcome: str) -> None:
    tried = request(entries=(entry(),), writes=(write(), write("update", outcome=outcome, previous=spec())))
    assert effect(replace(tried, state="settled")) == (0, 0, 0)


def test_an_adopted_entry_is_in_the_figure() -> None:
    assert effect(request(state="settled", entries=(entry(),)), began=-100) == (0, 0, 0)


def test_done_by_hand_is_in_the_figure() -> None:
    assert effect(request(done_by_hand=True, state="open")) == (0, 0, 0)


def test_entries_of_another_employee_are_not_his() -> None:
    assert effect(request(state="settled", entries=(entry(mine=False),), writes=(write(),)), began=5) == (
        0,
        0,
        0,
    )


def test_what_is_replaced_gives_back_what_is_booked() -> None:
    booked = request(
        state="settled", replaced=True, entries=(entry(DAY, NEXT),), writes=(write(spec=spec(DAY, NEXT)),)
    )
    assert effect(booked) == (0, 0, 16)
    assert effect(request(replaced=True)) == (0, 0, 0), "nothing is booked, and nothing is pending either"


def test_before_the_cutover_nothing_is_ours() -> None:
    old = request(content=content(date(2025, 2, 1)))
    assert effect(old) == (0, 0, 0)


@pytest.mark.parametrize(
    "odd",
    [content(code="unmapped"), content(DAY, DAY), content(minutes=0), None, content(minutes=5000)],
)
def test_what_cannot_be_booked_takes_nothing(odd: RequestContent | None) -> None:
    assert effect(request(content=odd)) == (0, 0, 0)


def test_the_rule_of_the_organisation_holds_here_too() -> None:
    def skips(asked: Asked) -> Ruling:
        return Skip("training")

    def halves(asked: Asked) -> Ruling:
        return Change("half", minutes={day.date: day.minutes // 2 for day in asked.days})

    def moves(asked: Asked) -> Ruling:
        return Change("other type", type_id="84")

    def fails(asked: Asked) -> Ruling:
        raise RuntimeError

    assert effect(request(), replace(RULES, rule=skips)) == (0, 0, 0)
    assert effect(request(), replace(RULES, rule=halves)) == (4, 0, 0)
    assert effect(request(), replace(RULES, rule=moves)) == (0, 0, 0)
    assert effect(request(), replace(RULES, rule=fails)) == (0, 0, 0)


@pytest.mark.parametrize("status", ["DENIED", "CANCELED"])
def test_a_removal_frees_nothing_before_it_is_confirmed(status: str) -> None:
    """Promise: a notification alone is no proof; the leave that waits may be booked the next moment."""
    accepted, removed = content(), content(status=status)
    assert effect(request(content=content_of(removed, accepted), state="waiting")) == (8, 0, 0)
    assert effect(request(content=content_of(None, removed), state="waiting")) == (0, 0, 0)
    assert effect(request(content=content_of(removed, None), state="waiting")) == (0, 0, 0)
    moved = content(DAY, NEXT)
    assert effect(request(content=content_of(moved, accepted), state="waiting")) == (16, 0, 0)


# -- what workflows handed over -----------------------------------------------------------------------------


def leave(*dates: date, status: str = "PENDING", start: time | None = None) -> Handed:
    days = tuple(Day(on, 480, whole=start is None, start=start) for on in dates or (DAY,))
    return Handed("83", None, status, days)


def reserved(of: Handed | None = None, **changes: Any) -> KnownRequest:
    """Handed over, and not seen in Genesys."""
    values: dict[str, Any] = {
        "request_id": "h",
        "handover_id": "h",
        "bound": False,
        "content": None,
        "state": "waiting",
        "reason": "reserved",
        "handed": of or leave(),
    }
    return request(**(values | changes))


def hours(*known: KnownRequest, rules: ClaimRules = RULES) -> int:
    """Hours pending, of all requests together, against a read of long after."""
    at = T0 + timedelta(hours=1)
    found = effects(claims_of(known, "7", rules), Read(at, at, LAG), None, None).get(("83", None))
    return int(sum(found.pending.values(), Decimal())) if found else 0


def test_a_reservation_takes_its_minutes_until_it_is_withdrawn_or_given_up() -> None:
    assert hours(reserved()) == 8
    assert hours(reserved(leave(status="CANCELED"))) == 0
    assert hours(reserved(state="held", reason="never_seen")) == 0
    assert hours(reserved(state="failed", reason="rejected")) == 0
    assert hours(reserved(leave(date(2025, 2, 1)))) == 0, "over before it is ours"


@pytest.mark.parametrize("status", ["PENDING", "APPROVED"])
def test_handed_over_and_seen_is_subtracted_once_before_it_is_one(status: str) -> None:
    seen = request(content=content(status=status))
    assert hours(reserved(), seen) == 8
    booked = replace(seen, state="settled", entries=(entry(),), writes=(write(),))
    assert hours(reserved(), booked) == 0, "the HRIS shows it"
    assert hours(reserved(), request(content=content(NEXT, status=status))) == (
        16 if status == "APPROVED" else 8
    )
    assert hours(reserved(), request(content=content(status="CANCELED"))) == 8


@pytest.mark.parametrize(("statuses", "expected"), [("PP", 8), ("AA", 16), ("AP", 16)])
def test_what_may_be_either_of_two_stays_subtracted(statuses: str, expected: int) -> None:
    """Promise: held as ambiguous, its balance is given back only where both requests take theirs."""
    words = {"P": "PENDING", "A": "APPROVED"}
    two = [
        request(request_id=f"r{n}", content=content(status=words[each])) for n, each in enumerate(statuses)
    ]
    assert hours(reserved(state="held", reason="ambiguous_binding"), *two) == expected


def test_what_is_pending_and_was_handed_over_keeps_its_balance_until_it_is_decided() -> None:
    pending = request(content=content(status="PENDING"), state="waiting", handover_id="h")
    assert hours(pending) == 8
    assert hours(replace(pending, handover_id=None)) == 0
    assert hours(replace(pending, content=content(status="DENIED"))) == 0
    assert hours(replace(pending, handed=leave(status="DENIED"))) == 0, "the workflow said so first"
    assert hours(replace(pending, handed=leave(DAY, NEXT))) == 16, "and this too"


def test_on_the_path_of_workflows_what_is_only_seen_takes_nothing() -> None:
    rules = replace(RULES, choices={("", "5"): TypeChoice("83", write_path=WritePath.FLOWS)})
    assert hours(request(), rules=rules) == 0
    assert hours(request(handed=leave(status="APPROVED"), handover_id="h"), rules=rules) == 8


@pytest.mark.parametrize("state", ["held", "failed", "planned"])
@pytest.mark.parametrize("of", [leave(status="CANCELED"), leave(NEXT, status="APPROVED")])
def test_a_change_that_does_not_happen_gives_nothing_back(state: str, of: Handed) -> None:
    """Promise: what stays booked stays subtracted, in a figure of before it was written and of after."""
    stuck = request(
        state=state,
        handed=of,
        handover_id="h",
        entries=(entry(DAY, NEXT),),
        writes=(write(spec=spec(DAY, NEXT)),),
    )
    assert effect(stuck) == (0, 0, 0)
    assert effect(stuck, began=-100) == (16, 0, 0)
    assert effect(replace(stuck, state="open"))[2] == (8 if of.days[0].date == NEXT else 0)


def test_what_a_workflow_says_of_what_is_done_is_about_to_happen() -> None:
    told = request(
        state="settled", handed=leave(NEXT), handover_id="h", entries=(entry(),), writes=(write(),)
    )
    assert effect(told) == (8, 0, 8)

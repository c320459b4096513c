"""Order of what is seen: whatever comes doubled, swapped or late, the newest confirmed state wins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import (
    AGENT,
    AT,
    MONDAY,
    TUESDAY,
    after,
    content,
    notified,
    part_of_a_day,
    read,
    view,
)

from timeoff.events import Observation, RequestContent
from timeoff.ledger.rows import RequestView
from timeoff.vocabulary import ObservationSource, RequestStatus
from timeoff_sync.fold import MOST_SKEW, PATIENCE, Folded, Verdict, fold, wants

APPROVED = content()
MOVED = content(dates=(TUESDAY,))
DENIED = content("DENIED")
CANCELED = content("CANCELED")


def folded(*seen: Observation, start: RequestView | None = None) -> RequestView:
    now = start
    for each in seen:
        now = fold(now, each).view
    assert now is not None
    return now


def last(*seen: Observation) -> Folded:
    *before, final = seen
    return fold(folded(*before) if before else None, final)


# -- notifications alone ----------------------------------------------------------------------------------


def test_a_new_request_is_acted_on_at_once_and_asks_for_a_read() -> None:
    now = last(notified(APPROVED, AT))
    assert now.verdict is Verdict.NEW
    assert now.view.content == APPROVED
    assert now.view.provisional == APPROVED
    assert now.view.unconfirmed
    assert now.view.watermark == AT
    assert now.view.confirmed is None


def test_the_same_notification_twice_changes_nothing() -> None:
    once = folded(notified(APPROVED, AT))
    again = fold(once, notified(APPROVED, AT, received=after(9)))
    assert again == Folded(once, Verdict.HELD)


def test_swapped_notifications_leave_the_newer_one() -> None:
    now = last(notified(MOVED, after(60)), notified(APPROVED, AT, received=after(61)))
    assert now.verdict is Verdict.OLDER
    assert now.view.content == MOVED


def test_a_notification_older_than_the_confirmed_version_changes_nothing() -> None:
    before = folded(read(2, MOVED, after(60)))
    now = fold(before, notified(APPROVED, AT, received=after(61)))
    assert now == Folded(before, Verdict.OLDER)


def test_a_clearly_newer_notification_is_acted_on_before_its_read() -> None:
    now = last(read(1, APPROVED, AT), notified(MOVED, after(2.001)))
    assert now.verdict is Verdict.NEWER
    assert now.view.content == MOVED
    assert now.view.confirmed == APPROVED
    assert now.view.unconfirmed


@pytest.mark.parametrize("seconds", [0.001, 1.0, 2.0])
def test_one_newer_by_two_seconds_or_less_only_asks_for_a_read(seconds: float) -> None:
    """Two changes in one breath: which is the later one, only the version tells."""
    now = last(read(1, APPROVED, AT), notified(MOVED, after(seconds)))
    assert now.verdict is Verdict.ASKS
    assert now.view.content == APPROVED
    assert now.view.unconfirmed
    assert now.view.watermark == after(seconds)


def test_the_two_seconds_count_from_the_newest_notification_too() -> None:
    now = last(read(1, APPROVED, AT), notified(MOVED, after(60)), notified(APPROVED, after(61)))
    assert now.verdict is Verdict.ASKS
    assert now.view.content == MOVED
    assert now.view.watermark == after(61)


def test_a_tie_is_settled_by_a_read_and_not_by_a_guess() -> None:
    now = last(read(1, APPROVED, AT), notified(MOVED, AT))
    assert now.verdict is Verdict.ASKS
    assert now.view.content == APPROVED
    assert now.view.unconfirmed


def test_a_tie_of_two_notifications_waits_for_the_read_that_is_asked_for_already() -> None:
    now = last(notified(APPROVED, AT), notified(MOVED, AT))
    assert now.view.content == APPROVED
    assert now.view.unconfirmed


def test_a_tie_with_a_notification_that_a_patient_read_settled_asks_again() -> None:
    settled = folded(
        notified(APPROVED, after(1)),
        read(1, APPROVED, AT, began=after(2) + PATIENCE),
    )
    assert not settled.unconfirmed
    now = fold(settled, notified(MOVED, after(1)))
    assert now.verdict is Verdict.ASKS
    assert now.view.unconfirmed


def test_the_echo_of_what_is_confirmed_asks_for_nothing() -> None:
    before = folded(read(1, APPROVED, AT))
    assert fold(before, notified(APPROVED, AT)) == Folded(before, Verdict.HELD)


def test_notes_alone_make_no_other_content() -> None:
    """Notes are left out of the log by default, so the same request comes with and without them."""
    before = folded(read(1, APPROVED, AT))
    noted = APPROVED.model_copy(update={"notes": "x"})
    assert fold(before, notified(noted, AT)).verdict is Verdict.HELD


# -- time stamps that order nothing -----------------------------------------------------------------------


def test_without_a_time_stamp_only_a_read_can_tell() -> None:
    new = last(notified(APPROVED, None))
    assert new.verdict is Verdict.ASKS
    assert new.view.content is None
    assert new.view.unconfirmed

    known = last(read(1, APPROVED, AT), notified(CANCELED, None))
    assert known.verdict is Verdict.ASKS
    assert known.view.content == APPROVED
    assert known.view.unconfirmed


def test_a_time_stamp_from_the_future_does_not_make_later_changes_look_old() -> None:
    far = datetime(2099, 1, 1, tzinfo=UTC)
    before = folded(notified(APPROVED, far, received=AT), read(1, APPROVED, far, began=after(1)))
    assert not before.unconfirmed
    now = fold(before, notified(MOVED, after(60)))
    assert now.verdict is Verdict.NEWER
    assert now.view.content == MOVED
    assert folded(notified(MOVED, after(60)), read(2, MOVED, after(60)), start=before).content == MOVED


def test_a_time_stamp_from_the_future_is_never_acted_on_before_its_read() -> None:
    far = datetime(2099, 1, 1, tzinfo=UTC)
    now = last(read(1, APPROVED, AT), notified(CANCELED, far, received=after(30)))
    assert now.verdict is Verdict.ASKS
    assert now.view.content == APPROVED
    assert now.view.watermark is None


@pytest.mark.parametrize("behind", [0.5, 5.0, 59.0])
def test_a_listener_whose_clock_is_behind_loses_no_change(behind: float) -> None:
    """Both stamps are of Genesys' clock; compared with the listener's, the second change looked old."""
    skew = timedelta(seconds=behind)
    now = last(
        read(1, APPROVED, AT, began=after(0.3) - skew),
        notified(MOVED, after(0.5), received=after(0.7) - skew),
    )
    assert now.verdict is Verdict.ASKS
    assert now.view.unconfirmed
    done = fold(now.view, read(2, MOVED, after(0.5), began=after(1) - skew))
    assert done.verdict is Verdict.NEWER
    assert not done.view.unconfirmed


def test_skew_up_to_the_limit_is_still_a_time() -> None:
    at_the_limit = notified(APPROVED, AT, received=AT - MOST_SKEW)
    beyond = notified(APPROVED, AT, received=AT - MOST_SKEW - timedelta(microseconds=1))
    assert fold(None, at_the_limit).verdict is Verdict.NEW
    assert fold(None, beyond).verdict is Verdict.ASKS


@pytest.mark.parametrize(
    "at",
    [datetime(1970, 1, 2), datetime(2199, 12, 30), datetime(2027, 3, 1, 9)],  # noqa: DTZ001
)
def test_absurd_and_naive_time_stamps_are_no_crash(at: datetime) -> None:
    """A crash here would stop the partition."""
    for seen in (notified(APPROVED, at, received=AT), read(2, APPROVED, at, began=after(200))):
        for before in (None, folded(read(1, APPROVED, AT)), folded(notified(APPROVED, AT))):
            assert fold(before, seen).view.request_id == "request-1"


# -- reads ------------------------------------------------------------------------------------------------


def test_a_read_confirms_what_was_acted_on() -> None:
    now = last(notified(APPROVED, AT), read(1, APPROVED, AT))
    assert now.verdict is Verdict.NEWER
    assert (now.view.version, now.view.confirmed, now.view.provisional) == (1, APPROVED, None)
    assert not now.view.unconfirmed


def test_a_read_of_a_request_never_seen_is_new() -> None:
    assert last(read(1, APPROVED, AT)).verdict is Verdict.NEW


def test_versions_order_reads_whatever_their_time_stamps_say() -> None:
    now = last(read(3, MOVED, AT), read(2, APPROVED, after(900)))
    assert now.verdict is Verdict.OLDER
    assert (now.view.version, now.view.content) == (3, MOVED)


def test_a_newer_version_wins_even_with_an_older_time_stamp() -> None:
    now = last(read(2, APPROVED, after(900)), read(3, MOVED, AT))
    assert now.verdict is Verdict.NEWER
    assert now.view.content == MOVED


def test_the_same_version_again_changes_nothing() -> None:
    before = folded(read(1, APPROVED, AT))
    assert fold(before, read(1, APPROVED, AT, began=after(900))) == Folded(before, Verdict.HELD)


def test_a_read_older_than_the_watermark_confirms_nothing() -> None:
    """It began before the change was made, and is tried again."""
    now = last(read(1, APPROVED, AT), notified(MOVED, after(60)), read(1, APPROVED, AT, began=after(59)))
    assert now.verdict is Verdict.STALE_READ
    assert now.view.unconfirmed
    assert now.view.content == MOVED


def test_a_read_between_two_changes_is_kept_but_does_not_end_the_wait() -> None:
    now = last(
        read(1, APPROVED, AT),
        notified(content("DENIED"), after(60)),
        read(2, MOVED, after(30), began=after(59)),
    )
    assert now.verdict is Verdict.NEWER
    assert (now.view.version, now.view.confirmed) == (2, MOVED)
    assert now.view.content == DENIED
    assert now.view.unconfirmed
    assert not now.view.removal_confirmed


def test_stamps_that_never_meet_do_not_wait_forever() -> None:
    """A listing has its time stamp from another field than the notification, cut to seconds at times."""
    waiting = folded(notified(APPROVED, after(0.118)))
    early = fold(waiting, read(1, APPROVED, AT, began=after(0.118) + PATIENCE))
    assert early.view.unconfirmed
    late = fold(waiting, read(1, APPROVED, AT, began=after(0.119) + PATIENCE))
    assert not late.view.unconfirmed
    assert late.view.provisional is None


def test_a_read_without_a_time_stamp_counts_from_its_beginning() -> None:
    waiting = folded(notified(APPROVED, after(60)))
    assert folded(read(1, APPROVED, None, began=after(59)), start=waiting).unconfirmed
    assert not folded(read(1, APPROVED, None, began=after(60)), start=waiting).unconfirmed


def test_a_provisional_state_that_the_read_denies_is_taken_back() -> None:
    now = last(read(1, APPROVED, AT), notified(MOVED, after(60)), read(1, APPROVED, AT, began=after(200)))
    assert now.verdict is Verdict.CONFIRMED
    assert now.view.content == APPROVED
    assert not now.view.unconfirmed


# -- removals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("removed", [DENIED, CANCELED])
def test_a_removal_counts_only_once_it_was_read(removed: RequestContent) -> None:
    notification = folded(read(1, APPROVED, AT), notified(removed, after(60)))
    assert not notification.removal_confirmed
    assert folded(read(2, removed, after(60)), start=notification).removal_confirmed


def test_a_denied_notification_whose_read_says_approved_removes_nothing() -> None:
    now = folded(
        read(1, APPROVED, AT),
        notified(DENIED, after(60)),
        read(2, APPROVED, after(61)),
    )
    assert now.content == APPROVED
    assert not now.removal_confirmed


def test_a_removal_overtaken_by_anything_newer_is_no_longer_confirmed() -> None:
    removed = folded(read(2, CANCELED, AT))
    assert removed.removal_confirmed
    assert not folded(notified(APPROVED, after(1)), start=removed).removal_confirmed
    assert not folded(notified(APPROVED, after(60)), start=removed).removal_confirmed
    assert not folded(notified(APPROVED, None), start=removed).removal_confirmed


def test_pending_is_no_removal() -> None:
    assert not folded(read(1, content(RequestStatus.PENDING), AT)).removal_confirmed


# -- what is not there ------------------------------------------------------------------------------------


def test_a_404_marks_the_request_and_keeps_all_that_is_known() -> None:
    now = last(read(1, APPROVED, AT), read(0, None, None, began=after(60)))
    assert now.verdict is Verdict.MISSING
    assert now.view == replace(folded(read(1, APPROVED, AT)), missing=True)
    assert not now.view.removal_confirmed


def test_a_404_ends_the_wait_for_a_read() -> None:
    now = last(notified(APPROVED, AT), read(0, None, None, began=after(1)))
    assert now.view.missing
    assert not now.view.unconfirmed


def test_a_second_404_changes_nothing() -> None:
    gone = folded(read(1, APPROVED, AT), read(0, None, None, began=after(60)))
    assert fold(gone, read(0, None, None, began=after(90))) == Folded(gone, Verdict.HELD)


def test_a_404_from_before_the_change_says_nothing() -> None:
    """A read older than the watermark confirms nothing, not even an absence."""
    before = folded(notified(APPROVED, after(60)))
    assert fold(before, read(0, None, None, began=after(59))) == Folded(before, Verdict.STALE_READ)


@pytest.mark.parametrize(
    "seen", [read(1, APPROVED, AT, began=after(90)), read(2, MOVED, after(80)), notified(MOVED, after(80))]
)
def test_a_request_seen_again_is_not_missing(seen: Observation) -> None:
    gone = folded(read(1, APPROVED, AT), read(0, None, None, began=after(60)))
    assert not fold(gone, seen).view.missing


# -- agent, unit and zone ---------------------------------------------------------------------------------


def test_the_zone_is_that_of_the_version() -> None:
    """A notification from before the move, replayed, must not move the days of the version after it."""
    seen = part_of_a_day(AT, 60)
    moved = replace(folded(read(1, seen, AT)), zone="America/New_York", management_unit_id="unit-2")
    for old in (
        notified(seen, AT, received=after(60)),
        notified(seen, after(-60), received=after(80)),
        read(0, content(dates=(MONDAY,)), after(-30), began=after(90)),
    ):
        now = fold(moved, old).view
        assert now.zone == "America/New_York"
        assert wants(now) == wants(moved)


def test_the_same_version_read_in_another_unit_is_looked_at_again() -> None:
    """Another unit is another mapping, another pilot, perhaps another HRIS."""
    before = replace(folded(read(1, APPROVED, AT)), management_unit_id=None)
    now = fold(before, read(1, APPROVED, AT, began=after(70))).view
    assert now.management_unit_id == "unit-1"
    assert wants(now) != wants(before)


def test_a_newer_version_brings_its_own_place() -> None:
    now = folded(
        read(1, APPROVED, AT), read(2, MOVED, after(60), zone="Asia/Kolkata", management_unit_id="u2")
    )
    assert (now.zone, now.management_unit_id) == ("Asia/Kolkata", "u2")


def test_an_older_version_brings_no_place_of_its_own() -> None:
    now = folded(
        read(2, MOVED, after(60)),
        read(1, APPROVED, AT, zone="Asia/Kolkata", management_unit_id="u2", agent_id="agent-2"),
    )
    assert (now.zone, now.management_unit_id, now.agent_id) == ("Europe/Berlin", "unit-1", AGENT)


def test_a_place_unknown_so_far_is_taken_from_any_sight() -> None:
    unplaced = folded(read(1, APPROVED, AT, zone=None, management_unit_id=None))
    assert unplaced.zone is None
    now = folded(read(1, APPROVED, AT, began=after(60)), start=unplaced)
    assert (now.zone, now.management_unit_id) == ("Europe/Berlin", "unit-1")


def test_a_sight_without_place_does_not_forget_it() -> None:
    now = folded(read(1, APPROVED, AT), read(2, MOVED, after(60), zone=None, management_unit_id=None))
    assert (now.zone, now.management_unit_id) == ("Europe/Berlin", "unit-1")


def test_only_a_read_gives_a_request_to_another_agent() -> None:
    stranger = notified(APPROVED, after(60)).model_copy(update={"agent_id": "agent-2"})
    assert folded(read(1, APPROVED, AT), stranger).agent_id == AGENT
    assert folded(read(1, APPROVED, AT), read(2, MOVED, after(60), agent_id="agent-2")).agent_id == "agent-2"


# -- what makes a request due -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "DENIED"},
        {"activity_code_id": "other"},
        {"full_day_dates": (TUESDAY,)},
        {"duration_minutes": (450,)},
        {"payable_minutes": (450,)},
        {"daily_minutes": 450},
        {"full_day": False},
        {"partial_starts": (AT,)},
    ],
)
def test_what_an_entry_says_makes_a_request_due(changes: dict[str, Any]) -> None:
    assert wants(view(content(**changes))) != wants(view(content()))


@pytest.mark.parametrize(
    "changes", [{"notes": "x"}, {"substatus": "AutoApproved"}, {"paid": True}, {"submitted_at": AT}]
)
def test_what_no_entry_says_does_not(changes: dict[str, Any]) -> None:
    assert wants(view(content(**changes))) == wants(view(content()))


def test_a_confirming_read_makes_only_a_removal_due() -> None:
    assert wants(view(APPROVED)) == wants(view(provisional=APPROVED))
    assert wants(view(DENIED)) != wants(view(APPROVED, provisional=DENIED))


def test_a_zone_makes_only_a_part_of_a_day_due() -> None:
    part = part_of_a_day(AT, 60)
    assert wants(view(part)) != wants(view(part, zone="UTC"))
    assert wants(view(APPROVED)) == wants(view(APPROVED, zone="UTC"))


def test_missing_makes_a_request_due() -> None:
    assert wants(view(APPROVED)) != wants(view(APPROVED, missing=True))
    assert wants(view()) != wants(view(missing=True))


# -- the broken mode --------------------------------------------------------------------------------------


def test_without_order_whatever_comes_last_is_taken() -> None:
    """The mode that shows what the order is good for has to be wrong."""
    newer = folded(read(2, MOVED, after(60)))
    assert fold(newer, notified(APPROVED, AT), ordered=False).view.content == APPROVED
    assert fold(newer, read(0, None, None), ordered=False).view == newer


# -- any order --------------------------------------------------------------------------------------------

_STATES = [APPROVED, MOVED, DENIED, CANCELED, content("PENDING"), content(duration_minutes=(240,))]


@dataclass(frozen=True)
class History:
    """Sights of the versions of one request, in the order of their making; `final` is read after all."""

    sights: list[Observation]
    final: Observation


@st.composite
def histories(draw: st.DrawFn) -> History:
    states = draw(st.lists(st.sampled_from(_STATES), min_size=1, max_size=5))
    gaps = draw(st.lists(st.floats(0.001, 300, allow_nan=False), min_size=len(states), max_size=len(states)))
    sights: list[Observation] = []
    at = AT
    stamps: list[datetime] = []
    for gap in gaps:
        at += timedelta(seconds=gap)
        stamps.append(at)
    for number, (state, stamp) in enumerate(zip(states, stamps, strict=True), start=1):
        sights.append(notified(state, stamp, received=stamp + timedelta(seconds=draw(st.floats(0, 400)))))
        until = stamps[number] if number < len(stamps) else stamp + timedelta(seconds=500)
        if draw(st.booleans()):
            began = stamp + (until - stamp) * draw(st.floats(0, 0.99))
            stamped = draw(st.booleans())
            sights.append(read(number, state, stamp if stamped else None, began=began))
        if draw(st.booleans()):
            sights.append(notified(state, None, received=stamp + timedelta(seconds=0.1)))
        if draw(st.integers(0, 9)) == 0:
            sights.append(read(0, None, None, began=stamp + timedelta(seconds=0.1)))
    final = read(len(states), states[-1], stamps[-1], began=stamps[-1] + timedelta(seconds=600))
    return History(sights, final)


def settled(of: RequestView) -> RequestView:
    """The watermark says what was heard of, not what is; it may differ once all is confirmed."""
    return replace(of, watermark=None)


@settings(deadline=None)
@given(histories(), st.data())
def test_any_order_and_any_repetition_ends_in_the_same_view(history: History, data: st.DataObject) -> None:
    sights = history.sights
    doubled = sights + data.draw(st.lists(st.sampled_from(sights), max_size=5))
    shuffled = data.draw(st.permutations(doubled))
    straight = settled(folded(*sights, history.final))
    assert settled(folded(*shuffled, history.final)) == straight
    assert straight.content == history.final.content
    assert straight.version == history.final.version
    assert not straight.unconfirmed
    assert not straight.missing


@settings(deadline=None)
@given(histories(), st.data())
def test_no_order_removes_what_no_read_removed(history: History, data: st.DataObject) -> None:
    """At every moment: a removal stands on a read, and on nothing heard of since."""
    now: RequestView | None = None
    newest = 0
    heard: list[datetime] = []
    for seen in data.draw(st.permutations([*history.sights, history.final])):
        now = fold(now, seen).view
        if seen.source is ObservationSource.STREAM:
            heard += [seen.modified_at] if seen.modified_at else []
        else:
            newest = max(newest, seen.version or 0)
        assert (now.version or 0) == newest, "versions never go back"
        if now.removal_confirmed and not now.missing:  # what is missing is held whatever it says
            assert now.confirmed is not None
            assert now.confirmed.status in ("DENIED", "CANCELED")
            assert now.confirmed_at is not None
            late = [at for at in heard if at > now.confirmed_at]
            reads = [s for s in [*history.sights, history.final] if s.version == now.version]
            assert not late or any(s.read_at - max(late) > PATIENCE or s.modified_at is None for s in reads)


@settings(deadline=None)
@given(histories())
def test_a_replay_makes_nothing_due(history: History) -> None:
    """All that was applied, seen again from the start, costs no HRIS call."""
    sights = [seen for seen in history.sights if seen.content is not None and seen.modified_at is not None]
    end = folded(*sights, history.final)
    now = end
    for seen in (*sights, history.final):
        now = fold(now, seen).view
        assert wants(now) == wants(end)
    assert settled(now) == settled(end)

"""Folding observations into what is known of a request. Pure.

Order comes from `metadata.version` of REST reads alone. A notification carries no version: its time stamp is
a watermark that asks for a confirming read, and its content is acted on at once, as provisional, only when
nothing is known of the request or when it is clearly newer than all that is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from timeoff.events import Observation, RequestContent
from timeoff.ledger.rows import RequestView
from timeoff.vocabulary import REMOVED_STATUSES

#: How much newer a notification must be than everything held to be acted on at once.
CLEARLY_NEWER: Final = timedelta(seconds=2)
#: A read that began so long after the watermark confirms even if its own time stamp is older: the two
#: stamps come from different fields and may never meet.
PATIENCE: Final = timedelta(seconds=120)
#: A time stamp that lies further ahead of the listener's clock orders nothing: it counts as absent, else
#: every later change would look old.
MOST_SKEW: Final = timedelta(seconds=60)


class Verdict(StrEnum):
    """What an observation changed."""

    NEW = "new"
    NEWER = "newer"
    CONFIRMED = "confirmed"
    ASKS = "asks"
    MISSING = "missing"
    #: already known, in every respect
    HELD = "held"
    #: older than what is known
    OLDER = "older"
    #: a read that began before a change it should have shown
    STALE_READ = "stale_read"


@dataclass(frozen=True, slots=True)
class Folded:
    view: RequestView
    verdict: Verdict


def fold(view: RequestView | None, seen: Observation, *, ordered: bool = True) -> Folded:
    """What is known after `seen`. `ordered=False` takes whatever comes last for the truth (a broken mode

    for showing what the order is good for; see `protections`).
    """
    new = view is None
    view = view or RequestView(request_id=seen.request_id, agent_id=seen.agent_id)
    if not ordered:
        folded = _take_anything(view, seen)
    elif seen.content is None:
        folded = _missing(view, seen)
    elif seen.version is not None:
        folded = _read(view, seen, seen.version, seen.content, new)
    else:
        folded = _notified(view, seen, seen.content, new)
    return replace(folded, view=_placed(folded, seen))


def _placed(folded: Folded, seen: Observation) -> RequestView:
    """The zone belongs to what it came with: an old sight, replayed, must not move a newer one's days."""
    view = folded.view
    if seen.agent_id != view.agent_id and seen.version is None:
        return view
    old = folded.verdict in (Verdict.OLDER, Verdict.STALE_READ)
    # The unit is the agent's at the time of the sight: the same version read again may tell a newer one.
    repeated = folded.verdict is Verdict.HELD and seen.version is None
    telling = folded.verdict in (Verdict.NEW, Verdict.NEWER, Verdict.CONFIRMED)
    return replace(
        view,
        agent_id=view.agent_id if old else seen.agent_id,
        management_unit_id=(not (old or repeated) and seen.management_unit_id) or view.management_unit_id,
        zone=(telling and seen.zone) or view.zone or seen.zone,
    )


def _missing(view: RequestView, seen: Observation) -> Folded:
    if view.watermark is not None and _utc(seen.read_at) < view.watermark:
        return Folded(view, Verdict.STALE_READ)
    if view.missing and not view.unconfirmed:
        return Folded(view, Verdict.HELD)
    return Folded(replace(view, missing=True, unconfirmed=False), Verdict.MISSING)


def _read(view: RequestView, seen: Observation, version: int, content: RequestContent, new: bool) -> Folded:
    if view.version is not None and version < view.version:
        return Folded(view, Verdict.OLDER)
    modified = _stamp(seen) or _utc(seen.read_at)
    current = (
        view.watermark is None or modified >= view.watermark or _utc(seen.read_at) - view.watermark > PATIENCE
    )
    newer = view.version is None or version > view.version
    if newer:
        view = replace(view, version=version, confirmed=content, confirmed_at=modified, missing=False)
    if current:
        settles = view.unconfirmed or view.provisional is not None
        view = replace(view, provisional=None, unconfirmed=False, missing=False)
        if newer:
            return Folded(view, Verdict.NEW if new else Verdict.NEWER)
        return Folded(view, Verdict.CONFIRMED if settles else Verdict.HELD)
    return Folded(view, Verdict.NEWER if newer else Verdict.STALE_READ)


def _notified(view: RequestView, seen: Observation, content: RequestContent, new: bool) -> Folded:
    modified = _stamp(seen)
    if modified is None:
        if view.unconfirmed:
            return Folded(view, Verdict.HELD)
        return Folded(replace(view, unconfirmed=True), Verdict.ASKS)
    if view.confirmed_at is not None and modified <= view.confirmed_at:
        same = modified == view.confirmed_at and _same(content, view.confirmed)
        if same or modified < view.confirmed_at:
            return Folded(view, Verdict.HELD if same else Verdict.OLDER)
        # A tie with other content: only a read can tell.
        return Folded(replace(view, unconfirmed=True), Verdict.ASKS)
    if view.watermark is not None and modified <= view.watermark:
        same = modified == view.watermark and _same(content, view.provisional)
        tie = modified == view.watermark and not same and not view.unconfirmed
        if tie:
            return Folded(replace(view, unconfirmed=True), Verdict.ASKS)
        return Folded(view, Verdict.HELD if same else Verdict.OLDER)
    newest = max((at for at in (view.confirmed_at, view.watermark) if at is not None), default=None)
    view = replace(view, watermark=modified, unconfirmed=True, missing=False)
    if newest is None or modified - newest > CLEARLY_NEWER:
        return Folded(replace(view, provisional=content), Verdict.NEW if new else Verdict.NEWER)
    return Folded(view, Verdict.ASKS)


def _take_anything(view: RequestView, seen: Observation) -> Folded:
    if seen.content is None:
        return Folded(view, Verdict.HELD)
    return Folded(
        replace(view, confirmed=seen.content, confirmed_at=_utc(seen.modified_at), provisional=None),
        Verdict.NEWER,
    )


def wants(view: RequestView) -> tuple[Any, ...]:
    """What a worker would act on; while it stays the same, nothing is due."""
    content = view.content
    place = (view.agent_id, view.management_unit_id)  # whose leave it is, by which mapping, in which pilot
    if content is None:
        return (view.missing, place)
    removed = content.status in REMOVED_STATUSES
    return (
        view.missing,
        place,
        content.status,
        content.activity_code_id,
        content.full_day,
        content.full_day_dates,
        content.partial_starts,
        content.duration_minutes,
        content.payable_minutes,
        content.daily_minutes,
        view.zone if not content.full_day else None,
        view.removal_confirmed if removed else None,
    )


def _same(left: RequestContent, right: RequestContent | None) -> bool:
    if right is None or left == right:
        return right is not None
    return left.model_copy(update={"notes": None}) == right.model_copy(update={"notes": None})


def _stamp(seen: Observation) -> datetime | None:
    """The request's own time stamp, if it has one that can be true."""
    if seen.modified_at is None:
        return None
    modified = _utc(seen.modified_at)
    return modified if modified - _utc(seen.read_at) <= MOST_SKEW else None


def _utc(at: datetime | None) -> datetime:
    if at is None:
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo else at.replace(tzinfo=UTC)

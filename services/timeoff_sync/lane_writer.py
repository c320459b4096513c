"""Making one write in a lane: the intent is committed, the call is made, what came of it is noted.

Outcomes travel with the next announcement, so a lane waits for one commit per write.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

from timeoff.errors import (
    HrisError,
    LeaseLost,
    OutcomeUnknown,
    RetryLater,
)
from timeoff.hris.port import Written
from timeoff.ledger.handovers import Handovers
from timeoff.ledger.lanes import Lane, Lanes
from timeoff.ledger.rows import Case
from timeoff.ledger.steps import Announcement, EntryChange, Evidence, Outcome, Step, Steps
from timeoff.runtime import failpoints
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import EntryKey
from timeoff_sync import metrics
from timeoff_sync.decide import next_reading
from timeoff_sync.decisions import Cancel, Insert, Update, Write
from timeoff_sync.doubts import Doubts
from timeoff_sync.hand_marks import HandMarks
from timeoff_sync.outcomes import Outcomes, change_for
from timeoff_sync.protections import Protections
from timeoff_sync.sightings import Sightings
from timeoff_sync.target import Target
from timeoff_sync.writing import Writing

log = get_logger()

#: Between the commit of an intent and the bytes of its call: more, and the call is not made.
SEND_WITHIN = 5.0


class LaneBlocked(Exception):
    """Nothing more can be done in this lane for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"blocked for {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Tools:
    """What every lane of a target shares."""

    target: Target
    lanes: Lanes
    steps: Steps
    sightings: Sightings
    outcomes: Outcomes
    doubts: Doubts
    writing: Writing
    protections: Protections
    retry_attempts: int
    handovers: Handovers
    hand_marks: HandMarks | None = None


class LaneWriter:
    """What a lane's holder can do to the HRIS and to the ledger; deciding is `LaneRun`'s."""

    def __init__(self, lane: Lane, tools: Tools, stopping: asyncio.Event) -> None:
        self.lane = lane
        self.tools = tools
        self.stopping = stopping
        self.lost = False
        self._pending: list[Outcome] = []
        self._evidence: list[Evidence] = []

    async def _announced_call(
        self, case: Case, item: Announcement, call: Callable[[], Awaitable[Written]]
    ) -> Written | HrisError:
        """Commit the intent, then make the call; errors come back as values."""
        announced_at = time.monotonic()
        if self.tools.protections.intent:
            await self._announce(item)
            if failpoints.armed:
                await failpoints.hit("sync.after-intent")
        else:
            await self._flush()
        if time.monotonic() - announced_at > SEND_WITHIN:
            return RetryLater("the intent took too long to commit", retry_after=1.0)
        try:
            return await call()
        except HrisError as error:
            return error
        except Exception as error:  # an adapter's own fault: who knows what was sent
            log.exception("adapter.failed", error=type(error).__name__, **self._ids(case))
            return OutcomeUnknown(type(error).__name__)

    def _announcement(self, case: Case, decision: Write, timeout: float) -> Announcement:
        entry = None if isinstance(decision, Insert) else decision.entry
        of = decision if isinstance(decision, Insert) else decision.entry
        return Announcement(
            intent_id=uuid4(),
            request_pk=case.request_pk,
            revision=case.revision,
            kind=_kind(decision),
            booking=of.booking,
            part=of.part,
            write_no=case.writes + 1,
            timeout=timeout,
            spec=None if isinstance(decision, Cancel) else decision.spec,
            previous=entry.spec if entry else None,
            vendor_id=entry.vendor_id if entry else None,
            repeat=case.doubted,
        )

    async def _announce(self, announcement: Announcement) -> None:
        """Commit pending outcomes and the intent. Returns only if the write may be made."""
        result = await self._commit(announcement)
        if not result:
            # The request changed, writing was turned off, or the brake was pulled: look at it anew.
            self.tools.writing.stale()
            raise LaneBlocked(0.05)

    async def _call(self, case: Case, item: Announcement, decision: Write) -> Written:
        target = self.tools.target
        key = self._key(case, item.booking, item.part)
        match decision:
            case Insert(spec):
                type_ = target.rules.types[spec.type_id]
                return await target.call(
                    "insert", lambda: target.hris.insert(key, item.write_no, spec, type_)
                )
            case Update(entry, spec):
                type_ = target.rules.types[spec.type_id]
                return await target.call(
                    "update",
                    lambda: target.hris.update(key, item.write_no, entry.vendor_id, entry.spec, spec, type_),
                )
            case Cancel(entry, reason):
                return await target.call("cancel", lambda: target.hris.cancel(key, entry.vendor_id, reason))

    def _booked(self, case: Case, item: Announcement, vendor_id: str, *, more: bool) -> None:
        """The write took place."""
        operation, how = operation_of(item.kind), "written"
        outcome = self.tools.outcomes.booked(
            case,
            operation,
            self._change(case, item, vendor_id),
            intent_id=self._intent_id(item),
            intent_outcome=how if self._intent_id(item) else None,
            more=more,
        )
        self._pending.append(outcome)
        log.info("request.applied", operation=operation, vendor_id=vendor_id, how=how, **self._ids(case))

    def _accepted(self, case: Case, item: Announcement, vendor_id: str) -> None:
        """The HRIS accepted the write and shows it later."""
        outcome = self.tools.outcomes.accepted(
            case,
            self._change(case, item, vendor_id),
            intent_id=self._intent_id(item),
            how="accepted",
            seconds=next_reading(self.tools.target.rules.capabilities),
        )
        self._pending.append(outcome)
        log.info(
            "request.accepted", operation=operation_of(item.kind), vendor_id=vendor_id, **self._ids(case)
        )

    def _change(self, case: Case, item: Announcement, vendor_id: str) -> EntryChange:
        if operation_of(item.kind) == "cancel":
            return change_for(case.entry(item.booking, item.part), live=False)
        assert item.spec is not None
        return EntryChange(
            booking=item.booking,
            part=item.part,
            target=self.tools.target.name,
            spec=item.spec,
            unit=self.tools.target.rules.types[item.spec.type_id].unit.value,
            vendor_id=vendor_id,
            live=True,
        )

    def _retried(self, case: Case, error: HrisError, item: Announcement) -> Outcome:
        if case.attempts + 1 >= self.tools.retry_attempts:
            return self.tools.outcomes.failed(
                case, "gave_up", error.error_class, intent_id=self._intent_id(item)
            )
        return self.tools.outcomes.retry(case, error, intent_id=self._intent_id(item))

    async def _authenticated(self) -> bool:
        try:
            return await self.tools.target.health()
        except HrisError:
            return False

    async def _stop_target(self, error: HrisError) -> None:
        await self._flush()
        await self.tools.writing.stop_target(self.tools.target.name, error.error_class)
        raise LaneBlocked(1.0)

    async def _commit(self, announcement: Announcement | None) -> bool:
        outcomes, self._pending = tuple(self._pending), []
        evidence, self._evidence = tuple(self._evidence), []
        result = await self.tools.steps.commit(
            Step(self.lane.lane_id, self.lane.epoch, outcomes, announcement, evidence)
        )
        if not result.moved:
            self.lost = True
            metrics.LEASES_LOST.inc()
            raise LeaseLost
        return result.granted

    async def _flush(self) -> None:
        if self._pending or self._evidence:
            await self._commit(None)

    def _note(self, kind: str, detail: dict[str, object], item: Announcement, case: Case) -> None:
        self._evidence.append(Evidence(kind, detail, self._intent_id(item), case.request_pk))

    def _intent_id(self, item: Announcement) -> UUID | None:
        return item.intent_id if self.tools.protections.intent else None

    def _key(self, case: Case, booking: int, part: int = 1) -> EntryKey:
        return EntryKey(self.tools.target.rules.deployment, case.org, case.key, booking, part)

    def _ids(self, case: Case) -> dict[str, object]:
        return {
            "request_id": case.view.request_id,
            "lane": case.lane_id,
            "epoch": case.epoch,
            "attempt": case.attempts,
            "version": case.view.version,
        }


def _kind(decision: Write) -> str:
    """The intent's kind: a cancel that makes way for something else is told apart from a removal."""
    if isinstance(decision, Cancel) and decision.for_change:
        return "cancel_for_change"
    return type(decision).__name__.lower()


def operation_of(kind: str) -> str:
    """What an intent of that kind does to an entry: insert, update or cancel."""
    return "cancel" if kind.startswith("cancel") else kind

"""Working through one lane: one request after the other, one call in flight.

For each request: decide, read the HRIS if that needs it, write, settle what is in doubt, audit what was.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import replace
from uuid import uuid4

import asyncpg

from timeoff.errors import (
    AuthFailed,
    Conflict,
    Forbidden,
    GenesysError,
    HrisError,
    LeaseLost,
    OutcomeUnknown,
    RetryLater,
)
from timeoff.hris.port import HrisEntry, Written
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.lanes import Lane
from timeoff.ledger.rows import Case, Intent
from timeoff.ledger.steps import Announcement
from timeoff.runtime import failpoints
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import Day, EntrySpec
from timeoff_sync import metrics
from timeoff_sync.decide import decide
from timeoff_sync.decisions import (
    Adopt,
    Cancel,
    ChangePath,
    Decision,
    Effective,
    Gone,
    Hold,
    Insert,
    Look,
    Nothing,
    Take,
    Update,
    Wait,
    Write,
)
from timeoff_sync.handed import same_leave
from timeoff_sync.lane_writer import SEND_WITHIN, LaneBlocked, LaneWriter, Tools
from timeoff_sync.outcomes import change_for, change_of_found

log = get_logger()

#: A repeat that the HRIS refuses is looked for so many times; then the refusal is believed.
MOST_REPEATS = 5


class LaneRun(LaneWriter):
    """One claimed lane from its first request to its last."""

    def __init__(self, lane: Lane, tools: Tools, stopping: asyncio.Event) -> None:
        super().__init__(lane, tools, stopping)
        self._cases: deque[Case] = deque()
        #: their rows are not what was loaded any more
        self._moved: set[int] = set()

    async def run(self) -> float:
        """Work off what was loaded. Returns for how many seconds the lane is to be left alone."""
        try:
            if self.lane.open_intent is not None:
                await self._guarded_settle(self.lane.open_intent)
            self._cases = deque(self.lane.cases)
            if self.lane.open_intent:
                self._moved.add(self.lane.open_intent.request_pk)
            while self._cases and not self.stopping.is_set():
                case = self._cases.popleft()
                if case.request_pk not in self._moved:
                    await self._guarded_turn(case)
            await self._flush()
        except LaneBlocked as blocked:
            await self._flush()
            return blocked.seconds
        return 0.0

    # -- one request ---------------------------------------------------------------------------------

    async def _guarded_settle(self, intent: Intent) -> None:
        """A fault while settling leaves the doubt open: it is looked at again, and nothing else suffers."""
        try:
            await self._settle(intent)
        except (LeaseLost, LaneBlocked, asyncpg.PostgresError, *CONNECTION_TROUBLE):
            raise
        except Exception as error:
            log.exception("settle.failed", error=type(error).__name__, lane=self.lane.lane_id)
            raise LaneBlocked(30.0) from None

    async def _guarded_turn(self, case: Case) -> None:
        """A fault in a rule, an adapter or this code costs the request, which is held, and nothing else."""
        try:
            await self._turn(case)
        except (LeaseLost, LaneBlocked, asyncpg.PostgresError, *CONNECTION_TROUBLE):
            raise
        except Exception as error:
            log.exception("turn.failed", error=type(error).__name__, **self._ids(case))
            detail = {"error": type(error).__name__}
            self._pending.append(self.tools.outcomes.held(case, "internal_error", detail))

    async def _turn(self, case: Case) -> None:
        if self.lost:
            await self._flush()  # outcomes no longer count, but what was learnt does
            raise LeaseLost
        try:
            if case.audit_due:
                await self._guarded_audit(case)
                return
            if case.near:
                unbound = await self._bind(case)
                if unbound is None:
                    return
                case = unbound
            decision = decide(case, self.tools.target.rules)
            if isinstance(decision, Take):
                await self._flush()
                sighting = await self.tools.sightings.take(case, decision)
                decision = decide(case, self.tools.target.rules, sighting)
            elif isinstance(decision, Look):
                await self._flush()
                sighting = await self.tools.sightings.look(case, decision)
                decision = decide(case, self.tools.target.rules, sighting)
                if isinstance(decision, Insert) and await self._marked_by_hand(case):
                    decision = decide(replace(case, done_by_hand=True), self.tools.target.rules, sighting)
        except GenesysError as error:
            later = RetryLater(f"Genesys: {error.error_class}", retry_after=error.retry_after)
            await self._read_failed(case, later)
            return
        except HrisError as error:
            await self._read_failed(case, error)
            return
        metrics.DECISIONS.labels(self.tools.target.name, type(decision).__name__.lower()).inc()
        await self._carry_out(case, decision)

    async def _carry_out(self, case: Case, decision: Decision) -> None:
        outcomes = self.tools.outcomes
        writing = self.tools.writing.allows(case)
        match decision:
            case Nothing(reason, ours, detail):
                self._pending.append(outcomes.settled(case, reason, ours=ours, detail=detail))
            case ChangePath(path):
                log.info("request.path_changed", path=path.value, **self._ids(case))
                self._pending.append(outcomes.path_changed(case, path))
            case Wait(reason, seconds):
                self._pending.append(outcomes.waiting(case, reason, seconds))
            case Hold(reason, detail):
                log.warning("request.held", reason=reason, **self._ids(case))
                self._pending.append(outcomes.held(case, reason, detail))
            case Adopt(found, spec, booking, part, more):
                change = change_of_found(found, spec, booking, self.tools.target.name, part)
                log.info("request.applied", operation="adopt", vendor_id=found.vendor_id, **self._ids(case))
                self._pending.append(outcomes.booked(case, "adopt", change, more=more))
            case Gone(entry, _, more):
                change = change_for(entry, live=False)
                self._pending.append(outcomes.booked(case, "gone", change, more=more))
            case Effective(entry):
                # Decide once more at once: what is wanted may have moved on while it took effect.
                log.info("request.effective", vendor_id=entry.vendor_id, **self._ids(case))
                change = change_for(entry, live=entry.live)
                self._pending.append(outcomes.booked(case, "effective", change, more=True))
            case Insert(spec) | Update(_, spec) if not writing:
                self._pending.append(outcomes.planned(case, type(decision).__name__.lower(), spec))
            case Cancel() if not writing:
                self._pending.append(outcomes.planned(case, "cancel", None))
            case Insert() | Update() | Cancel():
                await self._write(case, decision)
            case Look() | Take():
                raise AssertionError("decide asked to look twice")

    async def _marked_by_hand(self, case: Case) -> bool:
        marks = self.tools.hand_marks
        return marks is not None and case.bound and await marks.done_by_hand(case.view)

    # -- handed over, and seen in Genesys ------------------------------------------------------------

    async def _bind(self, case: Case) -> Case | None:
        """Make one row of what was handed over and what was seen. None: this row is one with another now,
        and is due; else the case as it is to be decided on.
        """
        await self._flush()
        rules, lanes = self.tools.target.rules, self.tools.lanes
        others = await lanes.near(case.request_pk)
        for handed in others if case.bound else [case]:
            seen = others if handed is case else await lanes.near(handed.request_pk)
            found = same_leave(handed, seen, rules)
            if len(found) == 1:
                if await self.tools.handovers.bind(handed, found[0], epoch=self.lane.epoch):
                    log.info("request.bound", handover_id=handed.handover_id, **self._ids(found[0]))
                    self._moved |= {handed.request_pk, found[0].request_pk}
                    if case.request_pk in self._moved:
                        return None
            elif found and handed is case:
                return replace(case, rivals=tuple(each.view.request_id for each in found))
            elif found:
                self._cases.append(handed)  # a person has to see to it
        # What could not be told to be the same must not be booked beside it unseen.
        return replace(case, look_first=True) if case.bound else case

    # -- one write -----------------------------------------------------------------------------------

    async def _write(self, case: Case, decision: Write) -> None:
        tools = self.tools
        timeout = tools.target.hris.capabilities.call_timeout + SEND_WITHIN
        item = self._announcement(case, decision, timeout)
        # What follows a failure may need calls of its own: it stands outside, or calls would wait for us.
        async with tools.target.admitted():
            answer = await self._announced_call(case, item, lambda: self._call(case, item, decision))
        if isinstance(answer, HrisError):
            await self._write_failed(case, item, answer)
            return
        if failpoints.armed:
            await failpoints.hit("sync.after-call")
        self._note("answer", {"vendor_id": answer.vendor_id, "lost": list(answer.lost)}, item, case)
        if failpoints.armed:
            await failpoints.hit("sync.before-outcome")
        if not answer.effective:
            self._accepted(case, item, answer.vendor_id)
            return
        self._booked(case, item, answer.vendor_id, more=decision.more)
        if decision.more:
            await self._flush()
            if failpoints.armed:
                await failpoints.hit("sync.between-steps")

    # -- when it does not go well --------------------------------------------------------------------

    async def _write_failed(self, case: Case, item: Announcement, error: HrisError) -> None:
        tools = self.tools
        self._note("error", {"class": error.error_class}, item, case)
        log.warning("write.failed", operation=item.kind, error=error.error_class, **self._ids(case))
        match error:
            case OutcomeUnknown():
                await self._in_doubt(case, item)
            case RetryLater():
                self._pending.append(self._retried(case, error, item))
                if error.throttled:
                    raise LaneBlocked(min(error.retry_after or 1.0, 60.0))
            case AuthFailed():
                self._pending.append(self._retried(case, error, item))
                await self._stop_target(error)
            case Forbidden() if not await self._authenticated():
                self._pending.append(self._retried(case, error, item))
                await self._stop_target(error)
            case _ if case.doubted and case.attempts < MOST_REPEATS and tools.protections.find:
                # A repeat that is refused may be refused because the first try took place after all.
                await self._in_doubt(case, item)
            case Conflict() if item.kind == "insert" and not case.look_first:
                # With what? A record of ours that the ledger lost is adopted; leave of others is shown.
                self._pending.append(tools.outcomes.look_again(case, intent_id=self._intent_id(item)))
            case _:
                self._pending.append(tools.outcomes.refused(case, error, intent_id=self._intent_id(item)))

    async def _in_doubt(self, case: Case, item: Announcement) -> None:
        metrics.DOUBTS.labels(self.tools.target.name).inc()
        if not (self.tools.protections.find and self.tools.protections.intent):
            self._pending.append(
                self._retried(case, RetryLater("repeated without looking", retry_after=0.1), item)
            )
            return
        await self._flush()
        intent = await self.tools.lanes.open_intent(self.lane.lane_id)
        if intent is None or intent.intent_id != item.intent_id:
            raise LeaseLost
        await self._settle(intent)

    async def _read_failed(self, case: Case, error: HrisError) -> None:
        """A read before a decision failed: nothing was written, so nothing is in doubt."""
        log.warning("read.failed", error=error.error_class, **self._ids(case))
        if isinstance(error, AuthFailed) or (
            isinstance(error, Forbidden) and not await self._authenticated()
        ):
            self._pending.append(self.tools.outcomes.retry(case, error))
            await self._stop_target(error)
        if error.retryable and case.attempts + 1 < self.tools.retry_attempts:
            self._pending.append(self.tools.outcomes.retry(case, error))
        elif error.retryable:
            self._pending.append(self.tools.outcomes.failed(case, "gave_up", error.error_class))
        else:
            self._pending.append(self.tools.outcomes.refused(case, error))

    # -- doubts --------------------------------------------------------------------------------------

    async def _settle(self, intent: Intent) -> None:
        """Settle the lane's open intent; raises `LaneBlocked` while nothing is proven."""
        case = await self.tools.lanes.case(intent.request_pk)
        if case is None:
            raise LaneBlocked(60.0)
        try:
            settled = await self.tools.doubts.settle(case, intent)
        except HrisError as error:
            if isinstance(error, AuthFailed) or (
                isinstance(error, Forbidden) and not await self._authenticated()
            ):
                await self._stop_target(error)
            if error.retryable or isinstance(error, OutcomeUnknown):
                raise LaneBlocked(min(max(error.retry_after or 0.0, 2.0), 600.0)) from None
            self._pending.append(self.tools.doubts.unsettled(case, intent, error.error_class))
            await self._flush()
            return
        if settled.wait is not None:
            raise LaneBlocked(settled.wait)
        assert settled.outcome is not None
        self._pending.append(settled.outcome)
        if settled.cancel_again:
            await self._cancel_again(intent)
        else:
            await self._flush()

    async def _cancel_again(self, intent: Intent) -> None:
        """A cancel in doubt is completed forward, whatever is wanted by now; decide runs after it."""
        await self._flush()
        case = await self.tools.lanes.case(intent.request_pk)
        if case is None:
            return
        if intent.kind == "cancel_twin":
            await self._cancel_twin(case, intent.vendor_id or "", intent.previous)
            return
        change = intent.kind == "cancel_for_change"
        entry = case.entry(intent.booking, intent.part)
        # What is wanted is decided when it is done.
        await self._write(case, Cancel(entry, "completing a cancel", for_change=change, more=True))
        await self._flush()

    async def _guarded_audit(self, case: Case) -> None:
        """An audit that cannot look tries again later; what the request is stays as it is."""
        try:
            await self._audit(case)
        except HrisError as error:
            log.warning("audit.failed", error=error.error_class, **self._ids(case))
            if isinstance(error, AuthFailed) or (
                isinstance(error, Forbidden) and not await self._authenticated()
            ):
                await self._stop_target(error)
            self._pending.append(self.tools.doubts.audit_later(case, attempts=case.attempts))

    async def _audit(self, case: Case) -> None:
        """Long after a doubt: is there a second record with our mark? Cancel the one we do not hold."""
        await self._flush()
        twins = await self.tools.doubts.twins(case)
        if not twins:
            self._pending.append(self.tools.doubts.audited(case))
            return
        twins = [twin for twin in twins if not twin.changing]
        if not twins:  # what ends them is accepted already
            self._pending.append(self.tools.doubts.audited(case, once_more=True))
            return
        await self._cancel_twin(case, twins[0].vendor_id, _where(twins[0]))

    async def _cancel_twin(self, case: Case, vendor_id: str, previous: EntrySpec | None) -> None:
        target = self.tools.target
        item = Announcement(
            intent_id=uuid4(),
            request_pk=case.request_pk,
            revision=case.revision,
            kind="cancel_twin",
            booking=case.booking,
            write_no=case.writes + 1,
            timeout=target.hris.capabilities.call_timeout + SEND_WITHIN,
            previous=previous,
            vendor_id=vendor_id,
        )
        key = self._key(case, case.booking)

        async def call() -> Written:
            return await target.call("cancel", lambda: target.hris.cancel(key, vendor_id, "written twice"))

        async with target.admitted():
            answer = await self._announced_call(case, item, call)
        if isinstance(answer, OutcomeUnknown):
            await self._in_doubt(case, item)
            return
        if isinstance(answer, HrisError):
            await self._twin_stays(case, item, answer)
            return
        metrics.TWINS.labels(target.name).inc()
        log.warning("twin.cancelled", vendor_id=vendor_id, **self._ids(case))
        self._note("audit", {"twin": vendor_id}, item, case)
        self._pending.append(self.tools.doubts.audited(case, intent_id=item.intent_id, once_more=True))

    async def _twin_stays(self, case: Case, item: Announcement, error: HrisError) -> None:
        """A twin that could not be cancelled: later, or a person."""
        if error.retryable or isinstance(error, AuthFailed):
            self._pending.append(self._retried(case, error, item))
            if isinstance(error, AuthFailed):
                await self._stop_target(error)
            return
        detail = {"hris": [{"id": item.vendor_id}], "error": error.error_class}
        self._pending.append(
            self.tools.outcomes.held(
                case,
                "twin_not_cancelled",
                detail,
                intent_id=self._intent_id(item),
                intent_outcome="refused",
                audit_in=-1.0,
            )
        )


def _where(found: HrisEntry) -> EntrySpec:
    """Where a record stands, for whoever has to look for it after a doubt."""
    dates = sorted({found.first_day, found.last_day})
    days = tuple(Day(on, 0, whole=True) for on in dates)
    return EntrySpec(found.employee_id, found.type_id, found.type_id2, found.status, days, "UTC")


__all__ = ["LaneBlocked", "LaneRun", "Tools"]

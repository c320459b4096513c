"""From what happened to how a request stands: the rows a turn leaves behind. Pure."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from timeoff.errors import (
    AlreadyBegun,
    Conflict,
    Forbidden,
    HrisError,
    InsufficientBalance,
    NotFound,
    Unsupported,
)
from timeoff.events import APPLIED, FAILED, HELD
from timeoff.hris.port import HrisEntry
from timeoff.ledger.rows import Case, Entry
from timeoff.ledger.steps import EntryChange, Outcome, OutgoingEvent
from timeoff.vocabulary import EntrySpec, IntegrationStatus, WritePath

#: A vendor's Retry-After counts up to so many seconds.
LONGEST_RETRY_AFTER = 86_400.0
#: So many tries without success, and the next one looks before it writes.
LONG_TRIED = 4

#: Refusals that need a decision rather than a correction.
_HELD: Mapping[type[HrisError], str] = {AlreadyBegun: "begun", Unsupported: "update_unsupported"}


@dataclass(frozen=True, slots=True)
class Names:
    """Topic of outgoing events, and whether results are reported to Genesys."""

    outcomes_topic: str
    report: bool


class Outcomes:
    """Builds outcomes of a case; every method is pure but for the jitter of retries."""

    def __init__(
        self,
        names: Names,
        retry_first: float,
        retry_max: float,
        writes: Callable[[Case], bool] = lambda case: True,
    ) -> None:
        """`writes`: is writing on for the request? Genesys hears nothing from a shadow."""
        self._names = names
        self._writes = writes
        self._retry_first = retry_first
        self._retry_max = retry_max

    def settled(
        self, case: Case, reason: str, *, ours: bool = True, detail: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Nothing to do. What was never booked, or skipped, is compared first if it is wanted later."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="settled" if ours else "not_ours",
            reason=reason,
            detail=dict(detail) if detail else None,
            booking=case.booking,
            writes=case.writes,
            look_first=not ours or (case.look_first and not case.entries),
            doubted=case.doubted,
            # After a doubt, or the last of several steps, Genesys has not heard yet that all is done; after a
            # call that ended without an answer it has heard that nothing is.
            report=self._report(case, IntegrationStatus.AUTOMATICALLY_COMPLETE)
            if (reason == "in_step" and case.writes)
            or (reason == "removed" and case.entries)
            or (ours and case.order is not None)
            else None,
        )

    def waiting(self, case: Case, reason: str, seconds: float | None = None) -> Outcome:
        """Nothing yet; looked at again after `seconds`, or when something changes."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="waiting",
            reason=reason,
            booking=case.booking,
            writes=case.writes,
            due_in=seconds,
            look_first=case.look_first,
            doubted=case.doubted,
            # What a workflow hands over as pending is done with that.
            report=self._report(case, IntegrationStatus.AUTOMATICALLY_COMPLETE)
            if reason == "pending" and case.order is not None
            else None,
        )

    def planned(self, case: Case, plan: str, spec: EntrySpec | None) -> Outcome:
        """What would be written if writing were on."""
        detail: dict[str, Any] = {"plan": plan}
        if spec is not None:
            detail["minutes"] = {day.date.isoformat(): day.minutes for day in spec.days}
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="planned",
            reason="shadow",
            detail=detail,
            booking=case.booking,
            writes=case.writes,
            look_first=True,
            doubted=case.doubted,
        )

    def held(
        self,
        case: Case,
        reason: str,
        detail: Mapping[str, Any],
        *,
        intent_id: UUID | None = None,
        intent_outcome: str | None = None,
        entry: EntryChange | None = None,
        audit_in: float | None = None,
    ) -> Outcome:
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="held",
            reason=reason,
            detail=dict(detail),
            booking=case.booking,
            writes=case.writes + (intent_id is not None),
            look_first=True,
            doubted=case.doubted,
            intent_id=intent_id,
            intent_outcome=intent_outcome,
            entry=entry,
            report=self._report(case, IntegrationStatus.ERROR),
            audit_in=audit_in,
            event=self._event(case, HELD, reason, {"reason": reason}),
        )

    def failed(self, case: Case, reason: str, words: str, *, intent_id: UUID | None = None) -> Outcome:
        """The HRIS refused. `words` are the vendor's, without notes."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="failed",
            reason=reason,
            detail={"hris": words[:500]} if words else {},
            booking=case.booking,
            writes=case.writes + (intent_id is not None),
            look_first=True,
            doubted=False,
            intent_id=intent_id,
            intent_outcome="refused" if intent_id else None,
            report=self._report(case, IntegrationStatus.ERROR),
            event=self._event(case, FAILED, reason, {"reason": reason}),
        )

    def retry(self, case: Case, error: HrisError, *, intent_id: UUID | None = None) -> Outcome:
        """Nothing was written; try again later, with jitter, not before the vendor's Retry-After."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="waiting",
            reason=error.error_class,
            booking=case.booking,
            writes=case.writes + (intent_id is not None),
            attempts=case.attempts + 1,
            due_in=max(self._backoff(case), _bounded(error.retry_after)),
            # After a long time of trying somebody may have booked by hand.
            look_first=case.look_first or case.attempts >= LONG_TRIED,
            doubted=case.doubted,
            intent_id=intent_id,
            intent_outcome="not_written" if intent_id else None,
        )

    def refused(self, case: Case, error: HrisError, *, intent_id: UUID | None = None) -> Outcome:
        """A clear no: failed where a correction is needed, held where a decision is."""
        for kind, reason in _HELD.items():
            if isinstance(error, kind):
                return self.held(
                    case, reason, {"hris": str(error)[:500]}, intent_id=intent_id, intent_outcome="refused"
                )
        match error:
            case NotFound(what=what) if what in ("employee", "type"):
                return self.held(case, f"{what}_unknown", {}, intent_id=intent_id, intent_outcome="refused")
            case NotFound():
                reason = "lost_in_hris"
                return self.held(case, reason, {}, intent_id=intent_id, intent_outcome="refused")
            case Conflict():
                return self.failed(case, "conflict", str(error), intent_id=intent_id)
            case InsufficientBalance():
                return self.failed(case, "insufficient_balance", str(error), intent_id=intent_id)
            case Forbidden():
                return self.failed(case, "forbidden", str(error), intent_id=intent_id)
            case _:
                return self.failed(case, "rejected", str(error), intent_id=intent_id)

    def booked(
        self,
        case: Case,
        operation: str,
        entry: EntryChange,
        *,
        intent_id: UUID | None = None,
        intent_outcome: str | None = None,
        audit_in: float | None = None,
        due_in: float | None = None,
        more: bool = False,
    ) -> Outcome:
        """An entry was written, cancelled, adopted or took effect. `more`: the next step follows at once."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open" if more else "settled",
            reason=operation,
            booking=entry.booking,
            writes=case.writes + (operation in ("insert", "update", "cancel")),
            due_in=0.0 if more else due_in,
            # What others booked is taken over part by part, and compared part by part.
            look_first=more and operation in ("adopt", "gone"),
            audit_in=audit_in,
            intent_id=intent_id,
            intent_outcome=intent_outcome or ("written" if intent_id else None),
            result_id=entry.vendor_id,
            entry=entry,
            report=None if more else self._report(case, IntegrationStatus.AUTOMATICALLY_COMPLETE),
            event=self._event(
                case,
                APPLIED,
                operation,
                {
                    "operation": operation,
                    "booking": entry.booking,
                    "part": entry.part,
                    "vendor_id": entry.vendor_id,
                    "live": entry.live,
                    "days": {day.date.isoformat(): day.minutes for day in entry.spec.days},
                    "type_id": entry.spec.type_id,
                },
            ),
        )

    def accepted(
        self,
        case: Case,
        entry: EntryChange,
        *,
        intent_id: UUID | None,
        how: str,
        seconds: float,
        audit_in: float | None = None,
    ) -> Outcome:
        """The HRIS has accepted the write and shows it later: read again after `seconds`, tell nobody yet."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="waiting",
            reason="not_yet_effective",
            booking=entry.booking,
            writes=case.writes + 1,
            due_in=seconds,
            audit_in=audit_in,
            intent_id=intent_id,
            intent_outcome=how if intent_id else None,
            result_id=entry.vendor_id,
            entry=replace(entry, effective=False),
        )

    def again(
        self,
        case: Case,
        intent_id: UUID,
        *,
        outcome: str,
        doubted: bool,
        audit_in: float | None = None,
        look_first: bool = False,
    ) -> Outcome:
        """A doubt was settled as not written (or a cancel as not done): decide again, now."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open",
            reason=None,
            booking=case.booking,
            writes=case.writes + 1,
            attempts=case.attempts + 1,
            due_in=self._backoff(case) if case.attempts else 0.0,
            doubted=doubted,
            audit_in=audit_in,
            look_first=look_first,
            intent_id=intent_id,
            intent_outcome=outcome,
        )

    def path_changed(self, case: Case, path: WritePath) -> Outcome:
        """Somebody else books it from now on: decide again, and compare with the HRIS first."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open",
            reason="path_changed",
            booking=case.booking,
            writes=case.writes,
            due_in=0.0,
            look_first=True,
            doubted=case.doubted,
            write_path=path,
        )

    def look_again(self, case: Case, *, intent_id: UUID | None) -> Outcome:
        """The HRIS refused because of what it holds already: compare with that, then decide again."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open",
            reason="conflict",
            booking=case.booking,
            writes=case.writes + 1,
            attempts=case.attempts + 1,
            due_in=0.0,
            look_first=True,
            intent_id=intent_id,
            intent_outcome="refused" if intent_id else None,
        )

    def _report(self, case: Case, status: IntegrationStatus) -> str | None:
        """Where workflows book, Genesys has the status from them: only what was handed over is reported. What
        is kept for a request that nobody has seen is no result of it.
        """
        told = case.order is not None or (case.write_path is WritePath.EVENTS and case.bound)
        return status.value if told and self._names.report and self._writes(case) else None

    def _backoff(self, case: Case) -> float:
        """Seconds until the next try: doubles, with jitter."""
        wait = min(self._retry_max, self._retry_first * 2.0 ** min(case.attempts, 20))
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def _event(self, case: Case, type_: str, what: str, data: dict[str, Any]) -> OutgoingEvent:
        return OutgoingEvent(
            topic=self._names.outcomes_topic,
            key=case.view.agent_id,
            type=type_,
            event_id=f"{case.view.request_id}/{case.booking}/{case.writes + 1}/{case.revision}/{what}",
            data={
                "org": case.org,
                "request_id": case.view.request_id,
                "agent_id": case.view.agent_id,
                "target": case.target,
                "employee_id": case.employee_id,
                "version": case.view.version,
                **({"handover_id": case.handover_id} if case.handover_id else {}),
                **data,
            },
        )


def _bounded(retry_after: float | None) -> float:
    if retry_after is None or not math.isfinite(retry_after):
        return 0.0 if retry_after is None else LONGEST_RETRY_AFTER
    return min(max(retry_after, 0.0), LONGEST_RETRY_AFTER)


def change_for(
    entry: Entry, *, live: bool, spec: EntrySpec | None = None, vendor_id: str | None = None, unit: str = ""
) -> EntryChange:
    """The change that leaves an entry as it was but for what is named."""
    return EntryChange(
        booking=entry.booking,
        part=entry.part,
        target=entry.target,
        spec=spec or entry.spec,
        unit=unit,
        vendor_id=vendor_id or entry.vendor_id,
        live=live,
        adopted=entry.adopted,
    )


def change_of_found(
    found: HrisEntry, spec: EntrySpec, booking: int, target: str, part: int = 1
) -> EntryChange:
    """An adopted record."""
    return EntryChange(
        booking=booking,
        part=part,
        target=target,
        spec=spec,
        unit=found.unit.value,
        vendor_id=found.vendor_id,
        live=True,
        adopted=True,
    )

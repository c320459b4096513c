"""Doubts: looking for a write whose outcome is unknown, and for twins that arrived late."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from timeoff.hris.port import CancelMode, HrisEntry
from timeoff.ledger.lanes import KnownRecord, Lanes
from timeoff.ledger.rows import Case, Intent
from timeoff.ledger.steps import EntryChange, Evidence, Outcome, Steps
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import EntryKey, EntrySpec
from timeoff_sync import metrics
from timeoff_sync.decide import next_reading
from timeoff_sync.outcomes import Outcomes, change_for
from timeoff_sync.protections import Protections
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
from timeoff_sync.target import Target

log = get_logger()


@dataclass(frozen=True, slots=True)
class Settled:
    """`wait` seconds until the next look, or the `outcome`; `cancel_again` completes a cancel forward."""

    outcome: Outcome | None = None
    wait: float | None = None
    cancel_again: bool = False


class Doubts:
    def __init__(
        self,
        target: Target,
        lanes: Lanes,
        steps: Steps,
        outcomes: Outcomes,
        patience: Patience,
        audit_after: float,
        retry_attempts: int,
        protections: Protections,
    ) -> None:
        self._target = target
        self._lanes = lanes
        self._steps = steps
        self._outcomes = outcomes
        self._patience = patience
        self._audit_after = audit_after
        self._retry_attempts = retry_attempts
        self._protections = protections

    async def settle(self, case: Case, intent: Intent) -> Settled:
        """One look, and what it proves together with earlier ones. Raises `HrisError` if it cannot look."""
        if not self._protections.find:
            return Settled(self._outcomes.again(case, intent.intent_id, outcome="not_looked", doubted=True))
        known_records = await self._lanes.known_records(case.target, case.employee_id)
        known = frozenset(vendor_id for record in known_records for vendor_id in record.chain)
        first, last = _range(intent, known_records)
        key = self._key(case, intent.booking, intent.part)
        announced = [
            spec
            for booking, part, spec in await self._lanes.announced(case.request_pk)
            if (booking, part) == (intent.booking, intent.part)
        ]
        past = [PastLook(at, proven) for at, proven in await self._steps.looks(intent.intent_id)]
        began = await self._lanes.now()
        found = await self._target.ask(
            "find", lambda: self._target.hris.find(key, case.employee_id, first, last)
        )
        await self._steps.note(
            Evidence(
                "look",
                {
                    "at": began.isoformat(),
                    "proven": any(entry.vendor_id in known for entry in found.entries),
                    "seen": [entry.vendor_id for entry in found.entries[:50]],
                },
                intent.intent_id,
                case.request_pk,
            )
        )
        type_ = self._target.rules.types.get(intent.spec.type_id) if intent.spec else None
        settlement = settle(
            intent,
            key.marker,
            found.entries,
            known,
            began,
            past,
            self._target.hris.capabilities,
            type_,
            self._patience,
            announced,
        )
        how = type(settlement).__name__.lower()
        log.info("doubt.looked", how=how, request_id=case.view.request_id, lane=case.lane_id)
        if not isinstance(settlement, LookAgain):
            metrics.SETTLEMENTS.labels(self._target.name, how).inc()
        return self._follow(case, intent, settlement)

    def _follow(self, case: Case, intent: Intent, settlement: Settlement) -> Settled:
        outcomes = self._outcomes
        match settlement:
            case LookAgain(seconds):
                return Settled(wait=seconds)
            case NotWritten() if case.attempts + 1 >= self._retry_attempts:
                return Settled(
                    outcomes.failed(case, "gave_up", "outcome_unknown", intent_id=intent.intent_id)
                )
            case NotWritten():
                return Settled(
                    outcomes.again(
                        case,
                        intent.intent_id,
                        outcome="not_written",
                        doubted=True,
                        audit_in=self._audit_after,
                        look_first=intent.kind == "insert" and case.look_first,
                    )
                )
            case Again():
                again = outcomes.again(
                    case,
                    intent.intent_id,
                    outcome="repeated",
                    doubted=True,
                    audit_in=self._audit_after if self._counters else None,
                )
                return Settled(again, cancel_again=True)
            case Ended() if intent.kind == "cancel_twin":
                return Settled(self.audited(case, intent_id=intent.intent_id, once_more=True))
            case Ended(effective):
                change = change_for(case.entry(intent.booking, intent.part), live=False)
                if not effective:
                    return Settled(self._accepted(case, intent, change))
                return Settled(self._written(case, intent, "cancel", change))
            case Written(vendor_id, live, effective, spec):
                change = self._change(case, intent, vendor_id, live, spec)
                if not effective:
                    return Settled(self._accepted(case, intent, change))
                if live:
                    return Settled(self._written(case, intent, intent.kind, change))
                return Settled(
                    outcomes.held(
                        case,
                        "cancelled_in_hris",
                        {"hris": [{"id": vendor_id}]},
                        intent_id=intent.intent_id,
                        intent_outcome="found",
                        entry=change,
                    )
                )
            case Unsettled(why):
                return Settled(self.unsettled(case, intent, why))

    def unsettled(self, case: Case, intent: Intent, why: str) -> Outcome:
        """Looking did not help: request and days freeze until a person has looked and retries."""
        log.error("doubt.unsettled", why=why, request_id=case.view.request_id)
        return self._outcomes.held(
            case,
            "unsettled_doubt",
            {"why": why, "write": intent.kind},
            intent_id=intent.intent_id,
            intent_outcome="unsettled",
        )

    def _written(self, case: Case, intent: Intent, operation: str, change: EntryChange) -> Outcome:
        """Found. Decide runs once more at once: what is wanted may have moved on while it was in doubt."""
        return self._outcomes.booked(
            case,
            operation,
            change,
            intent_id=intent.intent_id,
            intent_outcome="found",
            # A cancel that arrives twice does harm only where each books an entry of its own.
            audit_in=self._audit_after if operation != "cancel" or self._counters else None,
            due_in=0.0,
            # Decide says when all is done, and then Genesys hears of it.
            more=True,
        )

    def _accepted(self, case: Case, intent: Intent, change: EntryChange) -> Outcome:
        return self._outcomes.accepted(
            case,
            change,
            intent_id=intent.intent_id,
            how="found",
            seconds=next_reading(self._target.hris.capabilities),
            audit_in=self._audit_after if not intent.kind.startswith("cancel") or self._counters else None,
        )

    def _shown_in(self) -> float:
        """Seconds until a search is sure to show a write, accepted ones as far as can be said."""
        capabilities = self._target.hris.capabilities
        later = next_reading(capabilities) if capabilities.effective_within else 0.0
        return max(capabilities.read_lag, later)

    @property
    def _counters(self) -> bool:
        return self._target.hris.capabilities.cancel_mode is CancelMode.COUNTER_ENTRY

    def _change(
        self, case: Case, intent: Intent, vendor_id: str, live: bool, spec: EntrySpec | None
    ) -> EntryChange:
        spec = spec or intent.spec
        assert spec is not None
        type_ = self._target.rules.types.get(spec.type_id)
        return EntryChange(
            booking=intent.booking,
            part=intent.part,
            target=case.target,
            spec=spec,
            unit=type_.unit.value if type_ else "",
            vendor_id=vendor_id,
            live=live,
        )

    async def twins(self, case: Case) -> list[HrisEntry]:
        """Live records with a mark of this request that are not in any of its id chains."""
        chains = {vendor_id for entry in case.entries for vendor_id in entry.chain}
        announced = await self._lanes.announced(case.request_pk)
        specs = [*(entry.spec for entry in case.entries), *(spec for _, _, spec in announced)]
        days = [day.date for spec in specs for day in spec.days]
        if not days:
            return []
        names = {
            *((number, 1) for number in range(1, case.booking + 1)),
            *((entry.booking, entry.part) for entry in case.entries),
            *((booking, part) for booking, part, _ in announced),
        }
        markers = {self._key(case, booking, part).marker for booking, part in names}
        found = await self._target.ask(
            "find",
            lambda: self._target.hris.find(
                self._key(case, case.booking), case.employee_id, min(days), max(days)
            ),
        )
        return [
            entry
            for entry in found.entries
            if entry.live and entry.marker in markers and entry.vendor_id not in chains
        ]

    def audited(self, case: Case, *, intent_id: UUID | None = None, once_more: bool = False) -> Outcome:
        """The audit is done; `once_more` looks again soon, for a second twin.

        What waited for a decision gets one; what was settled, held or failed stays as it is.
        """
        undecided = case.state in ("open", "waiting")
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state="open",
            reason="audited",
            booking=case.booking,
            writes=case.writes + (intent_id is not None),
            look_first=case.look_first,
            doubted=False,
            due_in=0.0 if undecided else None,
            # Not before a search is sure to show the cancel: a counter entry would be booked once more.
            audit_in=self._shown_in() if once_more else -1.0,
            keep=not undecided,
            intent_id=intent_id,
            intent_outcome="written" if intent_id else None,
        )

    def audit_later(self, case: Case, *, attempts: int) -> Outcome:
        """The audit could not look; all else stays as it is."""
        return Outcome(
            request_pk=case.request_pk,
            revision=case.revision,
            state=case.state,
            reason=case.reason,
            booking=case.booking,
            writes=case.writes,
            attempts=attempts,
            look_first=case.look_first,
            doubted=case.doubted,
            due_in=0.0 if case.state in ("open", "waiting") else None,
            audit_in=self._audit_after,
            keep=True,
        )

    def _key(self, case: Case, booking: int, part: int = 1) -> EntryKey:
        return EntryKey(self._target.rules.deployment, case.org, case.key, booking, part)


def _range(intent: Intent, known: list[KnownRecord]) -> tuple[date, date]:
    """Dates to search: old and new ones, and those of the nearest record known to be there."""
    specs = [spec for spec in (intent.spec, intent.previous) if spec is not None]
    first = min(spec.first_day for spec in specs)
    last = max(spec.last_day for spec in specs)
    if known:
        nearest = min(
            known, key=lambda r: (not r.live, max((r.first_day - last).days, (first - r.last_day).days, 0))
        )
        first, last = min(first, nearest.first_day), max(last, nearest.last_day)
    return first, last

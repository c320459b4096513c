"""Steps: what a lane's holder commits between two calls to the HRIS.

A step carries the outcomes of the requests just done, the intent of the next write, or both, and evidence.
Steps of many lanes are written by one statement (`GroupCommit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from timeoff.ledger.database import REFUSED, Store, as_json
from timeoff.ledger.group_commit import GroupCommit
from timeoff.ledger.rows import spec_to_json
from timeoff.vocabulary import EntrySpec, WritePath

#: Kinds of intents that take leave away from somebody; the brake counts them. A `cancel_for_change` makes way
#: for what is wanted now.
REMOVALS: Final = frozenset({"cancel", "cancel_twin"})


@dataclass(frozen=True, slots=True)
class EntryChange:
    """The entry of a request as it is after the write (or adoption)."""

    booking: int
    target: str
    spec: EntrySpec
    unit: str
    vendor_id: str
    live: bool
    adopted: bool = False
    part: int = 1
    effective: bool = True

    def to_json(self) -> dict[str, Any]:
        return {
            "booking": self.booking,
            "part": self.part,
            "target": self.target,
            "spec": spec_to_json(self.spec),
            "fingerprint": self.spec.fingerprint,
            "unit": self.unit,
            "vendor_id": self.vendor_id,
            "live": self.live,
            "adopted": self.adopted,
            "effective": self.effective,
        }


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    topic: str
    key: str
    type: str
    event_id: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request stands after its turn. `due_in` None: nothing to do until something changes.

    `audit_in` None keeps the date of a twin audit, a negative number clears it. `keep` leaves state, reason
    and detail as they are.
    """

    request_pk: int
    revision: int
    state: str
    booking: int
    writes: int
    reason: str | None = None
    detail: dict[str, Any] | None = None
    due_in: float | None = None
    attempts: int = 0
    look_first: bool = False
    doubted: bool = False
    audit_in: float | None = None
    keep: bool = False
    report: str | None = None
    intent_id: UUID | None = None
    intent_outcome: str | None = None
    result_id: str | None = None
    entry: EntryChange | None = None
    event: OutgoingEvent | None = None
    #: who books the request from now on; None: as it was
    write_path: WritePath | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """The intent of one write; `timeout` is how long its call may take, in seconds."""

    intent_id: UUID
    request_pk: int
    revision: int
    kind: str
    booking: int
    write_no: int
    timeout: float
    spec: EntrySpec | None = None
    previous: EntrySpec | None = None
    vendor_id: str | None = None
    repeat: bool = False
    part: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """Something learnt: `kind` is answer, error, look, audit, decision or operator. Details hold no notes."""

    kind: str
    detail: dict[str, Any]
    intent_id: UUID | None = None
    request_pk: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    lane_id: int
    epoch: int
    outcomes: tuple[Outcome, ...] = ()
    announcement: Announcement | None = None
    evidence: tuple[Evidence, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class StepResult:
    """`moved`: all outcomes counted (the lane was still ours). `granted`: the write may be made."""

    moved: bool
    granted: bool


@dataclass(frozen=True, slots=True)
class Brake:
    """All writes pause when cancels in the window pass both numbers."""

    window: float
    max_cancels: int
    max_share: float


class Steps(Store):
    """Writes steps in groups. `close` it before the pool."""

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], holder: str, brake: Brake, *, writers: int = 2
    ) -> None:
        super().__init__(pool)
        self.holder = holder
        self.brake = brake
        self.braked = False
        self._group: GroupCommit[Step, StepResult] = GroupCommit(self._write, writers=writers)

    async def commit(self, step: Step) -> StepResult:
        """Raises one of `REFUSED` if the database does not take this step; others are not hurt by it."""
        return await self._group.submit(step)

    async def note(self, evidence: Evidence) -> None:
        """Evidence alone, at once; never fenced."""
        await self.pool.execute(
            self.sql.note_evidence,
            evidence.intent_id,
            evidence.request_pk,
            self.holder,
            evidence.kind,
            _storable(evidence.detail),
        )

    async def looks(self, intent_id: UUID) -> list[tuple[datetime, bool]]:
        """Past searches for an intent: when each began, and whether it saw what had to be there."""
        rows = await self.fetch(self.sql.looks_of, intent_id)
        return [(row["began"], row["proven"]) for row in rows]

    async def close(self) -> None:
        await self._group.close()

    async def _write(self, steps: list[Step]) -> Sequence[StepResult | Exception]:
        announced = [step.announcement for step in steps if step.announcement is not None]
        cancels = sorted({item.request_pk for item in announced if item.kind in REMOVALS})
        if cancels:
            await self._consider_brake(cancels)
        return await self._write_or_halve(steps)

    async def _write_or_halve(self, steps: list[Step]) -> Sequence[StepResult | Exception]:
        """Write all; on a refusal of the database halve them until the bad step stands alone."""
        try:
            return await self._write_once(steps)
        except REFUSED as error:
            if len(steps) == 1:
                return [error]
            middle = len(steps) // 2
            return [
                *await self._write_or_halve(steps[:middle]),
                *await self._write_or_halve(steps[middle:]),
            ]

    async def _write_once(self, steps: list[Step]) -> Sequence[StepResult]:
        outcomes: list[dict[str, Any]] = []
        announcements: list[dict[str, Any]] = []
        evidence: list[dict[str, Any]] = []
        for step in steps:
            fence = {"lane_id": step.lane_id, "epoch": step.epoch}
            outcomes.extend(fence | _outcome_row(outcome) for outcome in step.outcomes)
            if step.announcement:
                announcements.append(fence | _announcement_row(step.announcement, self.holder))
            evidence.extend(_evidence_row(item, self.holder) for item in step.evidence)
        rows = await self.fetch(
            self.sql.commit_steps, _storable(outcomes), _storable(announcements), _storable(evidence)
        )
        moved = {row["moved"] for row in rows}
        granted = {row["granted"] for row in rows}
        return [
            StepResult(
                moved=all(str(outcome.request_pk) in moved for outcome in step.outcomes),
                granted=step.announcement is not None and step.announcement.intent_id in granted,
            )
            for step in steps
        ]

    async def _consider_brake(self, cancels: list[int]) -> None:
        """Pull the brake before the cancels of this batch are granted, if they would pass its numbers."""
        row = await self.pool.fetchrow(self.sql.recent_writes, self.brake.window, cancels)
        assert row is not None
        cancelled, written = row["cancels"] + len(cancels), row["writes"] + len(cancels)
        if cancelled > self.brake.max_cancels and cancelled > self.brake.max_share * written:
            await self.pool.execute(
                self.sql.set_brake,
                f"{cancelled} cancels among {written} writes within {self.brake.window:g} s",
            )
            self.braked = True


def _storable(rows: Any) -> str:
    """JSON that PostgreSQL takes whatever an HRIS said: one odd answer must not fail everybody."""
    try:
        text = as_json(rows)
    except ValueError:  # half a surrogate pair
        return as_json(_without_odd_text(rows))
    return as_json(_without_odd_text(rows)) if "\\u0000" in text else text


def _without_odd_text(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode().replace("\x00", "")
        case dict():
            return {_without_odd_text(key): _without_odd_text(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_odd_text(item) for item in value]
        case OutgoingEvent():
            return replace(value, data=_without_odd_text(value.data))
        case _:
            return value


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    return {
        "request_pk": outcome.request_pk,
        "revision": outcome.revision,
        "intent_id": outcome.intent_id,
        "outcome": outcome.intent_outcome,
        "result_id": outcome.result_id,
        "state": outcome.state,
        "reason": outcome.reason,
        "detail": outcome.detail,
        "due_in": outcome.due_in,
        "attempts": outcome.attempts,
        "booking": outcome.booking,
        "writes": outcome.writes,
        "look_first": outcome.look_first,
        "doubted": outcome.doubted,
        "audit_in": outcome.audit_in,
        "keep": outcome.keep,
        "report": outcome.report,
        "entry": outcome.entry.to_json() if outcome.entry else None,
        "event": outcome.event,
        "write_path": outcome.write_path,
    }


def _announcement_row(item: Announcement, holder: str) -> dict[str, Any]:
    return {
        "request_pk": item.request_pk,
        "revision": item.revision,
        "intent_id": item.intent_id,
        "holder": holder,
        "kind": item.kind,
        "booking": item.booking,
        "part": item.part,
        "write_no": item.write_no,
        "spec": spec_to_json(item.spec) if item.spec else None,
        "previous": spec_to_json(item.previous) if item.previous else None,
        "vendor_id": item.vendor_id,
        "repeat": item.repeat,
        "timeout": item.timeout,
    }


def _evidence_row(item: Evidence, holder: str) -> dict[str, Any]:
    return {
        "intent_id": item.intent_id,
        "request_pk": item.request_pk,
        "holder": holder,
        "kind": item.kind,
        "detail": item.detail,
    }

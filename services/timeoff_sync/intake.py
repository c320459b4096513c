"""Intake: from records of the requests topic to views in the ledger, in batches.

A batch is read, folded by request, and stored with its offsets in one transaction. A record that cannot be
read goes to dead letters within the same transaction; a batch that the database refuses is halved until the
bad record is found. A record of a newer major version stops its partition.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from timeoff.days import span_of
from timeoff.errors import Fenced, MalformedRecord, OffsetOutOfRange, UnknownMajorVersion, Unreachable
from timeoff.eventlog.port import Batch, EventLog, LogRecord, Span, Subscription
from timeoff.events import DEAD_LETTER, Observation, RequestContent, decode_observation
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.intake import IntakeBatch, IntakeStore, Observed, Outgoing, ViewChange
from timeoff.ledger.rows import RequestView
from timeoff.runtime import failpoints
from timeoff.telemetry.logs import get_logger
from timeoff.telemetry.metrics import LOG_READ
from timeoff.vocabulary import REMOVED_STATUSES, ObservationSource
from timeoff_sync import metrics
from timeoff_sync.fold import Verdict, fold, wants
from timeoff_sync.protections import Protections
from timeoff_sync.writing import until

log = get_logger()

#: The lag is measured so often, also under load, seconds.
LAG_EVERY = 1.0

#: Verdicts after which the agent's requests have to be read over REST.
_ASKING = frozenset({Verdict.NEW, Verdict.NEWER, Verdict.ASKS})


@dataclass(frozen=True, slots=True)
class IntakeNames:
    topic: str
    dead_letters_topic: str
    group: str
    member: str | None


#: By partition and offset: what the record says, or why it cannot be read.
Decoded = dict[tuple[int, int], Observation | str]


class Intake:
    """Reads one topic as a member of the group. `due` is set when workers have something to do."""

    def __init__(
        self,
        event_log: EventLog,
        store: IntakeStore,
        names: IntakeNames,
        due: asyncio.Event,
        *,
        target_of: Mapping[str, str],
        default_target: str | None,
        created_at: datetime,
        copy_notes: bool,
        batch_size: int,
        protections: Protections,
    ) -> None:
        self._log = event_log
        self._store = store
        self._names = names
        self._due = due
        self._target_of = target_of
        self._default_target = default_target
        self._created_at = created_at
        self._copy_notes = copy_notes
        self._batch_size = batch_size
        self._protections = protections
        self._stopped_partitions: dict[int, str] = {}
        self.partitions: frozenset[int] = frozenset()
        self._lag_shown: set[int] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped. The log or the ledger going away is waited for, loudly."""
        while not stop.is_set():
            try:
                async with self._log.subscribe(
                    self._names.topic,
                    self._names.group,
                    starts=self._store.offsets,
                    member=self._names.member,
                ) as subscription:
                    await self._read(subscription, stop)
            except Fenced:
                log.info("intake.moved")
            except (*CONNECTION_TROUBLE, Unreachable) as error:
                log.error("intake.waits", error=type(error).__name__)
                await until(stop, 1.0)

    async def _read(self, subscription: Subscription, stop: asyncio.Event) -> None:
        next_lag = 0.0
        while not stop.is_set():
            self.partitions = subscription.partitions
            if time.monotonic() >= next_lag:
                await self._measure_lag(subscription)
                next_lag = time.monotonic() + LAG_EVERY
            try:
                batch = await subscription.batch(self._batch_size, 0.5)
            except OffsetOutOfRange as gone:
                await self._out_of_range(subscription, gone)
                continue
            if batch is None:
                continue
            LOG_READ.labels(self._names.topic).inc(len(batch.records))
            kept, decoded, stopped = _decode(batch)
            for partition, why in stopped.items():
                log.error("intake.partition_stopped", partition=partition, why=why)
                self._stopped_partitions[partition] = why
                await subscription.pause(partition)
            if kept.spans:
                await self._store_all(kept, decoded)
                await subscription.commit({p: span.end for p, span in kept.spans.items()})

    @property
    def trouble(self) -> str | None:
        """Why this intake does not make progress everywhere, for /readyz."""
        stopped = {p: why for p, why in self._stopped_partitions.items() if p in self.partitions}
        return f"partitions stopped: {sorted(stopped)} (newer major version)" if stopped else None

    async def _out_of_range(self, subscription: Subscription, gone: OffsetOutOfRange) -> None:
        """Records were lost between the ledger and the log: a global gap, and on from what is there."""
        go_on = gone.low if gone.wanted < gone.low else gone.high
        log.error(
            "intake.out_of_range",
            partition=gone.partition,
            wanted=gone.wanted,
            low=gone.low,
            high=gone.high,
        )
        await self._store.store(
            IntakeBatch(
                spans={gone.partition: Span(gone.wanted, go_on)},
                gap=f"offset {gone.wanted} of {gone.topic}/{gone.partition} out of range",
            )
        )
        await subscription.seek(gone.partition, go_on)

    async def _store_all(self, batch: Batch, decoded: Decoded) -> None:
        """Store a batch; on a refusal of the database halve it until the bad record stands alone."""
        try:
            await self._store_once(batch, decoded)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError) as error:
            if len(batch.records) > 1:
                for part in _halves(batch, len(batch.records) // 2):
                    await self._store_all(part, decoded)
                return
            record = batch.records[0]
            place = (record.partition, record.offset)
            await self._store_once(batch, {place: f"refused: {type(error).__name__}"})

    async def _store_once(self, batch: Batch, decoded: Decoded) -> None:
        observed: list[tuple[LogRecord, Observation]] = []
        outgoing: list[Outgoing] = []
        for record in batch.records:
            seen = decoded[record.partition, record.offset]
            if isinstance(seen, str):
                outgoing.append(self._dead_letter(record, seen))
            else:
                observed.append((record, seen if self._copy_notes else _without_notes(seen)))
        views = await self._store.views({seen.request_id for _, seen in observed})
        stored = self._fold(observed, views)
        if failpoints.armed:
            await failpoints.hit("intake.before-commit")
        await self._store.store(
            IntakeBatch(
                spans=batch.spans,
                changes=stored.changes,
                observed=stored.observed,
                outgoing=outgoing,
                confirmed_agents=stored.confirmed_agents,
                ask_agents=stored.ask_agents,
            )
        )
        if failpoints.armed:
            await failpoints.hit("intake.after-commit")
        if any(change.due for change in stored.changes):
            self._due.set()

    def _fold(
        self, observed: Sequence[tuple[LogRecord, Observation]], views: Mapping[str, RequestView]
    ) -> _Stored:
        now: dict[str, RequestView] = dict(views)
        first_seen: dict[str, Observation] = {}
        evidence: list[Observed] = []
        confirmed: set[str] = set()
        ask: set[str] = set()
        for record, seen in observed:
            before = now.get(seen.request_id)
            if before is None:
                first_seen[seen.request_id] = seen
            folded = fold(before, seen, ordered=self._protections.order)
            now[seen.request_id] = folded.view
            metrics.OBSERVATIONS.labels(seen.source.value, folded.verdict.value).inc()
            if seen.source is ObservationSource.STREAM:
                if folded.view.unconfirmed and folded.verdict in _ASKING and self._protections.order:
                    ask.add(seen.agent_id)
            else:
                confirmed.add(seen.agent_id)
            if folded.verdict is not Verdict.HELD:
                evidence.append(self._evidence(record, seen, folded.verdict))
        changes = [
            change
            for request_id, view in now.items()
            if (change := self._change(view, views.get(request_id), first_seen.get(request_id))) is not None
        ]
        return _Stored(changes, evidence, confirmed, ask)

    def _change(
        self, view: RequestView, before: RequestView | None, first: Observation | None
    ) -> ViewChange | None:
        if view == before:
            return None
        span = span_of(view.content, view.zone)
        content = view.content
        return ViewChange(
            view=view,
            first_seen=first.source.value if first else "",
            target=self._target_of.get(view.management_unit_id or "", self._default_target),
            look_first=first is not None and self._compare_first(first),
            due=before is None or wants(before) != wants(view),
            removed=content is not None and content.status in REMOVED_STATUSES,
            first_day=span[0] if span else None,
            last_day=span[1] if span else None,
        )

    def _compare_first(self, first: Observation) -> bool:
        """Only a request that the stream shows and that was submitted after our start is surely new."""
        submitted = first.content.submitted_at if first.content else None
        if first.source is not ObservationSource.STREAM or submitted is None:
            return True
        return submitted < self._created_at if submitted.tzinfo else True

    def _evidence(self, record: LogRecord, seen: Observation, verdict: Verdict) -> Observed:
        content = seen.content
        return Observed(
            request_id=seen.request_id,
            source=seen.source.value,
            verdict=verdict.value,
            version=seen.version,
            modified_at=seen.modified_at,
            read_at=seen.read_at,
            content=content.model_copy(update={"notes": None}) if content else None,
            partition=record.partition,
            offset=record.offset,
        )

    def _dead_letter(self, record: LogRecord, reason: str) -> Outgoing:
        """The record as it was, unless notes may not be kept; the reason never quotes it."""
        kind = reason.partition(":")[0]
        metrics.DEAD_LETTERS.labels(kind).inc()
        log.error(
            "intake.dead_letter",
            reason=reason[:300],
            partition=record.partition,
            offset=record.offset,
        )
        return Outgoing(
            topic=self._names.dead_letters_topic,
            key=record.key or "",
            type=DEAD_LETTER,
            event_id=f"{record.topic}/{record.partition}/{record.offset}",
            data=json.dumps(
                {
                    "reason": reason[:300].replace("\x00", ""),
                    "origin": {
                        "topic": record.topic,
                        "partition": record.partition,
                        "offset": record.offset,
                    },
                    "attempts": 1,
                    "value_bytes": len(record.value),
                    "value": record.value[:65536].decode("utf-8", "replace") if self._copy_notes else None,
                }
            ).encode(),
            extensions={"reason": kind},
        )

    async def _measure_lag(self, subscription: Subscription) -> None:
        bounds = await subscription.bounds()
        offsets = await self._store.offsets(list(bounds))
        for partition, found in bounds.items():
            behind = found.high - offsets.get(partition, found.low)
            metrics.LAG.labels(str(partition)).set(max(0, behind))
        for lost in self._lag_shown - bounds.keys():
            metrics.LAG.remove(str(lost))
        self._lag_shown = set(bounds)


@dataclass(frozen=True, slots=True)
class _Stored:
    changes: list[ViewChange]
    observed: list[Observed]
    confirmed_agents: Collection[str]
    ask_agents: Collection[str]


def _decode(batch: Batch) -> tuple[Batch, Decoded, dict[int, str]]:
    """Each record's observation, or the reason why it has none; partitions stop at a newer major version."""
    decoded: Decoded = {}
    stopped: dict[int, str] = {}
    spans = dict(batch.spans)
    kept = []
    for record in batch.records:
        if record.partition in stopped:
            continue
        place = (record.partition, record.offset)
        try:
            decoded[place] = _clean(decode_observation(record), record)
        except MalformedRecord as bad:
            decoded[place] = f"malformed: {bad}"
        except UnknownMajorVersion as newer:
            stopped[record.partition] = str(newer)
            spans[record.partition] = Span(batch.spans[record.partition].start, record.offset)
            continue
        kept.append(record)
    spans = {p: span for p, span in spans.items() if span.end > span.start}
    return Batch(tuple(kept), spans), decoded, stopped


def _halves(batch: Batch, middle: int) -> tuple[Batch, Batch]:
    """Two batches that cover the same spans, cut so that no partition goes backwards."""
    head, tail = batch.records[:middle], batch.records[middle:]
    cut = {}
    for partition, span in batch.spans.items():
        later = [record.offset for record in tail if record.partition == partition]
        cut[partition] = min(later) if later else span.end
    first = {p: Span(span.start, cut[p]) for p, span in batch.spans.items() if cut[p] > span.start}
    second = {p: Span(cut[p], span.end) for p, span in batch.spans.items() if span.end > cut[p]}
    return Batch(head, first), Batch(tail, second)


def _clean(seen: Observation, record: LogRecord) -> Observation:
    """Text that PostgreSQL cannot hold is cut out of content; in an id it makes the record unreadable."""
    if b"\\u0000" not in record.value:
        return seen
    if "\x00" in seen.request_id or "\x00" in seen.agent_id:
        raise MalformedRecord("request_id or agent_id: NUL byte")
    if seen.content is None:
        return seen
    content = RequestContent.model_validate(_without_nul(seen.content.model_dump()))
    return seen.model_copy(update={"content": content})


def _without_notes(seen: Observation) -> Observation:
    """A record from before the setting was changed may still hold notes."""
    if seen.content is None or seen.content.notes is None:
        return seen
    return seen.model_copy(update={"content": seen.content.model_copy(update={"notes": None})})


def _without_nul(value: Any) -> Any:
    match value:
        case str():
            return value.replace("\x00", "")
        case dict():
            return {_without_nul(key): _without_nul(item) for key, item in value.items()}
        case list() | tuple():
            return [_without_nul(item) for item in value]
        case _:
            return value

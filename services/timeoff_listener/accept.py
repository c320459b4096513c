"""The way into the log: what was accepted is appended before anything else counts on it.

The stream goes through a bounded queue that one writer drains in whatever batches have gathered, without
a timer; a full queue makes the sockets wait. REST reads append directly and return when durable.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timeoff.errors import LogError, TopicMissing, Unreachable
from timeoff.eventlog.port import EventLog, Message
from timeoff.events import DEAD_LETTER, Observation, encode, encode_observation
from timeoff.runtime import failpoints
from timeoff.settings.model import Settings
from timeoff.telemetry.logs import get_logger
from timeoff_listener import metrics
from timeoff_listener.observe import Malformed

_QUEUE: Final = 2000
_BATCH: Final = 500
#: A broken frame is kept for inspection up to this size; logs refuse records near one megabyte.
_MAX_FRAME: Final = 65_536
_MAX_WAIT: Final = 10.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Parcel:
    """A message on its way to a topic. `counted` is the label of observations, None for dead letters."""

    topic: str
    message: Message
    counted: str | None


class Acceptor:
    """Appends observations and dead letters. `pump` must run for the stream's way to move."""

    def __init__(self, settings: Settings, event_log: EventLog) -> None:
        self._settings = settings
        self._log = event_log
        self._queue: asyncio.Queue[_Parcel | None] = asyncio.Queue(_QUEUE)

    async def offer(self, observation: Observation) -> None:
        """From the stream. Waits while the queue is full, which in turn holds the socket back."""
        await self._put(self._parcel(observation))

    async def offer_letter(
        self, malformed: Malformed, *, origin: str, at: datetime, frame: str | bytes
    ) -> None:
        """A dead letter for a frame, on the same way and with the same patience."""
        await self._put(self._letter(malformed, origin, at, frame))

    async def close(self) -> None:
        """Nothing more will be offered; `pump` returns when the queue is empty."""
        await self._queue.put(None)

    async def pump(self) -> None:
        """Append what the stream offers until `close`, in order; a log that fails is tried again.

        What waits here when the process dies is read again: each start is a gap of its own.
        """
        closing = False
        while not closing:
            batch: list[_Parcel] = []
            item = await self._queue.get()
            while item is not None:
                batch.append(item)
                if len(batch) == _BATCH or self._queue.empty():
                    break
                item = self._queue.get_nowait()
            closing = item is None
            if batch:
                await self._append_at_last(batch)
            metrics.QUEUE.set(self._queue.qsize())

    async def append(self, observations: Sequence[Observation]) -> None:
        """From REST reads: durable on return. Raises what the log raises; some may be in the log then."""
        for first in range(0, len(observations), _BATCH):
            await self._append([self._parcel(each) for each in observations[first : first + _BATCH]])

    async def bury(self, malformed: Malformed, *, origin: str, at: datetime) -> None:
        """A dead letter for something read over REST, which can be read there again."""
        await self._append([self._letter(malformed, origin, at, None)])

    async def _put(self, parcel: _Parcel) -> None:
        await self._queue.put(parcel)
        metrics.QUEUE.set(self._queue.qsize())

    async def _append_at_last(self, batch: Sequence[_Parcel]) -> None:
        failures = 0
        while True:
            try:
                await self._append(batch)
                return
            except TopicMissing:
                raise
            except (LogError, Unreachable) as error:
                failures += 1
                metrics.APPEND_RETRIES.inc()
                wait = min(_MAX_WAIT, 0.1 * 2**failures) * random.uniform(0.5, 1)  # noqa: S311
                log.error(
                    "append.failed",
                    messages=len(batch),
                    error=error.error_class,
                    detail=str(error),
                    attempt=failures,
                    retry_in=round(wait, 1),
                )
            await asyncio.sleep(wait)

    async def _append(self, batch: Sequence[_Parcel]) -> None:
        if failpoints.armed:
            await failpoints.hit("listener.before-append")
        for topic in sorted({parcel.topic for parcel in batch}):
            await self._log.append(topic, [parcel.message for parcel in batch if parcel.topic == topic])
        if failpoints.armed:
            await failpoints.hit("listener.after-append")
        for parcel in batch:
            if parcel.counted is not None:
                metrics.OBSERVATIONS.labels(parcel.counted).inc()

    def _parcel(self, observation: Observation) -> _Parcel:
        return _Parcel(
            self._settings.log.requests_topic, encode_observation(observation), observation.source.value
        )

    def _letter(self, malformed: Malformed, origin: str, at: datetime, frame: str | bytes | None) -> _Parcel:
        """The input itself goes along only if notes may be copied, for it can hold one."""
        metrics.MALFORMED.labels(origin).inc()
        log.warning(
            "input.unreadable",
            origin=origin,
            reason=malformed.reason,
            agent_id=malformed.agent_id,
            request_id=malformed.request_id,
        )
        text = frame.decode(errors="replace") if isinstance(frame, bytes) else frame
        data = {
            "reason_class": "malformed_record",
            "reason": malformed.reason,
            "origin": origin,
            "attempts": 1,
            "org": self._settings.org,
            "agent_id": malformed.agent_id,
            "request_id": malformed.request_id,
            "value": text[:_MAX_FRAME] if text is not None and self._settings.notes == "copy" else None,
        }
        known = "|".join((origin, malformed.reason, malformed.agent_id or "", text or ""))
        message = encode(
            DEAD_LETTER,
            event_id=hashlib.sha256(known.encode(errors="replace")).hexdigest()[:32],
            source=f"/genesys/{self._settings.org}",
            key=malformed.agent_id or origin,
            data=json.dumps({name: value for name, value in data.items() if value is not None}).encode(),
            time=at,
        )
        return _Parcel(self._settings.log.dead_letters_topic, message, None)

"""The relay: events from the ledger's outbox to the log, in order, by one holder of a named lease.

Appended first, deleted then: a crash between the two appends an event twice, with the same id.
"""

from __future__ import annotations

import asyncio
import json

from timeoff.errors import LogError, Unreachable
from timeoff.eventlog.port import EventLog, Message
from timeoff.events import encode
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.deployment import DeploymentStore
from timeoff.ledger.outbox import OutboxStore
from timeoff.runtime import failpoints
from timeoff.telemetry.logs import get_logger
from timeoff_sync import metrics
from timeoff_sync.writing import until

log = get_logger()

LEASE = "relay"
LEASE_SECONDS = 15.0
_BATCH = 500


class Relay:
    def __init__(self, event_log: EventLog, outbox: OutboxStore, deployment: DeploymentStore) -> None:
        self._log = event_log
        self._outbox = outbox
        self._deployment = deployment

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                if await self._deployment.take_lease(LEASE, LEASE_SECONDS):
                    while await self._relay() == _BATCH and not stop.is_set():
                        await self._deployment.take_lease(LEASE, LEASE_SECONDS)
            except (*CONNECTION_TROUBLE, LogError, Unreachable) as error:
                log.error("relay.waits", error=type(error).__name__)
                await until(stop, 1.0)
            await until(stop, 0.1)
        # Only the holder: two relays at a time would append twice and out of order.
        if await self._deployment.take_lease(LEASE, LEASE_SECONDS):
            await self._relay()
            await self._deployment.give_lease(LEASE)

    async def _relay(self) -> int:
        rows = await self._outbox.outgoing(_BATCH)
        metrics.OUTBOX.set(len(rows))
        by_topic: dict[str, list[Message]] = {}
        for row in rows:
            by_topic.setdefault(row["topic"], []).append(
                encode(
                    row["type"],
                    event_id=row["event_id"],
                    source="/timeoff-sync",
                    key=row["key"],
                    data=row["data"],
                    time=row["created_at"],
                    extensions=json.loads(row["extensions"]),
                )
            )
        for topic, messages in by_topic.items():
            await self._log.append(topic, messages)
        if rows:
            if failpoints.armed:
                await failpoints.hit("relay.after-append")
            await self._outbox.sent([row["outbox_id"] for row in rows])
        return len(rows)

"""What commands need open before they can work: the ledger, the event log, their topics."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from timeoff.errors import SettingsError
from timeoff.eventlog import EventLog, open_log
from timeoff.eventlog.port import TopicSpec
from timeoff.ledger import Ledger
from timeoff.settings.model import Settings


def database_url(settings: Settings) -> str:
    if settings.database.url is None:
        raise SettingsError(
            ["database.url: not set; name a PostgreSQL, or start one with `timeoff-sync database`"]
        )
    return settings.database.url.get_secret_value()


def holder(role: str) -> str:
    """Names this process in leases; unique, so that a restarted process is another holder."""
    return f"{role}@{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"


@asynccontextmanager
async def open_ledger(settings: Settings, role: str) -> AsyncIterator[Ledger]:
    ledger = await Ledger.open(
        database_url(settings),
        org=settings.org,
        holder=holder(role),
        pool_size=settings.database.pool_size,
    )
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def open_event_log(settings: Settings) -> AsyncIterator[EventLog]:
    """The event log with its topics, created where that is allowed."""
    url = database_url(settings) if settings.log.kind == "postgres" else None
    event_log = await open_log(settings.log, database_url=url)
    try:
        replication = settings.log.kafka.replication_factor
        await event_log.ensure_topics(
            [
                TopicSpec(name, settings.log.partitions, settings.log.retention_hours, replication)
                for name in (
                    settings.log.requests_topic,
                    settings.log.outcomes_topic,
                    settings.log.dead_letters_topic,
                )
            ],
            create=settings.log.create_topics,
        )
        yield event_log
    finally:
        await event_log.close()

"""The durable log of events: one port, two adapters."""

from __future__ import annotations

from timeoff.errors import SettingsError
from timeoff.eventlog.port import (
    MAX_MESSAGE_BYTES,
    Batch,
    Bounds,
    EventLog,
    LogRecord,
    Message,
    Span,
    Subscription,
    TopicSpec,
)
from timeoff.settings.model import LogSettings

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Batch",
    "Bounds",
    "EventLog",
    "LogRecord",
    "Message",
    "Span",
    "Subscription",
    "TopicSpec",
    "open_log",
]


async def open_log(settings: LogSettings, *, database_url: str | None) -> EventLog:
    """The log named by the settings, connected. `database_url` is needed by kind `postgres` only.

    Raises `Unreachable` if the broker or database does not answer, `SettingsError` for a missing address
    or unreadable certificate.
    """
    # Imported here so that a process loads only the client library that it uses.
    if settings.kind == "kafka":
        from timeoff.eventlog.kafka import KafkaLog

        return await KafkaLog.open(settings.kafka)
    if database_url is None:
        raise SettingsError(["log.kind: postgres needs a database"])
    from timeoff.eventlog.postgres import PostgresLog

    return await PostgresLog.open(database_url)

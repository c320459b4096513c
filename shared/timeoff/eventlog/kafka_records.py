"""A record as aiokafka gives it, in the words of the port."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from timeoff.eventlog.port import LogRecord


def record_from(raw: Any) -> LogRecord:
    """A tombstone has an empty value here; a key that is not UTF-8 is kept with replacement characters."""
    return LogRecord(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        appended_at=datetime.fromtimestamp(max(raw.timestamp, 0) / 1000, UTC),
        key=None if raw.key is None else bytes(raw.key).decode(errors="replace"),
        value=bytes(raw.value or b""),
        headers=tuple((name, bytes(value or b"")) for name, value in raw.headers),
    )

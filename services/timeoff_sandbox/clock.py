"""The one clock both halves of the sandbox read, so that their logs can be compared.

It is the system's clock plus an offset that the admin API may set: tokens and channels then expire, and
"today" moves, without waiting.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo


class Clock:
    """System time plus `offset_seconds`."""

    def __init__(self, offset_seconds: float = 0.0) -> None:
        self.offset_seconds = offset_seconds

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset_seconds)

    def timestamp(self) -> float:
        """The moment as seconds since the epoch."""
        return self.now().timestamp()

    def today(self, zone: str | tzinfo) -> date:
        """The date in a zone, given as an IANA name or as tzinfo."""
        return self.now().astimezone(ZoneInfo(zone) if isinstance(zone, str) else zone).date()


def instant(moment: datetime) -> str:
    """ISO-8601 in UTC with microseconds: the form of the admin API."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def wire_instant(moment: datetime) -> str:
    """ISO-8601 in UTC with milliseconds: the form Genesys Cloud sends."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

"""What time it is for the service: a function, so that a test (or a demo) can say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

#: The present instant, with UTC as its zone.
Clock = Callable[[], datetime]


def system_clock() -> datetime:
    return datetime.now(UTC)

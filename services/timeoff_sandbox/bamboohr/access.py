"""Who may call, and how often: Basic keys, lock-out after unknown keys, one token bucket a key."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass

from timeoff_sandbox.bamboohr.options import Options, Permissions
from timeoff_sandbox.bamboohr.records import Refusal


class Throttled(Exception):
    """Over the rate limit; `seconds` until the next call is let through."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(slots=True)
class _Bucket:
    per_minute: int
    tokens: float
    filled_at: float


class Access:
    """The door of the API. Times are monotonic seconds."""

    def __init__(self, options: Callable[[], Options], monotonic: Callable[[], float]) -> None:
        self._options = options
        self._monotonic = monotonic
        self._unknown = 0
        self._locked_until = -math.inf
        self._buckets: dict[str, _Bucket] = {}

    def reset(self) -> None:
        self._unknown = 0
        self._locked_until = -math.inf
        self._buckets.clear()

    def admit(self, authorization: str | None) -> Permissions:
        """What the caller may do. Raises `Refusal` 401 (unknown key) or 403 (locked out), or `Throttled`.

        A lock-out is for everybody, good keys included (BambooHR API reference: Getting Started).
        """
        options = self._options()
        now = self._monotonic()
        if now < self._locked_until:
            raise Refusal(403, "API access is temporarily disabled")
        key = _user_name(authorization)
        permissions = options.api_keys.get(key) if key is not None else None
        if key is None or permissions is None:
            if key is not None and options.lockout.attempts:
                self._unknown += 1
                if self._unknown >= options.lockout.attempts:
                    self._unknown = 0
                    self._locked_until = now + options.lockout.seconds
            raise Refusal(401, "Invalid API key")
        if options.requests_per_minute is not None:
            self._spend(key, options.requests_per_minute, now)
        return permissions

    def _spend(self, key: str, per_minute: int, now: float) -> None:
        bucket = self._buckets.get(key)
        if bucket is None or bucket.per_minute != per_minute:
            bucket = self._buckets[key] = _Bucket(per_minute, per_minute, now)
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.filled_at) * per_minute / 60)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise Throttled((1 - bucket.tokens) * 60 / per_minute)
        bucket.tokens -= 1


def _user_name(authorization: str | None) -> str | None:
    """The user name of a Basic header; None when there is no such header."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() != "basic" or not value:
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""

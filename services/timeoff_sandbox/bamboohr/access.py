"""Who may call, and how often: API keys (Basic) and access tokens (Bearer), lock-out after unknown keys, one
bucket of calls for each."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable
from dataclasses import dataclass

from timeoff_sandbox.bamboohr.options import Lockout, Options, Permissions
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
        """What the caller may do. Raises `Refusal` 401 (not known) or 403 (locked out), or `Throttled`.

        A lock-out is for everybody, good keys included (BambooHR API reference: Getting Started). Access
        tokens that are not known lock nobody out; that is our choice: they end by themselves, keys do not.
        """
        options = self._options()
        now = self._monotonic()
        if now < self._locked_until:
            raise Refusal(403, "API access is temporarily disabled")
        scheme, _, value = (authorization or "").partition(" ")
        scheme, value = scheme.lower(), value.strip()
        if scheme == "bearer":
            shown, permissions = value, options.access_tokens.get(value)
            if permissions is None:
                raise Refusal(401, "Invalid access token")
        elif scheme == "basic" and value:
            shown = _user_name(value)
            permissions = options.api_keys.get(shown)
            if permissions is None:
                self._count_unknown(options.lockout, now)
                raise Refusal(401, "Invalid API key")
        else:
            raise Refusal(401, "Invalid API key")
        if options.requests_per_minute is not None:
            self._spend(f"{scheme} {shown}", options.requests_per_minute, now)
        return permissions

    def _count_unknown(self, lockout: Lockout, now: float) -> None:
        if lockout.attempts:
            self._unknown += 1
            if self._unknown >= lockout.attempts:
                self._unknown = 0
                self._locked_until = now + lockout.seconds

    def _spend(self, key: str, per_minute: int, now: float) -> None:
        bucket = self._buckets.get(key)
        if bucket is None or bucket.per_minute != per_minute:
            bucket = self._buckets[key] = _Bucket(per_minute, per_minute, now)
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.filled_at) * per_minute / 60)
        bucket.filled_at = now
        if bucket.tokens < 1:
            raise Throttled((1 - bucket.tokens) * 60 / per_minute)
        bucket.tokens -= 1


def _user_name(encoded: str) -> str:
    """The user name of a Basic header; empty when it cannot be read."""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""

"""The door: who calls, by the token that is shown, and how often an account may.

A token is 256 random bits; the database knows its SHA-256. (The vendor's tokens are JWTs, TrackTik help
centre, API service accounts 23672739298199; nobody may look into a token, and one that is looked up can be
taken back.)
"""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import hdrs

from timeoff_leave.context import Caller, Context
from timeoff_leave.errors import Refusal

TokenKind = Literal["api", "web"]
_MOST_BUCKETS: Final = 10_000


def new_token() -> str:
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


async def caller_of(context: Context, token: str, kind: TokenKind) -> Caller | None:
    """The account that a token stands for, if it is valid now."""
    row = await context.pool.fetchrow(context.sql.account_of_token, digest(token), kind, context.now())
    return Caller(row["id"], row["username"], row["region"], row["role"]) if row else None


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Door:
    """Lets calls in. The rate is counted in this process; `monotonic` gives seconds."""

    def __init__(self, context: Context, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._monotonic = monotonic
        self._buckets: OrderedDict[int, _Bucket] = OrderedDict()

    async def admit(self, authorization: str | None, resource: str) -> Caller:
        """The caller behind an Authorization header. Raises `Refusal` 401 or 429."""
        scheme, _, token = (authorization or "").partition(" ")
        caller = None
        if scheme.lower() == "bearer" and token.strip():
            caller = await caller_of(self._context, token.strip(), "api")
        if caller is None:
            said = "The access token is missing, not known or expired."
            raise Refusal(401, {resource: [said]}, {hdrs.WWW_AUTHENTICATE: "Bearer"})
        self.spend(caller, resource)
        return caller

    def spend(self, caller: Caller, resource: str) -> None:
        """Count a call of the account. Raises `Refusal` 429 if it has had too many."""
        if wait := self._wait(caller.account):
            raise Refusal(429, {resource: ["Too many requests."]}, {hdrs.RETRY_AFTER: str(math.ceil(wait))})

    def _wait(self, account: int) -> float:
        """Spend one of the account's calls; else the seconds until there is one."""
        per_minute, now = self._context.settings.requests_per_minute, self._monotonic()
        bucket = self._buckets.setdefault(account, _Bucket(per_minute, now))
        self._buckets.move_to_end(account)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.filled_at) * per_minute / 60)
        bucket.filled_at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) * 60 / per_minute
        bucket.tokens -= 1
        return 0.0

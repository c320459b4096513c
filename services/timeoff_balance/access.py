"""Who calls: tokens of the settings, tokens that a client got, a person's own Genesys token.

Settings and database hold SHA-256 of tokens and secrets, which are random and long; comparisons take the same
time whatever is shown. What a caller may is decided here alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from aiohttp import hdrs, web

from timeoff.errors import GenesysUnavailable
from timeoff.ledger.balance import BalanceStore
from timeoff.settings.model import BalanceSettings
from timeoff_balance import metrics
from timeoff_balance.database import Pool, asking_ledger, sql
from timeoff_balance.errors import LedgerAway, Refusal
from timeoff_balance.users import GenesysUsers

#: Tokens of ours begin so, and others are never looked up among them.
PREFIX: Final = "tob_"
#: A token that was looked up is known so long, seconds.
KNOWN_FOR: Final = 30.0
_MOST: Final = 20_000
_LONGEST_TOKEN: Final = 8_192


@dataclass(frozen=True, slots=True)
class Person:
    """The only employee whom a caller sees, in each HRIS he is known to."""

    agent_id: str
    employees: tuple[tuple[str, str], ...]

    def in_target(self, target: str) -> str | None:
        return next((employee for name, employee in self.employees if name == target), None)


@dataclass(frozen=True, slots=True)
class Caller:
    """`employee` None: sees everybody. `write`: may insert and update."""

    name: str
    write: bool
    employee: Person | None = None

    def may_see(self, target: str, employee_id: str) -> bool:
        return self.employee is None or self.employee.in_target(target) == employee_id


CALLER: Final = web.RequestKey("caller", Caller)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Rate:
    """Calls of a key in a minute, counted in this process."""

    def __init__(self, per_minute: int, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._monotonic = monotonic
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, cost: float = 1.0) -> float:
        """Spend `cost`; else the seconds until there is one to spend."""
        now, most = self._monotonic(), float(self._per_minute)
        tokens, filled_at = self._buckets.get(key, (most, now))
        tokens = min(most, tokens + (now - filled_at) * most / 60)
        enough = tokens >= max(cost, 1.0)
        self._buckets[key] = (tokens - cost if enough else tokens, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > _MOST:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (1.0 - tokens) * 60 / most

    def give_back(self, key: str) -> None:
        """What was spent in advance and is not to be counted."""
        if bucket := self._buckets.get(key):
            tokens, filled_at = bucket
            self._buckets[key] = (min(float(self._per_minute), tokens + 1.0), filled_at)


class Access:
    def __init__(
        self,
        settings: BalanceSettings,
        pool: Pool,
        store: BalanceStore,
        targets: tuple[str, ...],
        users: GenesysUsers | None,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._store = store
        self._targets = targets
        self._users = users
        self._named = [
            (bytes.fromhex(token.sha256), Caller(token.name, token.access == "read-write"))
            for token in settings.tokens
        ]
        self._clients = {
            client.client_id: (
                bytes.fromhex(client.secret_sha256),
                Caller(client.client_id, client.access == "read-write"),
            )
            for client in settings.clients
        }
        self._got: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()
        self._people: OrderedDict[str, tuple[float, Person]] = OrderedDict()
        self._calls = Rate(settings.requests_per_minute)
        self._failures = Rate(settings.failures_per_minute)

    async def admit(self, request: web.Request) -> Caller:
        """The caller behind a request. Raises `Refusal` 401, 403, 429 or 503."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise _not_known("missing")
        caller: Caller | str | None = None
        if len(token) <= _LONGEST_TOKEN:
            shown = digest(token)
            caller = self._of_settings(shown) or self._remembered(shown)
        if caller is None:
            caller = await self._looked_up(request, token)
        name = caller.name if isinstance(caller, Caller) else f"user:{caller}"
        if wait := self._calls.wait(name):
            raise too_often(wait)
        return caller if isinstance(caller, Caller) else await self._of_user(caller)

    def _of_settings(self, shown: bytes) -> Caller | None:
        found = None
        for known, caller in self._named:
            if hmac.compare_digest(known, shown):  # no early end: all are compared
                found = caller
        return found

    def _remembered(self, shown: bytes) -> Caller | str | None:
        """A client, or a Genesys user's id: whom a token was good for a moment ago. What others at the same
        address show does not matter to him."""
        known = self._got.get(shown)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        return self._users.known(shown)[1] if self._users is not None else None

    async def _looked_up(self, request: web.Request, token: str) -> Caller | str:
        """Counted as a failure until it is none, so that many at once are counted too."""
        address = self.address_of(request)
        if wait := self._failures.wait(address):
            raise too_often(wait)
        caller: Caller | str | None = None
        if len(token) <= _LONGEST_TOKEN:
            if token.startswith(PREFIX):
                caller = await self._of_client(address, digest(token))
            elif self._users is not None:
                caller = await self._user_of(token)
        if caller is None:
            raise _not_known("unknown")
        self._failures.give_back(address)
        return caller

    async def _of_client(self, address: str, shown: bytes) -> Caller | None:
        try:
            async with asking_ledger():
                row = await self._pool.fetchrow(sql().client_of_token, shown)
        except LedgerAway:
            self._failures.give_back(address)
            raise
        if row is None or row["client_id"] not in self._clients:
            return None
        caller = self._clients[row["client_id"]][1]
        self._got[shown] = (time.monotonic() + min(KNOWN_FOR, row["seconds"]), caller)
        if len(self._got) > _MOST:
            self._got.popitem(last=False)
        return caller

    async def _user_of(self, token: str) -> str | None:
        assert self._users is not None
        if not (token.isascii() and token.isprintable()) or " " in token:
            return None
        try:
            return await self._users.user_of(digest(token), token)
        except GenesysUnavailable:
            raise Refusal(
                503,
                "genesys_unreachable",
                "Genesys cannot be asked whose token this is",
                headers={hdrs.RETRY_AFTER: "5"},
            ) from None

    async def _of_user(self, agent_id: str) -> Caller:
        person = await self.person(agent_id)
        if not person.employees:
            raise Refusal(
                403, "no_employee", "Not an employee", "This Genesys user is not linked to an employee."
            )
        return Caller(f"user:{agent_id}", False, person)

    async def person(self, agent_id: str) -> Person:
        """Which employees a Genesys user is, by the ledger's links. Raises `LedgerAway`."""
        known = self._people.get(agent_id)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        async with asking_ledger():
            employees = await self._store.employees_of(agent_id, self._targets)
        person = Person(agent_id, tuple(employees))
        if employees:
            self._people[agent_id] = (time.monotonic() + min(KNOWN_FOR, self._settings.fresh), person)
            if len(self._people) > _MOST:
                self._people.popitem(last=False)
        return person

    # -- client credentials --------------------------------------------------------------------------

    async def grant(self, request: web.Request, client_id: str, secret: str) -> tuple[str, int] | None:
        """A new token and its lifetime, or None if the client or its secret is wrong. Raises `Refusal`."""
        address = self.address_of(request)
        if wait := self._failures.wait(address, 0.0):
            raise too_often(wait)
        known, caller = self._clients.get(client_id, (bytes(32), None))
        right = hmac.compare_digest(known, digest(secret))
        if caller is None or not right:
            self._failures.wait(address)
            metrics.REFUSED_TOKENS.labels("client").inc()
            return None
        if wait := self._calls.wait(caller.name):
            raise too_often(wait)
        token = PREFIX + secrets.token_urlsafe(32)
        seconds = self._settings.token_lifetime
        async with asking_ledger():
            await self._pool.execute(sql().keep_token, digest(token), client_id, float(seconds))
        return token, seconds

    def address_of(self, request: web.Request) -> str:
        """Where the caller is: what the last trusted proxy says, else the peer."""
        hops = self._settings.trusted_proxies
        if hops:
            lines = request.headers.getall("X-Forwarded-For", ())  # each proxy may add one of its own
            said = [part.strip() for part in ",".join(lines).split(",")]
            if len(said) >= hops and said[-hops]:
                return said[-hops][:64]
        return request.remote or "unknown"


def basic(header: str) -> tuple[str, str] | None:
    """Client id and secret of an Authorization header, form-encoded in it (RFC 6749, 2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def too_often(wait: float) -> Refusal:
    return Refusal(
        429,
        "too_many_requests",
        "Too many requests",
        headers={hdrs.RETRY_AFTER: str(max(1, math.ceil(wait)))},
    )


def _not_known(why: str) -> Refusal:
    metrics.REFUSED_TOKENS.labels(why).inc()
    said = "The access token is missing, not known or expired."
    return Refusal(401, "unauthorized", "Not authorized", said, headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


__all__ = ["CALLER", "Access", "Caller", "Person", "Rate", "basic", "digest", "too_often"]

"""Logins: user name and password, or a refresh token; and addresses that try too often.

40 failed attempts of one address within two minutes block it for two hours (TrackTik help centre, basic
authentication 23505374605463). Failures and blocks are in the database, so that all replicas count together.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from aiohttp import hdrs

from timeoff.telemetry.logs import get_logger
from timeoff_leave import metrics
from timeoff_leave.access import TokenKind, digest, new_token
from timeoff_leave.context import Context
from timeoff_leave.database import Connection, Pool
from timeoff_leave.errors import Refusal
from timeoff_leave.passwords import AT_ONCE, Passwords


@dataclass(frozen=True, slots=True)
class Granted:
    """Tokens as they are given away, once; lifetimes are seconds."""

    access_token: str
    expires_in: int
    refresh_token: str | None = None


class Logins:
    """Grants tokens. `key` is the key under which a refusal is answered."""

    def __init__(self, context: Context, passwords: Passwords) -> None:
        self._context = context
        self._passwords = passwords
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def by_password(
        self, key: str, address: str, client_id: str, client_secret: str, username: str, password: str
    ) -> Granted:
        """The password grant. Raises `Refusal` 401 (credentials), 429 (the address is blocked)."""
        async with self._turn(key, address):
            # Both are always checked, so that the time does not tell which of the two was wrong.
            known = await self._is_client(client_id, client_secret)
            account = await self._account(username, password)
            if not known or account is None:
                raise await self._failed(key, address)
        async with self._context.transaction() as connection:
            granted = await self._grant(connection, account, client_id, uuid4())
        metrics.LOGINS.labels("granted").inc()
        return granted

    async def by_refresh_token(
        self, key: str, address: str, client_id: str, client_secret: str, token: str
    ) -> Granted:
        """The refresh grant; the token works once, and a second use ends its login. Raises `Refusal` as
        `by_password`."""
        sql = self._context.sql
        async with self._turn(key, address):
            if not await self._is_client(client_id, client_secret):
                raise await self._failed(key, address)
            async with self._context.transaction() as connection:
                await connection.execute(sql.lock_account_of_token, digest(token))
                now = self._context.now()
                row = await connection.fetchrow(sql.use_refresh_token, digest(token), client_id, now)
                if row is not None:
                    granted = await self._grant(connection, row["account"], client_id, row["login"])
                    metrics.LOGINS.labels("granted").inc()
                    return granted
                await connection.execute(sql.revoke_login_of, digest(token))
            raise await self._failed(key, address)

    async def to_pages(self, key: str, address: str, username: str, password: str) -> Granted:
        """A login to the web pages; its token is none of the API. Raises `Refusal` as `by_password`."""
        async with self._turn(key, address):
            account = await self._account(username, password)
            if account is None:
                raise await self._failed(key, address)
        metrics.LOGINS.labels("granted").inc()
        lifetime = self._context.settings.session_lifetime
        return await self._access(self._context.pool, account, "web", lifetime)

    @asynccontextmanager
    async def _turn(self, key: str, address: str) -> AsyncIterator[None]:
        """A few attempts at a time, each after the one before was counted: a crowd that comes at once gets no
        more guesses than a queue. Raises `Refusal` 429."""
        await self._unless_blocked(key, address)
        async with self._turns:
            await self._unless_blocked(key, address)
            yield

    async def _is_client(self, client_id: str, secret: str) -> bool:
        hashed = await self._context.pool.fetchval(self._context.sql.client_to_login, client_id)
        return await self._passwords.check(secret, hashed)

    async def _account(self, username: str, password: str) -> int | None:
        row = await self._context.pool.fetchrow(self._context.sql.account_to_login, username)
        right = await self._passwords.check(password, row["password_hash"] if row else None)
        return int(row["id"]) if row and right and row["active"] else None

    async def _grant(self, connection: Connection, account: int, client_id: str, login: UUID) -> Granted:
        settings, now = self._context.settings, self._context.now()
        access = await self._access(connection, account, "api", settings.token_lifetime, login)
        refresh = new_token()
        await connection.execute(
            self._context.sql.add_refresh_token,
            digest(refresh),
            login,
            account,
            client_id,
            now + timedelta(seconds=settings.refresh_lifetime),
        )
        return Granted(access.access_token, access.expires_in, refresh)

    async def _access(
        self,
        connection: Connection | Pool,
        account: int,
        kind: TokenKind,
        lifetime: int,
        login: UUID | None = None,
    ) -> Granted:
        token = new_token()
        until = self._context.now() + timedelta(seconds=lifetime)
        add = self._context.sql.add_access_token
        await connection.execute(add, digest(token), account, kind, until, login)
        return Granted(token, lifetime)

    async def _unless_blocked(self, key: str, address: str) -> None:
        now = self._context.now()
        until = await self._context.pool.fetchval(self._context.sql.blocked_until, address, now)
        if until is not None:
            metrics.LOGINS.labels("blocked").inc()
            seconds = math.ceil((until - now).total_seconds())
            raise Refusal(429, {key: ["Too many failed logins."]}, {hdrs.RETRY_AFTER: str(seconds)})

    async def _failed(self, key: str, address: str) -> Refusal:
        """Count the failure; the answer to it, which does not tell what was wrong."""
        settings, sql, now = self._context.settings, self._context.sql, self._context.now()
        async with self._context.transaction() as connection:
            await connection.execute(sql.add_login_failure, address, now)
            blocked = await connection.fetchval(
                sql.block_if_too_many,
                address,
                now - timedelta(seconds=settings.login_window),
                settings.login_attempts,
                now + timedelta(seconds=settings.login_block),
            )
        metrics.LOGINS.labels("refused").inc()
        if blocked is not None:
            get_logger().warning("login.address_blocked", address=address, seconds=settings.login_block)
        return Refusal(401, {key: ["The credentials are not right."]})

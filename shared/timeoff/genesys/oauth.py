"""OAuth client credentials: one token at a time, renewed before it ends.

Source: Genesys Cloud authorization guide, client credentials grant. There is no refresh token; the life of
a token is set per OAuth client (300 to 172,800 s) and only `expires_in` tells it.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from timeoff.errors import GenesysAuthFailed, GenesysUnavailable
from timeoff.events import describe
from timeoff.genesys.budget import Budget
from timeoff.genesys.errors import DEFAULT_RETRY_AFTER, retry_after

#: After refused credentials nothing is asked for this long: repeated failures can lock a client out.
REFUSED_PAUSE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token. `renew_at` and `ends_at` are on the monotonic clock; `generation` counts tokens."""

    value: str = field(repr=False)
    generation: int
    renew_at: float
    ends_at: float


class _TokenAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    access_token: str = Field(min_length=1)
    expires_in: float = Field(86400, gt=0)


class TokenSource:
    """Gives the token in force. Concurrent askers share one renewal."""

    def __init__(
        self,
        login_url: str,
        client_id: str,
        client_secret: SecretStr,
        *,
        session: aiohttp.ClientSession,
        budget: Budget,
    ) -> None:
        self._url = f"{login_url}/oauth/token"
        self._authorization = aiohttp.encode_basic_auth(
            client_id, client_secret.get_secret_value(), encoding="utf-8"
        )
        self._session = session
        self._budget = budget
        self._token: Token | None = None
        self._generation = 0
        self._one_at_a_time = asyncio.Lock()
        self._refused_until = 0.0

    async def token(self) -> Token:
        """Raises `GenesysAuthFailed` (wrong credentials) or `GenesysUnavailable`."""
        token = self._token
        if token is not None and time.monotonic() < token.renew_at:
            return token
        async with self._one_at_a_time:
            token = self._token
            now = time.monotonic()
            if token is not None and now < token.renew_at:
                return token
            try:
                self._token = await self._ask()
            except GenesysUnavailable:
                # The old one still works: renewal begins early so that a login outage costs nothing.
                if token is not None and now < token.ends_at:
                    return token
                raise
            return self._token

    def discard(self, token: Token) -> None:
        """Genesys refused this token. A newer one, fetched meanwhile by another call, is kept."""
        if self._token is not None and self._token.generation == token.generation:
            self._token = None

    async def _ask(self) -> Token:
        if time.monotonic() < self._refused_until:
            raise GenesysAuthFailed("the OAuth client was refused a moment ago: check genesys.client_id")
        await self._budget.take()
        asked = time.monotonic()
        try:
            async with self._session.post(
                self._url,
                headers={"Authorization": self._authorization},
                data={"grant_type": "client_credentials"},
            ) as response:
                body = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GenesysUnavailable(f"login: {type(error).__name__}") from None
        if status in (400, 401, 403):
            self._refused_until = time.monotonic() + REFUSED_PAUSE
            raise GenesysAuthFailed(
                f"the login refused the OAuth client ({status}): check genesys.client_id and client_secret",
                status=status,
            )
        if status == 429:
            wait = retry_after(headers) or DEFAULT_RETRY_AFTER
            await self._budget.slow_down(wait)
            raise GenesysUnavailable("login: 429", status=status, retry_after=wait)
        if not 200 <= status < 300:
            raise GenesysUnavailable(f"login: {status}", status=status)
        try:
            answer = _TokenAnswer.model_validate_json(body)
        except ValidationError as error:
            raise GenesysUnavailable(f"login: unreadable answer: {describe(error)}") from None
        self._generation += 1
        margin = min(300.0, answer.expires_in / 10)
        return Token(
            value=answer.access_token,
            generation=self._generation,
            renew_at=asked + answer.expires_in - margin,
            ends_at=asked + answer.expires_in,
        )

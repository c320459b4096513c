"""Client credentials. OAuth errors have a shape of their own, not ErrorBody."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web

from timeoff_sandbox.clock import Clock
from timeoff_sandbox.genesys.errors import ApiError
from timeoff_sandbox.genesys.options import GenesysOptions


@dataclass(slots=True)
class Token:
    value: str
    client_id: str
    expires: datetime
    revoked: bool = False
    #: The user who logged in, for a token that is not a client's.
    user_id: str | None = None
    #: Start of the running rate window (monotonic seconds) and the calls in it.
    window_start: float = field(default=0.0)
    window_count: int = 0


class TokenDesk:
    """Issues and checks bearer tokens."""

    def __init__(self, clock: Clock, options: GenesysOptions) -> None:
        self._clock = clock
        self.options = options
        self.tokens: dict[str, Token] = {}
        self.issued = 0

    async def login(self, request: web.Request) -> web.Response:
        """POST `/oauth/token`."""
        client_id, secret = _basic(request.headers.get("Authorization", ""))
        form = await request.post()
        if self.options.clients.get(client_id) != secret:
            return _oauth_error(401, "invalid_client", "client not found")
        grant = form.get("grant_type")
        if grant is None:
            return _oauth_error(400, "invalid_request", "grant_type is missing")
        if grant != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "grant type is not supported")
        seconds = self.options.token_seconds
        now = self._clock.now()
        # A forgotten token answers 401 like an expired one, so the old ones need not be kept.
        for value in [old.value for old in self.tokens.values() if old.expires < now - timedelta(hours=1)]:
            del self.tokens[value]
        token = Token(secrets.token_urlsafe(48), client_id, now + timedelta(seconds=seconds))
        self.tokens[token.value] = token
        self.issued += 1
        return web.json_response(
            {"access_token": token.value, "token_type": "bearer", "expires_in": int(seconds)},
            headers={"Cache-Control": "no-store"},
        )

    def log_in(self, user_id: str) -> Token:
        """A token as a person gets it by logging in to Genesys Cloud."""
        expires = self._clock.now() + timedelta(seconds=self.options.token_seconds)
        token = Token(secrets.token_urlsafe(48), f"user:{user_id}", expires, user_id=user_id)
        self.tokens[token.value] = token
        return token

    def check(self, request: web.Request) -> Token:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not value:
            raise ApiError(401, "authentication.required", "No authentication bearer token specified")
        token = self.tokens.get(value.strip())
        if token is None or token.revoked:
            raise ApiError(401, "bad.credentials", "Invalid login credentials")
        if token.expires <= self._clock.now():
            raise ApiError(401, "credentials.expired", "The supplied token has expired")
        return token

    def is_live(self, value: str) -> bool:
        token = self.tokens.get(value)
        return token is not None and not token.revoked and token.expires > self._clock.now()

    def revoke_all(self) -> int:
        live = [token for token in self.tokens.values() if not token.revoked]
        for token in live:
            token.revoked = True
        return len(live)

    def clear(self) -> None:
        self.tokens.clear()
        self.issued = 0


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret


def _oauth_error(status: int, error: str, description: str) -> web.Response:
    body = {"error": error, "description": description, "error_description": description}
    return web.json_response(body, status=status)

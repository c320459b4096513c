"""A TrackTik portal on a free loopback port that answers what a test tells it to, over real HTTP.

It keeps the rules of tokens by itself: a refresh token works once, an access token until it is revoked.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from timeoff.hris.tracktik.settings import TrackTikSettings

USER, PASSWORD, SECRET = "sync@example.com", "correct horse", "client-secret"


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    token: str


Answer = Callable[[Call], web.StreamResponse | Awaitable[web.StreamResponse]]
Login = Callable[[dict[str, str]], web.StreamResponse | Awaitable[web.StreamResponse]]


def reply(body: object = None, status: int = 200, **headers: str) -> web.Response:
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(status=status, text=text, headers=named, content_type="application/json")


class Drop(Exception):
    """Raised by an answer: the connection is cut instead."""


@dataclass
class Portal:
    """`answer` is asked for each call with a good token, `login` (if set) for each token call."""

    url: str = ""
    answer: Answer = lambda call: reply([])
    login: Login | None = None
    lifetime: int = 3600
    calls: list[Call] = field(default_factory=list)
    logins: list[dict[str, str]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    refreshable: set[str] = field(default_factory=set)

    def settings(self, **changes: Any) -> TrackTikSettings:
        values: dict[str, Any] = {
            "base_url": self.url,
            "client_id": "client",
            "client_secret": SECRET,
            "username": USER,
            "password": PASSWORD,
            "call_timeout": 5,
            "read_timeout": 4,
            "read_lag": 0.1,
        }
        return TrackTikSettings(**values | changes)

    @property
    def grants(self) -> list[str]:
        return [form.get("grant_type", "") for form in self.logins]

    def revoke(self) -> None:
        """All access tokens end at once; refresh tokens stay."""
        self.good.clear()

    def tokens(self) -> web.Response:
        """The next pair."""
        number = len(self.logins)
        self.good.add(f"access-{number}")
        self.refreshable.add(f"refresh-{number}")
        return reply(
            {
                "access_token": f"access-{number}",
                "refresh_token": f"refresh-{number}",
                "expires_in": self.lifetime,
                "token_type": "Bearer",
            }
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.logins.append(form)
        if self.login is not None:
            return await _made(self.login(form), request)
        if form.get("client_secret") != SECRET:
            return reply({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "password":
            good = (form.get("username"), form.get("password")) == (USER, PASSWORD)
        else:
            good = form.get("refresh_token") in self.refreshable
            self.refreshable.discard(form.get("refresh_token", ""))
        return self.tokens() if good else reply({"error": "invalid_grant"}, 400)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        call = Call(
            request.method,
            request.path.removeprefix("/rest/v1/"),
            dict(request.query),
            json.loads(text) if text else None,
            request.headers.get("Authorization", "").removeprefix("Bearer "),
        )
        self.calls.append(call)
        self.cookies += request.cookies
        if call.token not in self.good:
            return reply({"message": "Unauthorized"}, 401)
        try:
            return await _made(self.answer(call), request)
        except Drop:
            assert request.transport
            request.transport.abort()
            return web.Response()


async def _made(
    answer: web.StreamResponse | Awaitable[web.StreamResponse], request: web.Request
) -> web.StreamResponse:
    return answer if isinstance(answer, web.StreamResponse) else await answer


@asynccontextmanager
async def portal() -> AsyncIterator[Portal]:
    running = Portal()
    app = web.Application()
    app.router.add_post("/rest/oauth2/access_token", running._token)
    app.router.add_route("*", "/rest/v1/{tail:.*}", running._call)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield running
    finally:
        await runner.cleanup()

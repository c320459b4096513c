"""Tokens: one login at a time, and a refused login never in a loop.

What TrackTik's help centre says (API service accounts, basic authentication, refresh tokens): password grant
at `rest/oauth2/access_token`; a refresh token works once and its answer brings the next one; after 40 failed
authentications from one address within two minutes, that address is shut out for two hours.

So, for each process:

* Whoever needs a token while one is being fetched waits for the same fetch. A caller that gives up waiting
  does not end it, or the refresh token would be spent and its successor lost.
* A refresh token is forgotten before it is sent. If what came of it is unclear, the next fetch logs in.
* After a refusal every call ends in `AuthFailed` at once for `login_pause` seconds. Then one call may try
  again: the core stops a target at the first `AuthFailed`, so that is its slow probe.
* Whatever says how long to wait (429, 503) is waited for: until then no call asks for tokens.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp

from timeoff.errors import AuthFailed, HrisError, RetryLater
from timeoff.hris import calls
from timeoff.hris.documents import parse
from timeoff.hris.tracktik import wire
from timeoff.hris.tracktik.settings import TrackTikSettings

#: A token that has less left than this is renewed before it is used, or a tenth of its life if that is less.
_MARGIN: Final = 60.0
#: After "too many" without a time to wait.
_BREATHER: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Held:
    """The tokens in hand. `renew_at` is by the clock of `Access`."""

    access: str
    renew_at: float


class Access:
    """The tokens of one service account in one process. `clock` is monotonic, in seconds."""

    def __init__(
        self, settings: TrackTikSettings, session: aiohttp.ClientSession, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._session = session
        self._clock = clock
        self._held: _Held | None = None
        self._refresh_token: str | None = None
        self._fetch: asyncio.Task[str] | None = None
        self._refusal: HrisError | None = None
        self._not_before = 0.0

    async def token(self, within: float, *, instead_of: str | None = None) -> str:
        """A token to send, within so many seconds. `instead_of` is one that TrackTik refused.

        Raises `AuthFailed` for a refused login, and `RetryLater` where none could be made.
        """
        held = self._held
        if held and held.access != instead_of and self._clock() < held.renew_at:
            return held.access
        if self._fetch is None or self._fetch.done():
            if self._clock() < self._not_before and self._refusal is not None:
                raise _again(self._refusal, self._not_before - self._clock())
            self._fetch = asyncio.create_task(self._fetched())
            self._fetch.add_done_callback(_noticed)
        try:
            return await asyncio.wait_for(asyncio.shield(self._fetch), max(within, 0.001))
        except TimeoutError:
            raise RetryLater("TrackTik login: no answer in time") from None

    def refuse(self, error: AuthFailed) -> None:
        """A token that was just fetched is refused too: to log in once more would lead nowhere."""
        self._held = None
        self._refuse(error, self._settings.login_pause)

    async def close(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)

    async def _fetched(self) -> str:
        """Refresh if there is something to refresh with, else log in. The one place that asks for tokens."""
        refresh_token, self._refresh_token = self._refresh_token, None
        try:
            if refresh_token is not None:
                try:
                    return await self._ask({"grant_type": "refresh_token", "refresh_token": refresh_token})
                except AuthFailed:
                    pass  # too old, or used by an answer that got lost: the password is still good
            return await self._ask(
                {
                    "grant_type": "password",
                    "username": self._settings.username,
                    "password": self._settings.password.get_secret_value(),
                }
            )
        except asyncio.CancelledError:  # by `close` alone: those who wait are not cancelled
            raise RetryLater("TrackTik login: closed meanwhile") from None
        except AuthFailed as error:
            self._refuse(error, self._settings.login_pause)
            raise
        except RetryLater as error:
            wait = error.retry_after or (_BREATHER if error.throttled else 0.0)
            if wait:
                self._refuse(error, wait)
            raise

    def _refuse(self, error: HrisError, seconds: float) -> None:
        self._refusal = error
        self._not_before = self._clock() + seconds

    async def _ask(self, grant: dict[str, str]) -> str:
        """One call to the token endpoint. Nothing of what comes back is shown: it may hold tokens."""
        settings = self._settings
        form = {
            "client_id": settings.client_id,
            "client_secret": settings.client_secret.get_secret_value(),
            **grant,
        }
        asked_at = self._clock()
        try:
            async with self._session.post(
                settings.token_url,
                data=form,
                allow_redirects=False,
                timeout=calls.timeout(settings.call_timeout, settings.read_timeout),
                trace_request_ctx=calls.Progress(),
            ) as response:
                if 200 <= response.status < 300:
                    tokens = wire.read_tokens(parse(await response.read()))
                else:
                    raise _refusal(response)
        except calls.TROUBLE as error:
            raise RetryLater(f"TrackTik login: not reached ({calls.kind_of(error)})") from None
        except ValueError as error:
            raise RetryLater(f"TrackTik login: the answer cannot be read ({error})") from None
        self._refresh_token = tokens.refresh_token
        life = float(tokens.expires_in)
        self._held = _Held(tokens.access_token, asked_at + life - min(_MARGIN, life / 10))
        self._refusal = None
        return tokens.access_token


def _noticed(fetch: asyncio.Task[str]) -> None:
    """Whoever waited may have given up: then nobody else looks at how it ended."""
    if not fetch.cancelled():
        fetch.exception()


def _refusal(response: aiohttp.ClientResponse) -> HrisError:
    """Every clear no ends the target's work until somebody looks, a wrong address (404) included."""
    status, wait = response.status, calls.retry_after(response.headers)
    text = f"TrackTik login: {status}"
    if status == 429:
        return RetryLater(text, retry_after=wait, throttled=True)
    if status == 408 or status >= 500:
        return RetryLater(text, retry_after=wait)
    if 300 <= status < 400 or status in (404, 405):
        return AuthFailed(f"{text}: no TrackTik portal answers at base_url")
    return AuthFailed(f"{text}: the account is refused, or this address is shut out")


def _again(error: HrisError, seconds: float) -> HrisError:
    """The same refusal, without a call."""
    if isinstance(error, RetryLater):
        return RetryLater(str(error), retry_after=seconds, throttled=error.throttled)
    return AuthFailed(f"{error} (not tried again for {seconds:.0f} s)")

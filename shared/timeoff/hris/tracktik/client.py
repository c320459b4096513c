"""HTTP to TrackTik: one call, one request on the wire, one error class.

The classes of errors (TrackTik help centre, status codes; what it leaves open is decided here):

    what happened                              a read            a write
    ---------------------------------------    --------------    ----------------------------------
    no connection, no login, no time left      RetryLater        RetryLater: nothing was sent
    time-out, drop, unreadable after sending   RetryLater        OutcomeUnknown
    429                                        RetryLater, throttled, with the time to wait
    408, 5xx (504: the portal's limit of 30 s) RetryLater        OutcomeUnknown
    401                                        once more with a new token, then AuthFailed
    403                                        Forbidden
    other 3xx and 4xx                          `Refused`, the operation knows what it means

A 401 is the one answer after which a write is sent again: it is given before anything is looked at.

`Refused` is for the adapter only and never leaves it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from timeoff.errors import AuthFailed, Forbidden, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris import calls
from timeoff.hris.tracktik import wire
from timeoff.hris.tracktik.access import Access
from timeoff.hris.tracktik.settings import TrackTikSettings

#: TrackTik answers 504 at 30 s. A write is not begun with less time than that left: a slow success would
#: look like an unknown outcome.
_ENOUGH: Final = 31.0
#: Bodies of errors are short; what is longer is no error of the API's own.
_ERROR_BYTES: Final = 65_536


class Refused(HrisError):
    """A clear 3xx or 4xx: nothing was written. `words` are the vendor's, by field, free of notes."""

    def __init__(self, operation: str, status: int, words: Mapping[str, str]) -> None:
        super().__init__(explain(operation, status, words))
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class Deadline:
    """The end of one call of the port, which may take several over HTTP."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(asyncio.get_running_loop().time() + seconds)

    @property
    def left(self) -> float:
        return self.at - asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx. `complete` is False when the body broke off (writes only)."""

    status: int
    body: bytes
    complete: bool = True


class TrackTikClient:
    """One session and its tokens. Safe to use concurrently; how many calls at a time is the core's budget."""

    def __init__(self, settings: TrackTikSettings) -> None:
        self._settings = settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=calls.trust(verify=settings.verify_tls, ca_file=settings.ca_file)
            ),
            # Session cookies of one answer must not change what the next call is allowed to see.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "User-Agent": "timeoff-sync"},
            trust_env=settings.proxy_from_environment,
            trace_configs=[calls.tracing()],
        )
        self._access = Access(settings, self._session, time.monotonic)

    async def close(self) -> None:
        await self._access.close()
        await self._session.close()

    async def read(
        self, operation: str, path: str, params: Mapping[str, str] | None = None, *, deadline: Deadline
    ) -> bytes:
        """GET. Returns the body of a 2xx; raises as the table in the module's docstring says."""
        return (await self._call(operation, "GET", path, deadline, params=params)).body

    async def write(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        deadline: Deadline,
        private: str | None = None,
    ) -> Reply:
        """POST or PATCH. `private` is text of the employee that must not come back in an error's message."""
        return await self._call(operation, method, path, deadline, json=body, private=private)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        private: str | None = None,
    ) -> Reply:
        refused: str | None = None
        while True:
            token = await self._access.token(deadline.left, instead_of=refused)
            try:
                return await self._send(operation, method, path, deadline, token, params, json, private)
            except AuthFailed as error:
                if refused is not None:
                    self._access.refuse(error)
                    raise
                refused = token

    async def _send(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: Deadline,
        token: str,
        params: Mapping[str, str] | None,
        json: Mapping[str, Any] | None,
        private: str | None,
    ) -> Reply:
        writing = method != "GET"
        progress = calls.Progress()
        longest = self._settings.read_timeout
        if writing and deadline.left < min(longest, _ENOUGH):
            raise RetryLater(f"TrackTik {operation}: not sent, too little time was left")
        try:
            async with self._session.request(
                method,
                self._settings.api_root / path,
                params=params,
                json=json,
                headers={"Authorization": f"Bearer {token}"},
                # A redirected write could be sent twice; a redirected read shows a login page.
                allow_redirects=False,
                timeout=calls.timeout(deadline.left, longest),
                middlewares=(calls.never_again,) if writing else (),
                trace_request_ctx=progress,
            ) as response:
                if 200 <= response.status < 300:
                    return await _reply(response, writing)
                raise await _refusal(operation, response, writing, private)
        except calls.TROUBLE as error:
            kind = calls.kind_of(error)
            if writing and progress.sent:
                raise OutcomeUnknown(f"TrackTik {operation}: no clear answer ({kind})") from None
            raise RetryLater(f"TrackTik {operation}: not reached ({kind})") from None


async def _reply(response: aiohttp.ClientResponse, writing: bool) -> Reply:
    try:
        return Reply(response.status, await response.read())
    except calls.TROUBLE:
        if not writing:
            raise
        return Reply(response.status, b"", complete=False)


async def _refusal(
    operation: str, response: aiohttp.ClientResponse, writing: bool, private: str | None
) -> HrisError:
    status, wait = response.status, calls.retry_after(response.headers)
    words = wire.read_error(await _error_body(response), private)
    text = explain(operation, status, words)
    if status == 429:
        return RetryLater(text, retry_after=wait, throttled=True)
    if status == 408 or status >= 500:
        return OutcomeUnknown(text) if writing else RetryLater(text, retry_after=wait)
    if status == 401:
        return AuthFailed(text)
    if status == 403:
        return Forbidden(text)
    return Refused(operation, status, words)


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """The status is the answer: a body that breaks off only costs its words."""
    body = b""
    try:
        while len(body) < _ERROR_BYTES and (chunk := await response.content.read(_ERROR_BYTES)):
            body += chunk
    except calls.TROUBLE:
        pass
    return body


def explain(operation: str, status: int, words: Mapping[str, str]) -> str:
    text = f"TrackTik {operation}: {status}"
    if 300 <= status < 400:
        text += ", redirected: check base_url"
    said = "; ".join(f"{name}: {words[name]}" for name in words)
    return f"{text}: {said[:300]}" if said else text


__all__ = ["Deadline", "Refused", "Reply", "TrackTikClient"]

"""HTTP to TrackTik: one call, one request on the wire, one error class.

The classes of errors (TrackTik help centre, status codes; what it leaves open is decided here):

    what happened                              a read            a write
    ---------------------------------------    --------------    ----------------------------------
    no connection, no login, no time left      RetryLater        RetryLater: nothing was sent
    time-out, drop, unreadable after sending   RetryLater        OutcomeUnknown
    429                                        RetryLater, throttled, with the time to wait
    408, 5xx (504: the portal's limit of 30 s) RetryLater        OutcomeUnknown
    redirect (a maintenance or login page)     RetryLater        RetryLater: the API did not take it
    303: "done, look there"                    RetryLater        OutcomeUnknown
    404 that is not the API's own              `Refused`         OutcomeUnknown
    401                                        once more with a new token, then AuthFailed
    403                                        Forbidden
    other 4xx                                  `Refused`, the operation knows what it means

A 401 is the one answer after which a write is sent again: it is given before anything is looked at.

A 404 is the API's own if it has the shape of the API's errors. One of a gateway says nothing about a record.

`Refused` is for the adapter only and never leaves it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
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
#: So much of it is enough for a write that can be made again without harm.
_HARMLESS: Final = 0.25
#: Bodies of errors are short; what is longer is no error of the API's own.
_ERROR_BYTES: Final = 65_536

#: Notes that must not come back in an error's text; None: they are not all known, so show no words at all.
Private = Collection[str | None] | None


class Refused(HrisError):
    """A clear 4xx: nothing was written.

    `words` are the vendor's, by field. They may hold notes: they are to judge by, and only the error's own
    text, which leaves such words out, is to be shown. `in_house`: it has the shape of the API's errors.
    """

    def __init__(self, operation: str, status: int, said: wire.Said, private: Private) -> None:
        super().__init__(explain(operation, status, said, private))
        self.status = status
        self.words = said.words
        self.in_house = said.in_house

    @property
    def absent(self) -> bool:
        """Does the API itself say that there is no such thing?"""
        return self.status == 404 and self.in_house


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
        return (await self._call(operation, "GET", path, deadline, params=params, private=())).body

    async def write(
        self,
        operation: str,
        method: str,
        path: str,
        body: Mapping[str, Any],
        *,
        deadline: Deadline,
        private: Private = None,
        harmless: bool = False,
    ) -> Reply:
        """POST or PATCH. `harmless`: to do it again does no harm, so it may be begun with less time left."""
        return await self._call(
            operation, method, path, deadline, json=body, private=private, harmless=harmless
        )

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        private: Private,
        harmless: bool = False,
    ) -> Reply:
        enough = min(self._settings.read_timeout, _ENOUGH) * (_HARMLESS if harmless else 1)
        refused: str | None = None
        while True:
            token = await self._access.token(deadline.left, instead_of=refused)
            if method != "GET" and deadline.left < enough:
                raise RetryLater(f"TrackTik {operation}: not sent, too little time was left")
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
        private: Private,
    ) -> Reply:
        writing = method != "GET"
        progress = calls.Progress()
        try:
            async with self._session.request(
                method,
                self._settings.api_root / path,
                params=params,
                json=json,
                headers={"Authorization": f"Bearer {token}"},
                # A redirected write could be sent twice; a redirected read shows a login page.
                allow_redirects=False,
                timeout=calls.timeout(deadline.left, self._settings.read_timeout),
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
    operation: str, response: aiohttp.ClientResponse, writing: bool, private: Private
) -> HrisError:
    status, wait = response.status, calls.retry_after(response.headers)
    said = wire.read_error(await _error_body(response))
    text = explain(operation, status, said, private)
    if status == 429:
        return RetryLater(text, retry_after=wait, throttled=True)
    if status in (303, 408) or status >= 500:
        return OutcomeUnknown(text) if writing else RetryLater(text, retry_after=wait)
    if status < 400:
        return RetryLater(text, retry_after=wait)
    if status == 401:
        return AuthFailed(text)
    if status == 403:
        return Forbidden(text)
    refused = Refused(operation, status, said, private)
    if status == 404 and writing and not refused.absent:
        return OutcomeUnknown(text)
    return refused


async def _error_body(response: aiohttp.ClientResponse) -> bytes:
    """The status is the answer: a body that breaks off only costs its words."""
    body = b""
    try:
        while len(body) < _ERROR_BYTES and (chunk := await response.content.read(_ERROR_BYTES)):
            body += chunk
    except calls.TROUBLE:
        pass
    return body


def explain(operation: str, status: int, said: wire.Said, private: Private) -> str:
    """What happened, with the vendor's words as far as they may be shown."""
    text = f"TrackTik {operation}: {status}"
    if status < 400:
        return f"{text}, redirected and not followed: the portal is being maintained, or base_url is wrong"
    if status == 404 and not said.in_house:
        text += ", not an answer of the leave API"
    if private is None:
        return text
    shown = "; ".join(
        f"{name}: {calls.one_line(words, 200)}"
        for name, words in said.words.items()
        if not calls.repeats(f"{name} {words}", *private)
    )
    return f"{text}: {shown[:300]}" if shown else text


__all__ = ["Deadline", "Private", "Refused", "Reply", "TrackTikClient"]

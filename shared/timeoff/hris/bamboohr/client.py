"""HTTP to BambooHR: one call, one request on the wire, one error class.

The classes of errors (BambooHR API reference, error codes and throttling):

    what happened                              a read            a write
    ---------------------------------------    --------------    ----------------------------------
    no connection, so nothing was sent         RetryLater        RetryLater
    time-out, drop, unreadable after sending   RetryLater        OutcomeUnknown
    429, or 503 with a readable Retry-After    RetryLater, throttled, with the time to wait
    408, 503 without Retry-After, other 5xx    RetryLater        OutcomeUnknown
    401                                        AuthFailed
    403                                        Forbidden (also while locked out)
    404                                        `Refused`, the operation knows what is missing; `foreign` if it
                                               is without BambooHR's words, perhaps a gateway's
    other 4xx, redirects                       `Refused`

A 503 with `Retry-After` is how BambooHR throttled before September 2026; one without it means that
something broke, perhaps after the commit.

`Refused` is for the adapter only and never leaves it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse

from timeoff.errors import AuthFailed, Forbidden, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris import calls
from timeoff.hris.bamboohr.settings import BambooHrSettings

#: The second spelling is the older one and still sent.
_MESSAGE_HEADERS: Final = (
    "X-BambooHR-Error-Message",
    "X-BambooHR-Error-Messsage",
    "X-BambooHR-Message",
)
_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-bamboohr-request-id", "request-id")


#: Notes that must not come back in an error's text; None: they are not all known, so show no words at all.
Private = Collection[str | None] | None


class Refused(HrisError):
    """A clear 3xx or 4xx: nothing was written.

    `reason` is the vendor's text. It may hold a note: it is to judge by, and only the error's own text, which
    then leaves it out, is to be shown.
    """

    def __init__(self, text: str, status: int, reason: str) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason

    @property
    def foreign(self) -> bool:
        """A 404 that need not be BambooHR's: it says nothing about a record by itself."""
        return self.status == 404 and not self.reason


@dataclass(frozen=True, slots=True)
class Reply:
    """A 2xx. `complete` is False when the body broke off (writes only); headers are always there."""

    status: int
    body: bytes
    location: str | None
    complete: bool = True


class BambooHrClient:
    """One session. Safe to use concurrently; how many calls at a time is the core's budget."""

    def __init__(self, settings: BambooHrSettings) -> None:
        self._root = settings.api_root
        self._timeout = settings.call_timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=calls.trust(verify=settings.verify_tls, ca_file=settings.ca_file)
            ),
            # Session cookies of one answer must not change what the next call is allowed to see.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Authorization": aiohttp.encode_basic_auth(settings.api_key.get_secret_value(), "x"),
                "Accept": "application/json",
                "User-Agent": "timeoff-sync",
            },
            trust_env=settings.proxy_from_environment,
            trace_configs=[calls.tracing()],
        )

    async def close(self) -> None:
        await self._session.close()

    async def read(
        self,
        operation: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> bytes:
        """GET. Returns the body of a 2xx; raises as the table in the module's docstring says."""
        reply = await self._call(operation, "GET", path, params=params, timeout=timeout, private=())
        return reply.body

    async def write(
        self, operation: str, path: str, body: Mapping[str, Any], *, private: Private = None
    ) -> Reply:
        """PUT. Raises as the table in the module's docstring says."""
        return await self._call(operation, "PUT", path, json=body, private=private)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        private: Private,
        timeout: float | None = None,
    ) -> Reply:
        writing = method != "GET"
        progress = calls.Progress()
        try:
            async with self._session.request(
                method,
                self._root / path,
                params=params,
                json=json,
                # A redirected write could be sent twice; a redirected read shows a login page.
                allow_redirects=False,
                timeout=calls.timeout(self._timeout if timeout is None else timeout),
                middlewares=(calls.never_again,) if writing else (),
                trace_request_ctx=progress,
            ) as response:
                if 200 <= response.status < 300:
                    return await _reply(response, writing)
                # Bodies of errors are not read: what BambooHR says stands in a header.
                raise _refusal(operation, response, writing, private)
        except calls.TROUBLE as error:
            kind = calls.kind_of(error)
            if writing and progress.sent:
                raise OutcomeUnknown(f"BambooHR {operation}: no clear answer ({kind})") from None
            raise RetryLater(f"BambooHR {operation}: not reached ({kind})") from None


async def _reply(response: ClientResponse, writing: bool) -> Reply:
    location = response.headers.get("Location")
    try:
        body = await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        if not writing:
            raise
        # The headers of a 2xx are the answer; the body only repeats it.
        return Reply(response.status, b"", location, complete=False)
    return Reply(response.status, body, location)


def _refusal(operation: str, response: ClientResponse, writing: bool, private: Private) -> HrisError:
    status = response.status
    reason = message(response.headers)
    request_id = next((response.headers[n] for n in _REQUEST_ID_HEADERS if n in response.headers), "")
    shown = private is not None and not calls.repeats(reason, *private)
    text = explain(operation, status, reason if shown else "", request_id)
    wait = calls.retry_after(response.headers)
    if status == 429 or (status == 503 and wait is not None):
        return RetryLater(text, retry_after=wait, throttled=True)
    if status == 408 or status >= 500:
        return OutcomeUnknown(text) if writing else RetryLater(text, retry_after=wait)
    if status == 401:
        return AuthFailed(text)
    if status == 403 and not writing:
        return Forbidden(text)
    return Refused(text, status, reason)


def explain(operation: str, status: int, reason: str, request_id: str) -> str:
    text = f"BambooHR {operation}: {status}"
    if 300 <= status < 400:
        text += ", redirected: check company and base_url"
    if reason:
        text += f": {calls.one_line(reason, 300)}"
    return f"{text} (request {calls.one_line(request_id, 64)})" if request_id else text


def message(headers: Mapping[str, str]) -> str:
    """BambooHR's own words, whole. They may repeat what was sent."""
    return next((headers[name] for name in _MESSAGE_HEADERS if headers.get(name)), "")


__all__ = ["BambooHrClient", "Private", "Refused", "Reply", "message"]

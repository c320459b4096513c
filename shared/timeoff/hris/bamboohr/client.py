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
    404                                        `Refused`, the operation knows what is missing
    other 4xx, redirects                       `Refused`

A 503 with `Retry-After` is how BambooHR throttled before September 2026; one without it means that
something broke, perhaps after the commit.

`Refused` is for the adapter only and never leaves it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from timeoff.errors import AuthFailed, Forbidden, HrisError, OutcomeUnknown, RetryLater, SettingsError
from timeoff.hris.bamboohr.settings import BambooHrSettings

#: The second spelling is the older one and still sent.
_MESSAGE_HEADERS: Final = (
    "X-BambooHR-Error-Message",
    "X-BambooHR-Error-Messsage",
    "X-BambooHR-Message",
)
_REQUEST_ID_HEADERS: Final = ("x-request-id", "x-bamboohr-request-id", "request-id")


class Refused(HrisError):
    """A clear 3xx or 4xx: nothing was written. `reason` is the vendor's text, free of notes."""

    def __init__(self, operation: str, status: int, reason: str, request_id: str) -> None:
        super().__init__(explain(operation, status, reason, request_id))
        self.status = status
        self.reason = reason


class _Dropped(Exception):
    """The connection broke after it was ours. Not an aiohttp error, so that aiohttp does not repeat."""


@dataclass(slots=True)
class _Progress:
    """`sent` is True from the moment a connection is ours: from then on bytes may have left."""

    sent: bool = False


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
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_connected)
        tracing.on_connection_reuseconn.append(_connected)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_tls(settings)),
            # Session cookies of one answer must not change what the next call is allowed to see.
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Authorization": aiohttp.encode_basic_auth(settings.api_key.get_secret_value(), "x"),
                "Accept": "application/json",
                "User-Agent": "timeoff-sync",
            },
            trust_env=settings.proxy_from_environment,
            trace_configs=[tracing],
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
        reply = await self._call(operation, "GET", path, params=params, timeout=timeout)
        return reply.body

    async def write(
        self, operation: str, path: str, body: Mapping[str, Any], *, private: str | None = None
    ) -> Reply:
        """PUT. `private` is text of the employee that must not come back in an error's message."""
        return await self._call(operation, "PUT", path, json=body, private=private)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        private: str | None = None,
        timeout: float | None = None,
    ) -> Reply:
        writing = method != "GET"
        progress = _Progress()
        total = self._timeout if timeout is None else max(timeout, 0.001)
        try:
            async with self._session.request(
                method,
                self._root / path,
                params=params,
                json=json,
                # A redirected write could be sent twice; a redirected read shows a login page.
                allow_redirects=False,
                # The threshold is out of reach because aiohttp rounds longer times up to whole seconds.
                timeout=aiohttp.ClientTimeout(total=total, sock_connect=total, ceil_threshold=86_400),
                middlewares=(_never_again,) if writing else (),
                trace_request_ctx=progress,
            ) as response:
                if 200 <= response.status < 300:
                    return await _reply(response, writing)
                # Bodies of errors are not read: what BambooHR says stands in a header.
                raise _refusal(operation, response, writing, private)
        except (aiohttp.ClientError, TimeoutError, OSError, _Dropped) as error:
            kind = type(error.__cause__ if isinstance(error, _Dropped) else error).__name__
            if writing and progress.sent:
                raise OutcomeUnknown(f"BambooHR {operation}: no clear answer ({kind})") from None
            if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
                kind = f"{kind}: the TLS certificate or handshake was refused"
            raise RetryLater(f"BambooHR {operation}: not reached ({kind})") from None


async def _connected(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.sent = True


async def _never_again(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """aiohttp repeats idempotent methods once on a connection that turns out to be dead, and PUT counts as

    idempotent. BambooHR's PUT is not: it makes a new request each time. An error of another family ends
    aiohttp's loop.
    """
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped from error


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


def _refusal(operation: str, response: ClientResponse, writing: bool, private: str | None) -> HrisError:
    status = response.status
    reason = message(response.headers, private)
    request_id = next((response.headers[n] for n in _REQUEST_ID_HEADERS if n in response.headers), "")
    text = explain(operation, status, reason, request_id)
    wait = retry_after(response.headers)
    if status == 429 or (status == 503 and wait is not None):
        return RetryLater(text, retry_after=wait, throttled=True)
    if status == 408 or status >= 500:
        return OutcomeUnknown(text) if writing else RetryLater(text, retry_after=wait)
    if status == 401:
        return AuthFailed(text)
    if status == 403 and not writing:
        return Forbidden(text)
    return Refused(operation, status, reason, request_id)


def explain(operation: str, status: int, reason: str, request_id: str) -> str:
    text = f"BambooHR {operation}: {status}"
    if 300 <= status < 400:
        text += ", redirected: check company and base_url"
    if reason:
        text += f": {reason}"
    return f"{text} (request {_printable(request_id, 64)})" if request_id else text


def message(headers: Mapping[str, str], private: str | None = None) -> str:
    """BambooHR's own words, one line; empty if they repeat twelve characters of the employee's note."""
    text = next((headers[name] for name in _MESSAGE_HEADERS if headers.get(name)), "")
    text = _printable(text, 300)
    if private:
        lowered, note = text.lower(), " ".join(private.split()).lower()
        if any(note[at : at + 12] in lowered for at in range(max(1, len(note) - 11))):
            return ""
    return text


def _printable(text: str, limit: int) -> str:
    """One line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())[:limit]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from a number of seconds or an HTTP date; None if absent or unreadable.

    The unit is not stated by BambooHR; both forms are legal HTTP (RFC 9110, 10.2.3). A date is taken
    relative to the answer's own `Date`, so that clocks need not agree.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return min(float(text), 86_400.0)
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), 86_400.0)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _tls(settings: BambooHrSettings) -> ssl.SSLContext | bool:
    if not settings.verify_tls:
        return False
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError([f"ca_file: cannot be used ({type(error).__name__})"]) from None


__all__ = ["BambooHrClient", "Refused", "Reply", "message", "retry_after"]

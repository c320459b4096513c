"""HTTP to the reference HRIS: one call, one request on the wire, one error class.

    what happened                              a read            a write
    ---------------------------------------    --------------    --------------
    no connection, so nothing was sent         RetryLater        RetryLater
    time-out, drop, unreadable after sending   RetryLater        OutcomeUnknown
    429, or 503 with Retry-After               RetryLater, with the time to wait
    other 5xx                                  RetryLater        OutcomeUnknown
    401                                        AuthFailed
    404 without this HRIS's error, a gateway's RetryLater        OutcomeUnknown
    other 4xx                                  `Refused`, the adapter knows what it means

`Refused` never leaves the adapter. The messages of this HRIS are fixed sentences and repeat no notes; what
stands between it and us may do so, and such words are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from timeoff.errors import AuthFailed, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris import calls
from timeoff.hris.documents import parse
from timeoff.hris.reference.settings import ReferenceSettings


class Refused(HrisError):
    """A clear 4xx: nothing was written. `code` and `details` are the error's own fields."""

    def __init__(self, operation: str, status: int, error: Mapping[str, Any], private: str | None) -> None:
        self.status = status
        self.code = str(error.get("code", ""))
        self.details = error
        words = f"{self.code} {error.get('message', '')}"
        shown = "" if calls.repeats(words, private) else calls.one_line(words, 200)
        super().__init__(f"{operation}: {status} {shown}".strip())


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    document: Any


class Client:
    """One session. Safe to use concurrently; how many calls at a time is the core's budget."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self._root = f"{settings.base_url}/reference/v1"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"Authorization": f"Bearer {settings.api_key.get_secret_value()}"},
            timeout=calls.timeout(settings.call_timeout),
            trace_configs=[calls.tracing()],
        )

    async def close(self) -> None:
        await self._session.close()

    async def read(self, operation: str, path: str, **query: str) -> Any:
        return (await self._call(operation, "GET", path, query, None)).document

    async def write(
        self, operation: str, method: str, path: str, body: Mapping[str, Any], *, private: str | None = None
    ) -> Reply:
        """`private` is a note that must not come back in an error's text."""
        return await self._call(operation, method, path, {}, body, private)

    async def _call(
        self,
        operation: str,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None,
        private: str | None = None,
    ) -> Reply:
        progress = calls.Progress()
        try:
            async with self._session.request(
                method,
                self._root + path,
                params=query,
                json=body,
                allow_redirects=False,
                middlewares=() if body is None else (calls.never_again,),
                trace_request_ctx=progress,
            ) as response:
                text = await response.read()
                if 200 <= response.status < 300:
                    return Reply(response.status, parse(text))
                raise _refusal(operation, response, text, private, writing=body is not None)
        except ValueError as error:
            raise _unclear(body is not None, f"{operation}: {error}") from None
        except calls.TROUBLE as error:
            sent = body is not None and progress.sent
            raise _unclear(sent, f"{operation}: no answer ({calls.kind_of(error)})") from None


def _unclear(written: bool, text: str) -> HrisError:
    return OutcomeUnknown(text) if written else RetryLater(text)


def _refusal(
    operation: str, response: aiohttp.ClientResponse, text: bytes, private: str | None, *, writing: bool
) -> HrisError:
    status, wait = response.status, calls.retry_after(response.headers)
    if status == 429 or (status == 503 and wait is not None):
        return RetryLater(f"{operation}: {status}", retry_after=wait, throttled=True)
    if status >= 500:
        return _unclear(writing, f"{operation}: {status}")
    if status == 401:
        return AuthFailed(f"{operation}: the API key is refused")
    try:
        error = parse(text)["error"]
    except (ValueError, LookupError, TypeError):
        error = {}
    if not isinstance(error, dict):
        error = {}
    if status == 404 and not error.get("code"):
        return _unclear(writing, f"{operation}: 404, not an answer of the reference HRIS")
    return Refused(operation, status, error, private)

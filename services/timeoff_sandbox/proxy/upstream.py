"""The real HRIS behind the proxy: one call passed on, word for word.

What belongs to one connection only is not passed on (RFC 9110, 7.6.1): framing, `Connection` and what it
names. Everything else goes through as it came, bytes of the body included, compressed or not. Every call has
a connection of its own and is sent once: a pooled connection that turns out to be dead would lose writes that
the HRIS never saw, and a repeated one would make two.
"""

from __future__ import annotations

import io
import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, web
from multidict import CIMultiDict
from yarl import URL

#: `Expect` was answered by the proxy's server, which read the body.
_NOT_PASSED_ON: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: Name and value pairs, as they stood on the wire.
RawHeaders = tuple[tuple[bytes, bytes], ...]
LONGEST_HEADER: Final = 256 * 1024
#: Headers that the answer had from the HRIS; the server adds none to them.
PASSED_ON = web.ResponseKey("timeoff_sandbox.proxy.passed_on", frozenset)


class NotReached(Exception):
    """No connection: the HRIS has seen nothing of the call."""


class BrokenOff(Exception):
    """The connection ended without a whole answer: whether the HRIS did what was asked is open."""


class TooSlow(Exception):
    """No whole answer in time."""


class TooLarge(Exception):
    """The answer's body is longer than the proxy takes."""


class _Dropped(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Asked:
    """A call as it came. `target` is path and query, untouched; so are names and order of the headers."""

    method: str
    target: str
    headers: RawHeaders
    body: bytes


class Upstream:
    """`url` may be http or https and may have a path, which goes before every call's. Raises `ValueError`."""

    def __init__(self, url: str, *, seconds: float, longest: int, tls: ssl.SSLContext | None) -> None:
        parsed = URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.raw_host:
            raise ValueError("the upstream is an address like https://hris.example.com")
        if parsed.user or parsed.raw_query_string or parsed.raw_fragment:
            raise ValueError("the upstream has no credentials, query or fragment: callers bring their own")
        self._base = str(parsed).rstrip("/")
        self._seconds = seconds
        self._longest = longest
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=self._seconds),
            middlewares=(_never_again,),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, asked: Asked) -> web.Response:
        """The HRIS's answer. Raises `NotReached`, `BrokenOff`, `TooSlow`, `TooLarge`."""
        assert self._session is not None
        try:
            async with self._session.request(
                asked.method,
                URL(self._base + asked.target, encoded=True),
                headers=passed_on(asked.headers),
                data=io.BytesIO(asked.body) if asked.body else None,
                allow_redirects=False,
            ) as answer:
                return _answer(asked.method, answer, await self._read(answer))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotReached(str(error)) from None
        except TimeoutError:
            raise TooSlow from None
        except (aiohttp.ClientError, OSError, _Dropped) as error:
            raise BrokenOff(type(error.__cause__ or error).__name__) from None

    async def _read(self, answer: ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._longest:
                raise TooLarge
        return bytes(body)


def passed_on(headers: RawHeaders) -> CIMultiDict[str]:
    """The headers that go to the other side, spelt as they came and in their order."""
    named = {
        part.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for part in value.decode("utf-8", "replace").split(",")
    }
    spelt = ((name.decode("utf-8", "replace"), value.decode("utf-8", "replace")) for name, value in headers)
    return CIMultiDict(
        (name, value)
        for name, value in spelt
        if name.lower() not in _NOT_PASSED_ON and name.lower() not in named
    )


def _answer(method: str, answer: ClientResponse, body: bytes) -> web.Response:
    headers = passed_on(answer.raw_headers)
    response = web.Response(status=answer.status, reason=answer.reason, headers=headers, body=body or None)
    if method == "HEAD" and "Content-Length" in answer.headers:
        # The length of what a GET would bring.
        response.headers["Content-Length"] = answer.headers["Content-Length"]
    response[PASSED_ON] = frozenset(name.lower() for name in headers)
    return response


async def add_nothing(_: web.Request, response: web.StreamResponse) -> None:
    """Takes away again what the server put into an answer of the HRIS."""
    had = response.get(PASSED_ON)
    if had is not None:
        for name in ("Server", "Date", "Content-Type"):
            if name.lower() not in had:
                response.headers.popall(name, None)


async def _never_again(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
    """aiohttp sends idempotent methods once more when the connection breaks; this error it lets through."""
    try:
        return await send(request)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Dropped from error


async def read_bounded(request: web.Request, longest: int) -> bytes | None:
    """The request's body as it came, or None if it is longer."""
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > longest:
            return None
    return bytes(body)


__all__ = [
    "Asked",
    "BrokenOff",
    "NotReached",
    "TooLarge",
    "TooSlow",
    "Upstream",
    "add_nothing",
    "read_bounded",
]

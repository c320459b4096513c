"""The road of a call: origin, token, rate, handler, answer; and whatever goes wrong, as a problem (RFC 9457).

A call without a token learns nothing, not even which addresses exist. An error that nobody foresaw is a 500
without its words, and a log line without any value of the call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from timeoff.database import CONNECTION_TROUBLE
from timeoff.telemetry.logs import get_logger
from timeoff_balance import metrics
from timeoff_balance.access import CALLER, Access
from timeoff_balance.errors import LedgerAway, Problem, Refusal

#: What needs a token; the rest is public.
GUARDED: Final = ("/v1/", "/api/v2/")
COMPATIBLE: Final = "/api/v2/"
_ALLOWED_HEADERS: Final = "Authorization, Content-Type"
_EXPOSED_HEADERS: Final = "Retry-After, X-Request-Id"
_PREFLIGHT_SECONDS: Final = "600"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = get_logger()


def problem(refusal: Refusal, path: str = "", call_id: str = "") -> web.Response:
    """A refusal as an answer. Below /api/v2 it has the members of Genesys' errors too, so that both kinds of
    readers find theirs."""
    more: dict[str, Any] = {}
    if path.startswith(COMPATIBLE):
        more = {
            "message": refusal.detail or refusal.title,
            "contextId": call_id,
            "details": [],
            "errors": [],
        }
    return web.Response(
        body=json.dumps(Problem(refusal, more).shown()).encode(),
        status=refusal.status,
        content_type="application/problem+json",
        headers={hdrs.CACHE_CONTROL: "no-store", **refusal.headers},
    )


class Road:
    """The one middleware around everything that is served, unknown addresses included."""

    def __init__(self, access: Access, origins: tuple[str, ...]) -> None:
        self._access = access
        self._origins = frozenset(origins)
        self._counted: dict[tuple[str, int], Any] = {}
        self._timed: dict[str, Any] = {}
        self._log = log.bind()  # once, not for each call

    @property
    def middleware(self) -> Any:
        @web.middleware
        async def travel(request: web.Request, handler: _Handler) -> web.StreamResponse:
            began = time.perf_counter()
            call_id = token_hex(16)
            response = await self._answered(request, handler, call_id)
            response.headers["X-Request-Id"] = call_id
            response.headers[hdrs.SERVER] = "timeoff-balance"
            if origin := request.headers.get(hdrs.ORIGIN):
                self._allow_origin(origin, response.headers)
            self._measure(request, response.status, time.perf_counter() - began, call_id)
            return response

        return travel

    async def _answered(self, request: web.Request, handler: _Handler, call_id: str) -> web.StreamResponse:
        try:
            if request.method == hdrs.METH_OPTIONS and (preflight := self._preflight(request)):
                return preflight
            if request.path.startswith(GUARDED):
                request[CALLER] = await self._access.admit(request)
            if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
                raise Refusal(415, "unsupported_media_type", "The body must not be compressed")
            return await handler(request)
        except Refusal as refusal:
            return problem(refusal, request.path, call_id)
        except Exception as error:
            if isinstance(error, CONNECTION_TROUBLE) and request.transport is None:
                raise  # it is the caller who has gone
            return problem(_refusal_of(error), request.path, call_id)

    def _preflight(self, request: web.Request) -> web.Response | None:
        """May a page of this origin call so? Asked by the browser, without a token (Fetch standard, CORS)."""
        if request.headers.get(hdrs.ORIGIN) not in self._origins:
            return None
        if hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
            return None
        return web.Response(
            status=204,
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ALLOWED_HEADERS,
                hdrs.ACCESS_CONTROL_MAX_AGE: _PREFLIGHT_SECONDS,
            },
        )

    def _allow_origin(self, origin: str, headers: Any) -> None:
        headers[hdrs.VARY] = "Origin"
        if origin in self._origins:
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED_HEADERS

    def _measure(self, request: web.Request, status: int, seconds: float, call_id: str) -> None:
        found = request.match_info.route.resource
        route = found.canonical if found is not None else "unknown"
        counted = self._counted.get((route, status))
        if counted is None:
            counted = self._counted[route, status] = metrics.CALLS.labels(route, str(status))
        timed = self._timed.get(route)
        if timed is None:
            timed = self._timed[route] = metrics.CALL_SECONDS.labels(route)
        counted.inc()
        timed.observe(seconds)
        caller = request.get(CALLER)
        (self._log.debug if status < 400 else self._log.info)(
            "call.answered",
            call=call_id,
            route=route,
            status=status,
            caller=caller.name if caller else None,
            ms=round(seconds * 1000, 1),
        )


def _refusal_of(error: Exception) -> Refusal:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return Refusal(405, "method_not_allowed", "Method not allowed", headers={hdrs.ALLOW: allowed})
        case web.HTTPRequestEntityTooLarge():
            return Refusal(413, "too_large", "The body is too large")
        case web.HTTPNotFound():
            return Refusal(404, "not_found", "Not found")
        case web.HTTPException():
            return Refusal(error.status, "refused", error.reason)
        case UnicodeError() | HttpProcessingError() | web.RequestPayloadError():
            return Refusal(400, "invalid", "The request cannot be read")
        case _ if isinstance(error, CONNECTION_TROUBLE):
            log.error("call.ledger_away", error=type(error).__name__)
            return LedgerAway()
        case _:
            log.error("call.failed", exc_info=error)
            return Refusal(500, "failed", "The service failed")


__all__ = ["GUARDED", "Road", "problem"]

"""The road of a call: token, rate, body, query, handler, answer; and whatever goes wrong, in the one shape.

A call without a token learns nothing, not even which addresses exist. Errors that nobody foresaw are a 500 in
the same shape and a log line without any value of the call.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from uuid import uuid4

import asyncpg
import structlog
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from timeoff.strict_json import KeyTwice, read_json
from timeoff.telemetry.logs import get_logger
from timeoff_leave import metrics
from timeoff_leave.access import Door
from timeoff_leave.context import Caller, Context
from timeoff_leave.database import CONNECTION_TROUBLE
from timeoff_leave.errors import ALREADY_USED, NOT_VALID, Messages, Refusal, forbidden, not_found
from timeoff_leave.listing import Page
from timeoff_leave.routes import Call, Route
from timeoff_leave.selection import read_selection
from timeoff_leave.values import MAX_ID, Body, read_body
from timeoff_leave.wire import to_json

BASE: Final = "/rest/v1"
TOKEN_PATH: Final = "/rest/oauth2/access_token"  # noqa: S105  (an address)
CALLER: Final = web.RequestKey("caller", Caller)

#: The database did not come to it: another call holds what this one waits for, or it takes too long.
BUSY: Final = (
    TimeoutError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_UNIQUE: Final = re.compile(r"_unique_(\w+)$")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return _json(to_json(value), status, headers)


def _json(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        text=text,
        status=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
        content_type="application/json",
    )


async def read_raw(request: web.Request, key: str, seconds: float) -> bytes:
    """The body as it was sent. Raises `Refusal` 408 if it is not all there in this time."""
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        said = {key: ["The body did not come in time."]}
        raise Refusal(408, said, {hdrs.CONNECTION: "close"}) from None


async def expect(request: web.Request) -> web.StreamResponse | None:
    """The answer to an `Expect` header, before the call is looked at."""
    if request.headers.get(hdrs.EXPECT, "").lower() != "100-continue":
        return answer({"request": ["Nothing but 100-continue can be expected."]}, 417)
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the answer itself has not begun
    return None


def refused(refusal: Refusal) -> web.Response:
    return answer(refusal.messages, refusal.status, refusal.headers)


class Road:
    """Serves routes: one handler of aiohttp for each, and the two middlewares around all of them."""

    def __init__(self, context: Context, door: Door, routes: Sequence[Route]) -> None:
        self._context = context
        self._door = door
        self._routes = routes
        self._names = {route.name for route in routes}

    def routes(self) -> list[web.RouteDef]:
        return [self._serve(route) for route in self._routes]

    def _serve(self, route: Route) -> web.RouteDef:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._call(request, route)

        return web.route(route.method, BASE + route.path, handle)

    @property
    def middlewares(self) -> tuple[Any, ...]:
        """Around everything that is served, unknown addresses included; the first is the outermost."""

        @web.middleware
        async def observe(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._observe(request, handler)

        @web.middleware
        async def admit(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._admit(request, handler)

        return observe, admit

    async def _observe(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Every call ends in an answer, a log line and a measurement."""
        began = time.perf_counter()
        call_id = uuid4().hex
        structlog.contextvars.bind_contextvars(call=call_id)
        resource = self._resource_of(request)
        try:
            response = await _answered(request, handler, resource)
            seconds = time.perf_counter() - began
            response.headers["X-Request-Id"] = call_id
            metrics.CALLS.labels(resource, _method(request), str(response.status)).inc()
            metrics.CALL_SECONDS.labels(resource).observe(seconds)
            caller = request.get(CALLER)
            log = get_logger()
            (log.debug if request.method in ("GET", "HEAD") and response.status < 400 else log.info)(
                "call.answered",
                method=_method(request),
                route=_route_of(request),
                status=response.status,
                account=caller.account if caller else None,
                ms=round(seconds * 1000, 1),
            )
            return response
        finally:
            structlog.contextvars.clear_contextvars()

    async def _admit(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path == BASE or request.path.startswith(BASE + "/"):
            caller = await self._door.admit(
                request.headers.get(hdrs.AUTHORIZATION), self._resource_of(request)
            )
            request[CALLER] = caller
        return await handler(request)

    def _resource_of(self, request: web.Request) -> str:
        """The collection that the call is for; `request` for an address that is none of the API."""
        if request.path == TOKEN_PATH:
            return "access_token"
        parts = request.path.removeprefix(BASE).split("/")
        name = parts[1] if len(parts) > 1 and request.path.startswith(BASE + "/") else ""
        return name if name in self._names else "request"

    async def _call(self, request: web.Request, route: Route) -> web.Response:
        caller = request[CALLER]
        if route.method != "GET" and caller.role != "ADMINISTRATOR":
            raise forbidden(route.name)
        body = await _body(request, route, self._context.settings.body_timeout)
        selection = read_selection(route.resource, _query(request, route), many=route.many)
        call = Call(self._context, caller, route, _id(request, route), body, selection)
        value = self._enveloped(route, await route.handler(call))
        # What includes may make large is written beside the event loop.
        return _json(await asyncio.to_thread(to_json, value) if selection.includes else to_json(value))

    def _enveloped(self, route: Route, found: Any) -> Any:
        """Bare, or as the portal sends it (TrackTik help centre: limits and paging, 23794537688471)."""
        page = found if isinstance(found, Page) else None
        if not self._context.settings.envelope:
            return page.records if page else found
        if page is None:
            return {"meta": {"resource": route.resource.name}, "data": found}
        return {
            "meta": {
                "resource": route.resource.name,
                "count": page.count,
                "itemCount": len(page.records),
                "limit": page.limit,
                "offset": page.offset,
            },
            "data": page.records,
        }


def _query(request: web.Request, route: Route) -> Iterable[tuple[str, str]]:
    try:
        unquote_to_bytes(request.rel_url.raw_query_string).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, {route.name: ["The query is not valid UTF-8."]}) from None
    return request.query.items()


def _id(request: web.Request, route: Route) -> int:
    text = request.match_info.get("id")
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID):
        raise not_found(route.resource.name, route.resource.title)
    return int(text)


async def _body(request: web.Request, route: Route, seconds: float) -> Body | None:
    raw = await read_raw(request, route.name, seconds)
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Refusal(415, {route.name: ["The body must not be compressed."]})
    if route.body is None:
        return None
    if not raw.strip() and route.body_optional:
        return route.body()
    if request.content_type != "application/json":
        raise Refusal(415, {route.name: ["The body must be application/json."]})
    try:
        document = read_json(raw)
    except KeyTwice as error:
        raise Refusal(400, {route.key: [str(error)]}) from None
    except ValueError:
        raise Refusal(400, {route.key: ["The body is not valid JSON."]}) from None
    if not isinstance(document, dict):
        raise Refusal(400, {route.key: ["The body must be a JSON object."]})
    body, messages = read_body(route.body, document, route.key)
    if body is None:
        raise Refusal(400, messages)
    return body


async def _answered(request: web.Request, handler: _Handler, resource: str) -> web.StreamResponse:
    def said(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
        messages: Messages = {resource: [message]}
        return answer(messages, status, headers)

    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(refusal)
    except web.HTTPMethodNotAllowed as error:
        return said(405, "Method not allowed.", {hdrs.ALLOW: ", ".join(sorted(error.allowed_methods))})
    except web.HTTPRequestEntityTooLarge:
        return said(413, "The body is too large.")
    except web.HTTPNotFound:
        return said(404, "Not found.")
    except web.HTTPRedirection:
        raise
    except web.HTTPException as error:
        return said(error.status, error.reason)
    except asyncpg.UniqueViolationError as error:
        if named := _UNIQUE.search(error.constraint_name or ""):
            return answer({named[1]: [ALREADY_USED]}, 400)
        return _unforeseen(error, said)
    except (asyncpg.DataError, UnicodeError, HttpProcessingError, web.RequestPayloadError):
        return said(400, NOT_VALID)
    except BUSY as error:
        if request.transport is None:
            raise  # it is the caller who has gone
        get_logger().error("call.database_busy", exc_info=error)
        return said(503, "The database is busy.", {hdrs.RETRY_AFTER: "1"})
    except CONNECTION_TROUBLE as error:
        if request.transport is None:
            raise  # it is the caller who has gone
        get_logger().error("call.database_away", exc_info=error)
        return said(503, "The service cannot reach its database.", {hdrs.RETRY_AFTER: "1"})
    except Exception as error:  # noqa: BLE001  (the last guard: a caller gets an answer, we a line)
        return _unforeseen(error, said)


def _unforeseen(error: Exception, said: Callable[[int, str], web.Response]) -> web.Response:
    get_logger().error("call.failed", exc_info=error)
    return said(500, "The service failed.")


def _route_of(request: web.Request) -> str:
    found = request.match_info.route.resource
    return found.canonical if found is not None else "unknown"


def _method(request: web.Request) -> str:
    """Methods that are none of HTTP's must not become labels without number."""
    return request.method if request.method in hdrs.METH_ALL else "OTHER"

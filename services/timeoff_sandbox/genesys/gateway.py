"""What every REST call passes: bearer token, rate limit, permissions, faults, correlation id, log."""

from __future__ import annotations

import json
import math
import time
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from timeoff_sandbox.clock import Clock
from timeoff_sandbox.faults import FAULT, FaultBook
from timeoff_sandbox.genesys.errors import ApiError, bad_request
from timeoff_sandbox.genesys.oauth import Token, TokenDesk
from timeoff_sandbox.genesys.options import GenesysOptions

MAX_BODY = 512_000
CALLS_KEPT = 200_000
CORRELATION = web.RequestKey("correlation", str)
RATE_HEADERS = web.RequestKey("rate_headers", dict[str, str])

T = TypeVar("T")


@dataclass(slots=True)
class Call:
    """One authenticated REST call, as its handler sees it."""

    request: web.Request
    token: Token

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def flag(self, name: str) -> bool:
        return self.request.query.get(name, "").lower() == "true"

    def number(self, name: str, default: int, *, most: int) -> int:
        text = self.request.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise bad_request(f"{name} must lie between 1 and {most}", field=name, code="invalid.value")
        return int(text)

    async def body(self, model: type[T]) -> T:
        """The JSON body as `model`; 413 above 512,000 bytes, 415 and 400 as the real API."""
        data = await self.request.read()
        if len(data) > MAX_BODY:
            raise ApiError(
                413,
                "request.entity.too.large",
                "Request body is too large",
                limit={"key": "request.bytes.max", "namespace": "platform.api", "value": MAX_BODY},
            )
        if self.request.content_type != "application/json":
            raise ApiError(415, "unsupported.media.type", "Content type must be application/json")
        try:
            return TypeAdapter(model).validate_json(data)
        except ValidationError as error:
            raise invalid_body(error) from None


def invalid_body(error: ValidationError) -> ApiError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return bad_request(
        f"The request body is not valid: {first['msg']}",
        field=".".join(str(part) for part in first["loc"]) or None,
        code="invalid.value" if first["loc"] else "bad.request",
    )


Answer = dict[str, Any] | web.StreamResponse | None
Handler = Callable[[Call], Awaitable[Answer]]


class Gateway:
    def __init__(self, clock: Clock, options: GenesysOptions, tokens: TokenDesk, faults: FaultBook) -> None:
        self._clock = clock
        self.options = options
        self._tokens = tokens
        self._faults = faults
        self.calls: deque[dict[str, Any]] = deque(maxlen=CALLS_KEPT)
        self.counts: Counter[str] = Counter()

    def clear(self) -> None:
        self.calls.clear()
        self.counts.clear()

    def route(self, method: str, path: str, handler: Handler, *permissions: str) -> web.RouteDef:
        """A route below `/api/v2`; any one of `permissions` suffices, none means that all may call."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, handler, permissions)

        return web.route(method, f"/api/v2{path}", guarded)

    def fallback(self) -> web.RouteDef:
        async def unknown(call: Call) -> Answer:
            raise ApiError(404, "not.found", "The requested resource does not exist")

        return self.route("*", "/{unknown:.*}", unknown)

    async def _answer(
        self, request: web.Request, handler: Handler, permissions: tuple[str, ...]
    ) -> web.StreamResponse:
        correlation = request[CORRELATION] = str(uuid.uuid4())
        request[RATE_HEADERS] = {}
        request[FAULT] = None
        started = self._clock.timestamp()
        status = 0

        async def handle() -> web.StreamResponse:
            try:
                self._permit(permissions)
                return _finish(request, _response(await handler(Call(request, token))))
            except ApiError as error:
                return _finish(request, _refusal(error, correlation))

        try:
            try:
                token = self._tokens.check(request)
                request[RATE_HEADERS] = self._count(token)
            except ApiError as error:
                response: web.StreamResponse = _finish(request, _refusal(error, correlation))
            else:
                response = await self._faults.run(f"{request.method} {request.path}", request, handle)
            status = response.status
            return response
        finally:
            self.counts[f"{request.method} {status}"] += 1
            self.calls.append(
                {
                    "at": started,
                    "method": request.method,
                    "path": request.path,
                    "status": status,
                    "durationMs": round((self._clock.timestamp() - started) * 1000, 3),
                    "fault": request[FAULT],
                }
            )

    def _permit(self, permissions: tuple[str, ...]) -> None:
        held = self.options.permissions
        if permissions and held is not None and not set(permissions) & set(held):
            names = "[" + ", ".join(permissions) + "]"
            raise ApiError(
                403,
                "missing.any.permissions",
                "Unable to perform the requested action. You must have at least one of the following"
                f" permissions assigned: {names}",
                params={"permissions": names},
            )

    def _count(self, token: Token) -> dict[str, str]:
        """Counts the call in the window of its token; the headers say how much is left."""
        allowed, window = self.options.requests_per_minute, self.options.rate_window_seconds
        if not allowed:
            return {}
        now = time.monotonic()
        if now - token.window_start >= window:
            token.window_start, token.window_count = now, 0
        token.window_count += 1
        reset = max(1, math.ceil(token.window_start + window - now))
        headers = {
            "inin-ratelimit-allowed": str(allowed),
            "inin-ratelimit-count": str(token.window_count),
            "inin-ratelimit-reset": str(reset),
        }
        if token.window_count > allowed:
            raise _throttled(reset, allowed, headers)
        return headers


def _throttled(seconds: int, allowed: int, headers: dict[str, str]) -> ApiError:
    return ApiError(
        429,
        "too.many.requests",
        f"Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds",
        params={"retryAfter": str(seconds)},
        limit={
            "key": "client.credentials.token.rate.per.minute",
            "namespace": "platform.api",
            "value": allowed,
        },
        headers=headers | {"Retry-After": str(seconds)},
    )


def refuse_by_fault(request: web.Request, status: int, retry_after: float | None) -> web.StreamResponse:
    """The answer of a fault rule, in the words of this API."""
    if status == 429:
        error = _throttled(math.ceil(retry_after or 1), 300, {})
    elif status == 503:
        error = ApiError(503, "service.unavailable", "The service is not available")
    else:
        error = ApiError(status, "internal.server.error", "The request could not be completed")
    return _finish(request, _refusal(error, request[CORRELATION]))


def _refusal(error: ApiError, correlation: str) -> web.Response:
    return web.json_response(error.body(correlation), status=error.status, headers=error.headers)


def _finish(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    response.headers["ININ-Correlation-Id"] = request[CORRELATION]
    response.headers.update(request[RATE_HEADERS])
    return response


def _response(answer: Answer) -> web.StreamResponse:
    if answer is None:
        return web.Response(status=204)
    if isinstance(answer, dict):
        return json_response(answer)
    return answer


def json_response(body: object, status: int = 200) -> web.Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json")

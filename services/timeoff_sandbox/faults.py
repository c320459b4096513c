"""Faults on purpose: rules that spoil the nth call of an operation, each counted and used up.

Both faces of the sandbox share this. A `FaultBook` wraps the part that does the work:

    response = await book.run("create", request, handle)

`handle` does the work (the commit) and builds the answer. The kind of fault that fired stands in
`request[FAULT]` afterwards, for the call log.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

Kind = Literal[
    "refuse",  # refused with `status` (403), nothing done
    "throttle",  # refused with 429 (or what the face says) and Retry-After, nothing done
    "unavailable",  # 503 with Retry-After, nothing done
    "error_before_commit",  # 500, nothing done
    "commit_then_drop",  # done, then the connection is cut without an answer
    "commit_then_500",  # done, then 500
    "delay_then_commit",  # done only after `seconds`, also when the caller has gone by then
    "truncated",  # done, and the answer's body breaks off half way
    "no_location",  # done, answered without the Location header
    "no_id",  # done, answered without Location and without a body
    "slow",  # done at once, answered after `seconds`
    "hang",  # nothing done, no answer; the connection is cut after `seconds`
]

#: The kind of the fault that fired for a request, or None.
FAULT = web.RequestKey("timeoff_sandbox.fault", object)
#: Which call a rule is about: (the rule's `on`, the label of the call) -> does it match?
Matches = Callable[[str, str], bool]
#: Builds a refusal in the face's own words from a status and the seconds to wait.
Refuse = Callable[[web.Request, int, float | None], web.StreamResponse]
Handle = Callable[[], Awaitable[web.StreamResponse]]


class FaultRule(BaseModel):
    """One rule. `skip` calls pass first, then `times` calls are spoilt; `times: null` means all."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    on: str
    kind: Kind
    skip: int = Field(0, ge=0)
    times: int | None = Field(1, ge=0)
    seconds: float = Field(1.0, ge=0, le=3600)
    retry_after: float = Field(1.0, ge=0)
    #: Of `refuse`, `throttle`, `unavailable`: another status than the usual one.
    status: int | None = Field(None, ge=400, le=599)
    fired: int = Field(0, ge=0)


class _Rules(BaseModel):
    rules: list[FaultRule]


def by_operation(on: str, label: str) -> bool:
    """`on` names one operation, several separated by `|`, or `any`."""
    return on == "any" or label in on.split("|")


def by_pattern(on: str, label: str) -> bool:
    """`on` is a regular expression that is searched in the label, e.g. in `GET /api/v2/users`."""
    return on == "any" or re.search(on, label) is not None


class FaultBook:
    """The rules in force, in order of arrival; the first one that is due takes the call."""

    def __init__(self, matches: Matches, refuse: Refuse, throttle_status: Callable[[], int] = lambda: 429):
        self._matches = matches
        self._refuse = refuse
        self._throttle_status = throttle_status
        self._rules: list[FaultRule] = []
        self._released = asyncio.Event()

    def add(self, document: Mapping[str, Any]) -> None:
        """Add the rules of `{"rules": [...]}`. Raises `pydantic.ValidationError`, then none was added."""
        self._rules.extend(TypeAdapter(_Rules).validate_python(dict(document)).rules)

    def remaining(self) -> list[dict[str, Any]]:
        """All rules since the last clear, with what is left of them and how often each fired."""
        return [rule.model_dump(by_alias=True) for rule in self._rules]

    def clear(self) -> None:
        """Forget all rules and let go of every call that a rule holds at this moment."""
        self._rules.clear()
        self._released.set()
        self._released = asyncio.Event()

    def take(self, label: str, also: Callable[[FaultRule], bool] = lambda rule: True) -> FaultRule | None:
        """The rule that spoils this call, if any; it is counted as used. `also` has to agree to it."""
        for rule in self._rules:
            if rule.times == 0 or not self._matches(rule.on, label) or not also(rule):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
            rule.fired += 1
            return rule
        return None

    async def run(self, label: str, request: web.Request, handle: Handle) -> web.StreamResponse:
        """`handle` with the fault that is due for this call, if any, around it."""
        return await self.spoil(self.take(label), request, handle)

    async def spoil(self, rule: FaultRule | None, request: web.Request, handle: Handle) -> web.StreamResponse:
        """`handle` with the fault of a rule that was taken around it."""
        request[FAULT] = rule.kind if rule else None
        match rule.kind if rule else None:
            case "refuse":
                assert rule
                return self._refuse(request, rule.status or 403, None)
            case "throttle":
                assert rule
                return self._refuse(request, rule.status or self._throttle_status(), rule.retry_after)
            case "unavailable":
                assert rule
                return self._refuse(request, rule.status or 503, rule.retry_after)
            case "error_before_commit":
                return self._refuse(request, 500, None)
            case "hang":
                assert rule
                await self._hold(rule.seconds)
                return cut(request)
            case "delay_then_commit":
                assert rule
                await self._hold(rule.seconds)
        response = await handle()
        # A refusal by the face itself is no commit: there is nothing to be ambiguous about.
        if rule is None or response.status >= 300:
            return response
        match rule.kind:
            case "commit_then_drop":
                return cut(request)
            case "commit_then_500":
                return self._refuse(request, 500, None)
            case "slow":
                await self._hold(rule.seconds)
            case "truncated":
                return await _truncate(request, response)
            case "no_location" | "no_id":
                response.headers.popall("Location", None)
                if rule.kind == "no_id" and isinstance(response, web.Response):
                    response.body = b""
        return response

    async def _hold(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._released.wait(), seconds)
        except TimeoutError:
            pass


def cut(request: web.Request) -> web.StreamResponse:
    """Break the connection without an answer. What is returned can no longer be sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _truncate(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    broken = web.StreamResponse(status=answer.status, headers=answer.headers)
    # The promised length is never kept, so that a reader knows the body broke off.
    broken.content_length = max(len(body), 2)
    await broken.prepare(request)
    await broken.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return broken

"""The BambooHR face on HTTP: both base paths, one road for every call, and the admin side.

The road of a call: door (key, lock-out, rate) -> fault -> half the latency -> commit and answer -> the other
half. Errors have an empty body and their text in a header, in both spellings the vendor is known to use.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Literal
from uuid import uuid4

from aiohttp import web
from pydantic import ValidationError

from timeoff_sandbox.bamboohr.access import Access, Throttled
from timeoff_sandbox.bamboohr.admin import Admin, CallLog
from timeoff_sandbox.bamboohr.api import Answer, Api, Call, Route
from timeoff_sandbox.bamboohr.company import Company
from timeoff_sandbox.bamboohr.options import Options, Permissions
from timeoff_sandbox.bamboohr.records import Clock, Person, Refusal, TimeOffType
from timeoff_sandbox.bamboohr.wire import read_body, to_json, to_xml
from timeoff_sandbox.faults import FAULT, FaultBook, by_operation


class BambooHrSandbox:
    """One company. `monotonic` measures read lag, rate and lock-out; `clock` says what day it is."""

    def __init__(
        self, clock: Clock, company: str = "acme", *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._options = Options(company=company)
        self.company = Company(clock, lambda: self._options, monotonic)
        self.faults = FaultBook(by_operation, self._refuse, lambda: self._options.throttle_status)
        self.calls = CallLog()
        self._access = Access(lambda: self._options, monotonic)
        self._api = Api(self.company, lambda: self._options)
        self._admin = Admin(self.company, self.faults, self.calls)

    # -- what the world and the admin side of the whole sandbox use ----------------------------------

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", r"/api/gateway.php/{company}/{version}/{path:.*}", self._serve),
            web.route("*", r"/api/{version:v1|v1_1}/{path:.*}", self._serve),
            *self._admin.routes(),
        ]

    @property
    def name(self) -> str:
        """Of the company, as the older base path has it."""
        return self._options.company

    @property
    def api_key(self) -> str:
        """The first key of the options."""
        return next(iter(self._options.api_keys), "")

    def add_employee(self, id: str | int, email: str | None, name: str) -> None:
        self.company.add_person(Person(int(id), email, name))

    def add_type(
        self,
        id: str | int,
        name: str,
        units: Literal["hours", "days"],
        policy_type: Literal["accruing", "manual", "discretionary"] = "manual",
    ) -> None:
        """Add or replace a type. A fresh company has 83 and 85 in hours and 84 in days."""
        self.company.types[int(id)] = TimeOffType(int(id), name, units, policy_type)

    def types(self) -> list[dict[str, str]]:
        return [
            {"id": str(type_.id), "name": type_.name, "units": type_.units}
            for type_ in self.company.types.values()
        ]

    def options(self) -> dict[str, Any]:
        return self._options.model_dump(mode="json", by_alias=True)

    def set_options(self, changes: Mapping[str, Any]) -> None:
        """Change the named options, keep the others. Raises `ValueError` that names what is wrong."""
        merged = {**self.options(), **changes}
        if isinstance(changes.get("lockout"), Mapping):
            merged["lockout"] = {**self.options()["lockout"], **changes["lockout"]}
        try:
            self._options = Options.model_validate(merged)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            raise ValueError(
                "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
            ) from None

    def reset(self) -> None:
        """Forget people, requests, faults, calls and lock-out; the options stay."""
        self.faults.clear()
        self.company.reset()
        self.calls.reset()
        self._access.reset()

    # -- one call ------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        began, ticks = self._clock.now(), time.perf_counter()
        found = self._route(request)
        operation = found[0].operation if found else "unknown"
        entry_id: list[int] = []
        try:
            response = await self._admitted(request, found, entry_id)
        except Refusal as refusal:
            response = self._refuse(request, refusal.status, None, refusal.message)
        except web.HTTPRequestEntityTooLarge:
            response = self._refuse(request, 413, None, "The body is too large")
        self.calls.add(
            began,
            operation,
            method=request.method,
            path=request.path,
            status=response.status,
            durationMs=round((time.perf_counter() - ticks) * 1000, 3),
            fault=request.get(FAULT),
            entryId=str(entry_id[0]) if entry_id else None,
        )
        return response

    def _route(self, request: web.Request) -> tuple[Route, tuple[int, ...]] | None:
        info = request.match_info
        if info.get("company", self.name) != self.name:
            return None
        return self._api.find(request.method, info["version"], info["path"])

    async def _admitted(
        self, request: web.Request, found: tuple[Route, tuple[int, ...]] | None, entry_id: list[int]
    ) -> web.StreamResponse:
        body = await request.read()
        try:
            caller = self._access.admit(request.headers.get("Authorization"))
        except Throttled as throttled:
            return self._refuse(request, self._options.throttle_status, throttled.seconds, "Rate limit")
        # A wrong method is an unknown address here, not 405.
        if found is None:
            raise Refusal(404, "Not found")
        route, ids = found

        async def handle() -> web.StreamResponse:
            half = self._options.latency_ms / 2000
            await asyncio.sleep(half)
            call = self._call(request, caller, ids, body)
            try:
                answer = route.handler(call)
            except Refusal as refusal:
                await asyncio.sleep(half)
                return self._refuse(request, refusal.status, None, refusal.message)
            if answer.entry_id is not None:
                entry_id.append(answer.entry_id)
            await asyncio.sleep(half)
            return self._respond(request, answer)

        return await self.faults.run(route.operation, request, handle)

    def _call(self, request: web.Request, caller: Permissions, ids: tuple[int, ...], body: bytes) -> Call:
        parsed = read_body(request.content_type, body) if request.method == "PUT" else {}
        return Call(caller, ids, request.query, parsed, f"{request.scheme}://{request.host}", self.name)

    def _respond(self, request: web.Request, answer: Answer) -> web.Response:
        headers = {**answer.headers, "x-request-id": uuid4().hex}
        wants_json = "application/json" in request.headers.get("Accept", "")
        # A create answers with a body only to those who ask for JSON.
        if answer.data is None or (answer.status == 201 and not wants_json):
            return web.Response(status=answer.status, headers=headers)
        if wants_json:
            text, content_type = to_json(answer.data), "application/json"
        else:
            text, content_type = to_xml(answer.root, answer.data), "text/xml"
        return web.Response(
            status=answer.status,
            headers=headers,
            body=text.encode(),
            content_type=content_type,
            charset="utf-8",
        )

    def _refuse(
        self, request: web.Request, status: int, retry_after: float | None, message: str = "Try again later"
    ) -> web.Response:
        headers = {
            "X-BambooHR-Error-Message": message,
            "X-BambooHR-Error-Messsage": message,
            "x-request-id": uuid4().hex,
        }
        if retry_after is not None:
            seconds = math.ceil(retry_after)
            headers["Retry-After"] = str(seconds)
            if self._options.retry_after_form == "date":
                now = self._clock.now()
                headers["Retry-After"] = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
                # Both by one clock: a caller reads the one relative to the other.
                headers["Date"] = format_datetime(now, usegmt=True)
        return web.Response(status=status, headers=headers)

"""The reference HRIS on HTTP: a bearer key, one road for every call, and the admin side.

    GET    /reference/v1/me                        whose key it is
    GET    /reference/v1/employees, /types
    GET    /reference/v1/balances?employeeId=&on=
    GET    /reference/v1/entries?from=&to=&employeeId=   or ?key=, or ?id=
    POST   /reference/v1/entries                   201, or 202: accepted, takes effect later
    PATCH  /reference/v1/entries/ID                200, or 201 with a new id, or 202
    POST   /reference/v1/entries/ID/cancel         200, or 201 with a counter entry, or 202

A write answers with the record that is valid now or will be. Errors are
`{"error": {"code", "message", …}}`. What an option leaves out answers 405.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from timeoff_sandbox.bamboohr.admin import CallLog
from timeoff_sandbox.faults import FAULT, FaultBook, by_operation
from timeoff_sandbox.reference import wire
from timeoff_sandbox.reference.admin import Admin
from timeoff_sandbox.reference.balances import balances
from timeoff_sandbox.reference.book import Book
from timeoff_sandbox.reference.options import Options
from timeoff_sandbox.reference.records import Clock, Person, Record, Refusal

_PREFIX = "/reference/v1"
_Handle = Callable[[web.Request, dict[str, Any]], web.Response]
_ENTRY_ID = web.RequestKey("timeoff_sandbox.reference.entry", str)
_KEY = web.RequestKey("timeoff_sandbox.reference.key", str)


class ReferenceSandbox:
    """One company. `monotonic` measures read lag and delays; `clock` says what day it is."""

    def __init__(self, clock: Clock, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._options = Options()
        self.book = Book(clock, lambda: self._options, monotonic)
        self.faults = FaultBook(by_operation, self._refuse)
        self.calls = CallLog()
        self._admin = Admin(self.book, self.faults, self.calls)

    def routes(self) -> list[web.RouteDef]:
        return [
            self._route("GET", "/me", "health", self._me),
            self._route("GET", "/employees", "directory", self._employees),
            self._route("GET", "/types", "types", self._types),
            self._route("GET", "/balances", "balances", self._balances),
            self._route("GET", "/entries", "list", self._list),
            self._route("POST", "/entries", "create", self._create),
            self._route("PATCH", r"/entries/{id:\d{1,18}}", "update", self._update),
            self._route("POST", r"/entries/{id:\d{1,18}}/cancel", "cancel", self._cancel),
            *self._admin.routes(),
        ]

    @property
    def api_key(self) -> str:
        return self._options.api_key

    def add_employee(self, id: str | int, email: str | None, name: str) -> None:
        self.book.people[str(id)] = Person(str(id), email, name)

    def types(self) -> list[dict[str, str]]:
        return [{"id": type_.id, "name": type_.name, "units": type_.unit} for type_ in self.book.types()]

    def options(self) -> dict[str, Any]:
        return self._options.model_dump(mode="json", by_alias=True)

    def set_options(self, changes: Mapping[str, Any]) -> None:
        """Change the named options, keep the others. Raises `ValueError` that names what is wrong."""
        try:
            self._options = Options.model_validate({**self.options(), **changes})
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            raise ValueError(
                "; ".join(f"{'.'.join(map(str, p['loc']))}: {p['msg']}" for p in problems)
            ) from None

    def show(self, record: Record) -> dict[str, Any]:
        """A record as the ground truth has it (see `Admin.entry`)."""
        return self._admin.entry(record)

    def reset(self) -> None:
        """Forget people, records, faults and calls; the options stay."""
        self.faults.clear()
        self.book.reset()
        self.calls.reset()

    # -- one call ------------------------------------------------------------------------------------

    def _route(self, method: str, path: str, operation: str, handle: _Handle) -> web.RouteDef:
        async def serve(request: web.Request) -> web.StreamResponse:
            began, ticks = self._clock.now(), time.perf_counter()
            response = await self._admitted(request, operation, handle)
            self.calls.add(
                began,
                operation,
                method=request.method,
                path=request.path,
                status=response.status,
                durationMs=round((time.perf_counter() - ticks) * 1000, 3),
                fault=request.get(FAULT),
                entryId=request.get(_ENTRY_ID),
                key=request.get(_KEY),
            )
            return response

        return web.route(method, _PREFIX + path, serve)

    async def _admitted(self, request: web.Request, operation: str, handle: _Handle) -> web.StreamResponse:
        body = await request.read()
        if request.headers.get("Authorization") != f"Bearer {self._options.api_key}":
            return _error(Refusal(401, "unauthorized", "The key is not known"))

        async def commit() -> web.StreamResponse:
            half = self._options.latency_ms / 2000
            await asyncio.sleep(half)
            try:
                document = wire.read_body(body)
                key = document.get("key") or request.query.get("key")
                if isinstance(key, str):
                    request[_KEY] = key
                self.book.take_effect()
                response = handle(request, document)
            except Refusal as refusal:
                response = _error(refusal)
            await asyncio.sleep(half)
            return response

        return await self.faults.run(operation, request, commit)

    def _refuse(self, request: web.Request, status: int, retry_after: float | None) -> web.StreamResponse:
        response = _error(Refusal(status, "later", "Try again later"))
        if retry_after is not None:
            response.headers["Retry-After"] = str(math.ceil(retry_after))
        return response

    # -- reads -----------------------------------------------------------------------------------------

    def _me(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        return web.json_response({"user": "sync"})

    def _employees(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        people = [{"id": each.id, "email": each.email} for each in self.book.people.values()]
        return web.json_response({"employees": people})

    def _types(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        types = [{"id": each.id, "name": each.name, "unit": each.unit} for each in self.book.types()]
        return web.json_response({"types": types})

    def _balances(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        on = wire.read_date(request.query.get("on"), "on")
        rows = balances(self.book, self._options, request.query.get("employeeId", ""), on)
        return web.json_response({"balances": rows})

    def _list(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        query = request.query
        key, id_ = query.get("key"), query.get("id")
        if key is not None and self._options.external_key == "none":
            raise Refusal(400, "invalid", "Entries have no key")
        first, last = date.min, date.max
        if key is None and id_ is None:
            first, last = wire.read_date(query.get("from"), "from"), wire.read_date(query.get("to"), "to")
        employee = query.get("employeeId")
        if employee is not None:
            self.book.person(employee)
        number = (int(id_) if id_.isascii() and id_.isdigit() else 0) if id_ is not None else None
        entries = [
            wire.show(record, state, self.book.type(state.type_id))
            for record, state in self.book.listed(first, last, employee, key, number)
        ]
        return web.json_response({"entries": entries})

    # -- writes ----------------------------------------------------------------------------------------

    def _create(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        return self._written(request, self.book.create(wire.read_draft(document, self._options)), None)

    def _update(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        number = int(request.match_info["id"])
        return self._written(
            request, self.book.update(number, wire.read_draft(document, self._options)), number
        )

    def _cancel(self, request: web.Request, document: dict[str, Any]) -> web.Response:
        number = int(request.match_info["id"])
        key, note = wire.read_text(document.get("key"), "key"), wire.read_text(document.get("note"), "note")
        return self._written(request, self.book.cancel(number, key, note), number)

    def _written(self, request: web.Request, record: Record, before: int | None) -> web.Response:
        request[_ENTRY_ID] = str(record.id)
        status = 202 if record.now.changing else 200 if record.id == before else 201
        location = f"{_PREFIX}/entries?id={record.id}"
        shown = wire.show(record, record.now, self.book.type(record.now.type_id))
        return web.json_response(shown, status=status, headers={"Location": location})


def _error(refusal: Refusal) -> web.Response:
    error = {"code": refusal.code, "message": refusal.message, **refusal.details}
    return web.json_response({"error": error}, status=refusal.status)

"""`/admin/hris/*`: HR at work by hand, faults on purpose, and the ground truth of what was booked.

Times are ISO-8601 in UTC with microseconds; `at` and `committedAt` are epoch seconds. The call log holds
paths without their query and never a body.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from timeoff_sandbox.bamboohr.company import HAND, Company
from timeoff_sandbox.bamboohr.records import Draft, Person, Refusal, Request
from timeoff_sandbox.bamboohr.render import decimal_text
from timeoff_sandbox.faults import FaultBook

#: Calls kept in the log; older ones fall out, the counts stay.
LOG_LENGTH: Final = 200_000
_MARKER: Final = r"wfm:[0-9a-f]{16}"
_Status = Literal["approved", "denied", "declined", "requested", "canceled", "superceded"]
_Dates = dict[date, Decimal]


class _Input(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class _NewEntry(_Input):
    employee_id: int
    type_id: int
    dates: _Dates = Field(min_length=1)
    status: _Status = "approved"
    note: str | None = None


class _Edit(_Input):
    status: _Status | None = None
    dates: _Dates | None = Field(None, min_length=1)


class _NewPerson(_Input):
    id: int
    email: str | None = None
    name: str = "New Person"
    active: bool = True


class CallLog:
    """Every call of the API face, in order of their end."""

    def __init__(self) -> None:
        self._calls: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self._counts: Counter[str] = Counter()

    def reset(self) -> None:
        self._calls.clear()
        self._counts.clear()

    def add(self, began: datetime, operation: str, **details: Any) -> None:
        self._calls.append({"at": began.timestamp(), "time": _iso(began), "operation": operation, **details})
        self._counts[operation] += 1

    def document(self) -> dict[str, Any]:
        return {"calls": list(self._calls), "counts": dict(self._counts)}


class Admin:
    """The handlers; everything they show is the truth, without read lag."""

    def __init__(self, company: Company, faults: FaultBook, calls: CallLog) -> None:
        self._company = company
        self._faults = faults
        self._calls = calls

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/admin/hris/employees", _guarded(self.add_person)),
            web.post("/admin/hris/entries", _guarded(self.add_entry)),
            web.patch(r"/admin/hris/entries/{id:\d{1,18}}", _guarded(self.edit_entry)),
            web.get("/admin/hris/entries", _guarded(self.entries)),
            web.get("/admin/hris/live-by-marker", _guarded(self.live_by_marker)),
            web.get("/admin/hris/calls", _guarded(self.calls)),
            web.post("/admin/hris/faults", _guarded(self.add_faults)),
            web.get("/admin/hris/faults", _guarded(self.faults)),
            web.delete("/admin/hris/faults", _guarded(self.clear_faults)),
        ]

    async def add_person(self, request: web.Request) -> web.Response:
        new = _NewPerson.model_validate(await _document(request))
        self._company.add_person(Person(new.id, new.email, new.name, new.active))
        return web.json_response(new.model_dump(by_alias=True), status=201)

    async def add_entry(self, request: web.Request) -> web.Response:
        new = _NewEntry.model_validate(await _document(request))
        draft = Draft(
            employee_id=new.employee_id,
            type_id=new.type_id,
            status=new.status,
            start=min(new.dates),
            end=max(new.dates),
            dates=new.dates,
            notes={"manager": new.note} if new.note else {},
        )
        return web.json_response(entry(self._company.create(draft, "hand", HAND)), status=201)

    async def edit_entry(self, request: web.Request) -> web.Response:
        edit = _Edit.model_validate(await _document(request))
        changed = self._company.edit_by_hand(int(request.match_info["id"]), edit.status, edit.dates)
        return web.json_response(entry(changed))

    async def entries(self, request: web.Request) -> web.Response:
        return web.json_response({"entries": [entry(each) for each in self._company.requests.values()]})

    async def live_by_marker(self, request: web.Request) -> web.Response:
        """How many live requests carry each marker; `pattern` is the regular expression of a marker."""
        pattern = re.compile(request.query.get("pattern", _MARKER))
        live: Counter[str] = Counter()
        for each in self._company.requests.values():
            markers = {found.group() for note in each.notes.values() for found in pattern.finditer(note)}
            for marker in markers:
                live[marker] += each.now.live
        return web.json_response({"live": dict(live)})

    async def calls(self, request: web.Request) -> web.Response:
        return web.json_response(self._calls.document())

    async def add_faults(self, request: web.Request) -> web.Response:
        self._faults.add(await _document(request))
        return await self.faults(request)

    async def faults(self, request: web.Request) -> web.Response:
        return web.json_response({"rules": self._faults.remaining()})

    async def clear_faults(self, request: web.Request) -> web.Response:
        self._faults.clear()
        return await self.faults(request)


def entry(request: Request) -> dict[str, Any]:
    """A request as the ground truth shows it."""
    return {
        "id": str(request.id),
        "employeeId": str(request.employee_id),
        "typeId": str(request.type_id),
        "status": request.now.status,
        "start": request.now.start.isoformat(),
        "end": request.now.end.isoformat(),
        "dates": {on.isoformat(): decimal_text(amount) for on, amount in request.now.dates.items()},
        "created_at": _iso(request.created_at),
        "at": request.created_at.timestamp(),
        "committedAt": request.created_at.timestamp(),
        "notes": dict(request.notes),
        "comments": list(request.comments),
        "supersedes": _text(request.supersedes),
        "supersededBy": _text(request.superseded_by),
        "by": request.by,
        "history": [
            {"at": state.at.timestamp(), "time": _iso(state.at), "status": state.status}
            for state in request.states
        ],
    }


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


async def _document(request: web.Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.read(), parse_float=Decimal)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise Refusal(400, "The body is not a JSON object")
    return document


def _guarded(
    handler: Callable[[web.Request], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Mistakes of the caller become 4xx with a text that says which field."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            return web.json_response({"error": "invalid", "problems": problems}, status=400)
        except re.error:
            return web.json_response({"error": "invalid pattern"}, status=400)
        except Refusal as refusal:
            return web.json_response({"error": refusal.message}, status=refusal.status)

    return guarded

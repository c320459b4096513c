"""`/admin/reference/*`: HR at work by hand, faults on purpose, and the ground truth of what was booked.

Times are ISO-8601 in UTC with microseconds; `at` is epoch seconds. Everything shown is without read lag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from timeoff_sandbox.bamboohr.admin import CallLog
from timeoff_sandbox.faults import FaultBook
from timeoff_sandbox.reference.book import Book
from timeoff_sandbox.reference.records import Day, Draft, Person, Record, Refusal
from timeoff_sandbox.reference.wire import decimal_text, read_body

_Status = Literal["approved", "requested", "denied", "cancelled"]


class _Input(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", coerce_numbers_to_str=True
    )


class _NewPerson(_Input):
    id: str
    email: str | None = None
    name: str = "New Person"


class _NewEntry(_Input):
    employee_id: str
    type_id: str
    dates: dict[date, Decimal] = Field(min_length=1)
    status: _Status = "approved"
    note: str | None = None


class _Edit(_Input):
    status: _Status | None = None
    dates: dict[date, Decimal] | None = Field(None, min_length=1)


class _Settle(_Input):
    how: Literal["effect", "refuse"]


class Admin:
    """The handlers. All of them first carry out what has become due."""

    def __init__(self, book: Book, faults: FaultBook, calls: CallLog) -> None:
        self._book = book
        self._faults = faults
        self._calls = calls

    def routes(self) -> list[web.RouteDef]:
        prefix, one = "/admin/reference", r"/admin/reference/entries/{id:\d{1,18}}"
        return [
            web.post(f"{prefix}/employees", self._guarded(self._add_person)),
            web.post(f"{prefix}/entries", self._guarded(self._add_entry)),
            web.patch(one, self._guarded(self._edit_entry)),
            web.post(f"{one}/settle", self._guarded(self._settle)),
            web.get(f"{prefix}/entries", self._guarded(self._entries)),
            web.get(f"{prefix}/live-by-key", self._guarded(self._live_by_key)),
            web.get(f"{prefix}/calls", self._guarded(self._show_calls)),
            web.post(f"{prefix}/faults", self._guarded(self._add_faults)),
            web.get(f"{prefix}/faults", self._guarded(self._show_faults)),
            web.delete(f"{prefix}/faults", self._guarded(self._clear_faults)),
        ]

    async def _add_person(self, request: web.Request) -> Any:
        new = _NewPerson.model_validate(read_body(await request.read()))
        self._book.people[new.id] = Person(new.id, new.email, new.name)
        return new.model_dump(by_alias=True)

    async def _add_entry(self, request: web.Request) -> Any:
        new = _NewEntry.model_validate(read_body(await request.read()))
        days = {on: Day(amount) for on, amount in sorted(new.dates.items())}
        draft = Draft(new.employee_id, new.type_id, new.status, days, None, new.note)
        return self.entry(self._book.create_by_hand(draft))

    async def _edit_entry(self, request: web.Request) -> Any:
        edit = _Edit.model_validate(read_body(await request.read()))
        return self.entry(self._book.edit_by_hand(int(request.match_info["id"]), edit.status, edit.dates))

    async def _settle(self, request: web.Request) -> Any:
        how = _Settle.model_validate(read_body(await request.read())).how
        return self.entry(self._book.settle(int(request.match_info["id"]), how == "effect"))

    async def _entries(self, request: web.Request) -> Any:
        return {"entries": [self.entry(each) for each in self._book.records.values()]}

    async def _live_by_key(self, request: web.Request) -> Any:
        """How many records that count carry each key, surplus counter entries included."""
        live: Counter[str] = Counter()
        for each in self._book.records.values():
            if each.key:
                live[each.key] += self._book.counts(each)
        return {"live": dict(live)}

    async def _show_calls(self, request: web.Request) -> Any:
        return self._calls.document()

    async def _add_faults(self, request: web.Request) -> Any:
        self._faults.add(read_body(await request.read()))
        return {"rules": self._faults.remaining()}

    async def _show_faults(self, request: web.Request) -> Any:
        return {"rules": self._faults.remaining()}

    async def _clear_faults(self, request: web.Request) -> Any:
        self._faults.clear()
        return {"rules": []}

    def entry(self, record: Record) -> dict[str, Any]:
        """A record as the ground truth shows it.

        `status` is net of counter entries: a record that has one is `cancelled`, and that one is `counter`;
        a surplus one keeps its status and counts, with amounts below 0. `live` says whether it counts.
        """
        state, live = record.now, self._book.counts(record)
        status: str = state.status
        if state.live and not live:
            status = "cancelled" if self._book.countered(record) else "counter"
        return {
            "id": str(record.id),
            "employeeId": record.employee_id,
            "typeId": state.type_id,
            "status": status,
            "live": live,
            "stored": state.status,
            "changing": state.changing,
            "start": state.first.isoformat(),
            "end": state.last.isoformat(),
            "dates": {on.isoformat(): decimal_text(day.amount) for on, day in state.days.items()},
            "starts": {on.isoformat(): day.start for on, day in state.days.items() if day.start},
            "at": record.states[0].at.timestamp(),
            "key": record.key,
            "notes": {"note": state.note} if state.note else {},
            "comments": list(record.comments),
            "counterOf": _text(record.counter_of),
            "supersedes": _text(record.replaces),
            "supersededBy": _text(record.replaced_by),
            "by": record.by,
            "history": [
                {"time": _iso(each.at), "status": each.status, "changing": each.changing}
                for each in record.states
            ],
        }

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Mistakes of the caller become 4xx with a text that says which field."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            self._book.take_effect()
            try:
                return web.json_response(await handler(request))
            except ValidationError as error:
                problems = error.errors(include_url=False, include_context=False, include_input=False)
                return web.json_response({"error": "invalid", "problems": problems}, status=400)
            except Refusal as refusal:
                return web.json_response({"error": refusal.message}, status=refusal.status)

        return guarded


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")

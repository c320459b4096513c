"""The calls of the BambooHR API that concern time off: checks of input, permissions, and the answers.

Every method takes a `Call` and returns an `Answer` at once, without waiting for anything: what it commits
is committed as a whole. HTTP, latency and faults are around it, in `server`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from timeoff_sandbox.bamboohr import render
from timeoff_sandbox.bamboohr.company import Company
from timeoff_sandbox.bamboohr.options import Options, Permissions
from timeoff_sandbox.bamboohr.records import Booking, Draft, Refusal
from timeoff_sandbox.bamboohr.wire import Wire, read_amount, read_date, read_id

_STATUSES: Final = ("approved", "denied", "declined", "requested")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that got past the door. `ids` are the numbers of the path; `base` is scheme and host."""

    caller: Permissions
    ids: tuple[int, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    base: str
    company: str


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` None: an empty body. `root` names the document in XML."""

    status: int
    data: object = None
    root: str = "response"
    headers: Mapping[str, str] = field(default_factory=dict)
    entry_id: int | None = None


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    version: re.Pattern[str]
    path: re.Pattern[str]
    operation: str
    handler: Handler


class Api:
    """All calls over one company."""

    def __init__(self, company: Company, options: Callable[[], Options]) -> None:
        self._company = company
        self._options = options
        self._routes = [
            Route(method, re.compile(version), re.compile(path), operation, handler)
            for method, version, path, operation, handler in (
                ("GET", "v1", r"employees/directory", "directory", self.directory),
                ("GET", "v1", r"employees/0", "health", self.owner),
                ("GET", "v1", r"employees/(\d+)", "employee", self.employee),
                ("GET", "v1", r"meta/users", "users", self.users),
                ("GET", "v1", r"meta/time_off/types", "types", self.types),
                ("GET", "v1", r"meta/time_off/policies", "policies", self.policies),
                ("GET", "v1|v1_1", r"employees/(\d+)/time_off/policies", "assignments", self.assignments),
                ("PUT", "v1", r"employees/(\d+)/time_off/request", "create", self.create),
                ("GET", "v1", r"time_off/requests", "list", self.list),
                ("PUT", "v1", r"time_off/requests/(\d+)/status", "status", self.status),
                ("PUT", "v1", r"employees/(\d+)/time_off/history", "history", self.history),
                (
                    "PUT",
                    "v1",
                    r"employees/(\d+)/time_off/balance_adjustment",
                    "adjustment",
                    self.adjustment,
                ),
                ("GET", "v1", r"employees/(\d+)/time_off/calculator", "calculator", self.calculator),
                ("GET", "v1", r"time_off/whos_out", "whos_out", self.whos_out),
            )
        ]

    def find(self, method: str, version: str, path: str) -> tuple[Route, tuple[int, ...]] | None:
        """The route of a path below the version, trailing slash or not."""
        for route in self._routes:
            if route.method == method and route.version.fullmatch(version):
                match = route.path.fullmatch(path.rstrip("/"))
                if match:
                    return route, tuple(int(number[:18]) for number in match.groups())
        return None

    # -- people ------------------------------------------------------------------------------------

    def directory(self, call: Call) -> Answer:
        if not call.caller.directory:
            raise Refusal(403, "The company directory is not shared")
        people = [
            person
            for person in self._company.people.values()
            if person.active and call.caller.sees(person.id)
        ]
        if not people:
            raise Refusal(404, "No employees found")
        return Answer(200, render.directory(people), "directory")

    def owner(self, call: Call) -> Answer:
        """Employee 0 is whoever owns the key; the answer does not need an employee of that id."""
        return Answer(200, {"id": str(call.caller.employee_id)}, "employee")

    def employee(self, call: Call) -> Answer:
        person = self._company.person(call.ids[0])
        if not call.caller.sees(person.id):
            raise Refusal(403, "No permission to see this employee")
        asked = [name for name in call.query.get("fields", "").split(",") if name]
        if len(asked) > 400:
            raise Refusal(400, "Too many fields")
        return Answer(200, render.employee(person, asked), "employee")

    def users(self, call: Call) -> Answer:
        return Answer(200, render.users(self._company.people.values()), "users")

    # -- types and balances ------------------------------------------------------------------------

    def types(self, call: Call) -> Answer:
        return Answer(200, render.types(self._company.types.values(), self._wire), "timeOffTypes")

    def policies(self, call: Call) -> Answer:
        return Answer(200, render.policies(self._company.types.values(), self._wire), "policies")

    def assignments(self, call: Call) -> Answer:
        person = self._company.person(call.ids[0])
        if not call.caller.calculator or not call.caller.sees(person.id):
            raise Refusal(403, "No permission to see time off policies")
        start = f"{self._company.today().year}-01-01"
        return Answer(200, render.assignments(self._company.types.values(), self._wire, start), "policies")

    def calculator(self, call: Call) -> Answer:
        person = self._company.person(call.ids[0])
        if not call.caller.calculator or not call.caller.sees(person.id):
            raise Refusal(403, "No permission to see balances")
        end = read_date(call.query["end"], "end") if "end" in call.query else self._company.today()
        precision = read_id(call.query.get("precision", "2"), "precision")
        if precision > 4:
            raise Refusal(400, "Invalid precision")
        step = Decimal(1).scaleb(-precision)
        first = date(end.year, 1, 1)
        rows = []
        for type_ in self._company.types.values():
            balance = self._company.balance(person.id, type_.id, end)
            used = self._company.used(person.id, type_.id, first, end)
            rows.append(
                {
                    "timeOffType": str(type_.id),
                    "name": type_.name,
                    "units": type_.units,
                    "balance": f"{balance.quantize(step, ROUND_HALF_UP):f}",
                    "end": end.isoformat(),
                    "policyType": type_.policy_type,
                    "usedYearToDate": f"{used.quantize(step, ROUND_HALF_UP):f}",
                }
            )
        return Answer(200, rows, "estimates")

    # -- requests ----------------------------------------------------------------------------------

    def create(self, call: Call) -> Answer:
        draft = self._draft(call)
        self._company.person(draft.employee_id)
        if not call.caller.sees(draft.employee_id):
            raise Refusal(403, "No permission for this employee")
        if draft.status != "requested" and not call.caller.approve:
            raise Refusal(403, "No permission to approve or deny this request")
        request = self._company.create(draft, "api", call.caller.user_id)
        location = (
            f"{call.base}/api/gateway.php/{call.company}/v1"
            f"/employees/{draft.employee_id}/time_off/request/{request.id}"
        )
        body = render.created(
            self._company, request, self._wire, ZoneInfo(self._options().time_zone), call.caller
        )
        return Answer(201, body, "request", {"Location": location}, request.id)

    def list(self, call: Call) -> Answer:
        start = read_date(call.query.get("start"), "start")
        end = read_date(call.query.get("end"), "end")
        employee = read_id(call.query["employeeId"], "employeeId") if "employeeId" in call.query else None
        request_id = read_id(call.query["id"], "id") if "id" in call.query else None
        types = {read_id(part.strip(), "type") for part in _parts(call.query.get("type"))}
        statuses = {_denied(part.strip()) for part in _parts(call.query.get("status"))}
        action = call.query.get("action", "view")
        if action not in ("view", "approve", "myRequests"):
            raise Refusal(400, "Invalid action")
        # Without permission the list is empty and not refused: an empty list proves nothing.
        if not call.caller.view or employee == 0:
            return Answer(200, [], "requests")
        if action == "myRequests":
            employee = call.caller.employee_id
        notes = call.query.get("excludeNote", "").lower() in ("", "0", "false")
        zone = ZoneInfo(self._options().time_zone)
        items = [
            render.listed(self._company, request, state, self._wire, zone, call.caller, notes=notes)
            for request, state in self._company.listed(start, end, employee, request_id)
            if call.caller.sees(request.employee_id)
            and (not types or request.type_id in types)
            and (not statuses or _denied(state.status) in statuses)
            and (action != "approve" or state.status == "requested")
        ]
        return Answer(200, items, "requests")

    def status(self, call: Call) -> Answer:
        wanted = str(call.body.get("status"))
        if wanted in ("canceled", "cancelled"):
            wanted = "canceled"
        elif wanted in ("denied", "declined"):
            wanted = self._options().denied_word
        elif wanted != "approved":
            raise Refusal(400, "Invalid status")
        note = call.body.get("note")
        if note is not None and not isinstance(note, str):
            raise Refusal(400, "Invalid note")
        self._limit(note or "")
        request = self._company.requests.get(call.ids[0])
        if request is None:
            raise Refusal(404, "Request not found")
        if not call.caller.approve or not call.caller.sees(request.employee_id):
            raise Refusal(403, "No permission to change this request")
        self._company.change_status(request.id, wanted, call.caller.user_id, note)
        return Answer(200, {}, "request", entry_id=request.id)

    def whos_out(self, call: Call) -> Answer:
        start = read_date(call.query["start"], "start") if "start" in call.query else self._company.today()
        end = read_date(call.query["end"], "end") if "end" in call.query else start + timedelta(days=14)
        people = self._company.people
        rows = [
            {
                "id": request.id,
                "type": "timeOff",
                "employeeId": request.employee_id,
                "name": people[request.employee_id].name,
                "start": state.start.isoformat(),
                "end": state.end.isoformat(),
            }
            for request, state in self._company.listed(start, end, None, None)
            if state.status == "approved" and call.caller.sees(request.employee_id)
        ]
        return Answer(200, rows, "calendar")

    # -- bookings outside requests -----------------------------------------------------------------

    def history(self, call: Call) -> Answer:
        event = call.body.get("eventType", "used")
        if event == "used":
            read_date(call.body.get("date"), "date")
            self._may_book(call)
            self._company.record_usage(
                call.ids[0], read_id(call.body.get("timeOffRequestId"), "timeOffRequestId")
            )
            return Answer(201)
        if event != "override":
            raise Refusal(400, "Invalid eventType")
        return self._book(call, "override")

    def adjustment(self, call: Call) -> Answer:
        return self._book(call, "adjustment")

    def _book(self, call: Call, kind: Literal["override", "adjustment"]) -> Answer:
        self._may_book(call)
        self._company.book(
            Booking(
                call.ids[0],
                read_id(call.body.get("timeOffTypeId"), "timeOffTypeId"),
                read_date(call.body.get("date"), "date"),
                read_amount(call.body.get("amount"), "amount", signed=True),
                kind,
            )
        )
        return Answer(201)

    def _may_book(self, call: Call) -> None:
        self._company.person(call.ids[0])
        if not call.caller.approve or not call.caller.sees(call.ids[0]):
            raise Refusal(403, "No permission to change balances")

    # -- input -------------------------------------------------------------------------------------

    @property
    def _wire(self) -> Wire:
        return Wire(self._options().wire)

    def _draft(self, call: Call) -> Draft:
        """The request a body asks for. Raises `Refusal` 400 that names the field."""
        body = call.body
        status = body.get("status")
        if status not in _STATUSES:
            raise Refusal(400, "Invalid status")
        if status in ("denied", "declined"):
            status = self._options().denied_word
        start, end = read_date(body.get("start"), "start"), read_date(body.get("end"), "end")
        if end < start:
            raise Refusal(400, "The end is before the start")
        return Draft(
            employee_id=call.ids[0],
            type_id=read_id(body.get("timeOffTypeId"), "timeOffTypeId"),
            status=str(status),
            start=start,
            end=end,
            dates=_dates(body, start, end),
            notes=self._notes(body.get("notes")),
            previous=_optional_id(body.get("previousRequest")),
        )

    def _notes(self, notes: object) -> dict[str, str]:
        found: dict[str, str] = {}
        if notes is None:
            return found
        if not isinstance(notes, list):
            raise Refusal(400, "Invalid notes")
        for note in notes:
            author = note.get("from") if isinstance(note, dict) else None
            text = note.get("note") if isinstance(note, dict) else None
            if author not in ("employee", "manager") or not isinstance(text, str) or author in found:
                raise Refusal(400, "Invalid notes")
            self._limit(text)
            if text:
                found[author] = text
        return found

    def _limit(self, note: str) -> None:
        limit = self._options().note_limit
        if limit is not None and len(note) > limit:
            raise Refusal(400, "The note is too long")


def _dates(body: Mapping[str, Any], start: date, end: date) -> dict[date, Decimal]:
    """Amount per day: `dates` win over `amount`, which falls on the first day; with neither it is 0.

    A day outside start and end, or named twice, is refused; that is our choice.
    """
    days = body.get("dates")
    if days in (None, [], {}):
        amount = body.get("amount")
        return {start: Decimal(0) if amount in (None, "") else read_amount(amount, "amount")}
    if not isinstance(days, list):
        raise Refusal(400, "Invalid dates")
    found: dict[date, Decimal] = {}
    for day in days:
        if not isinstance(day, dict):
            raise Refusal(400, "Invalid dates")
        on = read_date(day.get("ymd"), "dates")
        if not start <= on <= end or on in found:
            raise Refusal(400, "Invalid dates")
        found[on] = read_amount(day.get("amount"), "dates")
    return found


def _optional_id(value: object) -> int | None:
    return None if value in (None, "") else read_id(value, "previousRequest")


def _parts(text: str | None) -> list[str]:
    return [part for part in (text or "").split(",") if part.strip()]


def _denied(status: str) -> str:
    """Filters treat both words for a refused request as one."""
    return "denied" if status == "declined" else status

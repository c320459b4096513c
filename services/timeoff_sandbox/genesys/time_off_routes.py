"""Routes of time-off requests and of their integration status."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from aiohttp import web

from timeoff_sandbox.clock import Clock, instant
from timeoff_sandbox.genesys.errors import ApiError, bad_request, not_found
from timeoff_sandbox.genesys.gateway import Answer, Call, Gateway, json_response
from timeoff_sandbox.genesys.options import GenesysOptions
from timeoff_sandbox.genesys.time_off import Change, RequestBook, TimeOffRequest
from timeoff_sandbox.genesys.wire import AdminPatch, CreateAdmin, Json, Query, SetStatus, StatusQuery
from timeoff_sandbox.genesys.workforce import Workforce

UNIT = "/workforcemanagement/managementunits/{unit}"
MAX_WINDOW_DAYS = 33
DOWNLOAD_LIFE = timedelta(minutes=10)
VIEW, ADD, EDIT = "wfm:timeOffRequest:view", "wfm:timeOffRequest:add", "wfm:timeOffRequest:edit"


class TimeOffRoutes:
    """`changed` is called after each change of a request, `announce` where only a notification follows."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        options: GenesysOptions,
        workforce: Workforce,
        book: RequestBook,
        changed: Callable[[TimeOffRequest], None],
        announce: Callable[[TimeOffRequest], None],
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self.options = options
        self._workforce = workforce
        self._book = book
        self._changed = changed
        self._announce = announce
        self._downloads: dict[str, tuple[datetime, Json]] = {}
        #: Every status that was set, oldest first.
        self.statuses: list[Json] = []

    def routes(self) -> list[web.RouteDef]:
        route = self._gateway.route
        of_unit, of_user = UNIT + "/timeoffrequests", UNIT + "/users/{user}/timeoffrequests"
        return [
            route("POST", of_unit, self._create, ADD),
            route("POST", of_unit + "/query", self._query, VIEW),
            route("PATCH", of_unit + "/{request}/users/{user}/integrationstatus", self._set_status, EDIT),
            route("POST", of_unit + "/integrationstatus/query", self._status_query, VIEW),
            route("GET", of_user, self._of_user, VIEW),
            route("GET", of_user + "/{request}", self._get, VIEW),
            route("PATCH", of_user + "/{request}", self._patch, EDIT),
            web.get("/downloads/{key}", self._download),
        ]

    def clear(self) -> None:
        self._downloads.clear()
        self.statuses.clear()

    async def _create(self, call: Call) -> Answer:
        """A supervisor's request, one for each user."""
        unit_id, body = call.path("unit"), await call.body(CreateAdmin)
        agents = [self._workforce.agent_in(unit_id, user.id) for user in body.users]
        if not agents:
            raise bad_request("At least one user is required", field="users")
        if body.daily_duration_minutes is None and body.duration_minutes is None:
            raise bad_request("A duration is required", field="dailyDurationMinutes")
        change = Change(
            status=body.status,
            activity_code_id=body.activity_code_id,
            dates=_dates(body.full_day_management_unit_dates),
            partial_starts=_instants(body.partial_day_start_date_times),
            minutes=body.duration_minutes,
            payable_minutes=body.payable_minutes,
            daily_minutes=body.daily_duration_minutes,
            earliest_starts=body.full_day_earliest_start_offset_minutes,
            latest_ends=body.full_day_latest_end_offset_minutes,
            paid=body.paid,
            notes=body.notes,
        )
        created = []
        for agent in agents:
            request = self._book.create(agent, change, by=_signer(call))
            self._changed(request)
            created.append(request.wire(unit_id))
        return {"timeOffRequests": created}

    async def _of_user(self, call: Call) -> Answer:
        unit_id = call.path("unit")
        agent = self._workforce.agent_in(unit_id, call.path("user"))
        return {"timeOffRequests": [request.wire(unit_id) for request in self._book.of_agent(agent.id)]}

    async def _get(self, call: Call) -> Answer:
        return self._found(call).wire(call.path("unit"))

    async def _patch(self, call: Call) -> Answer:
        request, body = self._found(call), await call.body(AdminPatch)
        if body.metadata.version != request.version:
            raise ApiError(409, "conflict", "The request was changed by someone else; read it again")
        earliest = body.full_day_earliest_start_offset_minutes
        latest = body.full_day_latest_end_offset_minutes
        change = Change(
            status=body.status,
            activity_code_id=body.activity_code_id,
            dates=_dates(body.full_day_management_unit_dates),
            partial_starts=_instants(body.partial_day_start_date_times),
            minutes=body.duration_minutes,
            payable_minutes=body.payable_minutes,
            daily_minutes=body.daily_duration_minutes,
            earliest_starts=None if earliest is None else earliest.values,
            latest_ends=None if latest is None else latest.values,
            paid=body.paid,
            notes=body.notes,
        )
        self._book.patch(request, change, by=_signer(call))
        self._changed(request)
        return request.wire(call.path("unit"))

    async def _query(self, call: Call) -> Answer:
        """Needs `statuses == [PENDING]` or a range of at most 33 days; the range means days off."""
        unit = self._workforce.unit(call.path("unit"))
        query = await call.body(Query)
        _check(query)
        items = [
            request.list_item(unit.id)
            for request in self._book.of_unit(unit.id)
            if self._matches(request, query)
        ]
        if not self.options.use_download_url and not call.flag("forceDownloadService"):
            return {"entities": items}
        now = self._clock.now()
        self._downloads = {key: kept for key, kept in self._downloads.items() if kept[0] > now}
        key = secrets.token_urlsafe(24)
        self._downloads[key] = (now + DOWNLOAD_LIFE, {"entities": items})
        return {
            "entities": [],
            "downloadUrl": f"{call.request.scheme}://{call.request.host}/downloads/{key}",
        }

    def _matches(self, request: TimeOffRequest, query: Query) -> bool:
        if query.statuses is not None and request.status not in query.statuses:
            return False
        if query.ids is not None and request.id not in query.ids:
            return False
        if query.user_ids is not None and request.agent_id not in query.user_ids:
            return False
        if query.substatuses is not None and request.substatus not in query.substatuses:
            return False
        window = query.date_range
        if window is None:
            return True
        days = request.local_days(self._workforce)
        return any(window.start_date <= day <= window.end_date for day in days)

    async def _download(self, request: web.Request) -> web.Response:
        """The address is the secret: no bearer."""
        expires, body = self._downloads.get(request.match_info["key"], (self._clock.now(), {}))
        if expires <= self._clock.now():
            return web.Response(status=403)
        return json_response(body)

    async def _set_status(self, call: Call) -> Answer:
        """The last writer wins: there is no version in the body."""
        request, body = self._found(call), await call.body(SetStatus)
        self.set_status(request, body.integration_status, by="api")
        return self._status_wire(request)

    def set_status(self, request: TimeOffRequest, status: str, *, by: str) -> None:
        request.integration_status = status
        now = self._clock.now()
        self.statuses.append(
            {
                "at": now.timestamp(),
                "time": instant(now),
                "requestId": request.id,
                "agentId": request.agent_id,
                "version": request.version,
                "status": status,
                "by": by,
            }
        )
        if self.options.integration_status_emits:
            self._announce(request)

    async def _status_query(self, call: Call) -> Answer:
        """Requests whose status nobody set yet are left out."""
        unit = self._workforce.unit(call.path("unit"))
        body = await call.body(StatusQuery)
        entities = []
        for lookup in body.time_off_request_lookups:
            request = self._book.requests.get(lookup.time_off_request_id)
            if (
                request is not None
                and request.agent_id == lookup.user_id
                and self._book.unit_of(request) == unit.id
                and request.integration_status is not None
            ):
                entities.append(self._status_wire(request))
        return {"entities": entities}

    @staticmethod
    def _status_wire(request: TimeOffRequest) -> Json:
        return {
            "timeOffRequest": {"id": request.id},
            "integrationStatus": request.integration_status,
            "user": {"id": request.agent_id},
        }

    def _found(self, call: Call) -> TimeOffRequest:
        agent = self._workforce.agent_in(call.path("unit"), call.path("user"))
        request = self._book.get(call.path("request"))
        if request.agent_id != agent.id:
            raise not_found("Time off request", request.id)
        return request


def _check(query: Query) -> None:
    if query.statuses is not None and query.statuses != ["PENDING"]:
        raise bad_request("Only PENDING may be asked for", field="statuses", code="invalid.value")
    window = query.date_range
    if window is None:
        if query.statuses is None:
            raise bad_request("Either statuses or dateRange is required", field="dateRange")
        return
    if window.start_date > window.end_date:
        raise bad_request("startDate is after endDate", field="dateRange", code="invalid.date")
    if (window.end_date - window.start_date).days + 1 > MAX_WINDOW_DAYS:
        raise bad_request(f"dateRange spans more than {MAX_WINDOW_DAYS} days", field="dateRange")


def _signer(call: Call) -> str:
    """Who a change over REST is signed with: the OAuth client, as there is no user."""
    return call.token.client_id


def _dates(values: Iterable[date] | None) -> list[str] | None:
    """None and an empty list mean the same: the other date field is in use."""
    return [value.isoformat() for value in values or ()] or None


def _instants(values: Iterable[datetime] | None) -> list[str] | None:
    return [
        (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat() for value in values or ()
    ] or None

"""Time-off requests with every version they ever had: the ground truth of the Genesys side."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, timedelta

from timeoff_sandbox.clock import Clock, instant, wire_instant
from timeoff_sandbox.genesys.errors import bad_request, not_found
from timeoff_sandbox.genesys.wire import (
    ARRAYS,
    Json,
    Metadata,
    Ref,
    RequestOut,
    RequestUpdate,
)
from timeoff_sandbox.genesys.workforce import Agent, Workforce

#: Who a supervisor's changes are signed with.
SUPERVISOR = "5aef0000-0000-4000-8000-00000000beef"
DEFAULT_DAILY_MINUTES = 480


@dataclass(slots=True)
class Change:
    """Fields of a create or of a patch; None leaves a field as it is."""

    status: str | None = None
    substatus: str | None = None
    activity_code_id: str | None = None
    dates: list[str] | None = None
    partial_starts: list[str] | None = None
    minutes: list[int] | None = None
    payable_minutes: list[int] | None = None
    daily_minutes: int | None = None
    earliest_starts: list[int | None] | None = None
    latest_ends: list[int | None] | None = None
    paid: bool | None = None
    notes: str | None = None
    raw: Json | None = None


@dataclass(slots=True)
class TimeOffRequest:
    id: str
    agent_id: str
    activity_code_id: str
    status: str
    paid: bool
    submitted_at: datetime
    submitted_by: str
    modified_at: datetime
    modified_by: str
    substatus: str | None = None
    reviewed_at: datetime | None = None
    reviewed_by: str | None = None
    dates: list[str] = field(default_factory=list)
    partial_starts: list[str] = field(default_factory=list)
    daily_minutes: int = DEFAULT_DAILY_MINUTES
    minutes: list[int] = field(default_factory=list)
    payable_minutes: list[int] = field(default_factory=list)
    earliest_starts: list[int | None] = field(default_factory=list)
    latest_ends: list[int | None] = field(default_factory=list)
    notes: str = ""
    version: int = 1
    #: Fields that replace the true ones in notification and REST, word for word.
    raw: Json = field(default_factory=dict)
    integration_status: str | None = None
    #: The id that the last workflow gave it; Genesys keeps it to itself.
    hris_request_id: str | None = None
    history: list[Json] = field(default_factory=list)
    #: The rendered REST model and its unit; a window of thousands is asked for again and again.
    _wire: tuple[str, Json] | None = None

    def _content(self) -> Json:
        return {
            "id": self.id,
            "is_full_day_request": not self.partial_starts,
            "activity_code_id": self.activity_code_id,
            "paid": self.paid,
            "status": self.status,
            "substatus": self.substatus,
            "partial_day_start_date_times": self.partial_starts,
            "full_day_management_unit_dates": self.dates,
            "full_day_earliest_start_offset_minutes": self.earliest_starts,
            "full_day_latest_end_offset_minutes": self.latest_ends,
            "daily_duration_minutes": self.daily_minutes,
            "duration_minutes": self.minutes,
            "payable_minutes": self.payable_minutes,
            "notes": self.notes,
            "submitted_date": wire_instant(self.submitted_at),
            "reviewed_date": None if self.reviewed_at is None else wire_instant(self.reviewed_at),
        }

    def wire(self, unit_id: str) -> Json:
        """The REST model of the routes of one user."""
        if self._wire is None or self._wire[0] != unit_id:
            self._wire = (unit_id, self._render(unit_id))
        return self._wire[1] | self.raw

    def list_item(self, unit_id: str) -> Json:
        """The REST model of the query: without modifiedDate and modifiedBy."""
        item = self.wire(unit_id)
        for name in ("modifiedDate", "modifiedBy"):
            if name not in self.raw:
                item.pop(name)
        return item

    def _render(self, unit_id: str) -> Json:
        return RequestOut(
            **self._content(),
            user=user_ref(self.agent_id),
            submitted_by=user_ref(self.submitted_by),
            reviewed_by=None if self.reviewed_by is None else user_ref(self.reviewed_by),
            modified_date=wire_instant(self.modified_at),
            modified_by=user_ref(self.modified_by),
            sync_version=self.version,
            metadata=Metadata(
                version=self.version,
                date_created=wire_instant(self.submitted_at),
                date_modified=wire_instant(self.modified_at),
                created_by=user_ref(self.submitted_by),
                modified_by=user_ref(self.modified_by),
            ),
            self_uri=f"/api/v2/workforcemanagement/managementunits/{unit_id}"
            f"/users/{self.agent_id}/timeoffrequests/{self.id}",
        ).dump()

    def notification(self, *, omit_empty_arrays: bool) -> Json:
        """The body of the notification."""
        body = RequestUpdate(
            **self._content(),
            user=Ref(id=self.agent_id),
            submitted_by=self.submitted_by,
            reviewed_by=self.reviewed_by,
            modified_date=wire_instant(self.modified_at),
            modified_by=self.modified_by,
        ).dump()
        if omit_empty_arrays:
            for name in ARRAYS:
                if not body[name]:
                    del body[name]
        return body | self.raw

    def truth(self, unit_id: str | None) -> Json:
        """Everything, for the admin API."""
        return {
            "id": self.id,
            "agentId": self.agent_id,
            "managementUnitId": unit_id,
            "status": self.status,
            "substatus": self.substatus,
            "activityCodeId": self.activity_code_id,
            "paid": self.paid,
            "isFullDayRequest": not self.partial_starts,
            "dates": self.dates,
            "partialStarts": self.partial_starts,
            "minutes": self.minutes,
            "payableMinutes": self.payable_minutes,
            "dailyMinutes": self.daily_minutes,
            "notes": self.notes,
            "version": self.version,
            "submittedDate": instant(self.submitted_at),
            "modifiedDate": instant(self.modified_at),
            "reviewedDate": None if self.reviewed_at is None else instant(self.reviewed_at),
            "integrationStatus": self.integration_status,
            "hrisRequestId": self.hris_request_id,
            "raw": self.raw,
            "history": self.history,
        }

    def local_days(self, workforce: Workforce) -> Iterator[date]:
        """The days the request touches, in the zone of the agent's unit."""
        if not self.partial_starts:
            yield from (date.fromisoformat(text) for text in self.dates)
            return
        agent = workforce.agents.get(self.agent_id)
        zone = UTC if agent is None else workforce.zone_of(agent)
        for text, minutes in zip(self.partial_starts, self.minutes, strict=True):
            start = parse_instant(text)
            yield start.astimezone(zone).date()
            last = (start + timedelta(minutes=max(minutes, 1), microseconds=-1)).astimezone(zone).date()
            if last != start.astimezone(zone).date():
                yield last


class RequestBook:
    """All requests, by id and by agent. Versions count from 1 and grow by one with each change."""

    def __init__(self, clock: Clock, workforce: Workforce) -> None:
        self._clock = clock
        self._workforce = workforce
        self.requests: dict[str, TimeOffRequest] = {}
        self._by_agent: dict[str, dict[str, TimeOffRequest]] = {}

    def clear(self) -> None:
        self.requests.clear()
        self._by_agent.clear()

    def get(self, request_id: str) -> TimeOffRequest:
        try:
            return self.requests[request_id]
        except KeyError:
            raise not_found("Time off request", request_id) from None

    def of_agent(self, agent_id: str) -> Iterable[TimeOffRequest]:
        return self._by_agent.get(agent_id, {}).values()

    def of_unit(self, unit_id: str) -> Iterator[TimeOffRequest]:
        for agent_id in self._workforce.agents_of_unit[unit_id]:
            yield from self.of_agent(agent_id)

    def unit_of(self, request: TimeOffRequest) -> str | None:
        """The unit of a request is that of its agent today: a move takes the requests along."""
        agent = self._workforce.agents.get(request.agent_id)
        return None if agent is None else agent.unit_id

    def truth(self, request: TimeOffRequest) -> Json:
        return request.truth(self.unit_of(request))

    def create(self, agent: Agent, change: Change, *, by: str | None = None) -> TimeOffRequest:
        """A new request; `by` is the person, by default the agent for a pending one, else a supervisor."""
        code = self._workforce.code(change.activity_code_id or "")
        status = change.status or "PENDING"
        by = by or (agent.id if status == "PENDING" else SUPERVISOR)
        now = self._clock.now()
        request = TimeOffRequest(
            id=str(uuid.uuid4()),
            agent_id=agent.id,
            activity_code_id=code.id,
            status=status,
            paid=code.paid if change.paid is None else change.paid,
            submitted_at=now,
            submitted_by=by,
            modified_at=now,
            modified_by=by,
        )
        if change.dates is None and change.partial_starts is None:
            raise bad_request("Either full day dates or partial day start times are required")
        _apply(request, change)
        if status != "PENDING":
            request.reviewed_at, request.reviewed_by = now, by
        self.requests[request.id] = request
        self._by_agent.setdefault(agent.id, {})[request.id] = request
        self._remember(request)
        return request

    def patch(self, request: TimeOffRequest, change: Change, *, by: str = SUPERVISOR) -> TimeOffRequest:
        if change.activity_code_id is not None:
            self._workforce.code(change.activity_code_id)
        # On a copy first: a refused change must leave nothing behind.
        _apply(copy.copy(request), change)
        before = request.status
        if change.activity_code_id is not None:
            request.activity_code_id = change.activity_code_id
        if change.status is not None:
            request.status = change.status
        if change.paid is not None:
            request.paid = change.paid
        _apply(request, change)
        request.version += 1
        request._wire = None
        request.modified_at, request.modified_by = self._clock.now(), by
        if request.status != before and request.status != "PENDING":
            request.reviewed_at, request.reviewed_by = request.modified_at, by
        self._remember(request)
        return request

    @staticmethod
    def _remember(request: TimeOffRequest) -> None:
        request.history.append(
            {
                "version": request.version,
                "at": instant(request.modified_at),
                "status": request.status,
                "dates": request.dates,
                "partialStarts": request.partial_starts,
                "minutes": request.minutes,
                "payableMinutes": request.payable_minutes,
                "activityCodeId": request.activity_code_id,
                "paid": request.paid,
            }
        )


def _apply(request: TimeOffRequest, change: Change) -> None:
    """Sets days, minutes and texts. New lists always, so that the history keeps the old ones."""
    if change.dates is not None and change.partial_starts is not None:
        raise bad_request("Full day dates and partial day start times exclude each other")
    if change.dates is not None:
        request.dates, request.partial_starts = [check_date(text) for text in change.dates], []
    elif change.partial_starts is not None:
        request.dates, request.partial_starts = [], [check_instant(text) for text in change.partial_starts]
    days = len(request.partial_starts or request.dates)
    if not days:
        raise bad_request("At least one day is required")
    if change.daily_minutes is not None:
        request.daily_minutes = change.daily_minutes
    moved = change.dates is not None or change.partial_starts is not None
    minutes_before = request.minutes
    if change.minutes is not None:
        request.minutes = list(change.minutes)
        if change.daily_minutes is None:
            request.daily_minutes = max(change.minutes, default=0)
    elif change.daily_minutes is not None or (moved and len(request.minutes) != days):
        request.minutes = [request.daily_minutes] * days
    if change.payable_minutes is not None:
        request.payable_minutes = list(change.payable_minutes)
    elif request.minutes != minutes_before or len(request.payable_minutes) != days:
        request.payable_minutes = list(request.minutes)
    request.earliest_starts = _offsets(change.earliest_starts, request.earliest_starts, request.dates)
    request.latest_ends = _offsets(change.latest_ends, request.latest_ends, request.dates)
    for name, values in (
        ("durationMinutes", request.minutes),
        ("payableMinutes", request.payable_minutes),
    ):
        if len(values) != days:
            raise bad_request("One value for each day is required", field=name, code="invalid.value")
    if change.notes is not None:
        request.notes = change.notes
    if change.substatus is not None:
        request.substatus = change.substatus
    if change.raw is not None:
        request.raw = dict(change.raw)


def _offsets(
    new: Sequence[int | None] | None, old: Sequence[int | None], dates: Sequence[str]
) -> list[int | None]:
    values = list(old if new is None else new)
    return values if len(values) == len(dates) else [None] * len(dates)


def check_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise bad_request("Not a date", code="invalid.date") from None


def parse_instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def check_instant(text: str) -> str:
    """An aware ISO-8601 instant, returned in UTC to the second."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request("Not a date and time", code="invalid.date") from None
    if moment.tzinfo is None:
        raise bad_request("A time needs a zone", code="invalid.date")
    if not MINYEAR < moment.year < MAXYEAR:
        # Arithmetic across zones has no room there.
        raise bad_request("The time is out of range", code="invalid.date")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def user_ref(user_id: str) -> Ref:
    """'System' signs automatic changes and is no user, so it has no page of its own."""
    return Ref(id=user_id, self_uri=None if user_id == "System" else f"/api/v2/users/{user_id}")

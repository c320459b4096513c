"""From what Genesys sends to observations. Pure: no clock, no I/O, and every input has an outcome.

A frame of the socket becomes an `Observation`, a `Quiet` sign of life, a `SystemNotice`, or `Malformed`. A
request read over REST becomes an `Observation` or `Malformed`. Reasons name fields and kinds, never
values: a note may stand anywhere in a broken frame.

Source: Genesys Cloud notification guide (frames), topic `v2.users.{id}.workforcemanagement.timeoffrequests`
and the TimeOffRequestResponse model (content).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError, from_json

from timeoff.events import Observation, RequestContent, describe
from timeoff.genesys.models import Items, Wire
from timeoff.vocabulary import ObservationSource

MAX_NOTE: Final = 1024
TOPIC: Final = "v2.users.{agent_id}.workforcemanagement.timeoffrequests"

_TOPIC_SHAPE: Final = re.compile(r"v2\.users\.([^.\s\"?]{1,200})\.workforcemanagement\.timeoffrequests")
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_MAX_UNKNOWN: Final = 32
_IDENTIFIER: Final = re.compile(r"[\w.:+-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an agent is: management unit, its zone, and whether both were read with the request."""

    unit_id: str | None = None
    zone: str | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Quiet:
    """A frame that carries no time off: a sign of life, an answer, or a topic that is not ours."""

    kind: Literal["heartbeat", "pong", "reply", "other"]


@dataclass(frozen=True, slots=True)
class SystemNotice:
    """The service speaks about the channel itself. Unknown kinds are kept by name."""

    kind: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Nothing can be learned from this input, except perhaps whose it was."""

    reason: str
    agent_id: str | None = None
    request_id: str | None = None


Seen = Observation | Quiet | SystemNotice | Malformed


def topic_of(agent_id: str) -> str:
    return TOPIC.format(agent_id=agent_id)


def from_frame(
    text: str | bytes, *, org: str, at: datetime, places: Mapping[str, Place], notes: Literal["copy", "omit"]
) -> Seen:
    """What one text frame says. `places` holds the agents this listener knows."""
    if isinstance(text, bytes):
        return Malformed("frame: binary")
    try:
        frame = from_json(text, allow_inf_nan=False)
    except ValueError:
        # Broken JSON often still names its topic: then one agent is read, not all of the channel.
        named = _TOPIC_SHAPE.search(text, 0, 2000)
        return Malformed("frame: not JSON", agent_id=named.group(1) if named else None)
    if not isinstance(frame, dict):
        return Malformed("frame: not an object")
    topic = frame.get("topicName")
    if topic is None and "result" in frame:
        return Quiet("reply")
    if not isinstance(topic, str):
        return Malformed("topicName: missing or not a string")
    body = frame.get("eventBody")
    if topic.lower() == "channel.metadata":
        message = body.get("message") if isinstance(body, dict) else None
        return Quiet("pong" if isinstance(message, str) and message.lower() == "pong" else "heartbeat")
    if topic.startswith("v2.system."):
        return SystemNotice(topic.split(".")[2][:40])
    shape = _TOPIC_SHAPE.fullmatch(topic)
    if shape is None:
        return Quiet("other")
    agent_id = shape.group(1)
    wire = _read(body)
    if isinstance(wire, Malformed):
        return Malformed(wire.reason, agent_id=agent_id, request_id=wire.request_id)
    if wire.user is not None and wire.user.id is not None and wire.user.id != agent_id:
        return Malformed("user.id: not the user of the topic", agent_id=agent_id, request_id=wire.id)
    place = places.get(agent_id, Place())
    return Observation(
        org=org,
        request_id=wire.id,
        agent_id=agent_id,
        source=ObservationSource.STREAM,
        read_at=at,
        modified_at=wire.modified_date,
        management_unit_id=place.unit_id,
        zone=place.zone,
        zone_confirmed=False,
        content=_content(wire, notes),
    )


def from_rest(
    raw: object,
    *,
    org: str,
    at: datetime,
    source: ObservationSource,
    place: Place,
    notes: Literal["copy", "omit"],
    agent_id: str | None = None,
) -> Observation | Malformed:
    """What one request read over REST says. `agent_id` is whom it was asked for, if for anyone."""
    wire = _read(raw)
    if isinstance(wire, Malformed):
        return Malformed(wire.reason, agent_id=wire.agent_id or agent_id, request_id=wire.request_id)
    owner = wire.user.id if wire.user is not None and wire.user.id else agent_id
    if owner is None:
        return Malformed("user.id: missing", request_id=wire.id)
    if wire.metadata is None or wire.metadata.version is None:
        return Malformed("metadata.version: missing", agent_id=owner, request_id=wire.id)
    return Observation(
        org=org,
        request_id=wire.id,
        agent_id=owner,
        source=source,
        read_at=at,
        version=wire.metadata.version,
        modified_at=wire.metadata.date_modified or wire.modified_date,
        management_unit_id=place.unit_id,
        zone=place.zone,
        zone_confirmed=place.confirmed and place.zone is not None,
        content=_content(wire, notes),
    )


def missing(*, org: str, request_id: str, agent_id: str, at: datetime) -> Observation:
    """The request was asked for and is not there: `content` is None, which removes nothing by itself."""
    return Observation(
        org=org, request_id=request_id, agent_id=agent_id, source=ObservationSource.CONFIRM, read_at=at
    )


def request_id_of(raw: object) -> str | None:
    """The id of a request that may be unreadable otherwise."""
    wire = _read(raw)
    return wire.request_id if isinstance(wire, Malformed) else wire.id


# The request on the wire. Looser than the published model in what may be absent, stricter in values: what
# passes here can be stored and compared without another look.


def _plain(value: str) -> str:
    if "\x00" in value:
        raise PydanticCustomError("nul_byte", "holds a NUL byte")
    return value


def _no_number(value: object) -> object:
    """Pydantic reads a number as a time stamp; on this wire a date is always text."""
    if value is not None and not isinstance(value, str):
        raise PydanticCustomError("not_text", "is not text")
    return value


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_number", "is not a number")
    return value


_When = TypeVar("_When", date, datetime)


def _sane(value: _When) -> _When:
    if not _FIRST_YEAR <= value.year <= _LAST_YEAR:
        raise PydanticCustomError("absurd_date", "is outside of any calendar we plan with")
    return value


def _aware(value: datetime) -> datetime:
    """Instants are UTC on this wire, written or not."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]
Minutes = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=1_000_000)]
Day = Annotated[date, BeforeValidator(_no_number), AfterValidator(_sane)]
# The year is judged before the zone is applied: at the ends of the calendar that would overflow.
Instant = Annotated[datetime, BeforeValidator(_no_number), AfterValidator(_sane), AfterValidator(_aware)]
_LIST = Field(max_length=1000)


class _User(Wire):
    id: Name | None = None


class _Metadata(Wire):
    version: Annotated[int, BeforeValidator(_no_bool), Field(ge=0, lt=2**63)] | None = None
    date_modified: Instant | None = None


class _Request(Wire):
    id: Name
    status: Name
    user: _User | None = None
    substatus: Name | None = None
    activity_code_id: Name | None = None
    paid: bool | None = None
    is_full_day_request: bool | None = None
    full_day_management_unit_dates: Annotated[Items[Day], _LIST] = ()
    partial_day_start_date_times: Annotated[Items[Instant], _LIST] = ()
    daily_duration_minutes: Minutes | None = None
    duration_minutes: Annotated[Items[Minutes], _LIST] = ()
    payable_minutes: Annotated[Items[Minutes], _LIST] = ()
    submitted_date: Instant | None = None
    modified_date: Instant | None = None
    # Whatever stands here, the request itself is still good.
    notes: object = None
    metadata: _Metadata | None = None


#: Known and not needed: who did it, offsets inside of a day, links.
_NOT_KEPT: Final = frozenset(
    {
        "markedAsRead",
        "submittedBy",
        "reviewedBy",
        "reviewedDate",
        "modifiedBy",
        "fullDayEarliestStartOffsetMinutes",
        "fullDayLatestEndOffsetMinutes",
        "syncVersion",
        "selfUri",
    }
)


class _Ids(BaseModel):
    """What can be said about a request that cannot be read."""

    id: Name | None = None
    user: _User | None = None


def _read(raw: object) -> _Request | Malformed:
    if not isinstance(raw, dict):
        return Malformed("request: not an object")
    try:
        return _Request.model_validate(raw)
    except ValidationError as error:
        reason = describe(error)
    try:
        ids = _Ids.model_validate(raw)
    except ValidationError:
        return Malformed(reason)
    return Malformed(reason, agent_id=ids.user.id if ids.user else None, request_id=ids.id)


def _content(wire: _Request, notes: Literal["copy", "omit"]) -> RequestContent:
    full_day = wire.is_full_day_request
    if full_day is None:
        full_day = bool(wire.full_day_management_unit_dates) or not wire.partial_day_start_date_times
    content: dict[str, object] = {
        "status": wire.status,
        "substatus": wire.substatus,
        "activity_code_id": wire.activity_code_id,
        "paid": wire.paid,
        "full_day": full_day,
        "full_day_dates": wire.full_day_management_unit_dates,
        "partial_starts": wire.partial_day_start_date_times,
        "daily_minutes": wire.daily_duration_minutes,
        "duration_minutes": wire.duration_minutes,
        "payable_minutes": wire.payable_minutes,
        "submitted_at": wire.submitted_date,
        "notes": _note(wire.notes) if notes == "copy" else None,
    }
    if unknown := _unknown(wire.model_extra or {}):
        content["unknown"] = unknown
    return RequestContent.model_validate(content)


def _note(text: object) -> str | None:
    """The note as it can be stored: no NUL bytes, no lone surrogates, and not a book."""
    if not isinstance(text, str):
        return None
    cut = text.replace("\x00", "")[:MAX_NOTE]
    return cut.encode(errors="replace").decode() or None


def _unknown(extra: Mapping[str, object]) -> dict[str, object]:
    """Fields that Genesys adds one day survive if they are flags, numbers or identifiers.

    Free text is left out whatever it is called: it could be what an employee wrote.
    """
    kept: dict[str, object] = {}
    for name, value in sorted(extra.items()):
        if name in _NOT_KEPT or not _IDENTIFIER.fullmatch(name) or len(kept) >= _MAX_UNKNOWN:
            continue
        is_number = isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**63)
        if is_number or (isinstance(value, str) and _IDENTIFIER.fullmatch(value)):
            kept[name] = value
    return kept

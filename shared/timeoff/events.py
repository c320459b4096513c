"""Events on the log: CloudEvents 1.0 in binary mode, JSON data, ids that repeat when the content repeats.

The type of an event ends in its major version (`.v1`). Readers ignore fields they do not know; a record
of a newer major version raises `UnknownMajorVersion`, which stops its partition (invariant 1).
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.v1.event import CloudEvent
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from timeoff.errors import MalformedRecord, UnknownMajorVersion
from timeoff.eventlog.port import LogRecord, Message
from timeoff.vocabulary import ObservationSource

MAJOR_VERSION: Final = 1

OBSERVED: Final = "timeoff.request.observed"
MISSING: Final = "timeoff.request.missing"
APPLIED: Final = "timeoff.request.applied"
HELD: Final = "timeoff.request.held"
FAILED: Final = "timeoff.request.failed"
DEAD_LETTER: Final = "timeoff.dead-letter"

#: No request is of another time, and both Python and PostgreSQL can tell these instants in any zone.
_FIRST_INSTANT: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_INSTANT: Final = datetime(2200, 1, 1, tzinfo=UTC)


def _believable(value: datetime) -> datetime:
    if not _FIRST_INSTANT <= (value if value.tzinfo else value.replace(tzinfo=UTC)) < _LAST_INSTANT:
        raise PydanticCustomError("instant_out_of_range", "an instant before 1970 or after 2199")
    return value


Instant = Annotated[datetime, AfterValidator(_believable)]


class RequestContent(BaseModel):
    """What a Genesys time-off request says, from a notification or over REST.

    Lists with minutes are parallel to the list of dates or starts, as Genesys sends them; whether they
    match is judged by the sync, not here. Unknown fields are kept. `notes` is None unless notes are copied.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    status: str
    substatus: str | None = None
    activity_code_id: str | None = None
    paid: bool | None = None
    full_day: bool
    full_day_dates: tuple[date, ...] = ()
    partial_starts: tuple[Instant, ...] = ()
    daily_minutes: int | None = None
    duration_minutes: tuple[int, ...] = ()
    payable_minutes: tuple[int, ...] = ()
    submitted_at: Instant | None = None
    notes: str | None = None


class Observation(BaseModel):
    """One sight of a request: a notification (no version) or a REST read (with `version`).

    `modified_at` is the request's own time stamp, `read_at` the moment the read began or the frame came.
    Unit and zone are those of the agent as the listener knew them; `zone_confirmed` is true when they
    were read together with this version. `content` is None when the request was asked for and not there.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    org: str
    request_id: str = Field(min_length=1, max_length=200)
    agent_id: str = Field(min_length=1, max_length=200)
    source: ObservationSource
    read_at: Instant
    version: int | None = Field(default=None, ge=0, lt=2**63)
    modified_at: Instant | None = None
    management_unit_id: str | None = None
    zone: str | None = None
    zone_confirmed: bool = False
    content: RequestContent | None = None

    @property
    def event_id(self) -> str:
        """Same sight, same id: version for REST reads, time and content for notifications."""
        if self.content is None:
            what = f"missing@{self.read_at.isoformat()}"
        elif self.version is not None:
            what = f"v{self.version}"
        else:
            text = f"{self.modified_at}|{self.content.model_dump_json(exclude={'notes'})}"
            what = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{self.request_id}/{what}"


class _JsonAsIs:
    """The binding's data format: our bytes are JSON already and are validated by their own model."""

    def write_data(self, data: Any, datacontenttype: str | None) -> bytes:
        return bytes(data)

    def read_data(self, body: bytes, datacontenttype: str | None) -> bytes:
        return body

    def write(self, event: Any) -> bytes:
        raise NotImplementedError("structured mode is not used")

    def read(self, event_factory: Any, data: str | bytes) -> Any:
        raise NotImplementedError("structured mode is not used")

    def get_content_type(self) -> str:
        return "application/json"


_FORMAT: Final = _JsonAsIs()


def encode(
    type_: str,
    *,
    event_id: str,
    source: str,
    key: str,
    data: bytes,
    time: datetime | None = None,
    traceparent: str | None = None,
    extensions: dict[str, str] | None = None,
) -> Message:
    """One event as a log message. `data` is JSON; `key` (the agent) chooses the partition."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id,
        "type": f"{type_}.v{MAJOR_VERSION}",
        "source": source,
        "time": time or datetime.now(UTC),
        "datacontenttype": "application/json",
        **(extensions or {}),
    }
    if traceparent:
        attributes["traceparent"] = traceparent
    message = to_binary(CloudEvent(attributes, data), _FORMAT, key_mapper=lambda _: key)
    return Message(key=key, value=message.value, headers=tuple(message.headers.items()))


#: Headers of an event that names nothing but what `encode` always writes.
_PLAIN_HEADERS: Final = frozenset(
    {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "ce_traceparent"}
)


def _plain_type(record: LogRecord) -> str | None:
    """The type of an event with headers as we write them; None where the library has to judge."""
    headers = dict(record.headers)
    if not (headers.keys() <= _PLAIN_HEADERS and all(map(bytes.isascii, headers.values()))):
        return None
    if headers.get("ce_specversion") != b"1.0" or not all(
        map(headers.get, ("ce_id", "ce_source", "ce_type"))
    ):
        return None
    try:
        at = datetime.fromisoformat(headers.get("ce_time", b"").decode())
    except ValueError:
        return None
    return headers["ce_type"].decode() if at.tzinfo else None


def decode(record: LogRecord) -> tuple[str, BaseCloudEvent]:
    """Type without its version, and the event.

    Raises `MalformedRecord` (this record only) or `UnknownMajorVersion` (stop the partition).
    """
    try:
        event = from_binary(
            KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value),
            _FORMAT,
        )
    except (CloudEventValidationError, UnicodeDecodeError, ValueError, KeyError) as error:
        raise MalformedRecord(f"not a CloudEvent 1.0 in binary mode: {type(error).__name__}") from None
    return _without_version(str(event.get_type()), record), event


def _without_version(type_: str, record: LogRecord) -> str:
    name, _, version = type_.rpartition(".v")
    if not name or not re.fullmatch(r"[0-9]{1,9}", version):
        raise MalformedRecord("the event type does not end in a major version")
    if int(version) > MAJOR_VERSION:
        raise UnknownMajorVersion(
            f"{record.topic}/{record.partition}@{record.offset} is of major version {version}; "
            f"this process reads up to {MAJOR_VERSION}: upgrade it"
        )
    return name


def encode_observation(observation: Observation, *, traceparent: str | None = None) -> Message:
    """An observation as a log message, keyed by agent."""
    return encode(
        MISSING if observation.content is None else OBSERVED,
        event_id=observation.event_id,
        source=f"/genesys/{observation.org}",
        key=observation.agent_id,
        data=observation.model_dump_json(exclude_none=True).encode(),
        time=observation.read_at,
        traceparent=traceparent,
    )


def decode_observation(record: LogRecord) -> Observation:
    """The observation in a record of the requests topic.

    Raises `MalformedRecord`, whose text names fields and never values, or `UnknownMajorVersion`.
    """
    plain = _plain_type(record)
    name = decode(record)[0] if plain is None else _without_version(plain, record)
    if name not in (OBSERVED, MISSING):
        raise MalformedRecord(f"unexpected event type {name[:80]!r} on this topic")
    try:
        return Observation.model_validate_json(record.value)
    except ValidationError as error:
        raise MalformedRecord(describe(error)) from None


def describe(error: ValidationError) -> str:
    """A validation error as `field: kind` pairs; values may be notes and are left out."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'document'}: {problem['type']}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)[:8]
    )

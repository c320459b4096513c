"""Events on the log: what was written is read back, what cannot be read costs one record and no values."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import AT, TUESDAY, after, content, notified, part_of_a_day, read

from timeoff.errors import MalformedRecord, UnknownMajorVersion
from timeoff.eventlog.port import LogRecord, Message
from timeoff.events import (
    MISSING,
    OBSERVED,
    Observation,
    RequestContent,
    decode,
    decode_observation,
    encode,
    encode_observation,
)

APPROVED = content(notes="knee surgery")


def record(message: Message) -> LogRecord:
    return LogRecord("timeoff.requests", 3, 17, AT, message.key, message.value, message.headers)


#: Headers of our own are read on a short way, all others by the library: both have to judge the same.
BOTH_WAYS = pytest.mark.parametrize("extra", [(), (("ce_other", b"x"),)], ids=["ours", "others"])


def with_header(message: Message, name: str, value: bytes | None) -> LogRecord:
    """The record with one header exchanged, or left out."""
    kept = tuple(header for header in message.headers if header[0] != name)
    return replace(record(message), headers=kept + (((name, value),) if value is not None else ()))


SIGHTS = [
    notified(APPROVED, AT),
    notified(APPROVED, None),
    read(3, APPROVED, AT),
    read(3, part_of_a_day(AT, 60), AT),
    read(0, None, None),
]


@BOTH_WAYS
@pytest.mark.parametrize("seen", SIGHTS)
def test_an_observation_is_read_back_as_it_was_written(
    seen: Observation, extra: tuple[tuple[str, bytes], ...]
) -> None:
    written = record(encode_observation(seen))
    assert decode_observation(replace(written, headers=written.headers + extra)) == seen


@pytest.mark.parametrize("seen", SIGHTS)
def test_the_agent_is_the_key_so_that_order_is_kept_by_agent(seen: Observation) -> None:
    assert encode_observation(seen).key == seen.agent_id


def test_an_event_is_a_cloudevent_in_binary_mode() -> None:
    headers = dict(encode_observation(SIGHTS[2], traceparent="00-abc-def-01").headers)
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_type"] == b"timeoff.request.observed.v1"
    assert headers["ce_id"] == b"request-1/v3"
    assert headers["ce_source"] == b"/genesys/acme"
    assert headers["ce_traceparent"] == b"00-abc-def-01"
    assert "content-type" in headers
    assert dict(encode_observation(SIGHTS[4]).headers)["ce_type"] == b"timeoff.request.missing.v1"


def test_type_and_attributes_come_back() -> None:
    message = encode(
        "timeoff.dead-letter",
        event_id="t/0/1",
        source="/sync",
        key="k",
        data=b"{}",
        time=AT,
        extensions={"reason": "malformed"},
    )
    name, event = decode(record(message))
    assert name == "timeoff.dead-letter"
    assert (event.get_id(), event.get_source(), event.get_time()) == ("t/0/1", "/sync", AT)
    assert event.get_extension("reason") == "malformed"


def test_unknown_fields_and_statuses_survive() -> None:
    data = json.loads(encode_observation(read(1, content("WAITLISTED"), AT)).value)
    data["fresh"] = {"a": 1}
    data["content"]["alsoFresh"] = [2]
    message = encode(OBSERVED, event_id="x", source="/s", key="k", data=json.dumps(data).encode())
    seen = decode_observation(record(message))
    assert seen.content is not None
    assert seen.content.status == "WAITLISTED"
    again = json.loads(encode_observation(seen).value)
    assert again["fresh"] == {"a": 1}
    assert again["content"]["alsoFresh"] == [2]


# -- ids --------------------------------------------------------------------------------------------------


def test_the_same_sight_has_the_same_id_whenever_it_is_made() -> None:
    assert notified(APPROVED, AT).event_id == notified(APPROVED, AT, received=after(9)).event_id
    assert read(3, APPROVED, AT).event_id == read(3, APPROVED, AT, began=after(9)).event_id


def test_notes_do_not_make_another_id_nor_get_into_it() -> None:
    assert notified(APPROVED, AT).event_id == notified(content(), AT).event_id


@pytest.mark.parametrize(
    "other",
    [
        notified(content(dates=(TUESDAY,)), AT),
        notified(content("DENIED"), AT),
        notified(content(), after(0.001)),
        notified(content(), None),
        read(1, content(), AT),
        read(2, content(), AT),
        read(0, None, None),
        notified(content(), AT).model_copy(update={"request_id": "request-2"}),
    ],
)
def test_another_sight_has_another_id(other: Observation) -> None:
    assert other.event_id != notified(content(), AT).event_id


def test_two_404s_are_two_sights() -> None:
    assert read(0, None, None, began=AT).event_id != read(0, None, None, began=after(1)).event_id


# -- what cannot be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_source", None),
        ("ce_type", None),
        ("ce_source", b"\xff\xfe"),
        ("ce_type", b"\xff\xfe"),
        ("ce_id", b"\xff\xfe"),
        ("ce_specversion", b"7.0"),
    ],
)
def test_a_record_that_is_no_cloudevent_is_malformed(name: str, value: bytes | None) -> None:
    with pytest.raises(MalformedRecord):
        decode_observation(with_header(encode_observation(SIGHTS[0]), name, value))


def test_a_record_without_headers_is_malformed() -> None:
    with pytest.raises(MalformedRecord):
        decode_observation(replace(record(encode_observation(SIGHTS[0])), headers=(), key=None))


@BOTH_WAYS
@pytest.mark.parametrize("type_", ["timeoff.request.observed.v2", "something.else.v7", "x.v999999999"])
def test_a_newer_major_version_stops_and_is_never_a_dead_letter(
    type_: str, extra: tuple[tuple[str, bytes], ...]
) -> None:
    newer_record = with_header(encode_observation(SIGHTS[0]), "ce_type", type_.encode())
    with pytest.raises(UnknownMajorVersion) as newer:
        decode_observation(replace(newer_record, headers=newer_record.headers + extra))
    assert "timeoff.requests/3@17" in str(newer.value)


@BOTH_WAYS
@pytest.mark.parametrize(
    "type_",
    [
        "",
        "observed",
        ".v1",
        "observed.v",
        "observed.vx",
        "observed.v-1",
        "observed.v²",
        "o.v٣",
        "o.v" + "9" * 5000,
    ],
)
def test_a_type_without_version_is_malformed_and_no_crash(
    type_: str, extra: tuple[tuple[str, bytes], ...]
) -> None:
    """A digit that is none, or a number beyond all bounds, would stop the partition for good."""
    bad = with_header(encode_observation(SIGHTS[0]), "ce_type", type_.encode())
    with pytest.raises(MalformedRecord):
        decode_observation(replace(bad, headers=bad.headers + extra))


def test_an_event_that_does_not_belong_here_is_malformed() -> None:
    with pytest.raises(MalformedRecord, match="unexpected event type"):
        decode_observation(record(encode("other.thing", event_id="1", source="/s", key="k", data=b"{}")))


@pytest.mark.parametrize(
    "changes",
    [
        {"request_id": ""},
        {"request_id": "x" * 201},
        {"agent_id": None},
        {"source": "rumour"},
        {"read_at": "yesterday"},
        {"version": "many"},
        {"content": {"status": "APPROVED"}},
        {"content": {"status": "APPROVED", "full_day": True, "full_day_dates": ["2027-02-30"]}},
        {"content": {"status": "APPROVED", "full_day": True, "duration_minutes": ["knee surgery"]}},
        {"content": "knee surgery"},
    ],
)
def test_a_bad_observation_is_malformed_by_field_and_shows_no_value(changes: dict[str, Any]) -> None:
    data = json.loads(encode_observation(SIGHTS[2]).value) | changes
    message = encode(OBSERVED, event_id="1", source="/s", key="k", data=json.dumps(data).encode())
    with pytest.raises(MalformedRecord) as bad:
        decode_observation(record(message))
    assert next(iter(changes)) in str(bad.value)
    assert "surgery" not in str(bad.value)
    assert bad.value.__cause__ is None
    assert bad.value.__suppress_context__, "the cause holds the values"


@pytest.mark.parametrize("value", [b"", b"\xff", b"null", b"[]", b"{", b"[" * 100_000, b'"\\ud800"'])
def test_data_that_is_no_object_is_malformed(value: bytes) -> None:
    with pytest.raises(MalformedRecord):
        decode_observation(replace(record(encode_observation(SIGHTS[0])), value=value))


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_x", "content-type", "", "ce_"]
        )
        | st.text(max_size=8),
        st.sampled_from([b"1.0", b"timeoff.request.observed.v1", b"/s", b"application/json", b"%", b"%zz"])
        | st.binary(max_size=12),
    ),
    max_size=9,
)


@settings(deadline=None, max_examples=300)
@given(HEADERS, st.sampled_from([b"", b"{}", b"[]", b"\x00"]) | st.binary(max_size=20), st.none() | st.text())
def test_whatever_lies_on_the_log_costs_its_record_and_nothing_else(
    headers: list[tuple[str, bytes]], value: bytes, key: str | None
) -> None:
    """Any other error would stop the partition: other programs may write to the topic."""
    foreign = LogRecord("t", 0, 1, AT, key, value, tuple(headers))
    try:
        decode_observation(foreign)
    except (MalformedRecord, UnknownMajorVersion):
        pass


# -- time -------------------------------------------------------------------------------------------------


def test_an_instant_is_the_same_in_every_offset() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    seen = decode_observation(record(encode_observation(read(1, content(), there))))
    assert seen.modified_at == AT
    assert seen.content == content()


def test_the_event_has_the_time_of_the_sight() -> None:
    _, event = decode(record(encode_observation(read(0, None, None, began=after(5)))))
    assert event.get_time() == after(5)
    assert event.get_type() == f"{MISSING}.v1"
    late = encode("x", event_id="1", source="/s", key="k", data=b"{}")
    _, now = decode(record(late))
    assert isinstance(now.get_time(), datetime)
    assert now.get_time().tzinfo is not None  # type: ignore[union-attr]


def test_content_does_not_change_in_hand() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RequestContent(status="APPROVED", full_day=True).status = "DENIED"  # type: ignore[misc]


@BOTH_WAYS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("modified_at", "0001-01-01T00:00:00+14:00"),
        ("modified_at", "9999-12-31T23:59:59-14:00"),
        ("read_at", "1969-12-31T23:59:59Z"),
        ("version", 2**63),
        ("version", -1),
    ],
)
def test_what_no_database_can_keep_costs_its_record(
    field: str, value: object, extra: tuple[tuple[str, bytes], ...]
) -> None:
    """An instant before year 1 in UTC would be stored, and could never be loaded again."""
    written = record(encode_observation(read(3, APPROVED, AT)))
    odd = json.dumps(json.loads(written.value) | {field: value}).encode()
    with pytest.raises(MalformedRecord, match=field):
        decode_observation(replace(written, value=odd, headers=written.headers + extra))


def test_the_largest_version_there_can_be_is_read() -> None:
    seen = read(2**63 - 1, APPROVED, AT)
    assert decode_observation(record(encode_observation(seen))) == seen

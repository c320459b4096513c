"""Reading what Genesys sends: every input has an outcome, and no value gets into a reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.eventlog.port import LogRecord
from timeoff.events import Observation, decode_observation, encode_observation
from timeoff.vocabulary import ObservationSource
from timeoff_listener.observe import (
    Malformed,
    Place,
    Quiet,
    Seen,
    SystemNotice,
    from_frame,
    from_rest,
    topic_of,
)

AGENT = "3f0f2a51-8a51-4c1e-9d0e-6c1d7f2b9a10"
AT = datetime(2026, 5, 14, 9, 12, 33, tzinfo=UTC)
BODY: dict[str, Any] = {
    "id": "b7a6c3de-2b0f-4a6b-8c2e-0c5d1f6e7a90",
    "user": {"id": AGENT},
    "isFullDayRequest": True,
    "markedAsRead": True,
    "activityCodeId": "5",
    "paid": True,
    "status": "APPROVED",
    "substatus": "AutoApproved",
    "partialDayStartDateTimes": [],
    "fullDayManagementUnitDates": ["2026-06-08", "2026-06-09"],
    "fullDayEarliestStartOffsetMinutes": [480, None],
    "dailyDurationMinutes": 480,
    "durationMinutes": [480, 480],
    "payableMinutes": [480, 450],
    "notes": "Knee surgery",
    "submittedDate": "2026-05-14T09:12:31.402Z",
    "modifiedDate": "2026-05-14T09:12:32.118Z",
    "modifiedBy": "System",
}
REST = {**BODY, "metadata": {"version": 3, "dateModified": "2026-05-14T09:12:32Z"}}
PLACES = {AGENT: Place("unit-1", "Europe/Berlin")}
Notes = Literal["copy", "omit"]


def frame(body: object, topic: str = topic_of(AGENT), notes: Notes = "omit") -> Seen:
    text = json.dumps({"topicName": topic, "version": "2", "eventBody": body, "metadata": {}})
    return from_frame(text, org="acme", at=AT, places=PLACES, notes=notes)


def rest(raw: object, notes: Notes = "omit", agent_id: str | None = None) -> Observation | Malformed:
    return from_rest(
        raw,
        org="acme",
        at=AT,
        source=ObservationSource.CONFIRM,
        place=Place("unit-1", "Europe/Berlin", confirmed=True),
        notes=notes,
        agent_id=agent_id,
    )


def observed(seen: object) -> Observation:
    assert isinstance(seen, Observation), seen
    message = encode_observation(seen)
    again = decode_observation(
        LogRecord("timeoff.requests", 0, 0, AT, message.key, message.value, message.headers)
    )
    assert again == seen, "the log changes it"
    return seen


def test_a_notification_becomes_an_observation_without_a_version() -> None:
    seen = observed(frame(BODY))
    assert (seen.request_id, seen.agent_id, seen.version) == (BODY["id"], AGENT, None)
    assert seen.modified_at == datetime(2026, 5, 14, 9, 12, 32, 118000, tzinfo=UTC)
    assert (seen.management_unit_id, seen.zone, seen.zone_confirmed) == ("unit-1", "Europe/Berlin", False)
    content = seen.content
    assert content is not None
    assert content.full_day
    assert content.full_day_dates == (date(2026, 6, 8), date(2026, 6, 9))
    assert content.duration_minutes == (480, 480)
    assert content.payable_minutes == (480, 450)
    assert content.notes is None


def test_the_same_request_reads_the_same_over_both_ways() -> None:
    assert observed(frame(BODY)).content == observed(rest(REST)).content


def test_a_rest_read_has_version_time_and_a_confirmed_zone() -> None:
    seen = observed(rest(REST))
    assert (seen.version, seen.zone_confirmed) == (3, True)
    assert seen.modified_at == datetime(2026, 5, 14, 9, 12, 32, tzinfo=UTC)


def test_a_partial_day_keeps_its_instant_in_utc() -> None:
    body = {
        **BODY,
        "isFullDayRequest": False,
        "fullDayManagementUnitDates": [],
        "partialDayStartDateTimes": ["2026-06-10T15:00:00+02:00", "2026-06-11T13:00:00"],
    }
    content = observed(frame(body)).content
    assert content is not None
    assert not content.full_day
    assert content.partial_starts == (
        datetime(2026, 6, 10, 13, tzinfo=UTC),
        datetime(2026, 6, 11, 13, tzinfo=UTC),
    )


@pytest.mark.parametrize("drop", sorted(set(BODY) - {"id", "status"}))
@pytest.mark.parametrize("how", ["absent", "null"])
def test_every_field_but_id_and_status_may_be_absent_or_null(drop: str, how: str) -> None:
    body = {name: value for name, value in BODY.items() if name != drop}
    observed(frame(body if how == "absent" else {**body, drop: None}))


def test_unknown_enums_and_fields_survive_but_no_free_text() -> None:
    body = {**BODY, "status": "FROZEN", "substatus": "ByTheMoon", "grade": 4, "lane": "fast-1"}
    body["reviewerComment"] = "said it was cancer"
    content = observed(frame(body)).content
    assert content is not None
    assert (content.status, content.substatus) == ("FROZEN", "ByTheMoon")
    assert content.model_extra == {"unknown": {"grade": 4, "lane": "fast-1"}}
    assert "cancer" not in content.model_dump_json()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", ""),
        ("id", "x" * 201),
        ("id", "a\x00b"),
        ("status", None),
        ("status", 7),
        ("status", "APP\x00ROVED"),
        ("activityCodeId", ["5"]),
        ("fullDayManagementUnitDates", ["2026-02-30"]),
        ("fullDayManagementUnitDates", ["0001-01-01"]),
        ("fullDayManagementUnitDates", ["9999-12-31"]),
        ("fullDayManagementUnitDates", [20260608]),
        ("fullDayManagementUnitDates", "2026-06-08"),
        ("fullDayManagementUnitDates", ["2026-06-08"] * 1001),
        ("partialDayStartDateTimes", ["0001-01-01T00:00:00+14:00"]),
        ("partialDayStartDateTimes", ["9999-12-31T23:59:59-14:00"]),
        ("partialDayStartDateTimes", ["tomorrow"]),
        ("durationMinutes", [480, -1]),
        ("durationMinutes", [480, None]),
        ("durationMinutes", [True]),
        ("payableMinutes", ["many"]),
        ("dailyDurationMinutes", 10**30),
        ("user", "someone"),
        ("user", {"id": "somebody-else"}),
        ("modifiedDate", 1747214000),
    ],
)
def test_wrong_values_are_malformed_and_the_reason_names_the_field(field: str, value: object) -> None:
    seen = frame({**BODY, field: value}, notes="copy")
    assert isinstance(seen, Malformed)
    assert seen.agent_id == AGENT
    assert field in seen.reason
    for secret in ("Knee", "somebody-else", "9999", "tomorrow"):
        assert secret not in seen.reason


@pytest.mark.parametrize(
    ("notes", "kept"),
    [
        ("Knee surgery", "Knee surgery"),
        ("a\x00b", "ab"),
        ("x" * (1 << 20), "x" * 1024),
        ("\ud800", "?"),
        ("", None),
        (None, None),
        ({"text": "?"}, None),
    ],
)
def test_notes_are_cleaned_and_cut_where_they_may_be_copied(notes: object, kept: str | None) -> None:
    content = observed(rest({**REST, "notes": notes}, notes="copy")).content
    assert content is not None
    assert content.notes == kept
    content = observed(rest({**REST, "notes": notes}, notes="omit")).content
    assert content is not None
    assert content.notes is None


@pytest.mark.parametrize("metadata", [None, {}, {"version": None}, {"version": "new"}, {"version": -1}])
def test_a_rest_read_without_a_version_confirms_nothing(metadata: object) -> None:
    seen = rest({**REST, "metadata": metadata})
    assert isinstance(seen, Malformed)
    assert (seen.agent_id, seen.request_id) == (AGENT, BODY["id"])


def test_a_rest_item_without_user_is_of_whom_it_was_asked_for() -> None:
    raw = {name: value for name, value in REST.items() if name != "user"}
    assert observed(rest(raw, agent_id=AGENT)).agent_id == AGENT
    assert isinstance(rest(raw), Malformed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}',
            Quiet("heartbeat"),
        ),
        ('{"topicName":"channel.metadata","eventBody":{"message":"PONG"}}', Quiet("pong")),
        ('{"topicName":"channel.metadata"}', Quiet("heartbeat")),
        ('{"result":"200","status":"subscribed"}', Quiet("reply")),
        ('{"topicName":"v2.users.x.presence","eventBody":{}}', Quiet("other")),
        ('{"topicName":"v2.system.socket_closing","eventBody":{}}', SystemNotice("socket_closing")),
        ('{"topicName":"v2.system.token_revoked.a.b"}', SystemNotice("token_revoked")),
        ("", Malformed("frame: not JSON")),
        ("[]", Malformed("frame: not an object")),
        ("{}", Malformed("topicName: missing or not a string")),
        ('{"topicName":5}', Malformed("topicName: missing or not a string")),
        ('{"topicName":NaN}', Malformed("frame: not JSON")),
        ("[" * 100_000, Malformed("frame: not JSON")),
        (b"\x00\x01", Malformed("frame: binary")),
    ],
)
def test_frames_that_are_no_requests(text: str | bytes, expected: object) -> None:
    assert from_frame(text, org="acme", at=AT, places={}, notes="omit") == expected


def test_broken_json_still_says_whose_it_was() -> None:
    text = '{"topicName":"' + topic_of(AGENT) + '","eventBody":{"id":'
    assert from_frame(text, org="acme", at=AT, places={}, notes="omit") == Malformed(
        "frame: not JSON", agent_id=AGENT
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(BODY)), JSON, max_size=4))
def test_whatever_stands_in_a_body_has_an_outcome_that_the_log_can_hold(changes: dict[str, Any]) -> None:
    seen = rest({**REST, **changes}, notes="copy")
    assert isinstance(seen, Observation | Malformed)
    if isinstance(seen, Observation):
        observed(seen)
        assert b"\\u0000" not in encode_observation(seen).value

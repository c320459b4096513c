"""JSON of the leave API: numbers exact and plain, nothing read that is not JSON, messages as the document
has them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.strict_json import KeyTwice, read_json
from timeoff_leave.errors import not_before
from timeoff_leave.values import Amount, Body, Moment, Name, Reference, optional, read_body, read_moment
from timeoff_leave.wire import number, to_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3", "3"),
        ("3.0", "3"),
        ("18.50", "18.5"),
        ("0.3333333333", "0.3333"),
        ("0.66665", "0.6667"),
        ("-0.00004", "0"),
        ("-1.25", "-1.25"),
        ("1E+2", "100"),
        ("100", "100"),
        ("0", "0"),
    ],
)
def test_numbers_have_no_exponent_no_idle_zero_and_four_decimals_at_most(value: str, text: str) -> None:
    assert number(Decimal(value)) == text


@given(st.decimals(-1_000_000, 1_000_000, places=4))
def test_what_is_written_is_read_back_exactly(value: Decimal) -> None:
    read = read_json(to_json({"value": value}).encode())["value"]
    assert not isinstance(read, float)
    assert Decimal(read) == value


def test_decimals_are_never_binary_floats_on_the_way_in() -> None:
    assert read_json(b'{"a": 0.1, "b": 1e2}') == {"a": Decimal("0.1"), "b": Decimal("1E+2")}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"x": {"a": 1, "a": 2}}',
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1e99999999999999999999}',
        b'{"a": "\xff"}',
        b'\xef\xbb\xbf{"a": 1}',
    ],
    ids=range(11),
)
def test_what_is_no_json_is_refused_and_nothing_else_is_raised(text: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'{"a": 1, "b": 2, "b": 2}', '"b"'),
        (b'{"x": [{"deep": 1, "deep": 2}]}', '"deep"'),
        (b'{"\\ud800": 1, "\\ud800": 2}', '"\\ud800"'),
        (b'{"' + b"k" * 999 + b'": 1, "' + b"k" * 999 + b'": 2}', f'"{"k" * 64}"'),
    ],
)
def test_a_key_that_stands_twice_is_named(text: bytes, key: str) -> None:
    with pytest.raises(KeyTwice) as refused:
        read_json(text)
    assert str(refused.value) == f"The key {key} stands twice in one object."


def test_dates_are_written_with_their_own_offset() -> None:
    written = to_json(
        {
            "utc": datetime(2023, 3, 27, tzinfo=UTC),
            "local": datetime(2023, 1, 1, tzinfo=timezone(timedelta(hours=-5))),
            "day": date(2023, 1, 1),
        }
    )
    assert read_json(written.encode()) == {
        "utc": "2023-03-27T00:00:00+00:00",
        "local": "2023-01-01T00:00:00-05:00",
        "day": "2023-01-01",
    }


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2023, 3, 27, tzinfo=UTC), "Mar 27, 2023, 12:00 AM"),
        (datetime(2023, 3, 7, tzinfo=UTC), "Mar 7, 2023, 12:00 AM"),
        (datetime(2024, 12, 31, 12, 5, tzinfo=UTC), "Dec 31, 2024, 12:05 PM"),
        (datetime(2024, 1, 1, 13, 0, tzinfo=UTC), "Jan 1, 2024, 1:00 PM"),
    ],
)
def test_the_bound_is_written_as_in_the_document_in_plain_ascii(moment: datetime, text: str) -> None:
    assert not_before(moment) == f"This value should be greater than or equal to {text}."
    assert not_before(moment).isascii()


def test_moments_need_an_offset_and_become_utc() -> None:
    assert read_moment("2023-03-27T00:00:00-05:00") == datetime(2023, 3, 27, 5, tzinfo=UTC)
    for wrong in ("2023-03-27", "2023-03-27T00:00:00", "0001-01-01T00:00:00+14:00", "2023-02-30T00:00:00Z"):
        with pytest.raises(ValueError):
            read_moment(wrong)


class Sample(Body):
    some_name: Name
    region: Reference | None = None
    days: Amount | None = None
    since: Moment | None = None


class Change(Body):
    some_name: Name = optional()
    region: Reference | None = None


def wrong(document: Any) -> dict[str, list[str]]:
    body, messages = read_body(Sample, document, "samples")
    assert body is None
    return messages


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("someName", None, "This value should not be blank."),
        ("someName", "", "This value should not be blank."),
        ("someName", "  ", "This value should not be blank."),
        ("someName", 5, "This value should be of type string."),
        ("someName", "a\0b", "This value is not valid."),
        ("someName", "\ud800", "This value is not valid."),
        ("someName", "x" * 255, "This value is too long. It should have 254 characters or less."),
        ("region", "2", "This value should be of type integer."),
        ("region", True, "This value should be of type integer."),
        ("region", Decimal("1.5"), "This value should be of type integer."),
        ("region", 0, "This value should be greater than or equal to 1."),
        ("region", 2**31, "This value should be less than or equal to 2147483647."),
        ("days", "1", "This value should be of type number."),
        ("days", True, "This value should be of type number."),
        ("days", Decimal("0.00001"), "This value should have 4 decimals or less."),
        (
            "since",
            "2026-12-01",
            "This value should be a date and time with its offset, e.g. 2026-12-01T00:00:00+00:00.",
        ),
        ("days", Decimal("1e400"), "This value should be less than or equal to 1000000."),
    ],
)
def test_a_wrong_value_is_answered_under_its_field(field: str, value: Any, message: str) -> None:
    assert wrong({"someName": "x", field: value}) == {field: [message]}


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert set(wrong({"region": "x", "days": "y"})) == {"someName", "region", "days"}


def test_unknown_fields_are_ignored_and_known_ones_have_one_spelling() -> None:
    body, _ = read_body(Sample, {"someName": "x", "nope": {"deep": [1]}, "some_name": 5}, "samples")
    assert body is not None
    assert body.some_name == "x"


def test_whole_numbers_may_be_written_with_a_fraction_of_zero() -> None:
    body, _ = read_body(Sample, read_json(b'{"someName": "x", "region": 2.0, "days": 2}'), "samples")
    assert body is not None
    assert (body.region, body.days) == (2, Decimal(2))


def test_a_change_knows_what_was_sent() -> None:
    body, _ = read_body(Change, {"region": None}, "samples")
    assert body is not None
    assert body.sent == {"region": None}
    assert read_body(Change, {"someName": None}, "samples")[1] == {
        "someName": ["This value should not be blank."]
    }

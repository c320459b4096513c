"""Inputs of flows in every way of writing them that callers have, and what cannot be read."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.strict_json import read_json
from timeoff_balance.flows.contract import FLOWS, GET_BALANCE, INSERT_TIMEOFF
from timeoff_balance.flows.values import (
    Unreadable,
    read_date,
    read_inputs,
    read_minutes,
    read_status,
    read_text,
    read_whole,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("452", "452"),
        (" 452 ", "452"),
        (452, "452"),
        (Decimal("452.0"), "452"),
        (Decimal("4.52E+2"), "452"),
        (Decimal("7.50"), "7.5"),
        (999_999_999_999_999, "999999999999999"),
        ("00452", "00452"),
        (None, ""),
        ("", ""),
    ],
)
def test_texts_and_numbers_are_one(value: Any, text: str) -> None:
    assert read_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        True,
        ["452"],
        {"id": "452"},
        10**15,
        Decimal("1e15"),
        Decimal("1e-400000"),
        Decimal("NaN"),
        "a\0b",
        "\ud800",
        "x" * 32_001,
    ],
)
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable):
        read_text(value)


@pytest.mark.parametrize(
    "given_types",
    [["83", "90"], [83, 90], ["83", 90.0], '["83", "90"]', "[83, 90]", ' [ "83" ,90] '],
)
def test_a_collection_is_an_array_or_its_text(given_types: Any) -> None:
    """Inputs of a data action are flat: an array travels as its JSON text."""
    document = read_json(json.dumps({"Flow.inputTimeOffTypeIds": given_types}).encode())
    inputs, _ = read_inputs(GET_BALANCE, document)
    assert inputs.items("inputTimeOffTypeIds") == ("83", "90")


@pytest.mark.parametrize(
    ("bare", "items"),
    [("2025-06-01", ("2025-06-01",)), (83, ("83",)), ("", ()), (None, ()), ([], ()), ("[]", ())],
)
def test_a_bare_value_is_a_collection_of_one(bare: Any, items: tuple[str, ...]) -> None:
    """`Flow.startDateTimes` is a string in the published text and an array in the published flow."""
    inputs, _ = read_inputs(INSERT_TIMEOFF, {"Flow.startDateTimes": bare})
    assert inputs.items("startDateTimes") == items


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[83", "begins like a JSON array and is none"),
        ([["83"]], "item 1 is not a text"),
        (["83", True], "item 2 is true or false, not a text"),
        ({"a": 1}, "is not a text"),
        (["83"] * 2001, "has 2,001 items, at most 2,000 can be taken"),
        (json.dumps(["83"] * 2001), "has 2,001 items, at most 2,000 can be taken"),
    ],
)
def test_a_collection_that_cannot_be_taken_is_named(value: Any, problem: str) -> None:
    document = {"Flow.agentId": 1, "Flow.inputDates": "2025-06-01", "Flow.inputTimeOffTypeIds": value}
    _, problems = read_inputs(GET_BALANCE, document)
    assert problems == [f"Flow.inputTimeOffTypeIds {problem}"]


def test_2000_items_are_taken() -> None:
    document = {"Flow.agentId": 1, "Flow.inputDates": ["2025-06-01"] * 2000, "Flow.inputTimeOffTypeIds": "83"}
    inputs, problems = read_inputs(GET_BALANCE, document)
    assert problems == []
    assert len(inputs.items("inputDates")) == 2000


def test_what_is_mandatory_and_missing_is_named_and_what_is_unknown_is_ignored() -> None:
    _, problems = read_inputs(GET_BALANCE, {"Flow.agentId": " ", "Flow.inputDates": [], "agentId": "1"})
    assert problems == [
        "Flow.agentId is missing",
        "Flow.inputDates is missing",
        "Flow.inputTimeOffTypeIds is missing",
    ]
    _, problems = read_inputs(FLOWS["get-agents"], {"Flow.whatever": 1})
    assert problems == []


@pytest.mark.parametrize("text", ["CANCELED", "CANCELLED", "canceled", "Cancelled", " cancelled "])
def test_canceled_is_read_in_both_spellings_and_any_case(text: str) -> None:
    assert read_status(text) == "CANCELED"


@pytest.mark.parametrize("text", ["approved", "PENDING", "Denied"])
def test_other_statuses_are_read_in_any_case(text: str) -> None:
    assert read_status(text) == text.upper()


@pytest.mark.parametrize("text", ["", "WAITLISTED", "CANCEL"])
def test_an_unknown_status_is_never_guessed(text: str) -> None:
    with pytest.raises(Unreadable, match="is none of APPROVED"):
        read_status(text)


@pytest.mark.parametrize(
    ("value", "minutes"), [("480", 480), (480, 480), ("480.0", 480), (Decimal("30.0"), 30)]
)
def test_minutes_are_whole_however_they_are_written(value: Any, minutes: int) -> None:
    assert read_minutes(value) == minutes


@pytest.mark.parametrize("value", ["450.5", Decimal("0.5"), "8h", "", None, "-60", -60, "1e3", "٤٨٠", True])
def test_minutes_that_cannot_be_converted_are_refused(value: Any) -> None:
    with pytest.raises(Unreadable):
        read_minutes(value)


@pytest.mark.parametrize("value", ["200", 200])
def test_a_status_code_is_a_number_or_its_text(value: Any) -> None:
    assert read_whole(value) == 200


@pytest.mark.parametrize(
    "text", ["2025-02-29", "2025-13-01", "2025-6-1", "20250601", "2025-06-01T00:00", "", "٢٠٢٥-٠٦-٠١"]
)
def test_a_date_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read_date(text)


def test_a_date_is_read() -> None:
    assert read_date("2024-02-29") == date(2024, 2, 29)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_no_value_at_all_breaks_the_reading(data: st.DataObject) -> None:
    """Inputs come from outside: whatever they are, they are values or problems."""
    for flow in FLOWS.values():
        document = {variable.key: data.draw(_JSON) for variable in flow.inputs}
        inputs, _ = read_inputs(flow, document)
        for text in (*inputs.texts.values(), *(item for items in inputs.lists.values() for item in items)):
            text.encode()
            assert "\0" not in text

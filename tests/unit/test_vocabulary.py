"""The nouns: what counts as the same entry, and how an entry is known again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.cases import MONDAY, TUESDAY, content, days, spec, view

from timeoff.ledger.rows import spec_from_json, spec_to_json
from timeoff.vocabulary import (
    LIVE_ENTRY_STATUSES,
    REMOVED_STATUSES,
    Day,
    EntryKey,
    EntrySpec,
    EntryStatus,
    RequestStatus,
)

KEY = EntryKey("d-1", "acme", "request-1", 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"employee_id": "158"},
        {"type_id": "84"},
        {"type_id2": "x"},
        {"status": EntryStatus.REQUESTED},
        {"days": days((TUESDAY,))},
        {"days": days((MONDAY, TUESDAY))},
        {"days": days(minutes=479)},
        {"days": (Day(MONDAY, 480, whole=False),)},
        {"days": (Day(MONDAY, 480, whole=True, start=time(9)),)},
    ],
)
def test_whatever_the_hris_would_show_changes_the_fingerprint(changes: dict[str, Any]) -> None:
    assert spec(**changes).fingerprint != spec().fingerprint


@pytest.mark.parametrize("changes", [{"note": "x"}, {"zone": "UTC"}])
def test_what_the_hris_does_not_show_leaves_the_fingerprint(changes: dict[str, Any]) -> None:
    """A note must not make a write, and must not be guessable from a digest."""
    assert spec(**changes).fingerprint == spec().fingerprint


def test_fingerprints_are_kept_in_ledgers_and_must_not_change() -> None:
    """Another algorithm in a later release would make every booked request look changed."""
    assert spec().fingerprint == "6cc7c39b1d8ece9f7ad3b18d4a039404"


def test_the_span_of_a_spec_is_that_of_its_days() -> None:
    assert (spec(days=days((MONDAY, TUESDAY))).first_day, spec().last_day) == (MONDAY, MONDAY)
    assert spec(days=days((MONDAY, TUESDAY))).last_day == TUESDAY


def test_marks_are_written_into_the_hris_and_must_not_change() -> None:
    assert KEY.marker == "wfm:eeb2ea4a397e639f"


@pytest.mark.parametrize(
    "other",
    [
        EntryKey("d-2", "acme", "request-1", 1),
        EntryKey("d-1", "acm", "request-1", 1),
        EntryKey("d-1", "acme", "request-2", 1),
        EntryKey("d-1", "acme", "request-1", 2),
        EntryKey("d-", "1acme", "request-1", 1),
        EntryKey("d-1", "acme", "request-", 11),
    ],
)
def test_every_part_of_a_key_makes_another_mark(other: EntryKey) -> None:
    assert other.marker != KEY.marker


def test_a_mark_is_short_and_plain() -> None:
    """It stands in a text field that people read."""
    assert re.fullmatch(r"wfm:[0-9a-f]{16}", KEY.marker)
    assert str(KEY) == "request-1/1"


def test_only_denied_and_canceled_remove_and_only_live_entries_take_time() -> None:
    assert set(REMOVED_STATUSES) == {"DENIED", "CANCELED"}
    assert {status for status in RequestStatus if status in REMOVED_STATUSES} == {"DENIED", "CANCELED"}
    assert set(LIVE_ENTRY_STATUSES) == {"requested", "approved"}


DAYS = st.lists(
    st.builds(
        Day,
        st.dates(date(2000, 1, 1), date(2100, 12, 31)),
        st.integers(1, 1440),
        st.booleans(),
        st.none() | st.times(),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda day: day.date,
).map(lambda found: tuple(sorted(found, key=lambda day: day.date)))


@settings(deadline=None)
@given(
    st.builds(
        EntrySpec,
        employee_id=st.text(min_size=1),
        type_id=st.text(min_size=1),
        type_id2=st.none() | st.text(),
        status=st.sampled_from(EntryStatus),
        days=DAYS,
        zone=st.sampled_from(["Europe/Berlin", "UTC"]),
    )
)
def test_the_ledger_gives_back_the_spec_that_it_was_given(original: EntrySpec) -> None:
    kept = spec_from_json(json.dumps(spec_to_json(original)))
    assert kept == original
    assert kept.fingerprint == original.fingerprint
    assert spec_from_json(spec_to_json(original)) == original


def test_notes_do_not_get_into_the_ledgers_entries() -> None:
    assert "surgery" not in json.dumps(spec_to_json(spec(note="knee surgery")))


def test_a_view_shows_the_provisional_state_before_the_confirmed_one() -> None:
    confirmed, heard = content(), content(dates=(TUESDAY,))
    assert view(confirmed).content == confirmed
    assert view(confirmed, provisional=heard).content == heard
    assert view().content is None


@pytest.mark.parametrize(
    ("status", "changes", "confirmed"),
    [
        ("DENIED", {}, True),
        ("CANCELED", {}, True),
        ("APPROVED", {}, False),
        ("PENDING", {}, False),
        ("DENIED", {"unconfirmed": True}, False),
        ("DENIED", {"provisional": content("DENIED")}, False),
        ("DENIED", {"confirmed": None}, False),
    ],
)
def test_a_removal_is_confirmed_by_a_read_that_nothing_overtook(
    status: str, changes: dict[str, Any], confirmed: bool
) -> None:
    assert replace(view(content(status)), **changes).removal_confirmed is confirmed

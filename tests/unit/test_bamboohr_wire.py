"""Reading and writing BambooHR's documents: loose in, exact out, and notes never kept."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.hris.bamboohr import wire
from timeoff.hris.marker import read_mark, write_mark
from timeoff.hris.port import BalanceKind, Unit
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus

KEY = EntryKey("deployment", "org", "request", 2)
STEPS = {Unit.HOURS: Decimal("0.01"), Unit.DAYS: Decimal("0.5")}


def request(**changes: Any) -> dict[str, Any]:
    return {
        "id": "1342",
        "employeeId": "4",
        "status": {"lastChanged": "2027-03-01", "lastChangedByUserId": "2369", "status": "approved"},
        "name": "Ann Lee",
        "start": "2027-05-29",
        "end": "2027-06-01",
        "created": "2027-03-01",
        "type": {"id": "78", "name": "Vacation", "icon": "palm-trees"},
        "amount": {"unit": "hours", "amount": "15.6"},
        "dates": {"2027-05-29": "0", "2027-05-31": "7.60", "2027-06-01": "8"},
        "notes": {"manager": f"see {write_mark(KEY, 3)} ok", "employee": "private"},
        **changes,
    }


def read_one(**changes: Any) -> Any:
    (entry,) = wire.read_requests(wire.parse(json.dumps([request(**changes)]).encode()))
    return entry


def test_strings_and_numbers_read_the_same() -> None:
    numbers = read_one(
        id=1342,
        employeeId=4,
        type={"id": 78},
        amount={"unit": "hours", "amount": 15.6},
        dates={"2027-05-29": 0, "2027-05-31": 7.60, "2027-06-01": 8},
    )
    assert numbers == read_one()
    assert numbers.amounts == {date(2027, 5, 31): Decimal("7.6"), date(2027, 6, 1): Decimal(8)}
    assert (numbers.marker, numbers.revision) == (KEY.marker, 3)
    assert numbers.created_on == date(2027, 3, 1)


def test_numbers_are_exact_decimals_and_not_floats() -> None:
    assert wire.parse(b"[0.1, 1.10]") == [Decimal("0.1"), Decimal("1.10")]
    assert isinstance(wire.parse(b"0.1"), Decimal)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("superceded", EntryStatus.SUPERSEDED),
        ("declined", EntryStatus.DENIED),
        ("Canceled", EntryStatus.CANCELLED),
        ("requested", EntryStatus.REQUESTED),
    ],
)
def test_the_vendors_words_for_a_status(word: str, status: EntryStatus) -> None:
    assert read_one(status={"status": word}).status is status


def test_a_status_unknown_today_counts_as_live() -> None:
    """Taking it for dead could book a second record over it."""
    assert read_one(status={"status": "awaiting_second_approval"}).live


def test_without_a_breakdown_the_amount_belongs_to_the_first_day() -> None:
    for nothing in ([], {}, None):
        assert read_one(dates=nothing).amounts == {date(2027, 5, 29): Decimal("15.6")}


@pytest.mark.parametrize("notes", [[], {}, None, "text", {"manager": None}, [{"from": "employee"}]])
def test_absent_notes_in_any_form_are_no_mark(notes: Any) -> None:
    assert read_one(notes=notes).marker is None


def test_an_employees_note_cannot_pass_for_ours() -> None:
    assert read_one(notes={"employee": write_mark(KEY, 1)}).marker is None


def test_a_record_of_a_unit_or_type_unknown_today_is_kept() -> None:
    entry = read_one(amount={"unit": "weeks", "amount": "1"}, type=[])
    assert entry.live
    assert entry.type_id == ""


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"employeeId": ""},
        {"start": "2027-02-30"},
        {"status": None},
        {"dates": {"tomorrow": "1"}},
        {"dates": {"2027-06-01": "eight"}},
        {"dates": {"2027-06-01": True}},
        {"dates": {"2027-06-01": "NaN"}},
        {"dates": {"2027-06-01": "1e999999"}},
    ],
)
def test_a_record_that_cannot_be_read_fails_the_listing_without_its_values(broken: dict[str, Any]) -> None:
    """Leaving it out would look like absence, and absence leads to a second booking."""
    document = [request(), request(**broken)]
    with pytest.raises(ValueError, match="time-off request 1") as raised:
        wire.read_requests(wire.parse(json.dumps(document).encode()))
    assert "private" not in str(raised.value)
    assert "eight" not in str(raised.value)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b"[NaN]", b"\x00"])
def test_what_is_not_json_is_one_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        wire.parse(body)
    assert wire.read_answer(body) == wire.Answer()


@pytest.mark.parametrize("document", ["x", 3, {"error": "no"}, [1], [None]])
def test_a_listing_of_another_shape_is_an_error_and_not_empty(document: Any) -> None:
    with pytest.raises(ValueError, match="time-off request"):
        wire.read_requests(document)


def test_types_carry_unit_step_and_the_companys_days() -> None:
    document = {
        "timeOffTypes": [
            {"id": 83, "name": "Vacation", "units": "hours", "color": None},
            {"id": "84", "name": "Day off", "units": "days"},
            {"id": "85", "name": "Sabbatical", "units": "months"},
        ],
        "defaultHours": [
            {"name": "Sunday", "amount": "0"},
            {"name": "Monday", "amount": "7.6"},
            {"name": "Friday", "amount": 5},
        ],
    }
    hours, days = wire.read_types(document, steps=STEPS, day_minutes=450, whole_day_is_one=False)
    assert (hours.id, hours.unit, hours.step) == ("83", Unit.HOURS, Decimal("0.01"))
    assert (days.id, days.unit, days.step) == ("84", Unit.DAYS, Decimal("0.5"))
    assert days.day_minutes == {1: 456, 5: 300}
    assert (days.default_day_minutes, days.whole_day_is_one) == (450, False)


def test_types_without_default_hours_are_read() -> None:
    document = {"timeOffTypes": [{"id": "83", "name": "Vacation", "units": "hours"}]}
    (type_,) = wire.read_types(document, steps=STEPS, day_minutes=450, whole_day_is_one=True)
    assert type_.day_minutes == {}


def test_a_directory_keeps_people_without_an_address() -> None:
    document = {"employees": [{"id": 4, "workEmail": " a@b.c "}, {"id": "5", "workEmail": None}, {"id": 6}]}
    assert [(e.id, e.email) for e in wire.read_directory(document)] == [
        ("4", "a@b.c"),
        ("5", None),
        ("6", None),
    ]


def test_a_directory_that_shows_no_address_field_is_refused() -> None:
    with pytest.raises(LookupError):
        wire.read_directory({"employees": [{"id": 4, "displayName": "Ann Lee"}]})


@pytest.mark.parametrize(
    ("location", "vendor_id"),
    [
        ("https://api.bamboohr.com/api/gateway.php/acme/v1/employees/4/time_off/request/1675", "1675"),
        ("/v1/employees/4/time_off/request/1675/?a=b", "1675"),
        ("https://acme.bamboohr.com/login.php", None),
        ("", None),
        (None, None),
    ],
)
def test_the_id_in_a_location(location: str | None, vendor_id: str | None) -> None:
    assert wire.id_from_location(location) == vendor_id


@pytest.mark.parametrize("text", ["0", "", "4/../5", "-1", "４", "1.0", "9" * 20])
def test_what_is_no_id_never_reaches_a_path(text: str) -> None:
    """Employee 0 would be the owner of the API key."""
    assert not wire.is_id(text)


@given(st.decimals(0, 10_000, places=4))
def test_an_amount_prints_as_the_same_number(value: Decimal) -> None:
    text = json.dumps(wire.json_number(value))
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == value


def test_a_request_is_written_per_day_with_the_mark() -> None:
    days = (Day(date(2027, 6, 1), 456, whole=True), Day(date(2027, 6, 4), 240, whole=False))
    spec = EntrySpec("4", "83", None, EntryStatus.APPROVED, days, "Europe/Berlin")
    amounts = {days[1].date: Decimal("4.00"), days[0].date: Decimal("7.60")}
    mark = write_mark(KEY, 3)
    assert wire.write_request(spec, amounts, mark=mark, note=None, previous_id="12") == {
        "status": "approved",
        "start": "2027-06-01",
        "end": "2027-06-04",
        "timeOffTypeId": 83,
        "amount": 11.6,
        "dates": [{"ymd": "2027-06-01", "amount": 7.6}, {"ymd": "2027-06-04", "amount": 4}],
        "notes": [{"from": "manager", "note": mark}],
        "previousRequest": 12,
    }


@given(
    before=st.text(max_size=40),
    after=st.text(max_size=40),
    revision=st.integers(1, 999_999_999),
)
def test_a_mark_is_read_back_whatever_people_write_around_it(before: str, after: str, revision: int) -> None:
    text = f"{before} {write_mark(KEY, revision)} {after}"
    if "wfm" not in before.lower():
        assert read_mark(text) == (KEY.marker, revision)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("WFM:1A2B3C4D5E6F7A8B R3", ("wfm:1a2b3c4d5e6f7a8b", 3)),
        ("(wfm: 1a2b3c4d5e6f7a8b/r12)", ("wfm:1a2b3c4d5e6f7a8b", 12)),
        ("wfm:1a2b3c4d5e6f7a8b", ("wfm:1a2b3c4d5e6f7a8b", None)),
        ("wfm:1a2b3c4d5e6f7a8b9", None),
        ("wfm:1a2b3c4d5e6f7a8", None),
        ("xwfm:1a2b3c4d5e6f7a8b", None),
        ("", None),
    ],
)
def test_marks_that_people_touched(text: str, mark: tuple[str, int | None] | None) -> None:
    assert read_mark(text) == mark


def row(**changes: Any) -> dict[str, Any]:
    return {
        "timeOffType": "1",
        "name": "Vacation",
        "units": "hours",
        "balance": "-2.5000",
        "policyType": "accruing",
        "usedYearToDate": "76.0",
        "end": "2027-12-31",
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "amount"),
    [({}, "-2.5"), ({"balance": 12}, "12"), ({"balance": 0.1}, "0.1"), ({"units": "days"}, "-2.5")],
)
def test_a_balance_is_exact_and_may_be_negative(changes: dict[str, Any], amount: str) -> None:
    document = wire.parse(json.dumps([row(**changes)]).encode())
    (balance,) = wire.read_balances(document, date(2027, 12, 31), BalanceKind.PROJECTED)
    assert (balance.type_id, balance.amount) == ("1", Decimal(amount))
    assert balance.unit.value == changes.get("units", "hours")


def test_a_balance_that_is_not_told_is_left_out_and_not_0() -> None:
    rows = [row(balance=None), row(balance=""), row(units="weeks")]
    assert wire.read_balances(rows, date(2027, 12, 31), BalanceKind.EXACT) == []


@pytest.mark.parametrize("figure", ["-8.00", "0.00", None])
def test_a_type_without_a_limit_is_unlimited_whatever_its_figure(figure: str | None) -> None:
    rows = [row(policyType="discretionary", balance=figure)]
    (balance,) = wire.read_balances(rows, date(2027, 12, 31), BalanceKind.EXACT)
    assert (balance.amount, balance.unlimited) == (None, True)


@pytest.mark.parametrize("document", [{}, "x", [1], [row(balance="eight")], [row(timeOffType="")]])
def test_balances_that_cannot_be_read_are_an_error_without_values(document: Any) -> None:
    with pytest.raises(ValueError, match="balance") as raised:
        wire.read_balances(document, date(2027, 12, 31), BalanceKind.EXACT)
    assert "eight" not in str(raised.value)

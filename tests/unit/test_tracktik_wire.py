"""Reading and writing TrackTik's documents: loose in, exact out, and notes never shown."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.hris.documents import parse
from timeoff.hris.port import BalanceKind, Unit
from timeoff.hris.tracktik import requests, wire
from timeoff.hris.tracktik.balances import read_balances, read_pay_hours, read_policy_on
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus

NOTE = "Kniearthroskopie am linken Bein"
KEY = EntryKey("deployment", "org", "7d0f4f7e-6f0e-4a53-9b5e-2f1a8c7b9d10", 2)
MONDAY, TUESDAY = date(2027, 5, 31), date(2027, 6, 1)


def request(**changes: Any) -> dict[str, Any]:
    return {
        "id": 77,
        "customId": str(KEY),
        "employee": 1404,
        "leaveType": 10,
        "leavePolicy": 8,
        "status": "APPROVED",
        "startDate": "2027-05-31",
        "endDate": "2027-06-01",
        "startDateTime": None,
        "days": [{"date": "2027-05-31", "minutes": 480}, {"date": "2027-06-01", "minutes": 97}],
        "totalDays": 1.2021,
        "reason": NOTE,
        "timeZone": "America/New_York",
        "createdOn": "2027-03-01T09:30:00-05:00",
        "updatedOn": "2027-03-01T09:30:00-05:00",
        **changes,
    }


def read_one(**changes: Any) -> requests.Request:
    return requests.read_request(parse(json.dumps(request(**changes)).encode()))


def spec(*days: Day, **changes: Any) -> EntrySpec:
    values: dict[str, Any] = {
        "employee_id": "1404",
        "type_id": "10",
        "type_id2": None,
        "status": EntryStatus.APPROVED,
        "days": days or (Day(MONDAY, 480, whole=True), Day(TUESDAY, 97, whole=False)),
        "zone": "America/New_York",
    }
    return EntrySpec(**values | changes)


MINUTES = {MONDAY: Decimal(480), TUESDAY: Decimal(97)}


# -- answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [[{"id": 1}], {"meta": {"count": 1}, "data": [{"id": 1}]}])
def test_lists_are_read_with_and_without_an_envelope(document: Any) -> None:
    assert wire.read_page(document).items == [{"id": 1}]


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"meta": {}, "data": r}, lambda r: {"data": [r]}])
def test_records_are_read_with_and_without_an_envelope(wrap: Any) -> None:
    assert requests.read_request(wrap(request())).id == "77"


@pytest.mark.parametrize("document", [{}, {"data": {}}, None, "x", {"message": "Unauthorized"}])
def test_what_is_no_list_is_not_an_empty_one(document: Any) -> None:
    with pytest.raises(ValueError, match="not a list"):
        wire.read_page(document)


def test_the_envelope_tells_how_many_there_are() -> None:
    page = wire.read_page({"meta": {"count": 250, "itemCount": 100, "limit": 100}, "data": []})
    assert (page.count, page.limit) == (250, 100)
    assert wire.read_page({"meta": {"count": "many", "limit": 0}, "data": []}) == wire.Page([])


def test_the_words_of_an_error_are_by_field() -> None:
    body = b'{"customId": ["This value is already used."], "endDate": ["Too early.", "Not a day."]}'
    assert wire.read_error(body).words == {
        "customId": "This value is already used.",
        "endDate": "Too early. Not a day.",
    }
    assert wire.read_error(b'{"message": "Unauthorized"}').words == {"message": "Unauthorized"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"a": {"b": 1}}',
        b'{"a b": ["x"]}',
        b'{"a": [1]}',
        b'{"id": 1e99999999999999999999}',
        b'{"a": ["x"], "b": 9e999999}',
    ],
)
def test_errors_of_another_shape_have_no_words(body: bytes) -> None:
    assert wire.read_error(body) == wire.Said({}, in_house=False)


@pytest.mark.parametrize(
    ("body", "in_house"),
    [
        (b'{"leave-requests": ["Leave request not found."]}', True),
        (b'{"leave-requests": ["Leave request not found."], "cancel": ["No."]}', True),
        (b'{"message": "no Route matched with those values"}', False),
        (b'{"leave-requests": ["Leave request not found."], "code": 404}', False),
        (b'{"leave-requests": []}', False),
    ],
)
def test_the_apis_own_errors_have_a_shape_of_their_own(body: bytes, in_house: bool) -> None:
    assert wire.read_error(body).in_house is in_house


def test_tokens_without_a_life_live_an_hour() -> None:
    assert wire.read_tokens({"access_token": "t"}).expires_in == 3600
    with pytest.raises(ValueError, match="tokens") as raised:
        wire.read_tokens({"access_token": "", "refresh_token": "hidden"})
    assert "hidden" not in str(raised.value)


def test_a_life_without_end_is_a_year_and_a_token_is_fit_for_a_header() -> None:
    assert wire.read_tokens({"access_token": "t", "expires_in": 10**400}).expires_in == 365 * 86_400
    for unfit in ("a\nb", "a b", "\u00e4"):
        with pytest.raises(ValueError, match="access_token"):
            wire.read_tokens({"access_token": unfit})


# -- people and types ----------------------------------------------------------------------------------


def test_an_empty_address_is_no_address() -> None:
    people = wire.read_employees([{"id": 1, "email": " a@b.c "}, {"id": "2", "email": ""}, {"id": 3}])
    assert [(each.id, each.email) for each in people] == [("1", "a@b.c"), ("2", None), ("3", None)]


def test_types_are_in_minutes_and_archived_ones_are_left_out() -> None:
    items = [
        {"name": "Vacation", "region": None, "status": "ACTIVE", "id": 10},
        {"name": "Old", "region": 2, "status": "ARCHIVED", "id": 12},
    ]
    (vacation,) = wire.read_types(items)
    assert (vacation.id, vacation.unit, vacation.step) == ("10", Unit.MINUTES, 1)


# -- keys ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [1, 2, 31])
def test_a_key_is_read_back_as_the_mark_it_has(part: int) -> None:
    key = EntryKey(KEY.deployment, KEY.org, KEY.request_id, 3, part)
    text = requests.write_key(key)
    assert len(text) <= 64
    assert read_one(customId=text).entry("deployment", "org").marker == key.marker
    # The same text in another organisation is another mark.
    assert read_one(customId=text).entry("deployment", "else").marker != key.marker


@pytest.mark.parametrize("text", [None, "", "INV-12", "a/b/c", "a/0", "a/1/1", "a/01", "a b/1", "/1", "a/1/"])
def test_keys_of_other_systems_are_no_marks(text: str | None) -> None:
    assert read_one(customId=text).entry("deployment", "org").marker is None


def test_without_a_name_for_ours_nothing_is_marked() -> None:
    assert read_one().entry(None, None).marker is None


@pytest.mark.parametrize(
    ("request_id", "complaint"), [("x" * 63, "too long"), ("a/1", "slash"), ("a b", "space"), ("", "slash")]
)
def test_a_key_that_could_not_be_read_back_is_not_written(request_id: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        requests.write_key(EntryKey("deployment", "org", request_id, 1))


@given(st.text(max_size=70), st.integers(1, 999_999), st.integers(1, 999_999))
def test_what_is_written_is_read_back(request_id: str, booking: int, part: int) -> None:
    key = EntryKey("deployment", "org", request_id, booking, part)
    try:
        text = requests.write_key(key)
    except ValueError:
        return
    assert requests.read_key(text, "deployment", "org") == key


# -- leave requests ------------------------------------------------------------------------------------


def test_a_request_is_read_exactly() -> None:
    entry = read_one().entry("deployment", "org")
    assert (entry.vendor_id, entry.employee_id, entry.type_id, entry.type_id2) == ("77", "1404", "10", "8")
    assert (entry.status, entry.unit, entry.amounts) == (EntryStatus.APPROVED, Unit.MINUTES, MINUTES)
    assert (entry.first_day, entry.last_day, entry.created_on) == (MONDAY, TUESDAY, date(2027, 3, 1))
    assert (entry.marker, entry.revision) == (KEY.marker, None)


def test_included_records_read_like_their_ids() -> None:
    assert read_one(employee={"id": 1404, "email": "a@b.c"}, leaveType={"id": 10}) == read_one()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PENDING", EntryStatus.REQUESTED),
        ("approved", EntryStatus.APPROVED),
        ("DECLINED", EntryStatus.DENIED),
        ("CANCELLED", EntryStatus.CANCELLED),
        ("AWAITING_SECOND_APPROVAL", EntryStatus.REQUESTED),
    ],
)
def test_the_words_for_a_status(word: str, status: EntryStatus) -> None:
    """One unknown today counts as live: taking it for dead could book a second record over it."""
    assert read_one(status=word).entry_status is status


def test_days_of_no_minutes_take_no_time() -> None:
    record = read_one(days=[{"date": "2027-05-31", "minutes": 0}, {"date": "2027-06-01", "minutes": 97}])
    assert record.minutes == {TUESDAY: Decimal(97)}
    assert read_one(days=None).minutes == {}


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"employee": ""},
        {"leaveType": {}},
        {"startDate": "2027-02-30"},
        {"status": None},
        {"days": [{"date": "tomorrow", "minutes": 1}]},
        {"days": [{"date": "2027-06-01", "minutes": 1e9}]},
        {"days": {"2027-06-01": 480}},
    ],
)
def test_a_record_that_cannot_be_read_fails_the_listing_without_its_values(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="leave request 1") as raised:
        requests.read_requests([request(), request(**broken)])
    assert NOTE not in str(raised.value)
    assert "tomorrow" not in str(raised.value)


def test_a_record_never_shows_its_note() -> None:
    record = read_one()
    assert record.keeps(f" {NOTE} ")
    assert not record.keeps("else")
    assert not read_one(reason=None).keeps(NOTE)
    assert NOTE not in f"{record!r} {record} {record.entry('deployment', 'org')!r}"


def test_each_field_that_differs_is_named() -> None:
    assert read_one().differences(spec(), MINUTES) == []
    changes = {
        "employee": 1,
        "leaveType": 8,
        "status": "PENDING",
        "startDate": "2027-05-30",
        "endDate": "2027-06-02",
        "startDateTime": "2027-06-01T09:00:00",
        "days": [{"date": "2027-05-31", "minutes": 480}],
    }
    for name, value in changes.items():
        assert read_one(**{name: value}).differences(spec(), MINUTES) == [name]
    assert read_one(**changes).differences(spec(), MINUTES) == list(changes)


def test_the_first_start_is_sent_and_further_ones_are_named_as_lost() -> None:
    morning, noon = Day(MONDAY, 60, whole=False, start=time(9)), Day(TUESDAY, 60, whole=False, start=time(12))
    minutes = {MONDAY: Decimal(60), TUESDAY: Decimal(60)}
    both = spec(morning, noon)
    assert requests.write_request(both, minutes, None)["startDateTime"] == "2027-05-31T09:00:00"
    assert requests.loses_starts(both, minutes)
    assert not requests.loses_starts(spec(morning, Day(TUESDAY, 60, whole=False, start=time(9))), minutes)
    assert requests.start_of(spec(), MINUTES) is None
    # A day that is not sent has no start either.
    assert requests.start_of(both, {TUESDAY: Decimal(60)}) == datetime.combine(TUESDAY, time(12))


def test_a_request_is_written_per_day_with_its_key() -> None:
    days = (
        Day(date(2027, 5, 29), 0, whole=True),
        Day(MONDAY, 480, whole=True),
        Day(TUESDAY, 97, whole=False),
    )
    assert requests.write_new("k/1", spec(*days), MINUTES, NOTE) == {
        "customId": "k/1",
        "employee": 1404,
        "leaveType": 10,
        "status": "APPROVED",
        "startDate": "2027-05-31",
        "endDate": "2027-06-01",
        "startDateTime": None,
        "days": [{"date": "2027-05-31", "minutes": 480}, {"date": "2027-06-01", "minutes": 97}],
        "reason": NOTE,
    }
    # A change says that there is no start any more, and leaves a note alone that it does not bring.
    change = requests.write_request(spec(), MINUTES, None)
    assert change["startDateTime"] is None
    assert not {"reason", "status", "employee", "customId"} & change.keys()


# -- balances ------------------------------------------------------------------------------------------


def left(year: int, **changes: Any) -> dict[str, Any]:
    """A balance record as the help centre shows it."""
    return {
        "id": f"1404-10-{year}-01-01",
        "employee": 1404,
        "periodId": f"{year}-01-01-12",
        "balanceDays": 3,
        "balanceDaysIncludingPending": Decimal("2.125"),
        "timeZone": "America/New_York",
        "periodStartDateTime": f"{year}-01-01T00:00:00-05:00",
        "periodEndDateTime": f"{year + 1}-01-01T00:00:00-05:00",
        "leaveType": {"name": "Vacation", "region": None, "status": "ACTIVE", "id": 10},
        **changes,
    }


NOW = datetime(2023, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("on", "days"),
    [
        (date(2022, 12, 31), None),
        (date(2023, 1, 1), 3),
        (date(2023, 12, 31), 3),
        (date(2024, 1, 1), 1),
        (date(2024, 12, 31), 1),
        (date(2025, 1, 1), None),
    ],
)
def test_a_balance_is_that_of_the_period_which_holds_the_date(on: date, days: int | None) -> None:
    """By local midnight: in New York the year begins five hours after that of UTC."""
    items = [
        left(2023, balanceDaysIncludingPending=3),
        left(2024, balanceDaysIncludingPending=1, leaveType=10),
    ]
    found = read_balances(items, on, now=NOW, hours=None)
    assert [balance.amount for balance in found] == ([] if days is None else [days])


def test_a_balance_is_in_minutes_by_the_policys_day() -> None:
    (balance,) = read_balances([left(2023)], MONDAY.replace(year=2023), now=NOW, hours=Decimal(8))
    assert (balance.type_id, balance.on) == ("10", MONDAY.replace(year=2023))
    assert (balance.amount, balance.unit, balance.unlimited) == (Decimal(1020), Unit.MINUTES, False)


@pytest.mark.parametrize(
    ("days", "minutes"), [("0.2021", 97), ("0.0021", 1), ("1.3333", 640), ("-0.5", -240)]
)
def test_minutes_are_whole_although_days_have_four_decimals(days: str, minutes: int) -> None:
    items = [left(2023, balanceDaysIncludingPending=Decimal(days))]
    (balance,) = read_balances(items, date(2023, 7, 1), now=NOW, hours=Decimal(8))
    assert balance.amount == minutes


def test_without_a_known_day_a_balance_stays_in_days() -> None:
    (balance,) = read_balances([left(2023)], date(2023, 7, 1), now=NOW, hours=None)
    assert (balance.amount, balance.unit) == (Decimal("2.125"), Unit.DAYS)


def test_a_period_that_has_not_begun_is_projected() -> None:
    kinds = [
        read_balances([left(year)], date(year, 7, 1), now=NOW, hours=None)[0].kind
        for year in (2022, 2023, 2024)
    ]
    assert kinds == [BalanceKind.EXACT, BalanceKind.EXACT, BalanceKind.PROJECTED]


def test_a_balance_that_is_not_told_is_left_out_and_not_0() -> None:
    items = [left(2023, balanceDaysIncludingPending=None)]
    assert read_balances(items, date(2023, 7, 1), now=NOW, hours=None) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"timeZone": "Moon/Sea"},
        {"periodStartDateTime": "2023-01-01T00:00:00"},
        {"balanceDaysIncludingPending": "9e999999"},
        {"balanceDaysIncludingPending": Decimal("-1e308")},
    ],
)
def test_a_balance_whose_period_cannot_be_read_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="leave balance"):
        read_balances([left(2023, **broken)], date(2023, 7, 1), now=NOW, hours=Decimal(8))


@pytest.mark.parametrize(
    ("on", "policy"),
    [(date(2023, 3, 1), "6"), (date(2023, 6, 1), "8"), (date(2024, 1, 1), "8"), (date(2022, 1, 1), "8")],
)
def test_the_policy_of_a_date(on: date, policy: str) -> None:
    """On the day of a change the new one counts; before the first, the open one."""
    items = [
        {"employee": 1404, "leavePolicy": 6, "startedOn": "2023-01-01", "endedOn": "2023-06-01", "id": 1},
        {"employee": 1404, "leavePolicy": {"id": 8}, "startedOn": "2023-06-01", "endedOn": None, "id": 2},
    ]
    assert read_policy_on(items, on) == policy
    assert read_policy_on([], on) is None


def test_the_hours_of_a_day_are_exact() -> None:
    assert read_pay_hours(parse(b'{"id": 8, "payHoursPerDay": 7.6}')) == Decimal("7.6")
    with pytest.raises(ValueError, match="payHoursPerDay"):
        read_pay_hours({"id": 8, "payHoursPerDay": 0})

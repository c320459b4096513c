"""Silence is not success: what the adapter makes of answers that do not say what was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import web
from tests.support.tracktik_portal import Call, Drop, Portal, portal, reply

from timeoff.errors import (
    AuthFailed,
    Conflict,
    Forbidden,
    HrisError,
    InsufficientBalance,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Unsupported,
)
from timeoff.hris.port import TimeOffType, Unit, Written
from timeoff.hris.tracktik.adapter import TrackTik
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus

TYPE = TimeOffType("10", "Vacation", Unit.MINUTES, step=Decimal(1))
MONDAY, TUESDAY = date(2027, 5, 31), date(2027, 6, 1)
KEY = EntryKey("deployment", "org", str(uuid4()), 1)
NOTE = "Kniearthroskopie am linken Bein"
NOT_FOUND = {"leave-requests": ["Leave request not found."]}
Json = dict[str, Any]


def spec(**changes: Any) -> EntrySpec:
    values: dict[str, Any] = {
        "employee_id": "1404",
        "type_id": "10",
        "type_id2": None,
        "status": EntryStatus.APPROVED,
        "days": (Day(MONDAY, 480, whole=True), Day(TUESDAY, 240, whole=False)),
        "zone": "America/New_York",
    }
    return EntrySpec(**values | changes)


SHORTER = spec(days=(Day(MONDAY, 480, whole=True),))
PENDING = spec(status=EntryStatus.REQUESTED)


class Records:
    """Leave requests of one employee. `ignored` fields are not written, without a word."""

    def __init__(self, site: Portal) -> None:
        self.records: dict[int, Json] = {}
        self.ignored: set[str] = set()
        self.ignored_filters: set[str] = set()
        #: (method, last part of the path) of calls that `instead` answers
        self.instead: dict[tuple[str, str], Callable[[], web.StreamResponse]] = {}
        self.answers_with: Json = {}
        site.answer = self.answer

    def add(self, **changes: Any) -> str:
        record = {
            "id": 77,
            "customId": str(KEY),
            "employee": 1404,
            "leaveType": 10,
            "leavePolicy": 8,
            "status": "APPROVED",
            "startDate": "2027-05-31",
            "endDate": "2027-06-01",
            "startDateTime": None,
            "days": [{"date": "2027-05-31", "minutes": 480}, {"date": "2027-06-01", "minutes": 240}],
            "reason": None,
            "timeZone": "America/New_York",
            **changes,
        }
        self.records[record["id"]] = record
        return str(record["id"])

    def answer(self, call: Call) -> web.StreamResponse:
        parts = call.path.split("/")
        if instead := self.instead.get((call.method, parts[-1])):
            return instead()
        body = {name: value for name, value in (call.body or {}).items() if name not in self.ignored}
        if call.method == "POST" and parts == ["leave-requests"]:
            return reply(self.records[int(self.add(**body))] | self.answers_with)
        if call.method == "GET" and parts == ["leave-requests"]:
            wanted = None if "customId" in self.ignored_filters else call.query.get("customId")
            return reply([r for r in self.records.values() if wanted in (None, r["customId"])])
        record = self.records.get(int(parts[1]))
        if record is None:
            return reply(NOT_FOUND, 404)
        if call.method == "PATCH":
            record |= body
        elif parts[-1] in ("approve", "cancel") and "status" not in self.ignored:
            record["status"] = {"approve": "APPROVED", "cancel": "CANCELLED"}[parts[-1]]
        return reply(record | (self.answers_with if call.method != "GET" else {}))


@pytest.fixture
async def site() -> AsyncIterator[Portal]:
    async with portal() as running:
        yield running


@pytest.fixture
async def hris(site: Portal) -> AsyncIterator[TrackTik]:
    opened = await TrackTik.open(site.settings())
    yield opened
    await opened.close()


@pytest.fixture
def records(site: Portal) -> Records:
    return Records(site)


def html(status: int) -> web.StreamResponse:
    """A page of a gateway before the portal."""
    return web.Response(status=status, text="<html><h1>Not here</h1></html>", content_type="text/html")


async def error_of(work: object) -> HrisError:
    with pytest.raises(HrisError) as raised:
        await work  # type: ignore[misc]
    return raised.value


def methods(site: Portal) -> list[str]:
    return [f"{call.method} {call.path}" for call in site.calls]


# -- insert --------------------------------------------------------------------------------------------


async def test_an_insert_is_one_call_with_the_key(site: Portal, hris: TrackTik, records: Records) -> None:
    assert await hris.insert(KEY, 1, spec(), TYPE) == Written("77")
    (call,) = site.calls
    assert call.body["customId"] == f"{KEY.request_id}/1"
    assert call.body["status"] == "APPROVED"


async def test_an_insert_that_was_not_taken_over_is_not_in_effect(hris: TrackTik, records: Records) -> None:
    """It has an id, so it is booked somehow; the core has to look, and nobody is told that it is done."""
    for ignored in ("customId", "days", "status"):
        records.ignored = {ignored}
        records.answers_with = {ignored: {"customId": None, "days": [], "status": "PENDING"}[ignored]}
        written = await hris.insert(KEY, 1, spec(), TYPE)
        assert (written.vendor_id, written.effective, written.lost) == ("77", False, (ignored,))


async def test_what_is_lost_is_named(hris: TrackTik, records: Records) -> None:
    days = (
        Day(MONDAY, 60, whole=False, start=time(9)),
        Day(TUESDAY, 60, whole=False, start=time(13)),
    )
    asked = spec(days=days, zone="Europe/Berlin", type_id2="6", note="ä" * 300)
    written = await hris.insert(KEY, 1, asked, TYPE)
    assert written == Written("77", True, ("start_time", "zone", "note", "policy"))
    assert records.records[77]["startDateTime"] == "2027-05-31T09:00:00"
    assert len(records.records[77]["reason"]) == 255
    records.ignored = {"startDateTime"}
    assert (await hris.insert(KEY, 1, replace(asked, note=None), TYPE)).lost == (
        "start_time",
        "zone",
        "policy",
    )


async def test_a_start_that_is_kept_is_not_lost(hris: TrackTik, records: Records) -> None:
    days = (Day(MONDAY, 60, whole=False, start=time(9)),)
    asked = spec(days=days, note=NOTE, type_id2="8")
    assert (await hris.insert(KEY, 1, asked, TYPE)).lost == ()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"customId": ["This value is already used."]}, Conflict),
        ({"customId": ["This value is too long."]}, Rejected),
        ({"leave-requests": ["The request overlaps another leave request."]}, Conflict),
        ({"leave-requests": ["Employee is not assigned to a leave policy."]}, Rejected),
        ({"leave-requests": ["Leave type is not part of the employee's leave policy."]}, Rejected),
        ({"leave-requests": ["The balance does not suffice."]}, InsufficientBalance),
        ({"employee": ["This value is not valid."]}, NotFound),
        ({"leaveType": ["This value is not valid."]}, NotFound),
        ({"endDate": ["This value should be greater than or equal to Mar 27, 2023, 12:00 AM."]}, Rejected),
        ("<html>", Rejected),
    ],
)
async def test_the_class_of_a_refusal(
    site: Portal, hris: TrackTik, records: Records, body: object, error: type[HrisError]
) -> None:
    records.instead["POST", "leave-requests"] = lambda: reply(body, 400)
    refused = await error_of(hris.insert(KEY, 1, spec(note=NOTE), TYPE))
    assert type(refused) is error
    assert methods(site) == ["POST leave-requests"]
    if isinstance(refused, NotFound):
        assert refused.what == ("employee" if "employee" in str(body) else "type")


async def test_an_answer_that_cannot_be_read_leaves_an_insert_unknown(
    hris: TrackTik, records: Records
) -> None:
    for body in ("", "<html>", {"meta": {}, "data": {}}, {"id": 77}):
        records.instead["POST", "leave-requests"] = lambda body=body: reply(body)  # type: ignore[misc]
        assert isinstance(await error_of(hris.insert(KEY, 1, spec(), TYPE)), OutcomeUnknown)


async def test_a_create_that_a_gateway_did_not_find_its_way_with_is_unknown(
    hris: TrackTik, records: Records
) -> None:
    records.instead["POST", "leave-requests"] = lambda: html(404)
    assert type(await error_of(hris.insert(KEY, 1, spec(), TYPE))) is OutcomeUnknown
    records.instead["POST", "leave-requests"] = lambda: reply(NOT_FOUND, 404)
    assert type(await error_of(hris.insert(KEY, 1, spec(), TYPE))) is Rejected


async def test_a_create_that_meets_a_maintenance_page_comes_later(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    records.instead["POST", "leave-requests"] = lambda: reply({}, 302, Location="/maintenance")
    assert type(await error_of(hris.insert(KEY, 1, spec(), TYPE))) is RetryLater
    assert methods(site) == ["POST leave-requests"]


@pytest.mark.parametrize("body", ['{"id": 1e99999999999999999999}', '{"id": 9e999999}'])
async def test_numbers_without_end_are_answers_like_others(
    site: Portal, hris: TrackTik, records: Records, body: str
) -> None:
    for status, error in ((200, OutcomeUnknown), (400, Rejected), (429, RetryLater)):
        records.instead["POST", "leave-requests"] = lambda status=status: reply(body, status)  # type: ignore[misc]
        assert type(await error_of(hris.insert(KEY, 1, spec(), TYPE))) is error
    site.answer = lambda _: reply(body)
    assert type(await error_of(hris.list_employees())) is RetryLater


async def test_what_could_never_be_booked_is_not_sent(site: Portal, hris: TrackTik) -> None:
    long_key = replace(KEY, request_id="x" * 70)
    for key, asked, error in (
        (long_key, spec(), Rejected),
        (KEY, spec(employee_id="../1"), NotFound),
        (KEY, spec(type_id="0"), NotFound),
        (KEY, spec(days=(Day(MONDAY, 0, whole=True),)), Rejected),
        (KEY, spec(status=EntryStatus.DENIED), Unsupported),
    ):
        assert type(await error_of(hris.insert(key, 1, asked, TYPE))) is error
    assert site.calls == []


# -- update --------------------------------------------------------------------------------------------


async def test_a_change_that_is_answered_with_itself_is_one_call(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    vendor_id = records.add()
    assert await hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE) == Written("77")
    assert methods(site) == ["PATCH leave-requests/77"]


@pytest.mark.parametrize("ignored", ["days", "endDate", "leaveType"])
async def test_a_change_that_is_ignored_in_silence_is_refused_by_its_field(
    site: Portal, hris: TrackTik, records: Records, ignored: str
) -> None:
    vendor_id = records.add()
    records.ignored = {ignored}
    changed = replace(SHORTER, type_id="8", note=NOTE)
    refused = await error_of(hris.update(KEY, 2, vendor_id, spec(), changed, TYPE))
    assert type(refused) is Rejected
    assert f"did not change: {ignored}" in str(refused)
    assert NOTE not in str(refused)
    assert methods(site) == ["PATCH leave-requests/77", "GET leave-requests/77"]


async def test_a_start_that_does_not_change_is_refused_too(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add()
    records.ignored = {"startDateTime"}
    later = spec(days=(spec().days[0], replace(spec().days[1], start=time(13))))
    assert "startDateTime" in str(await error_of(hris.update(KEY, 2, vendor_id, spec(), later, TYPE)))


async def test_an_old_answer_is_no_refusal_if_a_read_shows_the_change(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    vendor_id = records.add()
    records.answers_with = {"days": [{"date": "2027-05-31", "minutes": 1}]}
    assert (await hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE)).vendor_id == vendor_id
    records.instead["PATCH", "77"] = lambda: reply("")
    assert (await hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE)).vendor_id == vendor_id
    assert len(site.calls) == 4


@pytest.mark.parametrize("trouble", [500, 429, 401, 403, "drop", "<html>"])
async def test_a_change_that_cannot_be_read_back_is_unknown(
    hris: TrackTik, records: Records, trouble: int | str
) -> None:
    """It was sent: nobody may say that nothing was written."""

    def answer() -> web.StreamResponse:
        if trouble == "drop":
            raise Drop
        return reply({}, trouble) if isinstance(trouble, int) else reply(trouble)

    vendor_id = records.add()
    records.ignored = {"days"}
    records.instead["GET", "77"] = answer
    assert isinstance(await error_of(hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE)), OutcomeUnknown)


async def test_somebody_else_who_changes_it_too_is_a_conflict(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add(status="PENDING")
    assert type(await error_of(hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE))) is Conflict
    # The answer said that the days stayed, a moment later the type is another.
    vendor_id = records.add()
    records.ignored = {"days"}
    records.instead["GET", "77"] = lambda: reply(records.records[77] | {"leaveType": 8})
    assert type(await error_of(hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE))) is Conflict


@pytest.mark.parametrize("status", ["CANCELLED", "DECLINED"])
@pytest.mark.parametrize("refuses", [True, False])
async def test_a_record_that_somebody_ended_is_not_there_any_more(
    hris: TrackTik, records: Records, status: str, refuses: bool
) -> None:
    vendor_id = records.add(status=status)
    if refuses:
        records.instead["PATCH", "77"] = lambda: reply({"leave-requests": ["No."]}, 400)
    error = await error_of(hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE))
    assert isinstance(error, NotFound)
    assert error.what == "request"


async def test_a_refused_change_of_a_live_record_is_what_the_words_say(
    hris: TrackTik, records: Records
) -> None:
    vendor_id = records.add()
    records.instead["PATCH", "77"] = lambda: reply({"leave-requests": ["It overlaps another one."]}, 400)
    assert type(await error_of(hris.update(KEY, 2, vendor_id, spec(), SHORTER, TYPE))) is Conflict


async def test_a_gateways_404_does_not_end_a_record(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add(status="PENDING")
    records.instead["PATCH", "77"] = records.instead["POST", "approve"] = lambda: html(404)
    shorter = replace(PENDING, days=SHORTER.days)
    for changed in (shorter, spec()):
        assert type(await error_of(hris.update(KEY, 2, vendor_id, PENDING, changed, TYPE))) is OutcomeUnknown
    # Nor does one that a look at it meets, before an approval and after a change.
    records.instead = {("GET", "77"): lambda: html(404)}
    assert type(await error_of(hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE))) is RetryLater
    records.ignored = {"days"}
    assert type(await error_of(hris.update(KEY, 2, vendor_id, PENDING, shorter, TYPE))) is OutcomeUnknown


async def test_an_approval_is_an_action_of_its_own(site: Portal, hris: TrackTik, records: Records) -> None:
    vendor_id = records.add(status="PENDING")
    assert await hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE) == Written("77")
    assert methods(site) == ["GET leave-requests/77", "POST leave-requests/77/actions/approve"]
    # Again, as after a lost answer: there is nothing to do.
    assert await hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE) == Written("77")
    assert len(site.calls) == 3


async def test_an_approval_is_sent_after_a_slow_look_too(site: Portal, records: Records) -> None:
    """Else it could never be sent to a portal that is slow: each attempt begins with the same look."""
    hris = await TrackTik.open(site.settings(call_timeout=1.5, read_timeout=1.4))
    vendor_id = records.add(status="PENDING")

    async def slow(call: Call) -> web.StreamResponse:
        if call.method == "GET":
            await asyncio.sleep(0.4)
        return records.answer(call)

    site.answer = slow
    try:
        assert await hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE) == Written("77")
    finally:
        await hris.close()


@pytest.mark.parametrize("status", ["DECLINED", "CANCELLED"])
async def test_an_approval_never_revives_what_a_person_ended(
    site: Portal, hris: TrackTik, records: Records, status: str
) -> None:
    """TrackTik would approve a declined request: that decision was a person's."""
    vendor_id = records.add(status=status)
    assert isinstance(await error_of(hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE)), NotFound)
    assert methods(site) == ["GET leave-requests/77"]


async def test_an_approval_that_leaves_the_status_is_not_in_effect(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add(status="PENDING")
    records.ignored = {"status"}
    assert await hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE) == Written("77", effective=False)


async def test_an_approval_refused_because_it_is_done_is_done(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add(status="PENDING")

    def done_meanwhile() -> web.StreamResponse:
        records.records[77]["status"] = "APPROVED"
        return reply({"approve": ["No."]}, 400)

    records.instead["POST", "approve"] = done_meanwhile
    assert await hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE) == Written("77")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (spec(), PENDING),
        (PENDING, SHORTER),
        (spec(), spec(status=EntryStatus.CANCELLED)),
        (spec(), spec(employee_id="1441")),
    ],
)
async def test_other_changes_of_status_are_not_offered(
    site: Portal, hris: TrackTik, before: EntrySpec, after: EntrySpec
) -> None:
    assert not hris.capabilities.status_with_days
    assert isinstance(await error_of(hris.update(KEY, 2, "77", before, after, TYPE)), Unsupported)
    assert site.calls == []


# -- cancel --------------------------------------------------------------------------------------------


async def test_a_cancel_is_one_call_and_done_twice_is_done(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    vendor_id = records.add()
    for _ in range(2):
        assert await hris.cancel(KEY, vendor_id, "canceled in Genesys") == Written("77")
    assert methods(site) == ["POST leave-requests/77/actions/cancel"] * 2
    assert site.calls[0].body == {"reason": "canceled in Genesys"}


async def test_a_cancel_of_what_is_ended_or_gone_is_a_success(hris: TrackTik, records: Records) -> None:
    assert await hris.cancel(KEY, "78", "") == Written("78")
    vendor_id = records.add(status="DECLINED")
    records.instead["POST", "cancel"] = lambda: reply(
        {"cancel": ["A declined leave request cannot be cancelled."]}, 400
    )
    assert await hris.cancel(KEY, vendor_id, "") == Written("77")


async def test_a_gateways_404_is_no_cancel(hris: TrackTik, records: Records) -> None:
    """Taken for one, it would leave leave booked that nobody takes."""
    vendor_id = records.add()
    for body in ("<html>", {}, {"message": "no Route matched"}):
        records.instead["POST", "cancel"] = lambda body=body: reply(body, 404)  # type: ignore[misc]
        assert type(await error_of(hris.cancel(KEY, vendor_id, ""))) is OutcomeUnknown
    records.instead["POST", "cancel"] = lambda: reply({"cancel": ["No."]}, 400)
    records.instead["GET", "77"] = lambda: html(404)
    assert type(await error_of(hris.cancel(KEY, vendor_id, ""))) is RetryLater


async def test_a_cancel_refused_for_a_live_record_is_refused(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add()
    records.instead["POST", "cancel"] = lambda: reply({"cancel": ["No."]}, 400)
    assert type(await error_of(hris.cancel(KEY, vendor_id, ""))) is Rejected


async def test_a_cancel_that_leaves_the_record_live_is_not_in_effect(
    hris: TrackTik, records: Records
) -> None:
    vendor_id = records.add()
    records.ignored = {"status"}
    assert await hris.cancel(KEY, vendor_id, "") == Written("77", effective=False)


# -- notes ---------------------------------------------------------------------------------------------


def echo(site: Portal) -> Callable[[], web.StreamResponse]:
    """A refusal that quotes what was sent."""
    return lambda: reply({"reason": [f"No: '{site.calls[-1].body['reason']}'."], "endDate": ["Early."]}, 400)


@pytest.mark.parametrize("note", [NOTE, "Flu", "HIV\u200bpos", "HIV\u00adpos", "AIDS\u200d", "F\u0000lu"])
async def test_no_note_comes_back_in_the_error_of_a_create_or_a_change(
    site: Portal, hris: TrackTik, records: Records, note: str
) -> None:
    vendor_id = records.add()
    records.instead["POST", "leave-requests"] = records.instead["PATCH", "77"] = echo(site)
    for operation, work in (
        ("create", lambda: hris.insert(KEY, 1, spec(note=note), TYPE)),
        ("update", lambda: hris.update(KEY, 2, vendor_id, spec(), replace(SHORTER, note=note), TYPE)),
    ):
        refused = await error_of(work())
        assert type(refused) is Rejected
        assert str(refused) == f"TrackTik {operation}: 400: endDate: Early."


async def test_a_change_that_brings_no_note_does_not_show_the_one_there_is(
    hris: TrackTik, records: Records
) -> None:
    vendor_id = records.add(reason=NOTE)
    records.instead["PATCH", "77"] = lambda: reply({"reason": [f"'{NOTE}' needs a look."]}, 400)
    refused = await error_of(hris.update(KEY, 2, vendor_id, spec(note=NOTE), SHORTER, TYPE))
    assert str(refused) == "TrackTik update: 400"


async def test_a_note_that_is_in_every_sentence_does_not_change_what_a_refusal_means(
    hris: TrackTik, records: Records
) -> None:
    records.instead["POST", "leave-requests"] = lambda: reply({"customId": ["Already used."]}, 400)
    refused = await error_of(hris.insert(KEY, 1, spec(note="a"), TYPE))
    assert type(refused) is Conflict
    assert str(refused) == "TrackTik create: 400"


async def test_a_refused_action_shows_nothing_of_the_reason_there_is(
    hris: TrackTik, records: Records
) -> None:
    """A person may have written it: it is not known here."""
    vendor_id = records.add(status="PENDING", reason="Grippe")
    for action in ("approve", "cancel"):
        words = {action: ["'Grippe': the balance does not suffice."], "Grippe": ["x"]}
        records.instead["POST", action] = lambda words=words: reply(words, 400)  # type: ignore[misc]
    for work in (
        hris.update(KEY, 2, vendor_id, PENDING, spec(), TYPE),
        hris.cancel(KEY, vendor_id, "canceled in Genesys"),
    ):
        refused = await error_of(work)
        assert type(refused) is InsufficientBalance
        assert "Grippe" not in str(refused)


# -- reads ---------------------------------------------------------------------------------------------


async def test_a_gateways_404_is_no_absence(hris: TrackTik, records: Records) -> None:
    vendor_id = records.add()
    for body in ("<html>", {"message": "no Route matched"}):
        for last in ("77", "leave-requests"):
            records.instead["GET", last] = lambda body=body: reply(body, 404)  # type: ignore[misc]
        for work in (
            hris.get(vendor_id, "1404", MONDAY, TUESDAY),
            hris.find(KEY, "1404", MONDAY, TUESDAY),
            hris.list_entries(MONDAY, TUESDAY),
        ):
            assert type(await error_of(work)) is RetryLater
    records.instead.clear()
    assert await hris.get("78", "1404", MONDAY, TUESDAY) is None


async def test_a_record_is_found_by_its_key_wherever_it_was_moved(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    """After an insert of unknown outcome nothing else tells it: there is no id to ask for yet."""
    records.add(startDate="2027-07-01", endDate="2027-07-01", days=[{"date": "2027-07-01", "minutes": 480}])
    records.add(id=78, customId=f"{KEY.request_id}/2")
    (entry, other) = (await hris.find(KEY, "1404", MONDAY, TUESDAY)).entries
    assert {entry.vendor_id: entry.marker, other.vendor_id: other.marker} == {
        "77": KEY.marker,
        "78": replace(KEY, booking=2).marker,
    }
    assert str(KEY) in [call.query.get("customId") for call in site.calls]
    # One that somebody gave to another person is no absence either.
    records.add(employee=1441)
    assert "77" in [each.vendor_id for each in (await hris.find(KEY, "1404", MONDAY, TUESDAY)).entries]
    # A record that is in both answers is one.
    records.add()
    assert len((await hris.find(KEY, "1404", MONDAY, TUESDAY)).entries) == 2


async def test_a_portal_without_a_filter_for_keys_shows_no_strangers(
    hris: TrackTik, records: Records
) -> None:
    records.ignored_filters = {"customId"}
    records.add(id=1, startDate="2027-07-01", endDate="2027-07-01", customId="INV-7")
    assert (await hris.find(KEY, "1404", MONDAY, TUESDAY)).entries == ()


async def test_a_key_that_was_never_sent_is_not_asked_for(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    await hris.find(replace(KEY, request_id="x" * 70), "1404", MONDAY, TUESDAY)
    assert [call.query.get("customId") for call in site.calls] == [None]


async def test_a_search_by_key_that_fails_is_no_search(site: Portal, hris: TrackTik) -> None:
    site.answer = lambda call: reply([], 500 if "customId" in call.query else 200)
    assert type(await error_of(hris.find(KEY, "1404", MONDAY, TUESDAY))) is RetryLater
    site.answer = lambda call: reply([{"id": 77}] if "customId" in call.query else [])
    assert type(await error_of(hris.find(KEY, "1404", MONDAY, TUESDAY))) is RetryLater


async def test_what_the_filters_of_a_call_let_through_is_sorted_out(
    site: Portal, hris: TrackTik, records: Records
) -> None:
    """A portal may ignore a filter in silence."""
    records.add(id=1)
    records.add(id=2, employee=1441, customId=None)
    records.add(id=3, startDate="2027-07-01", endDate="2027-07-02", customId=None)
    records.add(id=4, status="CANCELLED", customId="INV-7")
    records.ignored_filters = {"customId"}
    found = await hris.find(KEY, "1404", MONDAY, MONDAY)
    assert [(entry.vendor_id, entry.marker) for entry in found.entries] == [("1", KEY.marker), ("4", None)]
    listed = await hris.list_entries(TUESDAY, TUESDAY)
    assert [(entry.vendor_id, entry.marker) for entry in listed] == [("1", KEY.marker), ("2", None)]
    assert [e.vendor_id for e in await hris.list_entries(MONDAY, MONDAY, {"1441", "1"})] == ["2"]
    listings = [call.query for call in site.calls if "customId" not in call.query]
    assert [query.get("employee:in") for query in listings] == [None, None, "1,1441"]
    assert listings[0]["endDate:after"] == "2027-05-30"
    assert listings[0]["startDate:lt"] == "2027-06-01"
    assert await hris.list_entries(MONDAY, MONDAY, []) == []
    everybody = {str(n) for n in range(1, 200)} | {"1404"}
    assert [e.vendor_id for e in await hris.list_entries(MONDAY, MONDAY, everybody)] == ["1"]
    assert "employee:in" not in site.calls[-1].query


async def test_ids_that_are_none_are_not_asked_for(site: Portal, hris: TrackTik) -> None:
    assert await hris.get("../employees", "1404", MONDAY, MONDAY) is None
    for work in (
        hris.find(KEY, "0", MONDAY, MONDAY),
        hris.list_entries(MONDAY, MONDAY, ["1404", "1&status=X"]),
        hris.balances("x", MONDAY),
        hris.update(KEY, 1, "x", spec(), SHORTER, TYPE),
        hris.cancel(KEY, "x", ""),
    ):
        assert isinstance(await error_of(work), NotFound)
    assert site.calls == []


@pytest.mark.parametrize(
    ("status", "reachable", "authenticated"),
    [
        (200, True, True),
        (403, True, False),
        (404, True, False),
        (302, False, False),
        (429, False, False),
        (500, False, False),
    ],
)
async def test_health_tells_without_raising(
    site: Portal, hris: TrackTik, status: int, reachable: bool, authenticated: bool
) -> None:
    site.answer = lambda _: reply([], status)
    health = await hris.health()
    assert (health.reachable, health.authenticated) == (reachable, authenticated)
    assert bool(health.detail) is (status != 200)


async def test_a_refused_login_is_told_by_health_and_tried_once(site: Portal) -> None:
    hris = await TrackTik.open(site.settings(password="wrong"))
    for _ in range(3):
        assert isinstance(await error_of(hris.list_time_off_types()), AuthFailed)
        health = await hris.health()
        assert (health.reachable, health.authenticated) == (True, False)
    assert "not tried again for" in health.detail
    assert "wrong" not in health.detail
    assert len(site.logins) == 1
    await hris.close()


async def test_an_unreadable_type_is_no_short_list(site: Portal, hris: TrackTik) -> None:
    site.answer = lambda _: reply([{"id": 10, "name": "Vacation"}, {"id": None}])
    assert isinstance(await error_of(hris.list_time_off_types()), RetryLater)
    site.answer = lambda _: reply({}, 403)
    assert isinstance(await error_of(hris.list_employees()), Forbidden)


# -- balances ------------------------------------------------------------------------------------------


def office(site: Portal, *, policies: int = 200) -> None:
    def answer(call: Call) -> web.StreamResponse:
        match call.path.split("/"):
            case ["leave-balances"]:
                return reply(
                    [
                        {
                            "id": "1404-10-2027-01-01",
                            "employee": 1404,
                            "balanceDays": 3,
                            "balanceDaysIncludingPending": 1.5,
                            "timeZone": "America/New_York",
                            "periodStartDateTime": "2027-01-01T00:00:00-05:00",
                            "periodEndDateTime": "2028-01-01T00:00:00-05:00",
                            "leaveType": 10,
                        }
                    ]
                )
            case ["employee-leave-policies"]:
                body = [
                    {"employee": 1404, "leavePolicy": 8, "startedOn": "2023-03-27", "endedOn": None, "id": 1}
                ]
                return reply(body, policies)
            case _:
                return reply({"id": 8, "payHoursPerDay": 7.6}, policies)

    site.answer = answer


async def test_balances_are_minutes_and_a_policy_is_read_once(site: Portal, hris: TrackTik) -> None:
    office(site)
    for _ in range(2):
        (balance,) = await hris.balances("1404", MONDAY)
        assert (balance.amount, balance.unit) == (Decimal(684), Unit.MINUTES)
    assert sorted(call.path for call in site.calls) == [
        "employee-leave-policies",
        "employee-leave-policies",
        "leave-balances",
        "leave-balances",
        "leave-policies/8",
    ]


@pytest.mark.parametrize("days", ["9e999999", "1e308", '"9e999999"'])
async def test_a_balance_without_end_is_no_answer(site: Portal, hris: TrackTik, days: str) -> None:
    office(site)
    rest = site.answer

    def answer(call: Call) -> Any:
        if call.path != "leave-balances":
            return rest(call)
        return reply(
            '[{"leaveType": 10, "timeZone": "UTC", "periodStartDateTime": "2027-01-01T00:00:00Z",'
            f' "periodEndDateTime": "2028-01-01T00:00:00Z", "balanceDaysIncludingPending": {days}}}]'
        )

    site.answer = answer
    assert type(await error_of(hris.balances("1404", MONDAY))) is RetryLater


@pytest.mark.parametrize("status", [403, 404])
async def test_balances_without_a_policy_to_be_seen_are_days(
    site: Portal, hris: TrackTik, status: int
) -> None:
    office(site, policies=status)
    (balance,) = await hris.balances("1404", MONDAY)
    assert (balance.amount, balance.unit) == (Decimal("1.5"), Unit.DAYS)


async def test_balances_while_the_policy_cannot_be_read_come_later(site: Portal, hris: TrackTik) -> None:
    """Days instead of minutes for want of luck would be another answer each time."""
    office(site, policies=500)
    assert isinstance(await error_of(hris.balances("1404", MONDAY)), RetryLater)

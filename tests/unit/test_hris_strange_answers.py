"""Answers that are not the vendor's, or that no vendor should give: a gateway's 404, numbers without end,
notes that come back. For the adapters of BambooHR and of the reference HRIS; TrackTik's has its own tests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
from aiohttp import web

from timeoff.errors import (
    Conflict,
    HrisError,
    InsufficientBalance,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
)
from timeoff.hris.bamboohr.adapter import BambooHr
from timeoff.hris.bamboohr.settings import BambooHrSettings
from timeoff.hris.port import ExternalKey, Hris, TimeOffType, Unit, Written
from timeoff.hris.reference.adapter import Reference
from timeoff.hris.reference.settings import ReferenceSettings
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus

KEY = EntryKey("deployment", "org", "7d0f4f7e-6f0e-4a53-9b5e-2f1a8c7b9d10", 1)
TYPE = TimeOffType("83", "Vacation", Unit.HOURS)
MONDAY = date(2099, 6, 1)
SPEC = EntrySpec(
    "4", "83", None, EntryStatus.APPROVED, (Day(MONDAY, 480, whole=True),), "Europe/Berlin", note="Grippe"
)
PENDING = replace(SPEC, status=EntryStatus.REQUESTED)
SHORTER = replace(SPEC, days=(Day(MONDAY, 240, whole=False),), note=None)
ENDLESS = ("1e99999999999999999999", "9e999999", '"9.99999999999999999999999999999999e999999"')


@dataclass
class Vendor:
    """Answers as a test says, by method."""

    url: str = ""
    answers: dict[str, Callable[[], web.Response]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append(request.method)
        return self.answers[request.method]()


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    running = Vendor()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", running.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    running.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield running
    await runner.cleanup()


@pytest.fixture
async def bamboo(vendor: Vendor) -> AsyncIterator[Hris]:
    opened = await BambooHr.open(BambooHrSettings(base_url=vendor.url, api_key="k", call_timeout=5))
    yield opened
    await opened.close()


@pytest.fixture
async def reference(vendor: Vendor) -> AsyncIterator[Hris]:
    opened = await Reference.open(
        ReferenceSettings(base_url=vendor.url, api_key="k", external_key=ExternalKey.UNIQUE)
    )
    yield opened
    await opened.close()


def answer(body: object = "", status: int = 200, **headers: str) -> Callable[[], web.Response]:
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda: web.Response(status=status, text=text, headers=named, content_type="application/json")


GATEWAY = answer("<html><h1>Not here</h1></html>", 404)


async def error_of(work: Awaitable[object]) -> HrisError:
    with pytest.raises(HrisError) as raised:
        await work
    return raised.value


def bamboo_request(**changes: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": "7",
            "employeeId": "4",
            "status": {"status": "approved"},
            "start": MONDAY.isoformat(),
            "end": MONDAY.isoformat(),
            "type": {"id": "83"},
            "amount": {"unit": "hours", "amount": "8"},
            **changes,
        }
    ]


# -- BambooHR --------------------------------------------------------------------------------------------


async def test_bamboohr_a_404_without_its_words_ends_no_record_that_is_listed(
    vendor: Vendor, bamboo: Hris
) -> None:
    vendor.answers = {"PUT": GATEWAY, "GET": answer(bamboo_request())}
    for work in (
        bamboo.cancel(KEY, "7", "canceled in Genesys"),
        bamboo.update(KEY, 2, "7", SPEC, SHORTER, TYPE),
        bamboo.insert(KEY, 1, SPEC, TYPE),
    ):
        assert type(await error_of(work)) is OutcomeUnknown
    vendor.answers["GET"] = answer(bamboo_request(status={"status": "requested"}))
    assert type(await error_of(bamboo.update(KEY, 2, "7", PENDING, SPEC, TYPE))) is OutcomeUnknown


async def test_bamboohr_a_listing_and_no_404_tells_that_a_record_is_gone(
    vendor: Vendor, bamboo: Hris
) -> None:
    vendor.answers = {"PUT": GATEWAY, "GET": answer("[]")}
    assert await bamboo.cancel(KEY, "7", "") == Written("7")
    vendor.answers["GET"] = GATEWAY
    for work in (bamboo.cancel(KEY, "7", ""), bamboo.get("7", "4", MONDAY, MONDAY)):
        assert isinstance(await error_of(work), HrisError)


async def test_bamboohr_its_own_404_is_an_answer(vendor: Vendor, bamboo: Hris) -> None:
    own = answer("", 404, X_BambooHR_Error_Message="Employee not found")
    vendor.answers = {"PUT": own, "GET": own}
    assert type(await error_of(bamboo.insert(KEY, 1, SPEC, TYPE))) is NotFound
    assert type(await error_of(bamboo.balances("4", MONDAY))) is NotFound
    vendor.answers["GET"] = GATEWAY
    assert type(await error_of(bamboo.balances("4", MONDAY))) is RetryLater


@pytest.mark.parametrize("number", ENDLESS)
async def test_bamboohr_numbers_without_end_are_unreadable(vendor: Vendor, bamboo: Hris, number: str) -> None:
    body = json.dumps(bamboo_request(amount={"unit": "hours", "amount": 8})).replace(": 8}", f": {number}}}")
    assert number in body
    vendor.answers = {"GET": answer(body), "PUT": answer(f'{{"id": {number}}}', 201)}
    assert type(await error_of(bamboo.find(KEY, "4", MONDAY, MONDAY))) is RetryLater
    assert type(await error_of(bamboo.insert(KEY, 1, SPEC, TYPE))) is OutcomeUnknown
    row = f'[{{"timeOffType": "83", "units": "hours", "balance": {number}}}]'
    vendor.answers["GET"] = answer(row)
    assert type(await error_of(bamboo.balances("4", MONDAY))) is RetryLater


async def test_bamboohr_a_date_without_end_is_no_time_to_wait(vendor: Vendor, bamboo: Hris) -> None:
    vendor.answers["PUT"] = answer("", 429, Retry_After="Mon, 01 Jan 99999999999 00:00:00 GMT")
    refused = await error_of(bamboo.insert(KEY, 1, SPEC, TYPE))
    assert isinstance(refused, RetryLater)
    assert (refused.throttled, refused.retry_after) == (True, None)


async def test_bamboohr_no_note_comes_back_in_an_error(vendor: Vendor, bamboo: Hris) -> None:
    """Neither the one that is sent, nor the one there is, nor one that a person wrote; the class stays."""
    said = "No balance for 'Grippe'"
    vendor.answers = {
        "PUT": answer("", 400, X_BambooHR_Error_Message=said),
        "GET": answer(bamboo_request()),
    }
    for work in (
        bamboo.insert(KEY, 1, SPEC, TYPE),
        bamboo.update(KEY, 2, "7", replace(SPEC, note=None), replace(SHORTER, note="Grippe"), TYPE),
        bamboo.update(KEY, 2, "7", SPEC, SHORTER, TYPE),
        bamboo.cancel(KEY, "7", "canceled in Genesys"),
    ):
        refused = await error_of(work)
        assert type(refused) is InsufficientBalance
        assert "Grippe" not in str(refused)
    vendor.answers["GET"] = answer(bamboo_request(status={"status": "requested"}))
    refused = await error_of(
        bamboo.update(KEY, 2, "7", replace(PENDING, note=None), replace(SPEC, note=None), TYPE)
    )
    assert type(refused) is InsufficientBalance
    assert "Grippe" not in str(refused)
    shown = await error_of(bamboo.insert(KEY, 1, replace(SPEC, note="else"), TYPE))
    assert said in str(shown)


# -- the reference HRIS ----------------------------------------------------------------------------------


async def test_reference_a_404_of_a_gateway_is_no_absence(vendor: Vendor, reference: Hris) -> None:
    for body in ("<html>", {}, {"message": "no Route matched"}, {"error": "not found"}):
        vendor.answers = dict.fromkeys(("GET", "POST", "PATCH"), answer(body, 404))
        for work, error in (
            (reference.cancel(KEY, "7", ""), OutcomeUnknown),
            (reference.insert(KEY, 1, SPEC, TYPE), OutcomeUnknown),
            (reference.update(KEY, 2, "7", SPEC, SHORTER, TYPE), OutcomeUnknown),
            (reference.balances("4", MONDAY), RetryLater),
        ):
            assert type(await error_of(work)) is error
    vendor.answers["POST"] = answer({"error": {"code": "notFound", "message": "no such entry"}}, 404)
    assert await reference.cancel(KEY, "7", "") == Written("7")


@pytest.mark.parametrize("number", ENDLESS)
async def test_reference_numbers_without_end_are_unreadable(
    vendor: Vendor, reference: Hris, number: str
) -> None:
    row = f'{{"balances": [{{"typeId": "83", "unit": "hours", "amount": {number}}}]}}'
    days = f'"days": [{{"date": "{MONDAY}", "amount": {number}}}]'
    record = (
        f'{{"id": "7", "employeeId": "4", "typeId": "83", "unit": "hours", "status": "approved", {days}}}'
    )
    vendor.answers = {"GET": answer(row), "POST": answer(f'{{"id": {number}, "n": {number}}}', 400)}
    assert type(await error_of(reference.balances("4", MONDAY))) is RetryLater
    assert type(await error_of(reference.insert(KEY, 1, SPEC, TYPE))) is Rejected
    vendor.answers["GET"] = answer(f'{{"entries": [{record}]}}')
    assert type(await error_of(reference.find(KEY, "4", MONDAY, MONDAY))) is RetryLater


async def test_reference_no_note_comes_back_in_an_error(vendor: Vendor, reference: Hris) -> None:
    changed = replace(SHORTER, note="Grippe")
    for before in ("", "x" * 185):  # the second is cut within the note
        said = {"code": "overlap", "message": f"{before} 'Grippe' overlaps"}
        vendor.answers = dict.fromkeys(("POST", "PATCH"), answer({"error": said}, 409))
        for work in (
            reference.insert(KEY, 1, SPEC, TYPE),
            reference.update(KEY, 2, "7", SPEC, changed, TYPE),
        ):
            refused = await error_of(work)
            assert type(refused) is Conflict
            assert "Gri" not in str(refused)
    shown = await error_of(reference.insert(KEY, 1, replace(SPEC, note="else"), TYPE))
    assert str(shown).startswith("insert: 409 overlap xxx")

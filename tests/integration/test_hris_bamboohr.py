"""The BambooHR adapter against the sandbox's BambooHR: the conformance suite, and what is special to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from timeoff.errors import (
    AlreadyBegun,
    AuthFailed,
    Conflict,
    Forbidden,
    HrisError,
    InsufficientBalance,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
)
from timeoff.hris import units
from timeoff.hris.bamboohr import ADAPTER
from timeoff.hris.bamboohr.settings import BambooHrSettings
from timeoff.hris.port import BalanceKind, Hris, HrisEntry, TimeOffType, Unit, Written
from timeoff.testing.hris_harness import HrisHarness, new_key, seen, whole_days
from timeoff.testing.hris_suite import HrisSuite
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus
from timeoff_sandbox.bamboohr import BambooHrSandbox
from timeoff_sandbox.clock import Clock

HOURS = TimeOffType("83", "Vacation", Unit.HOURS)
NOTE = "Kniearthroskopie am linken Bein"


@dataclass
class Office:
    """The sandbox's BambooHR on loopback, with two people, and its admin side."""

    sandbox: BambooHrSandbox
    clock: Clock
    url: str
    admin: aiohttp.ClientSession

    def settings(self, **changes: Any) -> BambooHrSettings:
        values: dict[str, Any] = {
            "base_url": self.url,
            "api_key": self.sandbox.api_key,
            "read_lag": 0.5,
            "call_timeout": 5,
        }
        return BambooHrSettings(**values | changes)

    async def open(self, **changes: Any) -> Hris:
        return await ADAPTER.open(self.settings(**changes))

    async def fault(self, on: str, kind: str, **details: Any) -> None:
        rules = {"rules": [{"on": on, "kind": kind, **details}]}
        async with self.admin.post("/admin/hris/faults", json=rules, raise_for_status=True):
            pass

    async def entries(self) -> list[dict[str, Any]]:
        async with self.admin.get("/admin/hris/entries", raise_for_status=True) as response:
            return list((await response.json())["entries"])

    async def entry(self, vendor_id: str) -> dict[str, Any]:
        (found,) = (entry for entry in await self.entries() if entry["id"] == vendor_id)
        return found

    async def calls(self, operation: str) -> list[dict[str, Any]]:
        async with self.admin.get("/admin/hris/calls", raise_for_status=True) as response:
            return [call for call in (await response.json())["calls"] if call["operation"] == operation]

    async def by_hand(self, vendor_id: str, **edit: Any) -> None:
        async with self.admin.patch(f"/admin/hris/entries/{vendor_id}", json=edit, raise_for_status=True):
            pass


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    clock = Clock()
    sandbox = BambooHrSandbox(clock)
    sandbox.add_employee("401", "ann@example.com", "Ann Lee")
    sandbox.add_employee("402", "Bo@Example.com", "Bo Roe")
    app = web.Application()
    app.add_routes(sandbox.routes())
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    url = f"http://{host}:{port}"
    async with aiohttp.ClientSession(url) as admin:
        yield Office(sandbox, clock, url, admin)
    await runner.cleanup()


class BambooHarness(HrisHarness):
    def __init__(self, hris: Hris, office: Office) -> None:
        super().__init__(hris, employee_id="401", other_employee_id="402", hours_type="83", days_type="84")
        self.office = office

    async def lose_next_answer(self) -> None:
        await self.office.fault("create|status", "commit_then_drop")

    async def break_next_before_commit(self) -> None:
        await self.office.fault("create|status", "error_before_commit")

    async def throttle_next(self, seconds: float) -> None:
        await self.office.fault("any", "throttle", retryAfter=seconds)

    async def refuse_credentials(self) -> Hris:
        return await self.office.open(api_key="wrong")

    async def book_by_hand(
        self, employee_id: str, type_id: str, amounts: Mapping[date, Decimal], status: EntryStatus
    ) -> str:
        body = {
            "employeeId": employee_id,
            "typeId": type_id,
            "dates": {on.isoformat(): str(amount) for on, amount in amounts.items()},
            "status": str(status),
            "note": "booked at the desk",
        }
        async with self.office.admin.post(
            "/admin/hris/entries", json=body, raise_for_status=True
        ) as response:
            return str((await response.json())["id"])

    async def notes_of(self, vendor_id: str) -> str:
        entry = await self.office.entry(vendor_id)
        return "\n".join([*entry["notes"].values(), *entry["comments"]])

    async def live_records(self, employee_id: str, days: Sequence[date]) -> int:
        wanted = {day.isoformat() for day in days}
        return sum(
            entry["employeeId"] == employee_id
            and entry["status"] in ("approved", "requested")
            and not wanted.isdisjoint(entry["dates"])
            for entry in await self.office.entries()
        )


class TestConformance(HrisSuite):
    """With ids and amounts as strings, and reads that lag behind writes."""

    wire = "strings"
    lag_ms = 60

    @pytest.fixture
    async def harness(self, office: Office) -> AsyncIterator[HrisHarness]:
        office.sandbox.set_options({"wire": self.wire, "readLagMs": self.lag_ms})
        hris = await office.open()
        yield BambooHarness(hris, office)
        await hris.close()


class TestConformanceWithNumbers(TestConformance):
    """With JSON numbers, as the published specification has them."""

    wire = "numbers"
    lag_ms = 0


@pytest.fixture
async def harness(office: Office) -> AsyncIterator[BambooHarness]:
    hris = await office.open()
    yield BambooHarness(hris, office)
    await hris.close()


async def booked(
    harness: BambooHarness, status: EntryStatus = EntryStatus.APPROVED, first: date | None = None
) -> tuple[Written, EntrySpec, EntryKey]:
    week = [first + timedelta(days=n) for n in range(3)] if first else harness.week()
    spec = whole_days(harness, HOURS, week, status)
    key = new_key()
    return await harness.hris.insert(key, 1, spec, HOURS), spec, key


def longer(spec: EntrySpec) -> EntrySpec:
    return replace(spec, days=(*spec.days, Day(spec.last_day + timedelta(days=1), 480, whole=True)))


@pytest.mark.parametrize("form", ["gateway", "api", "full"])
async def test_both_forms_of_the_address_reach_the_company(office: Office, form: str) -> None:
    changes = {
        "gateway": {"company": "acme", "gateway": True},
        "api": {},
        "full": {"base_url": f"{office.url}/api/gateway.php/acme/v1/"},
    }[form]
    hris = await office.open(**changes)
    assert {e.email for e in await hris.list_employees()} == {"ann@example.com", "Bo@Example.com"}
    await hris.close()


async def test_the_mark_goes_into_the_managers_note_and_the_note_into_the_employees(
    harness: BambooHarness, office: Office
) -> None:
    spec = replace(whole_days(harness, HOURS, harness.week(), EntryStatus.APPROVED), note=f"{NOTE}\0")
    key = new_key()
    written = await harness.hris.insert(key, 3, spec, HOURS)
    assert (await office.entry(written.vendor_id))["notes"] == {
        "manager": f"[{key.marker} r3]",
        "employee": NOTE,
    }
    assert (await seen(harness, key, spec)).revision == 3


async def test_a_long_note_is_cut_and_named_as_lost(office: Office) -> None:
    hris = await office.open(note_limit=100)
    office.sandbox.set_options({"noteLimit": 100})
    harness = BambooHarness(hris, office)
    spec = replace(whole_days(harness, HOURS, harness.week(), EntryStatus.APPROVED), note="ä" * 1_048_576)
    written = await hris.insert(new_key(), 1, spec, HOURS)
    assert written.lost == ("note",)
    assert len((await office.entry(written.vendor_id))["notes"]["employee"]) == 100
    await hris.close()


async def test_days_that_round_to_nothing_are_not_sent(harness: BambooHarness, office: Office) -> None:
    friday, saturday, sunday, monday = (harness.week()[4] + timedelta(days=n) for n in range(4))
    minutes = {friday: 456, saturday: 0, sunday: 0, monday: 228}
    days = tuple(Day(on, amount, whole=True) for on, amount in minutes.items())
    spec = EntrySpec("401", "83", None, EntryStatus.APPROVED, days, "Europe/Berlin")
    written = await harness.hris.insert(new_key(), 1, spec, HOURS)
    assert (await office.entry(written.vendor_id))["dates"] == {
        friday.isoformat(): "7.60",
        monday.isoformat(): "3.80",
    }


@pytest.mark.parametrize("kind", ["commit_then_drop", "commit_then_500", "no_id", "error_before_commit"])
async def test_an_unclear_answer_to_a_create_is_unknown_and_sent_once(
    harness: BambooHarness, office: Office, kind: str
) -> None:
    await office.fault("create", kind)
    with pytest.raises(OutcomeUnknown):
        await booked(harness)
    assert len(await office.calls("create")) == 1


@pytest.mark.parametrize("kind", ["truncated", "no_location"])
async def test_a_201_with_half_of_its_answer_still_names_the_record(
    harness: BambooHarness, office: Office, kind: str
) -> None:
    await office.fault("create", kind)
    written, spec, key = await booked(harness)
    assert (await seen(harness, key, spec)).vendor_id == written.vendor_id


@pytest.mark.parametrize("kind", ["hang", "slow", "delay_then_commit"])
async def test_a_write_that_takes_too_long_is_unknown_within_the_promised_time(
    office: Office, kind: str
) -> None:
    hris = await office.open(call_timeout=0.4)
    harness = BambooHarness(hris, office)
    await office.fault("create", kind, seconds=3)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(OutcomeUnknown):
        await booked(harness)
    assert loop.time() - began < 0.4 + 1
    await office.admin.delete("/admin/hris/faults")
    await hris.close()


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("status", [429, 503])
async def test_both_ways_of_throttling_are_obeyed_on_writes(
    harness: BambooHarness, office: Office, status: int, form: str
) -> None:
    office.sandbox.set_options({"throttleStatus": status, "retryAfterForm": form})
    await office.fault("create|status", "throttle", retryAfter=7)
    with pytest.raises(RetryLater) as raised:
        await booked(harness)
    assert raised.value.throttled
    assert raised.value.retry_after == pytest.approx(7, abs=1.5)
    assert await office.entries() == []


async def test_a_cancelled_record_can_be_cancelled_again_whatever_bamboohr_answers(
    harness: BambooHarness, office: Office
) -> None:
    written, _, key = await booked(harness)
    for answer in (403, 200):
        office.sandbox.set_options({"cancelAgain": answer})
        for _ in range(2):
            assert (await harness.hris.cancel(key, written.vendor_id, "withdrawn")) == written


async def test_a_cancel_of_a_replaced_record_points_to_its_successor(harness: BambooHarness) -> None:
    """Taking it for done would leave the successor live."""
    written, spec, key = await booked(harness)
    await harness.hris.update(key, 2, written.vendor_id, spec, longer(spec), HOURS)
    with pytest.raises(NotFound) as raised:
        await harness.hris.cancel(key, written.vendor_id, "withdrawn")
    assert raised.value.what == "request"


async def test_leave_that_has_begun_is_named_so_by_update_and_cancel(harness: BambooHarness) -> None:
    written, spec, key = await booked(harness, first=datetime.now(UTC).date() - timedelta(days=1))
    with pytest.raises(AlreadyBegun):
        await harness.hris.update(key, 2, written.vendor_id, spec, longer(spec), HOURS)
    with pytest.raises(AlreadyBegun):
        await harness.hris.cancel(key, written.vendor_id, "withdrawn")


async def test_a_refused_update_of_future_leave_is_not_called_begun(
    harness: BambooHarness, office: Office
) -> None:
    written, spec, key = await booked(harness)
    other = replace(longer(spec), type_id="999")
    with pytest.raises(HrisError) as raised:
        await harness.hris.update(key, 2, written.vendor_id, spec, other, HOURS)
    assert not isinstance(raised.value, AlreadyBegun | NotFound)
    assert (await office.entry(written.vendor_id))["status"] == "approved"


async def test_a_predecessor_replaced_a_moment_ago_is_not_called_begun(
    harness: BambooHarness, office: Office
) -> None:
    """The listing still shows it live; calling future leave begun would book added days a second time."""
    office.sandbox.set_options({"readLagMs": 400})
    written, spec, key = await booked(harness)
    await seen(harness, key, spec)
    await harness.hris.update(key, 2, written.vendor_id, spec, longer(spec), HOURS)
    with pytest.raises(Rejected) as raised:
        await harness.hris.update(key, 3, written.vendor_id, spec, longer(spec), HOURS)
    assert not isinstance(raised.value, AlreadyBegun)


async def test_an_approval_happens_in_place(harness: BambooHarness, office: Office) -> None:
    written, spec, key = await booked(harness, EntryStatus.REQUESTED)
    approved = replace(spec, status=EntryStatus.APPROVED)
    updated = await harness.hris.update(key, 2, written.vendor_id, spec, approved, HOURS)
    assert updated.vendor_id == written.vendor_id
    assert (await office.entry(written.vendor_id))["status"] == "approved"
    assert len(await office.entries()) == 1
    # Again, as after a lost answer: BambooHR refuses, the state says that it is done.
    assert (await harness.hris.update(key, 2, written.vendor_id, spec, approved, HOURS)) == updated


async def test_an_approval_of_what_a_person_cancelled_approves_nothing(
    harness: BambooHarness, office: Office
) -> None:
    written, spec, key = await booked(harness, EntryStatus.REQUESTED)
    await office.by_hand(written.vendor_id, status="canceled")
    with pytest.raises(NotFound):
        await harness.hris.update(
            key, 2, written.vendor_id, spec, replace(spec, status=EntryStatus.APPROVED), HOURS
        )
    assert (await office.entry(written.vendor_id))["status"] == "canceled"


async def test_an_approval_with_other_days_replaces(harness: BambooHarness, office: Office) -> None:
    written, spec, key = await booked(harness, EntryStatus.REQUESTED)
    changed = replace(longer(spec), status=EntryStatus.APPROVED)
    updated = await harness.hris.update(key, 2, written.vendor_id, spec, changed, HOURS)
    assert updated.vendor_id != written.vendor_id
    assert (await office.entry(written.vendor_id))["supersededBy"] == updated.vendor_id


async def test_a_record_that_a_person_moved_is_still_seen_by_its_id(
    harness: BambooHarness, office: Office
) -> None:
    written, spec, _ = await booked(harness)
    moved = spec.last_day + timedelta(days=100)
    await office.by_hand(written.vendor_id, dates={moved.isoformat(): "8"})
    entry = await harness.hris.get(written.vendor_id, "401", spec.first_day, spec.last_day)
    assert isinstance(entry, HrisEntry)
    assert entry.amounts == {moved: Decimal(8)}


async def test_one_listing_serves_many_employees(harness: BambooHarness, office: Office) -> None:
    _, spec, _ = await booked(harness)
    before = len(await office.calls("list"))
    await harness.hris.list_entries(spec.first_day, spec.last_day, {"401", "402"})
    assert len(await office.calls("list")) == before + 1
    # Several people are one listing of everybody; who was not asked for is left out of it.
    assert await harness.hris.list_entries(spec.first_day, spec.last_day, {"402", "403"}) == []


async def test_overlap_and_balance_have_classes_of_their_own(harness: BambooHarness, office: Office) -> None:
    _, spec, _ = await booked(harness)
    office.sandbox.set_options({"rejectOverlap": True})
    with pytest.raises(Conflict):
        await harness.hris.insert(new_key(), 1, spec, HOURS)
    office.sandbox.set_options({"rejectOverlap": False, "rejectInsufficient": True})
    year = tuple(Day(spec.first_day + timedelta(days=n), 1440, whole=True) for n in range(200))
    with pytest.raises(InsufficientBalance):
        await harness.hris.insert(new_key(), 1, replace(spec, days=year), HOURS)


async def test_a_wrong_key_stops_and_a_lock_out_is_told_apart(office: Office) -> None:
    office.sandbox.set_options({"lockout": {"attempts": 2, "seconds": 60}})
    wrong = await office.open(api_key="wrong")
    with pytest.raises(AuthFailed):
        await wrong.list_time_off_types()
    assert "401" in (await wrong.health()).detail
    good = await office.open()
    health = await good.health()
    assert (health.reachable, health.authenticated) == (True, False)
    assert "403" in health.detail
    assert "locked out" in health.detail
    with pytest.raises(Forbidden):
        await good.list_time_off_types()
    await wrong.close()
    await good.close()


async def test_a_throttled_probe_does_not_pass_for_healthy(harness: BambooHarness, office: Office) -> None:
    await office.fault("health", "throttle", retryAfter=5)
    health = await harness.hris.health()
    assert (health.reachable, health.authenticated) == (False, False)


async def test_nothing_listens_there_so_nothing_was_written(unused_tcp_port: int) -> None:
    hris = await ADAPTER.open(BambooHrSettings(base_url=f"http://127.0.0.1:{unused_tcp_port}", api_key="k"))
    spec = EntrySpec(
        "401", "83", None, EntryStatus.APPROVED, (Day(date(2030, 1, 7), 480, whole=True),), "UTC"
    )
    with pytest.raises(RetryLater) as raised:
        await hris.insert(new_key(), 1, spec, HOURS)
    assert not raised.value.throttled
    assert not (await hris.health()).reachable
    await hris.close()


async def test_missing_permission_to_the_directory_is_named(harness: BambooHarness, office: Office) -> None:
    office.sandbox.set_options({"apiKeys": {office.sandbox.api_key: {"directory": False}}})
    with pytest.raises(Forbidden, match="directory"):
        await harness.hris.list_employees()


async def test_half_days_of_a_day_type_follow_the_companys_hours(harness: BambooHarness) -> None:
    (days,) = (t for t in await harness.hris.list_time_off_types() if t.id == "84")
    assert days.unit is Unit.DAYS
    assert days.day_minutes == dict.fromkeys(range(1, 6), 480)
    monday = harness.week()[0]
    assert units.amount(Day(monday, 240, whole=False), days) == Decimal("0.5")


async def test_a_balance_is_that_of_the_date_asked_for(harness: BambooHarness) -> None:
    """Accruals until then are added, approved leave until then is taken off: past exact, future projected."""
    _, spec, _ = await booked(harness)
    today = datetime.now(UTC).date()
    before = spec.first_day - timedelta(days=1)
    left = {}
    for on in (today, before, spec.first_day):
        (vacation,) = (each for each in await harness.hris.balances("401", on) if each.type_id == "83")
        assert (vacation.unit, vacation.on, vacation.unlimited) == (Unit.HOURS, on, False)
        assert vacation.kind is (BalanceKind.EXACT if on == today else BalanceKind.PROJECTED)
        left[on] = vacation.amount
    assert left[before] is not None
    accrued = Decimal("16.25") if spec.first_day.day == 1 else Decimal(0)
    assert left[spec.first_day] == left[before] + accrued - 8


async def test_a_type_without_a_limit_has_no_figure(harness: BambooHarness) -> None:
    """BambooHR shows 0 or less for it and refuses nothing: a number would be taken for a balance."""
    balances = {each.type_id: each for each in await harness.hris.balances("401", date(2030, 6, 1))}
    assert balances.keys() == {"83", "84", "85"}
    assert (balances["85"].amount, balances["85"].unlimited) == (None, True)
    assert (balances["84"].amount, balances["84"].unit) == (Decimal(10), Unit.DAYS)


async def test_balances_that_may_not_be_seen_are_no_empty_answer(
    harness: BambooHarness, office: Office
) -> None:
    for unknown in ("999", "0", "../401"):
        with pytest.raises(NotFound) as raised:
            await harness.hris.balances(unknown, date(2030, 6, 1))
        assert raised.value.what == "employee"
    office.sandbox.set_options({"apiKeys": {office.sandbox.api_key: {"calculator": False}}})
    with pytest.raises(Forbidden):
        await harness.hris.balances("401", date(2030, 6, 1))

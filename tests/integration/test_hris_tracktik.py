"""The TrackTik adapter against the real leave service behind the recording proxy: the conformance suite, and
what is special to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.support.leave import ADMINISTRATOR, CLIENT_ID, CLIENT_SECRET, PASSWORD, Leave, served

from timeoff.errors import (
    AuthFailed,
    Conflict,
    HrisError,
    InsufficientBalance,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Unsupported,
)
from timeoff.hris.port import BalanceKind, Hris, TimeOffType, Unit
from timeoff.hris.tracktik import ADAPTER
from timeoff.hris.tracktik.settings import TrackTikSettings
from timeoff.testing.hris_harness import HrisHarness, new_key, seen, whole_days
from timeoff.testing.hris_suite import HrisSuite
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus
from timeoff_sandbox.proxy import RecordingProxy

#: A path below it, so that the token call is never what a test spoils.
WRITES = "POST|PATCH /leave-requests"
#: All of the suite's weeks lie in the period that the service's clock stands in, and in New York.
FIRST_DAY = date(2023, 4, 3)
VACATION = TimeOffType("10", "Vacation", Unit.MINUTES, step=Decimal(1))
NOTE = "Kniearthroskopie am linken Bein"
ZONE = "America/New_York"


@dataclass
class Office:
    """The service with two people on one policy, the proxy before it, and the way around both."""

    leave: Leave
    proxy: RecordingProxy
    policy: int
    items: list[int]

    def settings(self, **changes: Any) -> TrackTikSettings:
        values: dict[str, Any] = {
            "base_url": self.proxy.url,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "username": ADMINISTRATOR,
            "password": PASSWORD,
            "read_lag": 0.05,
            "call_timeout": 5,
            "read_timeout": 4,
        }
        return TrackTikSettings(**values | changes)

    async def open(self, **changes: Any) -> Hris:
        return await ADAPTER.open(self.settings(**changes))

    async def record(self, vendor_id: str) -> dict[str, Any]:
        return dict(await self.leave.get(f"/leave-requests/{vendor_id}"))

    async def records(self, employee_id: str = "1404") -> list[dict[str, Any]]:
        """The ground truth, from the tables."""
        rows = await self.leave.context.pool.fetch(
            """SELECT r.id, r.custom_id, r.status, d.on_date FROM leave_requests r
               JOIN leave_request_days d ON d.leave_request = r.id WHERE r.employee = $1""",
            int(employee_id),
        )
        return [dict(row) for row in rows]

    def writes(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.proxy.calls.of(WRITES)]


@asynccontextmanager
async def an_office(database_url: str, *, envelope: bool = False, **settings: Any) -> AsyncIterator[Office]:
    """`leave` answers bare; where answers are to be wrapped, the adapter talks to another replica."""
    async with AsyncExitStack() as stack:
        leave = await stack.enter_async_context(served(database_url, **settings))
        items = [await leave.item(leaveType=type_, quantity=200) for type_ in (8, 10)]
        policy = await leave.policy(items=items)
        for id_, email in ((1404, "ann@example.com"), (1441, "")):
            await leave.employee(id_, email=email)
        await leave.assign(policy, 1404, 1441)
        face = leave
        if envelope:
            face = await stack.enter_async_context(served(database_url, envelope=True, **settings))
        proxy = RecordingProxy(face.url)
        await proxy.start()
        stack.push_async_callback(proxy.stop)
        yield Office(leave, proxy, policy, items)


@pytest.fixture
async def office(database_url: str) -> AsyncIterator[Office]:
    async with an_office(database_url) as running:
        yield running


class TrackTikHarness(HrisHarness):
    def __init__(self, hris: Hris, office: Office) -> None:
        super().__init__(
            hris,
            employee_id="1404",
            other_employee_id="1441",
            hours_type="10",
            days_type=None,
            first_day=FIRST_DAY,
        )
        self.office = office

    async def lose_next_answer(self) -> None:
        self.office.proxy.spoil(WRITES, "commit_then_drop")

    async def break_next_before_commit(self) -> None:
        self.office.proxy.spoil(WRITES, "error_before_commit")

    async def throttle_next(self, seconds: float) -> None:
        self.office.proxy.spoil("any", "throttle", retry_after=seconds)

    async def refuse_credentials(self) -> Hris:
        return await self.office.open(password="wrong")

    async def book_by_hand(
        self, employee_id: str, type_id: str, amounts: Mapping[date, Decimal], status: EntryStatus
    ) -> str:
        body = {
            "employee": int(employee_id),
            "leaveType": int(type_id),
            "startDate": min(amounts),
            "endDate": max(amounts),
            "days": [{"date": on, "minutes": int(minutes)} for on, minutes in amounts.items()],
            "status": {EntryStatus.APPROVED: "APPROVED", EntryStatus.REQUESTED: "PENDING"}[status],
            "reason": "booked at the desk",
        }
        return str((await self.office.leave.post("/leave-requests", body))["id"])

    async def notes_of(self, vendor_id: str) -> str:
        return str((await self.office.record(vendor_id))["reason"] or "")

    async def live_records(self, employee_id: str, days: Sequence[date]) -> int:
        rows = await self.office.records(employee_id)
        wanted = set(days)
        live = {r["id"] for r in rows if r["on_date"] in wanted and r["status"] in ("PENDING", "APPROVED")}
        return len(live)

    async def forget_balance_of(self, type_id: str) -> None:
        """Off the policy, and its records away: that is how a portal looks which never had any."""
        office = self.office
        path = f"/leave-policies/{office.policy}/actions/unassign-leave-policy-items"
        await office.leave.post(path, {"leavePolicyItemsIds": office.items})
        async with office.leave.context.transaction() as connection:
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("DELETE FROM postings WHERE leave_type = $1", int(type_id))


class TestConformance(HrisSuite):
    """With bare records and lists, as the help centre shows them."""

    envelope = False

    @pytest.fixture
    async def harness(self, database_url: str) -> AsyncIterator[HrisHarness]:
        async with an_office(database_url, envelope=self.envelope) as office:
            hris = await office.open()
            yield TrackTikHarness(hris, office)
            await hris.close()


class TestConformanceInAnEnvelope(TestConformance):
    """With `meta` and `data` around them, as portals answer."""

    envelope = True


@pytest.fixture
async def harness(office: Office) -> AsyncIterator[TrackTikHarness]:
    hris = await office.open()
    yield TrackTikHarness(hris, office)
    await hris.close()


async def booked(
    harness: TrackTikHarness, status: EntryStatus = EntryStatus.APPROVED, **changes: Any
) -> tuple[str, EntrySpec, EntryKey]:
    spec = replace(whole_days(harness, VACATION, harness.week(), status), zone=ZONE, **changes)
    key = new_key()
    written = await harness.hris.insert(key, 1, spec, VACATION)
    return written.vendor_id, spec, key


async def error_of(work: object) -> HrisError:
    with pytest.raises(HrisError) as raised:
        await work  # type: ignore[misc]
    return raised.value


async def test_people_and_types_are_read(harness: TrackTikHarness) -> None:
    people = {each.id: each.email for each in await harness.hris.list_employees()}
    assert people == {"1404": "ann@example.com", "1441": None}
    types = {each.id: each for each in await harness.hris.list_time_off_types()}
    assert types["10"] == VACATION
    assert len(types) == 11


async def test_people_who_left_and_types_put_away_are_left_out(
    harness: TrackTikHarness, office: Office
) -> None:
    await office.leave.patch("/employees/1441", {"status": "TERMINATED"})
    await office.leave.post("/leave-types/8/actions/archive")
    assert [each.id for each in await harness.hris.list_employees()] == ["1404"]
    assert "8" not in {each.id for each in await harness.hris.list_time_off_types()}


@pytest.mark.parametrize("envelope", [False, True])
async def test_a_list_of_many_pages_is_whole(database_url: str, envelope: bool) -> None:
    async with an_office(database_url, envelope=envelope) as office:
        await office.leave.context.pool.execute(
            "INSERT INTO employees (first_name, last_name, region, status)"
            " SELECT 'Ann', 'Lee', 1, 'ACTIVE' FROM generate_series(1, 95)"
        )
        hris = await office.open(page_size=10)
        people = await hris.list_employees()
        assert len({each.id for each in people}) == len(people) == 97
        await hris.close()


async def test_the_key_is_the_customid_and_the_note_the_reason(
    harness: TrackTikHarness, office: Office
) -> None:
    vendor_id, spec, key = await booked(harness, note=f"{NOTE}\0")
    record = await office.record(vendor_id)
    assert record["customId"] == f"{key.request_id}/1"
    assert (record["reason"], record["status"], record["startDateTime"]) == (NOTE, "APPROVED", None)
    assert [(day["date"], day["minutes"]) for day in record["days"]] == [
        (day.date.isoformat(), 480) for day in spec.days
    ]
    assert record["totalDays"] == 3


async def test_a_start_is_kept_and_a_whole_day_has_none_any_more(
    harness: TrackTikHarness, office: Office
) -> None:
    monday = harness.week()[0]
    part = Day(monday, 97, whole=False, start=time(13, 30))
    spec = EntrySpec("1404", "10", None, EntryStatus.APPROVED, (part,), ZONE)
    key = new_key()
    written = await harness.hris.insert(key, 1, spec, VACATION)
    assert written.lost == ()
    assert (await office.record(written.vendor_id))["startDateTime"] == f"{monday}T13:30:00"
    whole = replace(spec, days=(Day(monday, 480, whole=True),))
    await harness.hris.update(key, 2, written.vendor_id, spec, whole, VACATION)
    assert (await office.record(written.vendor_id))["startDateTime"] is None
    assert (await harness.hris.update(key, 3, written.vendor_id, whole, spec, VACATION)).lost == ()


async def test_a_long_note_is_cut_and_named_as_lost(harness: TrackTikHarness, office: Office) -> None:
    spec = replace(
        whole_days(harness, VACATION, harness.week(), EntryStatus.APPROVED), zone=ZONE, note="ä" * 100_000
    )
    written = await harness.hris.insert(new_key(), 1, spec, VACATION)
    assert written.lost == ("note",)
    assert (await office.record(written.vendor_id))["reason"] == "ä" * 255


async def test_a_repeat_after_an_unknown_outcome_makes_no_second_record(
    harness: TrackTikHarness, office: Office
) -> None:
    """Whatever the core does: the key is unique, also when the first answer never came."""
    spec = whole_days(harness, VACATION, harness.week(), EntryStatus.APPROVED)
    key = new_key()
    for kind in ("commit_then_drop", "commit_then_500", "truncated"):
        office.proxy.spoil(WRITES, kind)
        refused = await error_of(harness.hris.insert(key, 1, spec, VACATION))
        assert isinstance(refused, OutcomeUnknown | Conflict)
        office.proxy.faults.clear()
    assert isinstance(await error_of(harness.hris.insert(key, 1, spec, VACATION)), Conflict)
    assert len({row["id"] for row in await office.records()}) == 1
    # After a cancel too the key stays used: what is approved again is a new booking.
    entry = await seen(harness, key, spec)
    await harness.hris.cancel(key, entry.vendor_id, "canceled in Genesys")
    assert isinstance(await error_of(harness.hris.insert(key, 1, spec, VACATION)), Conflict)
    await harness.hris.insert(replace(key, booking=2), 1, spec, VACATION)


async def test_no_call_is_made_twice_whatever_happens_to_it(harness: TrackTikHarness, office: Office) -> None:
    vendor_id, spec, key = await booked(harness, EntryStatus.REQUESTED)
    shorter = replace(spec, days=spec.days[:1])
    for kind in ("error_before_commit", "unavailable", "commit_then_drop", "throttle"):
        before = len(office.writes())
        works = (
            harness.hris.insert(
                new_key(), 1, whole_days(harness, VACATION, harness.week(), EntryStatus.APPROVED), VACATION
            ),
            harness.hris.update(key, 2, vendor_id, spec, shorter, VACATION),
        )
        for work in works:
            office.proxy.spoil(WRITES, kind)
            await error_of(work)
        assert len(office.writes()) == before + 2, kind


async def test_an_approval_never_revives_what_a_person_declined(
    harness: TrackTikHarness, office: Office
) -> None:
    vendor_id, spec, key = await booked(harness, EntryStatus.REQUESTED)
    await office.leave.post(f"/leave-requests/{vendor_id}/actions/decline", {})
    approved = replace(spec, status=EntryStatus.APPROVED)
    refused = await error_of(harness.hris.update(key, 2, vendor_id, spec, approved, VACATION))
    assert isinstance(refused, NotFound)
    assert (await office.record(vendor_id))["status"] == "DECLINED"
    # A cancel of it has nothing left to do.
    assert (await harness.hris.cancel(key, vendor_id, "")).effective


async def test_a_change_of_what_a_person_ended_is_not_found(harness: TrackTikHarness, office: Office) -> None:
    for action in ("cancel", "decline"):
        vendor_id, spec, key = await booked(harness)
        await office.leave.post(f"/leave-requests/{vendor_id}/actions/{action}", {})
        refused = await error_of(
            harness.hris.update(key, 2, vendor_id, spec, replace(spec, days=spec.days[:1]), VACATION)
        )
        assert isinstance(refused, NotFound)
        assert refused.what == "request"


async def test_a_change_of_days_while_pending_and_its_approval_are_two_writes(
    harness: TrackTikHarness, office: Office
) -> None:
    vendor_id, spec, key = await booked(harness, EntryStatus.REQUESTED)
    both = replace(spec, days=spec.days[:1], status=EntryStatus.APPROVED)
    refused = await error_of(harness.hris.update(key, 2, vendor_id, spec, both, VACATION))
    assert isinstance(refused, Unsupported)
    shorter = replace(spec, days=spec.days[:1])
    await harness.hris.update(key, 2, vendor_id, spec, shorter, VACATION)
    await harness.hris.update(key, 3, vendor_id, shorter, both, VACATION)
    record = await office.record(vendor_id)
    assert (record["status"], len(record["days"])) == ("APPROVED", 1)
    assert office.writes() == [
        "POST /rest/v1/leave-requests",
        f"PATCH /rest/v1/leave-requests/{vendor_id}",
        f"POST /rest/v1/leave-requests/{vendor_id}/actions/approve",
    ]


async def test_the_type_can_change_in_place(harness: TrackTikHarness, office: Office) -> None:
    vendor_id, spec, key = await booked(harness)
    await harness.hris.update(key, 2, vendor_id, spec, replace(spec, type_id="8"), VACATION)
    assert (await office.record(vendor_id))["leaveType"] == 8


async def test_what_the_service_refuses_has_its_class(database_url: str) -> None:
    async with an_office(database_url, enforce_balance=True) as office:
        harness = TrackTikHarness(await office.open(), office)
        _, spec, key = await booked(harness)
        sabbatical = tuple(Day(spec.first_day + timedelta(days=7 + n), 480, whole=True) for n in range(220))
        stranger = await office.leave.employee(2000)
        for changed, error in (
            (spec, Conflict),
            (replace(spec, days=sabbatical), InsufficientBalance),
            (replace(spec, employee_id=str(stranger)), Rejected),
            (replace(spec, employee_id="987654321"), NotFound),
            (replace(spec, type_id="9"), Rejected),
        ):
            refused = await error_of(harness.hris.insert(new_key(), 1, changed, VACATION))
            assert type(refused) is error, refused
        other, *_ = await booked(harness)
        overlapping = await error_of(harness.hris.update(key, 2, other, spec, spec, VACATION))
        assert isinstance(overlapping, Conflict)
        await harness.hris.close()


async def test_a_record_that_a_person_moved_is_still_seen_by_its_id(
    harness: TrackTikHarness, office: Office
) -> None:
    vendor_id, spec, key = await booked(harness)
    moved = spec.last_day + timedelta(days=100)
    await office.leave.patch(
        f"/leave-requests/{vendor_id}",
        {"startDate": moved, "endDate": moved, "days": [{"date": moved, "minutes": 60}]},
    )
    entry = await harness.hris.get(vendor_id, "1404", spec.first_day, spec.last_day)
    assert entry is not None
    assert (entry.amounts, entry.marker) == ({moved: Decimal(60)}, key.marker)


async def test_a_record_of_a_lost_answer_that_a_person_moved_is_found_by_its_key(
    harness: TrackTikHarness, office: Office
) -> None:
    spec = replace(whole_days(harness, VACATION, harness.week(), EntryStatus.APPROVED), zone=ZONE)
    key = new_key()
    office.proxy.spoil(WRITES, "commit_then_drop")
    assert isinstance(await error_of(harness.hris.insert(key, 1, spec, VACATION)), OutcomeUnknown)
    (vendor_id,) = {row["id"] for row in await office.records()}
    moved = spec.last_day + timedelta(days=100)
    await office.leave.patch(
        f"/leave-requests/{vendor_id}",
        {"startDate": moved, "endDate": moved, "days": [{"date": moved, "minutes": 60}]},
    )
    (entry,) = (await harness.hris.find(key, "1404", spec.first_day, spec.last_day)).entries
    assert (entry.vendor_id, entry.marker) == (str(vendor_id), key.marker)
    assert entry.amounts == {moved: Decimal(60)}
    # Another key, another record: there is none.
    assert (await harness.hris.find(new_key(), "1404", spec.first_day, spec.last_day)).entries == ()


# -- access ----------------------------------------------------------------------------------------------


async def test_a_wrong_password_costs_one_login(office: Office) -> None:
    hris = await office.open(password="wrong")
    for _ in range(20):
        assert isinstance(await error_of(hris.list_employees()), AuthFailed)
    health = await hris.health()
    assert (health.reachable, health.authenticated) == (True, False)
    assert len(office.proxy.calls.of("POST /access_token")) == 1
    await hris.close()


async def test_tokens_that_end_are_renewed_once_for_all_callers(database_url: str) -> None:
    async with an_office(database_url, token_lifetime=3600) as office:
        hris = await office.open()
        await hris.list_employees()
        # The service's clock moves, the adapter's does not: it learns of the end by a 401.
        await office.leave.turn(datetime.fromisoformat("2023-03-26T14:00"))
        await asyncio.gather(*(hris.list_time_off_types() for _ in range(10)))
        assert len(office.proxy.calls.of("POST /access_token")) == 2
        await hris.close()


async def test_nobody_is_shown_beyond_the_accounts_region(office: Office) -> None:
    west = await office.leave.region("West")
    await office.leave.employee(3000, west)
    await office.leave.account("clerk", west)
    hris = await office.open(username="clerk")
    assert [each.id for each in await hris.list_employees()] == ["3000"]
    spec = EntrySpec("1404", "10", None, EntryStatus.APPROVED, (Day(FIRST_DAY, 480, whole=True),), ZONE)
    refused = await error_of(hris.insert(new_key(), 1, spec, VACATION))
    assert isinstance(refused, NotFound)
    assert refused.what == "employee"
    assert await hris.balances("1404", FIRST_DAY) == []
    await hris.close()


# -- balances --------------------------------------------------------------------------------------------


async def test_a_balance_counts_what_is_pending_and_is_of_its_period(
    harness: TrackTikHarness, office: Office
) -> None:
    async def left(on: date) -> dict[str, Decimal | None]:
        rows = await harness.hris.balances("1404", on)
        assert all((row.unit, row.kind, row.on) == (Unit.MINUTES, BalanceKind.EXACT, on) for row in rows)
        return {row.type_id: row.amount for row in rows}

    full = Decimal(200 * 480)
    assert await left(FIRST_DAY) == {"8": full, "10": full}
    await booked(harness, EntryStatus.REQUESTED)
    vendor_id, _, key = await booked(harness)
    assert await left(FIRST_DAY) == {"8": full, "10": full - 6 * 480}
    await harness.hris.cancel(key, vendor_id, "")
    assert await left(FIRST_DAY) == {"8": full, "10": full - 3 * 480}
    # Nothing is known of a period before its first need.
    assert await left(date(2024, 6, 1)) == {}
    path = f"/leave-policies/{office.policy}/actions/update-balance"
    await office.leave.post(path, {"employee": 1404, "leaveType": 10, "days": 0, "hours": 4})
    assert (await left(FIRST_DAY))["10"] == 240 - 3 * 480


async def test_reading_balances_costs_three_calls_and_then_two(
    harness: TrackTikHarness, office: Office
) -> None:
    await harness.hris.health()
    for calls in (3, 2):
        before = len(office.proxy.calls.of("GET /"))
        await harness.hris.balances("1404", FIRST_DAY)
        assert len(office.proxy.calls.of("GET /")) == before + calls

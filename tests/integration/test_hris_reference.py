"""The reference adapter against the sandbox's reference HRIS: the conformance suite in every mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest
from tests.support.reference_sandbox import (
    MODES,
    Mode,
    ReferenceHarness,
    ReferenceOffice,
    running_reference,
)

from timeoff.errors import (
    AuthFailed,
    Conflict,
    InsufficientBalance,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Unsupported,
)
from timeoff.hris import units
from timeoff.hris.port import BalanceKind, Hris, HrisEntry, TimeOffType, Unit
from timeoff.hris.reference import wire
from timeoff.hris.registry import adapter
from timeoff.testing.hris_harness import HrisHarness, new_key, seen, until, whole_days
from timeoff.testing.hris_suite import HrisSuite
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus
from timeoff_sandbox.app import Options

HOURS = TimeOffType("83", "Vacation", Unit.HOURS)
NOTE = "Kniearthroskopie am linken Bein"
#: Each value of each capability at least once, with keys that it is special with.
CONFORMING = (
    "in_place",
    "in_place_upsert",
    "in_place_status_alone",
    "replace_new_id_unique",
    "cancel_and_create",
    "delete_searchable",
    "counter_entry",
    "counter_entry_unique",
    "counter_entry_in_place",
    "entry_per_day",
    "accepted_later",
    "accepted_later_unique",
    "accepted_later_counter",
    "no_update",
    "no_cancel",
    "current_balances",
    "period_balances",
    "no_balances",
)


def quick(mode: Mode) -> Mode:
    """The same with shorter times: the suite waits for every write to show."""
    return replace(mode, read_lag=0.02, delay=min(mode.delay, 0.02))


@pytest.mark.parametrize("mode", CONFORMING)
class TestConformance(HrisSuite):
    @pytest.fixture
    async def harness(self, mode: str) -> AsyncIterator[HrisHarness]:
        async with running_reference(quick(MODES[mode])) as office:
            hris = await office.open()
            yield ReferenceHarness(hris, office, ["101", "102"])
            await hris.close()


class Desk:
    """One HRIS of a kind, its adapter, and requests for it."""

    def __init__(self, office: ReferenceOffice, hris: Hris) -> None:
        self.office = office
        self.hris = hris
        self.harness = ReferenceHarness(hris, office, ["101", "102"])

    def spec(self, days: int = 2, status: EntryStatus = EntryStatus.APPROVED) -> EntrySpec:
        return whole_days(self.harness, HOURS, self.harness.week()[:days], status)

    async def insert(self, spec: EntrySpec, key: EntryKey | None = None) -> str:
        return (await self.hris.insert(key or new_key(), 1, spec, HOURS)).vendor_id

    async def found(self, spec: EntrySpec, key: EntryKey | None = None) -> dict[str, HrisEntry]:
        found = await self.hris.find(key or new_key(), spec.employee_id, spec.first_day, spec.last_day)
        return {entry.vendor_id: entry for entry in found.entries}


@pytest.fixture
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    """Of the kind that the test names; its reads do not lag."""
    mode: Mode = getattr(request, "param", Mode())
    async with running_reference(replace(mode, more={"readLagMs": 0, **mode.more})) as office:
        hris = await office.open()
        yield Desk(office, hris)
        await hris.close()


def kind(delay: float = 0.0, **settings: object) -> pytest.MarkDecorator:
    mode = Mode(settings, delay=delay)
    return pytest.mark.parametrize("desk", [mode], indirect=True, ids=[" ".join(map(str, settings.values()))])


async def test_the_adapter_is_found_by_its_name() -> None:
    assert adapter("reference").name == "reference"


async def test_every_mode_declares_what_it_is_called() -> None:
    """A mode whose sandbox and adapter disagree would test nothing."""
    seen_values = set()
    for mode in MODES.values():
        async with running_reference(mode) as office:
            offered = office.settings().capabilities
            shown = office.reference.options()
        assert shown["externalKey"] == offered.external_key
        assert shown["update"].lower() == offered.update_mode.replace("_", "")
        assert shown["cancel"].lower() == offered.cancel_mode.replace("_", "")
        assert shown["balance"].lower() == offered.balance_as_of.replace("_", "")
        assert shown["entryPerDay"] is offered.entry_per_day
        assert shown["statusWithDays"] is offered.status_with_days
        assert (shown["acceptedLater"] > 0) is (offered.effective_within > shown["acceptedLater"])
        assert shown["readLagMs"] / 1000 < offered.read_lag
        seen_values |= {offered.external_key, offered.update_mode, offered.cancel_mode}
        seen_values |= {offered.balance_as_of, offered.partial_day}
    every = {*type(offered.external_key), *type(offered.update_mode), *type(offered.cancel_mode)}
    assert every | {*type(offered.balance_as_of), *type(offered.partial_day)} == seen_values


# -- keys ---------------------------------------------------------------------------------------------


async def test_without_keys_a_second_insert_makes_a_second_record(desk: Desk) -> None:
    """The danger that marks and looking are there for; a sandbox without it would judge nothing."""
    spec, key = desk.spec(), new_key()
    first, second = await desk.insert(spec, key), await desk.insert(spec, key)
    assert first != second
    assert [each["key"] for each in desk.office.live()] == [None, None]


@kind(external_key="searchable")
async def test_a_searchable_key_guards_nothing(desk: Desk) -> None:
    spec, key = desk.spec(), new_key()
    await desk.insert(spec, key)
    await desk.insert(spec, key)
    assert [each["key"] for each in desk.office.live()] == [str(key)] * 2


@kind(external_key="unique")
async def test_a_unique_key_is_refused_a_second_time(desk: Desk) -> None:
    spec, key = desk.spec(), new_key()
    await desk.insert(spec, key)
    with pytest.raises(Conflict):
        await desk.insert(spec, key)
    await desk.insert(desk.spec(), replace(key, part=2))
    assert [each["key"] for each in desk.office.live()] == [str(key), f"{key}/2"]


@kind(external_key="searchable")
async def test_a_record_that_a_person_moved_is_found_by_its_key(desk: Desk) -> None:
    spec, key = desk.spec(), new_key()
    vendor_id = await desk.insert(spec, key)
    away = spec.last_day + timedelta(days=200)
    desk.office.edit_by_hand(vendor_id, dates={away: Decimal(8)})
    assert (await desk.found(spec, key))[vendor_id].amounts == {away: Decimal(8)}
    assert await desk.found(spec) == {}


@kind(external_key="searchable")
async def test_a_record_without_its_mark_is_known_by_its_key(desk: Desk) -> None:
    spec, key = desk.spec(), EntryKey("here", "acme", "request", 2, 3)
    vendor_id = await desk.insert(spec, key)
    record = desk.office.reference.book.record(int(vendor_id))
    record.states[-1] = replace(record.now, note="tidied up")
    assert (await desk.found(spec, replace(key, part=1)))[vendor_id].marker == key.marker


@kind(external_key="unique", update_mode="replace_new_id")
async def test_a_replaced_record_hands_its_key_on(desk: Desk) -> None:
    spec, key = desk.spec(), new_key()
    vendor_id = await desk.insert(spec, key)
    longer = replace(spec, days=(*spec.days, Day(spec.last_day + timedelta(days=1), 480, whole=True)))
    after = (await desk.hris.update(key, 2, vendor_id, spec, longer, HOURS)).vendor_id
    entries = await desk.found(longer, key)
    assert (entries[vendor_id].status, entries[vendor_id].revision) == (EntryStatus.SUPERSEDED, 1)
    assert (entries[after].status, entries[after].revision) == (EntryStatus.APPROVED, 2)
    with pytest.raises(Conflict):
        await desk.insert(spec, key)
    with pytest.raises(NotFound) as raised:
        await desk.hris.cancel(key, vendor_id, "withdrawn")
    assert raised.value.what == "request", "its successor is live: this is no success"


# -- counter entries ----------------------------------------------------------------------------------


@kind(cancel_mode="counter_entry")
async def test_two_cancels_book_two_counter_entries_where_nothing_guards_them(desk: Desk) -> None:
    """The second one is shown: as a live record below 0, with the mark of the request."""
    spec, key = desk.spec(), new_key()
    vendor_id = await desk.insert(spec, key)
    await desk.hris.cancel(key, vendor_id, "withdrawn")
    assert desk.office.live() == []
    assert [e.status for e in (await desk.found(spec)).values()] == [EntryStatus.CANCELLED]

    await desk.hris.cancel(key, vendor_id, "withdrawn")
    (truth,) = desk.office.live()
    entries = await desk.found(spec)
    assert entries.keys() == {vendor_id, truth["id"]}
    surplus = entries[truth["id"]]
    assert surplus.live
    assert surplus.marker == key.marker
    assert dict(surplus.amounts) == {on: -amount for on, amount in units.amounts(spec, HOURS).items()}
    listed = await desk.hris.list_entries(spec.first_day, spec.last_day)
    assert [entry.vendor_id for entry in listed] == [surplus.vendor_id]
    assert set(desk.office.minutes("101").values()) == {Decimal(-480)}

    await desk.hris.cancel(key, surplus.vendor_id, "a cancel too many")
    assert desk.office.live() == []
    assert desk.office.minutes("101") == {}
    assert all(not entry.live for entry in (await desk.found(spec)).values())
    for each in (vendor_id, surplus.vendor_id):
        entry = await desk.hris.get(each, "101", spec.first_day, spec.last_day)
        assert entry is not None
        assert entry.status is EntryStatus.CANCELLED


@pytest.mark.parametrize(
    "desk",
    [Mode({"cancel_mode": "counter_entry", "external_key": guard}) for guard in ("unique", "upsert")],
    indirect=True,
    ids=["unique", "upsert"],
)
async def test_two_cancels_book_one_counter_entry_where_keys_are_guarded(desk: Desk) -> None:
    spec, key = desk.spec(), new_key()
    vendor_id = await desk.insert(spec, key)
    for _ in range(2):
        assert (await desk.hris.cancel(key, vendor_id, "withdrawn")).effective
    assert len(desk.office.entries()) == 2
    assert desk.office.live() == []


@kind(cancel_mode="counter_entry")
async def test_a_counter_entry_of_a_moved_record_still_cancels_it(desk: Desk) -> None:
    spec, key = desk.spec(), new_key()
    vendor_id = await desk.insert(spec, key)
    await desk.hris.cancel(key, vendor_id, "withdrawn")
    moved = spec.first_day + timedelta(days=100)
    desk.office.edit_by_hand(vendor_id, dates={moved: Decimal(8)})
    entry = await desk.hris.get(vendor_id, "101", moved, moved)
    assert entry is not None
    assert not entry.live
    assert await desk.hris.list_entries(moved, moved) == []


def shown(number: int, counter_of: int | None = None, status: str = "approved") -> dict[str, object]:
    sign = "" if counter_of is None else "-"
    return {
        "id": str(number),
        "employeeId": "101",
        "typeId": "83",
        "unit": "hours",
        "status": status,
        "days": [{"date": "2030-01-07", "amount": f"{sign}8.00"}],
        "counterOf": None if counter_of is None else str(counter_of),
    }


@pytest.mark.parametrize(
    ("records", "live", "ended"),
    [
        pytest.param([shown(1)], {"1"}, set(), id="none"),
        pytest.param([shown(1), shown(2, 1)], set(), {"1"}, id="one"),
        pytest.param([shown(1), shown(3, 1), shown(2, 1)], {"3"}, {"1"}, id="two: the later one is surplus"),
        pytest.param([shown(8), shown(10, 8), shown(9, 8)], {"10"}, {"8"}, id="ids are not texts to sort"),
        pytest.param(
            [shown(1), shown(2, 1), shown(3, 1), shown(4, 3)],
            set(),
            {"1", "3"},
            id="the surplus one is countered",
        ),
        pytest.param(
            [shown(1), shown(2, 1), shown(3, 1), shown(4, 2)], set(), {"1", "2"}, id="the first is countered"
        ),
        pytest.param([shown(1), shown(2, 1), shown(3, 2)], {"1"}, {"2"}, id="the only one is countered"),
        pytest.param([shown(1), shown(2, 1, "requested")], {"1"}, set(), id="it waits"),
        pytest.param([shown(1), shown(2, 1, "denied")], {"1"}, set(), id="it was refused"),
    ],
)
def test_counter_entries_are_netted(
    records: list[dict[str, object]], live: set[str], ended: set[str]
) -> None:
    entries = wire.net(wire.read_records({"entries": records}))
    assert {entry.vendor_id for entry in entries if entry.live} == live
    assert {entry.vendor_id for entry in entries if not entry.live} == ended


# -- accepted, in effect later --------------------------------------------------------------------------

LATER = 3600.0


@kind(LATER)
async def test_an_accepted_insert_waits_and_may_be_refused_after_all(desk: Desk) -> None:
    key, refused_key = new_key(), new_key()
    spec, refused_spec = desk.spec(), desk.spec()
    written = await desk.hris.insert(key, 1, spec, HOURS)
    refused = await desk.hris.insert(refused_key, 1, refused_spec, HOURS)
    assert (written.effective, refused.effective) == (False, False)
    (entry,) = (await desk.found(spec)).values()
    assert (entry.status, entry.changing) == (EntryStatus.REQUESTED, True)
    desk.office.settle(written.vendor_id, accept=True)
    desk.office.settle(refused.vendor_id, accept=False)
    (entry,) = (await desk.found(spec)).values()
    assert (entry.status, entry.changing) == (EntryStatus.APPROVED, False)
    (entry,) = (await desk.found(refused_spec)).values()
    assert (entry.status, entry.changing) == (EntryStatus.DENIED, False)


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("way", ["in_place", "replace_new_id"])
async def test_an_accepted_update_shows_the_old_state_until_it_is_decided(way: str, accept: bool) -> None:
    async with running_reference(Mode({"update_mode": way}, delay=LATER, more={"readLagMs": 0})) as office:
        hris = await office.open()
        desk, key = Desk(office, hris), new_key()
        spec = desk.spec()
        vendor_id = await desk.insert(spec, key)
        office.settle(vendor_id, accept=True)
        shorter = replace(spec, days=spec.days[:1])
        written = await hris.update(key, 2, vendor_id, spec, shorter, HOURS)
        assert not written.effective
        before = (await desk.found(spec))[vendor_id]
        assert before.changing
        assert units.says(before, spec, HOURS)
        with pytest.raises(RetryLater) as raised:
            await hris.update(key, 3, vendor_id, spec, shorter, HOURS)
        assert not raised.value.throttled
        office.settle(vendor_id, accept)
        entries = await desk.found(spec)
        assert not any(entry.changing for entry in entries.values())
        (after,) = (entry for entry in entries.values() if entry.live)
        assert after.vendor_id == (written.vendor_id if accept else vendor_id)
        assert units.says(after, shorter if accept else spec, HOURS)
        await hris.close()


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("way", ["status", "delete", "counter_entry"])
async def test_an_accepted_cancel_shows_the_old_state_until_it_is_decided(way: str, accept: bool) -> None:
    async with running_reference(Mode({"cancel_mode": way}, delay=LATER, more={"readLagMs": 0})) as office:
        hris = await office.open()
        desk, key = Desk(office, hris), new_key()
        spec = desk.spec()
        vendor_id = await desk.insert(spec, key)
        office.settle(vendor_id, accept=True)
        assert not (await hris.cancel(key, vendor_id, "withdrawn")).effective
        (entry,) = (await desk.found(spec)).values()
        assert (entry.live, entry.changing) == (True, True)
        if way != "counter_entry":
            assert not (await hris.cancel(key, vendor_id, "withdrawn")).effective, "once is enough"
        office.settle(vendor_id, accept)
        entry_after = await hris.get(vendor_id, "101", spec.first_day, spec.last_day)
        if accept:
            assert entry_after is None if way == "delete" else entry_after and not entry_after.live
            assert office.live() == []
        else:
            assert entry_after is not None
            assert (entry_after.live, entry_after.changing) == (True, False)
            assert len(office.live()) == 1
        await hris.close()


# -- errors and amounts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500", "no_id", "truncated", "hang"])
async def test_an_unclear_answer_to_a_write_is_unknown_and_sent_once(desk: Desk, fault: str) -> None:
    desk.office.fault("create", fault, seconds=0.1)
    with pytest.raises(OutcomeUnknown):
        await desk.insert(desk.spec())
    assert desk.office.writes() == ["create"]


async def test_every_call_ends_in_time(desk: Desk) -> None:
    hris = await desk.office.open(call_timeout=0.2)
    desk.office.fault("any", "hang", times=2, seconds=30)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(OutcomeUnknown):
        await hris.insert(new_key(), 1, desk.spec(), HOURS)
    with pytest.raises(RetryLater):
        await hris.list_employees()
    assert loop.time() - began < 2
    await hris.close()


async def test_nothing_listens_there_so_nothing_was_written(desk: Desk, unused_tcp_port: int) -> None:
    hris = await desk.office.open(base_url=f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(RetryLater):
        await hris.insert(new_key(), 1, desk.spec(), HOURS)
    health = await hris.health()
    assert (health.reachable, health.authenticated) == (False, False)
    await hris.close()


async def test_a_wrong_key_is_told_apart(desk: Desk) -> None:
    hris = await desk.office.open(api_key="wrong")
    with pytest.raises(AuthFailed):
        await hris.list_employees()
    await hris.close()


async def test_rules_of_the_hris_have_classes_of_their_own(desk: Desk) -> None:
    desk.office.sandbox.set_options(Options(reference={"rejectOverlap": True, "rejectInsufficient": True}))
    spec = desk.spec()
    await desk.insert(spec)
    with pytest.raises(Conflict):
        await desk.insert(spec)
    first = spec.last_day + timedelta(days=1)
    year = tuple(Day(first + timedelta(days=n), 1440, whole=True) for n in range(200))
    with pytest.raises(InsufficientBalance):
        await desk.insert(replace(spec, days=year))
    with pytest.raises(Rejected, match="rounds to 0"):
        await desk.insert(replace(spec, days=(Day(first, 0, whole=False),)))
    assert len(desk.office.entries()) == 1


@kind(partial_day="half")
async def test_a_part_that_is_no_half_is_refused_for_a_type_in_days(desk: Desk) -> None:
    (type_,) = (each for each in await desk.hris.list_time_off_types() if each.id == "84")
    on = desk.harness.week()[0]
    for minutes, fits in ((240, True), (480, True), (100, False)):
        spec = EntrySpec("101", "84", None, EntryStatus.APPROVED, (Day(on, minutes, whole=False),), "UTC")
        if fits:
            await desk.hris.insert(new_key(), 1, spec, type_)
        else:
            with pytest.raises(Rejected):
                await desk.hris.insert(new_key(), 1, spec, type_)


@pytest.mark.parametrize("kept", [True, False])
async def test_start_times_are_kept_or_named_as_lost(kept: bool) -> None:
    async with running_reference(Mode({"partial_day": "start_time" if kept else "amount"})) as office:
        hris = await office.open()
        day = Day(date(2030, 1, 7), 90, whole=False, start=time(13, 30))
        spec = EntrySpec("101", "83", None, EntryStatus.APPROVED, (day,), "Europe/Berlin", note=NOTE)
        written = await hris.insert(new_key(), 1, spec, HOURS)
        entry = office.entry(written.vendor_id)
        assert entry["starts"] == ({"2030-01-07": "13:30"} if kept else {})
        assert written.lost == (() if kept else ("start_time",))
        assert entry["dates"] == {"2030-01-07": "1.50"}
        assert NOTE in entry["notes"]["note"]
        await hris.close()


@pytest.mark.parametrize("as_of", ["any_date", "per_period", "current"])
async def test_balances_follow_the_mode(as_of: str) -> None:
    async with running_reference(Mode({"balance_as_of": as_of}, more={"readLagMs": 0})) as office:
        hris = await office.open()
        today = datetime.now().astimezone().date()
        far = date(today.year + 5, 6, 1)
        near = date(today.year + 1, 6, 1)
        spec = EntrySpec("101", "83", None, EntryStatus.APPROVED, (Day(near, 480, whole=True),), "UTC")
        await hris.insert(new_key(), 1, spec, HOURS)

        async def left(on: date) -> tuple[Decimal | None, BalanceKind, bool]:
            rows = {row.type_id: row for row in await hris.balances("101", on)}
            assert rows["85"].unlimited
            assert rows["85"].amount is None
            return rows["83"].amount, rows["83"].kind, rows["83"].on == on

        before, full, taken = near - timedelta(days=1), Decimal("240.00"), Decimal("232.00")
        expected = {
            "any_date": [full, taken, full],
            "per_period": [taken, taken, None],
            "current": [full, full, full],
        }[as_of]
        kinds = {"any_date": "projected", "per_period": "exact", "current": "current_only"}
        for on, amount in zip((before, near, far), expected, strict=True):
            assert await left(on) == (amount, kinds[as_of], True), on
        await hris.close()


@kind(can_list=False, entry_per_day=True, update_mode="none", cancel_mode="none", balance_as_of="none")
async def test_what_is_not_offered_is_not_even_sent(desk: Desk) -> None:
    spec, key = desk.spec(1), new_key()
    two = replace(spec, days=(*spec.days, Day(spec.last_day + timedelta(days=1), 480, whole=True)))
    vendor_id = await desk.insert(spec, key)
    before = len(desk.office.calls())
    for call in (
        desk.hris.insert(new_key(), 1, two, HOURS),
        desk.hris.insert(new_key(), 1, replace(spec, status=EntryStatus.DENIED), HOURS),
        desk.hris.update(key, 2, vendor_id, spec, spec, HOURS),
        desk.hris.cancel(key, vendor_id, "withdrawn"),
        desk.hris.list_entries(spec.first_day, spec.last_day),
        desk.hris.balances("101", spec.first_day),
    ):
        with pytest.raises(Unsupported):
            await call
    assert len(desk.office.calls()) == before


@kind(status_with_days=False)
async def test_days_and_status_at_once_are_not_even_sent_where_that_is_declared(desk: Desk) -> None:
    spec, key = desk.spec(2, EntryStatus.REQUESTED), new_key()
    vendor_id = await desk.insert(spec, key)
    both = replace(spec, days=spec.days[:1], status=EntryStatus.APPROVED)
    with pytest.raises(Unsupported):
        await desk.hris.update(key, 2, vendor_id, spec, both, HOURS)
    assert desk.office.writes() == ["create"]


async def test_a_read_that_lags_shows_the_state_before(desk: Desk) -> None:
    """Without it no test of the core would meet a search that is too early."""
    desk.office.sandbox.set_options(Options(reference={"readLagMs": 200}))
    spec, key = desk.spec(), new_key()
    await desk.insert(spec, key)
    assert await desk.found(spec, key) == {}
    entry = await seen(desk.harness, key, spec)
    await desk.hris.cancel(key, entry.vendor_id, "withdrawn")
    assert (await desk.found(spec, key))[entry.vendor_id].live
    await until(desk.harness, lambda: desk.found(spec), lambda found: not found[entry.vendor_id].live)

"""The conformance suite of the `Hris` port. An adapter's author subclasses it and supplies a harness.

    class TestMyHris(HrisSuite):
        @pytest.fixture
        async def harness(self) -> AsyncIterator[HrisHarness]:
            hris = await MyHris.open(settings)
            yield MyHarness(hris, employee_id="17", other_employee_id="18", hours_type="V", days_type="D")
            await hris.close()

Needs pytest and pytest-asyncio with `asyncio_mode = auto`. What is tried follows from the declared
capabilities and from what the harness can do; what does not apply is skipped, and the skip names it. Nothing
here knows a vendor. Records made by the suite lie in weeks of their own and are marked with keys of their
own, so that it can run against a system that holds other records, and again against the same one.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any

import pytest

from timeoff.errors import (
    Conflict,
    NotFound,
    Rejected,
    Unsupported,
)
from timeoff.hris import units
from timeoff.hris.port import (
    CancelMode,
    ExternalKey,
    PartialDay,
    UpdateMode,
)
from timeoff.testing.hris_balances import BalanceTests
from timeoff.testing.hris_harness import (
    WHOLE_DAY,
    HrisHarness,
    SuiteSteps,
    any_type,
    insert_status,
    live,
    needs_cancel,
    needs_list,
    needs_status,
    needs_update,
    new_key,
    ours,
    seen,
    spec_of,
    type_in,
    until,
    whole_days,
)
from timeoff.testing.hris_modes import ModeTests
from timeoff.testing.hris_trouble import PRIVATE_NOTE, TroubleTests
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus


class HrisSuite(TroubleTests, ModeTests, BalanceTests, SuiteSteps):
    """The promises of the port, one test each; those of its other bases included."""

    @pytest.fixture
    async def harness(self) -> Any:
        raise NotImplementedError("override the fixture `harness`; see the module's docstring")

    # -- reads that need no record -------------------------------------------------------------------

    async def test_health_of_a_working_connection(self, harness: HrisHarness) -> None:
        health = await harness.hris.health()
        assert (health.reachable, health.authenticated) == (True, True), health.detail

    async def test_health_tells_refused_credentials_and_does_not_raise(self, harness: HrisHarness) -> None:
        refused = await harness.refuse_credentials()
        try:
            health = await refused.health()
        finally:
            await refused.close()
        assert (health.reachable, health.authenticated) == (True, False)

    async def test_employees_are_listed_once_each(self, harness: HrisHarness) -> None:
        ids = [employee.id for employee in await harness.hris.list_employees()]
        assert {harness.employee_id, harness.other_employee_id} <= set(ids)
        assert len(ids) == len(set(ids))

    async def test_types_have_distinct_ids_a_unit_and_a_usable_step(self, harness: HrisHarness) -> None:
        types = await harness.hris.list_time_off_types()
        assert len({(type_.id, type_.id2) for type_ in types}) == len(types)
        for type_ in types:
            assert type_.step > 0, type_
            assert all(units.day_length(type_, date(2030, 1, n)) > 0 for n in range(7, 14)), type_

    async def test_an_empty_week_is_empty(self, harness: HrisHarness) -> None:
        week = harness.week()
        found = await harness.hris.find(new_key(), harness.employee_id, week[0], week[-1])
        assert found.entries == ()

    async def test_get_of_an_unknown_record_is_none(self, harness: HrisHarness) -> None:
        week = harness.week()
        assert await harness.hris.get("987654321", harness.employee_id, week[0], week[-1]) is None

    # -- insert and find -----------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [EntryStatus.APPROVED, EntryStatus.REQUESTED])
    async def test_an_insert_is_found_by_its_key(self, harness: HrisHarness, status: EntryStatus) -> None:
        needs_status(harness, status)
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), status)
        key = new_key()
        written = await harness.hris.insert(key, 4, spec, type_)
        entry = await seen(harness, key, spec)
        assert entry.vendor_id == written.vendor_id
        assert entry.status == status
        assert entry.employee_id == harness.employee_id
        assert entry.type_id == type_.id
        assert (entry.first_day, entry.last_day) == (spec.first_day, spec.last_day)
        assert entry.revision in (4, None)

    @pytest.mark.parametrize("unit", ["hours", "days"])
    async def test_whole_days_are_exact(self, harness: HrisHarness, unit: str) -> None:
        type_ = await type_in(harness, unit)
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        await self._inserted_exactly(harness, spec, type_)

    @pytest.mark.parametrize("unit", ["hours", "days"])
    async def test_parts_of_days_are_exact_to_the_step(self, harness: HrisHarness, unit: str) -> None:
        type_ = await type_in(harness, unit)
        week = harness.week()
        half = harness.hris.capabilities.partial_day is PartialDay.HALF
        parts = [WHOLE_DAY // 2] * 3 if half else [240, 97, 20]
        days = tuple(
            Day(on, minutes, whole=False)
            for on, minutes in zip(week[: harness.days_per_entry], parts, strict=False)
        )
        await self._inserted_exactly(harness, spec_of(harness, type_, days, insert_status(harness)), type_)

    async def test_a_part_of_a_day_on_a_clock_change_is_as_long_as_asked(self, harness: HrisHarness) -> None:
        """Both days on which Berlin's clocks change: an amount of minutes has no opinion on clocks."""
        type_ = await type_in(harness, "hours")
        year = harness.week()[0].year + 1
        for month in (3, 10):
            sunday = date(year, month, 31) - timedelta(days=date(year, month, 31).isoweekday() % 7)
            minutes = 240
            day = Day(sunday, minutes, whole=False, start=time(1, 0))
            spec = replace(spec_of(harness, type_, (day,), insert_status(harness)), zone="Europe/Berlin")
            await self._clear(harness, spec)
            written, entry = await self._inserted_exactly(harness, spec, type_)
            assert units.minutes(entry.amounts[sunday], type_, sunday) == minutes
            if harness.hris.capabilities.partial_day is not PartialDay.START_TIME:
                assert "start_time" in written.lost, "a start time that is not kept has to be named"
            await self._clear(harness, spec)

    async def test_notes_are_absent_when_none_are_given(self, harness: HrisHarness) -> None:
        written, spec, _, _ = await self._insert(harness)
        text = await harness.notes_of(written.vendor_id)
        assert spec.note is None
        assert "None" not in text
        assert PRIVATE_NOTE not in text

    async def test_notes_are_written_when_given(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        spec = replace(whole_days(harness, type_, harness.week(), insert_status(harness)), note=PRIVATE_NOTE)
        written = await harness.hris.insert(new_key(), 1, spec, type_)
        assert PRIVATE_NOTE in await harness.notes_of(written.vendor_id) or "note" in written.lost

    async def test_concurrent_inserts_stay_apart(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        status = insert_status(harness)
        specs = [
            replace(whole_days(harness, type_, harness.week(), status), employee_id=employee)
            for employee in (harness.employee_id, harness.other_employee_id) * 3
        ]
        keys = [new_key() for _ in specs]
        written = await asyncio.gather(
            *(harness.hris.insert(key, 1, spec, type_) for key, spec in zip(keys, specs, strict=True))
        )
        assert len({each.vendor_id for each in written}) == len(specs)
        for key, spec, each in zip(keys, specs, written, strict=True):
            assert (await seen(harness, key, spec)).vendor_id == each.vendor_id

    async def test_bookings_and_parts_of_one_request_are_told_apart(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        first = new_key()
        keys = [first, replace(first, booking=2), replace(first, part=2), replace(first, booking=2, part=2)]
        records: dict[EntryKey, tuple[str, EntrySpec]] = {}
        for key in keys:
            spec = whole_days(harness, type_, harness.week(), insert_status(harness))
            records[key] = ((await harness.hris.insert(key, 1, spec, type_)).vendor_id, spec)
        for key, (vendor_id, spec) in records.items():
            assert (await seen(harness, key, spec)).vendor_id == vendor_id

    async def test_a_key_is_never_booked_twice(self, harness: HrisHarness) -> None:
        """Only where the vendor guards keys; elsewhere the core guards them with `find`."""
        mode = harness.hris.capabilities.external_key
        if mode not in (ExternalKey.UNIQUE, ExternalKey.UPSERT):
            pytest.skip(f"external_key is {mode}")
        written, spec, type_, key = await self._insert(harness)
        if mode is ExternalKey.UPSERT:
            assert (await harness.hris.insert(key, 1, spec, type_)).vendor_id == written.vendor_id
        else:
            with pytest.raises((Conflict, Rejected)):
                await harness.hris.insert(key, 1, spec, type_)
        found = await harness.hris.find(key, spec.employee_id, spec.first_day, spec.last_day)
        assert len([entry for entry in found.entries if ours(entry, key)]) == 1

    # -- update --------------------------------------------------------------------------------------

    async def test_an_update_leaves_one_live_record_with_the_new_days(self, harness: HrisHarness) -> None:
        needs_update(harness)
        written, spec, type_, key = await self._insert(harness)
        other_week = harness.week()
        changed = replace(spec, days=tuple(Day(on, 240, whole=False) for on in other_week[: len(spec.days)]))
        if harness.hris.capabilities.partial_day is PartialDay.HALF:
            changed = replace(changed, days=changed.days[:1])
        updated = await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
        if harness.hris.capabilities.update_mode is UpdateMode.REPLACE_NEW_ID:
            assert updated.vendor_id != written.vendor_id
        else:
            assert updated.vendor_id == written.vendor_id
        entry = await seen(harness, key, changed, type_)
        assert entry.vendor_id == updated.vendor_id
        assert units.says(entry, changed, type_), entry
        live = await self._live_of(harness, key, spec, changed)
        assert [each.vendor_id for each in live] == [updated.vendor_id]

    async def test_the_id_before_an_update_is_not_live(self, harness: HrisHarness) -> None:
        needs_update(harness)
        if harness.hris.capabilities.update_mode is not UpdateMode.REPLACE_NEW_ID:
            pytest.skip(f"update_mode is {harness.hris.capabilities.update_mode}")
        written, spec, type_, key = await self._insert(harness)
        changed = replace(spec, days=(*spec.days[:-1], replace(spec.days[-1], minutes=240, whole=False)))
        updated = await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
        await until(harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e))
        await until(harness, lambda: self._get(harness, updated.vendor_id, changed), live)
        with pytest.raises((NotFound, Conflict)):
            await harness.hris.update(key, 3, written.vendor_id, spec, changed, type_)
        assert len(await self._live_of(harness, key, spec, changed)) == 1

    async def test_an_approval_changes_the_status_of_one_record(self, harness: HrisHarness) -> None:
        needs_update(harness)
        needs_status(harness, EntryStatus.REQUESTED)
        needs_status(harness, EntryStatus.APPROVED)
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), EntryStatus.REQUESTED)
        key = new_key()
        written = await harness.hris.insert(key, 1, spec, type_)
        await seen(harness, key, spec)
        approved = replace(spec, status=EntryStatus.APPROVED)
        updated = await harness.hris.update(key, 2, written.vendor_id, spec, approved, type_)
        entry = await until(
            harness,
            lambda: self._get(harness, updated.vendor_id, spec),
            lambda e: e is not None and e.status is EntryStatus.APPROVED,
        )
        assert entry is not None
        assert units.says(entry, approved, type_), entry
        assert len(await self._live_of(harness, key, spec)) == 1

    async def test_an_update_of_a_cancelled_record_books_nothing(self, harness: HrisHarness) -> None:
        needs_update(harness)
        needs_cancel(harness)
        written, spec, type_, key = await self._insert(harness)
        await harness.hris.cancel(key, written.vendor_id, "conformance test")
        await until(harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e))
        changed = replace(spec, days=(*spec.days[:-1], replace(spec.days[-1], minutes=240, whole=False)))
        with pytest.raises((NotFound, Conflict, Rejected)):
            await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
        assert await self._live_of(harness, key, spec, changed) == []

    async def test_an_update_that_is_not_supported_says_so(self, harness: HrisHarness) -> None:
        mode = harness.hris.capabilities.update_mode
        if mode not in (UpdateMode.NONE, UpdateMode.CANCEL_AND_CREATE):
            pytest.skip(f"update_mode is {mode}")
        written, spec, type_, key = await self._insert(harness)
        with pytest.raises(Unsupported):
            await harness.hris.update(key, 2, written.vendor_id, spec, spec, type_)

    # -- cancel --------------------------------------------------------------------------------------

    async def test_a_cancelled_record_is_not_live(self, harness: HrisHarness) -> None:
        needs_cancel(harness)
        written, spec, _, key = await self._insert(harness)
        await harness.hris.cancel(key, written.vendor_id, "conformance test")
        entry = await until(
            harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e)
        )
        if harness.hris.capabilities.cancel_mode is CancelMode.STATUS:
            assert entry is not None
            assert entry.status is EntryStatus.CANCELLED
        assert await self._live_of(harness, key, spec) == []

    async def test_a_second_cancel_is_a_success(self, harness: HrisHarness) -> None:
        needs_cancel(harness)
        written, spec, _, key = await self._insert(harness)
        await harness.hris.cancel(key, written.vendor_id, "conformance test")
        await until(harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e))
        await harness.hris.cancel(key, written.vendor_id, "conformance test")
        assert not live(await self._get(harness, written.vendor_id, spec))
        if harness.hris.capabilities.cancel_mode is not CancelMode.COUNTER_ENTRY:
            assert await self._live_of(harness, key, spec) == []

    async def test_a_cancel_of_a_record_that_is_gone_is_a_success(self, harness: HrisHarness) -> None:
        needs_cancel(harness)
        await harness.hris.cancel(new_key(), "987654321", "conformance test")

    async def test_a_cancel_touches_no_other_record(self, harness: HrisHarness) -> None:
        needs_cancel(harness)
        first, spec, type_, key = await self._insert(harness)
        _, kept, _, kept_key = await self._insert(harness)
        await harness.hris.cancel(key, first.vendor_id, "conformance test")
        await until(harness, lambda: self._get(harness, first.vendor_id, spec), lambda e: not live(e))
        entry = await seen(harness, kept_key, kept)
        assert units.says(entry, kept, type_)

    async def test_a_cancel_that_is_not_supported_says_so(self, harness: HrisHarness) -> None:
        if harness.hris.capabilities.cancel_mode is not CancelMode.NONE:
            pytest.skip(f"cancel_mode is {harness.hris.capabilities.cancel_mode}")
        written, _, _, key = await self._insert(harness)
        with pytest.raises(Unsupported):
            await harness.hris.cancel(key, written.vendor_id, "conformance test")

    # -- listings ------------------------------------------------------------------------------------

    async def test_a_listing_holds_what_touches_the_window(self, harness: HrisHarness) -> None:
        needs_list(harness)
        _, spec, _, key = await self._insert(harness)
        await seen(harness, key, spec)
        day = timedelta(days=1)
        first, last = spec.first_day, spec.last_day
        windows = {
            (first, last): True,
            (first - 3 * day, first): True,
            (last, last + 3 * day): True,
            (first - 3 * day, last + 3 * day): True,
            (first - 3 * day, first - day): False,
            (last + day, last + 3 * day): False,
        }
        for (start, end), expected in windows.items():
            listed = await harness.hris.list_entries(start, end, [spec.employee_id])
            assert any(ours(entry, key) for entry in listed) is expected, (start, end)
            everybody = await harness.hris.list_entries(start, end)
            assert any(ours(entry, key) for entry in everybody) is expected, (start, end)

    async def test_a_listing_is_of_the_employees_asked_for(self, harness: HrisHarness) -> None:
        needs_list(harness)
        type_ = await any_type(harness)
        week = harness.week()
        keys = {}
        for employee in (harness.employee_id, harness.other_employee_id):
            spec = replace(whole_days(harness, type_, week, insert_status(harness)), employee_id=employee)
            keys[employee] = new_key()
            await harness.hris.insert(keys[employee], 1, spec, type_)
            await seen(harness, keys[employee], spec)
        both = frozenset(keys)
        for asked in ({harness.employee_id}, {harness.other_employee_id}, both, None):
            listed = await harness.hris.list_entries(week[0], week[-1], asked)
            assert {entry.employee_id for entry in listed} & both == (both if asked is None else asked)
            assert asked is None or {entry.employee_id for entry in listed} <= asked
        assert not await harness.hris.list_entries(week[0], week[-1], [])

    async def test_a_listing_holds_live_records_only(self, harness: HrisHarness) -> None:
        needs_list(harness)
        needs_cancel(harness)
        written, spec, _, key = await self._insert(harness)
        await harness.hris.cancel(key, written.vendor_id, "conformance test")
        await until(harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e))
        listed = await harness.hris.list_entries(spec.first_day, spec.last_day)
        assert not [entry for entry in listed if ours(entry, key) or not entry.live]

    async def test_a_listing_that_is_not_supported_says_so(self, harness: HrisHarness) -> None:
        if harness.hris.capabilities.can_list:
            pytest.skip("can_list is true")
        week = harness.week()
        with pytest.raises(Unsupported):
            await harness.hris.list_entries(week[0], week[-1])

    async def test_leave_booked_by_hand_is_seen_and_has_no_marker(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        week = harness.week()[: harness.days_per_entry]
        spec = whole_days(harness, type_, week, insert_status(harness))
        vendor_id = await harness.book_by_hand(
            harness.employee_id, type_.id, units.amounts(spec, type_), spec.status
        )
        found = await until(
            harness,
            lambda: harness.hris.find(new_key(), harness.employee_id, week[0], week[-1]),
            lambda f: any(entry.vendor_id == vendor_id for entry in f.entries),
        )
        (entry,) = (entry for entry in found.entries if entry.vendor_id == vendor_id)
        assert entry.marker is None
        assert units.says(entry, spec, type_), entry
        if harness.hris.capabilities.can_list:
            listed = await harness.hris.list_entries(week[0], week[-1])
            assert vendor_id in {entry.vendor_id for entry in listed}


__all__ = ["HrisHarness", "HrisSuite"]

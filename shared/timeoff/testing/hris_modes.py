"""What the conformance suite of the `Hris` port asks of vendors that are special in some way.

One record holds one day; a write takes effect later than it is accepted; a cancel books a counter entry;
days and status cannot change at once. Part of `HrisSuite`.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from timeoff.errors import Rejected, Unsupported
from timeoff.hris import units
from timeoff.hris.port import CancelMode, ExternalKey
from timeoff.testing.hris_harness import (
    WHOLE_DAY,
    HrisHarness,
    SuiteSteps,
    any_type,
    insert_status,
    live,
    needs_cancel,
    needs_later_effect,
    needs_status,
    needs_update,
    new_key,
    seen,
    spec_of,
    until,
    whole_days,
)
from timeoff.vocabulary import Day, EntryStatus


class ModeTests(SuiteSteps):
    """What is declared is so."""

    # -- one record, one day ---------------------------------------------------------------------------

    async def test_two_days_in_one_record_are_refused_where_it_holds_one(self, harness: HrisHarness) -> None:
        if not harness.hris.capabilities.entry_per_day:
            pytest.skip("entry_per_day is false")
        type_ = await any_type(harness)
        days = tuple(Day(on, WHOLE_DAY, whole=True) for on in harness.week()[:2])
        spec, key = spec_of(harness, type_, days, insert_status(harness)), new_key()
        with pytest.raises((Rejected, Unsupported)):
            await harness.hris.insert(key, 1, spec, type_)
        # What is written after it is seen, and it is not.
        other = replace(spec, days=days[:1])
        await harness.hris.insert(new_key(), 1, other, type_)
        await until(
            harness,
            lambda: harness.hris.find(key, spec.employee_id, days[0].date, days[0].date),
            lambda found: bool(found.entries),
        )
        assert await self._live_of(harness, key, spec) == []

    # -- days and status -------------------------------------------------------------------------------

    async def test_days_and_status_change_together_or_not_at_all(self, harness: HrisHarness) -> None:
        """As declared: one update does both, or says that it cannot and changes nothing."""
        needs_update(harness)
        needs_status(harness, EntryStatus.REQUESTED)
        needs_status(harness, EntryStatus.APPROVED)
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), EntryStatus.REQUESTED)
        key = new_key()
        written = await harness.hris.insert(key, 1, spec, type_)
        await seen(harness, key, spec)
        days = tuple(replace(day, minutes=240, whole=False) for day in spec.days)
        changed = replace(spec, days=days, status=EntryStatus.APPROVED)
        if harness.hris.capabilities.status_with_days:
            await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
            await seen(harness, key, changed, type_)
            return
        with pytest.raises((Unsupported, Rejected)):
            await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
        only_days = replace(spec, days=days)
        updated = await harness.hris.update(key, 2, written.vendor_id, spec, only_days, type_)
        await seen(harness, key, only_days, type_)
        await harness.hris.update(key, 3, updated.vendor_id, only_days, changed, type_)
        await seen(harness, key, changed, type_)

    # -- accepted, in effect later ---------------------------------------------------------------------

    async def test_an_insert_that_takes_effect_later_is_shown_as_changing_until_then(
        self, harness: HrisHarness
    ) -> None:
        needs_later_effect(harness)
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        written = await harness.hris.insert(new_key(), 1, spec, type_)
        await self._takes_effect(
            harness,
            spec,
            written.vendor_id,
            lambda entry: entry is not None and units.says(entry, spec, type_),
        )

    async def test_an_update_that_takes_effect_later_is_shown_as_changing_until_then(
        self, harness: HrisHarness
    ) -> None:
        needs_update(harness)
        needs_later_effect(harness)
        written, spec, type_, key = await self._insert(harness)
        changed = replace(spec, days=(*spec.days[:-1], replace(spec.days[-1], minutes=240, whole=False)))
        updated = await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
        await self._takes_effect(
            harness,
            changed,
            updated.vendor_id,
            lambda entry: entry is not None and units.says(entry, changed, type_),
        )

    async def test_a_cancel_that_takes_effect_later_is_shown_as_changing_until_then(
        self, harness: HrisHarness
    ) -> None:
        needs_cancel(harness)
        needs_later_effect(harness)
        written, spec, _, key = await self._insert(harness)
        await harness.hris.cancel(key, written.vendor_id, "conformance test")
        await self._takes_effect(harness, spec, written.vendor_id, lambda entry: not live(entry))

    # -- counter entries -------------------------------------------------------------------------------

    async def test_a_cancel_that_arrives_twice_is_booked_once_or_shows(self, harness: HrisHarness) -> None:
        """A second counter entry gives back what was given back: it is seen as live, and can be cancelled."""
        if harness.hris.capabilities.cancel_mode is not CancelMode.COUNTER_ENTRY:
            pytest.skip(f"cancel_mode is {harness.hris.capabilities.cancel_mode}")
        written, spec, type_, key = await self._insert(harness)
        for _ in range(2):
            await harness.hris.cancel(key, written.vendor_id, "conformance test")
        # Written last, so what came before it is visible when it is, or in effect soon after.
        mark = replace(spec, employee_id=harness.other_employee_id)
        mark_key = new_key()
        await harness.hris.insert(mark_key, 1, mark, type_)
        await seen(harness, mark_key, mark)
        await until(harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e))
        surplus = await self._live_of(harness, key, spec)
        if harness.hris.capabilities.external_key in (ExternalKey.UNIQUE, ExternalKey.UPSERT):
            assert surplus == []
        assert len(surplus) <= 1, "the first counter entry belongs to its record"
        for entry in surplus:
            assert entry.vendor_id != written.vendor_id
            assert dict(entry.amounts) == {on: -amount for on, amount in units.amounts(spec, type_).items()}
            await harness.hris.cancel(key, entry.vendor_id, "conformance test")
            await until(harness, lambda: self._live_of(harness, key, spec), lambda entries: not entries)
        assert not live(await self._get(harness, written.vendor_id, spec))

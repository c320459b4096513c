"""What the conformance suite of the `Hris` port asks in trouble: no answer, throttling, refusal.

Part of `HrisSuite`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from timeoff.errors import (
    AlreadyBegun,
    Forbidden,
    HrisError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
)
from timeoff.hris import units
from timeoff.testing.hris_harness import (
    WHOLE_DAY,
    HrisHarness,
    SuiteSteps,
    any_type,
    insert_status,
    live,
    needs_cancel,
    needs_update,
    new_key,
    seen,
    until,
    whole_days,
)
from timeoff.vocabulary import Day

#: Must not be found anywhere but in the record.
PRIVATE_NOTE: Final = "Kniearthroskopie am linken Bein"


class TroubleTests(SuiteSteps):
    """After a write was sent, only a clear answer is an answer."""

    async def test_an_insert_whose_answer_is_lost_is_unknown_and_found(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        key = new_key()
        await harness.lose_next_answer()
        with pytest.raises(OutcomeUnknown):
            await harness.hris.insert(key, 1, spec, type_)
        entry = await seen(harness, key, spec)
        assert units.says(entry, spec, type_)
        assert len(await self._live_of(harness, key, spec)) == 1
        assert await harness.live_records(spec.employee_id, [day.date for day in spec.days]) == 1

    async def test_an_update_whose_answer_is_lost_is_unknown_and_found(self, harness: HrisHarness) -> None:
        needs_update(harness)
        written, spec, type_, key = await self._insert(harness)
        other_week = harness.week()
        changed = replace(
            spec, days=tuple(Day(on, WHOLE_DAY, whole=True) for on in other_week[: len(spec.days)])
        )
        await harness.lose_next_answer()
        with pytest.raises(OutcomeUnknown):
            await harness.hris.update(key, 2, written.vendor_id, spec, changed, type_)
        entry = await seen(harness, key, changed, type_)
        assert units.says(entry, changed, type_)
        assert [each.vendor_id for each in await self._live_of(harness, key, spec, changed)] == [
            entry.vendor_id
        ]

    async def test_a_cancel_whose_answer_is_lost_is_unknown_and_done(self, harness: HrisHarness) -> None:
        needs_cancel(harness)
        written, spec, _, key = await self._insert(harness)
        await harness.lose_next_answer()
        with pytest.raises(OutcomeUnknown):
            await harness.hris.cancel(key, written.vendor_id, "conformance test")
        await until(harness, lambda: self._get(harness, written.vendor_id, spec), lambda e: not live(e))
        await harness.hris.cancel(key, written.vendor_id, "conformance test")

    async def test_an_insert_that_broke_before_the_commit_is_never_repeated_by_the_adapter(
        self, harness: HrisHarness
    ) -> None:
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        key = new_key()
        await harness.break_next_before_commit()
        with pytest.raises(OutcomeUnknown):
            await harness.hris.insert(key, 1, spec, type_)
        assert await harness.live_records(spec.employee_id, [day.date for day in spec.days]) == 0

    async def test_a_throttled_write_comes_later_and_was_not_written(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        key = new_key()
        await harness.throttle_next(3)
        with pytest.raises(RetryLater) as raised:
            await harness.hris.insert(key, 1, spec, type_)
        assert raised.value.throttled
        assert raised.value.retry_after == pytest.approx(3, abs=1)
        found = await harness.hris.find(key, spec.employee_id, spec.first_day, spec.last_day)
        assert found.entries == ()

    async def test_a_throttled_read_comes_later(self, harness: HrisHarness) -> None:
        week = harness.week()
        await harness.throttle_next(3)
        with pytest.raises(RetryLater) as raised:
            await harness.hris.find(new_key(), harness.employee_id, week[0], week[-1])
        assert raised.value.throttled

    async def test_an_unknown_employee_is_refused_for_good(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        spec = replace(
            whole_days(harness, type_, harness.week(), insert_status(harness)), employee_id="987654321"
        )
        with pytest.raises((NotFound, Rejected, Forbidden)) as raised:
            await harness.hris.insert(new_key(), 1, spec, type_)
        assert not raised.value.retryable
        assert not isinstance(raised.value, NotFound) or raised.value.what == "employee"

    async def test_an_unknown_type_is_refused_for_good(self, harness: HrisHarness) -> None:
        type_ = replace(await any_type(harness), id="987654321")
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        with pytest.raises((NotFound, Rejected)) as raised:
            await harness.hris.insert(new_key(), 1, spec, type_)
        assert not raised.value.retryable
        assert not isinstance(raised.value, AlreadyBegun)

    async def test_errors_do_not_repeat_notes(self, harness: HrisHarness) -> None:
        type_ = await any_type(harness)
        spec = replace(
            whole_days(harness, type_, harness.week(), insert_status(harness)),
            note=PRIVATE_NOTE,
            employee_id="987654321",
        )
        with pytest.raises(HrisError) as raised:
            await harness.hris.insert(new_key(), 1, spec, type_)
        error: BaseException | None = raised.value
        while error is not None:
            assert PRIVATE_NOTE not in f"{error} {error.args}"
            error = error.__cause__

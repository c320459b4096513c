"""What the conformance suite of the `Hris` port asks of balances. Part of `HrisSuite`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from timeoff.errors import Forbidden, HrisError, NotFound, Rejected, Unsupported
from timeoff.hris import units
from timeoff.hris.port import Balance, BalanceAsOf, BalanceKind
from timeoff.testing.hris_harness import (
    HrisHarness,
    SuiteSteps,
    any_type,
    needs_balances,
    needs_status,
    new_key,
    seen,
    whole_days,
)
from timeoff.vocabulary import EntryStatus


class BalanceTests(SuiteSteps):
    """A figure is exact, says for which date it holds, and is never 0 for want of knowledge."""

    async def test_balances_are_exact_and_honest_about_their_date(self, harness: HrisHarness) -> None:
        needs_balances(harness)
        types = {(type_.id, type_.id2): type_ for type_ in await harness.hris.list_time_off_types()}
        current = harness.hris.capabilities.balance_as_of is BalanceAsOf.CURRENT
        on = harness.week()[0]
        rows = await harness.hris.balances(harness.employee_id, on)
        assert rows, "nothing is known of this employee; give the harness one who has balances"
        assert len({(row.type_id, row.type_id2) for row in rows}) == len(rows)
        for row in rows:
            assert row.on == on
            assert row.unit is types[row.type_id, row.type_id2].unit
            assert row.amount is None or (type(row.amount) is Decimal and row.amount.is_finite())
            assert (row.kind is BalanceKind.CURRENT_ONLY) is current, row

    async def test_what_is_booked_is_not_left_any_more(self, harness: HrisHarness) -> None:
        needs_balances(harness)
        if harness.hris.capabilities.balance_as_of is BalanceAsOf.CURRENT:
            pytest.skip("balance_as_of is current")
        needs_status(harness, EntryStatus.APPROVED)
        type_ = await any_type(harness)
        # One day, so that it lies within one accounting period.
        spec = whole_days(harness, type_, harness.week()[:1], EntryStatus.APPROVED)
        before = await self._left(harness, type_, spec.last_day)
        key = new_key()
        await harness.hris.insert(key, 1, spec, type_)
        await seen(harness, key, spec)
        booked = sum(units.amounts(spec, type_).values(), Decimal(0))
        assert await self._left(harness, type_, spec.last_day) == before - booked

    async def test_a_balance_that_is_not_known_is_not_nothing(self, harness: HrisHarness) -> None:
        needs_balances(harness)
        type_ = await any_type(harness)
        on = harness.week()[0]
        await harness.forget_balance_of(type_.id)
        rows = await harness.hris.balances(harness.employee_id, on)
        assert [row.amount for row in rows if row.type_id == type_.id] in ([], [None])

    async def test_nobody_has_no_balance(self, harness: HrisHarness) -> None:
        needs_balances(harness)
        rows: Sequence[Balance] = []
        refused: HrisError | None = None
        try:
            rows = await harness.hris.balances("987654321", harness.week()[0])
        except (NotFound, Forbidden, Rejected) as error:
            refused = error
        assert [row for row in rows if row.amount is not None] == []
        assert not isinstance(refused, NotFound) or refused.what == "employee"

    async def test_balances_that_are_not_supported_say_so(self, harness: HrisHarness) -> None:
        if harness.hris.capabilities.balance_as_of is not BalanceAsOf.NONE:
            pytest.skip(f"balance_as_of is {harness.hris.capabilities.balance_as_of}")
        with pytest.raises(Unsupported):
            await harness.hris.balances(harness.employee_id, harness.week()[0])

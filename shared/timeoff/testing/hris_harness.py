"""What the conformance suite of the `Hris` port stands on: the harness, and steps its tests share."""

from __future__ import annotations

import asyncio
from abc import ABC
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeVar
from uuid import uuid4

import pytest

from timeoff.hris import units
from timeoff.hris.port import (
    BalanceAsOf,
    CancelMode,
    Hris,
    HrisEntry,
    TimeOffType,
    Unit,
    UpdateMode,
    Written,
)
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus

_T = TypeVar("_T")

#: Minutes of a whole day in the suite's requests.
WHOLE_DAY: Final = 480


class HrisHarness(ABC):  # noqa: B024 - every method has a default: what a harness cannot do is skipped
    """What the suite needs to know about one opened HRIS, and the switches that some harnesses have.

    `employee_id` and `other_employee_id` are two people without leave from `first_day` on.
    `hours_type` and `days_type` are ids of types in hours (or minutes) and in days; None where there is no
    such type. `days_per_entry` is how many days one record can hold (default: 1 where the adapter declares
    `entry_per_day`, else 5). `patience` is how long the suite waits
    until a write shows up in a read; the default follows what is declared of it.
    """

    def __init__(
        self,
        hris: Hris,
        *,
        employee_id: str,
        other_employee_id: str,
        hours_type: str | None,
        days_type: str | None,
        first_day: date | None = None,
        days_per_entry: int | None = None,
        patience: float | None = None,
    ) -> None:
        self.hris = hris
        self.employee_id = employee_id
        self.other_employee_id = other_employee_id
        self.hours_type = hours_type
        self.days_type = days_type
        offered = hris.capabilities
        self.days_per_entry = days_per_entry or (1 if offered.entry_per_day else 5)
        self.patience = offered.read_lag + offered.effective_within + 5 if patience is None else patience
        start = first_day or datetime.now(UTC).date() + timedelta(days=28)
        self._monday = start + timedelta(days=-start.weekday() % 7)

    def week(self) -> Sequence[date]:
        """Monday to Friday of a week that no other test uses."""
        monday, self._monday = self._monday, self._monday + timedelta(days=14)
        return [monday + timedelta(days=n) for n in range(5)]

    # Switches. A harness overrides what it has; the default says which one is missing.

    async def lose_next_answer(self) -> None:
        """The next write is carried out, and its answer never arrives."""
        pytest.skip("this harness has no switch: lose_next_answer")

    async def break_next_before_commit(self) -> None:
        """The next write is not carried out, and what is answered (if anything) leaves that open."""
        pytest.skip("this harness has no switch: break_next_before_commit")

    async def throttle_next(self, seconds: float) -> None:
        """The next call is refused for being one too many, with `seconds` to wait."""
        pytest.skip("this harness has no switch: throttle_next")

    async def refuse_credentials(self) -> Hris:
        """Another connection to the same HRIS with wrong credentials; the suite closes it."""
        pytest.skip("this harness has no switch: refuse_credentials")

    async def book_by_hand(
        self, employee_id: str, type_id: str, amounts: Mapping[date, Decimal], status: EntryStatus
    ) -> str:
        """A person books leave in the HRIS itself; returns the vendor's id."""
        pytest.skip("this harness has no switch: book_by_hand")

    async def notes_of(self, vendor_id: str) -> str:
        """All texts of the record in the HRIS, joined: the ground truth about notes."""
        pytest.skip("this harness has no switch: notes_of")

    async def forget_balance_of(self, type_id: str) -> None:
        """From now on the HRIS does not say what anybody has left of this type."""
        pytest.skip("this harness has no switch: forget_balance_of")

    async def live_records(self, employee_id: str, days: Sequence[date]) -> int:
        """How many live records of the employee touch the days: the ground truth, not over the adapter."""
        pytest.skip("this harness has no switch: live_records")


class SuiteSteps:
    """What several tests do, as methods so that the suite reads well."""

    async def _insert(self, harness: HrisHarness) -> tuple[Written, EntrySpec, TimeOffType, EntryKey]:
        type_ = await any_type(harness)
        spec = whole_days(harness, type_, harness.week(), insert_status(harness))
        key = new_key()
        written = await harness.hris.insert(key, 1, spec, type_)
        assert written.effective or harness.hris.capabilities.effective_within, "declared to be at once"
        await seen(harness, key, spec)
        return written, spec, type_, key

    async def _inserted_exactly(
        self, harness: HrisHarness, spec: EntrySpec, type_: TimeOffType
    ) -> tuple[Written, HrisEntry]:
        key = new_key()
        written = await harness.hris.insert(key, 1, spec, type_)
        entry = await seen(harness, key, spec)
        assert dict(entry.amounts) == units.amounts(spec, type_)
        assert entry.unit is type_.unit
        assert units.says(entry, spec, type_)
        return written, entry

    async def _clear(self, harness: HrisHarness, spec: EntrySpec) -> None:
        """Days outside of the suite's weeks: cancel what an earlier run left there."""
        if harness.hris.capabilities.cancel_mode is CancelMode.NONE:
            return
        found = await harness.hris.find(new_key(), spec.employee_id, spec.first_day, spec.last_day)
        for entry in found.entries:
            if entry.live and entry.marker is not None:
                await harness.hris.cancel(new_key(), entry.vendor_id, "conformance test")

    async def _get(self, harness: HrisHarness, vendor_id: str, spec: EntrySpec) -> HrisEntry | None:
        return await harness.hris.get(vendor_id, spec.employee_id, spec.first_day, spec.last_day)

    async def _takes_effect(
        self,
        harness: HrisHarness,
        spec: EntrySpec,
        vendor_id: str,
        in_effect: Callable[[HrisEntry | None], bool],
    ) -> None:
        """After the read lag the record is shown as changing until the write is in effect, in time."""
        loop = asyncio.get_running_loop()
        offered = harness.hris.capabilities
        visible = loop.time() + offered.read_lag
        end = visible + offered.effective_within
        while True:
            began = loop.time()
            entry = await self._get(harness, vendor_id, spec)
            if in_effect(entry) and not (entry and entry.changing):
                return
            assert began <= end, f"not in effect within {offered.effective_within} s: {entry}"
            assert began <= visible or (entry is not None and entry.changing), entry
            await asyncio.sleep(0.02)

    async def _left(self, harness: HrisHarness, type_: TimeOffType, on: date) -> Decimal:
        rows = await harness.hris.balances(harness.employee_id, on)
        amounts = [row.amount for row in rows if (row.type_id, row.type_id2) == (type_.id, type_.id2)]
        if amounts in ([], [None]):
            pytest.skip(f"nothing is known of the balance of type {type_.id}")
        (amount,) = amounts
        assert amount is not None
        return amount

    async def _live_of(self, harness: HrisHarness, key: EntryKey, *specs: EntrySpec) -> list[HrisEntry]:
        """Live records of the key over the days of all the specs, each once."""
        entries: dict[str, HrisEntry] = {}
        for spec in specs:
            found = await harness.hris.find(key, spec.employee_id, spec.first_day, spec.last_day)
            entries |= {entry.vendor_id: entry for entry in found.entries if entry.live and ours(entry, key)}
        return list(entries.values())


def new_key() -> EntryKey:
    return EntryKey("conformance", "conformance", uuid4().hex, 1)


def ours(entry: HrisEntry, key: EntryKey) -> bool:
    return entry.marker == key.marker


def live(entry: HrisEntry | None) -> bool:
    return entry is not None and entry.live


def spec_of(
    harness: HrisHarness, type_: TimeOffType, days: tuple[Day, ...], status: EntryStatus
) -> EntrySpec:
    return EntrySpec(harness.employee_id, type_.id, type_.id2, status, days, "Europe/Berlin")


def whole_days(
    harness: HrisHarness, type_: TimeOffType, week: Sequence[date], status: EntryStatus
) -> EntrySpec:
    days = tuple(Day(on, WHOLE_DAY, whole=True) for on in week[: min(harness.days_per_entry, 3)])
    return spec_of(harness, type_, days, status)


def insert_status(harness: HrisHarness) -> EntryStatus:
    statuses = harness.hris.capabilities.insert_statuses
    return EntryStatus.APPROVED if EntryStatus.APPROVED in statuses else sorted(statuses)[0]


def needs_status(harness: HrisHarness, status: EntryStatus) -> None:
    if status not in harness.hris.capabilities.insert_statuses:
        pytest.skip(f"insert_statuses has no {status}")


def needs_update(harness: HrisHarness) -> None:
    mode = harness.hris.capabilities.update_mode
    if mode not in (UpdateMode.IN_PLACE, UpdateMode.REPLACE_NEW_ID):
        pytest.skip(f"update_mode is {mode}")


def needs_cancel(harness: HrisHarness) -> None:
    if harness.hris.capabilities.cancel_mode is CancelMode.NONE:
        pytest.skip("cancel_mode is none")


def needs_later_effect(harness: HrisHarness) -> None:
    if not harness.hris.capabilities.effective_within:
        pytest.skip("effective_within is 0")


def needs_balances(harness: HrisHarness) -> None:
    if harness.hris.capabilities.balance_as_of is BalanceAsOf.NONE:
        pytest.skip("balance_as_of is none")


def needs_list(harness: HrisHarness) -> None:
    if not harness.hris.capabilities.can_list:
        pytest.skip("can_list is false")


async def type_in(harness: HrisHarness, unit: str) -> TimeOffType:
    """The harness's type in days, or in hours (minutes count as such)."""
    wanted = harness.days_type if unit == "days" else harness.hours_type
    if wanted is None:
        pytest.skip(f"this harness has no type in {unit}")
    (type_,) = (each for each in await harness.hris.list_time_off_types() if each.id == wanted)
    assert (type_.unit is Unit.DAYS) == (unit == "days"), f"type {wanted} is in {type_.unit}"
    return type_


async def any_type(harness: HrisHarness) -> TimeOffType:
    return await type_in(harness, "hours" if harness.hours_type is not None else "days")


async def seen(
    harness: HrisHarness, key: EntryKey, spec: EntrySpec, type_: TimeOffType | None = None
) -> HrisEntry:
    """The record of the key, once a read shows it in the status (with `type_`: in all) that was asked for."""

    async def look() -> list[HrisEntry]:
        found = await harness.hris.find(key, spec.employee_id, spec.first_day, spec.last_day)
        return [entry for entry in found.entries if ours(entry, key)]

    def as_asked(entries: list[HrisEntry]) -> list[HrisEntry]:
        fitting = [
            entry
            for entry in entries
            if (entry.status == spec.status if type_ is None else units.says(entry, spec, type_))
            and not entry.changing
        ]
        assert len(fitting) <= 1, "one key, one live record"
        return fitting

    entries = await until(harness, look, lambda entries: bool(as_asked(entries)))
    return as_asked(entries)[0]


async def until(harness: HrisHarness, look: Callable[[], Awaitable[_T]], enough: Callable[[_T], bool]) -> _T:
    """Look again until it is enough. A vendor has no event to wait for; its read lag is declared."""
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + harness.patience, 0.005
    while not enough(last := await look()):
        assert loop.time() < end, f"not seen within {harness.patience} s: {last!r}"
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)
    return last

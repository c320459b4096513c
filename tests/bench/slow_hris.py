"""An HRIS inside the process that takes its time, and watches the order of what it is asked."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import date

from tests.bench.traffic import place_of

from timeoff.hris.port import (
    CancelMode,
    Capabilities,
    Employee,
    ExternalKey,
    Found,
    Health,
    HrisEntry,
    PartialDay,
    TimeOffType,
    Unit,
    UpdateMode,
    Written,
)
from timeoff.vocabulary import EntryKey, EntrySpec, EntryStatus

VACATION = TimeOffType("vacation", "Vacation", Unit.HOURS)


class SlowHris:
    """Implements `Hris`. Every write takes `latency` seconds; `disorder` counts broken promises.

    Disorder is a request of an employee that came before an earlier one, came twice, or came while another
    call of that employee was in flight.
    """

    def __init__(self, latency: float, expected: int, progress: Callable[[int], None]) -> None:
        self._latency = latency
        self._expected = expected
        self._progress = progress
        self._next: dict[int, int] = defaultdict(int)
        self._busy: set[int] = set()
        self.calls = 0
        self.disorder = 0
        self.most_in_flight = 0
        self.complete = asyncio.Event()

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            external_key=ExternalKey.UNIQUE,
            update_mode=UpdateMode.IN_PLACE,
            cancel_mode=CancelMode.STATUS,
            partial_day=PartialDay.START_TIME,
            insert_statuses=frozenset({EntryStatus.APPROVED, EntryStatus.REQUESTED}),
            can_list=True,
            read_lag=0.0,
            call_timeout=10.0,
        )

    async def insert(self, key: EntryKey, revision: int, spec: EntrySpec, type_: TimeOffType) -> Written:
        employee, nth = place_of(key.request_id)
        if employee in self._busy or nth != self._next[employee]:
            self.disorder += 1
        self._next[employee] = nth + 1
        self._busy.add(employee)
        self.most_in_flight = max(self.most_in_flight, len(self._busy))
        await asyncio.sleep(self._latency)
        self._busy.discard(employee)
        self._called()
        return Written(key.request_id)

    def _called(self) -> None:
        self.calls += 1
        self._progress(1)
        if self.calls >= self._expected:
            self.complete.set()

    # Nothing of this is asked for while the promises hold; it counts as a call, which the report shows.

    async def update(
        self,
        key: EntryKey,
        revision: int,
        vendor_id: str,
        previous: EntrySpec,
        spec: EntrySpec,
        type_: TimeOffType,
    ) -> Written:
        self._called()
        return Written(vendor_id)

    async def cancel(self, key: EntryKey, vendor_id: str, reason: str) -> Written:
        self._called()
        return Written(vendor_id)

    async def get(
        self, vendor_id: str, employee_id: str, first_day: date, last_day: date
    ) -> HrisEntry | None:
        self._called()
        return None

    async def find(self, key: EntryKey, employee_id: str, first_day: date, last_day: date) -> Found:
        self._called()
        return Found(())

    async def list_entries(
        self, first_day: date, last_day: date, employee_ids: Collection[str] | None = None
    ) -> Sequence[HrisEntry]:
        self._called()
        return ()

    async def list_employees(self) -> Sequence[Employee]:
        return ()

    async def list_time_off_types(self) -> Sequence[TimeOffType]:
        return (VACATION,)

    async def health(self) -> Health:
        return Health(reachable=True, authenticated=True)

    async def close(self) -> None:
        return None

"""The `Hris` port: what the core asks of any HRIS, in the words of no vendor.

An adapter is an `Adapter` value: a settings model and a function that opens an `Hris`. It is found by
the entry point group `timeoff.hris` (by its short name) or by a dotted path `package.module:NAME`.

Rules for adapters:

* One method is one write. A method that needs several writes to finish is not offered; the core does the
  steps, each with an intent of its own.
* Raise only the classes of `timeoff.errors`. After the bytes of a write were sent, anything but a clear
  answer is `OutcomeUnknown`. `RetryLater` promises that nothing was written. An adapter never repeats a
  write by itself.
* Every write carries the `EntryKey` (as external key, or as a short marker in a text field), and `find`
  can tell by it which record is ours.
* Amounts cross the vendor's edge as exact decimals, converted by `timeoff.hris.units` and nowhere else.
* Every call ends within `Capabilities.call_timeout` seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from timeoff.vocabulary import LIVE_ENTRY_STATUSES, EntryKey, EntrySpec, EntryStatus


class ExternalKey(StrEnum):
    """What the vendor offers for our own key on a record."""

    NONE = "none"
    SEARCHABLE = "searchable"
    UNIQUE = "unique"
    UPSERT = "upsert"


class UpdateMode(StrEnum):
    IN_PLACE = "in_place"
    REPLACE_NEW_ID = "replace_new_id"
    CANCEL_AND_CREATE = "cancel_and_create"
    NONE = "none"


class CancelMode(StrEnum):
    STATUS = "status"
    DELETE = "delete"
    COUNTER_ENTRY = "counter_entry"
    NONE = "none"


class PartialDay(StrEnum):
    """How much of a part of a day survives in the vendor's record."""

    START_TIME = "start_time"
    AMOUNT = "amount"
    HALF = "half"


class Unit(StrEnum):
    HOURS = "hours"
    DAYS = "days"
    MINUTES = "minutes"


class BalanceAsOf(StrEnum):
    """For which dates the vendor can say what is left."""

    #: any date; what accrues until then and what is booked by then is counted
    ANY_DATE = "any_date"
    #: the accounting period that holds the date; nothing is known of periods the vendor has not opened
    PER_PERIOD = "per_period"
    #: only as of now, whatever date is asked for
    CURRENT = "current"
    NONE = "none"


class BalanceKind(StrEnum):
    """How far a figure can be trusted for the date it was asked for."""

    EXACT = "exact"
    PROJECTED = "projected"
    CURRENT_ONLY = "current_only"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter declares and the core plans from. Durations in seconds."""

    external_key: ExternalKey
    update_mode: UpdateMode
    cancel_mode: CancelMode
    partial_day: PartialDay
    insert_statuses: frozenset[EntryStatus]
    can_list: bool
    #: A record written at T is certainly visible to reads begun after T + read_lag.
    read_lag: float
    #: Every call ends within this time.
    call_timeout: float
    #: HTTP statuses (or words) by which the vendor says "slow down"; for the docs and `doctor`.
    throttle_signals: tuple[str, ...] = ("429",)
    #: One record holds one day: the core books a request as one entry for each of its days.
    entry_per_day: bool = False
    #: One `update` can change days and status together. Where it cannot, the core makes two.
    status_with_days: bool = True
    #: An accepted write is in effect within this time, or something went wrong; 0: at once, always.
    effective_within: float = 0.0
    balance_as_of: BalanceAsOf = BalanceAsOf.NONE
    #: A balance counts records that are only requested. Where it does not, the ledger keeps what they take.
    balance_counts_requested: bool = True


@dataclass(frozen=True, slots=True)
class Employee:
    """A person in the HRIS. `email` is None where the vendor shows none."""

    id: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class TimeOffType:
    """A kind of leave in the HRIS.

    `step` is the smallest amount, in `unit`, that is sent (amounts are rounded to it, half up).
    `day_minutes` is the length of a working day by ISO weekday (1 = Monday), for types in days; a
    weekday that is absent or 0 falls back to `default_day_minutes`.
    `whole_day_is_one`: a whole day counts as exactly 1 day, whatever its minutes (`full_day = one_day`).
    """

    id: str
    name: str
    unit: Unit
    id2: str | None = None
    step: Decimal = Decimal("0.01")
    day_minutes: Mapping[int, int] = field(default_factory=dict)
    default_day_minutes: int = 480
    whole_day_is_one: bool = True


@dataclass(frozen=True, slots=True)
class HrisEntry:
    """One record in the HRIS as it is now.

    `amounts` are exact decimals in `unit` per date; dates with amount 0 are left out. `marker` is the
    marker found in the record's text or key field, without brackets (see `EntryKey.marker`), or None.
    `revision` is the write's number that came with the marker, if any.

    Where a cancel books a counter entry, a record that has one is shown once, as cancelled. A counter entry
    beyond that (a cancel that arrived twice) is shown as a live record of its own with amounts below 0.
    """

    vendor_id: str
    employee_id: str
    type_id: str
    status: EntryStatus
    unit: Unit
    amounts: Mapping[date, Decimal]
    first_day: date
    last_day: date
    marker: str | None = None
    revision: int | None = None
    type_id2: str | None = None
    #: Company-local date on which the record was created, where the vendor says so.
    created_on: date | None = None
    #: The vendor has accepted a change of this record that is not in effect yet.
    changing: bool = False

    @property
    def live(self) -> bool:
        return self.status in LIVE_ENTRY_STATUSES


@dataclass(frozen=True, slots=True)
class Written:
    """Answer to a write: `vendor_id` is the id that is valid now.

    `effective` is False when the vendor has accepted the write but it takes effect later; the core
    then reads the record until it settles. `lost` names what the vendor did not keep, e.g. "start_time".
    """

    vendor_id: str
    effective: bool = True
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a search saw. `entries` are all records of the employee in the searched range, live or not.

    A record listed in `entries` that the ledger knows proves that the search can see this employee.
    """

    entries: tuple[HrisEntry, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """What an employee has left of one type on one date.

    `amount` is an exact decimal in `unit`, None where the vendor does not say (never 0 for unknown).
    `unlimited`: the vendor keeps no balance for this type and refuses nothing for want of it.
    `first_day` and `last_day` bound the leave that the figure counts, where the vendor keeps periods.
    """

    type_id: str
    on: date
    amount: Decimal | None
    unit: Unit
    kind: BalanceKind
    type_id2: str | None = None
    unlimited: bool = False
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """`reachable` and `authenticated` tell lock-out and outage apart; `detail` is for people."""

    reachable: bool
    authenticated: bool
    detail: str = ""


@runtime_checkable
class Hris(Protocol):
    """One HRIS target. All methods are safe to call concurrently."""

    @property
    def capabilities(self) -> Capabilities: ...

    async def list_employees(self) -> Sequence[Employee]:
        """All people the credentials may see. Raises rather than return a part of them."""
        ...

    async def list_time_off_types(self) -> Sequence[TimeOffType]: ...

    async def insert(self, key: EntryKey, revision: int, spec: EntrySpec, type_: TimeOffType) -> Written:
        """Create one record. `revision` numbers the writes of a key and travels with the marker."""
        ...

    async def update(
        self,
        key: EntryKey,
        revision: int,
        vendor_id: str,
        previous: EntrySpec,
        spec: EntrySpec,
        type_: TimeOffType,
    ) -> Written:
        """Make the record say `spec`; the answer holds the id valid now."""
        ...

    async def cancel(self, key: EntryKey, vendor_id: str, reason: str) -> Written:
        """Cancel one record. A record already cancelled or gone is a success."""
        ...

    async def get(
        self, vendor_id: str, employee_id: str, first_day: date, last_day: date
    ) -> HrisEntry | None:
        """The record as it is now, whatever its status; None if it cannot be seen.

        Employee and dates are where the record was last known to be: some vendors only search by them.
        """
        ...

    async def find(self, key: EntryKey, employee_id: str, first_day: date, last_day: date) -> Found:
        """All records of the employee that touch the dates, of all types and statuses; and, where the vendor
        can be asked for a key, whatever carries it: a person may have moved it to other dates.
        """
        ...

    async def list_entries(
        self, first_day: date, last_day: date, employee_ids: Collection[str] | None = None
    ) -> Sequence[HrisEntry]:
        """All live records that touch the dates, of the named employees or of everybody."""
        ...

    async def balances(self, employee_id: str, on: date) -> Sequence[Balance]:
        """What the employee has left of each type on that date, with one call to the vendor.

        Types of which the vendor says nothing are left out. Raises `Unsupported` where `balance_as_of` is
        `none`, `NotFound("employee")` where the vendor tells an unknown employee apart.
        """
        ...

    async def health(self) -> Health:
        """One cheap authenticated call. Does not raise for what it is there to tell."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Adapter:
    """An HRIS adapter as found by entry point or dotted path.

    `open` takes the validated settings model and returns a connected `Hris`; it makes no call that needs
    the network to answer, so that an HRIS that is down does not keep a service from starting.
    """

    name: str
    settings: type[BaseModel]
    open: Callable[[Any], Awaitable[Hris]]

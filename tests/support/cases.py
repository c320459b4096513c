"""Cases, entries and records for tests of the pure core: one request of one employee, varied by keyword."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from timeoff.events import Observation, RequestContent
from timeoff.hris.port import (
    CancelMode,
    Capabilities,
    ExternalKey,
    HrisEntry,
    PartialDay,
    TimeOffType,
    Unit,
    UpdateMode,
)
from timeoff.ledger.rows import Case, Entry, Intent, RequestView
from timeoff.vocabulary import Day, EntryKey, EntrySpec, EntryStatus, ObservationSource
from timeoff_sync.decisions import Rules, TypeChoice

#: Modification of version 1; everything else is counted from here.
AT = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
#: A Monday.
MONDAY = date(2027, 3, 8)
TUESDAY = MONDAY + timedelta(days=1)
CUTOVER = date(2027, 1, 1)
AGENT = "agent-1"
REQUEST = "request-1"
EMPLOYEE = "157"
CODE = "code-vacation"
VACATION = TimeOffType("83", "Vacation", Unit.HOURS)
FLEX = TimeOffType("84", "Flex", Unit.DAYS, step=Decimal("0.01"), default_day_minutes=480)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


# -- the Genesys side -------------------------------------------------------------------------------------


def content(status: str = "APPROVED", dates: Sequence[date] = (MONDAY,), **changes: Any) -> RequestContent:
    """Whole days of eight hours unless told otherwise."""
    values: dict[str, Any] = {
        "status": status,
        "activity_code_id": CODE,
        "full_day": True,
        "full_day_dates": tuple(dates),
        "duration_minutes": (480,) * len(dates),
    }
    return RequestContent(**(values | changes))


def part_of_a_day(start: datetime, minutes: int, **changes: Any) -> RequestContent:
    return content(
        full_day=False,
        full_day_dates=(),
        partial_starts=(start,),
        duration_minutes=(minutes,),
        **changes,
    )


def notified(
    seen: RequestContent, modified: datetime | None, received: datetime | None = None
) -> Observation:
    """A notification; it arrives 0.2 s after the change unless told otherwise."""
    return Observation(
        org="acme",
        request_id=REQUEST,
        agent_id=AGENT,
        source=ObservationSource.STREAM,
        read_at=received or (modified or AT) + timedelta(seconds=0.2),
        modified_at=modified,
        management_unit_id="unit-1",
        zone="Europe/Berlin",
        content=seen,
    )


def read(
    version: int,
    seen: RequestContent | None,
    modified: datetime | None,
    began: datetime | None = None,
    **changes: Any,
) -> Observation:
    """A REST read; it begins 0.5 s after the change unless told otherwise. `seen` None: a 404."""
    values: dict[str, Any] = {
        "org": "acme",
        "request_id": REQUEST,
        "agent_id": AGENT,
        "source": ObservationSource.CONFIRM,
        "read_at": began or (modified or AT) + timedelta(seconds=0.5),
        "modified_at": modified,
        "version": None if seen is None else version,
        "management_unit_id": "unit-1",
        "zone": "Europe/Berlin",
        "zone_confirmed": True,
        "content": seen,
    }
    return Observation(**(values | changes))


def view(
    seen: RequestContent | None = None, *, provisional: RequestContent | None = None, **changes: Any
) -> RequestView:
    """Confirmed in version 1 unless `provisional` is given, which awaits its read."""
    plain = RequestView(
        request_id=REQUEST,
        agent_id=AGENT,
        management_unit_id="unit-1",
        zone="Europe/Berlin",
        version=1 if seen else None,
        confirmed=seen,
        confirmed_at=AT if seen else None,
        provisional=provisional,
        unconfirmed=provisional is not None,
        watermark=after(60) if provisional else None,
    )
    return replace(plain, **changes)


# -- the ledger's side ------------------------------------------------------------------------------------


def days(dates: Sequence[date] = (MONDAY,), minutes: int = 480) -> tuple[Day, ...]:
    return tuple(Day(on, minutes, whole=True) for on in dates)


def spec(**changes: Any) -> EntrySpec:
    plain = EntrySpec(
        employee_id=EMPLOYEE,
        type_id=VACATION.id,
        type_id2=None,
        status=EntryStatus.APPROVED,
        days=days(),
        zone="Europe/Berlin",
    )
    return replace(plain, **changes)


def entry(says: EntrySpec | None = None, **changes: Any) -> Entry:
    """A live entry written long ago, with the id 700 now and 650 before."""
    what = says or spec()
    plain = Entry(
        booking=1,
        part=1,
        target="main",
        spec=what,
        fingerprint=what.fingerprint,
        vendor_id="700",
        chain=("650", "700"),
        live=True,
        age=3600.0,
    )
    return replace(plain, **changes)


def case(of: RequestView | None = None, **changes: Any) -> Case:
    plain = Case(
        request_pk=1,
        lane_id=1,
        epoch=3,
        org="acme",
        target="main",
        employee_id=EMPLOYEE,
        view=of or view(content()),
        revision=5,
        state="open",
        reason=None,
        look_first=False,
        booking=1,
        writes=0,
        attempts=0,
        done_by_hand=False,
        doubted=False,
        audit_at=None,
        audit_due=False,
        linked_employee_id=EMPLOYEE,
    )
    return replace(plain, **changes)


CAPABILITIES = Capabilities(
    external_key=ExternalKey.NONE,
    update_mode=UpdateMode.REPLACE_NEW_ID,
    cancel_mode=CancelMode.STATUS,
    partial_day=PartialDay.AMOUNT,
    insert_statuses=frozenset({EntryStatus.APPROVED, EntryStatus.REQUESTED}),
    can_list=True,
    read_lag=5.0,
    call_timeout=10.0,
)


def rules(
    capabilities: Mapping[str, Any] | None = None,
    choices: Mapping[tuple[str, str], TypeChoice] | None = None,
    **changes: Any,
) -> Rules:
    plain = Rules(
        deployment="d-1",
        exported=frozenset({"APPROVED"}),
        cutover=CUTOVER,
        capabilities=replace(CAPABILITIES, **(capabilities or {})),
        types={VACATION.id: VACATION, FLEX.id: FLEX},
        choices={("", CODE): TypeChoice(VACATION.id)} if choices is None else choices,
    )
    return replace(plain, **changes)


# -- the HRIS's side --------------------------------------------------------------------------------------


def key(booking: int = 1) -> EntryKey:
    return EntryKey("d-1", "acme", REQUEST, booking)


def record(vendor_id: str = "700", amounts: Mapping[date, str] | None = None, **changes: Any) -> HrisEntry:
    """A live record of eight hours on Monday."""
    exact = {on: Decimal(value) for on, value in ({MONDAY: "8"} if amounts is None else amounts).items()}
    plain = HrisEntry(
        vendor_id=vendor_id,
        employee_id=EMPLOYEE,
        type_id=VACATION.id,
        status=EntryStatus.APPROVED,
        unit=Unit.HOURS,
        amounts=exact,
        first_day=min(exact, default=MONDAY),
        last_day=max(exact, default=MONDAY),
    )
    return replace(plain, **changes)


def intent(kind: str = "insert", **changes: Any) -> Intent:
    """Announced at AT with a deadline 15 s later; cancels and updates are of record 700."""
    plain = Intent(
        intent_id=UUID(int=1),
        request_pk=1,
        kind=kind,
        booking=1,
        part=1,
        write_no=2,
        spec=None if kind.startswith("cancel") else spec(),
        previous=None if kind == "insert" else spec(days=days(minutes=240)),
        vendor_id=None if kind == "insert" else "700",
        repeat=False,
        created_at=AT,
        deadline=after(15),
    )
    return replace(plain, **changes)

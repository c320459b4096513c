"""The `Hris` port on BambooHR's time-off API.

What BambooHR is like, and what follows:

* Its PUT creates a request every time it is called. Nothing is ever repeated here; after an unclear
  answer the core looks with `find`, which tells our record by the mark in the manager's note.
* An update replaces: the old request stays listed as `superceded`, the new one has a new id. Only the step
  from requested to approved, with nothing else changed, happens in place.
* A refusal does not say why in a stable way. So a refused update or cancel reads the record and judges
  by its state; the text of the refusal is only a hint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self

from timeoff.errors import (
    AlreadyBegun,
    AuthFailed,
    Conflict,
    Forbidden,
    HrisError,
    InsufficientBalance,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Unsupported,
)
from timeoff.hris import calls, units
from timeoff.hris.bamboohr import wire
from timeoff.hris.bamboohr.client import BambooHrClient, Refused, Reply
from timeoff.hris.bamboohr.settings import BambooHrSettings
from timeoff.hris.marker import write_mark
from timeoff.hris.port import (
    Balance,
    BalanceAsOf,
    BalanceKind,
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

_INSERT_STATUSES: Final = frozenset({EntryStatus.REQUESTED, EntryStatus.APPROVED})

#: The listing needs a window even when one id is asked for; this one leaves nothing out, so that a record
#: is found although somebody moved its dates.
_ALWAYS: Final = {"start": "1900-01-01", "end": "2100-12-31"}

_BEGUN_WORDS: Final = ("started", "begun", "in the past")
_OVERLAP_WORDS: Final = ("overlap",)
_BALANCE_WORDS: Final = ("balance", "insufficient")


class BambooHr:
    """One BambooHR company. Notes go out with writes and are never read back."""

    def __init__(self, settings: BambooHrSettings) -> None:
        self._settings = settings
        self._client = BambooHrClient(settings)
        self._capabilities = Capabilities(
            external_key=ExternalKey.NONE,
            update_mode=UpdateMode.REPLACE_NEW_ID,
            cancel_mode=CancelMode.STATUS,
            partial_day=PartialDay.AMOUNT,
            insert_statuses=_INSERT_STATUSES,
            can_list=True,
            read_lag=settings.read_lag,
            call_timeout=settings.call_timeout,
            throttle_signals=("429", "503 with Retry-After"),
            balance_as_of=BalanceAsOf.ANY_DATE,
            balance_counts_requested=False,
        )

    @classmethod
    async def open(cls, settings: BambooHrSettings) -> Self:
        return cls(settings)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def close(self) -> None:
        await self._client.close()

    async def list_employees(self) -> Sequence[Employee]:
        """The directory. Raises `Forbidden` if it is not shared, or shared without e-mail addresses."""
        operation = "directory"
        try:
            body = await self._client.read(operation, "v1/employees/directory", {"onlyCurrent": "true"})
        except Refused as refused:
            if refused.status == 404:
                raise NotFound("employee", f"{refused}: the directory is empty or not there") from None
            raise Rejected(str(refused)) from None
        except Forbidden as error:
            raise Forbidden(f"{error}; share the company directory with the key's user") from None
        try:
            return wire.read_directory(wire.parse(body))
        except LookupError:
            raise Forbidden(
                "BambooHR directory: nobody's workEmail is shown; share the full company directory"
            ) from None
        except ValueError as error:
            raise _unreadable(operation, error) from None

    async def list_time_off_types(self) -> Sequence[TimeOffType]:
        operation = "types"
        try:
            body = await self._client.read(operation, "v1/meta/time_off/types")
        except Refused as refused:
            raise Rejected(str(refused)) from None
        settings = self._settings
        try:
            return wire.read_types(
                wire.parse(body),
                steps={Unit.HOURS: settings.hours_step, Unit.DAYS: settings.days_step},
                day_minutes=settings.day_minutes,
                whole_day_is_one=settings.whole_day_is_one,
            )
        except ValueError as error:
            raise _unreadable(operation, error) from None

    async def insert(self, key: EntryKey, revision: int, spec: EntrySpec, type_: TimeOffType) -> Written:
        """Create. `Written.lost` names `start_time` for partial days and `note` if the note was cut."""
        try:
            return await self._put(key, revision, spec, units.amounts(spec, type_), None)
        except Refused as refused:
            if refused.foreign:
                raise OutcomeUnknown(str(refused)) from None
            if refused.status == 404:
                raise NotFound("employee", str(refused)) from None
            raise _by_words(refused) from None

    async def update(
        self,
        key: EntryKey,
        revision: int,
        vendor_id: str,
        previous: EntrySpec,
        spec: EntrySpec,
        type_: TimeOffType,
    ) -> Written:
        """Replace, or approve in place when that is the whole change (then mark and id stay as they are).

        Raises `NotFound("request")` when `vendor_id` is not live any more: somebody cancelled it, or it has
        been replaced and its successor is to be looked for. `AlreadyBegun` when its first day has come.
        """
        deadline = self._deadline()
        if not wire.is_id(vendor_id):
            raise NotFound("request")
        amounts = units.amounts(spec, type_)
        wanted_live = frozenset({EntryStatus.REQUESTED, EntryStatus.APPROVED})
        try:
            if _only_approves(previous, spec, units.amounts(previous, type_), amounts):
                wanted_live = frozenset({EntryStatus.REQUESTED})
                return await self._set_status(vendor_id, EntryStatus.APPROVED, None)
            return await self._put(key, revision, spec, amounts, (vendor_id, previous.note))
        except Refused as refused:
            entry = await self._reread(vendor_id, deadline)
            if entry is None:
                if refused.status == 404:
                    raise NotFound("request", str(refused)) from None
                raise _by_words(refused) from None
            if entry.status in wanted_live:
                if refused.foreign:
                    raise OutcomeUnknown(f"{refused}, and the request is there") from None
                if refused.status == 404:
                    raise NotFound("employee", str(refused)) from None
                raise _begun(refused, entry) or _by_words(refused) from None
            if entry.status is EntryStatus.APPROVED:
                return Written(vendor_id)
            raise NotFound("request", f"{refused}; the request is {entry.status} now") from None

    async def cancel(self, key: EntryKey, vendor_id: str, reason: str) -> Written:
        """Set the status to canceled. A request that is cancelled, denied or gone is a success.

        Raises `NotFound("request")` when it was replaced: its successor may be live and has to be looked for.
        """
        deadline = self._deadline()
        if not wire.is_id(vendor_id):
            raise NotFound("request")
        try:
            return await self._set_status(vendor_id, EntryStatus.CANCELLED, reason)
        except Refused as refused:
            entry = await self._reread(vendor_id, deadline)
            if entry is None:
                if refused.status == 404:
                    return Written(vendor_id)
                raise _by_words(refused) from None
            if entry.status is EntryStatus.SUPERSEDED:
                raise NotFound("request", f"{refused}; the request was replaced by another") from None
            if not entry.live:
                return Written(vendor_id)
            if refused.foreign:
                raise OutcomeUnknown(f"{refused}, and the request is there") from None
            raise _begun(refused, entry) or _by_words(refused) from None

    async def get(
        self, vendor_id: str, employee_id: str, first_day: date, last_day: date
    ) -> HrisEntry | None:
        """By id and without regard to dates, so that a record moved by a person is seen too."""
        return await self._by_id(vendor_id) if wire.is_id(vendor_id) else None

    async def find(self, key: EntryKey, employee_id: str, first_day: date, last_day: date) -> Found:
        if not wire.is_id(employee_id):
            raise NotFound("employee")
        entries = await self._requests("find", _window(first_day, last_day) | {"employeeId": employee_id})
        return Found(tuple(_touching(entries, first_day, last_day, {employee_id})))

    async def list_entries(
        self, first_day: date, last_day: date, employee_ids: Collection[str] | None = None
    ) -> Sequence[HrisEntry]:
        if employee_ids is not None and not employee_ids:
            return []
        params = _window(first_day, last_day)
        if employee_ids is not None and len(employee_ids) == 1:
            (only,) = employee_ids
            if not wire.is_id(only):
                raise NotFound("employee")
            params["employeeId"] = only
        entries = await self._requests("list", params)
        return [e for e in _touching(entries, first_day, last_day, employee_ids) if e.live]

    async def balances(self, employee_id: str, on: date) -> Sequence[Balance]:
        """The calculator's figures for that date: accruals until then added, approved time until then taken.

        Up to today (by UTC: the company's zone is not known here) a figure is exact, later it is projected.
        Types under a discretionary policy are unlimited: BambooHR shows 0 or less for them and refuses
        nothing (BambooHR API reference, estimate future time off balances).
        """
        operation = "balances"
        if not wire.is_id(employee_id):
            raise NotFound("employee")
        try:
            body = await self._client.read(
                operation,
                f"v1/employees/{employee_id}/time_off/calculator",
                # The finest that BambooHR shows; without it the figures are rounded to two decimals.
                {"end": on.isoformat(), "precision": "4"},
            )
        except Refused as refused:
            if refused.foreign:
                raise RetryLater(str(refused)) from None
            if refused.status == 404:
                raise NotFound("employee", str(refused)) from None
            raise Rejected(str(refused)) from None
        kind = BalanceKind.EXACT if on <= datetime.now(UTC).date() else BalanceKind.PROJECTED
        try:
            return wire.read_balances(wire.parse(body), on, kind)
        except ValueError as error:
            raise _unreadable(operation, error) from None

    async def health(self) -> Health:
        """Ask who owns the key. A refused key answers 401; a key locked out or switched off, 403."""
        deadline = self._deadline()
        try:
            try:
                await self._client.read("health", "v1/employees/0", {"fields": "id"})
            except Refused as refused:
                if refused.status != 404:
                    raise
                # The key's owner need not be an employee; another read tells whether the key is good.
                await self._client.read("health", "v1/meta/time_off/types", timeout=_left(deadline))
        except AuthFailed as error:
            return Health(True, False, f"{error}: the API key is refused")
        except Forbidden as error:
            return Health(True, False, f"{error}: API access is locked out or not permitted for this key")
        except RetryLater as error:
            return Health(False, False, str(error))
        except Refused as error:
            return Health(True, False, f"{error}: no BambooHR company answers here")
        return Health(True, True)

    async def _put(
        self,
        key: EntryKey,
        revision: int,
        spec: EntrySpec,
        amounts: Mapping[date, Decimal],
        replaces: tuple[str, str | None] | None,
    ) -> Written:
        """The one PUT. Days that round to 0 are not sent; raises `Rejected` unsent if none is left.

        `replaces` is the id of the request that it takes the place of, and the note that was sent with that.
        """
        if spec.status not in _INSERT_STATUSES:
            raise Unsupported(f"insert_statuses: {spec.status}")
        if not wire.is_id(spec.employee_id):
            raise NotFound("employee")
        if not wire.is_id(spec.type_id):
            raise NotFound("type")
        if not amounts:
            raise Rejected("nothing to book: every day of the request rounds to 0")
        previous_id, previous_note = replaces or (None, None)
        operation = "create" if previous_id is None else "replace"
        note = calls.clean(spec.note) if spec.note else None
        short = note[: self._settings.note_limit] if note else None
        try:
            body = wire.write_request(
                spec, amounts, mark=write_mark(key, revision), note=short, previous_id=previous_id
            )
        except ValueError as error:
            raise Rejected(str(error)) from None
        reply = await self._client.write(
            operation,
            f"v1/employees/{spec.employee_id}/time_off/request",
            body,
            private=(spec.note, previous_note),
        )
        answer = wire.read_answer(reply.body)
        vendor_id = _first_id(answer.id, wire.id_from_location(reply.location))
        if vendor_id is None or vendor_id == previous_id:
            raise OutcomeUnknown(f"BambooHR {operation}: {reply.status} without a readable id")
        lost = ["start_time"] if any(day.start for day in spec.days) else []
        if short != note:
            lost.append("note")
        return Written(vendor_id, answer.entry_status in (None, spec.status), tuple(lost))

    async def _set_status(self, vendor_id: str, status: EntryStatus, note: str | None) -> Written:
        """Words of a refusal are not shown: they may quote a note that a person wrote."""
        body: dict[str, Any] = {"status": "canceled" if status is EntryStatus.CANCELLED else str(status)}
        if note:
            body["note"] = calls.clean(note)[: self._settings.note_limit]
        operation = "cancel" if status is EntryStatus.CANCELLED else "approve"
        reply: Reply = await self._client.write(operation, f"v1/time_off/requests/{vendor_id}/status", body)
        # Where approval has several steps, an approver who is not an owner completes only their own.
        return Written(vendor_id, wire.read_answer(reply.body).entry_status in (None, status))

    async def _by_id(self, vendor_id: str, *, timeout: float | None = None) -> HrisEntry | None:
        entries = await self._requests("get", _ALWAYS | {"id": vendor_id}, timeout=timeout)
        return next((entry for entry in entries if entry.vendor_id == vendor_id), None)

    async def _reread(self, vendor_id: str, deadline: float) -> HrisEntry | None:
        """The record after a refusal, within what is left of the call's time."""
        return await self._by_id(vendor_id, timeout=_left(deadline))

    async def _requests(
        self, operation: str, params: Mapping[str, str], *, timeout: float | None = None
    ) -> list[HrisEntry]:
        """One listing. Raises `RetryLater` rather than return a part of it."""
        try:
            body = await self._client.read(operation, "v1/time_off/requests", params, timeout=timeout)
        except Refused as refused:
            raise Rejected(str(refused)) from None
        try:
            return wire.read_requests(wire.parse(body))
        except ValueError as error:
            raise _unreadable(operation, error) from None

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.call_timeout


def _left(deadline: float) -> float:
    return deadline - asyncio.get_running_loop().time()


def _window(first_day: date, last_day: date) -> dict[str, str]:
    return {"start": first_day.isoformat(), "end": last_day.isoformat()}


def _touching(
    entries: Iterable[HrisEntry], first_day: date, last_day: date, employee_ids: Collection[str] | None
) -> Iterable[HrisEntry]:
    return (
        entry
        for entry in entries
        if entry.last_day >= first_day
        and entry.first_day <= last_day
        and (employee_ids is None or entry.employee_id in employee_ids)
    )


def _first_id(*candidates: str | None) -> str | None:
    return next((each for each in candidates if each and wire.is_id(each)), None)


def _only_approves(
    previous: EntrySpec,
    spec: EntrySpec,
    before: Mapping[date, Decimal],
    after: Mapping[date, Decimal],
) -> bool:
    return (
        (previous.status, spec.status) == (EntryStatus.REQUESTED, EntryStatus.APPROVED)
        and (previous.employee_id, previous.type_id) == (spec.employee_id, spec.type_id)
        and before == after
    )


def _begun(refused: Refused, entry: HrisEntry) -> AlreadyBegun | None:
    """A live record whose change was refused: because it has begun?

    BambooHR takes changes until the day before the first one. Plain words decide. A complaint about the
    previous request, which is live as we have seen, means the same if the first day may have come
    somewhere on Earth (the company's zone is not known here). No words at all: if it has come everywhere.
    """
    words, now = refused.reason.lower(), datetime.now(UTC)
    begun = (
        _has(words, _BEGUN_WORDS)
        or ("previous" in words and entry.first_day <= (now + timedelta(hours=14)).date())
        or (not words and entry.first_day <= (now - timedelta(hours=12)).date())
    )
    return AlreadyBegun(str(refused)) if begun else None


def _by_words(refused: Refused) -> HrisError:
    """The class of a refusal by its status, refined by its words where they are plain."""
    text, words = str(refused), refused.reason.lower()
    if refused.status == 403:
        return Forbidden(text)
    if refused.status == 409 or (refused.status in (400, 422) and _has(words, _OVERLAP_WORDS)):
        return Conflict(text)
    if refused.status in (400, 422) and _has(words, _BALANCE_WORDS):
        return InsufficientBalance(text)
    return Rejected(text)


def _has(words: str, hints: Iterable[str]) -> bool:
    return any(hint in words for hint in hints)


def _unreadable(operation: str, error: ValueError) -> RetryLater:
    return RetryLater(f"BambooHR {operation}: the answer cannot be read ({error})")

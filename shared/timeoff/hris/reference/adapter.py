"""The `Hris` port on the sandbox's reference HRIS, in each of its modes.

What the modes have in common: one call of the port is one write on the wire; what the HRIS does with it
(edits, replaces, deletes, books a counter entry, waits) only shows in the answer and in later reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any, Self, TypeVar

from timeoff.errors import (
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
from timeoff.hris import units
from timeoff.hris.documents import is_id
from timeoff.hris.port import (
    Balance,
    BalanceAsOf,
    CancelMode,
    Capabilities,
    Employee,
    ExternalKey,
    Found,
    Health,
    HrisEntry,
    PartialDay,
    TimeOffType,
    UpdateMode,
    Written,
)
from timeoff.hris.reference import wire
from timeoff.hris.reference.client import Client, Refused
from timeoff.hris.reference.settings import ReferenceSettings
from timeoff.vocabulary import EntryKey, EntrySpec

_T = TypeVar("_T")


class Reference:
    """One reference HRIS. Notes go out with writes and are never read back."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self._settings = settings
        self._client = Client(settings)
        self._has_keys = settings.external_key is not ExternalKey.NONE

    @classmethod
    async def open(cls, settings: ReferenceSettings) -> Self:
        return cls(settings)

    @property
    def capabilities(self) -> Capabilities:
        return self._settings.capabilities

    async def close(self) -> None:
        await self._client.close()

    # -- reads ---------------------------------------------------------------------------------------

    async def list_employees(self) -> Sequence[Employee]:
        return _readable("employees", wire.read_employees, await self._read("employees", "/employees"))

    async def list_time_off_types(self) -> Sequence[TimeOffType]:
        document = await self._read("types", "/types")
        step, day = self._settings.step, self._settings.day_minutes
        return _readable("types", lambda read: wire.read_types(read, step, day), document)

    async def get(
        self, vendor_id: str, employee_id: str, first_day: date, last_day: date
    ) -> HrisEntry | None:
        """By id and without regard to dates. A counter entry that cancels its record is not shown."""
        entries = wire.net(await self._records("get", id=vendor_id))
        return next((entry for entry in entries if entry.vendor_id == vendor_id), None)

    async def find(self, key: EntryKey, employee_id: str, first_day: date, last_day: date) -> Found:
        """What touches the dates, and wherever it lies now what carries the key."""
        shown = await self._records("find", employeeId=employee_id, **_window(first_day, last_day))
        by_key: list[wire.Shown] = []
        if self._has_keys:
            by_key = await self._records("find", key=str(key), employeeId=employee_id)
        keyed = {each.entry.vendor_id for each in by_key}
        entries = wire.net(wire.named([*shown, *by_key], key))
        return Found(tuple(e for e in entries if e.vendor_id in keyed or _touches(e, first_day, last_day)))

    async def list_entries(
        self, first_day: date, last_day: date, employee_ids: Collection[str] | None = None
    ) -> Sequence[HrisEntry]:
        if not self._settings.can_list:
            raise Unsupported("can_list")
        if employee_ids is not None and not employee_ids:
            return []
        query = _window(first_day, last_day)
        if employee_ids is not None and len(employee_ids) == 1:
            query["employeeId"] = next(iter(employee_ids))
        entries = wire.net(await self._records("list", **query))
        return [
            entry
            for entry in entries
            if entry.live
            and _touches(entry, first_day, last_day)
            and (employee_ids is None or entry.employee_id in employee_ids)
        ]

    async def balances(self, employee_id: str, on: date) -> Sequence[Balance]:
        as_of = self._settings.balance_as_of
        if as_of is BalanceAsOf.NONE:
            raise Unsupported("balance_as_of")
        document = await self._read("balances", "/balances", employeeId=employee_id, on=on.isoformat())
        current = as_of is BalanceAsOf.CURRENT
        return _readable("balances", lambda read: wire.read_balances(read, on, current), document)

    async def health(self) -> Health:
        try:
            await self._client.read("health", "/me")
        except AuthFailed as error:
            return Health(True, False, str(error))
        except RetryLater as error:
            return Health(False, False, str(error))
        except Refused as error:
            return Health(True, False, f"{error}: no reference HRIS answers here")
        return Health(True, True)

    # -- writes --------------------------------------------------------------------------------------

    async def insert(self, key: EntryKey, revision: int, spec: EntrySpec, type_: TimeOffType) -> Written:
        body = self._body(key, revision, spec, type_)
        try:
            return await self._write("insert", "POST", "/entries", body, spec)
        except Refused as refused:
            raise _meaning(refused) from None

    async def update(
        self,
        key: EntryKey,
        revision: int,
        vendor_id: str,
        previous: EntrySpec,
        spec: EntrySpec,
        type_: TimeOffType,
    ) -> Written:
        """Raises `NotFound("request")` when the record is not live any more."""
        if self._settings.update_mode not in (UpdateMode.IN_PLACE, UpdateMode.REPLACE_NEW_ID):
            raise Unsupported("update_mode")
        both = previous.status != spec.status and previous.days != spec.days
        if both and not self._settings.status_with_days:
            raise Unsupported("status_with_days")
        if not is_id(vendor_id):
            raise NotFound("request")
        body = self._body(key, revision, spec, type_)
        try:
            return await self._write("update", "PATCH", f"/entries/{vendor_id}", body, spec)
        except Refused as refused:
            if refused.code == "notLive":
                raise NotFound("request", str(refused)) from None
            raise _meaning(refused) from None

    async def cancel(self, key: EntryKey, vendor_id: str, reason: str) -> Written:
        """Raises `NotFound("request")` when it was replaced: its successor may be live.

        Where a cancel books a counter entry, each call books one unless keys are guarded.
        """
        if self._settings.cancel_mode is CancelMode.NONE:
            raise Unsupported("cancel_mode")
        if not is_id(vendor_id):
            raise NotFound("request")
        body = wire.write_cancel(key, vendor_id, reason, with_key=self._has_keys)
        try:
            reply = await self._client.write("cancel", "POST", f"/entries/{vendor_id}/cancel", body)
        except Refused as refused:
            ended = refused.details.get("entryStatus") in ("cancelled", "denied")
            if refused.status == 404 or ended or refused.code == "duplicateKey":
                return Written(vendor_id)
            if refused.code == "notLive":
                raise NotFound("request", str(refused)) from None
            raise _meaning(refused) from None
        return Written(vendor_id, effective=reply.status != 202)

    def _body(self, key: EntryKey, revision: int, spec: EntrySpec, type_: TimeOffType) -> Mapping[str, Any]:
        """Days that round to 0 are not sent; raises `Rejected` unsent if none is left."""
        if spec.status not in self.capabilities.insert_statuses:
            raise Unsupported(f"insert_statuses: {spec.status}")
        amounts = units.amounts(spec, type_)
        if not amounts:
            raise Rejected("nothing to book: every day of the request rounds to 0")
        if self._settings.entry_per_day and len(amounts) > 1:
            raise Unsupported("entry_per_day")
        keeps_starts = self._settings.partial_day is PartialDay.START_TIME
        return wire.write_record(
            key, revision, spec, amounts, with_key=self._has_keys, with_starts=keeps_starts
        )

    async def _write(
        self, operation: str, method: str, path: str, body: Mapping[str, Any], spec: EntrySpec
    ) -> Written:
        reply = await self._client.write(operation, method, path, body, private=spec.note)
        try:
            vendor_id = wire.read_id(reply.document)
        except ValueError as error:
            raise OutcomeUnknown(f"{operation}: {reply.status}, {error}") from None
        starts = any(day.start for day in spec.days)
        kept = self._settings.partial_day is PartialDay.START_TIME or not starts
        return Written(vendor_id, effective=reply.status != 202, lost=() if kept else ("start_time",))

    async def _read(self, operation: str, path: str, **query: str) -> Any:
        try:
            return await self._client.read(operation, path, **query)
        except Refused as refused:
            raise _meaning(refused) from None

    async def _records(self, operation: str, **query: str) -> list[wire.Shown]:
        return _readable(operation, wire.read_records, await self._read(operation, "/entries", **query))


def _window(first_day: date, last_day: date) -> dict[str, str]:
    return {"from": first_day.isoformat(), "to": last_day.isoformat()}


def _touches(entry: HrisEntry, first_day: date, last_day: date) -> bool:
    return entry.last_day >= first_day and entry.first_day <= last_day


def _readable(operation: str, read: Callable[[Any], _T], document: Any) -> _T:
    """Raises `RetryLater` rather than return a part of an answer."""
    try:
        return read(document)
    except ValueError as error:
        raise RetryLater(f"{operation}: the answer cannot be read ({error})") from None


def _meaning(refused: Refused) -> HrisError:
    """The class of a refusal, from its code."""
    text = str(refused)
    match refused.status, refused.code:
        case 404, _:
            missing = refused.details.get("what")
            return NotFound(missing if missing in ("employee", "type") else "request", text)
        case 403, _:
            return Forbidden(text)
        case 405, _:
            return Unsupported(text)
        case 409, "changing":
            # Nothing was written, and the change that waits ends by itself.
            return RetryLater(text)
        case 409, _:
            return Conflict(text)
        case 422, "balance":
            return InsufficientBalance(text)
    return Rejected(text)

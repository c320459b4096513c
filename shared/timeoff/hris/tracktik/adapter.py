"""The `Hris` port on TrackTik's leave API, with the leave requests that this project adds to it.

What that API is like, and what follows:

* `customId` is unique, and ours is the entry's key (`<request id>/<booking>`): a create repeated after an
  unknown outcome makes no second record, it ends in `Conflict`.
* Silence is not success: fields that may not be written are ignored without an error. So the record that a
  write answers with is compared, and read again if it does not say what was asked for.
* Status and days change by different calls: `status_with_days` is false, and the core makes two writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Self, TypeVar

from timeoff.errors import (
    AuthFailed,
    Conflict,
    Forbidden,
    HrisError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Unsupported,
)
from timeoff.hris import calls, units
from timeoff.hris.documents import is_id, parse
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
from timeoff.hris.tracktik import requests, wire
from timeoff.hris.tracktik.balances import Policies, read_balances
from timeoff.hris.tracktik.client import Deadline, Refused, Reply, TrackTikClient
from timeoff.hris.tracktik.lists import read_list, together
from timeoff.hris.tracktik.refusals import meant, still_live, unheard
from timeoff.hris.tracktik.settings import TrackTikSettings
from timeoff.vocabulary import EntryKey, EntrySpec, EntryStatus

_Answer = TypeVar("_Answer")

_INSERT_STATUSES: Final = frozenset({EntryStatus.REQUESTED, EntryStatus.APPROVED})
#: So many employees are named in one listing; of more than that, everybody is listed.
_NAMED: Final = 100


class TrackTik:
    """One TrackTik portal. Notes go out with writes and are never read back."""

    def __init__(self, settings: TrackTikSettings) -> None:
        self._settings = settings
        self._client = TrackTikClient(settings)
        self._policies = Policies(self._client)
        #: Deployment and organisation of the keys seen here: listings come without a key.
        self._ours: tuple[str, str] | None = None
        self._capabilities = Capabilities(
            external_key=ExternalKey.UNIQUE,
            update_mode=UpdateMode.IN_PLACE,
            cancel_mode=CancelMode.STATUS,
            partial_day=PartialDay.START_TIME,
            insert_statuses=_INSERT_STATUSES,
            can_list=True,
            read_lag=settings.read_lag,
            call_timeout=settings.call_timeout,
            throttle_signals=("429",),
            status_with_days=False,
            balance_as_of=BalanceAsOf.PER_PERIOD,
        )

    @classmethod
    async def open(cls, settings: TrackTikSettings) -> Self:
        return cls(settings)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def close(self) -> None:
        await self._client.close()

    # -- people, types, balances ---------------------------------------------------------------------

    async def list_employees(self) -> Sequence[Employee]:
        """Active employees whom the account may see. An empty e-mail address is None."""
        params = {"status": "ACTIVE", "fields": "id,email,customId"}
        items = await self._list("employees", "employees", params, self._deadline())
        return _read("employees", lambda: wire.read_employees(items))

    async def list_time_off_types(self) -> Sequence[TimeOffType]:
        items = await self._list("types", "leave-types", {"status": "ACTIVE"}, self._deadline())
        return _read("types", lambda: wire.read_types(items))

    async def balances(self, employee_id: str, on: date) -> Sequence[Balance]:
        """For each type what the period that holds the date has left, pending requests taken off.

        In minutes by the hours of a day that the employee's policy has, in days where no policy can be
        seen. Two reads, and one more for a policy met for the first time. An unknown employee has no
        balances: TrackTik does not tell the difference.
        """
        deadline = self._deadline()
        if not is_id(employee_id):
            raise NotFound("employee")
        operation = "balances"
        items, hours = await together(
            self._list(operation, "leave-balances", {"employee": employee_id}, deadline),
            self._policies.hours_of(employee_id, on, deadline),
        )
        return _read(operation, lambda: read_balances(items, on, now=datetime.now(UTC), hours=hours))

    # -- writes --------------------------------------------------------------------------------------

    async def insert(self, key: EntryKey, revision: int, spec: EntrySpec, type_: TimeOffType) -> Written:
        """Create. Raises `Conflict` if a record has the key already: it is to be looked for.

        `Written.lost`: `start_time` where parts of days begin at several clock times (the first is kept),
        `note` where it was cut, `zone` where a start was taken in another zone, `policy` where the employee
        is on another policy than `type_id2` names, and each field that TrackTik did not take over; then
        the write is not in effect.
        """
        deadline = self._deadline()
        self._heed(key)
        minutes = _checked(spec, type_)
        if spec.status not in _INSERT_STATUSES:
            raise Unsupported(f"insert_statuses: {spec.status}")
        try:
            custom_id = requests.write_key(key)
        except ValueError as error:
            raise Rejected(f"TrackTik create: not sent, {error}") from None
        note = calls.clean(spec.note)[: requests.REASON_LENGTH] if spec.note else None
        body = requests.write_new(custom_id, spec, minutes, note)
        try:
            reply = await self._client.write(
                "create", "POST", "leave-requests", body, deadline=deadline, private=(spec.note,)
            )
        except Refused as refused:
            raise meant(refused) from None
        record = _answered(reply)
        if record is None:
            raise OutcomeUnknown(f"TrackTik create: {reply.status} without a readable record")
        ignored = record.differences(spec, minutes)
        if record.customId != custom_id:
            ignored.append("customId")
        lost = _lost(spec, minutes, record)
        # Only the clock time of a start may be lost without harm; it is named like the others.
        if "startDateTime" in ignored:
            ignored.remove("startDateTime")
            lost = ("start_time", *lost) if "start_time" not in lost else lost
        return Written(record.id, not ignored, (*lost, *ignored))

    async def update(
        self,
        key: EntryKey,
        revision: int,
        vendor_id: str,
        previous: EntrySpec,
        spec: EntrySpec,
        type_: TimeOffType,
    ) -> Written:
        """Change type, days and start in place, or approve; not both at once.

        Raises `NotFound("request")` when somebody cancelled or declined the record, `Rejected` naming the
        fields that TrackTik left as they were, `Conflict` when somebody else is changing it too.
        """
        deadline = self._deadline()
        self._heed(key)
        minutes = _checked(spec, type_)
        if not is_id(vendor_id):
            raise NotFound("request")
        if previous.employee_id != spec.employee_id:
            raise Unsupported("another employee for the same leave request")
        if previous.status == spec.status:
            return await self._change(vendor_id, previous, spec, minutes, deadline)
        if not _only_status(previous, spec, units.amounts(previous, type_), minutes):
            raise Unsupported("status_with_days")
        if (previous.status, spec.status) != (EntryStatus.REQUESTED, EntryStatus.APPROVED):
            raise Unsupported(f"status from {previous.status} to {spec.status}")
        return await self._approve(vendor_id, deadline)

    async def cancel(self, key: EntryKey, vendor_id: str, reason: str) -> Written:
        """Cancel. A record that is cancelled, declined or gone is a success.

        Gone is what TrackTik itself says is not there; after any other 404 the outcome is unknown.
        """
        deadline = self._deadline()
        self._heed(key)
        if not is_id(vendor_id):
            raise NotFound("request")
        said = calls.clean(reason)[: requests.REASON_LENGTH]
        body = {"reason": said} if said else {}
        try:
            reply = await self._act(vendor_id, "cancel", body, deadline)
        except Refused as refused:
            if refused.absent:
                return Written(vendor_id)
            record = await self._record("cancel", vendor_id, deadline)
            if record is None or not record.live:
                return Written(vendor_id)
            raise meant(refused) from None
        record = await self._after(reply, vendor_id, deadline, lambda record: not record.live)
        return Written(vendor_id, record is None or not record.live)

    async def _change(
        self,
        vendor_id: str,
        previous: EntrySpec,
        spec: EntrySpec,
        minutes: Mapping[date, Decimal],
        deadline: Deadline,
    ) -> Written:
        note = calls.clean(spec.note)[: requests.REASON_LENGTH] if spec.note else None
        body = requests.write_request(spec, minutes, note)
        path = f"leave-requests/{vendor_id}"
        try:
            reply = await self._client.write(
                "update", "PATCH", path, body, deadline=deadline, private=(previous.note, spec.note)
            )
        except Refused as refused:
            still_live(await self._record("update", vendor_id, deadline), refused)
            raise meant(refused) from None
        said = _answered(reply)
        record = still_live(
            await self._after(
                reply, vendor_id, deadline, lambda record: not record.differences(spec, minutes)
            )
        )
        left = record.differences(spec, minutes)
        if not left:
            return Written(vendor_id, lost=_lost(spec, minutes, record))
        text = f"TrackTik update: {reply.status}, but this did not change: {', '.join(left)}"
        if "status" in left or (said is not None and said.differences(spec, minutes) != left):
            raise Conflict(f"{text}; somebody else changes it too")
        raise Rejected(text)

    async def _approve(self, vendor_id: str, deadline: Deadline) -> Written:
        """TrackTik also approves what a person declined. So the record is read first, and only a pending
        one is approved. A second approval does no harm, so that a slow read does not forbid the first.
        """
        record = still_live(await self._record("approve", vendor_id, deadline))
        if record.entry_status is EntryStatus.APPROVED:
            return Written(vendor_id)
        try:
            reply = await self._act(vendor_id, "approve", {}, deadline, harmless=True)
        except Refused as refused:
            record = still_live(await self._record("approve", vendor_id, deadline), refused)
            if record.entry_status is EntryStatus.APPROVED:
                return Written(vendor_id)
            raise meant(refused) from None
        record = still_live(
            await self._after(
                reply, vendor_id, deadline, lambda record: record.entry_status is EntryStatus.APPROVED
            )
        )
        return Written(vendor_id, record.entry_status is EntryStatus.APPROVED)

    async def _act(
        self,
        vendor_id: str,
        action: str,
        body: Mapping[str, Any],
        deadline: Deadline,
        *,
        harmless: bool = False,
    ) -> Reply:
        """One action. Words of a refusal are not shown: they may quote a reason that a person wrote."""
        path = f"leave-requests/{vendor_id}/actions/{action}"
        return await self._client.write(action, "POST", path, body, deadline=deadline, harmless=harmless)

    async def _after(
        self, reply: Reply, vendor_id: str, deadline: Deadline, enough: Callable[[requests.Request], bool]
    ) -> requests.Request | None:
        """The record after a write: as the answer shows it, or read again if that is not enough.

        The write may have taken place, so whatever keeps us from reading leaves its outcome unknown.
        """
        record = _answered(reply)
        if record is not None and record.id == vendor_id and enough(record):
            return record
        try:
            return await self._record("look again", vendor_id, deadline)
        except HrisError as error:
            raise OutcomeUnknown(f"written, but: {error}") from None

    # -- reads of requests ---------------------------------------------------------------------------

    async def get(
        self, vendor_id: str, employee_id: str, first_day: date, last_day: date
    ) -> HrisEntry | None:
        """By id and without regard to dates, so that a record moved by a person is seen too."""
        if not is_id(vendor_id):
            return None
        record = await self._record("get", vendor_id, self._deadline())
        return self._entry(record) if record else None

    async def find(self, key: EntryKey, employee_id: str, first_day: date, last_day: date) -> Found:
        """What touches the dates, and what carries the key wherever a person moved it. Two reads."""
        self._heed(key)
        if not is_id(employee_id):
            raise NotFound("employee")
        deadline = self._deadline()
        params = _window(first_day, last_day) | {"employee": employee_id}
        touching, carrying = await together(
            self._touching("find", params, first_day, last_day, {employee_id}, deadline),
            self._carrying(key, deadline),
        )
        return Found(tuple({entry.vendor_id: entry for entry in (*touching, *carrying)}.values()))

    async def list_entries(
        self, first_day: date, last_day: date, employee_ids: Collection[str] | None = None
    ) -> Sequence[HrisEntry]:
        if employee_ids is not None and not employee_ids:
            return []
        params = _window(first_day, last_day)
        if employee_ids is not None and len(employee_ids) <= _NAMED:
            if not all(map(is_id, employee_ids)):
                raise NotFound("employee")
            params["employee:in"] = ",".join(sorted(employee_ids))
        entries = await self._touching("list", params, first_day, last_day, employee_ids, self._deadline())
        return [entry for entry in entries if entry.live]

    async def health(self) -> Health:
        """One page of one type. A refused login is tried again here once its pause is over."""
        try:
            await self._client.read("health", "leave-types", {"limit": "1"}, deadline=self._deadline())
        except AuthFailed as error:
            return Health(True, False, str(error))
        except Forbidden as error:
            return Health(True, False, f"{error}: the account may not read leave types")
        except RetryLater as error:
            return Health(False, False, str(error))
        except Refused as error:
            return Health(True, False, f"{error}: no leave API answers at base_url")
        return Health(True, True)

    async def _touching(
        self,
        operation: str,
        params: Mapping[str, str],
        first_day: date,
        last_day: date,
        employee_ids: Collection[str] | None,
        deadline: Deadline,
    ) -> list[HrisEntry]:
        """What is asked for. The filters of the call are a help: one that is ignored does no harm."""
        items = await self._list(operation, "leave-requests", params, deadline)
        records = _read(operation, lambda: requests.read_requests(items))
        return [
            self._entry(record)
            for record in records
            if record.endDate >= first_day
            and record.startDate <= last_day
            and (employee_ids is None or record.employee in employee_ids)
        ]

    async def _carrying(self, key: EntryKey, deadline: Deadline) -> list[HrisEntry]:
        """The record with the key: one at most, since keys are unique; whoever it belongs to by now.

        One page: where the filter is ignored it holds other records, and they are left out.
        """
        try:
            custom_id = requests.write_key(key)
        except ValueError:
            return []  # such a key was never sent
        params = {"customId": custom_id, "limit": "2"}
        try:
            body = await self._client.read("find", "leave-requests", params, deadline=deadline)
        except Refused as refused:
            raise unheard(refused) from None
        records = _read("find", lambda: requests.read_requests(wire.read_page(parse(body)).items))
        return [self._entry(record) for record in records if record.customId == custom_id]

    async def _record(self, operation: str, vendor_id: str, deadline: Deadline) -> requests.Request | None:
        """The record; None if TrackTik says that there is none to be seen."""
        try:
            body = await self._client.read(operation, f"leave-requests/{vendor_id}", deadline=deadline)
        except Refused as refused:
            if refused.absent:
                return None
            raise unheard(refused) from None
        return _read(operation, lambda: requests.read_request(parse(body)))

    async def _list(
        self, operation: str, path: str, params: Mapping[str, str], deadline: Deadline
    ) -> list[Any]:
        try:
            return await read_list(
                self._client, operation, path, params, deadline, page_size=self._settings.page_size
            )
        except Refused as refused:
            raise unheard(refused) from None

    def _entry(self, record: requests.Request) -> HrisEntry:
        return record.entry(*(self._ours or (None, None)))

    def _heed(self, key: EntryKey) -> None:
        """One process works for one deployment and organisation; their names come with each key."""
        self._ours = (key.deployment, key.org)

    def _deadline(self) -> Deadline:
        return Deadline.after(self._settings.call_timeout)


def _checked(spec: EntrySpec, type_: TimeOffType) -> dict[date, Decimal]:
    """Minutes by date. Raises for what no call could ever book."""
    if not is_id(spec.employee_id):
        raise NotFound("employee")
    if not is_id(spec.type_id):
        raise NotFound("type")
    minutes = units.amounts(spec, type_)
    if not minutes:
        raise Rejected("nothing to book: every day of the request has 0 minutes")
    return minutes


def _only_status(
    previous: EntrySpec, spec: EntrySpec, before: Mapping[date, Decimal], after: Mapping[date, Decimal]
) -> bool:
    return (
        previous.type_id == spec.type_id
        and before == after
        and requests.start_of(previous, before) == requests.start_of(spec, after)
    )


def _answered(reply: Reply) -> requests.Request | None:
    """The record that a write answered with, if it can be read."""
    try:
        return requests.read_request(parse(reply.body))
    except ValueError:
        return None


def _lost(spec: EntrySpec, minutes: Mapping[date, Decimal], record: requests.Request) -> tuple[str, ...]:
    started = requests.start_of(spec, minutes) is not None
    note = calls.clean(spec.note) if spec.note else ""
    lost = {
        "start_time": requests.loses_starts(spec, minutes),
        "zone": started and record.timeZone is not None and record.timeZone != spec.zone,
        "note": bool(note) and not record.keeps(note),
        "policy": spec.type_id2 is not None and record.leavePolicy not in (None, spec.type_id2),
    }
    return tuple(what for what, gone in lost.items() if gone)


def _window(first_day: date, last_day: date) -> dict[str, str]:
    """Filters for what may touch the dates. A day of slack at each end, whether bounds count or not."""
    day = timedelta(days=1)
    return {
        "endDate:after": (first_day - day).isoformat(),
        "startDate:lt": (last_day + day).isoformat(),
    }


def _read(operation: str, reader: Callable[[], _Answer]) -> _Answer:
    """A document read, or `RetryLater`: rather no answer than a part of one."""
    try:
        return reader()
    except ValueError as error:
        raise RetryLater(f"TrackTik {operation}: the answer cannot be read ({error})") from None

"""The sandbox's reference HRIS in each mode: the sandbox's options and the adapter's settings that fit.

mode = MODES["counter_entry"]
async with running_system(url, tmp_path, **for_system(mode)) as system:
    hr = ReferenceOffice(system.sandbox)
    ...
    assert hr.live(system.agents[0].employee_id) == [...]

async with running_reference(mode) as office:     # the HRIS alone
    hris = await office.open()
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from timeoff.hris.port import Hris
from timeoff.hris.reference import ADAPTER
from timeoff.hris.reference.settings import ReferenceSettings
from timeoff.testing.hris_harness import HrisHarness
from timeoff.vocabulary import EntryStatus
from timeoff_sandbox.app import Options, Sandbox
from timeoff_sandbox.reference import DEFAULT_KEY
from timeoff_sandbox.reference.records import Day, Draft
from timeoff_sandbox.world import WorldOptions

Json = dict[str, Any]

#: Operations of the call log that write.
WRITES = ("create", "update", "cancel")
_CAMEL = {
    "external_key": "externalKey",
    "update_mode": "update",
    "cancel_mode": "cancel",
    "partial_day": "partialDay",
    "entry_per_day": "entryPerDay",
    "status_with_days": "statusWithDays",
    "balance_as_of": "balance",
}


@dataclass(frozen=True)
class Mode:
    """`settings` in the adapter's words; `delay`: seconds until an accepted write takes effect.

    `more` are further options of the sandbox, in its words.
    """

    settings: Json = field(default_factory=dict)
    delay: float = 0.0
    read_lag: float = 0.05
    more: Json = field(default_factory=dict)

    def but(self, **settings: Any) -> Mode:
        return replace(self, settings={**self.settings, **settings})

    @property
    def options(self) -> Json:
        """PUT `/admin/options` under `reference`; what the mode does not name is at its default."""
        named = {_CAMEL[name]: _camel(value) for name, value in self.settings.items() if name in _CAMEL}
        # Shorter than what the adapter declares, because a declaration is a promise.
        lag = {"readLagMs": self.read_lag * 600, "acceptedLater": self.delay}
        return {**named, **lag, **self.more}

    @property
    def adapter_settings(self) -> Json:
        """`[hris.NAME.settings]` without `base_url` and `api_key`."""
        late = {"effective_within": self.delay * 3 + 0.5} if self.delay else {}
        return {"read_lag": self.read_lag, "call_timeout": 2.0, **late, **self.settings}


def _camel(value: object) -> object:
    if not isinstance(value, str):
        return value
    first, *rest = value.split("_")
    return first + "".join(part.capitalize() for part in rest)


#: Every mode of the port, each with keys that some vendor has.
MODES: Mapping[str, Mode] = {
    "in_place": Mode(),
    "in_place_upsert": Mode({"external_key": "upsert"}),
    "in_place_status_alone": Mode({"external_key": "unique", "status_with_days": False}),
    "replace_new_id": Mode({"update_mode": "replace_new_id"}),
    "replace_new_id_unique": Mode({"update_mode": "replace_new_id", "external_key": "unique"}),
    "cancel_and_create": Mode({"update_mode": "cancel_and_create"}),
    "cancel_and_create_unique": Mode({"update_mode": "cancel_and_create", "external_key": "unique"}),
    "cancel_and_create_no_overlap": Mode({"update_mode": "cancel_and_create"}, more={"rejectOverlap": True}),
    "delete": Mode({"cancel_mode": "delete"}),
    "delete_searchable": Mode({"cancel_mode": "delete", "external_key": "searchable"}),
    "delete_and_create": Mode({"cancel_mode": "delete", "update_mode": "cancel_and_create"}),
    "counter_entry": Mode({"cancel_mode": "counter_entry", "update_mode": "cancel_and_create"}),
    "counter_entry_unique": Mode(
        {"cancel_mode": "counter_entry", "update_mode": "cancel_and_create", "external_key": "unique"}
    ),
    "counter_entry_in_place": Mode({"cancel_mode": "counter_entry", "external_key": "searchable"}),
    "entry_per_day": Mode({"entry_per_day": True}),
    "entry_per_day_unique": Mode(
        {"entry_per_day": True, "external_key": "unique", "update_mode": "cancel_and_create"}
    ),
    "entry_per_day_counter": Mode(
        {"entry_per_day": True, "cancel_mode": "counter_entry", "update_mode": "cancel_and_create"}
    ),
    "accepted_later": Mode(delay=0.15),
    "accepted_later_unique": Mode({"external_key": "unique", "update_mode": "replace_new_id"}, delay=0.15),
    "accepted_later_delete": Mode({"cancel_mode": "delete", "update_mode": "cancel_and_create"}, delay=0.15),
    "accepted_later_counter": Mode(
        {"cancel_mode": "counter_entry", "update_mode": "cancel_and_create"}, delay=0.15
    ),
    "no_update": Mode({"update_mode": "none"}),
    "no_cancel": Mode({"cancel_mode": "none"}),
    "neither": Mode({"update_mode": "none", "cancel_mode": "none", "external_key": "searchable"}),
    "current_balances": Mode({"balance_as_of": "current", "partial_day": "half"}),
    "period_balances": Mode({"balance_as_of": "per_period", "partial_day": "amount"}),
    "no_balances": Mode({"balance_as_of": "none", "can_list": False}, more={"units": {"83": "minutes"}}),
}


def for_system(mode: Mode, **sandbox: Any) -> Json:
    """Arguments of `running_system` that make the reference HRIS in this mode the target `acme`."""
    settings = {"api_key": DEFAULT_KEY, **mode.adapter_settings}
    return {
        "sandbox": {"reference": mode.options, **sandbox},
        "hris": {"acme": {"adapter": "reference", "settings": settings}},
    }


class ReferenceOffice:
    """HR, bad luck and the ground truth of a sandbox's reference HRIS, in process."""

    def __init__(self, sandbox: Sandbox, mode: Mode | None = None) -> None:
        self.sandbox = sandbox
        self.reference = sandbox.reference
        self.mode = mode or Mode()

    # -- the adapter ---------------------------------------------------------------------------------

    def settings(self, **changes: Any) -> ReferenceSettings:
        values = {"base_url": self.sandbox.url, "api_key": self.reference.api_key}
        return ReferenceSettings.model_validate({**values, **self.mode.adapter_settings, **changes})

    async def open(self, **changes: Any) -> Hris:
        return await ADAPTER.open(self.settings(**changes))

    def become(self, mode: Mode) -> None:
        """Another kind of vendor from now on, without what was booked before."""
        self.mode = mode
        defaults = type(self.reference)(self.sandbox.clock).options()
        self.sandbox.set_options(Options(reference={**defaults, **mode.options}))

    # -- the truth -----------------------------------------------------------------------------------

    def entries(self, employee_id: str | None = None) -> list[Json]:
        """All records, oldest first, as `/admin/reference/entries` shows them."""
        book = self.reference.book
        book.take_effect()
        return [
            self.reference.show(record)
            for record in book.records.values()
            if employee_id in (None, record.employee_id)
        ]

    def entry(self, entry_id: str) -> Json:
        (found,) = (each for each in self.entries() if each["id"] == entry_id)
        return found

    def live(self, employee_id: str | None = None) -> list[Json]:
        """What counts, net of counter entries; a surplus one is in it, with amounts below 0."""
        return [each for each in self.entries(employee_id) if each["live"]]

    def minutes(self, employee_id: str) -> dict[str, Decimal]:
        """Sum of what counts by date, in minutes or the type's unit times its length of a day of 480."""
        sums: dict[str, Decimal] = {}
        units = {
            type_["id"]: {"hours": 60, "days": 480}.get(type_["units"], 1) for type_ in self.reference.types()
        }
        for each in self.live(employee_id):
            for on, amount in each["dates"].items():
                sums[on] = sums.get(on, Decimal(0)) + Decimal(amount) * units[each["typeId"]]
        return {on: amount for on, amount in sums.items() if amount}

    def calls(self, *operations: str) -> list[Json]:
        """Calls in order of their end: operation, entryId, key, status, fault."""
        calls: list[Json] = self.reference.calls.document()["calls"]
        return [call for call in calls if not operations or call["operation"] in operations]

    def writes(self) -> list[str]:
        return [call["operation"] for call in self.calls(*WRITES)]

    # -- hands ---------------------------------------------------------------------------------------

    def fault(self, on: str, kind: str, **more: Any) -> None:
        self.reference.faults.add({"rules": [{"on": on, "kind": kind, **more}]})

    def book_by_hand(
        self,
        employee_id: str,
        type_id: str,
        amounts: Mapping[date, Decimal],
        status: EntryStatus = EntryStatus.APPROVED,
    ) -> str:
        word: Any = str(status)
        days = {on: Day(amount) for on, amount in amounts.items()}
        draft = Draft(employee_id, type_id, word, days, None, "booked at the desk")
        return str(self.reference.book.create_by_hand(draft).id)

    def edit_by_hand(
        self, entry_id: str, status: str | None = None, dates: Mapping[date, Decimal] | None = None
    ) -> None:
        word: Any = status
        self.reference.book.take_effect()
        self.reference.book.edit_by_hand(int(entry_id), word, dates)

    def settle(self, entry_id: str, accept: bool) -> None:
        """An accepted write takes effect now, or is refused after all."""
        self.reference.book.settle(int(entry_id), accept)


class ReferenceHarness(HrisHarness):
    """All switches of the conformance suite."""

    def __init__(self, hris: Hris, office: ReferenceOffice, employees: Sequence[str]) -> None:
        super().__init__(
            hris,
            employee_id=employees[0],
            other_employee_id=employees[1],
            hours_type="83",
            days_type="84",
            days_per_entry=1 if hris.capabilities.entry_per_day else 5,
        )
        self.office = office

    async def lose_next_answer(self) -> None:
        self.office.fault("|".join(WRITES), "commit_then_drop")

    async def break_next_before_commit(self) -> None:
        self.office.fault("|".join(WRITES), "error_before_commit")

    async def throttle_next(self, seconds: float) -> None:
        self.office.fault("any", "throttle", retryAfter=seconds)

    async def refuse_credentials(self) -> Hris:
        return await self.office.open(api_key="wrong")

    async def book_by_hand(
        self, employee_id: str, type_id: str, amounts: Mapping[date, Decimal], status: EntryStatus
    ) -> str:
        return self.office.book_by_hand(employee_id, type_id, amounts, status)

    async def notes_of(self, vendor_id: str) -> str:
        entry = self.office.entry(vendor_id)
        return "\n".join([*entry["notes"].values(), *entry["comments"]])

    async def forget_balance_of(self, type_id: str) -> None:
        self.office.sandbox.set_options(Options(reference={"balanceUnknown": [type_id]}))

    async def live_records(self, employee_id: str, days: Collection[date]) -> int:
        wanted = {day.isoformat() for day in days}
        return sum(not wanted.isdisjoint(entry["dates"]) for entry in self.office.live(employee_id))


@asynccontextmanager
async def running_reference(mode: Mode | None = None, agents: int = 2) -> AsyncIterator[ReferenceOffice]:
    """A sandbox on a free port, with employees from 101 on."""
    mode = mode or Mode()
    sandbox = Sandbox({"reference": mode.options})
    sandbox.make_world(WorldOptions(agents=agents))
    await sandbox.start()
    try:
        yield ReferenceOffice(sandbox, mode)
    finally:
        sandbox.reference.faults.clear()
        await sandbox.stop()

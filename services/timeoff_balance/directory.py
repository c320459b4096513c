"""Who and what there is: employees and types of each HRIS, kept for a while; agents and their employees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from timeoff.errors import HrisError
from timeoff.hris.choices import TypeChoice
from timeoff.hris.configured import choices, configured_type
from timeoff.hris.port import Employee, TimeOffType
from timeoff.hris.target import BudgetedHris
from timeoff.ledger.links import LinkStore
from timeoff.settings.model import Settings
from timeoff.telemetry.logs import get_logger
from timeoff_balance.claims import ClaimRules
from timeoff_balance.errors import UnknownTarget

Value = TypeVar("Value")
Choices = Mapping[tuple[str, str], TypeChoice]
#: By id and second id.
KnownTypes = Mapping[tuple[str, str | None], TimeOffType]

log = get_logger()

#: A list that cannot be read is tried so often, seconds.
TRIED_EVERY: Final = 5.0
#: So long after a reading began an old list does no longer wait for its end, seconds.
PATIENCE: Final = 1.0


@dataclass(slots=True)
class _Kept(Generic[Value]):
    """A list that is read anew when it is old; while that fails, or takes long, the old one stays.

    One reading at a time, whoever asks. It goes on when nobody waits any more: it is kept for the next.
    """

    name: str
    fresh: float
    read: Callable[[], Awaitable[Value]]
    value: Value | None = None
    at: float = 0.0
    tried_at: float = float("-inf")
    trouble: HrisError | None = None
    reading: asyncio.Task[None] | None = None

    @property
    def is_fresh(self) -> bool:
        return self.value is not None and time.monotonic() - self.at < self.fresh

    async def get(self, *, current: bool = False) -> Value:
        """Raises the `HrisError` of the reading if there is no old one, or with `current` if that is old."""
        if self.is_fresh:
            assert self.value is not None
            return self.value
        reading = self.reading
        if reading is None and (self.trouble is None or time.monotonic() - self.tried_at >= TRIED_EVERY):
            self.tried_at = time.monotonic()
            reading = self.reading = asyncio.create_task(self._read())
            reading.add_done_callback(self._read_to_its_end)
        if reading is not None:
            patience = self.tried_at + PATIENCE - time.monotonic()
            waits = None if current or self.value is None else max(0.0, patience)
            await asyncio.wait({reading}, timeout=waits)
            if reading.done():
                reading.result()  # raises what is no trouble of the HRIS
        if self.trouble is not None and (current or self.value is None):
            raise self.trouble
        assert self.value is not None
        return self.value

    async def _read(self) -> None:
        try:
            self.value = await self.read()
        except HrisError as error:
            log.warning("directory.not_read", list=self.name, error=error.error_class)
            self.trouble = error
        else:
            self.at, self.trouble = time.monotonic(), None

    def _read_to_its_end(self, reading: asyncio.Task[None]) -> None:
        self.reading = None
        if not reading.cancelled():
            reading.exception()  # heard by who waited

    async def close(self) -> None:
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.gather(self.reading, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _TargetLists:
    employees: _Kept[tuple[Employee, ...]]
    types: _Kept[tuple[TimeOffType, ...]]
    rules: _Kept[Choices]


class Directory:
    def __init__(
        self,
        settings: Settings,
        targets: Mapping[str, BudgetedHris],
        links: LinkStore,
        claim_rules: Callable[[str, Mapping[str, TimeOffType], Choices], ClaimRules],
    ) -> None:
        self._claim_rules = claim_rules
        self._known: dict[str, tuple[tuple[TimeOffType, ...], KnownTypes]] = {}
        self._lists = {
            name: _TargetLists(
                _Kept(f"{name}.employees", settings.balance.lists_fresh, self._employee_reader(target)),
                _Kept(f"{name}.types", settings.balance.lists_fresh, self._type_reader(settings, target)),
                _Kept(f"{name}.plans", settings.balance.fresh, self._choice_reader(settings, name, links)),
            )
            for name, target in targets.items()
        }

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(sorted(self._lists))

    def target(self, name: str | None) -> str:
        """The target of that name; without one, the only target. Raises `UnknownTarget`."""
        if name is None and len(self._lists) == 1:
            return next(iter(self._lists))
        if name is None or name not in self._lists:
            raise UnknownTarget(self.targets, named=name is not None)
        return name

    def default_target(self) -> str:
        return self.target(None)

    async def employees(self, target: str, *, current: bool = False) -> Sequence[Employee]:
        """Everybody in the HRIS, by id. Raises `HrisError` if the list was never read, or with `current` if
        it is old and cannot be read now."""
        return await self._lists[target].employees.get(current=current)

    async def types(self, target: str) -> Mapping[str, TimeOffType]:
        """Types by id, as the settings want them. Raises `HrisError` if the list was never read."""
        return {type_.id: type_ for type_ in await self.listed_types(target)}

    async def listed_types(self, target: str, *, current: bool = False) -> Sequence[TimeOffType]:
        """As the HRIS lists them: an id may come with several second ids. Raises as `employees`."""
        return await self._lists[target].types.get(current=current)

    def known_types(self, target: str, *, old: bool = False) -> KnownTypes | None:
        """By id and second id; None where the list has to be read first. `old`: the last one will do."""
        kept = self._lists[target].types
        if kept.value is None or not (old or kept.is_fresh):
            return None
        by_ids = self._known.get(target)
        if by_ids is None or by_ids[0] is not kept.value:
            by_ids = self._known[target] = kept.value, {(each.id, each.id2): each for each in kept.value}
        return by_ids[1]

    async def claim_rules(self, target: str, known: KnownTypes | None = None) -> ClaimRules:
        """With types that are known, the ledger alone is asked. Without, raises as `types`."""
        types = await self.types(target) if known is None else {each.id: each for each in known.values()}
        return self._claim_rules(target, types, await self._lists[target].rules.get())

    async def close(self) -> None:
        for lists in self._lists.values():
            for each in (lists.employees, lists.types, lists.rules):
                await each.close()

    @staticmethod
    def _employee_reader(target: BudgetedHris) -> Callable[[], Awaitable[tuple[Employee, ...]]]:
        async def read() -> tuple[Employee, ...]:
            found = await target.ask("employees", target.hris.list_employees)
            return tuple(sorted(found, key=lambda employee: employee.id))

        return read

    @staticmethod
    def _type_reader(
        settings: Settings, target: BudgetedHris
    ) -> Callable[[], Awaitable[tuple[TimeOffType, ...]]]:
        async def read() -> tuple[TimeOffType, ...]:
            found = await target.ask("types", target.hris.list_time_off_types)
            return tuple(configured_type(type_, settings, target.name) for type_ in found)

        return read

    @staticmethod
    def _choice_reader(settings: Settings, target: str, links: LinkStore) -> Callable[[], Awaitable[Choices]]:
        async def read() -> Choices:
            return choices(settings, target, (await links.types()).values())

        return read


__all__ = ["Directory", "KnownTypes"]

"""What an employee has left: the one function behind /v1 and the flows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from timeoff.errors import HrisError
from timeoff.hris.port import Balance, Capabilities, TimeOffType
from timeoff.ledger.balance import BalanceStore
from timeoff.settings.model import BalanceSettings
from timeoff_balance import figures, metrics
from timeoff_balance.claims import claims_of
from timeoff_balance.clock import DatabaseClock
from timeoff_balance.database import asking_ledger
from timeoff_balance.directory import Directory, KnownTypes
from timeoff_balance.errors import HrisAway, TooMany, UnknownEmployee
from timeoff_balance.figures import Figure, TypeAsked, Unknown
from timeoff_balance.lookups import Lookups, Seen, trouble_of
from timeoff_balance.reserved import Effect, effects
from timeoff_balance.shelves import Claims, Reading, Row, Shelf, Shelves

#: Dates in one request, and rows (dates x types) in one answer, at most.
MAX_DATES = 2_000
MAX_ROWS = 2_000


class Answer(NamedTuple):
    """`complete` False: Genesys has changed something of this employee that the ledger has not taken in yet.

    The same question has the same answer until `until` (monotonic seconds; 0: ask again), as long as the
    shelf's generation is this one.
    """

    target: str
    rows: list[Row]
    complete: bool
    shelf: Shelf
    generation: int
    until: float

    @property
    def figures(self) -> list[Figure]:
        return [row.figure for row in self.rows]


class Balances:
    def __init__(
        self,
        settings: BalanceSettings,
        directory: Directory,
        lookups: Mapping[str, Lookups],
        capabilities: Mapping[str, Capabilities],
        shelves: Shelves,
        store: BalanceStore,
        clock: DatabaseClock,
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._lookups = lookups
        self._capabilities = capabilities
        self._shelves = shelves
        self._store = store
        self._clock = clock
        self._asking: dict[tuple[str, str, int], asyncio.Task[Claims]] = {}
        self._asked_at: dict[tuple[str, str, int], float] = {}

    async def answer(
        self,
        employee_id: str,
        dates: Sequence[date],
        types: Sequence[TypeAsked] | None,
        *,
        target: str | None = None,
        replaces: Collection[str] = (),
        within: float | None = None,
    ) -> Answer:
        """One figure for each date and type, in the order asked (dates outside, types inside).

        `types` None: all types of the target. `target` may be left out where there is one HRIS only.
        `replaces`: requests that an update is about to replace, by their Genesys id or by any id that their
        record had in the HRIS: what they have booked is added back. `within`: seconds, else the setting; what
        the HRIS did not answer by then is last known, or unknown.
        Raises `timeoff_balance.errors.Refusal` (UnknownEmployee, UnknownTarget, TooMany, LedgerAway; HrisAway
        where all types are asked for and it never said which there are); never for any other trouble of the
        HRIS, which each figure tells by itself.
        """
        name = self._directory.target(target)
        if len(dates) > MAX_DATES:
            raise TooMany("dates", len(dates), MAX_DATES)
        if types is not None and len(dates) * len(types) > MAX_ROWS:
            raise TooMany("dates x types", len(dates) * len(types), MAX_ROWS)
        shelf = self._shelves.shelf(name, employee_id)
        ends = time.monotonic() + (self._settings.lookup_timeout if within is None else within)
        if self._clock.is_old:
            async with asking_ledger():
                await self._clock.refresh()
        known = self._directory.known_types(name)
        if known is None:
            try:
                known = await self._read_types(name, ends)
            except (HrisError, TimeoutError) as error:
                why = trouble_of(error) if isinstance(error, HrisError) else Unknown.NOT_IN_TIME
                if types is None:
                    raise HrisAway(why.value, getattr(error, "retry_after", None)) from None
                nothing = [Row(figures.unknown(on, asked, why)) for on in dates for asked in types]
                return Answer(name, nothing, True, shelf, -1, 0.0)
        if types is None:
            types = [TypeAsked(*ids) for ids in known]
            if len(dates) * len(types) > MAX_ROWS:
                raise TooMany("dates x types", len(dates) * len(types), MAX_ROWS)
        seen = await self._lookups[name].read(shelf, dates, ends - time.monotonic())
        await self._refuse_strangers(name, employee_id, seen, ends)
        generation = shelf.generation
        readings = [each.reading for each in seen.values() if each.reading is not None]
        claims = await self._claims(name, known, shelf, readings, replaces)
        rows: list[Row] = []
        for on in dates:
            rows += self._rows(name, shelf, on, types, known, seen[on], claims)
        if any(each.why for each in seen.values()):
            metrics.STALE.labels(name).inc(sum(row.figure.stale is not None for row in rows))
        return Answer(
            name, rows, claims.complete, shelf, generation, self._good_until(shelf, seen, claims, replaces)
        )

    async def _read_types(self, target: str, ends: float) -> KnownTypes:
        """The list read anew, else the last one. Raises `HrisError` or `TimeoutError` if there is none."""
        try:
            async with asyncio.timeout_at(_loop_time(ends)):
                await self._directory.listed_types(target)
        except TimeoutError:
            if self._directory.known_types(target, old=True) is None:
                raise
        return self._directory.known_types(target, old=True) or {}

    def _good_until(
        self, shelf: Shelf, seen: Mapping[date, Seen], claims: Claims, replaces: Collection[str]
    ) -> float:
        """Until when the same question has the same answer, if nothing is invalidated; 0: ask again."""
        if replaces or shelf.claims is not claims:
            return 0.0
        oldest = claims.at
        for reading, why in seen.values():
            if why or reading is None:
                return 0.0
            oldest = min(oldest, reading.at)
        until = oldest + self._settings.fresh
        if claims.settles:
            now = self._clock.now()
            if any(claims.outdates(each.reading.read.began, now) for each in seen.values() if each.reading):
                return 0.0
            if settles := [at for at in claims.settles if at > now]:
                until = min(until, time.monotonic() + (settles[0] - now).total_seconds())
        return until

    def _rows(
        self,
        target: str,
        shelf: Shelf,
        on: date,
        types: Sequence[TypeAsked],
        known: KnownTypes,
        seen: Seen,
        claims: Claims,
    ) -> list[Row]:
        """Made anew where reading or claims are not those of the rows that are kept."""
        if seen.why is None and shelf.claims is claims:
            kept: list[Row] = []
            for asked in types:
                row = shelf.rows.get((on, asked))
                if row is None or row.reading is not seen.reading or row.claims is not claims:
                    break
                kept.append(row)
            else:
                return kept
        rows = [
            Row(each, seen.reading, claims) for each in self._figures(target, on, types, known, seen, claims)
        ]
        if seen.why is None and shelf.claims is claims:
            shelf.keep_rows(on, rows)
        return rows

    def _figures(
        self,
        target: str,
        on: date,
        types: Sequence[TypeAsked],
        known: KnownTypes,
        seen: Seen,
        claims: Claims,
    ) -> list[Figure]:
        rows = []
        reading = seen.reading
        by_bounds: dict[tuple[date | None, date | None], dict[tuple[str, str | None], Effect]] = {}
        for asked in types:
            type_ = known.get((asked.id, asked.id2)) or _type_of(known, asked)
            if type_ is None:
                rows.append(figures.unknown(on, asked, Unknown.UNKNOWN_TYPE))
                continue
            if reading is None:
                rows.append(figures.unknown(on, asked, seen.why or Unknown.FAILED))
                continue
            balance = _row_of(reading.balances or (), asked)
            if balance is None:
                rows.append(figures.unknown(on, asked, Unknown.NO_BALANCE, reading.read.began))
                continue
            bounds = figures.days_counted(balance, self._capabilities[target].balance_as_of)
            if bounds not in by_bounds:
                by_bounds[bounds] = effects(claims.claims, reading.read, *bounds)
            effect = _effect_of(by_bounds[bounds], asked)
            rows.append(
                figures.figure(
                    balance, asked, type_, effect, reading.read.began, counts=bounds, stale=seen.why
                )
            )
        return rows

    async def _refuse_strangers(
        self, target: str, employee_id: str, seen: Mapping[date, Seen], ends: float
    ) -> None:
        """Some vendors tell an unknown employee apart; others answer with nothing, and the list decides."""
        answered = [each.reading.balances for each in seen.values() if each.reading is not None]
        if None in answered:
            raise UnknownEmployee
        if answered and not any(answered):
            try:
                async with asyncio.timeout_at(_loop_time(ends)):
                    employees = await self._directory.employees(target)
            except (HrisError, TimeoutError):
                return
            if not any(employee.id == employee_id for employee in employees):
                raise UnknownEmployee

    async def _claims(
        self,
        target: str,
        known: KnownTypes,
        shelf: Shelf,
        readings: Sequence[Reading],
        replaces: Collection[str],
    ) -> Claims:
        """What the ledger knows, asked after the readings were done. Raises `LedgerAway`."""
        if not replaces and (kept := self._shelves.fresh_claims(shelf, readings)):
            return kept
        async with asking_ledger():
            return await self._asked(target, known, shelf, readings, replaces)

    async def _asked(
        self,
        target: str,
        known: KnownTypes,
        shelf: Shelf,
        readings: Sequence[Reading],
        replaces: Collection[str],
    ) -> Claims:
        """Who asks at the same time waits for the same answer."""
        if replaces:
            return await self._ask_ledger(target, known, shelf, tuple(replaces))
        key = (target, shelf.employee_id, shelf.generation)
        task = self._asking.get(key)
        if task is None or any(reading.at > self._asked_at[key] for reading in readings):
            task = self._asking[key] = asyncio.create_task(self._ask_ledger(target, known, shelf, ()))
            self._asked_at[key] = time.monotonic()
            task.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(task)

    def _answered(self, key: tuple[str, str, int], task: asyncio.Task[Claims]) -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
            del self._asked_at[key]
        if not task.cancelled():
            task.exception()  # heard by who waited

    async def _ask_ledger(
        self, target: str, known: KnownTypes, shelf: Shelf, replaces: Sequence[str]
    ) -> Claims:
        at, generation, lookups = time.monotonic(), shelf.generation, self._lookups[target]
        rules = await self._directory.claim_rules(target, known)
        asked = time.monotonic()
        leave = await self._store.leave_of(
            target,
            shelf.employee_id,
            # As far back as any reading that may be used began.
            written_within=max(self._settings.oldest, self._settings.fresh)
            + lookups.lag.total_seconds()
            + 60.0,
            named=replaces,
        )
        self._clock.note(leave.now, asked)
        complete = self._shelves.caught_up(leave.agents, leave.offsets)
        claims = Claims.of(
            claims_of(leave.requests, shelf.employee_id, rules), at, lookups.lag, complete=complete
        )
        if not replaces:
            self._shelves.keep_claims(shelf, claims, leave.agents, generation)
        return claims


def _same(asked: str | None, known: str | None) -> bool:
    return asked is None or known is None or asked == known


def _type_of(known: KnownTypes, asked: TypeAsked) -> TimeOffType | None:
    """A second id counts where both sides have one."""
    return next((each for (id, id2), each in known.items() if id == asked.id and _same(asked.id2, id2)), None)


def _row_of(balances: Sequence[Balance], asked: TypeAsked) -> Balance | None:
    return next(
        (each for each in balances if each.type_id == asked.id and _same(asked.id2, each.type_id2)), None
    )


def _effect_of(found: Mapping[tuple[str, str | None], Effect], asked: TypeAsked) -> Effect:
    """All of the type: of every second id, unless one is asked for."""
    together = Effect()
    for (type_id, type_id2), effect in found.items():
        if type_id == asked.id and _same(asked.id2, type_id2):
            for total, part in (
                (together.pending, effect.pending),
                (together.perhaps, effect.perhaps),
                (together.added_back, effect.added_back),
            ):
                for on, amount in part.items():
                    total[on] = total.get(on, amount - amount) + amount
    return together


def _loop_time(monotonic: float) -> float:
    return asyncio.get_running_loop().time() + max(0.0, monotonic - time.monotonic())


__all__ = ["MAX_DATES", "MAX_ROWS", "Answer", "Balances"]

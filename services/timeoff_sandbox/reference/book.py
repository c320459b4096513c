"""The book of records: what a write does in each mode, and what a read sees. No HTTP here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Literal

from timeoff_sandbox.reference.options import Options, Unit
from timeoff_sandbox.reference.records import (
    Clock,
    Day,
    Draft,
    Pending,
    Person,
    Record,
    Refusal,
    State,
    Status,
    Type,
)

FIRST_ID = 5000
#: Ids, names, units and days a year; the ids are those of the sandbox's BambooHR.
TYPES: tuple[tuple[str, str, Unit, Decimal | None], ...] = (
    ("83", "Vacation", "hours", Decimal(30)),
    ("84", "Day off", "days", Decimal(30)),
    ("85", "Sick leave", "hours", None),
)


class Book:
    """People, types and records of one company. Each write is one step, so never a half of it."""

    def __init__(self, clock: Clock, options: Callable[[], Options], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._options = options
        self._monotonic = monotonic
        self.people: dict[str, Person] = {}
        self.records: dict[int, Record] = {}
        self._of_person: dict[str, list[Record]] = {}
        self._by_key: dict[str, list[Record]] = {}
        self._counters: dict[int, list[Record]] = {}
        self._waiting: dict[int, Record] = {}
        #: When what is being written takes effect, where that is not now.
        self._effect_at: float | None = None
        self._next_id = FIRST_ID

    def reset(self) -> None:
        for part in (self.people, self.records, self._of_person, self._by_key, self._counters, self._waiting):
            part.clear()
        self._next_id = FIRST_ID

    def today(self) -> date:
        return self._clock.today("UTC")

    def types(self) -> list[Type]:
        units = self._options().units
        return [Type(id_, name, units.get(id_, unit), yearly) for id_, name, unit, yearly in TYPES]

    def type(self, id_: str) -> Type:
        for type_ in self.types():
            if type_.id == id_:
                return type_
        raise Refusal(404, "notFound", "There is no such type", what="type")

    def person(self, id_: str) -> Person:
        person = self.people.get(id_)
        if person is None:
            raise Refusal(404, "notFound", "There is no such employee", what="employee")
        return person

    def record(self, id_: int) -> Record:
        record = self.records.get(id_)
        if record is None:
            raise Refusal(404, "notFound", "There is no such entry", what="entry")
        return record

    # -- writes ------------------------------------------------------------------------------------

    def create(self, draft: Draft) -> Record:
        """Raises `Refusal`: 404 employee or type, 409 a key or an overlap, 422 a rule."""
        self.person(draft.employee_id)
        self._check_days(draft)
        mode = self._options().external_key
        holders = self._by_key.get(draft.key or "", []) if mode in ("unique", "upsert") else []
        holders = [each for each in holders if each.now.status not in ("deleted", "replaced")]
        if holders and mode == "upsert" and holders[0].employee_id == draft.employee_id:
            return self._overwrite(holders[0], draft)
        if holders:
            raise Refusal(409, "duplicateKey", "Another entry has this key")
        self._check_room(draft, None)
        return self._begin(draft, "api")

    def update(self, id_: int, draft: Draft) -> Record:
        """In place, or as a new record; the answer is the record that is valid now, or will be."""
        mode = self._options().update
        if mode not in ("inPlace", "replaceNewId"):
            raise Refusal(405, "notOffered", "Entries cannot be changed")
        record = self._open(self.record(id_))
        if draft.employee_id != record.employee_id:
            raise Refusal(422, "employee", "An entry stays with its employee")
        self._check_days(draft)
        now = record.now
        if not self._options().status_with_days and now.status != draft.status and now.days != draft.days:
            raise Refusal(422, "statusWithDays", "Change the days or the status, not both at once")
        self._check_room(draft, record)
        if mode == "inPlace":
            return self._overwrite(record, draft)
        successor = self._begin(replace(draft, key=draft.key or record.key), "api", replaces=record)
        record.replaced_by = successor.id
        return successor

    def cancel(self, id_: int, key: str | None, note: str | None) -> Record:
        """Cancels, deletes, or books the opposite. Only what is asked: a second opposite is booked too."""
        mode = self._options().cancel
        if mode == "none":
            raise Refusal(405, "notOffered", "Entries cannot be cancelled")
        record = self.record(id_)
        if mode == "counterEntry":
            return self._counter(record, key, note)
        if record.pending is not None and record.pending.what == "cancel":
            return record
        self._open(record)
        if note:
            record.comments.append(note)
        ended: Status = "cancelled" if mode == "status" else "deleted"
        self._later(record, "cancel", lambda: self._write(record, status=ended, changing=False))
        return record

    def _counter(self, record: Record, key: str | None, note: str | None) -> Record:
        mode = self._options().external_key
        state = record.now
        if state.status == "deleted":
            raise Refusal(404, "notFound", "There is no such entry", what="entry")
        if not state.live:
            raise Refusal(409, "notLive", f"The entry is {state.status}", entryStatus=state.status)
        holders = self._by_key.get(key or "", []) if mode in ("unique", "upsert") else []
        holders = [each for each in holders if each.now.live]
        if holders and mode == "upsert":
            return holders[0]
        if holders:
            raise Refusal(409, "duplicateKey", "Another entry has this key")
        days = {on: Day(-day.amount) for on, day in state.days.items()}
        draft = Draft(record.employee_id, state.type_id, "approved", days, key, note)
        return self._begin(draft, "api", counter_of=record)

    def _begin(
        self,
        draft: Draft,
        by: Literal["api", "hand"],
        *,
        replaces: Record | None = None,
        counter_of: Record | None = None,
    ) -> Record:
        record = Record(
            self._next_id,
            draft.employee_id,
            draft.key if self._options().external_key != "none" else None,
            self.today(),
            by,
            counter_of=counter_of.id if counter_of else None,
            replaces=replaces.id if replaces else None,
        )
        self._next_id += 1
        first: Status = "requested" if self._delayed and by == "api" else draft.status
        waits = self._delayed and by == "api"
        state = State(first, draft.type_id, draft.days, draft.note, self._clock.now(), waits)
        record.states.append(state)
        record.written.append(self._monotonic())
        self.records[record.id] = record
        self._of_person.setdefault(record.employee_id, []).append(record)
        if record.key:
            self._by_key.setdefault(record.key, []).append(record)
        if counter_of:
            self._counters.setdefault(counter_of.id, []).append(record)
        if by == "hand":
            return record
        touched = replaces or counter_of

        def effect() -> None:
            if record.now.changing:
                self._write(record, status=draft.status, changing=False)
            if replaces:
                self._write(replaces, status="replaced", changing=False)
            elif counter_of:
                self._write(counter_of, changing=self._counter_waits(counter_of))

        def refuse() -> None:
            self._write(record, status="denied", changing=False)
            if touched:
                self._write(touched, changing=self._counter_waits(touched))

        self._later(record, "create", effect, refuse)
        if self._delayed and touched:
            self._write(touched, changing=True)
        return record

    def _overwrite(self, record: Record, draft: Draft) -> Record:
        self._later(
            record,
            "update",
            lambda: self._write(
                record,
                status=draft.status,
                type_id=draft.type_id,
                days=draft.days,
                note=draft.note,
                changing=False,
            ),
        )
        return record

    # -- writes that take effect later -------------------------------------------------------------

    @property
    def _delayed(self) -> bool:
        return self._options().accepted_later > 0

    def _later(
        self,
        record: Record,
        what: Literal["create", "update", "cancel"],
        effect: Callable[[], None],
        refuse: Callable[[], None] | None = None,
    ) -> None:
        if not self._delayed:
            effect()
            return
        due = self._monotonic() + self._options().accepted_later
        back = refuse or (lambda: self._write(record, changing=False))
        record.pending = Pending(what, due, effect, back)
        self._waiting[record.id] = record
        if not record.now.changing:
            self._write(record, changing=True)

    def take_effect(self) -> None:
        """Carry out what is due by now, in order."""
        now = self._monotonic()
        due = [each for each in self._waiting.values() if each.pending and each.pending.due <= now]
        for record in sorted(due, key=lambda each: (each.pending.due if each.pending else 0, each.id)):
            self._effect_at = record.pending.due if record.pending else None
            self._settle(record, True)
        self._effect_at = None

    def settle(self, id_: int, accept: bool) -> Record:
        """By hand: the pending write of this record, or of its successor or counter entry, ends now."""
        record = self.record(id_)
        near = [record, *filter(None, [self.records.get(record.replaced_by or 0)]), *self.counters(record)]
        for each in near:
            if each.pending is not None:
                self._settle(each, accept)
                return record
        raise Refusal(409, "notChanging", "Nothing is waiting")

    def _settle(self, record: Record, accept: bool) -> None:
        pending, record.pending = record.pending, None
        self._waiting.pop(record.id, None)
        if pending is not None:
            (pending.effect if accept else pending.refuse)()

    def _counter_waits(self, record: Record) -> bool:
        return any(each.pending is not None for each in self.counters(record))

    # -- by hand -----------------------------------------------------------------------------------

    def create_by_hand(self, draft: Draft) -> Record:
        self.person(draft.employee_id)
        self.type(draft.type_id)
        return self._begin(draft, "hand")

    def edit_by_hand(self, id_: int, status: Status | None, days: Mapping[date, Decimal] | None) -> Record:
        """A person changes a record: in place, at once, without the rules of the API.

        What waited to take effect on the record is given up.
        """
        record = self.record(id_)
        if self._waiting.pop(record.id, None):
            record.pending = None
            self._write(record, changing=False)
        if days:
            self._write(record, days={on: Day(amount) for on, amount in sorted(days.items())})
        if status:
            self._write(record, status=status)
        return record

    # -- rules -------------------------------------------------------------------------------------

    def _open(self, record: Record) -> Record:
        """Raises `Refusal` unless the record is live and no accepted write waits."""
        state = record.now
        if state.status == "deleted":
            raise Refusal(404, "notFound", "There is no such entry", what="entry")
        if not state.live or self.countered(record):
            status = "cancelled" if state.live else state.status
            raise Refusal(409, "notLive", f"The entry is {status}", entryStatus=status)
        if state.changing:
            raise Refusal(409, "changing", "An earlier change of the entry has not taken effect yet")
        return record

    def _check_days(self, draft: Draft) -> None:
        type_ = self.type(draft.type_id)
        options = self._options()
        if options.entry_per_day and len(draft.days) > 1:
            raise Refusal(422, "oneDay", "An entry holds one day")
        halves = options.partial_day == "half" and type_.unit == "days"
        if halves and any(day.amount % Decimal("0.5") for day in draft.days.values()):
            raise Refusal(422, "half", "A day is taken whole or by half")

    def _check_room(self, draft: Draft, previous: Record | None) -> None:
        options = self._options()
        live = [each for each in self._of_person.get(draft.employee_id, ()) if self.counts(each)]
        if options.reject_overlap and any(
            each is not previous
            and each.counter_of is None
            and not draft.days.keys().isdisjoint(each.now.days)
            for each in live
        ):
            raise Refusal(409, "overlap", "The entry overlaps with another one")
        type_ = self.type(draft.type_id)
        if options.reject_insufficient and type_.allowance is not None:
            for year in {on.year for on in draft.days}:
                wanted = sum((d.amount for on, d in draft.days.items() if on.year == year), Decimal(0))
                taken = self.used(draft.employee_id, type_.id, date(year, 1, 1), date(year, 12, 31), previous)
                if taken + wanted > type_.allowance * type_.day:
                    raise Refusal(422, "balance", "The balance is not sufficient")

    def _write(
        self,
        record: Record,
        *,
        status: Status | None = None,
        type_id: str | None = None,
        days: Mapping[date, Day] | None = None,
        note: str | None = None,
        changing: bool | None = None,
    ) -> None:
        state = record.now
        record.states.append(
            State(
                status or state.status,
                type_id or state.type_id,
                days or state.days,
                state.note if note is None else note,
                self._clock.now(),
                state.changing if changing is None else changing,
            )
        )
        record.written.append(self._monotonic() if self._effect_at is None else self._effect_at)

    # -- reads -------------------------------------------------------------------------------------

    def counters(self, record: Record) -> list[Record]:
        """Records that were booked against this one, oldest first."""
        return self._counters.get(record.id, [])

    def countered(self, record: Record) -> bool:
        """Is there a counter entry in effect that was not itself countered?"""
        return any(
            each.now.status == "approved" and not self.countered(each) for each in self.counters(record)
        )

    def counts(self, record: Record) -> bool:
        """Live, and neither cancelled by a counter entry nor the first counter entry of another record."""
        if not record.now.live or self.countered(record):
            return False
        if record.counter_of is None:
            return True
        if record.now.status == "requested":
            return False
        rivals = self._counters[record.counter_of]
        first = next((r for r in rivals if r.now.status == "approved" and not self.countered(r)), None)
        return first is not record

    def used(
        self, employee_id: str, type_id: str, first: date, last: date, but: Record | None = None
    ) -> Decimal:
        """Amounts of live records on these dates; counter entries take off."""
        return sum(
            (
                day.amount
                for record in self._of_person.get(employee_id, ())
                if record is not but and record.now.type_id == type_id
                if record.now.status == "approved" or (record.now.live and record.counter_of is None)
                for on, day in record.now.days.items()
                if first <= on <= last
            ),
            Decimal(0),
        )

    def seen(self, record: Record) -> State | None:
        """The record as reads show it: as it was one read lag ago, nothing once deleted."""
        state = record.as_of(self._monotonic() - self._options().read_lag_ms / 1000)
        return None if state is None or state.status == "deleted" else state

    def listed(
        self, first: date, last: date, employee_id: str | None, key: str | None, id_: int | None
    ) -> Iterator[tuple[Record, State]]:
        """Records that touch the dates (or have the key or id), each with its counter entries."""
        chosen: Iterable[Record]
        if id_ is not None:
            chosen = filter(None, [self.records.get(id_)])
        elif key is not None:
            chosen = self._by_key.get(key, ())
        elif employee_id is not None:
            chosen = self._of_person.get(employee_id, ())
        else:
            chosen = self.records.values()
        shown: dict[int, tuple[Record, State]] = {}
        for record in chosen:
            state = self.seen(record)
            if state is None or (employee_id is not None and record.employee_id != employee_id):
                continue
            if state.first <= last and state.last >= first:
                self._with_counters(record, state, shown)
        yield from (shown[each] for each in sorted(shown))

    def _with_counters(self, record: Record, state: State, shown: dict[int, tuple[Record, State]]) -> None:
        """A counter entry tells nothing without what it counters, and the other way round."""
        if record.id in shown:
            return
        shown[record.id] = (record, state)
        above = [self.records[record.counter_of]] if record.counter_of is not None else []
        for other in (*above, *self.counters(record)):
            if other_state := self.seen(other):
                self._with_counters(other, other_state, shown)

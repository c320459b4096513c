"""The three flows that read: who there is, which types there are, what is left of them.

What an answer leaves out is told in `errorMsg` of a run that is complete. Whatever would make an answer wrong
makes the run fail as a whole, with empty lists: WFM takes a list for the whole truth (an agent who is missing
in one loses the id that was known).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Final, Protocol

from timeoff.days import EARLIEST, LATEST
from timeoff.hris.port import Employee, TimeOffType
from timeoff_balance.balances import Answer
from timeoff_balance.figures import Figure, TypeAsked, Unknown
from timeoff_balance.flows.contract import BUCKETS, MAX_AGENTS, MAX_ITEMS, bucket
from timeoff_balance.flows.results import NO_ANSWER, Result, complete, failed, joined, named, wrong_inputs
from timeoff_balance.flows.values import Inputs, Unreadable, read_date

#: A question for more dates than these may take as long as a run can wait, in seconds; a shorter one as long
#: as any other question of the service.
MANY_DATES: Final = 60
LONG: Final = 45.0
#: Characters of an employee's id, as on /v1.
MAX_ID: Final = 200
#: No answer of the HRIS at all, as opposed to an answer that has no number: what the run ends with.
FAILURES: Final[Mapping[Unknown, tuple[int, str]]] = {
    Unknown.THROTTLED: (429, "the HRIS throttles, try again later"),
    Unknown.UNREACHABLE: (503, "the HRIS does not answer, try again later"),
    Unknown.REFUSED: (502, "the HRIS refuses to answer"),
    Unknown.NOT_IN_TIME: (NO_ANSWER, "the HRIS did not answer in time"),
    Unknown.NOT_SUPPORTED: (501, "the HRIS keeps no balances that can be asked for"),
    Unknown.FAILED: (500, "the balance cannot be read"),
}
_INCOMPLETE: Final = (
    "a change in Genesys is not taken in yet: balances may be too high, ask again in a moment"
)
#: An answer without a number: no row, and the reason by type.
_ROWLESS: Final[Mapping[Unknown, str]] = {
    Unknown.UNKNOWN_TYPE: "not a type of the HRIS",
    Unknown.NO_BALANCE: "no balance known",
    Unknown.NOT_A_NUMBER: "balance cannot be converted to minutes",
}


class Balances(Protocol):
    async def answer(
        self,
        employee_id: str,
        dates: Sequence[date],
        types: Sequence[TypeAsked] | None,
        *,
        target: str | None = None,
        replaces: Collection[str] = (),
        within: float | None = None,
    ) -> Answer: ...


class Directory(Protocol):
    async def employees(self, target: str, *, current: bool = False) -> Sequence[Employee]: ...

    async def listed_types(self, target: str, *, current: bool = False) -> Sequence[TimeOffType]: ...


class Reading:
    """All methods raise `HrisError`, `Refusal` and whatever else goes wrong; `Flows` makes results of it."""

    def __init__(self, balances: Balances, directory: Directory) -> None:
        self._balances = balances
        self._directory = directory

    async def get_agents(self, target: str, inputs: Inputs) -> Result:
        """Employees with an address, 2,000 to a pair of lists. Those who share one are nobody's: left out."""
        return list_agents(await self._directory.employees(target, current=True))

    async def get_timeoff_types(self, target: str, inputs: Inputs) -> Result:
        return list_types(await self._directory.listed_types(target, current=True))

    async def get_balance(self, target: str, inputs: Inputs) -> Result:
        """A row for each date and type of which a number is known, dates outside, each pair once."""
        asked, remarks = read_question(inputs)
        if isinstance(asked, Result):
            return asked
        dates, types = asked
        answer = await self._balances.answer(
            inputs.text("agentId"),
            dates,
            types,
            target=target,
            within=None if len(dates) <= MANY_DATES else LONG,
        )
        if not answer.complete:
            remarks = [*remarks, _INCOMPLETE]
        return list_balances(answer.figures, remarks)


def list_agents(employees: Sequence[Employee]) -> Result:
    if not employees:
        return failed(404, "the HRIS lists no employees")
    addresses = {employee.id: (employee.email or "").strip() for employee in employees}
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for id, email in addresses.items():
        if email:
            sharing[email.casefold()].append(id)
    if not sharing:
        return failed(404, "no employee in the HRIS has an e-mail address")
    shared = [id for ids in sharing.values() if len(ids) > 1 for id in ids]
    left_out = set(shared)
    rows = [(email, id) for id, email in addresses.items() if email and id not in left_out]
    remarks = []
    if without := sum(not email for email in addresses.values()):
        remarks.append(f"left out without an e-mail address: {without:,}")
    if shared:
        remarks.append(f"left out because they share an e-mail address: {named(shared)}")
    if len(rows) > MAX_AGENTS:
        remarks.append(f"{len(rows):,} employees, {MAX_AGENTS:,} can be answered: the others are left out")
        # Always the same ones, whatever the order in which the HRIS lists them.
        rows = sorted(rows, key=lambda row: (len(row[1]), row[1]))[:MAX_AGENTS]
    values: dict[str, str | tuple[str, ...]] = {}
    for number in range(BUCKETS):
        part = rows[number * MAX_ITEMS : (number + 1) * MAX_ITEMS]
        values[bucket("emails", number)] = tuple(email for email, _ in part)
        values[bucket("externalIds", number)] = tuple(id for _, id in part)
    return complete(values, joined(remarks))


def list_types(types: Sequence[TimeOffType]) -> Result:
    remarks = []
    if len(types) > MAX_ITEMS:
        remarks.append(f"{len(types):,} types, {MAX_ITEMS:,} can be answered: the others are left out")
    types = types[:MAX_ITEMS]
    id2s = tuple(type_.id2 or "" for type_ in types)
    return complete(
        {
            "ids": tuple(type_.id for type_ in types),
            "names": tuple(type_.name for type_ in types),
            "id2s": id2s if any(id2s) else (),
        },
        joined(remarks),
    )


_Question = tuple[list[date], list[TypeAsked]]


def read_question(inputs: Inputs) -> tuple[_Question | Result, list[str]]:
    """Dates and types that are asked for, each once, or the refusal; and what of them is not answered."""
    problems = []
    if len(inputs.text("agentId")) > MAX_ID:
        problems.append(f"Flow.agentId has more than {MAX_ID} characters")
    dates: list[date] = []
    for number, text in enumerate(inputs.items("inputDates"), 1):
        try:
            on = read_date(text)
            if not EARLIEST <= on <= LATEST:
                raise Unreadable(f"is outside of {EARLIEST.year} to {LATEST.year}: {text}")
            dates.append(on)
        except Unreadable as error:
            problems.append(f"Flow.inputDates item {number} {error}")
    ids, id2s = inputs.items("inputTimeOffTypeIds"), inputs.items("inputTimeOffTypeId2s")
    if id2s and len(id2s) != len(ids):
        problems.append(
            f"Flow.inputTimeOffTypeId2s has {len(id2s):,} items and Flow.inputTimeOffTypeIds {len(ids):,}"
        )
    problems += [
        f"Flow.inputTimeOffTypeIds item {number} is empty" for number, id in enumerate(ids, 1) if not id
    ]
    if problems:
        return wrong_inputs(problems), []
    types = [
        TypeAsked(id, id2 or None)
        for id, id2 in dict.fromkeys(zip(ids, id2s or ("",) * len(ids), strict=True))
    ]
    dates = list(dict.fromkeys(dates))
    remarks = []
    fitting = MAX_ITEMS // len(types)
    if len(dates) > fitting:
        remarks.append(
            f"{len(dates):,} dates and {len(types):,} types make {len(dates) * len(types):,} rows,"
            f" {MAX_ITEMS:,} can be answered: dates from {dates[fitting]} on are left out"
        )
        dates = dates[:fitting]
    return (dates, types), remarks


def list_balances(figures: Sequence[Figure], remarks: Iterable[str] = ()) -> Result:
    """Rows of the figures; a single one that could not be read fails them all."""
    for unknown, (code, words) in FAILURES.items():
        if dates := [figure.on.isoformat() for figure in figures if figure.unknown is unknown]:
            return failed(code, f"{words}: {named(dates)}")
    rows = [
        (figure.on.isoformat(), figure.type.id, str(figure.minutes), figure.type.id2 or "")
        for figure in figures
        if figure.minutes is not None and not figure.unlimited
    ]
    on, ids, minutes, id2s = zip(*rows, strict=True) if rows else ((), (), (), ())
    return complete(
        {
            "dates": on,
            "timeOffTypeIds": ids,
            "balanceMinutesPerDay": minutes,
            "timeOffTypeId2s": id2s if any(id2s) else (),
        },
        joined([*remarks, *_left_out(figures), *_old(figures)]),
    )


def _left_out(figures: Sequence[Figure]) -> list[str]:
    """Which types have no row, by reason; with the dates if it is not all of them."""
    dates = {figure.on for figure in figures}
    found: defaultdict[tuple[str, TypeAsked], list[date]] = defaultdict(list)
    for figure in figures:
        if figure.unlimited:
            found["unlimited, no balance is kept", figure.type].append(figure.on)
        elif figure.unknown is not None:
            found[_ROWLESS[figure.unknown], figure.type].append(figure.on)
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for (reason, type_), on in found.items():
        name = f"{type_.id}/{type_.id2}" if type_.id2 else type_.id
        some = "" if len(on) == len(dates) else f" ({named(day.isoformat() for day in on)})"
        reasons[reason].append(name + some)
    return [f"{reason}: {named(types)}" for reason, types in reasons.items()]


def _old(figures: Sequence[Figure]) -> list[str]:
    """That the HRIS does not answer and the last known numbers stand in for it."""
    times = [
        figure.as_of for figure in figures if figure.stale and figure.as_of and figure.minutes is not None
    ]
    if not times:
        return []
    return [f"the HRIS does not answer now, known since {min(times).isoformat(timespec='seconds')}"]


__all__ = ["Balances", "Directory", "Reading", "list_agents", "list_balances", "list_types", "read_question"]

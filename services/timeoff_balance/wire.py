"""Bodies and answers of /v1, as they are validated and documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from json.encoder import encode_basestring as quoted
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic.alias_generators import to_camel

from timeoff.days import EARLIEST, LATEST
from timeoff_balance.balances import MAX_DATES, MAX_ROWS, Answer
from timeoff_balance.errors import Mistake
from timeoff_balance.figures import Figure, Unknown
from timeoff_balance.shelves import Row

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_day(value: object) -> date:
    """`YYYY-MM-DD` of the calendar, from 2000 to 2100. Raises `ValueError`."""
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("is no date; write YYYY-MM-DD")
    try:
        on = date.fromisoformat(value)
    except ValueError:
        raise ValueError("is no date of the calendar") from None
    if not EARLIEST <= on <= LATEST:
        raise ValueError(f"is outside of {EARLIEST.year} to {LATEST.year}")
    return on


DayText = Annotated[
    date, BeforeValidator(read_day), WithJsonSchema({"type": "string", "format": "date"}, mode="validation")
]
#: Ids are words of others: no control characters, and not longer than any of theirs.
Word = Annotated[str, Field(strict=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")


class TypeIds(Wire):
    """A time-off type of the HRIS; the second id where it has one."""

    id: Word
    id2: Word | None = None


class BalanceQuery(Wire):
    """Who, when, and of which types (none: of all). `employeeId` is the HRIS's, `agentId` the Genesys user's;
    who calls with a Genesys token of his own may leave out both."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"required": ["employeeId", "agentId"]}},
    )

    employee_id: Word = ""
    agent_id: Word = ""
    target: Word = Field("", description="the HRIS, where there are several")
    dates: tuple[DayText, ...] = Field(min_length=1, max_length=MAX_DATES)
    types: tuple[TypeIds, ...] = Field((), max_length=MAX_ROWS, description="none: all types of the HRIS")
    replaces: tuple[Word, ...] = Field(
        (),
        max_length=20,
        description="requests that an update is about to replace, by their Genesys id or an id that they had"
        " in the HRIS: what they have booked is added back",
    )


class HrisAmount(Wire):
    """The number of the HRIS, as it was answered."""

    amount: str
    unit: Literal["hours", "days", "minutes"]


class BalanceRow(Wire):
    """What is left of a type on a date. `minutes` is the HRIS's number less `pendingMinutes` and with
    `addedBackMinutes`, rounded once, half up; null with `kind` unknown, and for an unlimited type without a
    balance."""

    date: date
    type_id: str
    type_id2: str | None
    minutes: int | None
    kind: Literal["exact", "projected", "current_only", "unknown"]
    unlimited: bool = Field(description="the HRIS refuses nothing for want of balance")
    hris: HrisAmount | None
    rounded_from: str | None = Field(description="the exact minutes, if `minutes` are not")
    pending_minutes: int = Field(description="accepted in Genesys, not in the HRIS's number; subtracted")
    maybe_counted_minutes: int = Field(
        description="of the pending ones: a write is under way, and the HRIS's number may hold them already"
    )
    added_back_minutes: int = Field(description="booked, and about to be replaced; added")
    as_of: datetime | None = Field(description="when the read of the HRIS began")
    stale: bool = Field(description="the last known number: the HRIS gives no newer one now")
    age_seconds: int | None = Field(description="of a stale number")
    reason: Unknown | None = Field(description="why there is no number, or no newer one")


class BalanceAnswer(Wire):
    """Rows in the order asked: dates outside, types inside. `complete` false: Genesys has changed something
    that is not known in detail yet; ask again in a moment."""

    employee_id: str
    target: str
    complete: bool
    balances: list[BalanceRow]


class Agent(Wire):
    """An employee of the HRIS; `agentId` is the Genesys user he is linked to, if he is."""

    employee_id: str
    email: str | None
    agent_id: str | None


class AgentPage(Wire):
    """A page, by employee id. `next` is the `after` of the next one; null on the last."""

    target: str
    agents: list[Agent]
    next: str | None


class TimeOffTypeRow(Wire):
    """A type of the HRIS. `dayMinutes`: the length of a day where `weekdayMinutes` (1 = Monday) has none."""

    id: str
    id2: str | None
    name: str
    unit: Literal["hours", "days", "minutes"]
    day_minutes: int
    weekday_minutes: dict[str, int]


class TimeOffTypes(Wire):
    target: str
    types: list[TimeOffTypeRow]


class ProblemMistake(BaseModel):
    at: str
    message: str


class ProblemDetails(BaseModel):
    """RFC 9457. `code` does not change; title and detail are for people."""

    type: str
    title: str
    status: int
    detail: str | None = None
    code: str
    errors: list[ProblemMistake] | None = None


class TokenRequest(BaseModel):
    """RFC 6749, 4.4.2. Client id and secret may stand in a Basic header instead."""

    grant_type: Literal["client_credentials"]
    client_id: str | None = None
    client_secret: str | None = None
    scope: str | None = None


class TokenReply(BaseModel):
    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int


class TokenError(BaseModel):
    """RFC 6749, 5.2."""

    error: str
    error_description: str | None = None


def mistakes_of(error: ValidationError) -> list[Mistake]:
    """Places and kinds, never values. A list is not to blame for its items."""
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    blamed = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
    found = []
    for problem in problems:
        if problem["loc"] not in blamed:
            at = "".join(f"/{part}" for part in problem["loc"]) or "/"
            found.append(Mistake(at, problem["msg"].removeprefix("Value error, ")))
    return found[:20]


def row_of(figure: Figure, now: datetime) -> Mapping[str, Any]:
    """A figure as `BalanceRow` shows it."""
    amount = figure.amount
    age = (
        max(0, int((now - figure.as_of).total_seconds()))
        if figure.stale is not None and figure.as_of
        else None
    )
    why = figure.unknown or figure.stale
    return {
        "date": figure.on.isoformat(),
        "typeId": figure.type.id,
        "typeId2": figure.type.id2,
        "minutes": figure.minutes,
        "kind": figure.kind.value if figure.kind is not None else "unknown",
        "unlimited": figure.unlimited,
        "hris": {"amount": f"{amount:f}", "unit": figure.unit.value}
        if amount is not None and figure.unit is not None
        else None,
        "roundedFrom": f"{figure.rounded_from:f}" if figure.rounded_from is not None else None,
        "pendingMinutes": figure.pending,
        "maybeCountedMinutes": figure.maybe_counted,
        "addedBackMinutes": figure.added_back,
        "asOf": figure.as_of.isoformat(timespec="milliseconds") if figure.as_of is not None else None,
        "stale": figure.stale is not None,
        "ageSeconds": age,
        "reason": why.value if why is not None else None,
    }


def text_of(employee_id: str, answer: Answer, now: Callable[[], datetime]) -> str:
    """A `BalanceAnswer` as JSON. Each row is written once, but for those whose age grows."""
    rows = [
        row.text if row.text is not None and row.figure.stale is None else _written(row, now())
        for row in answer.rows
    ]
    return (
        f'{{"employeeId":{quoted(employee_id)},"target":{quoted(answer.target)},'
        f'"complete":{"true" if answer.complete else "false"},'
        f'"balances":[{",".join(rows)}]}}'
    )


def _written(row: Row, now: datetime) -> str:
    row.text = json.dumps(row_of(row.figure, now), separators=(",", ":"), ensure_ascii=False)
    return row.text

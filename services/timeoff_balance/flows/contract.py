"""The contract of the five workflows as data: from it come the models, the answers and what is deployed.

Source of names, types, directions, initial values and limits: the workflows of the Genesys Cloud blueprint
for WFM and an HRIS ("Integrate Genesys Cloud with an HRIS system to sync time-off requests and time-off
balances"), whose published flows declare more inputs and outputs than their description lists. Two initial
values are ours: a run that ends early is a failure, never a success, so `Flow.status` starts as `Error` and
`Flow.statusCode` as 500 in all five.

| type | into a flow | out of a flow | limit |
| --- | --- | --- | --- |
| String | string or null | string or null | 32,000 characters |
| Integer | integer, or one as a string | integer; a string where Genesys Cloud itself answers | 15 digits |
| StringCollection | array of strings | array of strings, `[]` where unset | 2,000 items |
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

MAX_TEXT: Final = 32_000
MAX_ITEMS: Final = 2_000
MAX_INTEGER: Final = 999_999_999_999_999
#: Pairs of lists that Get-Agents answers with: one without a number, then 1 to 24.
BUCKETS: Final = 25
MAX_AGENTS: Final = BUCKETS * MAX_ITEMS

#: Names the workflows for ever: an id that somebody has put into a setting stays valid.
_NAMESPACE: Final = uuid.UUID("6d2b8a0e-5f0c-4c1b-9d57-0a4f3f1c9b52")


class Kind(StrEnum):
    """Types as Architect names them."""

    STRING = "String"
    INTEGER = "Integer"
    STRINGS = "StringCollection"


class Status(StrEnum):
    """What `Flow.status` may say. WFM takes `Unknown` as well; nothing here answers with it."""

    COMPLETE = "Complete"
    INSUFFICIENT_BALANCE = "InsufficientBalance"
    NOT_ALLOWED = "NotAllowed"
    ERROR = "Error"


Value = str | int | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a flow, without the prefix `Flow.`; `initial` holds until the flow says otherwise."""

    name: str
    kind: Kind
    about: str
    initial: Value = None
    mandatory: bool = False

    @property
    def key(self) -> str:
        return f"Flow.{self.name}"

    @property
    def unset(self) -> Value:
        """The initial value; a collection without one is empty, not null."""
        return () if self.kind is Kind.STRINGS and self.initial is None else self.initial


@dataclass(frozen=True, slots=True)
class Flow:
    """A workflow. `name` is its path on the plain call, `title` its name in Genesys Cloud."""

    name: str
    title: str
    about: str
    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]
    writes: bool = False

    def id(self, target: str) -> str:
        """The workflow of one HRIS as Genesys Cloud would know it: a UUID that never changes."""
        return str(uuid.uuid5(_NAMESPACE, f"{target}/{self.name}"))


def _state() -> tuple[Variable, ...]:
    """The three outputs that say how a run ended."""
    return (
        Variable(
            "statusCode", Kind.INTEGER, "HTTP status; below 300 if success", initial=500, mandatory=True
        ),
        Variable("status", Kind.STRING, "`Complete` if success", initial=str(Status.ERROR), mandatory=True),
        Variable("errorMsg", Kind.STRING, "what went wrong, or what the answer leaves out"),
    )


def bucket(name: str, number: int) -> str:
    """`emails`, `emails1` … `emails24`."""
    return name if number == 0 else f"{name}{number}"


def _buckets() -> tuple[Variable, ...]:
    return tuple(
        Variable(bucket(name, number), Kind.STRINGS, f"{about}, list {number}", mandatory=number == 0)
        for number in range(BUCKETS)
        for name, about in (
            ("emails", "e-mail addresses of employees"),
            ("externalIds", "ids of the same employees in the HRIS"),
        )
    )


def _booking(*more: Variable) -> tuple[Variable, ...]:
    return (
        Variable("agentId", Kind.STRING, "id of the employee in the HRIS", mandatory=True),
        Variable("dates", Kind.STRINGS, "all dates of the request, YYYY-MM-DD", mandatory=True),
        Variable("startDateTimes", Kind.STRINGS, "of parts of a day: YYYY-MM-DDTHH:mm:ss, local"),
        Variable("minDate", Kind.STRING, "first of the dates", mandatory=True),
        Variable("maxDate", Kind.STRING, "last of the dates", mandatory=True),
        Variable("timeOffStatus", Kind.STRING, "APPROVED, PENDING, DENIED or CANCELED", mandatory=True),
        Variable("timeOffTypeId", Kind.STRING, "id of the type in the HRIS", mandatory=True),
        Variable("timeOffTypeId2", Kind.STRING, "secondary id of the type"),
        Variable("payableMinutes", Kind.STRINGS, "whole minutes for each of the dates", mandatory=True),
        Variable("durationMinutes", Kind.STRINGS, "length in whole minutes for each of the dates"),
        Variable("notes", Kind.STRING, "what the employee or the supervisor wrote"),
        *more,
    )


def _booked() -> tuple[Variable, ...]:
    return (
        *_state(),
        Variable("timeOffRequestId", Kind.STRING, "id that is valid from now on", mandatory=True),
        Variable("error", Kind.STRING, "never set; the published flows declare it"),
    )


GET_AGENTS: Final = Flow(
    "get-agents",
    "HRIS-Get-Agents",
    "Who is in the HRIS: ids with the e-mail addresses by which WFM finds its agents.",
    inputs=(),
    outputs=(*_state(), *_buckets()),
)

GET_TIMEOFF_TYPES: Final = Flow(
    "get-timeoff-types",
    "HRIS-Get-TimeOff-Types",
    "The types of time off in the HRIS.",
    inputs=(),
    outputs=(
        *_state(),
        Variable("ids", Kind.STRINGS, "ids of the types", mandatory=True),
        Variable("names", Kind.STRINGS, "their names, in the same order", mandatory=True),
        Variable("id2s", Kind.STRINGS, "their secondary ids in the same order; empty if there are none"),
    ),
)

GET_BALANCE: Final = Flow(
    "get-balance",
    "HRIS-Get-Balance",
    "What an employee has left of some types as of some dates, in minutes.",
    inputs=(
        Variable("agentId", Kind.STRING, "id of the employee in the HRIS", mandatory=True),
        Variable("inputDates", Kind.STRINGS, "dates, YYYY-MM-DD", mandatory=True),
        Variable("inputTimeOffTypeIds", Kind.STRINGS, "ids of the types", mandatory=True),
        Variable("inputTimeOffTypeId2s", Kind.STRINGS, "their secondary ids in the same order, if any"),
    ),
    outputs=(
        *_state(),
        Variable("dates", Kind.STRINGS, "the date of each row", mandatory=True),
        Variable("timeOffTypeIds", Kind.STRINGS, "the type of each row", mandatory=True),
        Variable(
            "balanceMinutesPerDay", Kind.STRINGS, "whole minutes left as of the row's date", mandatory=True
        ),
        Variable("timeOffTypeId2s", Kind.STRINGS, "the secondary id of each row; empty if no row has one"),
    ),
)

INSERT_TIMEOFF: Final = Flow(
    "insert-timeoff",
    "HRIS-Insert-TimeOff",
    "Hands a time-off request over to the HRIS.",
    inputs=_booking(),
    outputs=_booked(),
    writes=True,
)

UPDATE_TIMEOFF: Final = Flow(
    "update-timeoff",
    "HRIS-Update-TimeOff",
    "Hands a change of a time-off request over to the HRIS.",
    inputs=_booking(
        Variable("inputTimeOffRequestId", Kind.STRING, "any id that the request ever had", mandatory=True),
    ),
    outputs=_booked(),
    writes=True,
)

#: All of the contract by the name of the plain call.
FLOWS: Final[Mapping[str, Flow]] = MappingProxyType(
    {flow.name: flow for flow in (GET_AGENTS, GET_TIMEOFF_TYPES, GET_BALANCE, INSERT_TIMEOFF, UPDATE_TIMEOFF)}
)


def input_schema(flow: Flow) -> dict[str, Any]:
    """JSON Schema of what a caller should send. A flow takes more than this: see `values`."""
    shapes: Mapping[Kind, dict[str, Any]] = {
        Kind.STRING: {"type": ["string", "null"], "maxLength": MAX_TEXT},
        Kind.INTEGER: {"type": ["integer", "string", "null"]},
        Kind.STRINGS: {
            "type": ["array", "null"],
            "items": {"type": ["string", "null"]},
            "maxItems": MAX_ITEMS,
        },
    }
    return {
        "type": "object",
        "properties": {
            variable.key: {**shapes[variable.kind], "description": variable.about} for variable in flow.inputs
        },
        "required": [variable.key for variable in flow.inputs if variable.mandatory],
    }


def output_schema(flow: Flow, *, integers_as_text: bool = False) -> dict[str, Any]:
    """JSON Schema of an answer: every output is there. `integers_as_text` is how Genesys Cloud sends them."""
    integer: dict[str, Any] = (
        {"type": "string", "pattern": "^-?[0-9]{1,15}$"}
        if integers_as_text
        else {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
    )
    shapes: Mapping[Kind, dict[str, Any]] = {
        Kind.STRING: {"type": ["string", "null"], "maxLength": MAX_TEXT},
        Kind.INTEGER: integer,
        Kind.STRINGS: {"type": "array", "items": {"type": "string"}, "maxItems": MAX_ITEMS},
    }
    return {
        "type": "object",
        "properties": {
            variable.key: {**shapes[variable.kind], "description": variable.about}
            for variable in flow.outputs
        },
        "required": [variable.key for variable in flow.outputs],
        "additionalProperties": False,
    }


__all__ = [
    "BUCKETS",
    "FLOWS",
    "GET_AGENTS",
    "GET_BALANCE",
    "GET_TIMEOFF_TYPES",
    "INSERT_TIMEOFF",
    "MAX_AGENTS",
    "MAX_INTEGER",
    "MAX_ITEMS",
    "MAX_TEXT",
    "UPDATE_TIMEOFF",
    "Flow",
    "Kind",
    "Status",
    "Value",
    "Variable",
    "bucket",
    "input_schema",
    "output_schema",
]

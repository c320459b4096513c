"""How a flow ended, and the outputs that say so. Pure.

Code and status never contradict each other:

| `status` | `statusCode` | lists |
| --- | --- | --- |
| `Complete` | 200 | the answer; `errorMsg` tells what it leaves out, if anything |
| `InsufficientBalance` | 200 | empty |
| `NotAllowed` | 403 | empty |
| `Error` | 400 or more | empty |

WFM takes every code below 300 for a success and shows the status as the reason of a refusal; that is why a
lack of balance is a 200 (Genesys Cloud blueprint for WFM and an HRIS, history of its HRIS-Insert-TimeOff).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from timeoff.errors import (
    AuthFailed,
    Forbidden,
    HrisError,
    NotFound,
    RetryLater,
    Unsupported,
)
from timeoff_balance.flows.contract import MAX_ITEMS, MAX_TEXT, Flow, Kind, Status, Value, Variable

#: The HRIS gave no answer in time. (408 is what the published flows say for it.)
NO_ANSWER: Final = 408
#: Ids or problems named in one message; of the others only the number is told.
_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a run. Made without arguments it is the state in which every run begins: failed."""

    status: Status = Status.ERROR
    code: int = 500
    message: str | None = None
    values: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fits = {
            Status.COMPLETE: self.code == 200,
            Status.INSUFFICIENT_BALANCE: self.code == 200,
            Status.NOT_ALLOWED: self.code == 403,
            Status.ERROR: 400 <= self.code <= 599,
        }
        if not fits[self.status] or (self.values and self.status is not Status.COMPLETE):
            raise ValueError(f"{self.status} with {self.code} and {len(self.values)} values")


def complete(values: Mapping[str, str | tuple[str, ...]], message: str | None = None) -> Result:
    return Result(Status.COMPLETE, 200, message, values)


def failed(code: int, message: str) -> Result:
    return Result(Status.ERROR, code, message)


def not_allowed(message: str) -> Result:
    return Result(Status.NOT_ALLOWED, 403, message)


def insufficient(message: str) -> Result:
    return Result(Status.INSUFFICIENT_BALANCE, 200, message)


def wrong_inputs(problems: Sequence[str]) -> Result:
    more = len(problems) - _NAMED
    return failed(400, "; ".join(problems[:_NAMED]) + (f"; and {more:,} more" if more > 0 else ""))


def failed_by(error: HrisError) -> Result:
    """A read that the HRIS did not answer: the kind of its refusal stays told apart."""
    match error:
        case AuthFailed():
            return failed(401, f"the HRIS refuses our credentials: {error}")
        case Forbidden():
            return failed(403, f"the HRIS does not let us see this: {error}")
        case NotFound():
            return failed(404, str(error))
        case RetryLater(throttled=True):
            return failed(429, f"the HRIS throttles, try again later: {error}")
        case RetryLater():
            return failed(503, f"the HRIS does not answer, try again later: {error}")
        case Unsupported():
            return failed(501, f"the HRIS cannot do this: {error}")
        case _:
            return failed(502, f"the HRIS refuses this: {error}")


def outputs(flow: Flow, result: Result, *, integers_as_text: bool = False) -> dict[str, Any]:
    """Every output that the flow declares. `integers_as_text` is how Genesys Cloud sends them."""
    state: dict[str, Value] = {
        "statusCode": result.code,
        "status": str(result.status),
        "errorMsg": _limited(result.message),
    }
    values = {**state, **result.values}
    known = {variable.name for variable in flow.outputs}
    if not values.keys() <= known:
        raise ValueError(f"{flow.name} has no outputs {sorted(values.keys() - known)}")
    return {
        variable.key: _wire(variable, values.get(variable.name, variable.unset), integers_as_text)
        for variable in flow.outputs
    }


def _wire(variable: Variable, value: Value, integers_as_text: bool) -> Any:
    match value:
        case tuple():
            if variable.kind is not Kind.STRINGS or len(value) > MAX_ITEMS:
                raise ValueError(f"{variable.key} cannot hold {len(value)} items")
            return list(value)
        case int():
            return str(value) if integers_as_text else value
        case _:
            return value


def _limited(message: str | None) -> str | None:
    if message is None or len(message) <= MAX_TEXT:
        return message
    return message[: MAX_TEXT - 1] + "…"


def named(items: Iterable[str]) -> str:
    """Ids for a message, each once: `83, 90` or `1, 2, … and 480 more`."""
    distinct = list(dict.fromkeys(items))
    more = len(distinct) - _NAMED
    return ", ".join(distinct[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def joined(remarks: Iterable[str]) -> str | None:
    """Remarks as one message; None if there are none."""
    return "; ".join(remarks) or None


__all__ = [
    "NO_ANSWER",
    "Result",
    "complete",
    "failed",
    "failed_by",
    "insufficient",
    "joined",
    "named",
    "not_allowed",
    "outputs",
    "wrong_inputs",
]

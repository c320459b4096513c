"""Filters of a list: `key=value` and `key:function=value` as conditions of SQL. Pure.

Equality of texts ignores case. `null` stands for a field without value, except in texts.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from timeoff_leave.errors import invalid
from timeoff_leave.values import LocalMoment, read_day, read_local, read_moment

Kind = Literal["integer", "text", "number", "boolean", "moment", "local", "day"]

_COMPARING: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "after": ">", "before": "<"}
_ALWAYS: Final = ("in", "not")
_ORDERED: Final = ("gt", "gte", "lt", "lte")
_CASTS: Final[dict[Kind, str]] = {
    "integer": "bigint",
    "text": "text",
    "number": "numeric",
    "boolean": "boolean",
    "moment": "timestamptz",
    "local": "timestamp",
    "day": "date",
}
_MAX_INTEGER: Final = 9_223_372_036_854_775_807


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: `function` is empty for equality, `values` is one value except for `in`; None is null."""

    field: str
    kind: Kind
    function: str
    values: tuple[Any, ...]

    def sql(self, parameter: int) -> tuple[str, Any]:
        """Condition on the column, and the value of its one parameter."""
        cast = _CASTS[self.kind]
        column, given = f'record."{self.field}"', f"${parameter}::{cast}"
        if self.kind == "text" and self.function in ("", "in", "not", "contains"):
            column, given = f"lower({column})", f"lower({given})"
        match self.function:
            case "":
                # A strict equality lets an index answer; no row equals null.
                if self.values[0] is None:
                    return f"{column} IS NOT DISTINCT FROM {given}", None
                return f"{column} = {given}", self.values[0]
            case "not":
                return f"{column} IS DISTINCT FROM {given}", self.values[0]
            case "in":
                return f"{column} = ANY (${parameter}::{cast}[])", list(self.values)
            case "contains":
                return f"position({given} IN {column}) > 0", self.values[0]
            case _:
                return f"{column} {_COMPARING[self.function]} {given}", self.values[0]


def functions(kind: Kind) -> tuple[str, ...]:
    """What a field of this kind can be asked for beside equality."""
    match kind:
        case "boolean":
            return _ALWAYS
        case "text":
            return (*_ALWAYS, "contains", *_ORDERED)
        case "moment" | "local" | "day":
            return (*_ALWAYS, *_ORDERED, "after", "before")
        case _:
            return (*_ALWAYS, *_ORDERED)


def read_condition(key: str, field: str, kind: Kind, function: str, text: str) -> Condition:
    """The filter `key` (`field` or `field:function`). Raises `Refusal` 400 under this key."""
    if function and function not in functions(kind):
        raise invalid(key, "This filter is not known.")
    try:
        if function == "in":
            values = [_value(kind, part) for part in text.split(",")]
            if kind == "text":
                values = [str(value).lower() for value in values]
            return Condition(field, kind, function, tuple(value for value in values if value is not None))
        value = None if text == "null" and kind != "text" and function in ("", "not") else _value(kind, text)
    except (ValueError, InvalidOperation):
        raise invalid(key) from None
    return Condition(field, kind, function, (value,))


def _value(kind: Kind, text: str) -> Any:
    return _READERS[kind](text)


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 30):
        raise ValueError(text)
    return max(-_MAX_INTEGER, min(_MAX_INTEGER, sign * int(digits)))


def _decimal(text: str) -> Decimal:
    if len(text) > 40 or not text.isascii() or "_" in text or text != text.strip():
        raise ValueError(text)
    value = Decimal(text)
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise ValueError(text)
    return value


def _boolean(text: str) -> bool:
    if text not in ("true", "false", "1", "0"):
        raise ValueError(text)
    return text in ("true", "1")


def _moment(text: str) -> datetime:
    # A plus sign that was not escaped arrives as a blank.
    return read_moment(text.replace(" ", "+") if "T" in text.upper() else f"{text}T00:00:00+00:00")


def _local(text: str) -> datetime:
    return read_local(text if "T" in text else f"{text}T00:00:00")


def _text(text: str) -> str:
    if "\0" in text:
        raise ValueError(text)
    text.encode("utf-8")  # a lone surrogate raises
    return text


_READERS: Final[dict[Kind, Callable[[str], Any]]] = {
    "integer": _integer,
    "text": _text,
    "number": _decimal,
    "boolean": _boolean,
    "moment": _moment,
    "local": _local,
    "day": read_day,
}

_LOCAL_MARKS: Final = LocalMoment.__metadata__  # type: ignore[attr-defined]


def kind_of(annotation: Any, marks: Sequence[Any] = ()) -> Kind:
    """Kind of a record's field; of `int | LeaveType` the integer, since that is what is stored."""
    if any(mark in _LOCAL_MARKS for mark in marks):
        return "local"
    if get_origin(annotation) in (Union, types.UnionType):
        members = [
            member
            for member in get_args(annotation)
            if member is not type(None) and not (isinstance(member, type) and issubclass(member, BaseModel))
        ]
        return kind_of(members[0])
    if get_origin(annotation) is Literal:
        return "text"
    if hasattr(annotation, "__metadata__"):
        return kind_of(annotation.__origin__, annotation.__metadata__)
    for type_, kind in _KINDS:
        if isinstance(annotation, type) and issubclass(annotation, type_):
            return kind
    raise TypeError(f"no filter for {annotation}")


_KINDS: Final[tuple[tuple[type, Kind], ...]] = (
    (bool, "boolean"),
    (int, "integer"),
    (str, "text"),
    (Decimal, "number"),
    (datetime, "moment"),
    (date, "day"),
)

"""JSON as this API reads and writes it: decimals exact in both directions, nothing that is not JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

#: Numbers are written with so many decimals at most.
DECIMALS: Final = 4
_STEP: Final = Decimal(1).scaleb(-DECIMALS)
_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_UP)


class KeyTwice(ValueError):
    """A key stands twice in one object; the message, for the caller, names it."""


def read_json(text: bytes) -> Any:
    """The document; numbers with a fraction or an exponent are `Decimal`.

    Raises `ValueError` for what is no JSON in UTF-8: NaN, nesting without end, numbers without end; and
    `KeyTwice`.
    """
    try:
        return json.loads(
            text.decode("utf-8"), parse_float=Decimal, parse_constant=_refused, object_pairs_hook=_object
        )
    except (RecursionError, ArithmeticError) as error:
        raise ValueError(str(error)) from None


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise KeyTwice(f"The key {json.dumps(twice[:64])} stands twice in one object.")
    return found


def number(value: Decimal) -> str:
    """`3`, `2.5`, `0.3333`: without exponent, trailing zeros or a sign before zero."""
    rounded = value.quantize(_STEP, context=_WIDE)
    text = f"{rounded:f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def to_json(value: Any) -> str:
    """JSON text of plain values, decimals and dates. The standard library would make floats of decimals."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None | bool():
            return json.dumps(value)
        case int():
            return int.__repr__(value)
        case Decimal():
            return number(value)
        case datetime():
            return f'"{value.isoformat(timespec="seconds")}"'
        case date():
            return f'"{value.isoformat()}"'
        case dict():
            return "{" + _joined(f"{json.dumps(key)}: {to_json(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + _joined(to_json(item) for item in value) + "]"
        case _:
            raise TypeError(f"no JSON for {type(value).__name__}")


def _joined(parts: Iterable[str]) -> str:
    return ", ".join(parts)

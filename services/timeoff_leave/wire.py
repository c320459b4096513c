"""JSON as this API reads and writes it: decimals exact in both directions, nothing that is not JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

#: Numbers are written with so many decimals at most.
DECIMALS: Final = 4
_STEP: Final = Decimal(1).scaleb(-DECIMALS)
_WIDE: Final = Context(prec=60, rounding=ROUND_HALF_UP)


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


__all__ = ["DECIMALS", "number", "to_json"]

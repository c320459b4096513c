"""JSON as services read it: numbers exact, and nothing that is not JSON."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any


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


__all__ = ["KeyTwice", "read_json"]

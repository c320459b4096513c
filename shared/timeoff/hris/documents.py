"""JSON documents of vendors, read tolerantly and exactly. Pure."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

#: Beyond what a double holds (RFC 8259, 6) no number was meant, and arithmetic may fail or never end.
_MOST_DIGITS: Final = 400


def parse(body: bytes) -> Any:
    """JSON with exact decimals. Raises `ValueError` without any of the text."""
    try:
        return json.loads(body, parse_float=_number, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a number") from None
    if abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError("no sensible number")
    return number


def _refuse(_: str) -> Any:
    raise ValueError("not a number")


def _id(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


#: An id as text, whether the vendor sends a number or a string.
Id = Annotated[str, BeforeValidator(_id), Field(min_length=1, max_length=64)]

#: What is booked or left, in any unit. Beyond it lie mistakes, and numbers that no arithmetic can hold.
Amount = Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000)]


class Document(BaseModel):
    """Base of wire models: unknown fields are left out, and errors never show what came."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def is_id(text: str) -> bool:
    """Is it a positive whole number, which may go into a path? Written in one way: 07 is not the id 7."""
    return text.isascii() and text.isdigit() and len(text) <= 19 and text[0] != "0"

"""JSON documents of vendors, read tolerantly and exactly. Pure."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def parse(body: bytes) -> Any:
    """JSON with exact decimals. Raises `ValueError` without any of the text."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None


def _refuse(_: str) -> Any:
    raise ValueError("not a number")


def _id(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else value


#: An id as text, whether the vendor sends a number or a string.
Id = Annotated[str, BeforeValidator(_id), Field(min_length=1, max_length=64)]


class Document(BaseModel):
    """Base of wire models: unknown fields are left out, and errors never show what came."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def is_id(text: str) -> bool:
    """Is it a positive whole number, which may go into a path?"""
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) > 0

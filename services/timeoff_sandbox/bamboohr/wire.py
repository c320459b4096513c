"""BambooHR's wire forms: JSON with exact decimals, minimal XML, and bodies in either.

Ids and amounts are strings in recorded answers and numbers in the published specification; `Wire` renders
both, and the parsers accept both.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from timeoff_sandbox.bamboohr.records import Refusal

_LONGEST_AMOUNT: Final = 24


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros: `8`, `7.5`, `0.3333`."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def to_json(value: object) -> str:
    """JSON text; decimals are numbers with all their digits (the stdlib would make floats of them)."""
    match value:
        case Decimal():
            return plain(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(str(k))}:{to_json(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(to_json, value)) + "]"
        case _:
            return json.dumps(value)


_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_xml(name: str, value: object) -> str:
    """A minimal document: keys become elements, members of a list `item` elements."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(name, value)}\n'


def _element(name: str, value: object) -> str:
    match value:
        case dict():
            inner = "".join(
                _element(str(k), v) if re.match(r"[A-Za-z_]", str(k)) else _dated(str(k), v)
                for k, v in value.items()
            )
        case list() | tuple():
            inner = "".join(_element("item", member) for member in value)
        case None:
            inner = ""
        case bool():
            inner = "true" if value else "false"
        case Decimal():
            inner = plain(value)
        case _:
            inner = escape(_NOT_XML.sub("", str(value)))
    return f"<{name}>{inner}</{name}>"


def _dated(key: str, value: object) -> str:
    text = plain(value) if isinstance(value, Decimal) else escape(str(value))
    return f'<date ymd="{escape(key)}" amount="{text}"/>'


@dataclass(frozen=True, slots=True)
class Wire:
    """Renders ids and amounts in one of the two forms."""

    form: Literal["strings", "numbers"]

    def id(self, value: int) -> str | int:
        return str(value) if self.form == "strings" else value

    def amount(self, value: Decimal) -> str | Decimal:
        return plain(value) if self.form == "strings" else value


# -- reading ---------------------------------------------------------------------------------------


def read_body(content_type: str, body: bytes) -> dict[str, Any]:
    """The body as a mapping; numbers are `Decimal` or `int`. Raises `Refusal` 400 or 415."""
    if content_type in ("application/xml", "text/xml"):
        return _read_xml(body)
    if content_type not in ("application/json", "application/octet-stream", "text/json"):
        raise Refusal(415, "Unsupported media type")
    try:
        document = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "Malformed body") from None
    if not isinstance(document, dict):
        raise Refusal(400, "Malformed body")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _read_xml(body: bytes) -> dict[str, Any]:
    if b"<!" in body.replace(b"<![CDATA[", b""):
        raise Refusal(400, "Malformed body")
    try:
        root = ElementTree.fromstring(body)  # noqa: S314  declarations were refused above
    except ElementTree.ParseError:
        raise Refusal(400, "Malformed body") from None
    document: dict[str, Any] = {}
    for child in root:
        if child.tag == "dates":
            document["dates"] = [
                {"ymd": day.get("ymd"), "amount": day.get("amount") or (day.text or "").strip()}
                for day in child
            ]
        elif child.tag == "notes":
            document["notes"] = [{"from": note.get("from"), "note": note.text or ""} for note in child]
        else:
            document[child.tag] = (child.text or "").strip()
    return document


def read_date(value: object, name: str) -> date:
    """`YYYY-MM-DD` and nothing else. Raises `Refusal` 400 that names the field."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise Refusal(400, f"Invalid {name}")


def read_id(value: object, name: str) -> int:
    """An id as number or digits. Raises `Refusal` 400 that names the field."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    raise Refusal(400, f"Invalid {name}")


def read_amount(value: object, name: str, *, signed: bool = False) -> Decimal:
    """An amount as number or decimal text, exact. Raises `Refusal` 400 that names the field."""
    if (
        isinstance(value, (int, str, Decimal))
        and not isinstance(value, bool)
        and len(str(value)) <= _LONGEST_AMOUNT
    ):
        try:
            amount = Decimal(value)
        except InvalidOperation:
            amount = Decimal("NaN")
        if amount.is_finite() and abs(amount) < 100_000 and (signed or amount >= 0):
            return amount
    raise Refusal(400, f"Invalid {name}")

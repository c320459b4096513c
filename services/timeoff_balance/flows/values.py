"""Inputs as they come, read by the contract. Pure.

Callers differ in how they write a value: WFM sends strings, a data action may send numbers, or a list as the
JSON text of one, because its inputs are flat. So a text may be a number and a collection may be an array, the
text of an array, or one bare value. What cannot be read is a problem in words, never a guess. Problems name
the variable and the place in a list; what stands there is told only where it is no free text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from timeoff.strict_json import read_json
from timeoff_balance.flows.contract import MAX_INTEGER, MAX_ITEMS, MAX_TEXT, Flow, Kind, Variable

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WHOLE: Final = re.compile(r"[+-]?\d{1,15}(\.0{1,15})?", re.ASCII)
_STATUSES: Final = {
    "APPROVED": "APPROVED",
    "PENDING": "PENDING",
    "DENIED": "DENIED",
    "CANCELED": "CANCELED",
    "CANCELLED": "CANCELED",
}


class Unreadable(ValueError):
    """A value is none of its kind; the message says what is wrong with it, without its name."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a flow was given, by names without `Flow.`; variables that are not there are at their initial
    value. Items of a collection that are null or blank are "".
    """

    texts: Mapping[str, str]
    lists: Mapping[str, tuple[str, ...]]

    def text(self, name: str) -> str:
        """ "" where nothing was given."""
        return self.texts.get(name, "")

    def items(self, name: str) -> tuple[str, ...]:
        return self.lists.get(name, ())


def read_inputs(flow: Flow, document: Mapping[str, Any]) -> tuple[Inputs, list[str]]:
    """The inputs and what is wrong with them. Keys that the flow does not know are ignored."""
    texts: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for variable in flow.inputs:
        try:
            if variable.kind is Kind.STRINGS:
                lists[variable.name] = _read_list(document.get(variable.key))
                missing = not lists[variable.name]
            else:
                texts[variable.name] = read_text(document.get(variable.key))
                missing = not texts[variable.name]
        except Unreadable as error:
            problems.append(f"{variable.key} {error}")
            continue
        if missing and variable.mandatory:
            problems.append(f"{variable.key} is missing")
    return Inputs(texts, lists), problems


def read_text(value: Any) -> str:
    """A string or a number as text, without space around; null is "". Raises `Unreadable`."""
    match value:
        case None:
            return ""
        case bool():
            raise Unreadable("is true or false, not a text")
        case str():
            text = value.strip()
        case int():
            if abs(value) > MAX_INTEGER:
                raise Unreadable("is a number with more than 15 digits")
            return str(value)
        case Decimal():
            return _number_as_text(value)
        case _:
            raise Unreadable("is not a text")
    if len(text) > MAX_TEXT:
        raise Unreadable(f"has {len(text):,} characters, at most {MAX_TEXT:,} can be taken")
    if "\0" in text or not _is_unicode(text):
        raise Unreadable("holds characters that are none")
    return text


def _number_as_text(value: Decimal) -> str:
    if not value.is_finite() or value.adjusted() > 14 or len(value.as_tuple().digits) > 28:
        raise Unreadable("is a number with more than 15 digits")
    if value.is_zero():
        return "0"
    if value.adjusted() < -15:
        raise Unreadable("is a number with too many decimals")
    plain = value.normalize()
    return str(int(plain)) if plain == plain.to_integral_value() else f"{plain:f}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = read_json(value.encode(errors="surrogatepass"))
        except ValueError:
            raise Unreadable("begins like a JSON array and is none") from None
    if isinstance(value, list | tuple):
        if len(value) > MAX_ITEMS:
            raise Unreadable(f"has {len(value):,} items, at most {MAX_ITEMS:,} can be taken")
        found = []
        for number, item in enumerate(value, 1):
            try:
                found.append(read_text(item))
            except Unreadable as error:
                raise Unreadable(f"item {number} {error}") from None
        return tuple(found)
    text = read_text(value)
    return (text,) if text else ()


def read_date(text: str) -> date:
    """`YYYY-MM-DD` of a day that exists. Raises `Unreadable`."""
    if not _DAY.fullmatch(text):
        raise Unreadable(f"is not YYYY-MM-DD: {shown(text)}")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"is a date that does not exist: {text}") from None


def read_whole(value: Any) -> int:
    """A whole number, written as a number or as text, `480.0` too. Raises `Unreadable`."""
    text = read_text(value)
    if not _WHOLE.fullmatch(text):
        raise Unreadable(f"is not a whole number: {shown(text)}")
    return int(text.partition(".")[0])


def read_minutes(value: Any) -> int:
    """Whole minutes, 0 or more. Raises `Unreadable`."""
    minutes = read_whole(value)
    if minutes < 0:
        raise Unreadable(f"is below 0: {minutes}")
    return minutes


def read_status(text: str) -> str:
    """`APPROVED`, `PENDING`, `DENIED` or `CANCELED`, in any letter case and with one L or two. Raises
    `Unreadable`."""
    try:
        return _STATUSES[text.strip().upper()]
    except KeyError:
        raise Unreadable(f"is none of APPROVED, PENDING, DENIED, CANCELED: {shown(text)}") from None


def shown(text: str, limit: int = 64) -> str:
    """A value for a message: one line, not long."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return json.dumps(cut, ensure_ascii=False)


__all__ = [
    "Inputs",
    "Unreadable",
    "Variable",
    "read_date",
    "read_inputs",
    "read_minutes",
    "read_status",
    "read_text",
    "read_whole",
    "shown",
]

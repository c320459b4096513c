"""What TrackTik sends and takes, read tolerantly and written exactly. Pure: no I/O, no clock.

An answer is the bare record or list, or the same as `data` beside `meta`; both are read. A reference to
another record is its id, or the record itself where it was included.

Every reader raises `ValueError` with a text that names fields and never values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from timeoff.events import describe
from timeoff.hris.documents import Document, Id, parse
from timeoff.hris.port import Employee, TimeOffType, Unit

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")

_Model = TypeVar("_Model", bound=Document)


# -- answers in general --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `count` (all matches) and `limit` are known only where there is a `meta`."""

    items: list[Any]
    count: int | None = None
    limit: int | None = None


def unwrap(document: Any) -> Any:
    """The record or list without the envelope, if it came in one."""
    if isinstance(document, dict) and "data" in document and document.keys() <= {"meta", "data"}:
        return document["data"]
    return document


def read_page(document: Any) -> Page:
    items = unwrap(document)
    if not isinstance(items, list):
        raise ValueError("not a list")
    meta = document.get("meta") if isinstance(document, dict) else None
    if not isinstance(meta, dict):
        return Page(items)
    return Page(items, _whole(meta.get("count")), _whole(meta.get("limit")) or None)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_record(model: type[_Model], document: Any, name: str) -> _Model:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ValueError(f"{name}: {describe(error)}") from None


def read_records(model: type[_Model], items: Sequence[Any], name: str) -> list[_Model]:
    """One record that cannot be read fails the whole: a part would look like absence."""
    return [read_record(model, item, f"{name} {index}") for index, item in enumerate(items)]


@dataclass(frozen=True, slots=True)
class Said:
    """What an error says: `words` by field, resource or action. They may repeat what was sent, notes too.

    `in_house`: it has the shape of the API's own errors, `{name: [message, ...]}`. A gateway's has not.
    """

    words: Mapping[str, str]
    in_house: bool


def read_error(body: bytes) -> Said:
    """The words of an error; none if it is in another shape. Never raises."""
    try:
        document = parse(body)
    except ValueError:
        return Said({}, in_house=False)
    if not isinstance(document, dict):
        return Said({}, in_house=False)
    words = {}
    in_house = bool(document)
    for name, said in document.items():
        texts = said if isinstance(said, list) else [said]
        in_house &= isinstance(said, list) and bool(texts)
        if _NAME.fullmatch(name) and all(isinstance(text, str) for text in texts):
            words[name] = " ".join(texts)
        else:
            in_house = False
    return Said(words, in_house)


class Tokens(Document):
    #: It goes into a header, which takes no other signs.
    access_token: str = Field(pattern=r"^[!-~]+$")
    refresh_token: str | None = None
    #: An hour where nothing is said, as clients of the API have seen it; a year is as good as for ever.
    expires_in: Annotated[int, Field(gt=0), AfterValidator(lambda seconds: min(seconds, 31_536_000))] = 3600


def read_tokens(document: Any) -> Tokens:
    return read_record(Tokens, unwrap(document), "tokens")


# -- people and types ----------------------------------------------------------------------------------


def _reference(value: object) -> object:
    return value.get("id") if isinstance(value, dict) else value


Reference = Annotated[Id, BeforeValidator(_reference)]


class _Person(Document):
    id: Id
    email: str | None = None


def read_employees(items: Sequence[Any]) -> list[Employee]:
    people = read_records(_Person, items, "employee")
    return [Employee(person.id, (person.email or "").strip() or None) for person in people]


class _Type(Document):
    id: Id
    name: str
    status: str = "ACTIVE"


def read_types(items: Sequence[Any]) -> list[TimeOffType]:
    """Active types. All are in minutes: that is what a leave request holds for each of its days."""
    types = read_records(_Type, items, "leave type")
    return [
        TimeOffType(id=type_.id, name=type_.name, unit=Unit.MINUTES, step=Decimal(1))
        for type_ in types
        if type_.status.upper() == "ACTIVE"
    ]

"""Templates of the web pages, and how values stand in them. Everything is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from importlib import resources
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from timeoff_leave import wire

STYLE: Final = resources.files("timeoff_leave").joinpath("templates", "style.css").read_text("utf-8")
_NONE: Final = "–"


def amount(value: Decimal | int | None) -> str:
    """`18`, `2.5`; a dash for nothing."""
    return _NONE if value is None else wire.number(Decimal(value))


def day(value: date | datetime | None) -> str:
    """`27 Mar 2023`."""
    return _NONE if value is None else f"{value.day} {value:%b} {value.year}"


def words(value: object) -> str:
    """`JANUARY` as January; a dash for nothing."""
    return _NONE if value in (None, "") else str(value).capitalize()


def known(value: object) -> object:
    """The value, or a dash."""
    return _NONE if value in (None, "") else value


def named(value: object) -> object:
    """The name of an included record; its number, where the account may not see it."""
    if value is None:
        return "All regions"
    return value["name"] if isinstance(value, dict) else f"No. {value}"


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("timeoff_leave", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(amount=amount, day=day, words=words, known=known, named=named)


def render(template: str, values: Mapping[str, Any]) -> str:
    return _ENVIRONMENT.get_template(template).render(**values)

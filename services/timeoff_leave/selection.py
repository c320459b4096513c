"""What a call asks for in its query: a page, an order, filters, `include`, `fields`. Pure.

A query that is not understood is refused: a filter that was ignored would answer with records that nobody
asked for, and a caller that looks for its own key would take the wrong one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from timeoff_leave.errors import invalid
from timeoff_leave.filters import Condition, Kind, read_condition

if TYPE_CHECKING:
    from timeoff_leave.listing import Resource

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 2_147_483_647
MAX_CONDITIONS: Final = 50
#: Steps of one include: `region.parent.parent` has three.
MAX_DEPTH: Final = 5

#: Names of includes, each with the includes below it.
Includes = Mapping[str, "Includes"]


@dataclass(frozen=True, slots=True)
class Selection:
    """A query that was understood."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    order: tuple[str, ...] = ()
    includes: Includes = field(default_factory=dict)
    #: (field, name in the answer); empty: all fields
    fields: tuple[tuple[str, str], ...] = ()
    conditions: tuple[Condition, ...] = ()

    def where(self, columns: Mapping[str, Kind], *, first: int) -> tuple[str, list[Any]]:
        """The WHERE clause (may be empty) and its values; `first` is the number of its first parameter."""
        pairs = [condition.sql(number) for number, condition in enumerate(self.conditions, first)]
        if not pairs:
            return "", []
        return "WHERE " + " AND ".join(text for text, _ in pairs), [value for _, value in pairs]

    def picked(self, record: dict[str, Any]) -> dict[str, Any]:
        if not self.fields:
            return record
        return {alias: record[name] for name, alias in self.fields if name in record}

    def equal(self, name: str) -> Any:
        """The value that a filter wants `name` to have; None if there is no such filter."""
        for condition in self.conditions:
            if condition.field == name and condition.function == "":
                return condition.values[0]
        return None


def read_selection(resource: Resource, query: Iterable[tuple[str, str]], *, many: bool) -> Selection:
    """The query of a call; `many` is for lists. Raises `Refusal` 400 under the parameter's name."""
    single: dict[str, str] = {}
    conditions: list[Condition] = []
    columns = resource.columns
    for key, text in query:
        name, _, function = key.partition(":")
        if key in ("include", "fields") or (many and key in ("limit", "offset", "sort")):
            if key in single:
                raise invalid(key, "This parameter can be given once.")
            single[key] = text
        elif many and name in columns:
            conditions.append(read_condition(key, name, columns[name], function, text))
        else:
            raise invalid(key, "This parameter is not known.")
    if len(conditions) > MAX_CONDITIONS:
        raise invalid(resource.name, f"There can be {MAX_CONDITIONS} filters or less.")
    return Selection(
        limit=_number(single, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        offset=_number(single, "offset", 0, 0, MAX_OFFSET),
        order=_order(single.get("sort"), resource),
        includes=_includes(single.get("include"), resource),
        fields=_fields(single.get("fields"), resource),
        conditions=tuple(conditions),
    )


def _number(given: Mapping[str, str], key: str, default: int, least: int, most: int) -> int:
    text = given.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise invalid(key, "This value should be of type integer.")
    value = int(text) if len(text) < 12 else most + 1
    if value < least:
        raise invalid(key, f"This value should be greater than or equal to {least}.")
    if value > most:
        raise invalid(key, f"This value should be less than or equal to {most}.")
    return value


def _words(text: str | None) -> list[str]:
    """Words with commas between them. What is empty is a name that nothing has."""
    return [] if text is None else text.split(",")


def _order(text: str | None, resource: Resource) -> tuple[str, ...]:
    words = _words(text)
    for word in words:
        if word.removeprefix("-") not in resource.columns:
            raise invalid("sort", _unknown(word.removeprefix("-"), resource.columns))
    # The last resort makes pages repeatable.
    return tuple(words) + tuple(
        name for name in resource.order if words and name.lstrip("-") not in {w.lstrip("-") for w in words}
    )


def _includes(text: str | None, resource: Resource) -> Includes:
    tree: dict[str, Any] = {}
    for word in _words(text):
        below, at = tree, resource
        for depth, name in enumerate(word.split(".")):
            if name not in at.includes:
                raise invalid("include", _unknown(name, at.includes))
            if depth == MAX_DEPTH:
                raise invalid("include", f"There can be {MAX_DEPTH} steps or less.")
            below = below.setdefault(name, {})
            at = at.includes[name].target or at
    return tree


def _fields(text: str | None, resource: Resource) -> tuple[tuple[str, str], ...]:
    picked: list[tuple[str, str]] = []
    for word in _words(text):
        name, _, alias = word.partition(":")
        if name not in resource.fields:
            raise invalid("fields", _unknown(name, resource.fields))
        if (name, alias or name) not in picked:
            picked.append((name, alias or name))
    aliases = Counter(alias for _, alias in picked)
    if twice := [alias for alias, times in aliases.items() if times > 1]:
        raise invalid("fields", f'Two fields cannot both be called "{twice[0][:64]}".')
    return tuple(picked)


def _unknown(word: str, choices: Collection[str]) -> str:
    if not choices:
        return f'"{word[:64]}" is not known here: there is nothing to choose from.'
    return f'"{word[:64]}" is not known here. Choose from: {", ".join(sorted(choices))}.'

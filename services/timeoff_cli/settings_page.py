"""docs/reference/settings.md, written from the settings models (`make docs`)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import entry_points
from inspect import cleandoc, getdoc
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from timeoff.hris import registry
from timeoff.settings import tree
from timeoff.settings.layers import NOT_SETTINGS
from timeoff.settings.model import Settings

_HEAD: Final = """\
# Settings

Written by `make docs` from the settings models; a test compares both. `timeoff-sync config` prints what is in
force, secrets masked.

Settings come from a TOML file (`--config FILE`, else `TIMEOFF_CONFIG`) and from the environment, which wins.
The variable of a key is `TIMEOFF_` and its path in capitals, joined by two underscores: `genesys.client_id`
is `TIMEOFF_GENESYS__CLIENT_ID`. Lists in a variable are words with commas between them, or JSON. An empty
variable counts as not set; an unknown one is a mistake. A *secret* `x` may stand in a file of its own, whose
path is given as `x_file` (`TIMEOFF_GENESYS__CLIENT_SECRET_FILE`). Every mistake is reported at once, by key,
before anything connects, with exit code 2.

Times are in seconds unless the name says otherwise. "–" in the column *default* means: not set.
"""

_WORDS: Final = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "Decimal": "decimal",
    "bool": "true or false",
    "date": "date",
    "Path": "path",
    "SecretStr": "secret",
    "dict": "table",
}
_BOUNDS: Final = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
_SWITCHES: Final = {
    "TIMEOFF_CACHE": "where fetched Kafka jars are kept, for demo and tests",
    "TIMEOFF_CONFIG": "path of the TOML file",
    "TIMEOFF_FAILPOINTS": "arms failpoints, for tests of crashes: see [failpoints](failpoints.md)",
    "TIMEOFF_BREAK": "switches one protection off, for the demo's `--break`; never in production",
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table, as the page shows it."""

    name: str
    kind: str
    default: str
    meaning: str

    @property
    def row(self) -> str:
        return f"| `{self.name}` | {self.kind} | {self.default} | {self.meaning} |"


@dataclass(frozen=True, slots=True)
class Section:
    """One TOML table. `title` is its header as it stands in the file."""

    title: str
    about: str
    keys: tuple[Key, ...]

    @property
    def text(self) -> str:
        rows = "".join(f"{key.row}\n" for key in self.keys)
        about = f"{self.about}\n\n" if self.about else ""
        head = "| key | value | default | meaning |\n| --- | --- | --- | --- |\n"
        return f"\n## {self.title}\n\n{about}{head}{rows}"


def sections() -> list[Section]:
    """Every table, the adapters' own included, and below each what stands in it."""
    found = list(_sections(Settings, (), "At the top of the file"))
    for point in sorted(entry_points(group=registry.GROUP), key=lambda point: point.name):
        model = registry.adapter(point.name).settings
        title = f'`[hris.NAME.settings]` with `adapter = "{point.name}"`'
        found += _sections(model, ("hris", "NAME", "settings"), title)
    return found


def page() -> str:
    switches = "".join(f"| `{name}` | {_SWITCHES[name]} |\n" for name in sorted(NOT_SETTINGS))
    return (
        _HEAD
        + "".join(section.text for section in sections())
        + "\n## Variables that are no settings\n\n| variable | meaning |\n| --- | --- |\n"
        + switches
        + "| `TIMEOFF_TEST_…` | switches of the tests |\n"
    )


def _sections(model: type[BaseModel], path: tuple[str, ...], title: str) -> Iterator[Section]:
    keys, below = [], []
    for name, field in model.model_fields.items():
        if table := _table(field):
            below.append((name, *table))
        else:
            keys.append(Key(name, _kind(field), _default(field), field.description or ""))
    yield Section(title, _about(model), tuple(keys))
    for name, child, many in below:
        deeper = (*path, name, "NAME") if many == "table" else (*path, name)
        header = f"[[{'.'.join(deeper)}]]" if many == "list" else f"[{'.'.join(deeper)}]"
        yield from _sections(child, deeper, f"`{header}`")


def _table(field: FieldInfo) -> tuple[type[BaseModel], str] | None:
    """The model of a key that is a table (or many), and how many."""
    if child := tree.model_in(field.annotation):
        return child, "one"
    if child := tree.item_model(field.annotation, dict):
        return child, "table"
    if child := tree.item_model(field.annotation, tuple):
        return child, "list"
    return None


def _about(model: type[BaseModel]) -> str:
    return " ".join(cleandoc(getdoc(model) or "").split())


def _kind(field: FieldInfo) -> str:
    kinds = [_word(plain) for plain in tree.members(field.annotation) if plain is not type(None)]
    bounds = [
        f"{sign} {getattr(limit, name)}"
        for limit in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(limit, name, None) is not None
    ]
    return " or ".join(kinds) + (f" {', '.join(bounds)}" if bounds else "")


def _word(plain: Any) -> str:
    origin = get_origin(plain)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(plain))
    if origin is tuple:
        return f"list of {_word(get_args(plain)[0])}"
    if isinstance(plain, type) and issubclass(plain, Enum):
        return ", ".join(f"`{member.value}`" for member in plain)
    name = str((origin or plain).__name__)
    return _WORDS.get(name, name)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    match value:
        case None | SecretStr() | "" | {}:
            return "–"
        case bool():
            return f"`{str(value).lower()}`"
        case tuple():
            return f"`[{', '.join(str(item) for item in value)}]`"
        case _:
            return f"`{value}`"


def undocumented() -> list[str]:
    """Keys without a meaning, as `table: key`."""
    return [
        f"{section.title}: {key.name}" for section in sections() for key in section.keys if not key.meaning
    ]


if __name__ == "__main__":
    sys.stdout.write(page())

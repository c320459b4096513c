"""`timeoff-sync config`: the settings in force, secrets masked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from timeoff.settings.load import effective, load

#: The option every command has that reads settings.
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings; default: TIMEOFF_CONFIG.")
]


class RoleName(StrEnum):
    LISTENER = "listener"
    SYNC = "sync"
    LEAVE = "leave"
    BALANCE = "balance"


def show(
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of TOML.")] = False,
    role: Annotated[
        RoleName | None, typer.Option(help="Check too that this service would find all it needs.")
    ] = None,
) -> None:
    """Print the settings in force, secrets masked."""
    settings = effective(load(config, role=role.value if role else None))
    typer.echo(json.dumps(settings, indent=2, ensure_ascii=False) if as_json else "\n".join(_toml(settings)))


def _toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """The table as TOML lines. What is not set stands in a comment: TOML knows no null."""
    for key, value in table.items():
        if value is None:
            yield f"# {_key(key)} is not set"
        elif not _is_table(value) and not _is_table_list(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        name = ".".join(_key(step) for step in (*path, key))
        if _is_table(value):
            yield from ("", f"[{name}]")
            yield from _toml(value, (*path, key))
        elif _is_table_list(value):
            for item in value:
                yield from ("", f"[[{name}]]")
                yield from _toml(item, (*path, key))


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_table_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)

"""The layers settings come from: a TOML file and the environment, each as a plain nested table.

Environment variables are `TIMEOFF_` and the key's path joined by `__`, in any case; an empty variable
counts as not set. A secret `x` may be given in a file whose path stands under `x_file`, in either layer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from timeoff.settings import tree
from timeoff.settings.model import Settings, TargetSettings

PREFIX: Final = "TIMEOFF_"
DELIMITER: Final = "__"

#: Variables with the prefix that are no settings: where things are kept, and switches of tests and demo.
NOT_SETTINGS: Final = frozenset({"TIMEOFF_CONFIG", "TIMEOFF_CACHE", "TIMEOFF_FAILPOINTS", "TIMEOFF_BREAK"})
TEST_PREFIX: Final = "TIMEOFF_TEST_"

Table = dict[str, Any]


class _Tree(Settings, BaseSettings):
    """The settings tree in the shape that the sources of pydantic-settings read; never instantiated."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, env_ignore_empty=True, extra="forbid", frozen=True
    )


class _Environment(EnvSettingsSource):
    """Environment variables as a table; values that need JSON are decoded where they can be.

    What cannot be decoded stays as it is, so that it is reported by its key beside all other mistakes.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(_Tree)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._environ.items() if value}

    def decode_complex_value(self, field_name: str, field: FieldInfo | None, value: Any) -> Any:
        # Without a field the value belongs to an adapter, whose model decides: "0123" must stay text.
        return value if field is None else decode(value, field.annotation)


def decode(value: Any, annotation: Any) -> Any:
    """Text for a list or table: JSON, or for lists of words the words with commas between them."""
    if not isinstance(value, str) or not tree.is_composite(annotation):
        return value
    try:
        decoded = json.loads(value)
    except ValueError:
        decoded = None
    if isinstance(decoded, list | dict):
        return decoded
    if tree.model_in(annotation) or tree.item_model(annotation, dict) or value.lstrip()[:1] in ("[", "{"):
        return value
    return [word.strip() for word in value.split(",") if word.strip()]


def variable(path: tuple[str | int, ...]) -> str:
    """The environment variable of a key."""
    return PREFIX + DELIMITER.join(str(step) for step in path).upper()


def read_toml(path: Path, problems: list[str]) -> Table:
    """The file as a table; a file that cannot be read is one problem and an empty table."""
    if not path.is_file():
        problems.append(f"config: {path} is not a file; name one with --config or TIMEOFF_CONFIG")
        return {}
    try:
        return dict(TomlConfigSettingsSource(_Tree, path)())
    except TOMLDecodeError as error:
        problems.append(f"config: {path} is not valid TOML: {error}")
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"config: {path} cannot be read: {type(error).__name__}")
    return {}


def read_environment(environ: Mapping[str, str], targets: tuple[str, ...], problems: list[str]) -> Table:
    """The variables with our prefix as a table; unknown ones are problems, with what may have been meant.

    Variables have no case: a target in the file is found whatever the case of its name.
    """
    known: dict[str, str] = {}
    for name, value in environ.items():
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in NOT_SETTINGS or upper.startswith(TEST_PREFIX):
            continue
        if _is_known(upper):
            known[name] = value
        else:
            hint = tree.near(upper, [*_all_variables(targets), *NOT_SETTINGS])
            problems.append(
                f"{name}: unknown variable; "
                + (f"did you mean {hint}?" if hint else "remove it or correct its name")
            )
    table = dict(_Environment(known)())
    spelled = {name.lower(): name for name in targets}
    if isinstance(table.get("hris"), dict):
        table["hris"] = {spelled.get(name, name): target for name, target in table["hris"].items()}
    return table


def _is_known(name: str) -> bool:
    *path, last = name[len(PREFIX) :].lower().split(DELIMITER)
    if path[:1] == ["hris"] and len(path) > 2:
        return path[2] == "settings"  # the adapter's own model judges the rest
    if path[:1] == ["hris"]:
        return last in tree.keys_of(TargetSettings) if len(path) == 2 else bool(last)
    model = tree.holder(Settings, path)
    return model is not None and last in tree.keys_of(model)


def _all_variables(targets: tuple[str, ...]) -> list[str]:
    def below(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
        names = [variable((*path, key)) for key in tree.keys_of(model)]
        for key, field in model.model_fields.items():
            if child := tree.model_in(field.annotation):
                names += below(child, (*path, key))
        return names

    return [
        *below(Settings, ()),
        *(name for target in targets for name in below(TargetSettings, ("hris", target))),
    ]


def read_secret_files(
    model: type[BaseModel],
    table: Table,
    adapters: Mapping[str, type[BaseModel]],
    problems: list[str],
    path: tuple[str, ...] = (),
) -> Table:
    """The table with each `x_file` of a secret replaced by `x`, the text of that file.

    One newline at the end of the file is not part of the secret. `adapters` holds the settings model of
    each target's adapter.
    """
    resolved = dict(table)
    for file_key, key in tree.file_keys(model).items():
        if file_key not in table:
            continue
        where = ".".join((*path, file_key))
        source = resolved.pop(file_key)
        if key in table:
            problems.append(f"{where}: give either this or {key}, not both")
            continue
        try:
            text = Path(str(source)).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            problems.append(f"{where}: {source} cannot be read: {reason}")
            continue
        if not text:
            problems.append(f"{where}: {source} is empty; write the secret into it")
        resolved[key] = text
    for steps, child, value in tree.children(model, resolved):
        _put(resolved, steps, read_secret_files(child, value, adapters, problems, (*path, *steps)))
    if model is TargetSettings and isinstance(resolved.get("settings"), dict) and path[-1] in adapters:
        own = adapters[path[-1]]
        resolved["settings"] = read_secret_files(own, resolved["settings"], {}, problems, (*path, "settings"))
    return resolved


def decode_adapter_texts(model: type[BaseModel], table: Table) -> Table:
    """An adapter's table from the environment, with its lists and tables decoded."""
    decoded = dict(table)
    for key, value in table.items():
        if (field := model.model_fields.get(key)) is not None:
            decoded[key] = decode(value, field.annotation)
    for steps, child, value in tree.children(model, decoded):
        _put(decoded, steps, decode_adapter_texts(child, value))
    return decoded


def merge(under: Table, over: Table) -> Table:
    """Both tables in one; where both have a value that is not a table, `over` wins."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _put(table: Table, steps: tuple[str, ...], value: Table) -> None:
    """Replace the table at one or two steps below; containers on the way are copied, never changed."""
    key, *rest = steps
    if not rest:
        table[key] = value
    elif isinstance(table[key], dict):
        table[key] = {**table[key], rest[0]: value}
    else:
        items = list(table[key])
        items[int(rest[0])] = value
        table[key] = items

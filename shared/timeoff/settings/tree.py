"""How the settings models hang together: which fields are secret, which hold further models.

Pure reading of pydantic models; used to find `*_file` keys, to hint at near misses and to mask secrets.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

FILE_SUFFIX = "_file"


def members(annotation: Any) -> tuple[Any, ...]:
    """The plain types of an annotation: unions, `Optional` and `Annotated` taken apart."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(plain for part in get_args(annotation) for plain in members(part))
    return (annotation,)


def is_secret(annotation: Any) -> bool:
    return any(plain in (SecretStr, SecretBytes) for plain in members(annotation))


def is_composite(annotation: Any) -> bool:
    """Does a value of this type come as a list or a table?"""
    return any(
        isinstance(get_origin(plain) or plain, type)
        and issubclass(get_origin(plain) or plain, list | tuple | set | frozenset | dict | BaseModel)
        for plain in members(annotation)
    )


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model a field holds, if it holds one."""
    for plain in members(annotation):
        if isinstance(plain, type) and issubclass(plain, BaseModel):
            return plain
    return None


def item_model(annotation: Any, container: type) -> type[BaseModel] | None:
    """The model of the items, for a field that is a table (`dict`) or a list of models."""
    for plain in members(annotation):
        origin = get_origin(plain)
        if isinstance(origin, type) and issubclass(origin, container):
            arguments = [part for part in get_args(plain) if part is not Ellipsis]
            return model_in(arguments[-1]) if arguments else None
    return None


def file_keys(model: type[BaseModel]) -> dict[str, str]:
    """`client_secret_file` -> `client_secret`, for each secret of the model."""
    return {
        name + FILE_SUFFIX: name
        for name, field in model.model_fields.items()
        if is_secret(field.annotation) and name + FILE_SUFFIX not in model.model_fields
    }


def keys_of(model: type[BaseModel]) -> list[str]:
    """Every key that may stand in a table of this model."""
    aliases = [field.alias for field in model.model_fields.values() if field.alias]
    return [*model.model_fields, *aliases, *file_keys(model)]


def children(model: type[BaseModel], table: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Path, model and value of each table below this one that has a model of its own."""
    for key, value in table.items():
        field = model.model_fields.get(key)
        if field is None:
            continue
        if isinstance(value, dict):
            if child := model_in(field.annotation):
                yield (key,), child, value
            elif child := item_model(field.annotation, dict):
                for name, item in value.items():
                    if isinstance(item, dict):
                        yield (key, name), child, item
        elif isinstance(value, list | tuple) and (
            child := item_model(field.annotation, list) or item_model(field.annotation, tuple)
        ):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield (key, str(number)), child, item


def secrets_in(model: type[BaseModel], table: Mapping[str, Any]) -> Iterator[str]:
    """Every secret text in a raw table, as it was given."""
    for key, value in table.items():
        field = model.model_fields.get(key)
        if field is not None and is_secret(field.annotation):
            if isinstance(value, SecretStr):
                yield value.get_secret_value()
            elif isinstance(value, str | int):
                yield str(value)
    for _, child, item in children(model, table):
        yield from secrets_in(child, item)


def wrap_secrets(model: type[BaseModel], table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with its secrets as `SecretStr`, so that printing it by mistake shows none."""
    wrapped: dict[str, Any] = dict(table)
    for key, value in table.items():
        field = model.model_fields.get(key)
        if field is None:
            continue
        child = model_in(field.annotation)
        if is_secret(field.annotation) and isinstance(value, str):
            wrapped[key] = SecretStr(value)
        elif child is not None and isinstance(value, dict):
            wrapped[key] = wrap_secrets(child, value)
    return wrapped


def holder(model: type[BaseModel], path: Iterable[str | int]) -> type[BaseModel] | None:
    """The model of the table at `path`; None where the path leaves the known models."""
    here: type[BaseModel] | None = model
    steps = list(path)
    while steps and here is not None:
        field = here.model_fields.get(str(steps.pop(0)))
        if field is None:
            return None
        nested = model_in(field.annotation)
        if nested is None and steps:
            nested = item_model(field.annotation, dict if isinstance(steps[0], str) else tuple)
            nested = nested or item_model(field.annotation, list)
            steps.pop(0)
        here = nested
    return here


def near(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most likely meant."""
    found = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return found[0] if found else None

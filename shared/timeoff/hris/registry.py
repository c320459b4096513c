"""HRIS adapters by name: an entry point of the group `timeoff.hris`, or a path `package.module:NAME`."""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from pydantic import BaseModel

from timeoff.errors import SettingsError
from timeoff.hris.port import Adapter
from timeoff.settings.model import TargetSettings

GROUP: Final = "timeoff.hris"


def adapter(name: str) -> Adapter:
    """The adapter of that name. Raises `SettingsError`, whose one problem says why there is none."""
    if ":" in name:
        point = EntryPoint(name=name, value=name, group=GROUP)
    else:
        installed = {point.name: point for point in entry_points(group=GROUP)}
        if name not in installed:
            names = ", ".join(sorted(installed)) or "none"
            raise SettingsError(
                [f"no adapter {name!r}; installed: {names}; or give a path package.module:NAME"]
            )
        point = installed[name]
    module, _, attribute = point.value.partition(":")
    try:
        found: object = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise SettingsError(
            [f"adapter {name!r} cannot be loaded: {type(error).__name__}: {error}"]
        ) from error
    if not isinstance(found, Adapter):
        raise SettingsError([f"{point.value} is not an Adapter; it is a {type(found).__name__}"])
    return found


def adapter_settings(target: TargetSettings) -> BaseModel:
    """The adapter's own settings, validated by its model.

    For a target that went through `timeoff.settings.load` this does not fail.
    """
    return adapter(target.adapter).settings.model_validate(target.settings)


__all__ = ["GROUP", "adapter", "adapter_settings"]

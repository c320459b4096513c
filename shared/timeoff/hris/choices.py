"""The HRIS type that an activity code stands for, with the rules of the type. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """HRIS type for an activity code, with the rules of the type."""

    type_id: str
    type_id2: str | None = None
    minutes: Literal["payable", "duration"] = "payable"


def choice_of(
    choices: Mapping[tuple[str, str], TypeChoice], unit: str | None, code: str | None
) -> TypeChoice | None:
    """The choice for a code; the unit's own comes first."""
    if code is None:
        return None
    return choices.get((unit or "", code)) or choices.get(("", code))

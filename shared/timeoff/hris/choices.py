"""The HRIS type that an activity code stands for, with the rules of the type. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from timeoff.vocabulary import WritePath


@dataclass(frozen=True, slots=True)
class TypeChoice:
    """HRIS type for an activity code, with the rules of the type."""

    type_id: str
    type_id2: str | None = None
    minutes: Literal["payable", "duration"] = "payable"
    write_path: WritePath = WritePath.EVENTS


def choice_of(
    choices: Mapping[tuple[str, str], TypeChoice], unit: str | None, code: str | None
) -> TypeChoice | None:
    """The choice for a code; the unit's own comes first."""
    if code is None:
        return None
    return choices.get((unit or "", code)) or choices.get(("", code))


def choices_of_type(
    choices: Mapping[tuple[str, str], TypeChoice], unit: str | None, type_id: str, type_id2: str | None
) -> list[TypeChoice]:
    """All choices that come to this HRIS type: the unit's own where it has any, else those of all units.

    Who hands over a request names the type and no activity code.
    """
    found = [
        (of, choice)
        for (of, _), choice in choices.items()
        if choice.type_id == type_id and (not type_id2 or not choice.type_id2 or choice.type_id2 == type_id2)
    ]
    own = [choice for of, choice in found if unit is not None and of == unit]
    return own or [choice for _, choice in found]

"""Switching one protection off, to show what it is good for. Never in production.

`TIMEOFF_BREAK=no-find|no-intent|no-order` (the demo's `--break`): repeat after a doubt without looking, write
without a committed intent, or take whatever notification comes last for the truth. Each makes the demo end
with counts that are not zero.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from timeoff.errors import SettingsError

BREAKABLE = ("no-find", "no-intent", "no-order")


@dataclass(frozen=True, slots=True)
class Protections:
    find: bool = True
    intent: bool = True
    order: bool = True

    @classmethod
    def from_environment(cls) -> Protections:
        off = os.environ.get("TIMEOFF_BREAK", "")
        if not off:
            return cls()
        if off not in BREAKABLE:
            raise SettingsError([f"TIMEOFF_BREAK: {off[:40]!r} is none of {', '.join(BREAKABLE)}"])
        return cls(find=off != "no-find", intent=off != "no-intent", order=off != "no-order")

"""The mark that tells which BambooHR request is ours: a few characters in the manager's note.

BambooHR has no field for a caller's key. What it gives back on a listing are the notes, so the manager's
note carries `[wfm:1a2b3c4d5e6f7a8b r3]`: the marker of the `EntryKey` and the number of the write. People
may write before and after it, change its brackets or its case; reading is tolerant, writing is exact.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from timeoff.vocabulary import EntryKey

_MARK = re.compile(
    r"(?<![0-9a-z])wfm\s*:\s*([0-9a-f]{16})(?![0-9a-f])(?:[\s/,;-]*r\s*(\d{1,9})(?!\d))?",
    re.IGNORECASE,
)


class Mark(NamedTuple):
    marker: str
    revision: int | None


def write_mark(key: EntryKey, revision: int) -> str:
    """The text to put in the note, e.g. `[wfm:1a2b3c4d5e6f7a8b r3]`."""
    return f"[{key.marker} r{revision}]"


def read_mark(text: str) -> Mark | None:
    """The first mark in a text, or None."""
    match = _MARK.search(text)
    if match is None:
        return None
    return Mark(f"wfm:{match[1].lower()}", int(match[2]) if match[2] else None)

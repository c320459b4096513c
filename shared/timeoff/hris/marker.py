"""The mark that tells which record is ours, for systems that keep a text and no key of the caller.

A text field carries `[wfm:1a2b3c4d5e6f7a8b r3]`: the marker of the `EntryKey` and the number of the write.
People may write before and after it, change its brackets or its case; reading is tolerant, writing is exact.
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


def write_mark(key: EntryKey, revision: int | None = None) -> str:
    """The text to put in the field, e.g. `[wfm:1a2b3c4d5e6f7a8b r3]`."""
    return f"[{key.marker}]" if revision is None else f"[{key.marker} r{revision}]"


def read_mark(text: str) -> Mark | None:
    """The first mark in a text, or None."""
    match = _MARK.search(text)
    if match is None:
        return None
    return Mark(f"wfm:{match[1].lower()}", int(match[2]) if match[2] else None)

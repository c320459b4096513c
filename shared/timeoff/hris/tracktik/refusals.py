"""What a clear no means: by the record's state, the field complained about, or plain words. Pure."""

from __future__ import annotations

from typing import Final

from timeoff.errors import Conflict, HrisError, InsufficientBalance, NotFound, Rejected, RetryLater
from timeoff.hris.tracktik.client import Refused
from timeoff.hris.tracktik.requests import Request

_OVERLAP: Final = ("overlap",)
_BALANCE: Final = ("balance", "insufficient")


def still_live(record: Request | None, refused: Refused | None = None) -> Request:
    """The record, if it can still be changed. Raises `NotFound`: it is gone, or somebody ended it."""
    said = f"{refused}; " if refused else "TrackTik: "
    if record is None:
        raise NotFound("request", f"{said}the request cannot be seen")
    if not record.live:
        raise NotFound("request", f"{said}the request is {record.entry_status} now")
    return record


def meant(refused: Refused) -> HrisError:
    """The error that a refused write is."""
    text, words = str(refused), refused.words
    said = " ".join(words.values()).lower()
    if "already" in words.get("customId", "").lower():
        return Conflict(text)
    if "employee" in words:
        return NotFound("employee", text)
    if "leaveType" in words:
        return NotFound("type", text)
    if refused.status == 409 or _has(said, _OVERLAP):
        return Conflict(text)
    if _has(said, _BALANCE):
        return InsufficientBalance(text)
    return Rejected(text)


def unheard(refused: Refused) -> HrisError:
    """The error that a refused read is. A 404 that is not the API's own may be another one's in a minute."""
    if refused.status == 404 and not refused.in_house:
        return RetryLater(str(refused))
    return Rejected(str(refused))


def _has(said: str, hints: tuple[str, ...]) -> bool:
    return any(hint in said for hint in hints)

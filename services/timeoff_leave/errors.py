"""What a caller did wrong, in the one shape that every error of this API has: `{key: [message, …]}`.

The key names a field (`effectiveStartDate`), the resource (`leave-policy-items`) where the record as a
whole is wrong, or the action (`assign-employees`). Messages in English are part of the wire. Those for
single values follow the validation library whose sentence "This value should be greater than or equal to …"
is in the vendor's document (Symfony, Validation Constraints Reference).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

BLANK: Final = "This value should not be blank."
NOT_VALID: Final = "This value is not valid."
NOT_A_CHOICE: Final = "The value you selected is not a valid choice."
ALREADY_USED: Final = "This value is already used."

Messages = dict[str, list[str]]


class Refusal(Exception):
    """The answer to a call that is refused. Raised anywhere below the road of a call, within a transaction
    too: nothing of it stays."""

    def __init__(self, status: int, messages: Messages, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.messages = messages
        self.headers = dict(headers or {})


def invalid(key: str, message: str = NOT_VALID) -> Refusal:
    """400 under one key."""
    return Refusal(400, {key: [message]})


def not_found(resource: str, title: str) -> Refusal:
    """404: it is not there, or not to be seen by the caller; which of the two is not told."""
    return Refusal(404, {resource: [f"{title} not found."]})


def forbidden(resource: str) -> Refusal:
    """403: the caller sees it and may not do this."""
    return Refusal(403, {resource: ["The account is not allowed to do this."]})


_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def not_before(least: datetime) -> str:
    """The message for a date-time that is too early, built by hand: libraries of dates put a narrow
    no-break space before AM, the document has an ordinary one."""
    hour = f"{least.hour % 12 or 12}:{least.minute:02} {'AM' if least.hour < 12 else 'PM'}"
    day = f"{_MONTHS[least.month - 1]} {least.day}, {least.year}"
    return f"This value should be greater than or equal to {day}, {hour}."

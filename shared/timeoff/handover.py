"""What the workflows of Genesys hand over, and when it is the same leave as something else. Pure.

A workflow names an employee and a type of the HRIS, dates, minutes and, for parts of a day, local start
times. It knows no id of the request in Genesys: what is asked for is all that tells one leave from another.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

from timeoff.days import BadDays, days_of
from timeoff.events import RequestContent
from timeoff.hris.choices import TypeChoice
from timeoff.vocabulary import REMOVED_STATUSES, Day


@dataclass(frozen=True, slots=True)
class Handed:
    """A wish that was handed over. `days` are as in `EntrySpec`, dates of the agent's management unit.

    `status` is one of `RequestStatus`. `adopt`, when it is handed over, is the id of a record that the ledger
    does not know: it is to be taken over before anything is written. `note` is None unless notes are copied.
    """

    type_id: str
    type_id2: str | None
    status: str
    days: tuple[Day, ...]
    note: str | None = None
    adopt: str | None = None

    @property
    def removed(self) -> bool:
        return self.status in REMOVED_STATUSES

    @property
    def span(self) -> tuple[date, date]:
        """First and last day, those without minutes included."""
        return self.days[0].date, self.days[-1].date

    @property
    def leave(self) -> Leave:
        return leave_of(self.type_id, self.type_id2, self.days)


@dataclass(frozen=True, slots=True)
class Leave:
    """What makes a leave of one employee this one and no other: type, dates, minutes, start times."""

    type_id: str
    type_id2: str | None
    days: tuple[tuple[date, int, time | None], ...]

    def same(self, other: Leave) -> bool:
        """A second id counts where both sides have one, and so do start times."""
        if self.type_id != other.type_id or (
            self.type_id2 and other.type_id2 and self.type_id2 != other.type_id2
        ):
            return False
        if self._timed and other._timed:
            return self.days == other.days
        return [day[:2] for day in self.days] == [day[:2] for day in other.days]

    @property
    def _timed(self) -> bool:
        return any(start is not None for _, _, start in self.days)


def leave_of(type_id: str, type_id2: str | None, days: tuple[Day, ...]) -> Leave:
    """Days without minutes take no leave, so they do not count."""
    return Leave(type_id, type_id2, tuple((day.date, day.minutes, day.start) for day in days if day.minutes))


def leave_of_request(content: RequestContent, zone: str | None, choice: TypeChoice | None) -> Leave | None:
    """What a request of Genesys asks for; None where that cannot be told."""
    if choice is None:
        return None
    try:
        return leave_of(choice.type_id, choice.type_id2, days_of(content, zone, choice.minutes))
    except BadDays:
        return None


__all__ = ["Handed", "Leave", "leave_of", "leave_of_request"]

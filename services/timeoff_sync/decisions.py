"""The values of a decision: what is known, and the one thing to do about a request. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from timeoff.hris.choices import TypeChoice, choice_of
from timeoff.hris.port import Capabilities, HrisEntry, TimeOffType
from timeoff.ledger.rows import Case, Entry
from timeoff.rules import Rule
from timeoff.vocabulary import EntrySpec, WritePath


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings, the plans and the HRIS say; the same for all requests of a target."""

    deployment: str
    exported: frozenset[str]
    cutover: date
    capabilities: Capabilities
    types: Mapping[str, TimeOffType]
    #: (unit or "", activity code) to type; the unit's own choice comes first
    choices: Mapping[tuple[str, str], TypeChoice]
    copy_notes: bool = False
    rule: Rule | None = None
    #: seconds after which what was handed over should have been seen in Genesys
    reservation_kept: float = 86_400.0

    def path_of(self, case: Case) -> WritePath:
        """Who is to book a request. What Genesys has not shown yet stays with whom it was handed to."""
        content = case.view.content
        choice = self.choice(case.view.management_unit_id, content.activity_code_id) if content else None
        return choice.write_path if choice else case.write_path

    def choice(self, unit: str | None, code: str | None) -> TypeChoice | None:
        return choice_of(self.choices, unit, code)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the HRIS holds for the employee around the request's dates.

    `entries` are of any status when they came from `find`, live ones when from a listing; `known` are the
    ids, old ones included, that the ledger holds for this employee; `across` those among them that were
    booked by whoever does not book this request. `named` is the record that a workflow named (see `Take`).
    """

    entries: tuple[HrisEntry, ...]
    known: frozenset[str] = frozenset()
    across: frozenset[str] = frozenset()
    named: HrisEntry | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing to do. `ours` False: the request is none of this deployment's business."""

    reason: str
    ours: bool = True
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing yet. A confirming read makes the request due again, or `seconds`, where given, do."""

    reason: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A person has to decide; `detail` shows both sides, without notes."""

    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChangePath:
    """Somebody else tells the HRIS of this request from now on; what is there is compared first."""

    path: WritePath


@dataclass(frozen=True, slots=True)
class Take:
    """Read the record that a workflow names and the ledger does not know."""

    vendor_id: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Look:
    """The HRIS has to be read before anything can be said."""

    first_day: date
    last_day: date


# `more` below: another step of this request follows at once. Each step is one write with an intent of its
# own; what is done stands in the entries, so that whoever comes after a crash sees what is left.


@dataclass(frozen=True, slots=True)
class Insert:
    spec: EntrySpec
    booking: int
    part: int = 1
    more: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    entry: Entry
    spec: EntrySpec
    more: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """`for_change`: the request stays wanted; this entry makes way for another, or for fewer days."""

    entry: Entry
    reason: str
    for_change: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class Adopt:
    """The HRIS holds the wanted entry already: take it into the ledger, write nothing."""

    found: HrisEntry
    spec: EntrySpec
    booking: int
    part: int = 1
    more: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The entry has ended in the HRIS as wanted, by other hands: note it, write nothing."""

    entry: Entry
    reason: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class Effective:
    """A write that the HRIS had accepted is in effect now."""

    entry: Entry


Write = Insert | Update | Cancel
Decision = Nothing | Wait | Hold | ChangePath | Take | Look | Write | Adopt | Gone | Effective

__all__ = [
    "Adopt",
    "Cancel",
    "ChangePath",
    "Decision",
    "Effective",
    "Gone",
    "Hold",
    "Insert",
    "Look",
    "Nothing",
    "Rules",
    "Sighting",
    "Take",
    "TypeChoice",
    "Update",
    "Wait",
    "Write",
]

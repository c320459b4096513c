"""The day's script: what people in Genesys and in HR do, and which faults strike. Pure, from a seed.

Every operation is one call of the sandbox's admin API. A request is created, perhaps edited, perhaps ended;
operations of one request stay in order, operations of different requests mix.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

#: First day that the day's requests may touch, counted from today: nothing has begun.
FROM_DAY = 14


@dataclass(frozen=True)
class ByHand:
    """Leave that HR books: hours per date (ISO) of a type of the HRIS."""

    employee_id: str
    type_id: str
    hours: dict[str, Decimal]


@dataclass
class Planned:
    """A request of the script. `operations` are admin calls, the first creates it; the rest patch it."""

    name: str
    operations: list[dict[str, Any]]
    by_hand: ByHand | None = None
    held: str | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Asking:
    """A request of somebody whose balance is asked for while it is booked; `planned` submits and approves."""

    planned: Planned
    employee_id: str
    type_id: str
    dates: list[str]
    minutes: list[int]


@dataclass
class Script:
    baseline: list[Planned] = field(default_factory=list)
    calm: list[Planned] = field(default_factory=list)
    day: list[Planned] = field(default_factory=list)
    #: requests that HR changes by hand in the HRIS before Genesys changes them again
    touched: list[Planned] = field(default_factory=list)
    #: requests for days that HR has booked by hand since the first start; the HRIS refuses the second leave
    surprised: list[Planned] = field(default_factory=list)
    #: requests changed twice while notifications are held back and then come in reverse
    swapped: list[Planned] = field(default_factory=list)
    #: an employee whom the credentials may no longer touch
    refused: list[Planned] = field(default_factory=list)
    refused_employee: str = ""
    asking: Asking | None = None

    @property
    def changes(self) -> int:
        parts = (*self._asked, *self.calm, *self.day, *self.touched, *self.surprised, *self.swapped)
        parts = (*parts, *self.refused)
        return sum(len(planned.operations) for planned in parts)

    @property
    def held(self) -> dict[str, int]:
        """How many requests have to wait for a person's decision, by reason."""
        return dict(Counter(planned.held for planned in self._all if planned.held))

    @property
    def failed(self) -> dict[str, int]:
        """How many requests the HRIS has to refuse, by reason."""
        return dict(Counter(planned.failed for planned in self._all if planned.failed))

    @property
    def adopted(self) -> int:
        """How many records that HR booked by hand become those of a request."""
        return sum(1 for planned in self._all if planned.by_hand and not planned.held)

    @property
    def _asked(self) -> tuple[Planned, ...]:
        return (self.asking.planned,) if self.asking else ()

    @property
    def _all(self) -> tuple[Planned, ...]:
        special = (*self._asked, *self.touched, *self.surprised, *self.swapped, *self.refused)
        return (*self.baseline, *self.calm, *self.day, *special)


class Writer:
    """`refuses_overlaps`: does the HRIS refuse leave on days that have some already?"""

    def __init__(self, world: dict[str, Any], seed: int, today: date, *, refuses_overlaps: bool) -> None:
        self._refuses_overlaps = refuses_overlaps
        self._random = random.Random(seed)  # noqa: S311 - a script, not a secret
        self._today = today
        known = [agent for agent in world["agents"] if agent["employeeId"]]
        *self._agents, self._asking, self._untouchable = known
        self._strangers = [agent for agent in world["agents"] if not agent["employeeId"]]
        (self._vacation,) = (
            str(plan["hrisTimeOffType"]["id"]) for plan in world["plans"] if "5" in plan["activityCodeIds"]
        )
        #: next free day per agent, so that leave overlaps only where the script says so
        self._next: dict[str, date] = {}
        self._count = 0

    def write(self, changes: int) -> Script:
        script = Script()
        self._baseline(script)
        create = self._create(self._asking, "5", 2, "PENDING")
        planned = self._planned("asking", self._asking, [create, {"op": "patch", "status": "APPROVED"}])
        script.asking = Asking(
            planned, self._asking["employeeId"], self._vacation, create["dates"], create["payableMinutes"]
        )
        for _ in range(24):
            script.calm.append(self._lively("calm", kind="approved"))
        for agent in self._agents[:3]:
            script.touched.append(self._touched(agent))
        for agent in self._agents[3:6]:
            script.swapped.append(self._swapped(agent))
        if self._refuses_overlaps:
            script.surprised += [self._surprised(agent) for agent in self._agents[6:9]]
        refused = self._planned(
            "refused", self._untouchable, [self._create(self._untouchable, "5", 1, "APPROVED")]
        )
        refused.failed = "forbidden"
        script.refused.append(refused)
        script.refused_employee = self._untouchable["employeeId"]
        for agent in self._strangers:
            planned = self._planned("stranger", agent, [self._create(agent, "5", 1, "APPROVED")])
            planned.held = "no_employee"
            script.day.append(planned)
        script.day.append(
            self._planned("unmapped", self._agents[0], [self._create(self._agents[0], "8", 1, "APPROVED")])
        )
        while script.changes < changes:
            script.day.append(self._lively("day"))
        return script

    # -- before the first start ----------------------------------------------------------------------

    def _baseline(self, script: Script) -> None:
        for index in range(12):
            agent = self._agents[index]
            create = self._create(agent, "5", 1 + index % 3, "APPROVED")
            planned = self._planned("baseline", agent, [create])
            dates = create["dates"]
            if index < 4:  # booked by hand, and equal
                planned.by_hand = self._hand(agent, dates, Decimal(8))
            elif index < 8:  # booked by hand, overlapping, and different
                planned.by_hand = self._hand(agent, dates[:1], Decimal(4))
                planned.held = "overlap"
            script.baseline.append(planned)
        for status in ("DENIED", "CANCELED"):
            agent = self._pick()
            end = {"op": "patch", "status": status}
            create = self._create(agent, "5", 1, "PENDING")
            script.baseline.append(self._planned("ended", agent, [create, end]))

    # -- the day -------------------------------------------------------------------------------------

    def _lively(self, name: str, kind: str | None = None) -> Planned:
        agent = self._pick()
        kind = (
            kind
            or self._random.choices(
                (
                    "approved",
                    "submitted",
                    "edited",
                    "moved",
                    "cancelled",
                    "denied",
                    "again",
                    "partial",
                    "days",
                ),
                (14, 18, 16, 10, 14, 8, 4, 14, 8),
            )[0]
        )
        length = self._random.choice((1, 1, 1, 2, 3))
        submit = self._create(agent, "5", length, "PENDING")
        approve: dict[str, Any] = {"op": "patch", "status": "APPROVED"}
        match kind:
            case "approved":
                return self._planned(name, agent, [self._create(agent, "7", length, "APPROVED")])
            case "submitted":
                return self._planned(name, agent, [submit, approve])
            case "edited":
                edit = {"op": "patch", "minutes": [240] * length, "payableMinutes": [240] * length}
                return self._planned(name, agent, [submit, approve, edit])
            case "moved":
                move = {"op": "patch", "dates": self._days(agent, length)}
                return self._planned(name, agent, [submit, approve, move])
            case "cancelled":
                return self._planned(name, agent, [submit, approve, {"op": "patch", "status": "CANCELED"}])
            case "denied":
                return self._planned(name, agent, [submit, {"op": "patch", "status": "DENIED"}])
            case "again":
                off = {"op": "patch", "status": "DENIED"}
                return self._planned(
                    name, agent, [submit, approve, off, {"op": "patch", "status": "APPROVED"}]
                )
            case "partial":
                return self._planned(name, agent, [self._part_of_a_day(agent), approve])
            case _:
                return self._planned(name, agent, [self._create(agent, "6", length, "PENDING"), approve])

    def _touched(self, agent: dict[str, Any]) -> Planned:
        create = self._create(agent, "5", 1, "APPROVED")
        edit = {"op": "patch", "minutes": [240], "payableMinutes": [240]}
        planned = self._planned("touched", agent, [create, edit])
        planned.held = "changed_in_hris"
        return planned

    def _surprised(self, agent: dict[str, Any]) -> Planned:
        create = self._create(agent, "7", 2, "APPROVED")
        planned = self._planned("surprised", agent, [create])
        planned.by_hand = self._hand(agent, create["dates"][:1], Decimal(4))
        planned.held = "overlap"
        return planned

    def _swapped(self, agent: dict[str, Any]) -> Planned:
        edits = [{"op": "patch", "minutes": [minutes], "payableMinutes": [minutes]} for minutes in (240, 120)]
        return self._planned("swapped", agent, [self._create(agent, "5", 1, "APPROVED"), *edits])

    def _part_of_a_day(self, agent: dict[str, Any]) -> dict[str, Any]:
        on = date.fromisoformat(self._days(agent, 1)[0])
        minutes = self._random.choice((60, 90, 120, 135))
        local = datetime.combine(on, time(self._random.randint(8, 15), 30), ZoneInfo(agent["timeZone"]))
        start = local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "op": "create",
            "agentId": agent["agentId"],
            "activityCodeId": "5",
            "status": "PENDING",
            "partialStarts": [start],
            "dailyMinutes": minutes,
            "minutes": [minutes],
            "payableMinutes": [minutes],
            "notes": "",
        }

    def _create(self, agent: dict[str, Any], code: str, length: int, status: str) -> dict[str, Any]:
        return {
            "op": "create",
            "agentId": agent["agentId"],
            "activityCodeId": code,
            "status": status,
            "dates": self._days(agent, length),
            "dailyMinutes": 480,
            "minutes": [480] * length,
            "payableMinutes": [480] * length,
            "notes": self._random.choice(("", "Family visit", "Dentist")),
        }

    def _days(self, agent: dict[str, Any], length: int) -> list[str]:
        first = self._next.get(agent["agentId"], self._today + timedelta(days=FROM_DAY))
        self._next[agent["agentId"]] = first + timedelta(days=length + 1)
        return [(first + timedelta(days=offset)).isoformat() for offset in range(length)]

    def _planned(self, name: str, agent: dict[str, Any], operations: list[dict[str, Any]]) -> Planned:
        self._count += 1
        return Planned(f"{name}-{self._count}", operations)

    def _hand(self, agent: dict[str, Any], dates: list[str], hours: Decimal) -> ByHand:
        return ByHand(agent["employeeId"], self._vacation, dict.fromkeys(dates, hours))

    def _pick(self) -> dict[str, Any]:
        agent: dict[str, Any] = self._random.choice(self._agents)
        return agent

"""Links: which employee an agent is, which HRIS type an activity code is. Looked up, kept in the ledger.

An agent is linked by the employee id that Genesys keeps for the HRIS integration, else by e-mail. A failed or
partial look-up changes nothing: known links stay, and unknown agents are looked up again later.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from timeoff.errors import AuthFailed, GenesysError, HrisError, TimeoffError
from timeoff.genesys.client import GenesysClient
from timeoff.hris.configured import choices, configured_type
from timeoff.hris.port import Employee, TimeOffType
from timeoff.ledger.database import CONNECTION_TROUBLE
from timeoff.ledger.links import AgentLink, LinkStore, TypeLink, WaitingForType
from timeoff.settings.model import Settings
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import WritePath
from timeoff_sync.decisions import Rules
from timeoff_sync.target import Target
from timeoff_sync.writing import Writing, until

log = get_logger()

#: Employees are listed at most this often for unknown agents, seconds.
EMPLOYEES_FRESH = 60.0
#: A look-up so recent is not repeated for the next request of the same agent, seconds.
LINK_FRESH = 60.0
#: Old links are looked for so often, and agents without employee are looked up again after so long, seconds.
STALE_EVERY = 60.0
PROBLEM_STALE = 900.0
#: The listener's agents are looked at so often, seconds.
NEWCOMERS_EVERY = 2.0
#: Requests in the lane of another employee are looked for so often, seconds.
MISPLACED_EVERY = 1.0
#: Types and plans are read so often; sooner while something is missing, before the workers start and after.
TYPES_EVERY, TYPES_FIRST, TYPES_MISSING = 300.0, 2.0, 15.0
#: Another replica may have read other plans: the ledger is asked so often, seconds.
PLANS_CHECKED_EVERY = 2.0
#: After new rules, what waited for them is looked at again: at once, and so many seconds later, for what a
#: lane was about to put aside by the old ones.
REOPEN_AFTER = (0.0, 2.0, 10.0, 60.0)


class Links:
    def __init__(
        self,
        settings: Settings,
        store: LinkStore,
        genesys: GenesysClient,
        targets: Mapping[str, Target],
        due: asyncio.Event,
        writing: Writing,
        units: tuple[Mapping[str, str], str | None],
    ) -> None:
        """`units`: target by management unit, and the target of all other units."""
        self._writing = writing
        self._units = units
        self._next_newcomers = 0.0
        self._settings = settings
        self._store = store
        self._genesys = genesys
        self._targets = targets
        self._due = due
        self._employees: dict[str, tuple[float, Sequence[Employee]]] = {}
        self._plans_mark = ""
        self._reopen_at: dict[str, list[float]] = {}
        self._next_misplaced = 0.0
        #: it is known which codes are linked to types: targets whose types are known may be worked for
        self.started = False
        #: what the last try to read the types of a target came to, if it failed
        self.trouble: str | None = None

    @property
    def ready(self) -> bool:
        """All is known that can be: plans, and the types of each target that is not stopped."""
        stopped = self._writing.stopped()
        return self.started and all(t.types_known for name, t in self._targets.items() if name not in stopped)

    async def run(self, stop: asyncio.Event) -> None:
        """Types and plans first, then unknown agents as they turn up, and everybody again once a day."""
        next_types, next_plans, next_stale = 0.0, 0.0, time.monotonic() + STALE_EVERY
        while not stop.is_set():
            try:
                await self._writing.refresh(1.0)
                if time.monotonic() >= next_types:
                    await self.refresh_types()
                    next_types = time.monotonic() + self._types_again()
                elif not self.ready:  # a target that was stopped goes on
                    next_types = min(next_types, time.monotonic() + self._types_again())
                if time.monotonic() >= next_plans:
                    next_plans = time.monotonic() + PLANS_CHECKED_EVERY
                    if await self._follow_plans():
                        next_types = 0.0
                for name, target in self._targets.items():
                    await self._reopen(name, target)
                await self._serve_agents()
                if time.monotonic() >= next_stale:
                    next_stale = time.monotonic() + STALE_EVERY
                    every = self._settings.sync.links_every
                    stale = await self._store.stale(list(self._targets), every, PROBLEM_STALE)
                    await self._look_up(stale, anew=bool(stale))
            except CONNECTION_TROUBLE as error:
                log.error("ledger.unreachable", part="links", error=type(error).__name__)
                await until(stop, 2.0)
            await until(stop, 0.1)

    # -- types ---------------------------------------------------------------------------------------

    async def refresh_types(self) -> None:
        """Types of each HRIS and the plans of each unit; what cannot be read stays as it was known."""
        plans_read = await self._read_plans()
        types: dict[str, Mapping[str, TimeOffType]] = {}
        for name, target in self._targets.items():
            if name in self._writing.stopped():
                continue
            try:
                listed = await target.ask("types", target.hris.list_time_off_types)
                types[name] = {type_.id: configured_type(type_, self._settings, name) for type_ in listed}
            except HrisError as error:
                log.error("links.types_failed", target=name, error=error.error_class, why=str(error)[:300])
                self.trouble = f"hris.{name}: {str(error)[:300]}"
                await self._refused(name, error)
        if types.keys() >= self._targets.keys() - self._writing.stopped():
            self.trouble = None
        linked = await self._take_up(types)
        self.started = self.started or plans_read or linked or bool(self._settings.types)
        self._due.set()

    async def _take_up(self, types: Mapping[str, Mapping[str, TimeOffType]]) -> bool:
        """Rules from the plans in the ledger and the `types` of targets. True if a plan links anything."""
        self._plans_mark = await self._store.types_mark()  # first: what changes meanwhile is another mark
        linked = await self._store.types()
        for name, target in self._targets.items():
            before = target.rules
            target.rules = replace(
                before,
                types=types.get(name, before.types),
                choices=choices(self._settings, name, linked.values()),
            )
            newly_known = name in types and not target.types_known
            target.types_known = target.types_known or name in types
            if newly_known or (before.types, before.choices) != (target.rules.types, target.rules.choices):
                self._reopen_at[name] = [time.monotonic() + later for later in REOPEN_AFTER]
                await self._reopen(name, target)
        return bool(linked)

    async def _follow_plans(self) -> bool:
        """Take up what another replica read. True if its plans name a type that is not known here."""
        if await self._store.types_mark() == self._plans_mark:
            return False
        await self._take_up({})
        self._due.set()
        return any(
            choice.type_id not in target.rules.types
            for target in self._targets.values()
            for choice in target.rules.choices.values()
        )

    async def _reopen(self, name: str, target: Target) -> None:
        """What stood still for want of a mapping or a type, and has one by the rules of this process."""
        now, times = time.monotonic(), self._reopen_at.get(name, [])
        if not times or times[0] > now or not target.types_known:
            return
        self._reopen_at[name] = [at for at in times if at > now]
        waiting = await self._store.waiting_for_types(name)
        found = [kind for kind in waiting if has_type(kind, target.rules)]
        if found and (opened := await self._store.reopen_types(name, found)):
            log.info("links.reopened", target=name, requests=len(opened))
            self._due.set()

    def _types_again(self) -> float:
        if self.ready:
            return TYPES_EVERY
        return TYPES_MISSING if self.started else TYPES_FIRST

    async def _read_plans(self) -> bool:
        try:
            units = await self._genesys.management_units()
            wanted = self._settings.genesys.management_units
            by_business_unit: dict[str, list[str]] = defaultdict(list)
            for unit in units:
                if (
                    unit.id
                    and unit.business_unit
                    and unit.business_unit.id
                    and (not wanted or unit.id in wanted)
                ):
                    by_business_unit[unit.business_unit.id].append(unit.id)
            found: dict[str, list[TypeLink]] = {}
            for business_unit, unit_ids in by_business_unit.items():
                plans = await self._genesys.time_off_plans(business_unit)
                for unit_id in unit_ids:
                    found[unit_id] = [
                        TypeLink(
                            unit_id,
                            code,
                            plan.hris_time_off_type.id,
                            plan.hris_time_off_type.secondary_id or None,
                            plan.id,
                        )
                        for plan in plans
                        if plan.enabled is not False
                        and plan.hris_time_off_type
                        and plan.hris_time_off_type.id
                        and plan.covers(unit_id)
                        for code in plan.activity_code_ids
                    ]
            await self._store.store_types(
                {
                    unit: list({link.activity_code_id: link for link in links}.values())
                    for unit, links in found.items()
                }
            )
        except GenesysError as error:
            log.error("links.plans_failed", error=error.error_class)
            return False
        return True

    # -- agents --------------------------------------------------------------------------------------

    async def _serve_agents(self) -> None:
        """Agents with waiting requests first, then those the listener brought, before their first request."""
        targets = list(self._targets)
        laneless = await self._store.without_lane(targets, LINK_FRESH)
        if time.monotonic() >= self._next_misplaced:
            self._next_misplaced = time.monotonic() + MISPLACED_EVERY
            laneless += await self._store.misplaced(targets)
        self._tell_held(await self._store.hold_homeless())
        if not self.started:
            return  # which codes are mapped is not known yet
        for name, target in self._targets.items():
            agents = sorted({one.agent_id for one in laneless if one.looked_up and one.target == name})
            if agents:
                self._tell_held(await self._store.apply(agents, **self._exported(target)))
                self._due.set()
        unknown = [one for one in laneless if not one.looked_up]
        # Where something was wrong a person may have put it right in the HRIS: employees are listed anew.
        anew = any(one.problem for one in unknown)
        await self._look_up([(one.agent_id, one.target) for one in unknown], anew=anew)
        if not unknown and time.monotonic() >= self._next_newcomers:
            self._next_newcomers = time.monotonic() + NEWCOMERS_EVERY
            await self._look_up(await self._store.never_linked(*self._units))

    async def _refused(self, target: str, error: TimeoffError) -> None:
        """Wrong credentials are not tried again and again: the vendor would lock them out."""
        if isinstance(error, AuthFailed):
            await self._writing.stop_target(target, error.error_class)

    def _exported(self, target: Target) -> dict[str, Any]:
        """What a target takes: of these statuses, from this day on, of these activity codes."""
        rules = target.rules
        return {
            "exported": rules.exported,
            "cutover": rules.cutover,
            "codes": {code for _, code in rules.choices},
            "codes_of_flows": {
                code for (_, code), choice in rules.choices.items() if choice.write_path is WritePath.FLOWS
            },
            "outcomes_topic": self._settings.log.outcomes_topic,
        }

    @staticmethod
    def _tell_held(rows: Sequence[asyncpg.Record]) -> None:
        for row in rows:
            log.warning("request.held", reason=row["reason"], request_id=row["request_id"])

    async def _look_up(self, wanted: Sequence[tuple[str, str]], *, anew: bool = False) -> None:
        by_target: dict[str, set[str]] = defaultdict(set)
        for agent_id, target in wanted:
            by_target[target].add(agent_id)
        for name, agents in by_target.items():
            if name in self._writing.stopped():
                continue
            try:
                links = await self._link(self._targets[name], sorted(agents), anew=anew)
            except (GenesysError, HrisError) as error:
                log.error("links.agents_failed", target=name, agents=len(agents), error=error.error_class)
                await self._refused(name, error)
                await asyncio.sleep(min(error.retry_after or 1.0, 5.0))
                continue
            self._tell_held(await self._store.store(links, **self._exported(self._targets[name])))
            self._due.set()

    async def _link(self, target: Target, agents: Sequence[str], *, anew: bool) -> list[AgentLink]:
        external = await self._genesys.hris_links(agents)
        users = await self._genesys.users(agents)
        employees = await self._list_employees(target, anew=anew)
        by_id = {employee.id for employee in employees}
        by_email: dict[str, list[str]] = defaultdict(list)
        for employee in employees:
            if employee.email:
                by_email[employee.email.strip().casefold()].append(employee.id)
        emails = {agent_id: user.email for agent_id, user in users.items()}
        return [
            link_agent(
                agent_id,
                target.name,
                external[agent_id].external_id if agent_id in external else None,
                emails.get(agent_id),
                by_id,
                by_email,
            )
            for agent_id in agents
        ]

    async def _list_employees(self, target: Target, *, anew: bool) -> Sequence[Employee]:
        read_at, employees = self._employees.get(target.name, (0.0, ()))
        if anew or not employees or time.monotonic() - read_at > EMPLOYEES_FRESH:
            employees = await target.ask("employees", target.hris.list_employees)
            self._employees[target.name] = (time.monotonic(), employees)
        return employees


def link_agent(
    agent_id: str,
    target: str,
    external_id: str | None,
    email: str | None,
    employee_ids: set[str],
    by_email: Mapping[str, Sequence[str]],
) -> AgentLink:
    """One agent's link, or what is wrong with it.

    An external id decides alone: where the HRIS does not know it, an e-mail would be a guess. An e-mail
    must be unique.
    """
    if external_id is not None:
        known = external_id in employee_ids
        return (
            AgentLink(agent_id, target, external_id, "external_id", None)
            if known
            else AgentLink(agent_id, target, None, None, "unknown_external_id")
        )
    if not email:
        return AgentLink(agent_id, target, None, None, "no_email")
    found = by_email.get(email.strip().casefold(), ())
    if len(found) > 1:
        return AgentLink(agent_id, target, None, None, "ambiguous_email")
    if not found:
        return AgentLink(agent_id, target, None, None, "no_employee")
    return AgentLink(agent_id, target, found[0], "email", None)


def has_type(kind: WaitingForType, rules: Rules) -> bool:
    """Would `decide` come to another answer now? Else what is reopened would be put aside again and again."""
    choice = rules.choice(kind.management_unit_id, kind.activity_code_id)
    if choice is None or (kind.reason == "written_by_flows" and choice.write_path is WritePath.FLOWS):
        return False
    if kind.reason == "unknown_type":
        known = kind.type_id in rules.types
        return known or (choice.type_id != kind.type_id and choice.type_id in rules.types)
    return True


__all__ = ["Links", "has_type", "link_agent"]

"""Who is to be covered: the agents of the configured units, and which channel each of them is on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from timeoff.errors import GenesysForbidden, GenesysNotFound
from timeoff.genesys.client import GenesysClient
from timeoff.genesys.models import ManagementUnit
from timeoff.settings.model import GenesysSettings
from timeoff.telemetry.logs import get_logger
from timeoff_listener import metrics
from timeoff_listener.observe import Place
from timeoff_listener.ports import ListenerLedger

#: An agent that this many complete reads in a row did not show is let go.
_MISSES = 2

log = get_logger()


@dataclass(frozen=True, slots=True)
class Unit:
    unit_id: str
    zone: str | None
    business_unit_id: str | None

    @property
    def place(self) -> Place:
        return Place(self.unit_id, self.zone, confirmed=True)

    def today(self) -> datetime:
        """Now, in the unit's own time."""
        return datetime.now(ZoneInfo(self.zone) if self.zone else UTC)


class Coverage:
    """Units and agents as last read. A read that fails changes nothing."""

    def __init__(self, settings: GenesysSettings, client: GenesysClient, ledger: ListenerLedger) -> None:
        self._configured = frozenset(settings.management_units)
        self._client = client
        self._ledger = ledger
        self._units: dict[str, Unit] = {}
        self._agents: dict[str, str] = {}
        self._misses: dict[str, int] = {}
        self._saved: dict[str, tuple[str, str]] = {}
        self.places: dict[str, Place] = {}

    @property
    def units(self) -> Mapping[str, Unit]:
        """The units to read: the configured ones, or all that the client may see."""
        return {unit_id: unit for unit_id, unit in self._units.items() if self._is_ours(unit_id)}

    @property
    def agents(self) -> Mapping[str, str]:
        """Agent id to unit id."""
        return self._agents

    def unit_of(self, agent_id: str) -> Unit | None:
        return self._units.get(self._agents.get(agent_id, ""))

    def by_unit(self) -> Mapping[str, Sequence[str]]:
        grouped: dict[str, list[str]] = {}
        for agent_id, unit_id in self._agents.items():
            grouped.setdefault(unit_id, []).append(agent_id)
        return grouped

    async def refresh(self) -> None:
        """Read units and agents anew and save them. Raises a `GenesysError`; then all stays as it was."""
        units = {}
        for model in await self._client.management_units():
            if self._is_ours(model.id):
                units[model.id] = await self._unit(model)
        for unit_id in self._configured - set(units):
            # Named in the settings and not in the list: say which, and go on with the others.
            try:
                units[unit_id] = await self._unit(await self._client.management_unit(unit_id))
            except (GenesysNotFound, GenesysForbidden) as error:
                log.error(
                    "unit.not-visible",
                    management_unit_id=unit_id,
                    error=error.error_class,
                )
        agents = await self._read_agents(units)
        for agent_id, unit_id in self._agents.items():
            if agent_id in agents:
                self._misses.pop(agent_id, None)
                continue
            # One short list may be a hiccup of the other side: only the second in a row counts.
            self._misses[agent_id] = self._misses.get(agent_id, 0) + 1
            if self._misses[agent_id] < _MISSES:
                agents[agent_id] = unit_id
            else:
                del self._misses[agent_id]
        self._units.update(units)
        self._agents = agents
        self.places = {
            agent_id: Place(unit_id, self._units[unit_id].zone) for agent_id, unit_id in agents.items()
        }
        metrics.AGENTS_EXPECTED.set(len(agents))
        await self._save(agents)

    async def look_up(self, agent_id: str) -> Unit | None:
        """Ask where one agent is now, and remember it. None: Genesys knows no unit for this agent."""
        try:
            answer = await self._client.agent_unit(agent_id)
        except GenesysNotFound:
            return None
        if answer.management_unit is None or not answer.management_unit.id:
            return None
        unit_id = answer.management_unit.id
        if unit_id not in self._units:
            self._units[unit_id] = await self._unit(await self._client.management_unit(unit_id))
        unit = self._units[unit_id]
        if agent_id in self._agents and self._agents[agent_id] != unit_id:
            self._agents[agent_id] = unit_id
            self.places[agent_id] = Place(unit_id, unit.zone)
            await self._save({agent_id: unit_id})
            log.info("agent.moved", agent_id=agent_id, management_unit_id=unit_id)
        return unit

    async def _read_agents(self, units: Mapping[str, Unit]) -> dict[str, str]:
        agents: dict[str, str] = {}
        lone = [unit_id for unit_id, unit in units.items() if unit.business_unit_id is None]
        for business_unit_id in sorted({u.business_unit_id for u in units.values() if u.business_unit_id}):
            own = [unit_id for unit_id, unit in units.items() if unit.business_unit_id == business_unit_id]
            try:
                listed = await self._client.business_unit_users(business_unit_id)
            except (GenesysForbidden, GenesysNotFound):
                lone += own
                continue
            for unit_id in own:
                # Left out of the shared listing is not the same as empty.
                if unit_id in listed:
                    agents.update(dict.fromkeys(listed[unit_id], unit_id))
                else:
                    lone.append(unit_id)
        for unit_id in lone:
            agents.update(dict.fromkeys(await self._client.unit_users(unit_id), unit_id))
        return agents

    async def _unit(self, model: ManagementUnit) -> Unit:
        if model.time_zone is None:
            try:
                model = await self._client.management_unit(model.id)
            except (GenesysForbidden, GenesysNotFound) as error:
                log.warning("zone.unknown", management_unit_id=model.id, reason=str(error))
        zone = model.time_zone if model.time_zone and _is_zone(model.time_zone) else None
        if zone is None and (known := self._units.get(model.id)) is not None:
            zone = known.zone
        return Unit(model.id, zone, model.business_unit.id if model.business_unit else None)

    async def _save(self, agents: Mapping[str, str]) -> None:
        changed = {
            agent_id: (unit_id, zone)
            for agent_id, unit_id in agents.items()
            if (zone := self._units[unit_id].zone) is not None
            and self._saved.get(agent_id) != (unit_id, zone)
        }
        if changed:
            await self._ledger.save_agents(changed)
            self._saved.update(changed)

    def _is_ours(self, unit_id: str) -> bool:
        return not self._configured or unit_id in self._configured


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        log.error("zone.invalid", zone=name[:64])
        return False
    return True


def pack(
    by_unit: Mapping[str, Iterable[str]], current: Sequence[frozenset[str]], *, size: int, most: int
) -> tuple[list[frozenset[str]], frozenset[str]]:
    """Put agents on channels of at most `size`; answers the channels and who found no room.

    Agents stay on the channel they are on, for moving one is a gap. New ones fill what is open, unit by
    unit, so that a lost channel touches few units. Channels never disappear; one may become empty.
    """
    wanted = {agent_id for agents in by_unit.values() for agent_id in agents}
    channels = [set(channel & wanted) for channel in current]
    placed = set().union(*channels) if channels else set()
    left_out: set[str] = set()
    for unit_id in sorted(by_unit):
        for agent_id in sorted(set(by_unit[unit_id]) - placed):
            room = next((channel for channel in channels if len(channel) < size), None)
            if room is None:
                if len(channels) >= most:
                    left_out.add(agent_id)
                    continue
                room = set()
                channels.append(room)
            room.add(agent_id)
    return [frozenset(channel) for channel in channels], frozenset(left_out)

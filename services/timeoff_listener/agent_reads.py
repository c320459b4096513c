"""Reading one agent's requests over REST, wherever the agent is now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from timeoff.errors import GenesysNotFound
from timeoff.events import Observation
from timeoff.genesys.client import GenesysClient
from timeoff.settings.model import Settings
from timeoff.vocabulary import ObservationSource
from timeoff_listener.accept import Acceptor
from timeoff_listener.coverage import Coverage, Unit
from timeoff_listener.observe import Malformed, from_rest, missing, request_id_of
from timeoff_listener.ports import ListenerLedger


class AgentReads:
    """One way to read an agent, shared by confirming reads and backfill."""

    def __init__(
        self,
        settings: Settings,
        *,
        client: GenesysClient,
        coverage: Coverage,
        ledger: ListenerLedger,
        acceptor: Acceptor,
    ) -> None:
        self._settings = settings
        self._client = client
        self._coverage = coverage
        self._ledger = ledger
        self._acceptor = acceptor

    async def accept(
        self, agent_id: str, waited: Collection[str], source: ObservationSource
    ) -> Sequence[Observation]:
        """Read the agent and append what is news, and whatever is waited for, news or not.

        Raises what the client, the ledger or the log raise; nothing counts as read then.
        """
        observations = await self.read(agent_id, waited, source)
        accepted = await self.news(observations, waited)
        await self._acceptor.append(accepted)
        return accepted

    async def news(
        self, observations: Sequence[Observation], waited: Collection[str] = ()
    ) -> Sequence[Observation]:
        """Those that the ledger does not hold yet, or that somebody waits for."""
        known = await self._ledger.known_versions({each.request_id for each in observations})
        return [
            each
            for each in observations
            if each.request_id in waited
            or each.version is None
            or each.version > known.get(each.request_id, -1)
        ]

    async def read(
        self, agent_id: str, waited: Collection[str], source: ObservationSource
    ) -> list[Observation]:
        """All requests of the agent, and of those waited for each: its state, or that it is missing.

        A request that is not in the list is asked for by id, after the agent's unit was looked up again:
        whoever moved is found in the new unit only. Unreadable items become dead letters.
        """
        unit = self._coverage.unit_of(agent_id) or await self._coverage.look_up(agent_id)
        observations, unreadable = await self._list(unit, agent_id, source)
        seen = {each.request_id for each in observations} | unreadable
        if unit is None or set(waited) - seen or not observations:
            fresh = await self._coverage.look_up(agent_id)
            if fresh is not None and (unit is None or fresh.unit_id != unit.unit_id):
                unit = fresh
                observations, unreadable = await self._list(unit, agent_id, source)
                seen = {each.request_id for each in observations} | unreadable
        for request_id in sorted(set(waited) - seen):
            found = await self._one(unit, agent_id, request_id, source)
            if found is not None:
                observations.append(found)
        return observations

    async def _list(
        self, unit: Unit | None, agent_id: str, source: ObservationSource
    ) -> tuple[list[Observation], set[str]]:
        """The agent's requests in that unit, and the ids of those that cannot be read."""
        if unit is None:
            return [], set()
        at = datetime.now(UTC)
        try:
            items = await self._client.time_off_of_user(unit.unit_id, agent_id)
        except GenesysNotFound:
            return [], set()
        observations: list[Observation] = []
        unreadable: set[str] = set()
        for item in items:
            outcome = await self.observe(item, at=at, unit=unit, source=source, agent_id=agent_id)
            if outcome is not None:
                observations.append(outcome)
            elif request_id := request_id_of(item):
                unreadable.add(request_id)
        return observations, unreadable

    async def _one(
        self, unit: Unit | None, agent_id: str, request_id: str, source: ObservationSource
    ) -> Observation | None:
        at = datetime.now(UTC)
        if unit is not None:
            try:
                item = await self._client.time_off_get(unit.unit_id, agent_id, request_id)
            except GenesysNotFound:
                pass
            else:
                return await self.observe(item, at=at, unit=unit, source=source, agent_id=agent_id)
        return missing(org=self._settings.org, request_id=request_id, agent_id=agent_id, at=at)

    async def observe(
        self, item: object, *, at: datetime, unit: Unit, source: ObservationSource, agent_id: str | None
    ) -> Observation | None:
        """One item of a REST answer; one that cannot be read becomes a dead letter and None."""
        outcome = from_rest(
            item,
            org=self._settings.org,
            at=at,
            source=source,
            place=unit.place,
            notes=self._settings.notes,
            agent_id=agent_id,
        )
        if isinstance(outcome, Malformed):
            await self._acceptor.bury(outcome, origin=f"genesys-{source.value}", at=at)
            return None
        return outcome

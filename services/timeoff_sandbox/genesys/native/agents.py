"""The daily agent sync: Get-Agents says who is in the HRIS, and agents get and lose their ids by it.

Addresses have to be equal to the letter. An agent who is missing from the answer loses the id; an id that is
locked stays as it is. A run that fails changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from timeoff_sandbox.clock import Clock
from timeoff_sandbox.genesys.native.options import NativeOptions
from timeoff_sandbox.genesys.native.workflows import GET_AGENTS, Answer, Workflows
from timeoff_sandbox.genesys.wire import Json
from timeoff_sandbox.genesys.workforce import Agent, Association, Workforce

#: Pairs of lists: one without a number, then 1 to 24.
BUCKETS = 25


class AgentSync:
    def __init__(
        self, clock: Clock, options: NativeOptions, workforce: Workforce, workflows: Workflows
    ) -> None:
        self._clock = clock
        self._options = options
        self._workforce = workforce
        self._workflows = workflows
        self._since: datetime | None = None

    @property
    def due_at(self) -> datetime | None:
        """One period after the integration was turned on or ran last; None where it runs by hand only."""
        if self._since is None or self._options.agent_sync_seconds is None:
            return None
        return self._since + timedelta(seconds=self._options.agent_sync_seconds)

    def take_due(self) -> bool:
        """Whether a run is due; it is then up to the caller."""
        now = self._clock.now()
        if self._options.address is None:
            self._since = None
        elif self._since is None:
            self._since = now
        elif self.due_at is not None and now >= self.due_at:
            self._since = now
            return True
        return False

    def clear(self) -> None:
        self._since = None

    async def run(self) -> Json:
        """One run, and how many agents it linked and unlinked."""
        self._since = self._clock.now()
        answer = await self._workflows.run(GET_AGENTS, {}, retry=True)
        found = None if answer is None or not answer.accepted else _ids_by_email(answer)
        if found is None:
            return {"succeeded": False, "linked": 0, "unlinked": 0}
        linked = unlinked = 0
        for agent in self._workforce.agents.values():
            before = self._of(agent)
            if before is not None and before.locked:
                continue
            external_id = found.get(agent.email)
            if (None if before is None else before.external_id) == external_id:
                continue
            self._set(agent, external_id)
            if external_id is None:
                unlinked += 1
            else:
                linked += 1
        return {"succeeded": True, "linked": linked, "unlinked": unlinked}

    def _of(self, agent: Agent) -> Association | None:
        integration = self._workforce.integration_id
        return next((link for link in agent.associations if link.integration_id == integration), None)

    def _set(self, agent: Agent, external_id: str | None) -> None:
        integration = self._workforce.integration_id
        others = [link for link in agent.associations if link.integration_id != integration]
        if external_id is not None:
            agent.associations = [*others, Association(external_id, integration)]
            agent.selected_integration_id = agent.selected_integration_id or integration
            return
        agent.associations = others
        if agent.selected_integration_id == integration:
            agent.selected_integration_id = None


def _ids_by_email(answer: Answer) -> dict[str, str] | None:
    """None where two lists of a pair differ in length: which id is whose cannot be told."""
    found: dict[str, str] = {}
    for number in range(BUCKETS):
        suffix = str(number) if number else ""
        emails, ids = answer.texts(f"Flow.emails{suffix}"), answer.texts(f"Flow.externalIds{suffix}")
        if len(emails) != len(ids):
            return None
        found.update(zip(emails, ids, strict=True))
    return found

"""Units, people and what connects them with the HRIS (workforce management and user API of Genesys Cloud)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from timeoff.genesys.models import (
    ActivityCode,
    ActivityCodeListing,
    AgentIntegrationsListing,
    AgentUnit,
    BusinessUnitUsers,
    ManagementUnit,
    ManagementUnitListing,
    Reference,
    TimeOffPlan,
    TimeOffPlanListing,
    User,
    UserListing,
    UserPage,
)
from timeoff.genesys.transport import Transport

WFM = "/workforcemanagement"
_USERS_A_PAGE = 100
_LINKS_A_CALL = 500


@dataclass(frozen=True, slots=True)
class HrisLink:
    """What Genesys knows about an agent's HRIS record: the employee id and the integration it is for."""

    external_id: str
    integration_id: str


class DirectoryCalls(Transport):
    async def management_units(self) -> Sequence[ManagementUnit]:
        """All units the client may see; a missing division makes the list shorter, not an error."""
        return (await self.ask("GET", f"{WFM}/managementunits", ManagementUnitListing)).entities

    async def management_unit(self, unit_id: str) -> ManagementUnit:
        return await self.ask("GET", f"{WFM}/managementunits/{_id(unit_id)}", ManagementUnit)

    async def unit_users(self, unit_id: str) -> frozenset[str]:
        """Agent ids of one unit."""
        path = f"{WFM}/managementunits/{_id(unit_id)}/users"
        return _ids((await self.ask("GET", path, UserListing)).entities)

    async def business_unit_users(self, business_unit_id: str) -> Mapping[str, frozenset[str]]:
        """Unit id to agent ids, for the whole business unit in one call."""
        path = f"{WFM}/businessunits/{_id(business_unit_id)}/users"
        answer = await self.ask("GET", path, BusinessUnitUsers)
        return {
            unit.management_unit.id: _ids(unit.users)
            for unit in answer.management_units
            if unit.management_unit is not None and unit.management_unit.id
        }

    async def agent_unit(self, agent_id: str) -> AgentUnit:
        """Where an agent is now. Raises `GenesysNotFound` for an agent of no unit."""
        return await self.ask("GET", f"{WFM}/agents/{_id(agent_id)}/managementunit", AgentUnit)

    async def users(self, user_ids: Iterable[str]) -> Mapping[str, User]:
        """Users by id, inactive ones too; unknown ids are absent. A hundred a call."""
        found: dict[str, User] = {}
        for chunk in _chunks(user_ids, _USERS_A_PAGE):
            query = [("id", user_id) for user_id in chunk]
            query += [("pageSize", str(_USERS_A_PAGE)), ("state", "any")]
            page = await self.ask("GET", "/users", UserPage, query=query)
            found.update((user.id, user) for user in page.entities)
        return found

    async def hris_links(self, agent_ids: Iterable[str]) -> Mapping[str, HrisLink]:
        """The selected HRIS integration and employee id of each agent that has both."""
        links: dict[str, HrisLink] = {}
        for chunk in _chunks(agent_ids, _LINKS_A_CALL):
            answer = await self.ask(
                "POST",
                f"{WFM}/agents/integrations/hris/query",
                AgentIntegrationsListing,
                body={"agentIds": list(chunk)},
            )
            for agent in answer.entities:
                if agent.agent is None or not agent.agent.id or agent.selected_integration is None:
                    continue
                for association in agent.associated_integrations:
                    integration = association.integration
                    if (
                        integration is not None
                        and integration.id
                        and integration.id == agent.selected_integration.id
                        and association.agent_external_id
                    ):
                        links[agent.agent.id] = HrisLink(association.agent_external_id, integration.id)
        return links

    async def activity_codes(self, business_unit_id: str) -> Sequence[ActivityCode]:
        path = f"{WFM}/businessunits/{_id(business_unit_id)}/activitycodes"
        answer = await self.ask("GET", path, ActivityCodeListing)
        if answer.download_url:
            answer = await self.download(answer.download_url, ActivityCodeListing)
        return answer.entities

    async def time_off_plans(self, business_unit_id: str) -> Sequence[TimeOffPlan]:
        path = f"{WFM}/businessunits/{_id(business_unit_id)}/timeoffplans"
        return (await self.ask("GET", path, TimeOffPlanListing)).entities


def _id(value: str) -> str:
    """An id inside of a path: whatever it holds, it stays one segment."""
    return quote(value, safe="")


def _ids(references: Iterable[Reference]) -> frozenset[str]:
    return frozenset(reference.id for reference in references if reference.id)


def _chunks(ids: Iterable[str], size: int) -> Iterable[Sequence[str]]:
    ordered = sorted(set(ids))
    return (ordered[first : first + size] for first in range(0, len(ordered), size))

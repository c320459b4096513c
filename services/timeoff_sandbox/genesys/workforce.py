"""Who and what there is: business unit, management units, agents, activity codes, time-off plans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from timeoff_sandbox.genesys.errors import bad_request, not_found
from timeoff_sandbox.genesys.wire import Json

DIVISION = {"id": "11111111-2222-4333-8444-555555555555", "name": "Home"}
METADATA_VERSION = 1
BUSINESS_UNITS = "/api/v2/workforcemanagement/businessunits"


@dataclass(slots=True)
class ManagementUnit:
    id: str
    name: str
    time_zone: str
    business_unit_id: str

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def self_uri(self) -> str:
        return f"/api/v2/workforcemanagement/managementunits/{self.id}"

    def ref(self) -> Json:
        return {"id": self.id, "selfUri": self.self_uri}

    def wire(self, *, with_settings: bool = False) -> Json:
        body: Json = {
            "id": self.id,
            "name": self.name,
            "businessUnit": business_unit_ref(self.business_unit_id),
            "startDayOfWeek": "Monday",
            "timeZone": self.time_zone,
            "division": {"id": DIVISION["id"]},
            "metadata": {"version": METADATA_VERSION},
            "version": METADATA_VERSION,
            "selfUri": self.self_uri,
        }
        if with_settings:
            body["settings"] = {
                "timeOff": {
                    "submissionRangeEnforced": False,
                    "submissionRangeType": "Relative",
                    "submissionEarliestDaysFromNow": 0,
                    "submissionLatestDaysFromNow": 365,
                }
            }
        return body


@dataclass(slots=True)
class Association:
    """The link of an agent to an HRIS integration."""

    external_id: str
    integration_id: str
    locked: bool = False


@dataclass(slots=True)
class Agent:
    id: str
    name: str
    email: str
    unit_id: str
    associations: list[Association] = field(default_factory=list)
    selected_integration_id: str | None = None

    def ref(self) -> Json:
        return {"id": self.id, "selfUri": f"/api/v2/users/{self.id}"}

    def wire(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "division": DIVISION,
            "email": self.email,
            "username": self.email,
            "state": "active",
            "version": METADATA_VERSION,
            "selfUri": f"/api/v2/users/{self.id}",
        }

    def integrations_wire(self) -> Json:
        body: Json = {
            "agent": self.ref(),
            "userSelected": self.selected_integration_id is not None,
            "associatedIntegrations": [
                {
                    "agentExternalId": link.external_id,
                    "integration": {"id": link.integration_id},
                    "locked": link.locked,
                }
                for link in self.associations
            ],
        }
        if self.selected_integration_id is not None:
            body["selectedIntegration"] = {"id": self.selected_integration_id}
        return body


@dataclass(slots=True)
class ActivityCode:
    id: str
    name: str
    category: str
    paid: bool = True
    active: bool = True

    def wire(self, business_unit_id: str) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "active": self.active,
            "defaultCode": False,
            "category": self.category,
            "lengthInMinutes": 480 if self.category == "TimeOff" else 30,
            "countsAsPaidTime": self.paid,
            "countsAsWorkTime": self.category == "OnQueueWork",
            "agentTimeOffSelectable": self.category == "TimeOff",
            "countsTowardShrinkage": self.category == "TimeOff",
            "plannedShrinkage": self.category == "TimeOff",
            "interruptible": False,
            "metadata": {"version": METADATA_VERSION},
            "selfUri": f"{BUSINESS_UNITS}/{business_unit_id}/activitycodes/{self.id}",
        }


@dataclass(slots=True)
class HrisType:
    """The HRIS time-off type that a plan is linked to."""

    id: str
    name: str
    integration_id: str
    secondary_id: str | None = None

    def wire(self) -> Json:
        body = {"id": self.id, "name": self.name, "hrisIntegrationId": self.integration_id}
        if self.secondary_id is not None:
            body["secondaryId"] = self.secondary_id
        return body


@dataclass(slots=True)
class Plan:
    id: str
    name: str
    activity_code_ids: list[str]
    hris_type: HrisType | None
    enabled: bool = True
    #: Units the plan covers; None covers the whole business unit.
    unit_ids: list[str] | None = None

    def wire(self, workforce: Workforce) -> Json:
        units = self.unit_ids if self.unit_ids is not None else list(workforce.units)
        body: Json = {
            "id": self.id,
            "name": self.name,
            "activityCodeIds": self.activity_code_ids,
            "timeOffLimits": [],
            "autoApprovalRule": "Never",
            "daysBeforeStartToExpireFromWaitlist": 1,
            "autoPublishApprovedTimeOffRequests": True,
            "restrictedActivityCodes": {"ids": []},
            "overrideDates": [],
            "enabled": self.enabled,
            "countAgainstTimeOffLimits": True,
            "businessUnitAssociation": {"managementUnits": [{"id": unit} for unit in units]},
            "metadata": {"version": METADATA_VERSION},
            "selfUri": f"{BUSINESS_UNITS}/{workforce.business_unit_id}/timeoffplans/{self.id}",
        }
        if self.hris_type is not None:
            body["hrisTimeOffType"] = self.hris_type.wire()
        return body


def business_unit_ref(business_unit_id: str) -> Json:
    return {
        "id": business_unit_id,
        "selfUri": f"{BUSINESS_UNITS}/{business_unit_id}",
    }


class Workforce:
    """One business unit with everything in it; empty until a world is made."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.business_unit_id = ""
        self.integration_id = ""
        self.units: dict[str, ManagementUnit] = {}
        self.agents: dict[str, Agent] = {}
        self.agents_of_unit: dict[str, dict[str, Agent]] = {}
        self.by_email: dict[str, list[Agent]] = {}
        self.codes: dict[str, ActivityCode] = {}
        self.plans: dict[str, Plan] = {}

    def add_unit(self, unit: ManagementUnit) -> None:
        check_zone(unit.time_zone)
        self.units[unit.id] = unit
        self.agents_of_unit[unit.id] = {}

    def add_agent(self, agent: Agent) -> None:
        self.unit(agent.unit_id)
        self.agents[agent.id] = agent
        self.agents_of_unit[agent.unit_id][agent.id] = agent
        self.by_email.setdefault(agent.email.casefold(), []).append(agent)

    def remove_agent(self, agent_id: str) -> None:
        agent = self.agent(agent_id)
        del self.agents[agent_id]
        del self.agents_of_unit[agent.unit_id][agent_id]
        self.by_email[agent.email.casefold()].remove(agent)

    def move_agent(self, agent_id: str, unit_id: str) -> Agent:
        agent, unit = self.agent(agent_id), self.unit(unit_id)
        del self.agents_of_unit[agent.unit_id][agent_id]
        agent.unit_id = unit.id
        self.agents_of_unit[unit.id][agent_id] = agent
        return agent

    def unit(self, unit_id: str) -> ManagementUnit:
        try:
            return self.units[unit_id]
        except KeyError:
            raise not_found("Management unit", unit_id) from None

    def agent(self, agent_id: str) -> Agent:
        try:
            return self.agents[agent_id]
        except KeyError:
            raise not_found("User", agent_id) from None

    def agent_in(self, unit_id: str, agent_id: str) -> Agent:
        """An agent that moved to another unit is not found under the old one."""
        self.unit(unit_id)
        try:
            return self.agents_of_unit[unit_id][agent_id]
        except KeyError:
            raise not_found("User", agent_id) from None

    def business_unit(self, business_unit_id: str) -> str:
        if not business_unit_id or business_unit_id != self.business_unit_id:
            raise not_found("Business unit", business_unit_id)
        return business_unit_id

    def code(self, code_id: str) -> ActivityCode:
        try:
            return self.codes[code_id]
        except KeyError:
            raise bad_request("Unknown activity code", field="activityCodeId", code="invalid.value") from None

    def plan(self, plan_id: str) -> Plan:
        try:
            return self.plans[plan_id]
        except KeyError:
            raise not_found("Time off plan", plan_id) from None

    def zone_of(self, agent: Agent) -> ZoneInfo:
        return self.units[agent.unit_id].zone

    def plans_of(self, unit_id: str | None) -> Iterable[Plan]:
        return (
            plan
            for plan in self.plans.values()
            if unit_id is None or plan.unit_ids is None or unit_id in plan.unit_ids
        )


def check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise bad_request("Unknown time zone", field="timeZone", code="invalid.value") from None

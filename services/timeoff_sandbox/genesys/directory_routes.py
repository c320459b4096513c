"""Routes of users, units, activity codes, plans and HRIS integrations."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from aiohttp import web

from timeoff_sandbox.genesys.errors import bad_request
from timeoff_sandbox.genesys.gateway import Answer, Call, Gateway
from timeoff_sandbox.genesys.wire import AgentIds, AgentIntegrationsIn, Criterion, Json, UserSearch
from timeoff_sandbox.genesys.workforce import Agent, Association, Workforce, business_unit_ref

WFM = "/workforcemanagement"
PAGING = ("pageSize", "pageNumber")
_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "EXACT": str.__eq__,
    "TERM": str.__eq__,
    "TERMS": str.__eq__,
    "STARTS_WITH": str.startswith,
    "CONTAINS": str.__contains__,
}


class DirectoryRoutes:
    def __init__(self, gateway: Gateway, workforce: Workforce) -> None:
        self._gateway = gateway
        self._workforce = workforce

    def routes(self) -> list[web.RouteDef]:
        route = self._gateway.route
        units, businesses = f"{WFM}/managementunits", f"{WFM}/businessunits"
        agent_view = ("wfm:agent:view", "wfm:timeOffRequest:view", "wfm:schedule:view")
        code_view = ("wfm:activityCode:view", "wfm:timeOffRequest:view", "wfm:timeOffPlan:view")
        return [
            route("GET", units, self._units),
            route("GET", units + "/{unit}", self._unit),
            route("GET", units + "/{unit}/users", self._unit_users, *agent_view),
            route("GET", businesses, self._business_units),
            route("GET", businesses + "/{business}/managementunits", self._business_units_units),
            route("GET", businesses + "/{business}/users", self._business_users, *agent_view),
            route("GET", businesses + "/{business}/activitycodes", self._codes, *code_view),
            route("GET", businesses + "/{business}/timeoffplans", self._plans, "wfm:timeOffPlan:view"),
            route("GET", businesses + "/{business}/timeoffplans/{plan}", self._plan, "wfm:timeOffPlan:view"),
            route("GET", f"{WFM}/agents/{{agent}}/managementunit", self._agent_unit, *agent_view),
            route("GET", f"{WFM}/integrations/hris", self._integrations, "wfm:integration:view"),
            route("POST", f"{WFM}/agents/integrations/hris/query", self._links, "wfm:agent:view"),
            route("PUT", f"{WFM}/agents/{{agent}}/integrations/hris", self._set_links, "wfm:agent:edit"),
            route("GET", "/users", self._users, "directory:user:view"),
            route("POST", "/users/search", self._search, "directory:user:view"),
            route("GET", "/users/me", self._me),
            route("GET", "/users/{user}", self._user, "directory:user:view"),
        ]

    async def _units(self, call: Call) -> Answer:
        entities = [unit.wire() for unit in self._workforce.units.values()]
        return {"entities": entities, "total": len(entities), "selfUri": f"/api/v2{WFM}/managementunits"}

    async def _unit(self, call: Call) -> Answer:
        expand = call.request.query.get("expand", "")
        return self._workforce.unit(call.path("unit")).wire(with_settings="settings" in expand)

    async def _unit_users(self, call: Call) -> Answer:
        unit = self._workforce.unit(call.path("unit"))
        return {"entities": [agent.ref() for agent in self._workforce.agents_of_unit[unit.id].values()]}

    async def _business_units(self, call: Call) -> Answer:
        own = self._workforce.business_unit_id
        return {"entities": [business_unit_ref(own) | {"name": "Sandbox"}] if own else []}

    async def _business_units_units(self, call: Call) -> Answer:
        self._workforce.business_unit(call.path("business"))
        return await self._units(call)

    async def _business_users(self, call: Call) -> Answer:
        """The whole business unit in one call; `managementUnitIds` narrows it."""
        self._workforce.business_unit(call.path("business"))
        wanted = [
            part for text in call.request.query.getall("managementUnitIds", []) for part in text.split(",")
        ]
        units = [
            {
                "managementUnit": unit.ref(),
                "users": [agent.ref() for agent in self._workforce.agents_of_unit[unit.id].values()],
            }
            for unit in self._workforce.units.values()
            if not wanted or unit.id in wanted
        ]
        return {"managementUnits": units}

    async def _codes(self, call: Call) -> Answer:
        business = self._workforce.business_unit(call.path("business"))
        return {"entities": [code.wire(business) for code in self._workforce.codes.values()]}

    async def _plans(self, call: Call) -> Answer:
        self._workforce.business_unit(call.path("business"))
        plans = self._workforce.plans_of(call.request.query.get("managementUnitId"))
        return {"entities": [plan.wire(self._workforce) for plan in plans]}

    async def _plan(self, call: Call) -> Answer:
        self._workforce.business_unit(call.path("business"))
        return self._workforce.plan(call.path("plan")).wire(self._workforce)

    async def _agent_unit(self, call: Call) -> Answer:
        agent = self._workforce.agent(call.path("agent"))
        unit = self._workforce.unit(agent.unit_id)
        return {
            "user": agent.ref(),
            "managementUnit": unit.ref(),
            "businessUnit": business_unit_ref(unit.business_unit_id),
        }

    async def _integrations(self, call: Call) -> Answer:
        integration = self._workforce.integration_id
        entity = {"id": integration, "name": "WFM Time-off HRIS", "active": True}
        return {"entities": [entity] if integration else []}

    async def _links(self, call: Call) -> Answer:
        body = await call.body(AgentIds)
        known = (self._workforce.agents.get(agent_id) for agent_id in body.agent_ids)
        return {"entities": [agent.integrations_wire() for agent in known if agent is not None]}

    async def _set_links(self, call: Call) -> Answer:
        agent = self._workforce.agent(call.path("agent"))
        body = await call.body(AgentIntegrationsIn)
        agent.associations = [
            Association(link.agent_external_id, link.integration_id, link.locked)
            for link in body.associated_integrations
        ]
        agent.selected_integration_id = body.selected_integration_id
        return agent.integrations_wire()

    async def _users(self, call: Call) -> Answer:
        """All users or, with `id` given once or more, those; in pages."""
        size = call.number("pageSize", 25, most=500)
        number = call.number("pageNumber", 1, most=1_000_000)
        wanted = [part for text in call.request.query.getall("id", []) for part in text.split(",")]
        agents = self._workforce.agents
        if wanted:
            chosen = [agents[agent_id] for agent_id in dict.fromkeys(wanted) if agent_id in agents]
        else:
            chosen = list(agents.values())
        page = _page(chosen, size, number)
        page["entities"] = page.pop("items")
        page["selfUri"] = _page_uri(call, size, number)
        if number < page["pageCount"]:
            page["nextUri"] = _page_uri(call, size, number + 1)
        return page

    async def _me(self, call: Call) -> Answer:
        """Who logged in. A client has no user context, so that the call does not work for it."""
        if call.token.user_id is None:
            raise bad_request("This request requires a user context")
        return self._workforce.agent(call.token.user_id).wire()

    async def _user(self, call: Call) -> Answer:
        return self._workforce.agent(call.path("user")).wire()

    async def _search(self, call: Call) -> Answer:
        body = await call.body(UserSearch)
        if not body.query:
            raise bad_request("A query is required", field="query")
        chosen = list(self._workforce.agents.values())
        for criterion in body.query:
            chosen = self._matching(chosen, criterion)
        page = _page(chosen, body.page_size, body.page_number)
        results = page.pop("items")
        # The real answer leaves `results` out when nothing matches.
        return page | ({"results": results} if results else {})

    def _matching(self, agents: list[Agent], criterion: Criterion) -> list[Agent]:
        values = criterion.values or ([] if criterion.value is None else [criterion.value])
        matches = _MATCHES.get(criterion.type)
        if matches is None or not criterion.fields or not values:
            raise bad_request("The search criterion is not supported", field="query", code="invalid.value")
        folded = [value.casefold() for value in values]
        return [
            agent
            for agent in agents
            if any(
                matches(str(getattr(agent, name, "")).casefold(), value)
                for name in criterion.fields
                if name in ("email", "name", "id")
                for value in folded
            )
        ]


def _page(agents: list[Agent], size: int, number: int) -> Json:
    part = agents[(number - 1) * size : number * size]
    return {
        "items": [agent.wire() for agent in part],
        "pageSize": size,
        "pageNumber": number,
        "total": len(agents),
        "pageCount": -(-len(agents) // size),
    }


def _page_uri(call: Call, size: int, number: int) -> str:
    query = [(key, value) for key, value in call.request.query.items() if key not in PAGING]
    return "/api/v2/users?" + urlencode([*query, ("pageSize", size), ("pageNumber", number)])

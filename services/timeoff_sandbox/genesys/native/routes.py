"""Routes that run workflows: the job that reads the types of the HRIS, and the integration's admin API."""

from __future__ import annotations

import uuid
from itertools import zip_longest

from aiohttp import web
from pydantic import Field

from timeoff_sandbox.clock import instant
from timeoff_sandbox.genesys.admin import admin_route, read
from timeoff_sandbox.genesys.errors import bad_request, not_found
from timeoff_sandbox.genesys.gateway import Answer, Call, Gateway
from timeoff_sandbox.genesys.native.agents import AgentSync
from timeoff_sandbox.genesys.native.integration import Integration
from timeoff_sandbox.genesys.native.options import NativeOptions
from timeoff_sandbox.genesys.native.workflows import GET_BALANCE, GET_TYPES
from timeoff_sandbox.genesys.options import Settable
from timeoff_sandbox.genesys.time_off import check_date
from timeoff_sandbox.genesys.wire import Json
from timeoff_sandbox.genesys.workforce import Workforce

HRIS = "/workforcemanagement/integrations/hris"


class Settle(Settable):
    seconds: float = Field(10, ge=0)


class BalanceForm(Settable):
    """A request form that somebody has open."""

    agent_id: str
    activity_code_ids: list[str] = Field(min_length=1)
    dates: list[str]


class NativeRoutes:
    def __init__(
        self,
        gateway: Gateway,
        options: NativeOptions,
        workforce: Workforce,
        integration: Integration,
        agent_sync: AgentSync,
    ) -> None:
        self._gateway = gateway
        self._options = options
        self._workforce = workforce
        self._integration = integration
        self._agent_sync = agent_sync
        self._jobs: dict[str, Json] = {}

    def routes(self) -> list[web.RouteDef]:
        base = "/admin/genesys/native"
        return [
            self._gateway.route(
                "POST", HRIS + "/{integration}/timeofftypes/jobs", self._start_job, "wfm:integration:view"
            ),
            self._gateway.route("GET", HRIS + "/timeofftypes/jobs/{job}", self._job),
            admin_route("GET", base, self._state),
            admin_route("GET", f"{base}/calls", self._calls),
            admin_route("POST", f"{base}/settle", self._settle),
            admin_route("POST", f"{base}/sync-agents", self._sync_agents),
            admin_route("POST", f"{base}/balance", self._balance),
        ]

    def clear(self) -> None:
        self._jobs.clear()

    async def _start_job(self, call: Call) -> Answer:
        """An administrator picks the integration for a plan: its types are read meanwhile."""
        if call.path("integration") != self._workforce.integration_id:
            raise not_found("Integration", call.path("integration"))
        job_id = str(uuid.uuid4())
        self._jobs[job_id] = {"status": "Processing"}
        self._integration.start(self._read_types(job_id))
        uri = f"/api/v2{HRIS}/timeofftypes/jobs/{job_id}"
        return {"job": {"id": job_id, "status": "Processing", "selfUri": uri}}

    async def _read_types(self, job_id: str) -> None:
        answer = await self._integration.workflows.run(GET_TYPES, {})
        if answer is None or not answer.accepted:
            self._jobs[job_id] = {"status": "Error"}
            return
        ids, names, id2s = (answer.texts(f"Flow.{name}") for name in ("ids", "names", "id2s"))
        if len(ids) != len(names) or len(id2s) not in (0, len(ids)):
            self._jobs[job_id] = {"status": "Error"}
            return
        entities = [
            {"id": id, "name": name} | ({"secondaryId": id2} if id2 else {})
            for id, name, id2 in zip_longest(ids, names, id2s)
        ]
        self._jobs[job_id] = {"status": "Complete", "entities": entities}

    async def _job(self, call: Call) -> Answer:
        try:
            return self._jobs[call.path("job")]
        except KeyError:
            raise not_found("Job", call.path("job")) from None

    async def _state(self, request: web.Request) -> Json:
        due_at = self._agent_sync.due_at
        return {
            "underWay": self._integration.under_way,
            "nextAgentSync": None if due_at is None else instant(due_at),
        }

    async def _calls(self, request: web.Request) -> Json:
        return {"calls": [call.truth() for call in self._integration.workflows.calls]}

    async def _settle(self, request: web.Request) -> Json:
        """Answers when nothing is under way any more, or after that time."""
        await self._integration.settle((await read(request, Settle)).seconds)
        return await self._state(request)

    def sync_agents_if_due(self) -> None:
        if self._agent_sync.take_due():
            self._integration.start(self._run_agent_sync())

    async def _run_agent_sync(self) -> None:
        await self._agent_sync.run()

    async def _sync_agents(self, request: web.Request) -> Json:
        self._need_address()
        return await self._agent_sync.run()

    async def _balance(self, request: web.Request) -> Json:
        """What Get-Balance answers for a request form; `answer` is null where there was no answer."""
        self._need_address()
        form = await read(request, BalanceForm)
        agent = self._workforce.agent(form.agent_id)
        external_id = self._integration.external_id(agent)
        if external_id is None:
            raise bad_request("The agent has no id in the integration", field="agentId")
        types = []
        for code_id in form.activity_code_ids:
            plan = self._integration.plan_of(self._workforce.code(code_id).id, agent.unit_id)
            if plan is None or plan.hris_type is None:
                raise bad_request("No plan of this activity code runs it", field="activityCodeIds")
            types.append(plan.hris_type)
        inputs: Json = {
            "Flow.agentId": external_id,
            "Flow.inputDates": [check_date(text) for text in form.dates],
            "Flow.inputTimeOffTypeIds": [type_.id for type_ in types],
        }
        if any(type_.secondary_id for type_ in types):
            inputs["Flow.inputTimeOffTypeId2s"] = [type_.secondary_id or "" for type_ in types]
        answer = await self._integration.workflows.run(GET_BALANCE, inputs)
        return {
            "accepted": answer is not None and answer.accepted,
            "answer": None if answer is None else dict(answer.outputs),
        }

    def _need_address(self) -> None:
        if self._options.address is None:
            raise bad_request("The integration has no address")

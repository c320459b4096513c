"""Admin routes of the Genesys side: act as agent and supervisor, switch faults, read the truth."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError

from timeoff_sandbox.clock import Clock, instant
from timeoff_sandbox.faults import FaultBook
from timeoff_sandbox.genesys.channels import AGENTS_TOPIC, ChannelBook, time_off_topic
from timeoff_sandbox.genesys.delivery import Delivery
from timeoff_sandbox.genesys.errors import ApiError, bad_request
from timeoff_sandbox.genesys.gateway import Gateway, invalid_body, json_response
from timeoff_sandbox.genesys.notifications import Notifications
from timeoff_sandbox.genesys.oauth import TokenDesk
from timeoff_sandbox.genesys.options import DeliverySettings, Settable
from timeoff_sandbox.genesys.time_off import SUPERVISOR, Change, RequestBook, TimeOffRequest
from timeoff_sandbox.genesys.time_off_routes import TimeOffRoutes
from timeoff_sandbox.genesys.wire import IntegrationStatus, Json, Minutes
from timeoff_sandbox.genesys.workforce import Agent, Association, HrisType, Workforce, check_zone

T = TypeVar("T")
BATCH_PAUSE = 25


class Fields(Settable):
    """What a create and a patch share."""

    activity_code_id: str | None = None
    dates: list[str] | None = None
    partial_starts: list[str] | None = None
    minutes: list[Minutes] | None = None
    daily_minutes: Minutes | None = None
    payable_minutes: list[Minutes] | None = None
    paid: bool | None = None
    notes: str | None = None
    substatus: str | None = None
    #: No notification is sent.
    silent: bool = False
    #: Replaces fields in notification and REST word for word; `{}` ends that.
    raw: dict[str, Any] | None = None

    def change(self, status: str | None) -> Change:
        return Change(
            status=status,
            substatus=self.substatus,
            activity_code_id=self.activity_code_id,
            dates=self.dates,
            partial_starts=self.partial_starts,
            minutes=self.minutes,
            payable_minutes=self.payable_minutes,
            daily_minutes=self.daily_minutes,
            paid=self.paid,
            notes=self.notes,
            raw=self.raw,
        )


class Create(Fields):
    op: Literal["create"] = "create"
    agent_id: str
    status: Literal["PENDING", "APPROVED"] = "PENDING"


class Patch(Fields):
    op: Literal["patch"] = "patch"
    id: str = ""
    status: Literal["PENDING", "APPROVED", "DENIED", "CANCELED"] | None = None


class Batch(Settable):
    operations: list[Annotated[Create | Patch, Field(discriminator="op")]]


class HandStatus(Settable):
    request_id: str
    status: IntegrationStatus


class Send(Settable):
    agent_id: str
    frame: str


class Sockets(Settable):
    channels: list[str] | None = None
    grace_seconds: float = Field(60, ge=0)


class LogIn(Settable):
    agent_id: str


class Move(Settable):
    agent_id: str
    management_unit_id: str


class Link(Settable):
    agent_id: str
    #: None removes the link.
    external_id: str | None
    locked: bool = False


class NewAgent(Settable):
    management_unit_id: str
    email: str | None = None
    name: str = "New agent"


class UnitPatch(Settable):
    time_zone: str


class PlanType(Settable):
    id: str
    name: str
    secondary_id: str | None = None


class PlanPatch(Settable):
    activity_code_ids: list[str] | None = None
    enabled: bool | None = None
    #: The type of the HRIS that the plan is linked to.
    hris_type: PlanType | None = None
    #: True takes the HRIS type away.
    unlink: bool = False


class GenesysAdmin:
    def __init__(
        self,
        clock: Clock,
        workforce: Workforce,
        book: RequestBook,
        gateway: Gateway,
        tokens: TokenDesk,
        channels: ChannelBook,
        notifications: Notifications,
        delivery: Delivery,
        faults: FaultBook,
        time_off: TimeOffRoutes,
        changed: Callable[[TimeOffRequest, bool], None],
    ) -> None:
        self._clock = clock
        self._workforce = workforce
        self._book = book
        self._gateway = gateway
        self._tokens = tokens
        self._channels = channels
        self._notifications = notifications
        self._delivery = delivery
        self._faults = faults
        self._time_off = time_off
        self._changed = changed

    def routes(self) -> list[web.RouteDef]:
        base = "/admin/genesys"
        return [
            admin_route("POST", f"{base}/requests", self._create),
            admin_route("PATCH", f"{base}/requests/{{id}}", self._patch),
            admin_route("GET", f"{base}/requests", self._requests),
            admin_route("GET", f"{base}/requests/{{id}}", self._request),
            admin_route("POST", f"{base}/batch", self._batch),
            admin_route("POST", f"{base}/integration-status", self._integration_status),
            admin_route("GET", f"{base}/calls", self._calls),
            admin_route("GET", f"{base}/channels", self._list_channels),
            admin_route("POST", f"{base}/send", self._send),
            admin_route("POST", f"{base}/drop-sockets", self._drop),
            admin_route("POST", f"{base}/close-sockets", self._close),
            admin_route("POST", f"{base}/revoke-tokens", self._revoke),
            admin_route("POST", f"{base}/log-in", self._log_in),
            admin_route("GET", f"{base}/delivery", self._delivery_truth),
            admin_route("PUT", f"{base}/delivery", self._set_delivery),
            admin_route("POST", f"{base}/move-agent", self._move),
            admin_route("POST", f"{base}/link-agent", self._link),
            admin_route("POST", f"{base}/agents", self._add_agent),
            admin_route("DELETE", f"{base}/agents/{{id}}", self._remove_agent),
            admin_route("PATCH", f"{base}/management-units/{{id}}", self._patch_unit),
            admin_route("PATCH", f"{base}/plans/{{id}}", self._patch_plan),
            admin_route("DELETE", f"{base}/plans/{{id}}", self._remove_plan),
            admin_route("POST", f"{base}/rest-faults", self._add_faults),
            admin_route("GET", f"{base}/rest-faults", self._list_faults),
            admin_route("DELETE", f"{base}/rest-faults", self._clear_faults),
        ]

    async def _create(self, request: web.Request) -> Json:
        return self._do(await read(request, Create))

    async def _patch(self, request: web.Request) -> Json:
        patch = await read(request, Patch)
        return self._do(patch.model_copy(update={"id": request.match_info["id"]}))

    async def _batch(self, request: web.Request) -> Json:
        """All operations in order; one that is refused answers `{"error": …}` and the rest goes on."""
        batch = await read(request, Batch)
        results: list[Json] = []
        for number, operation in enumerate(batch.operations):
            try:
                results.append(self._do(operation))
            except ApiError as error:
                results.append({"error": {"status": error.status, "message": error.message}})
            if number % BATCH_PAUSE == BATCH_PAUSE - 1:
                # The sockets' writers want their turn too.
                await asyncio.sleep(0)
        return {"results": results}

    def _do(self, operation: Create | Patch) -> Json:
        change = operation.change(operation.status)
        if isinstance(operation, Create):
            if change.activity_code_id is None:
                raise bad_request("activityCodeId is required", field="activityCodeId")
            request = self._book.create(self._workforce.agent(operation.agent_id), change)
        else:
            request = self._book.get(operation.id)
            by = request.agent_id if operation.status == "CANCELED" else SUPERVISOR
            request = self._book.patch(request, change, by=by)
        self._changed(request, operation.silent)
        return self._book.truth(request)

    async def _requests(self, request: web.Request) -> Json:
        return {"requests": [self._book.truth(item) for item in self._book.requests.values()]}

    async def _request(self, request: web.Request) -> Json:
        return self._book.truth(self._book.get(request.match_info["id"]))

    async def _integration_status(self, request: web.Request) -> Json:
        body = await read(request, HandStatus)
        found = self._book.get(body.request_id)
        self._time_off.set_status(found, body.status, by="hand")
        return self._book.truth(found)

    async def _calls(self, request: web.Request) -> Json:
        return {
            "calls": list(self._gateway.calls),
            "counts": dict(self._gateway.counts),
            "tokensIssued": self._tokens.issued,
            "integrationStatuses": self._time_off.statuses,
        }

    async def _list_channels(self, request: web.Request) -> Json:
        self._channels.purge()
        channels = [
            {
                "id": channel.id,
                "clientId": channel.client_id,
                "connected": channel.socket is not None,
                "expires": instant(channel.expires),
                "sent": 0 if channel.socket is None else channel.socket.sent,
                "topics": list(channel.topics),
            }
            for channel in self._channels.channels.values()
        ]
        return {
            "channels": channels,
            "created": self._channels.created,
            "evicted": self._channels.evicted,
        }

    async def _send(self, request: web.Request) -> Json:
        body = await read(request, Send)
        sent = 0
        for channel in self._channels.listeners(time_off_topic(body.agent_id)):
            if channel.socket is not None and channel.socket.send(body.frame):
                sent += 1
        return {"sent": sent}

    async def _drop(self, request: web.Request) -> Json:
        return {"dropped": self._notifications.drop((await read(request, Sockets)).channels)}

    async def _close(self, request: web.Request) -> Json:
        body = await read(request, Sockets)
        return {"announced": self._notifications.close_soon(body.channels, body.grace_seconds)}

    async def _revoke(self, request: web.Request) -> Json:
        """Every token answers 401 from now on; a new login works."""
        revoked = self._tokens.revoke_all()
        self._channels.purge()
        return {"revoked": revoked}

    async def _log_in(self, request: web.Request) -> Json:
        """A token of the agent's own, as the request form has one."""
        agent = self._workforce.agent((await read(request, LogIn)).agent_id)
        return {"accessToken": self._tokens.log_in(agent.id).value}

    async def _delivery_truth(self, request: web.Request) -> Json:
        return self._delivery.truth()

    async def _set_delivery(self, request: web.Request) -> Json:
        self._delivery.set(await read(request, DeliverySettings))
        return self._delivery.truth()

    async def _move(self, request: web.Request) -> Json:
        body = await read(request, Move)
        agent = self._workforce.move_agent(body.agent_id, body.management_unit_id)
        self._delivery.notify(
            AGENTS_TOPIC,
            {
                "requestingUser": {"id": SUPERVISOR},
                "destinationManagementUnit": {"id": agent.unit_id},
                "results": [{"user": {"id": agent.id}, "result": "Success"}],
            },
        )
        return {"agentId": agent.id, "managementUnitId": agent.unit_id}

    async def _link(self, request: web.Request) -> Json:
        body = await read(request, Link)
        agent, integration = self._workforce.agent(body.agent_id), self._workforce.integration_id
        if body.external_id is None:
            agent.associations, agent.selected_integration_id = [], None
        else:
            agent.associations = [Association(body.external_id, integration, body.locked)]
            agent.selected_integration_id = integration
        return agent.integrations_wire()

    async def _add_agent(self, request: web.Request) -> Json:
        """An agent without HRIS employee; that one is made on the HRIS side."""
        body = await read(request, NewAgent)
        agent_id = str(uuid.uuid4())
        email = body.email or f"agent-{agent_id[:8]}@example.com"
        self._workforce.add_agent(Agent(agent_id, body.name, email, body.management_unit_id))
        return {"agentId": agent_id, "email": email, "managementUnitId": body.management_unit_id}

    async def _remove_agent(self, request: web.Request) -> Json:
        self._workforce.remove_agent(request.match_info["id"])
        return {}

    async def _patch_unit(self, request: web.Request) -> Json:
        unit = self._workforce.unit(request.match_info["id"])
        body = await read(request, UnitPatch)
        check_zone(body.time_zone)
        unit.time_zone = body.time_zone
        return unit.wire()

    async def _patch_plan(self, request: web.Request) -> Json:
        plan = self._workforce.plan(request.match_info["id"])
        body = await read(request, PlanPatch)
        if body.activity_code_ids is not None:
            plan.activity_code_ids = body.activity_code_ids
        if body.enabled is not None:
            plan.enabled = body.enabled
        if (type_ := body.hris_type) is not None:
            integration = self._workforce.integration_id
            plan.hris_type = HrisType(type_.id, type_.name, integration, type_.secondary_id)
        if body.unlink:
            plan.hris_type = None
        return plan.wire(self._workforce)

    async def _remove_plan(self, request: web.Request) -> Json:
        plan = self._workforce.plan(request.match_info["id"])
        del self._workforce.plans[plan.id]
        return {}

    async def _add_faults(self, request: web.Request) -> Json:
        document = await read(request, dict[str, Any])
        for rule in document.get("rules", ()):
            try:
                re.compile(rule["on"])
            except (re.error, KeyError, TypeError):
                raise bad_request("'on' is not a regular expression", field="rules") from None
        try:
            self._faults.add(document)
        except ValidationError as error:
            raise invalid_body(error) from None
        return await self._list_faults(request)

    async def _list_faults(self, request: web.Request) -> Json:
        return {"rules": self._faults.remaining()}

    async def _clear_faults(self, request: web.Request) -> Json:
        self._faults.clear()
        return await self._list_faults(request)

    def clear(self) -> None:
        self._faults.clear()


def admin_route(method: str, path: str, handler: Callable[[web.Request], Awaitable[Json]]) -> web.RouteDef:
    """A route that shows refusals as JSON; the log of calls leaves it out."""

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return json_response(await handler(request))
        except ApiError as error:
            return json_response(error.body(""), status=error.status)

    return web.route(method, path, answered)


async def read(request: web.Request, model: type[T]) -> T:
    """The JSON body as `model`; an empty body counts as `{}`."""
    data = await request.read()
    try:
        return TypeAdapter(model).validate_json(data or b"{}")
    except ValidationError as error:
        raise invalid_body(error) from None

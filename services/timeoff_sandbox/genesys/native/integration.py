"""Which change of a request runs which workflow, and what becomes of its answer.

| change | workflow |
| --- | --- |
| a request is made; or is changed before any Insert succeeded | HRIS-Insert-TimeOff |
| a request is changed that an Insert gave an id | HRIS-Update-TimeOff with the last id |

One call for each change, with the request as the change left it; the calls of one request go out in order and
never two at once, retries included, unless `double_calls` says so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from timeoff_sandbox.clock import Clock
from timeoff_sandbox.genesys.native.inputs import booking_inputs
from timeoff_sandbox.genesys.native.options import NativeOptions
from timeoff_sandbox.genesys.native.workflows import INSERT, UPDATE, Answer, Workflow, Workflows
from timeoff_sandbox.genesys.time_off import Change, RequestBook, TimeOffRequest
from timeoff_sandbox.genesys.wire import Json
from timeoff_sandbox.genesys.workforce import Agent, Plan, Workforce

#: Who Genesys signs its own changes with.
SYSTEM = "System"
ENDED = ("DENIED", "CANCELED")
INSUFFICIENT = "InsufficientBalance"

Announce = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Handover:
    """One change on its way to the HRIS, as the request stood then."""

    request: TimeOffRequest
    version: int
    status: str
    #: None: the agent has no id in the integration, and nothing can be called.
    external_id: str | None
    inputs: Json
    lead_seconds: float
    #: Sends the notification, if that comes after the call.
    announce: Announce


class Integration:
    """`notification` makes the announcement of a request as it stands; `set_status` sets its integration
    status."""

    def __init__(
        self,
        clock: Clock,
        options: NativeOptions,
        workforce: Workforce,
        book: RequestBook,
        notification: Callable[[TimeOffRequest], Announce],
        set_status: Callable[[TimeOffRequest, str], None],
    ) -> None:
        self._options = options
        self._workforce = workforce
        self._book = book
        self._notification = notification
        self._set_status = set_status
        self.workflows = Workflows(clock, options)
        self._queues: dict[str, deque[_Handover]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        """Changes whose workflow has not ended, and other runs in the background."""
        return sum(len(queue) for queue in self._queues.values()) + len(self._tasks) - len(self._queues)

    def clear(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._queues.clear()
        self.workflows.clear()

    async def close(self) -> None:
        tasks = list(self._tasks)
        self.clear()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.workflows.close()

    async def settle(self, seconds: float) -> None:
        """Waits until nothing is under way any more, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            pass

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs in the background, until the world is forgotten."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def plan_of(self, code_id: str, unit_id: str) -> Plan | None:
        """The plan whose type the workflows are told for an activity code; None where they are not run."""
        if self._options.address is None:
            return None
        wanted = self._options.plans
        return next(
            (
                plan
                for plan in self._workforce.plans_of(unit_id)
                if code_id in plan.activity_code_ids
                and plan.enabled
                and plan.hris_type is not None
                and (wanted is None or plan.id in wanted)
            ),
            None,
        )

    def external_id(self, agent: Agent) -> str | None:
        """The agent's id in the integration, if it is the one that is selected for the agent."""
        integration = self._workforce.integration_id
        if agent.selected_integration_id != integration:
            return None
        return next(
            (link.external_id for link in agent.associations if link.integration_id == integration), None
        )

    def changed(self, request: TimeOffRequest, announce: Announce) -> None:
        """What follows a change: the notification and, where the plan runs one, a workflow."""
        handover = self._handover(request, announce)
        if handover is None:
            announce()
            return
        if handover.announce is not announce:
            announce()
        if request.id in self._queues:
            self._queues[request.id].append(handover)
        else:
            self._queues[request.id] = deque([handover])
            self.start(self._work(request.id, self._queues[request.id]))

    def _handover(self, request: TimeOffRequest, announce: Announce) -> _Handover | None:
        agent = self._workforce.agents.get(request.agent_id)
        plan = None if agent is None else self.plan_of(request.activity_code_id, agent.unit_id)
        if agent is None or plan is None or plan.hris_type is None:
            return None
        order = self._options.order
        return _Handover(
            request,
            request.version,
            request.status,
            self.external_id(agent),
            booking_inputs(request, self._workforce.zone_of(agent), plan.hris_type),
            self._options.lead_seconds if order == "eventFirst" else 0,
            announce if order == "callFirst" else _nothing,
        )

    async def _work(self, request_id: str, queue: deque[_Handover]) -> None:
        try:
            while queue:
                await self._hand_over(queue[0])
                queue.popleft()
        finally:
            self._queues.pop(request_id, None)

    async def _hand_over(self, handover: _Handover) -> None:
        if handover.lead_seconds:
            await asyncio.sleep(handover.lead_seconds)
        request = handover.request
        hris_id = request.hris_request_id
        workflow = INSERT if hris_id is None else UPDATE
        if handover.external_id is None:
            self._ended(handover, workflow, None)
            return
        if workflow is INSERT and handover.status in ENDED and not self._options.insert_ended:
            handover.announce()
            return
        inputs: Json = {"Flow.agentId": handover.external_id, **handover.inputs}
        if hris_id is not None:
            inputs["Flow.inputTimeOffRequestId"] = hris_id
        self._set_status(request, "Processing")
        answer = await self.workflows.run(
            workflow, inputs, request=request, version=handover.version, retry=True
        )
        self._ended(handover, workflow, answer)

    def _ended(self, handover: _Handover, workflow: Workflow, answer: Answer | None) -> None:
        request = handover.request
        if answer is None or not answer.accepted:
            self._set_status(request, "Error")
            handover.announce()
            return
        request.hris_request_id = answer.text("Flow.timeOffRequestId") or request.hris_request_id
        self._set_status(request, "AutomaticallyComplete")
        handover.announce()
        if request.status != "PENDING" or handover.status != "PENDING":
            return
        if answer.status == INSUFFICIENT:
            if request.substatus != INSUFFICIENT:
                self._book.patch(request, Change(substatus=INSUFFICIENT), by=SYSTEM)
                self._notification(request)()
        elif self._options.auto_approve and workflow is INSERT:
            self._approve(request)

    def _approve(self, request: TimeOffRequest) -> None:
        self._book.patch(request, Change(status="APPROVED", substatus="AutoApproved"), by=SYSTEM)
        announce = self._notification(request)
        if self._options.update_after_auto_approval:
            self.changed(request, announce)
        else:
            announce()


def _nothing() -> None:
    """The notification has gone out already."""

"""Runs of the five workflows at the address that is set, in either way of calling; every call on record.

plain        `POST {address}/v1/flows/{path}`, variables in and out
compatible   `GET /api/v2/flows?name=`, `POST /api/v2/flows/executions`, then
             `GET /api/v2/flows/executions/{id}` until the run has ended

Calls go out as they are: one connection each, sent once, no redirects.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp

from timeoff_sandbox.clock import Clock, instant
from timeoff_sandbox.genesys.native.options import NativeOptions
from timeoff_sandbox.genesys.time_off import TimeOffRequest
from timeoff_sandbox.genesys.wire import Json

CALLS_KEPT = 200_000
POLL_SECONDS = 0.05
ACCEPTED: Final = ("Complete", "InsufficientBalance")


@dataclass(frozen=True, slots=True)
class Workflow:
    """`path` is its name on the plain call, `title` the one in Genesys."""

    path: str
    title: str
    writes: bool = False


GET_AGENTS: Final = Workflow("get-agents", "HRIS-Get-Agents")
GET_TYPES: Final = Workflow("get-timeoff-types", "HRIS-Get-TimeOff-Types")
GET_BALANCE: Final = Workflow("get-balance", "HRIS-Get-Balance")
INSERT: Final = Workflow("insert-timeoff", "HRIS-Insert-TimeOff", writes=True)
UPDATE: Final = Workflow("update-timeoff", "HRIS-Update-TimeOff", writes=True)


@dataclass(frozen=True, slots=True)
class Answer:
    """The outputs of a run that ended. A call that was refused has none, and counts as `Error`."""

    status_code: int
    status: str
    outputs: Mapping[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether WFM takes the run for a success: InsufficientBalance is one, it stops an approval only."""
        return self.status_code < 300 and self.status in ACCEPTED

    def text(self, name: str) -> str:
        value = self.outputs.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        value = self.outputs.get(name)
        return [str(item) for item in value] if isinstance(value, list) else []


@dataclass(slots=True)
class WorkflowCall:
    """One call on record. Notes are left out of the inputs."""

    number: int
    workflow: Workflow
    way: str
    inputs: Json
    request_id: str | None
    version: int | None
    attempt: int
    #: The second of two calls that were made at once.
    twin: bool
    at: datetime
    duration_ms: int | None = None
    #: `answered`, `lost`, `timeout` or `noAnswer`; None while it is under way.
    outcome: str | None = None
    http_status: int | None = None
    problem: str | None = None
    answer: Mapping[str, Any] | None = None

    def truth(self) -> Json:
        return {
            "number": self.number,
            "flow": self.workflow.path,
            "way": self.way,
            "inputs": self.inputs,
            "requestId": self.request_id,
            "version": self.version,
            "attempt": self.attempt,
            "twin": self.twin,
            "at": self.at.timestamp(),
            "time": instant(self.at),
            "durationMs": self.duration_ms,
            "outcome": self.outcome,
            "httpStatus": self.http_status,
            "problem": self.problem,
            "answer": self.answer,
        }


class _Refused(Exception):
    """The call ended without outputs; `status_code` is what a workflow would tell of it."""

    def __init__(self, status_code: int, problem: str) -> None:
        super().__init__(problem)
        self.status_code, self.problem = status_code, problem


class Workflows:
    def __init__(self, clock: Clock, options: NativeOptions) -> None:
        self._clock = clock
        self._options = options
        self.calls: deque[WorkflowCall] = deque(maxlen=CALLS_KEPT)
        self._numbered = 0
        self._session: aiohttp.ClientSession | None = None
        self._may_write = asyncio.Event()
        self.options_changed()

    def options_changed(self) -> None:
        if self._options.hold:
            self._may_write.clear()
        else:
            self._may_write.set()

    def clear(self) -> None:
        self.calls.clear()
        self._numbered = 0

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def run(
        self,
        workflow: Workflow,
        inputs: Json,
        *,
        request: TimeOffRequest | None = None,
        version: int | None = None,
        retry: bool = False,
    ) -> Answer | None:
        """The answer that counts, or None if there was none, retries included."""
        attempt = 0
        while True:
            attempt += 1
            if workflow.writes:
                await self._may_write.wait()
            answer = await self._attempt(workflow, inputs, request, version, attempt)
            settled = answer is not None and (answer.accepted or not self._options.retry_failures)
            if settled or not retry or attempt > len(self._options.retry_seconds):
                return answer
            await asyncio.sleep(self._options.retry_seconds[attempt - 1])

    async def _attempt(
        self,
        workflow: Workflow,
        inputs: Json,
        request: TimeOffRequest | None,
        version: int | None,
        attempt: int,
    ) -> Answer | None:
        twins = workflow.writes and self._options.double_calls > 0
        if twins:
            self._options.double_calls -= 1
        calls = [self._record(workflow, inputs, request, version, attempt, twin=False)]
        if twins:
            calls.append(self._record(workflow, inputs, request, version, attempt, twin=True))
        answers = await asyncio.gather(*(self._call(call, inputs) for call in calls))
        told = [answer for answer in answers if answer is not None]
        return next((answer for answer in told if answer.accepted), told[0] if told else None)

    def _record(
        self,
        workflow: Workflow,
        inputs: Json,
        request: TimeOffRequest | None,
        version: int | None,
        attempt: int,
        *,
        twin: bool,
    ) -> WorkflowCall:
        self._numbered += 1
        call = WorkflowCall(
            number=self._numbered,
            workflow=workflow,
            way=self._options.way,
            inputs={name: value for name, value in inputs.items() if name != "Flow.notes"},
            request_id=None if request is None else request.id,
            version=version,
            attempt=attempt,
            twin=twin,
            at=self._clock.now(),
        )
        self.calls.append(call)
        return call

    async def _call(self, call: WorkflowCall, inputs: Json) -> Answer | None:
        began = time.monotonic()
        answer: Answer | None = None
        try:
            async with asyncio.timeout(self._options.timeout_seconds):
                answer = await (self._plain if call.way == "plain" else self._compatible)(call, inputs)
        except TimeoutError:
            call.outcome = "timeout"
        except (aiohttp.ClientError, OSError) as error:
            call.outcome, call.problem = "noAnswer", type(error).__name__
        except _Refused as error:
            call.outcome, call.problem = "answered", error.problem
            answer = Answer(error.status_code, "Error", {})
        else:
            call.outcome, call.answer = "answered", answer.outputs
        call.duration_ms = round((time.monotonic() - began) * 1000)
        if answer is not None and call.workflow.writes and self._options.lose_answers:
            self._options.lose_answers -= 1
            call.outcome = "lost"
            return None
        return answer

    async def _plain(self, call: WorkflowCall, inputs: Json) -> Answer:
        query = {"target": self._options.target} if self._options.target else {}
        return _answer(await self._ask(call, "POST", f"/v1/flows/{call.workflow.path}", query, inputs))

    async def _compatible(self, call: WorkflowCall, inputs: Json) -> Answer:
        title = call.workflow.title
        if self._options.target:
            title += f" ({self._options.target})"
        query = {"name": title, "type": "workflow"}
        page = await self._ask(call, "GET", "/api/v2/flows", query)
        entities = page.get("entities")
        flow_id = next(
            (
                each.get("id")
                for each in (entities if isinstance(entities, list) else ())
                if isinstance(each, dict) and each.get("name") == title
            ),
            None,
        )
        if flow_id is None:
            raise _Refused(404, "no such workflow")
        launch: Json = {"flowId": flow_id, "name": call.workflow.path}
        if inputs:
            launch["inputData"] = inputs
        launched = await self._ask(call, "POST", "/api/v2/flows/executions", {}, launch)
        if not isinstance(launched.get("id"), str):
            raise _Refused(500, "a launch without an id")
        while True:
            run = await self._ask(call, "GET", f"/api/v2/flows/executions/{launched['id']}", {})
            if run.get("status") not in ("RUNNING", "UNKNOWN"):
                break
            await asyncio.sleep(POLL_SECONDS)
        outputs = run.get("outputData")
        if run.get("status") != "COMPLETED" or not isinstance(outputs, dict):
            raise _Refused(500, f"the run ended as {run.get('status')}")
        return _answer(outputs)

    async def _ask(
        self, call: WorkflowCall, method: str, path: str, query: Mapping[str, str], body: Json | None = None
    ) -> Json:
        """The answer's object. Raises `_Refused` for any status but 200, and for what is no object."""
        if self._options.address is None:
            raise aiohttp.ClientError("no address")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        headers = {"Authorization": f"Bearer {self._options.token}"} if self._options.token else {}
        async with self._session.request(
            method,
            self._options.address.rstrip("/") + path,
            params=query,
            json=body,
            headers=headers,
            allow_redirects=False,
        ) as response:
            call.http_status = response.status
            text = await response.read()
        if call.http_status != 200:
            raise _Refused(call.http_status, f"HTTP {call.http_status}")
        try:
            document = json.loads(text)
        except ValueError:
            raise _Refused(500, "no JSON") from None
        if not isinstance(document, dict):
            raise _Refused(500, "no object")
        return document


def _answer(outputs: Json) -> Answer:
    """A status code is a number or its text; anything else is a failure."""
    try:
        status_code = int(str(outputs.get("Flow.statusCode")))
    except ValueError:
        status_code = 500
    return Answer(status_code, str(outputs.get("Flow.status")), outputs)

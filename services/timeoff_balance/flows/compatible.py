"""The calls by which a client of Genesys Cloud finds, launches and follows a workflow, answered here.

| call | answer |
| --- | --- |
| `GET /api/v2/flows?name=` | a page of workflows |
| `GET /api/v2/flows/{id}` | one of them |
| `POST /api/v2/flows/executions` | 200 and the id of a run that has begun, whatever its inputs are |
| `GET /api/v2/flows/executions/{id}` | `RUNNING`, then `COMPLETED` with every output |

A run that could not do its work is `COMPLETED` too: its outputs say what went wrong. Shapes are those of
Genesys Cloud's platform API (SDK 269 models: FlowExecutionLaunchRequest and -Response, FlowRuntimeExecution,
FlowVersion, ErrorBody) and of executions recorded in March 2025: integers of the outputs are strings, times
have milliseconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

from timeoff.database import CONNECTION_TROUBLE
from timeoff.strict_json import read_json
from timeoff_balance.access import CALLER
from timeoff_balance.flows.catalogue import Catalogue, Workflow
from timeoff_balance.flows.contract import FLOWS, input_schema, output_schema
from timeoff_balance.flows.executions import Execution, Executions, TooManyRunning
from timeoff_balance.flows.values import Unreadable, read_text

BASE: Final = "/api/v2/flows"
PAGE_SIZE: Final = 25
MAX_PAGE_SIZE: Final = 500
_MAX_NAME: Final = 256
_VERSION: Final = "1.0"


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Compatible:
    def __init__(self, catalogue: Catalogue, executions: Executions) -> None:
        self._catalogue = catalogue
        self._executions = executions

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(BASE, _answered(self.find)),
            web.post(f"{BASE}/executions", _answered(self.launch)),
            web.get(f"{BASE}/executions/{{id}}", _answered(self.follow)),
            web.get(f"{BASE}/{{id}}", _answered(self.show)),
        ]

    async def find(self, request: web.Request) -> dict[str, Any]:
        """Workflows by name, a page of them."""
        query = request.query
        size = _count(query, "pageSize", PAGE_SIZE, MAX_PAGE_SIZE)
        number = _count(query, "pageNumber", 1, 1_000_000)
        wanted_ids = {id.lower() for id in query.getall("id", [])}
        wanted_types = {type_.lower() for type_ in query.getall("type", [])}
        found = [
            workflow
            for workflow in self._catalogue.named(query.get("name", ""))
            if (not wanted_ids or workflow.id in wanted_ids)
            and (not wanted_types or "workflow" in wanted_types)
        ]
        pages = max(1, -(-len(found) // size))

        def uri(page: int) -> str:
            return f"{BASE}?{urlencode({'pageSize': size, 'pageNumber': page})}"

        answer: dict[str, Any] = {
            "entities": [_shown(workflow) for workflow in found[(number - 1) * size : number * size]],
            "pageSize": size,
            "pageNumber": number,
            "total": len(found),
            "firstUri": uri(1),
            "selfUri": uri(number),
            "lastUri": uri(pages),
            "pageCount": pages,
        }
        if number < pages:
            answer["nextUri"] = uri(number + 1)
        if number > 1:
            answer["previousUri"] = uri(number - 1)
        return answer

    async def show(self, request: web.Request) -> dict[str, Any]:
        return _shown(self._workflow(request.match_info["id"]))

    async def launch(self, request: web.Request) -> dict[str, Any]:
        """Begin a run. Only a call that names no workflow, or is no such call at all, is refused."""
        document = _object(await request.read())
        flow_id = document.get("flowId")
        if not isinstance(flow_id, str) or not flow_id.strip():
            raise _Refused(400, "bad.request", "flowId is missing")
        workflow = self._workflow(flow_id)
        if workflow.flow.writes and not request[CALLER].write:
            raise _Refused(403, "missing.any.permissions", "This token may only read")
        given = document.get("inputData")
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise _Refused(400, "bad.request", "inputData is not an object")
        try:
            name = read_text(document.get("name")) or workflow.name
        except Unreadable as error:
            raise _Refused(400, "bad.request", f"name {error}") from None
        if len(name) > _MAX_NAME:
            raise _Refused(400, "bad.request", f"name has more than {_MAX_NAME} characters")
        try:
            id = await self._executions.launch(workflow.flow, workflow.target, name, given)
        except TooManyRunning:
            raise _Refused(429, "too.many.requests", "Too many flows are running, try again later") from None
        version_uri = f"{BASE}/{workflow.id}/versions/{_VERSION}"
        return {
            "id": id,
            "name": name,
            "flowVersion": {"id": _VERSION, "name": _VERSION, "selfUri": version_uri},
            "selfUri": f"{BASE}/executions/{id}",
        }

    async def follow(self, request: web.Request) -> dict[str, Any]:
        id = request.match_info["id"]
        execution = await self._executions.get(id)
        if execution is None:
            raise _not_found("flow execution")
        return _followed(execution)

    def _workflow(self, id: str) -> Workflow:
        workflow = self._catalogue.get(id)
        if workflow is None:
            raise _not_found("flow")
        return workflow


def _not_found(what: str) -> _Refused:
    return _Refused(404, "not.found", f"The requested {what} was not found")


def _away() -> _Refused:
    return _Refused(503, "service.unavailable", "The database cannot be reached, try again later")


def _followed(execution: Execution) -> dict[str, Any]:
    flow = FLOWS[execution.flow]
    shown: dict[str, Any] = {
        "id": execution.id,
        "name": execution.name,
        "flowVersion": _version(flow.id(execution.target), execution.flow),
        "dateLaunched": _moment(execution.launched_at),
        "status": "RUNNING",
    }
    if execution.completed_at is not None:
        shown |= {
            "status": "COMPLETED",
            "dateCompleted": _moment(execution.completed_at),
            "completionReason": "Success",
            "outputData": dict(execution.outputs or {}),
        }
    elif execution.lost:
        shown |= {
            "status": "FAILED",
            "flowErrorInfo": error_body(500, "flow.lost", "The process of this run ended before it did"),
        }
    shown["selfUri"] = f"{BASE}/executions/{execution.id}"
    return shown


def _shown(workflow: Workflow) -> dict[str, Any]:
    return {
        "id": workflow.id,
        "name": workflow.name,
        "description": workflow.flow.about,
        "type": "WORKFLOW",
        "active": True,
        "system": False,
        "deleted": False,
        "publishedVersion": _version(workflow.id, workflow.flow.name),
        "selfUri": f"{BASE}/{workflow.id}",
    }


def _version(flow_id: str, flow: str) -> dict[str, Any]:
    return {
        "id": _VERSION,
        "name": _VERSION,
        "commitVersion": _VERSION,
        "configurationVersion": _VERSION,
        "type": "PUBLISH",
        "secure": False,
        "debug": False,
        "inputSchema": input_schema(FLOWS[flow]),
        "outputSchema": output_schema(FLOWS[flow], integers_as_text=True),
        "supportedLanguages": [{"language": "en-us", "isDefault": True}],
        "selfUri": f"{BASE}/{flow_id}/versions/{_VERSION}",
    }


def _moment(moment: datetime) -> str:
    """`2025-03-26T19:50:17.823Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        document = read_json(raw)
    except ValueError:
        raise _Refused(400, "bad.request", "The body is not valid JSON") from None
    if not isinstance(document, dict):
        raise _Refused(400, "bad.request", "The body is not an object")
    return document


def _count(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise _Refused(400, "bad.request", f"{name} is not a number from 1 to {most}")
    return int(text)


def error_body(status: int, code: str, message: str) -> dict[str, Any]:
    """An error as Genesys Cloud writes it (ErrorBody)."""
    return {
        "message": message,
        "code": code,
        "status": status,
        "messageParams": {},
        "contextId": str(uuid4()),
        "details": [],
        "errors": [],
    }


def _answered(
    handler: Callable[[web.Request], Awaitable[dict[str, Any]]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answered(request: web.Request) -> web.StreamResponse:
        headers = {"Cache-Control": "no-store"}
        try:
            return web.json_response(await handler(request), headers=headers)
        except (_Refused, *CONNECTION_TROUBLE) as error:
            refused = error if isinstance(error, _Refused) else _away()
            body = error_body(refused.status, refused.code, refused.message)
            headers["ININ-Correlation-Id"] = body["contextId"]
            if refused.status in (429, 503):
                headers["Retry-After"] = "5"
            return web.json_response(body, status=refused.status, headers=headers)

    return answered


__all__ = ["BASE", "Compatible", "error_body"]

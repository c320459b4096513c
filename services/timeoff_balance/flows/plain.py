"""`POST /v1/flows/{name}`: a flow as one call, for a data action or whoever else speaks HTTP.

The answer is 200 with every output, whatever came of the run: on any other status a data action loses its
outputs. Only a call that is none is refused: a wrong token, a body too large or not a JSON object, a flow or
an HRIS that does not exist in the address. An empty body gives no inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, create_model

from timeoff.openapi import Answer, Operation, Parameter
from timeoff.strict_json import read_json
from timeoff_balance.access import CALLER
from timeoff_balance.errors import Refusal
from timeoff_balance.flows.contract import Flow, Kind, Variable, output_schema
from timeoff_balance.flows.results import outputs
from timeoff_balance.flows.running import Flows
from timeoff_balance.routes import query_of
from timeoff_balance.wire import ProblemDetails

BASE: Final = "/v1/flows"
_SHAPES: Final = {
    Kind.STRING: "text or number",
    Kind.INTEGER: "number, or text of one",
    Kind.STRINGS: "array of texts or numbers, the JSON text of one, or a single value",
}
#: Before a run begins.
_REFUSALS: Final = {
    400: "The body is not a JSON object, a parameter is wrong, or one of several HRIS has to be named.",
    401: "No valid token.",
    403: "The token may not run this flow.",
    404: "There is no such HRIS.",
    413: "The body is too large.",
    415: "The body is compressed.",
    429: "Too many calls.",
    503: "Nobody can tell whose token this is.",
}


class _Given(BaseModel):
    """Any value is taken: what cannot be used is told in the outputs."""

    model_config = ConfigDict(extra="allow")


def input_model(flow: Flow) -> type[BaseModel]:
    """What a body may hold, made from the contract."""
    fields: dict[str, Any] = {
        variable.name: (Any, Field(None, alias=variable.key, description=_about(variable)))
        for variable in flow.inputs
    }
    return create_model(f"{_camel(flow)}Inputs", __base__=_Given, **fields)


def _camel(flow: Flow) -> str:
    return "".join(word.capitalize() for word in flow.name.split("-"))


def _about(variable: Variable) -> str:
    needed = "; needed" if variable.mandatory else ""
    return f"{variable.about}: {_SHAPES[variable.kind]}{needed}"


class Plain:
    def __init__(self, flows: Flows, target: Callable[[str | None], str]) -> None:
        """`target`: the HRIS of that name, or the only one. Raises `Refusal`."""
        self._flows = flows
        self._target = target

    def routes(self) -> list[web.RouteDef]:
        return [self._route(flow) for flow in self._flows.all]

    def _route(self, flow: Flow) -> web.RouteDef:
        async def answer(request: web.Request) -> web.StreamResponse:
            if flow.writes and not request[CALLER].write:
                raise Refusal(403, "read_only", "This token may only read")
            target = self._target(query_of(request, "target").get("target"))
            document = read_document(await request.read())
            result = await self._flows.run(flow, target, document)
            return web.json_response(outputs(flow, result), headers={"Cache-Control": "no-store"})

        return web.post(f"{BASE}/{flow.name}", answer)


def read_document(raw: bytes) -> dict[str, Any]:
    """The body. Raises `Refusal` 400 for what is no JSON object."""
    if not raw.strip():
        return {}
    try:
        document = read_json(raw)
    except ValueError:
        raise Refusal(400, "not_json", "The body is not valid JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "not_an_object", "The body is not a JSON object")
    return document


def operation(flow: Flow) -> Operation:
    """The call as the OpenAPI document shows it."""
    return Operation(
        method="POST",
        path=f"{BASE}/{flow.name}",
        id=f"run{_camel(flow)}",
        tag="flows",
        summary=flow.title,
        description=f"{flow.about} Whatever comes of it is told in the outputs, with status 200.",
        parameters=[
            Parameter(
                "target",
                "query",
                {"type": "string", "minLength": 1, "maxLength": 200},
                "the HRIS by its name in the settings, if several",
            )
        ],
        body=input_model(flow),
        body_required=False,
        answers=[
            Answer(200, "Every output of the flow.", schema=output_schema(flow)),
            *(
                Answer(status, about, ProblemDetails, media_type="application/problem+json")
                for status, about in _REFUSALS.items()
            ),
        ],
    )


__all__ = ["BASE", "Plain", "input_model", "operation", "read_document"]

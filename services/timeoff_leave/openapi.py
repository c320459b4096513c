"""/openapi.json: the routes as a document. It needs no token, and holds no data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from aiohttp import web
from pydantic.alias_generators import to_camel

from timeoff import openapi
from timeoff.openapi import Answer, Operation, Parameter
from timeoff.telemetry.metrics import product_version
from timeoff_leave.filters import Kind
from timeoff_leave.listing import Resource
from timeoff_leave.road import BASE, TOKEN_PATH
from timeoff_leave.routes import Route
from timeoff_leave.selection import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET
from timeoff_leave.tokens import TokenReply, TokenRequest
from timeoff_leave.values import MAX_ID

PATH: Final = "/openapi.json"

_ABOUT: Final = """\
Leave types, policies, items, assignments and balances in the way of TrackTik's leave API; employees and
regions, as far as those need them; and leave requests, which are an extension of this project.

**Lists** take `limit`, `offset`, `sort` (`-` before a field turns the order), and every field as a filter:
`field=value`, or `field:function=value` with the functions `in` (words with commas), `not`, `contains`
(texts), `gt`, `gte`, `lt`, `lte`, and `after`, `before` (dates). Texts are compared without case; `null` is
no value. `include` puts the record in the place of its id, or adds a list; dots go deeper. `fields` picks
fields, and `field:name` gives one another name.

**Errors** are one object: a field, a resource or an action, each with a list of messages. Fields of a body
that are not known, or computed here, are ignored.
"""

_ERROR: Final = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "string"}},
}
_FILTERS: Final[dict[Kind, dict[str, Any]]] = {
    "integer": {"type": ["integer", "null"]},
    "text": {"type": "string"},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "moment": {"type": ["string", "null"], "format": "date-time"},
    "local": {"type": ["string", "null"], "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"},
    "day": {"type": ["string", "null"], "format": "date"},
}


def document(routes: Iterable[Route], *, envelope: bool) -> dict[str, Any]:
    """The whole document; with `envelope`, answers are shown in theirs."""
    return openapi.document(
        title="Leave",
        version=product_version(),
        description=_ABOUT,
        operations=[_token_call(), *(_operation(route, envelope) for route in routes)],
        security_schemes={
            "password": {"type": "oauth2", "flows": {"password": {"tokenUrl": TOKEN_PATH, "scopes": {}}}}
        },
    )


def route(routes: Sequence[Route], *, envelope: bool) -> web.RouteDef:
    """Serves the document, which is put together once."""
    text = json.dumps(document(routes, envelope=envelope), ensure_ascii=False)

    async def read_document(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    return web.get(PATH, read_document)


def _operation(route: Route, envelope: bool) -> Operation:
    wrapped = _envelope(route.many) if envelope else None
    answers = [
        Answer(
            200,
            "The record." if not route.many else "A page.",
            route.resource.record,
            route.many,
            None,
            wrapped,
        ),
        *_refusals(route),
    ]
    return Operation(
        method=route.method,
        path=BASE + route.path,
        id=to_camel(route.handler.__name__),
        tag=route.name,
        summary=route.summary,
        description=route.description,
        parameters=list(_parameters(route)),
        body=route.body,
        body_required=not route.body_optional,
        answers=answers,
    )


def _envelope(many: bool) -> dict[str, Any]:
    counts = ("count", "itemCount", "limit", "offset") if many else ()
    properties = {"resource": {"type": "string"}, **{name: {"type": "integer"} for name in counts}}
    return {"meta": {"type": "object", "properties": properties, "required": list(properties)}}


def _refusals(route: Route) -> Iterator[Answer]:
    def error(status: int, text: str, headers: dict[str, str] | None = None, examples: Any = ()) -> Answer:
        return Answer(status, text, schema=_ERROR, headers=headers or {}, examples=examples)

    yield error(400, "The call is wrong.", examples=route.examples)
    yield error(401, "No valid token.", {"WWW-Authenticate": "Bearer"})
    if route.method != "GET":
        yield error(403, "The account may not do this.")
    if "{id}" in route.path:
        yield error(404, "There is no such record, or the account may not see it.")
    if route.method != "GET":
        yield error(408, "The body did not come in time.")
        yield error(413, "The body is too large.")
        yield error(415, "The body is not JSON.")
    yield error(429, "Too many calls.", {"Retry-After": "seconds to wait"})
    yield error(503, "The database cannot be reached.", {"Retry-After": "seconds to wait"})


def _parameters(route: Route) -> Iterator[Parameter]:
    resource = route.resource
    if "{id}" in route.path:
        yield Parameter("id", "path", {"type": "integer", "minimum": 1, "maximum": MAX_ID})
    if route.many:
        limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        yield Parameter("limit", "query", limits)
        yield Parameter(
            "offset", "query", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}
        )
        names = [sign + name for name in resource.columns for sign in ("", "-")]
        yield _words("sort", names, "fields, `-` turns the order")
    if resource.includes:
        yield _words("include", _includes(resource), "records in the place of ids, and lists; dots go deeper")
    yield _words("fields", sorted(resource.fields), "what is answered, `field:name` under another name")
    if route.many:
        for name, kind in resource.columns.items():
            yield Parameter(name, "query", _FILTERS[kind])


def _words(name: str, choices: Sequence[str], description: str) -> Parameter:
    items = {"type": "string", "enum": list(choices)}
    schema = {"type": "array", "items": items}
    return Parameter(name, "query", schema, description, commas=True)


def _includes(resource: Resource) -> list[str]:
    """Includes, and those one step deeper."""
    found = []
    for name, include in resource.includes.items():
        target = include.target or resource
        found += [name, *(f"{name}.{deeper}" for deeper in target.includes)]
    return found


def _token_call() -> Operation:
    return Operation(
        method="POST",
        path=TOKEN_PATH,
        id="getToken",
        tag="oauth2",
        summary="Get an access token",
        description="A refresh token works once and brings a new one.",
        body=TokenRequest,
        body_types=("application/x-www-form-urlencoded", "application/json"),
        answers=[
            Answer(200, "Tokens.", TokenReply),
            Answer(400, "The call is wrong.", schema=_ERROR),
            Answer(401, "The credentials are not right.", schema=_ERROR),
            Answer(408, "The body did not come in time.", schema=_ERROR),
            Answer(413, "The body is too large.", schema=_ERROR),
            Answer(415, "The body is neither form nor JSON.", schema=_ERROR),
            Answer(
                429,
                "The address has had too many failed logins.",
                schema=_ERROR,
                headers={"Retry-After": "seconds to wait"},
            ),
            Answer(503, "The database cannot be reached.", schema=_ERROR),
        ],
        public=True,
    )

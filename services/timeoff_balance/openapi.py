"""/openapi.json: the calls as a document (OpenAPI 3.1). It needs no token, and holds no data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from aiohttp import web

from timeoff import openapi
from timeoff.openapi import Answer, Operation, Parameter
from timeoff.telemetry.metrics import product_version
from timeoff_balance.routes import MAX_PAGE, PAGE, TOKEN_PATH
from timeoff_balance.wire import (
    AgentPage,
    BalanceAnswer,
    BalanceQuery,
    ProblemDetails,
    TimeOffTypes,
    TokenError,
    TokenReply,
    TokenRequest,
)

PATH: Final = "/openapi.json"
PROBLEM: Final = "application/problem+json"

_ABOUT: Final = """\
What an employee has left, who is an employee, and which types of time off there are.

Numbers are minutes. A number says where it comes from: the HRIS's own amount, when it was read, whether it
is exact for the date, projected, or only the current one; what is accepted and not booked is subtracted, and
shown.
What is not known is `unknown` with a reason, never 0.

Errors are problems (RFC 9457) with a `code` that does not change.
"""
_WORD: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_TARGET: Final = Parameter("target", "query", _WORD, "the HRIS, where there are several")


def operations() -> list[Operation]:
    return [
        Operation(
            method="POST",
            path="/v1/balances/query",
            id="queryBalances",
            tag="balances",
            summary="What an employee has left",
            description="At most 2,000 dates, and dates x types of at most 2,000. Nothing is cut silently.",
            body=BalanceQuery,
            answers=[
                Answer(200, "A row for each date and type.", BalanceAnswer),
                *_problems(400, 401, 403, 404, 413, 415, 429, 503),
            ],
        ),
        Operation(
            method="GET",
            path="/v1/agents",
            id="listAgents",
            tag="directory",
            summary="Employees of the HRIS",
            parameters=[
                _TARGET,
                Parameter(
                    "limit",
                    "query",
                    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": PAGE},
                ),
                Parameter("after", "query", _WORD, "`next` of the page before"),
            ],
            answers=[Answer(200, "A page.", AgentPage), *_problems(400, 401, 403, 404, 429, 503)],
        ),
        Operation(
            method="GET",
            path="/v1/time-off-types",
            id="listTimeOffTypes",
            tag="directory",
            summary="Types of time off in the HRIS",
            parameters=[_TARGET],
            answers=[Answer(200, "All types.", TimeOffTypes), *_problems(400, 401, 403, 404, 429, 503)],
        ),
        Operation(
            method="POST",
            path=TOKEN_PATH,
            id="getToken",
            tag="oauth2",
            summary="Get an access token",
            description="Client credentials; id and secret in a Basic header or in the form.",
            body=TokenRequest,
            body_types=("application/x-www-form-urlencoded",),
            answers=[
                Answer(200, "A token.", TokenReply),
                Answer(400, "The call is wrong.", TokenError),
                Answer(401, "The client or its secret is wrong.", TokenError),
                *_problems(413, 415, 429, 503),
            ],
            public=True,
        ),
    ]


_SAID: Final = {
    400: ("The request is wrong.", {}),
    401: ("No valid token.", {"WWW-Authenticate": "Bearer"}),
    403: ("The token may not see this.", {}),
    404: ("There is no such employee, or no such HRIS.", {}),
    413: ("The body is too large.", {}),
    415: ("The body is of another kind.", {}),
    429: ("Too many calls.", {"Retry-After": "seconds to wait"}),
    503: ("The ledger, the HRIS or Genesys does not answer.", {"Retry-After": "seconds to wait"}),
}


def _problems(*statuses: int) -> Iterator[Answer]:
    for status in statuses:
        text, headers = _SAID[status]
        yield Answer(status, text, ProblemDetails, headers=headers, media_type=PROBLEM)


def document(described: Sequence[Operation]) -> dict[str, Any]:
    return openapi.document(
        title="Balances",
        version=product_version(),
        description=_ABOUT,
        operations=described,
        security_schemes={
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": f"A token of the settings, one from {TOKEN_PATH}, or a user's own of Genesys.",
            }
        },
    )


def route(described: Sequence[Operation]) -> web.RouteDef:
    """Serves the document, which is put together once."""
    text = json.dumps(document(described), ensure_ascii=False)

    async def read_document(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    return web.get(PATH, read_document)


__all__ = ["PATH", "document", "operations", "route"]

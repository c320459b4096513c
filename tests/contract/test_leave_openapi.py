"""The leave service does what its OpenAPI document says: calls made of the document, right and wrong ones,
on the real service and a real database. Every answer has a status that the document names, in the shape
that it gives; none is a server error; what the document forbids is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support import postgres
from tests.support.beside import running_beside
from tests.support.leave import served

from timeoff_leave import app, openapi
from timeoff_leave.road import TOKEN_PATH

DOCUMENTS = {envelope: openapi.document(app.ROUTES, envelope=envelope) for envelope in (False, True)}
OPERATIONS = [
    (method.upper(), path) for path, operations in DOCUMENTS[False]["paths"].items() for method in operations
]
#: Of each kind (right, wrong) for each call; in the envelope it is only the answers that differ.
EXAMPLES = {False: 12, True: 3}

REFUSED_IF_WRONG = (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
)


@dataclass(frozen=True)
class Running:
    envelope: bool
    url: str
    token: str
    schema: Any


@pytest.fixture(scope="module", params=[False, True], ids=["bare", "enveloped"])
def running(postgres_server: postgres.DatabaseServer, request: pytest.FixtureRequest) -> Iterator[Running]:
    """The service in a loop of its own: schemathesis waits for answers in the test's thread."""
    envelope = bool(request.param)

    @asynccontextmanager
    async def serve(url: str) -> AsyncIterator[tuple[str, str]]:
        async with served(url) as leave:
            region = await leave.region("West")
            items = [await leave.item(region=region, leaveType=leave_type) for leave_type in (8, 10, 9)]
            policies = [await leave.policy(region=region, items=items[:number]) for number in (2, 1, 0)]
            people = [await leave.employee(region=region) for _ in range(4)]
            await leave.assign(policies[0], *people[:2])
        async with served(url, requests_per_minute=1_000_000, envelope=envelope) as leave:
            assert leave.token is not None
            yield leave.url, leave.token

    with running_beside(postgres_server, f"leave_openapi_{envelope}".lower(), serve) as (url, token):
        yield Running(envelope, url, token, schemathesis.openapi.from_url(url + openapi.PATH))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: str(part))
def test_calls_made_of_the_document_are_answered_as_it_says(
    running: Running, method: str, path: str, mode: GenerationMode
) -> None:
    operation = running.schema[path][method]

    @seed(1)
    @settings(
        max_examples=EXAMPLES[running.envelope],
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), id=st.integers(1, 4))
    def call(case: Any, id: int) -> None:
        if mode.is_positive and "id" in case.path_parameters:
            case.path_parameters["id"] = id  # one that is there, more often than chance would have it
        response = case.call(headers={"Authorization": f"Bearer {running.token}"})
        case.validate_response(response, checks=REFUSED_IF_WRONG)

    call()


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda part: str(part))
def test_without_a_token_a_call_is_answered_as_the_document_says_and_no_more(
    running: Running, method: str, path: str
) -> None:
    operation = running.schema[path][method]

    @seed(1)
    @settings(max_examples=2, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        response = case.call()
        case.validate_response(response, checks=(response_schema_conformance, status_code_conformance))
        assert response.status_code == 401 or path == TOKEN_PATH

    call()


def test_the_document_is_the_one_of_the_routes_and_valid(running: Running) -> None:
    document = DOCUMENTS[running.envelope]
    assert running.schema.raw_schema == document
    assert document["openapi"].startswith("3.1.")
    assert len(OPERATIONS) == len(app.ROUTES) + 1
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(set(ids)) == len(ids)

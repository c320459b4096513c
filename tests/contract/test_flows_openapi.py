"""The plain calls of the flows do what the OpenAPI document says, whatever body they are given: every answer
has a status that the document names and the shape that it gives, and none is a server error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support import postgres
from tests.support.beside import running_beside
from tests.support.flows import TITLES, TOKEN, blueprint

from timeoff_balance import openapi

FLOWS = tuple(TITLES)
EXAMPLES = 20
CHECKS = (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
)


@dataclass(frozen=True)
class Running:
    url: str
    schema: Any


@pytest.fixture(scope="module")
def running(postgres_server: postgres.DatabaseServer) -> Iterator[Running]:
    """The service in a loop of its own: schemathesis waits for answers in the test's thread."""

    @asynccontextmanager
    async def serve(url: str) -> AsyncIterator[str]:
        async with blueprint(url, balance={"requests_per_minute": 1_000_000}) as place:
            yield place.url

    with running_beside(postgres_server, "flows_openapi", serve) as url:
        yield Running(url, schemathesis.openapi.from_url(url + openapi.PATH))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("flow", FLOWS)
def test_calls_made_of_the_document_are_answered_as_it_says(
    running: Running, flow: str, mode: GenerationMode
) -> None:
    operation = running.schema[f"/v1/flows/{flow}"]["POST"]

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Any) -> None:
        response = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        case.validate_response(response, checks=CHECKS)

    call()


def test_the_five_flows_are_described(running: Running) -> None:
    document = running.schema.raw_schema
    described = {path for path in document["paths"] if path.startswith("/v1/flows/")}
    assert described == {f"/v1/flows/{flow}" for flow in FLOWS}
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)

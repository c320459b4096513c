"""The balance service does what its OpenAPI document says: calls made of the document, right and wrong ones,
on the real service, a real database and the sandbox's HRIS. Every answer has a status that the document
names, in the shape that it gives; none is a server error; what the document forbids is refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
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
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support import postgres
from tests.support.balance import CLIENT, SECRET, WRITER, served
from tests.support.beside import running_beside
from tests.support.system import in_days, running_system

from timeoff_balance import openapi

#: The calls of the service itself; those of the flows have a suite of their own.
OWN = [(operation.method, operation.path) for operation in openapi.operations()]
#: Of each kind (right, wrong) for each call.
EXAMPLES = 60

REFUSED_IF_WRONG = (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
)


@dataclass(frozen=True)
class Running:
    url: str
    employee_id: str
    schema: Any


@pytest.fixture(scope="module")
def running(
    postgres_server: postgres.DatabaseServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The service in a loop of its own: schemathesis waits for answers in the test's thread."""
    folder: Path = tmp_path_factory.mktemp("balance")

    @asynccontextmanager
    async def serve(url: str) -> AsyncIterator[tuple[str, str]]:
        async with (
            running_system(url, folder, listen=False, syncs=0) as system,
            served(system.settings, requests_per_minute=1_000_000, failures_per_minute=1_000_000) as desk,
        ):
            yield desk.url, str(system.agents[0].employee_id)

    with running_beside(postgres_server, "balance_openapi", serve) as (url, employee_id):
        yield Running(url, employee_id, schemathesis.openapi.from_url(url + openapi.PATH))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("method", "path"), OWN, ids=lambda part: str(part))
def test_calls_made_of_the_document_are_answered_as_it_says(
    running: Running, method: str, path: str, mode: GenerationMode
) -> None:
    operation = running.schema[path][method]
    statuses: set[int] = set()

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), known=st.integers(0, 3))
    def call(case: Any, known: int) -> None:
        if mode.is_positive:
            likely(case, known)
        response = case.call(headers={"Authorization": f"Bearer {WRITER}"})
        statuses.add(response.status_code)
        case.validate_response(response, checks=REFUSED_IF_WRONG)

    def likely(case: Any, known: int) -> None:
        """An employee, a client, an HRIS that are there, more often than chance would have it."""
        if path == "/v1/balances/query" and known and isinstance(case.body, dict):
            case.body.pop("agentId", None)
            case.body.pop("target", None)
            case.body["employeeId"] = running.employee_id
            case.body["dates"] = [in_days(known)]
        elif path == "/oauth/token" and known and isinstance(case.body, dict):
            case.body |= {"client_id": CLIENT, "client_secret": SECRET}
        elif known and case.query:
            case.query.pop("target", None)

    call()
    assert (200 if mode.is_positive else 400) in statuses, statuses


def test_the_document_is_valid_and_served_without_a_token(running: Running) -> None:
    document = running.schema.raw_schema
    assert document["openapi"].startswith("3.1.")
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    ids = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(set(ids)) == len(ids)
    for method, path in OWN:
        described = document["paths"][path][method.lower()]
        problems = [answer for status, answer in described["responses"].items() if int(status) >= 400]
        assert all("application/" in next(iter(answer["content"])) for answer in problems)

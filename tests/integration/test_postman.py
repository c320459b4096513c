"""The Postman collection, run by newman against a real service.

Promise: somebody who imports collection and environment, and fills in address and credentials, sees all five
flows work on both ways of calling, and sees it if one does not.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.postman.newman import FETCH_WITHIN, newman
from tests.support.balance import sha256
from tests.support.flows import EVENTS, FLOWS, Blueprint, Json, blueprint

from timeoff_balance.flows import contract

#: The first run on a machine fetches newman.
pytestmark = pytest.mark.timeout(FETCH_WITHIN + 120)

POSTMAN = Path(__file__).parents[2] / "deploy" / "genesys" / "postman"
COLLECTION = POSTMAN / "timeoff-sync.postman_collection.json"
ENVIRONMENT = POSTMAN / "timeoff-sync.postman_environment.json"
SECRET = "3c9d1e"


@dataclass(frozen=True)
class Report:
    exit_code: int
    run: Json

    @property
    def requests(self) -> list[str]:
        """Names of the requests, in the order in which they were made."""
        return [each["item"]["name"] for each in self.run["executions"]]

    @property
    def assertions(self) -> list[tuple[str, str, str | None]]:
        """(request, assertion, what is wrong)."""
        return [
            (each["item"]["name"], found["assertion"], (found.get("error") or {}).get("message"))
            for each in self.run["executions"]
            for found in each.get("assertions", [])
        ]

    @property
    def failures(self) -> list[Any]:
        return [(each["source"].get("name"), each["error"]["message"]) for each in self.run["failures"]]


@pytest.fixture(scope="session")
def program() -> Path:
    return newman()


@pytest.fixture(params=[EVENTS, FLOWS])
async def place(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Blueprint]:
    """On both write paths."""
    clients = [{"client_id": "genesys", "secret_sha256": sha256(SECRET), "access": "read-write"}]
    settings = {"balance": {"clients": clients}}
    async with blueprint(database_url, write_path=request.param, **settings) as running:
        yield running


async def run(program: Path, place: Blueprint, folder: Path, *arguments: str, **variables: str) -> Report:
    report = folder / "report.json"
    given = {
        "baseUrl": place.url,
        "clientSecret": SECRET,
        "firstDate": "2025-03-31",
        "secondDate": "2025-04-01",
        **variables,
    }
    process = await asyncio.create_subprocess_exec(
        str(program),
        "run",
        str(COLLECTION),
        *("--environment", str(ENVIRONMENT)),
        *(word for name, value in given.items() for word in ("--env-var", f"{name}={value}")),
        *("--reporters", "json", "--reporter-json-export", str(report)),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert report.exists(), said.decode()
    assert process.returncode is not None
    return Report(process.returncode, json.loads(report.read_text())["run"])


async def test_all_five_flows_on_both_ways(program: Path, place: Blueprint, tmp_path: Path) -> None:
    report = await run(program, place, tmp_path)
    assert (report.failures, report.exit_code) == ([], 0)
    items = json.loads(COLLECTION.read_text())["item"]
    planned = [request["name"] for folder in items for request in folder["item"]]
    made = report.requests
    assert list(dict.fromkeys(made)) == planned
    assert all(made.count(name) == 1 or name.endswith(": result") for name in planned), (
        "only results are polled"
    )
    done = {request for request, assertion, _ in report.assertions if assertion == "the outputs make sense"}
    assert done == {name for name in planned if name.endswith((": plain", ": result"))}
    assert len(done) == 2 * 6


async def test_the_second_run_does_as_the_first(program: Path, place: Blueprint, tmp_path: Path) -> None:
    """What a run books it takes back."""
    for _ in range(2):
        report = await run(program, place, tmp_path)
        assert (report.failures, report.exit_code) == ([], 0)


async def test_a_failing_flow_is_seen_on_both_ways(program: Path, place: Blueprint, tmp_path: Path) -> None:
    report = await run(program, place, tmp_path, agentId="999")
    assert report.exit_code == 1
    wrong = {(request, assertion) for request, assertion, error in report.assertions if error}
    for request in ("Get-Balance: plain", "Insert-TimeOff: plain", "Insert-TimeOff: result"):
        assert (request, "the run says Complete and 200") in wrong
    assert ("Get-Agents: plain", "the outputs make sense") in wrong
    assert ("Get-Agents: plain", "the run says Complete and 200") not in wrong


async def test_a_wrong_secret_is_seen(program: Path, place: Blueprint, tmp_path: Path) -> None:
    report = await run(program, place, tmp_path, "--folder", "Token", clientSecret="of somebody else")
    assert report.exit_code == 1
    assert {request for request, _, error in report.assertions if error} == {"Token"}


def test_the_environment_has_every_variable_and_no_secret() -> None:
    """Those that a run finds out itself excepted."""
    values = json.loads(ENVIRONMENT.read_text())["values"]
    used = set(re.findall(r"\{\{(\w+)\}\}", COLLECTION.read_text()))
    found_out = {"flowId", "executionId", "timeOffRequestId"}
    assert {each["key"] for each in values} == used - found_out
    assert {each["key"]: each["value"] for each in values if each["type"] == "secret"} == {
        "clientSecret": "",
        "token": "",
    }


def test_every_flow_is_there_on_both_ways() -> None:
    folders = {each["name"]: json.dumps(each) for each in json.loads(COLLECTION.read_text())["item"]}
    for flow in contract.FLOWS.values():
        assert f"/v1/flows/{flow.name}" in folders["Plain"]
        assert f"/api/v2/flows?name={flow.title}" in folders["Compatible"]

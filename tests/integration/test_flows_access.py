"""Who may run which flow of which HRIS, and that flows which book exist only where something books."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.balance import TOKEN, WRITER, Desk, served
from tests.support.flows import blueprint
from tests.support.system import running_system

from timeoff_balance import app, metrics
from timeoff_balance.flows.results import Result, complete
from timeoff_balance.flows.routes import FlowService
from timeoff_balance.flows.values import Inputs

WRITING = ("insert-timeoff", "update-timeoff")
INPUTS = {
    "Flow.agentId": 452,
    "Flow.dates": ["2025-03-29"],
    "Flow.minDate": "2025-03-29",
    "Flow.maxDate": "2025-03-29",
    "Flow.timeOffStatus": "APPROVED",
    "Flow.timeOffTypeId": 83,
    "Flow.payableMinutes": 480,
    "Flow.inputTimeOffRequestId": 4828,
}


class Booked:
    """Books nothing and tells what it was given."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str, Inputs]] = []

    async def insert(self, target: str, inputs: Inputs) -> Result:
        self.runs.append(("insert", target, inputs))
        return complete({"timeOffRequestId": "4828"})

    async def update(self, target: str, inputs: Inputs) -> Result:
        self.runs.append(("update", target, inputs))
        return complete({"timeOffRequestId": "4829"})


@asynccontextmanager
async def desk_with(
    booked: Booked, database_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    def with_booking(**given: Any) -> FlowService:
        return FlowService(**given, booking=booked)

    monkeypatch.setattr(app, "FlowService", with_booking)
    async with (
        running_system(database_url, folder, agents=1, listen=False, syncs=0) as system,
        served(system.settings, follow=False) as desk,
    ):
        yield desk


async def flow_ids(desk: Desk) -> dict[str, str]:
    return {flow["name"]: flow["id"] for flow in (await desk.get("/api/v2/flows"))["entities"]}


async def test_what_books_needs_a_token_that_may_write(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booked = Booked()
    async with desk_with(booked, database_url, tmp_path, monkeypatch) as desk:
        ids = await flow_ids(desk)
        for flow, title in zip(WRITING, ("HRIS-Insert-TimeOff", "HRIS-Update-TimeOff"), strict=True):
            await desk.refused(403, "read_only", "POST", f"/v1/flows/{flow}", INPUTS, token=TOKEN)
            body = {"flowId": ids[title], "inputData": INPUTS}
            launched = await desk.call("POST", "/api/v2/flows/executions", body, token=TOKEN)
            assert (launched.status, launched.body["code"]) == (403, "missing.any.permissions")
        assert booked.runs == []
        before = metrics.FLOW_RUNS.labels("update-timeoff", "200")._value.get()
        for flow, id in zip(WRITING, ("4828", "4829"), strict=True):
            reply = await desk.call("POST", f"/v1/flows/{flow}", INPUTS, token=WRITER)
            assert reply.body == {
                "Flow.statusCode": 200,
                "Flow.status": "Complete",
                "Flow.errorMsg": None,
                "Flow.timeOffRequestId": id,
                "Flow.error": None,
            }
        assert metrics.FLOW_RUNS.labels("update-timeoff", "200")._value.get() == before + 1
        (_, target, inputs) = booked.runs[0]
        assert target == "acme"
        assert (inputs.text("agentId"), inputs.items("payableMinutes")) == ("452", ("480",))
        reply = await desk.call("POST", "/v1/flows/insert-timeoff", {}, token=WRITER)
        assert (reply.body["Flow.statusCode"], reply.body["Flow.status"]) == (400, "Error")
        assert len(booked.runs) == 2


async def test_a_person_sees_no_flows(database_url: str, tmp_path: Path) -> None:
    """Get-Agents tells of everybody; a person's own token is for that person's balance."""
    async with (
        running_system(database_url, tmp_path, agents=1, listen=False, syncs=0) as system,
        served(system.settings, follow=False, genesys_users=True) as desk,
    ):
        agent = system.agents[0]
        await system.ledger.pool.execute(
            "INSERT INTO ledger.agent_links (org, agent_id, target, employee_id, source)"
            " VALUES ('acceptance', $1, 'acme', $2, 'email')",
            agent.agent_id,
            agent.employee_id,
        )
        logged_in = await desk.http.post(
            f"{system.sandbox.url}/admin/genesys/log-in", json={"agentId": agent.agent_id}
        )
        desk.token = (await logged_in.json())["accessToken"]
        assert (await desk.call("POST", "/v1/balances/query", {"dates": ["2025-06-01"]})).status == 200
        await desk.refused(403, "not_for_persons", "POST", "/v1/flows/get-agents", {})
        for path in ("/api/v2/flows", "/api/v2/flows/executions/00000000-0000-4000-8000-000000000000"):
            await desk.refused(403, "not_for_persons", "GET", path)


async def test_each_hris_has_flows_of_its_own(database_url: str) -> None:
    other = {"adapter": "bamboohr", "settings": {"base_url": "http://127.0.0.1:9", "api_key": "k"}}
    async with blueprint(database_url, hris={"other": other}) as place:
        assert (await place.post("/v1/flows/get-agents", {})).status == 400
        assert (await place.post("/v1/flows/get-agents?target=nobody", {})).status == 404
        reply = await place.post("/v1/flows/get-agents?target=acme", {})
        assert (reply.status, reply.json["Flow.externalIds"]) == (200, ["313", "332", "452"])
        reply = await place.post("/v1/flows/get-agents?target=other", {})
        assert (reply.status, reply.json["Flow.statusCode"], reply.json["Flow.status"]) == (200, 503, "Error")
        found = (await place.get('/api/v2/flows?name="HRIS-Get-Agents*"')).json["entities"]
        assert [flow["name"] for flow in found] == ["HRIS-Get-Agents (acme)", "HRIS-Get-Agents (other)"]
        launched = await place.post("/api/v2/flows/executions", {"flowId": found[0]["id"]})
        outputs = (await place.follow(launched.json["id"]))["outputData"]
        assert outputs["Flow.externalIds"] == ["313", "332", "452"]


async def test_what_a_run_tells_can_be_asked_with_any_service_token(database_url: str) -> None:
    tokens = [{"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in ("one", "two")]
    async with blueprint(database_url, balance={"tokens": tokens}) as place:
        listed = await place.call("GET", "/api/v2/flows?name=HRIS-Get-Agents", token="one")
        body = {"flowId": listed.json["entities"][0]["id"]}
        launched = await place.call("POST", "/api/v2/flows/executions", body, token="one")
        followed = await place.call("GET", launched.json["selfUri"], token="two")
        assert followed.status == 200

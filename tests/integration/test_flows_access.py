"""Who may run which flow of which HRIS."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.balance import served
from tests.support.flows import FLOWS, PRINTED_INSERT, PRINTED_UPDATE, READER, blueprint
from tests.support.system import running_system

from timeoff_balance import metrics


async def test_what_books_needs_a_token_that_may_write(database_url: str) -> None:
    async with blueprint(database_url, write_path=FLOWS) as place:
        inputs = {"insert-timeoff": PRINTED_INSERT, "update-timeoff": PRINTED_UPDATE}
        for flow, given in inputs.items():
            refused = await place.call("POST", f"/v1/flows/{flow}", given, token=READER)
            assert (refused.status, refused.json["code"]) == (403, "read_only")
            body = {"flowId": await place.flow_id(flow), "inputData": given}
            launched = await place.call("POST", "/api/v2/flows/executions", body, token=READER)
            assert (launched.status, launched.json["code"]) == (403, "missing.any.permissions")
        assert await place.entries() == []
        for flow, given in inputs.items():
            count = metrics.FLOW_RUNS.labels(flow, "200")
            before = count._value.get()
            assert (await place.call("POST", f"/v1/flows/{flow}", given)).json["Flow.statusCode"] == 200
            assert count._value.get() == before + 1
        assert len(await place.entries("approved")) == 1
        # Flows that read are for either.
        assert (await place.call("POST", "/v1/flows/get-agents", {}, token=READER)).status == 200


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

"""Promise: what the sandbox serves has the shape of the Genesys Cloud API, so passing here means something.

The schemas are closed: a field that the real API does not send (a version in a notification, say) is as
wrong as a missing one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from tests.support.genesys_sandbox import (
    WFM,
    GenesysClient,
    next_frame,
    running_sandbox,
    subscriptions,
    topic,
    topic_list,
)

from timeoff_sandbox.world import WorldOptions

SCHEMAS = Path(__file__).parent / "schemas" / "genesys"


@cache
def document(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / f"{name}.json").read_text())


def check(body: Any, name: str, definition: str) -> None:
    schema = document(name)
    assert definition in schema["$defs"]
    Draft202012Validator({**schema, "$ref": f"#/$defs/{definition}"}).validate(body)


@pytest.fixture
async def genesys() -> AsyncIterator[GenesysClient]:
    async with running_sandbox(WorldOptions(agents=6, external_ids=2)) as client:
        yield client


@pytest.mark.parametrize("name", ["time_off", "notifications", "directory", "errors"])
def test_schemas_are_valid_schemas(name: str) -> None:
    Draft202012Validator.check_schema(document(name))


@pytest.mark.parametrize(
    "fields",
    [
        {"dates": ["2026-06-08", "2026-06-09"], "substatus": "AutoApproved"},
        {"partialStarts": ["2026-06-10T13:00:00Z"], "minutes": [120], "status": "PENDING"},
    ],
)
async def test_request_over_rest_and_in_the_notification(
    genesys: GenesysClient, fields: dict[str, Any]
) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    request = await genesys.create(agent, **fields)
    frame = await next_frame(socket)
    check(frame, "notifications", "TimeOffFrame")
    assert frame["topicName"] == topic(agent)
    one = await genesys.ok("GET", genesys.requests_of(agent, request))
    check(one, "time_off", "Request")
    check(await genesys.ok("GET", genesys.requests_of(agent)), "time_off", "RequestList")
    listing = await genesys.ok(
        "POST",
        genesys.unit_path(agent, "/timeoffrequests/query"),
        {"dateRange": {"startDate": "2026-06-01", "endDate": "2026-06-30"}},
    )
    assert len(listing["entities"]) == 1
    check(listing, "time_off", "RequestListing")
    # The same content on both ways; only the form of the references differs.
    body = frame["eventBody"]
    for name in set(body) - {"user", "submittedBy", "reviewedBy", "modifiedBy"}:
        assert body[name] == one[name], name
    assert body["submittedBy"] == one["submittedBy"]["id"]
    assert body["modifiedBy"] == one["modifiedBy"]["id"]
    for name in ("version", "managementUnitId", "selfUri"):
        body[name] = 1
        with pytest.raises(ValidationError):
            check(frame, "notifications", "TimeOffFrame")
        del body[name]


async def test_create_and_patch_answer_the_request(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    created = await genesys.ok(
        "POST",
        genesys.unit_path(agent, "/timeoffrequests"),
        {
            "status": "PENDING",
            "users": [{"id": agent["agentId"]}],
            "activityCodeId": "5",
            "fullDayManagementUnitDates": ["2026-06-08"],
            "dailyDurationMinutes": 480,
        },
    )
    check(created, "time_off", "RequestList")
    request = created["timeOffRequests"][0]
    patched = await genesys.ok(
        "PATCH", genesys.requests_of(agent, request), {"status": "APPROVED", "metadata": {"version": 1}}
    )
    check(patched, "time_off", "Request")
    assert patched["metadata"]["version"] == 2


async def test_integration_status(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    request = await genesys.create(agent)
    path = genesys.unit_path(agent, f"/timeoffrequests/{request['id']}/users/{agent['agentId']}")
    answer = await genesys.ok("PATCH", path + "/integrationstatus", {"integrationStatus": "Error"})
    check(answer, "time_off", "IntegrationStatus")
    listing = await genesys.ok(
        "POST",
        genesys.unit_path(agent, "/timeoffrequests/integrationstatus/query"),
        {"timeOffRequestLookups": [{"timeOffRequestId": request["id"], "userId": agent["agentId"]}]},
    )
    assert listing["entities"]
    check(listing, "time_off", "IntegrationStatusListing")


async def test_channels_and_topics(genesys: GenesysClient) -> None:
    agent, refused = genesys.agents[:2]
    await genesys.options(rejectTopics=[refused["agentId"]])
    channel = await genesys.channel()
    check(channel, "notifications", "Channel")
    listing = await genesys.ok(
        "PUT", subscriptions(channel, ignore_errors=True), topic_list(topic(agent), topic(refused))
    )
    assert [entity["state"] for entity in listing["entities"]] == ["Permitted", "Rejected"]
    check(listing, "notifications", "TopicListing")
    check(await genesys.ok("GET", subscriptions(channel)), "notifications", "TopicListing")
    await genesys.login()
    for query in ("", "?includechannels=oauthclient"):
        check(
            await genesys.ok("GET", f"/api/v2/notifications/channels{query}"),
            "notifications",
            "ChannelListing",
        )
    check(
        await genesys.ok("GET", "/api/v2/notifications/availabletopics"),
        "notifications",
        "AvailableTopicListing",
    )


async def test_frames_that_are_no_events(genesys: GenesysClient) -> None:
    channel = await genesys.channel()
    first = await genesys.connect(channel)
    await first.send_str('{"message":"ping"}')
    check(await next_frame(first), "notifications", "ChannelMetadataFrame")
    await genesys.ok("POST", "/admin/genesys/close-sockets", {"graceSeconds": 60})
    check(await next_frame(first), "notifications", "SystemFrame")
    await genesys.connect(channel)
    displaced = await next_frame(first)
    check(displaced, "notifications", "SystemFrame")
    assert displaced["eventBody"]["reason"] == "another_channel_subscribed"


async def test_directory_routes(genesys: GenesysClient) -> None:
    agent, business = genesys.agents[0], genesys.world["businessUnitId"]
    unit = agent["managementUnitId"]
    plan = genesys.world["plans"][0]["id"]
    gets = {
        f"{WFM}/managementunits": "ManagementUnitListing",
        f"{WFM}/managementunits/{unit}": "ManagementUnit",
        f"{WFM}/managementunits/{unit}?expand=settings": "ManagementUnit",
        f"{WFM}/managementunits/{unit}/users": "UnitUsers",
        f"{WFM}/businessunits/{business}/managementunits": "ManagementUnitListing",
        f"{WFM}/businessunits/{business}/users": "BusinessUnitUsers",
        f"{WFM}/businessunits/{business}/activitycodes": "ActivityCodeListing",
        f"{WFM}/businessunits/{business}/timeoffplans": "PlanListing",
        f"{WFM}/businessunits/{business}/timeoffplans/{plan}": "Plan",
        f"{WFM}/agents/{agent['agentId']}/managementunit": "AgentUnit",
        f"{WFM}/integrations/hris": "IntegrationListing",
        f"/api/v2/users?id={agent['agentId']}": "UserPage",
        "/api/v2/users?pageSize=2": "UserPage",
        f"/api/v2/users/{agent['agentId']}": "User",
    }
    for path, definition in gets.items():
        check(await genesys.ok("GET", path), "directory", definition)
    links = await genesys.ok(
        "POST",
        f"{WFM}/agents/integrations/hris/query",
        {"agentIds": [each["agentId"] for each in genesys.agents]},
    )
    assert [bool(link["associatedIntegrations"]) for link in links["entities"]] == [True] * 2 + [False] * 4
    check(links, "directory", "AgentIntegrationsListing")
    for email in (agent["email"], "nobody@example.com"):
        found = await genesys.ok(
            "POST",
            "/api/v2/users/search",
            {"query": [{"type": "EXACT", "fields": ["email"], "value": email}]},
        )
        check(found, "directory", "UserSearch")


async def test_login_and_errors(genesys: GenesysClient) -> None:
    check((await genesys.login(secret="wrong")).body, "errors", "OAuthError")
    check((await genesys.login(grant="password")).body, "errors", "OAuthError")
    check((await genesys.login()).body, "errors", "Token")
    await genesys.options(permissions=[])
    agent = genesys.agents[0]
    refused = [
        (401, await genesys.call("GET", "/api/v2/users", Authorization="Bearer nonsense")),
        (403, await genesys.call("GET", "/api/v2/users")),
        (404, await genesys.call("GET", "/api/v2/nothing/here")),
        (400, await genesys.call("PUT", subscriptions(await genesys.channel()), {"id": 1})),
    ]
    await genesys.options(permissions=None, requestsPerMinute=1)
    await genesys.login()
    await genesys.ok("GET", f"/api/v2/users/{agent['agentId']}")
    refused.append((429, await genesys.call("GET", f"/api/v2/users/{agent['agentId']}")))
    for status, reply in refused:
        assert reply.status == reply.body["status"] == status
        assert reply.body["contextId"] == reply.headers["ININ-Correlation-Id"]
        check(reply.body, "errors", "Error")

"""The Genesys client against the sandbox: tokens, throttling, retries, and every typed call once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr
from tests.support.listening import Town, town

from timeoff.errors import (
    GenesysAuthFailed,
    GenesysForbidden,
    GenesysNotFound,
    GenesysRejected,
    GenesysUnavailable,
)
from timeoff.genesys.budget import LocalBudget
from timeoff.genesys.client import GenesysClient
from timeoff.genesys.time_off import Window
from timeoff.settings.model import GenesysSettings
from timeoff.vocabulary import IntegrationStatus


@asynccontextmanager
async def client_of(genesys: Town, **more: Any) -> AsyncIterator[GenesysClient]:
    settings = genesys.genesys(**more)
    async with GenesysClient(settings, budget=LocalBudget(settings.requests_per_minute)) as client:
        yield client


async def test_units_people_and_links_are_read() -> None:
    async with town() as genesys, client_of(genesys) as client:
        world = genesys.sandbox.describe()
        units = await client.management_units()
        assert {unit.id for unit in units} == set(genesys.units)
        assert {unit.time_zone for unit in units} == {"Europe/Berlin", "America/New_York", "Asia/Kolkata"}
        users = await client.business_unit_users(world["businessUnitId"])
        assert {agent: unit for unit, agents in users.items() for agent in agents} == {
            agent: genesys.unit_of(agent) for agent in genesys.agents
        }
        assert await client.unit_users(genesys.units[0]) == users[genesys.units[0]]
        agent = await client.agent_unit(genesys.agents[0])
        assert agent.management_unit is not None
        assert agent.management_unit.id == genesys.unit_of(genesys.agents[0])
        people = await client.users([*genesys.agents, "00000000-0000-0000-0000-000000000000"])
        assert {person.id: person.email for person in people.values()} == {
            each["agentId"]: each["email"] for each in world["agents"]
        }
        await genesys.admin(
            "POST", "/genesys/link-agent", {"agentId": genesys.agents[1], "externalId": "e-77"}
        )
        links = await client.hris_links(genesys.agents)
        assert links[genesys.agents[1]].external_id == "e-77"
        plans = await client.time_off_plans(world["businessUnitId"])
        linked = {
            code: plan.hris_time_off_type.id
            for plan in plans
            if plan.hris_time_off_type
            for code in plan.activity_code_ids
        }
        assert linked == {"5": "83", "6": "84", "7": "85"}
        codes = {code.id: code.category for code in await client.activity_codes(world["businessUnitId"])}
        assert codes["5"] == "TimeOff"


async def test_more_users_than_a_page_are_read() -> None:
    async with town(agents=230) as genesys, client_of(genesys) as client:
        assert set(await client.users(genesys.agents)) == set(genesys.agents)


@pytest.mark.parametrize("download", [False, True])
async def test_requests_are_found_by_status_by_day_by_agent_and_by_id(download: bool) -> None:
    async with town(useDownloadUrl=download) as genesys, client_of(genesys) as client:
        agent = genesys.agents[0]
        unit = genesys.unit_of(agent)
        pending = await genesys.submit(agent, "2027-02-01", status="PENDING")
        approved = await genesys.submit(agent, "2027-03-01")

        def ids(items: Any) -> set[str]:
            return {item["id"] for item in items}

        assert ids(await client.time_off_query(unit, pending=True)) == {pending}
        march = Window(date(2027, 2, 2), date(2027, 3, 6))
        assert ids(await client.time_off_query(unit, window=march)) == {approved}
        assert ids(await client.time_off_of_user(unit, agent)) == {pending, approved}
        one: Any = await client.time_off_get(unit, agent, approved)
        assert one["metadata"]["version"] == 1
        with pytest.raises(GenesysNotFound):
            await client.time_off_get(unit, agent, "no/such?request")
        with pytest.raises(GenesysRejected):
            await client.time_off_query(unit, window=Window(date(2027, 1, 1), date(2027, 2, 6)))


async def test_the_integration_status_is_written_and_read() -> None:
    async with town() as genesys, client_of(genesys) as client:
        agent = genesys.agents[0]
        unit = genesys.unit_of(agent)
        first, second = [await genesys.submit(agent, day) for day in ("2027-02-01", "2027-02-02")]
        await client.set_integration_status(unit, first, agent, IntegrationStatus.AUTOMATICALLY_COMPLETE)
        found = await client.integration_statuses(unit, [(first, agent), (second, agent)])
        assert found[first] == "AutomaticallyComplete"
        assert found.get(second) != "AutomaticallyComplete"


async def test_twenty_calls_at_once_share_one_token() -> None:
    async with town() as genesys:
        asked = []
        async with counting_login(genesys, asked) as login, client_of(genesys, login_url=login) as client:
            await asyncio.gather(*(client.management_units() for _ in range(20)))
            assert len(asked) == 1


async def test_a_token_that_ends_is_renewed_before_its_end() -> None:
    async with town(tokenSeconds=1) as genesys, client_of(genesys) as client:
        first = await client.tokens.token()
        ends = time.monotonic() + 2.2
        while time.monotonic() < ends:
            await client.management_units()
            await asyncio.sleep(0.02)
        assert (await client.tokens.token()).generation > first.generation
        refused = [call for call in await genesys.calls("/api/v2") if call["status"] == 401]
        assert not refused


async def test_a_revoked_token_costs_one_new_token_and_the_call_succeeds() -> None:
    async with town() as genesys, client_of(genesys) as client:
        first = await client.tokens.token()
        await genesys.admin("POST", "/genesys/revoke-tokens", {})
        await asyncio.gather(*(client.management_units() for _ in range(5)))
        assert (await client.tokens.token()).generation == first.generation + 1


async def test_wrong_credentials_are_not_tried_again_and_again() -> None:
    async with town() as genesys:
        asked: list[str] = []
        async with (
            counting_login(genesys, asked) as login,
            client_of(genesys, login_url=login, client_secret=SecretStr("w")) as client,
        ):
            for _ in range(5):
                with pytest.raises(GenesysAuthFailed):
                    await client.management_units()
            assert len(asked) == 1


async def test_a_throttled_read_waits_as_long_as_it_is_told_and_so_do_all_others() -> None:
    rule = {"on": "GET .*managementunits", "kind": "throttle", "times": 1, "retryAfter": 1}
    async with town() as genesys, client_of(genesys) as client:
        await client.authenticate()
        await genesys.admin("POST", "/genesys/rest-faults", {"rules": [rule]})
        began = time.monotonic()
        read = asyncio.create_task(client.management_units())
        await asyncio.sleep(0.2)
        await client.agent_unit(genesys.agents[0])
        assert time.monotonic() - began >= 1
        assert len(await read) == 3


async def test_reads_are_tried_again_and_writes_are_not() -> None:
    async with town() as genesys, client_of(genesys) as client:
        agent = genesys.agents[0]
        unit = genesys.unit_of(agent)
        request = await genesys.submit(agent, "2027-02-01")
        rules = [
            {"on": "GET .*managementunits", "kind": "unavailable", "times": 2},
            {"on": "PATCH .*", "kind": "unavailable", "times": 1},
        ]
        await genesys.admin("POST", "/genesys/rest-faults", {"rules": rules})
        assert len(await client.management_units()) == 3
        with pytest.raises(GenesysUnavailable):
            await client.set_integration_status(unit, request, agent, IntegrationStatus.ERROR)
        assert len(await genesys.calls("PATCH /api/v2")) == 1


async def test_a_missing_permission_is_named() -> None:
    async with town(permissions=[]) as genesys, client_of(genesys) as client:
        with pytest.raises(GenesysForbidden, match="wfm:"):
            await client.time_off_of_user(genesys.units[0], genesys.agents[0])


async def test_nobody_there_is_an_error_that_may_be_tried_again_and_names_no_secret() -> None:
    settings = GenesysSettings(
        api_url="http://127.0.0.1:9",
        login_url="http://127.0.0.1:9",
        client_id="c",
        client_secret=SecretStr("s3same"),
    )
    async with GenesysClient(settings, budget=LocalBudget(60_000)) as client:
        with pytest.raises(GenesysUnavailable) as caught:
            await client.create_channel()
        assert caught.value.retryable
        assert "s3same" not in str(caught.value)


async def test_an_answer_of_another_shape_is_an_error_and_not_a_crash() -> None:
    answers = iter([b"<html>", b"[]", b'{"entities":{"id":5}}', b'{"entities":[{"name":"no id"}]}'] * 4)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=next(answers), content_type="application/json")

    async with (
        town() as genesys,
        serving({"/api/v2/{rest:.*}": answer}) as api,
        client_of(genesys, api_url=api) as client,
    ):
        with pytest.raises(GenesysUnavailable, match="unexpected answer"):
            await client.management_units()


@asynccontextmanager
async def serving(routes: dict[str, Any]) -> AsyncIterator[str]:
    app = web.Application()
    for path, handler in routes.items():
        app.router.add_route("*", path, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def counting_login(genesys: Town, asked: list[str]) -> AsyncIterator[str]:
    """The sandbox's login behind a door that counts who comes."""

    async def login(request: web.Request) -> web.Response:
        asked.append(request.path)
        headers = {name: request.headers[name] for name in ("Authorization", "Content-Type")}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{genesys.sandbox.url}/oauth/token", data=await request.read(), headers=headers
            ) as reply,
        ):
            return web.Response(body=await reply.read(), status=reply.status, content_type="application/json")

    async with serving({"/oauth/token": login}) as url:
        yield url

"""Who may ask: tokens of the settings, of OAuth clients, of people; what everybody else learns: nothing."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web
from tests.support.balance import CLIENT, SECRET, TOKEN, Desk, Reply, served
from tests.support.raw_http import say
from tests.support.system import System, in_days, running_system

from timeoff.settings.model import Settings
from timeoff_balance import access, users

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Open = Callable[..., AbstractAsyncContextManager[tuple[System, Desk]]]
QUERY = "/v1/balances/query"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def opened(database_url: str, tmp_path: Path) -> Open:
    @asynccontextmanager
    async def open_(system: Any = None, **balance: Any) -> AsyncIterator[tuple[System, Desk]]:
        async with (
            running_system(database_url, tmp_path, listen=False, syncs=0, **(system or {})) as running,
            served(running.settings, **balance) as desk,
        ):
            for agent in running.agents:
                await running.ledger.pool.execute(
                    "INSERT INTO ledger.agent_links (org, agent_id, target, employee_id, source)"
                    " VALUES ('acceptance', $1, 'acme', $2, 'email')",
                    agent.agent_id,
                    agent.employee_id,
                )
            yield running, desk

    return open_


async def token_call(desk: Desk, header: tuple[str, str] | None = None, **form: str) -> Reply:
    headers = dict(FORM)
    if header is not None:
        headers["Authorization"] = "Basic " + base64.b64encode(":".join(header).encode()).decode()
    desk.token = None
    return await desk.call("POST", "/oauth/token", urlencode(form).encode(), headers=headers)


async def log_in(system: System, agent_id: str) -> str:
    return str((await system.admin("POST", "/genesys/log-in", {"agentId": agent_id}))["accessToken"])


async def test_without_a_good_token_nothing_is_learnt(opened: Open) -> None:
    """Promise: the same 401 for every address below /v1 and /api/v2, there or not."""
    async with opened() as (_, desk):
        desk.token = None
        for path in ("/v1/agents", "/v1/nothing", "/api/v2/flows", "/api/v2/x"):
            for shown in (
                None,
                "",
                "Bearer",
                "Bearer wrong",
                f"Basic {TOKEN}",
                f"Bearer {TOKEN}x",
                "Bearer tob_x",
            ):
                headers = {"Authorization": shown} if shown is not None else {}
                reply = await desk.refused(401, "unauthorized", "GET", path, headers=headers)
                assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert (await desk.call("GET", "/openapi.json")).status == 200
        desk.token = TOKEN
        await desk.refused(404, "not_found", "GET", "/v1/nothing")
        reply = await desk.refused(405, "method_not_allowed", "DELETE", "/v1/agents")
        assert reply.headers["Allow"] == "GET"


async def test_a_client_gets_a_token_that_works_on_every_replica(opened: Open) -> None:
    """Promise: id and secret in a Basic header or in the form, as Genesys' credential sends them; tokens are
    kept as hashes in the database, so that each replica knows them."""
    async with opened() as (system, desk), served(system.settings) as other:
        for reply in (
            await token_call(desk, (CLIENT, SECRET), grant_type="client_credentials"),
            await token_call(desk, grant_type="client_credentials", client_id=CLIENT, client_secret=SECRET),
        ):
            assert reply.status == 200
            assert reply.body["token_type"] == "Bearer"
            assert reply.body["expires_in"] == 3600
            assert reply.headers["Cache-Control"] == "no-store"
            for each in (desk, other):
                each.token = reply.body["access_token"]
                assert (await each.get("/v1/agents"))["agents"]
            kept = await desk.service.parts.pool.fetch("SELECT to_jsonb(t)::text AS row FROM access_tokens t")
            assert not any(reply.body["access_token"] in row["row"] for row in kept)


async def test_a_token_ends(opened: Open) -> None:
    async with opened() as (_, desk):
        reply = await token_call(desk, (CLIENT, SECRET), grant_type="client_credentials")
        await desk.service.parts.pool.execute("UPDATE access_tokens SET expires_at = now() - interval '1 s'")
        desk.token = reply.body["access_token"]
        await desk.refused(401, "unauthorized", "GET", "/v1/agents")


async def test_a_removed_client_is_nobody(opened: Open) -> None:
    async with opened() as (system, desk):
        reply = await token_call(desk, (CLIENT, SECRET), grant_type="client_credentials")
        async with served(system.settings, clients=()) as other:
            other.token = reply.body["access_token"]
            await other.refused(401, "unauthorized", "GET", "/v1/agents")


async def test_token_calls_that_are_wrong(opened: Open) -> None:
    """Promise: errors as RFC 6749 has them, and the same for a wrong client and a wrong secret."""
    async with opened() as (_, desk):
        wrong = [
            await token_call(desk, (CLIENT, "x"), grant_type="client_credentials"),
            await token_call(desk, ("x", SECRET), grant_type="client_credentials"),
            await token_call(desk, (CLIENT, ""), grant_type="client_credentials"),
        ]
        assert {(reply.status, reply.raw) for reply in wrong} == {(401, b'{"error":"invalid_client"}')}
        assert wrong[0].headers["WWW-Authenticate"].startswith("Basic")
        reply = await token_call(desk, (CLIENT, SECRET), grant_type="password")
        assert (reply.status, reply.body["error"]) == (400, "unsupported_grant_type")
        reply = await token_call(desk, (CLIENT, SECRET))
        assert (reply.status, reply.body["error"]) == (400, "invalid_request")
        desk.token = None
        await desk.refused(415, "unsupported_media_type", "POST", "/oauth/token", {"grant_type": "x"})
        for body in (b"a=%ff", b"\xff", b"grant_type=client_credentials&grant_type=client_credentials"):
            reply = await desk.call("POST", "/oauth/token", body, headers=FORM)
            assert (reply.status, reply.body["error"]) == (400, "invalid_request")


async def test_guessing_is_slowed_down(opened: Open) -> None:
    """Promise: so many wrong tokens or secrets of an address, then 429; good tokens are not hurt."""
    async with opened(failures_per_minute=5) as (_, desk):
        statuses = [(await desk.call("GET", "/v1/agents", token=f"tob_{n}")).status for n in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        assert (await token_call(desk, (CLIENT, "x"), grant_type="client_credentials")).status == 429
        reply = await desk.call("GET", "/v1/agents", token=TOKEN)
        assert reply.status == 200


async def test_guesses_that_come_at_once_are_counted(opened: Open) -> None:
    async with opened(failures_per_minute=5) as (_, desk):
        replies = await asyncio.gather(*(desk.call("GET", "/v1/agents", token=f"tob_{n}") for n in range(40)))
        assert sum(reply.status == 401 for reply in replies) == 5
        assert sum(reply.status == 429 for reply in replies) == 35


async def test_a_token_that_is_known_is_not_hurt_by_wrong_ones_of_its_address(opened: Open) -> None:
    """Promise: all data actions of a region, and all behind one proxy, share addresses."""
    async with opened(failures_per_minute=5, genesys_users=True) as (system, desk):
        reply = await token_call(desk, (CLIENT, SECRET), grant_type="client_credentials")
        person = await log_in(system, system.agents[0].agent_id)
        good = (reply.body["access_token"], person, TOKEN)
        for token in good:
            assert (await desk.call("GET", "/v1/time-off-types", token=token)).status == 200
        wrong = [(await desk.call("GET", "/v1/agents", token=f"tob_{n}")).status for n in range(8)]
        assert wrong == [401] * 5 + [429] * 3
        for token in good:
            assert (await desk.call("GET", "/v1/time-off-types", token=token)).status == 200


async def test_right_tokens_cost_their_address_nothing(opened: Open) -> None:
    async with opened(failures_per_minute=2, genesys_users=True) as (system, desk):
        for agent in system.agents[:5]:
            token = await log_in(system, agent.agent_id)
            assert (await desk.call("GET", "/v1/time-off-types", token=token)).status == 200


async def test_callers_behind_a_proxy_are_told_apart_by_what_it_adds(opened: Open) -> None:
    """Promise: the address is the one that the trusted proxy saw, in whichever header line it says so; what
    the caller wrote before it counts for nothing."""
    async with opened(failures_per_minute=2, trusted_proxies=1) as (_, desk):

        async def status(*forwarded: str) -> str:
            lines = [f"X-Forwarded-For: {each}" for each in forwarded]
            head = ["GET /v1/agents HTTP/1.1", "Host: x", "Connection: close", "Authorization: Bearer tob_x"]
            return (await say(desk.url, "\r\n".join([*head, *lines, "", ""]).encode()))[9:12].decode()

        one_line = [await status(f"10.0.0.{n}, 203.0.113.9") for n in range(3)]
        assert one_line == ["401", "401", "429"]
        assert await status("10.0.0.7", "203.0.113.9") == "429", "the same proxy, a line of its own"
        assert await status("203.0.113.9, 203.0.113.10") == "401", "another caller"


async def test_a_client_has_a_rate_for_its_tokens_too(opened: Open) -> None:
    async with opened(requests_per_minute=3) as (_, desk):
        statuses = [
            (await token_call(desk, (CLIENT, SECRET), grant_type="client_credentials")).status
            for _ in range(4)
        ]
        assert statuses == [200] * 3 + [429]


async def test_a_token_is_known_for_a_while_only(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise: what was taken back in the database or at Genesys is not good for ever."""
    async with opened(genesys_users=True) as (system, desk):
        reply = await token_call(desk, (CLIENT, SECRET), grant_type="client_credentials")
        client, person = reply.body["access_token"], await log_in(system, system.agents[0].agent_id)
        for token in (client, person):
            assert (await desk.call("GET", "/v1/time-off-types", token=token)).status == 200
        await desk.service.parts.pool.execute("DELETE FROM access_tokens")
        asked = len(await system.genesys_calls("/users/me"))
        for token in (client, person):
            assert (await desk.call("GET", "/v1/time-off-types", token=token)).status == 200
        now = time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: now() + max(access.KNOWN_FOR, users.KNOWN_FOR))
        assert (await desk.call("GET", "/v1/time-off-types", token=client)).status == 401
        assert (await desk.call("GET", "/v1/time-off-types", token=person)).status == 200
        assert len(await system.genesys_calls("/users/me")) == asked + 1


async def test_a_caller_has_a_rate(opened: Open) -> None:
    async with opened(requests_per_minute=4) as (_, desk):
        replies = [await desk.call("GET", "/v1/time-off-types") for _ in range(6)]
        assert [reply.status for reply in replies] == [200] * 4 + [429] * 2
        assert int(replies[-1].headers["Retry-After"]) >= 1
        reply = await desk.call("GET", "/v1/time-off-types", token="token-of-a-test-that-may-write")
        assert reply.status == 200, "each token has a rate of its own"


async def test_a_person_sees_himself_only(opened: Open) -> None:
    """Promise: the request form shows the user's own Genesys token and sees this employee, nobody else."""
    async with opened(genesys_users=True) as (system, desk):
        me, other = system.agents[0], system.agents[1]
        desk.token = await log_in(system, me.agent_id)
        mine = await desk.ask(None, in_days(1))
        assert mine["employeeId"] == me.employee_id
        assert (await desk.ask(me.employee_id, in_days(1)))["balances"] == mine["balances"]
        assert (await desk.ask(None, in_days(1), agentId=me.agent_id))["balances"] == mine["balances"]
        for whom in ({"employeeId": other.employee_id}, {"agentId": other.agent_id}, {"employeeId": "99999"}):
            await desk.refused(403, "not_allowed", "POST", QUERY, {"dates": [in_days(1)], **whom})
        assert [each["employeeId"] for each in (await desk.get("/v1/agents"))["agents"]] == [me.employee_id]
        assert (await desk.get("/v1/time-off-types"))["types"]
        calls = [call for call in await system.genesys_calls("/users/me") if call["status"] == 200]
        assert len(calls) == 1, "the answer is known for a while"


async def test_the_same_words_of_two_people_are_two_questions(opened: Open) -> None:
    """Promise: an answer kept for one person is never given to another."""
    async with opened(genesys_users=True) as (system, desk):
        found = []
        for agent in system.agents[:2]:
            desk.token = await log_in(system, agent.agent_id)
            for _ in range(2):
                found.append((await desk.ask(None, in_days(1)))["employeeId"])
        assert found == [agent.employee_id for agent in system.agents[:2] for _ in range(2)]


async def test_genesys_tokens_of_nobody(opened: Open) -> None:
    async with opened({"world": {"agentsWithoutEmployee": 1}}, genesys_users=True) as (system, desk):
        desk.token = "made-up"
        await desk.refused(401, "unauthorized", "GET", "/v1/time-off-types")
        await desk.refused(401, "unauthorized", "GET", "/v1/time-off-types")
        assert len(await system.genesys_calls("/users/me")) == 1, "a refused token is not asked about again"
        stranger = await system.admin(
            "POST", "/genesys/agents", {"managementUnitId": system.agents[0].unit_id}
        )
        desk.token = await log_in(system, stranger["agentId"])
        await desk.refused(403, "no_employee", "GET", "/v1/time-off-types")


async def test_a_user_who_is_no_employee_has_a_rate_too(opened: Open) -> None:
    async with opened({"world": {"agentsWithoutEmployee": 1}}, genesys_users=True, requests_per_minute=3) as (
        system,
        desk,
    ):
        stranger = await system.admin(
            "POST", "/genesys/agents", {"managementUnitId": system.agents[0].unit_id}
        )
        desk.token = await log_in(system, stranger["agentId"])
        statuses = [(await desk.call("GET", "/v1/time-off-types")).status for _ in range(5)]
        assert statuses == [403] * 3 + [429] * 2


@asynccontextmanager
async def genesys_like(system: System, me: Handler) -> AsyncIterator[Settings]:
    """Settings with a Genesys of the test's own, which answers whose a token is."""
    app = web.Application()
    app.add_routes([web.get("/api/v2/users/me", me), web.get("/elsewhere", me)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        genesys = system.settings.genesys.model_copy(update={"api_url": url})
        yield system.settings.model_copy(update={"genesys": genesys})
    finally:
        await runner.cleanup()


async def test_an_answer_of_genesys_in_pieces_is_one(opened: Open) -> None:
    async with opened() as (system, _):
        agent_id = system.agents[0].agent_id

        async def me(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            for piece in ('{"name": "x", ', f'"id": "{agent_id}"', "}"):
                await response.write(piece.encode())
                await asyncio.sleep(0.05)
            await response.write_eof()
            return response

        async with genesys_like(system, me) as settings, served(settings, genesys_users=True) as desk:
            desk.token = "of-genesys"
            assert (await desk.ask(None, in_days(1)))["employeeId"] == system.agents[0].employee_id


async def test_an_answer_of_genesys_without_end_is_none(opened: Open) -> None:
    async def me(_: web.Request) -> web.Response:
        return web.Response(body=b'{"id": "x", "name": "' + b"x" * 2_000_000 + b'"}')

    async with (
        opened() as (system, _),
        genesys_like(system, me) as settings,
        served(settings, genesys_users=True) as desk,
    ):
        await desk.refused(503, "genesys_unreachable", "GET", "/v1/agents", token="of-genesys")


async def test_genesys_does_not_send_a_token_elsewhere(opened: Open) -> None:
    """Promise: a token is shown to the address of the settings, wherever that points."""
    seen = []

    async def me(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with (
        opened() as (system, _),
        genesys_like(system, me) as settings,
        served(settings, genesys_users=True) as desk,
    ):
        await desk.refused(503, "genesys_unreachable", "GET", "/v1/agents", token="of-genesys")
        assert seen == ["/api/v2/users/me"]


async def test_with_genesys_away_tokens_are_not_shown_without_end(opened: Open) -> None:
    """Promise: made-up tokens are not passed on to Genesys faster because it does not answer."""
    seen = []

    async def me(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response(status=503)

    async with (
        opened() as (system, _),
        genesys_like(system, me) as settings,
        served(settings, genesys_users=True, failures_per_minute=5) as desk,
    ):
        statuses = [(await desk.call("GET", "/v1/agents", token=f"made-up-{n}")).status for n in range(9)]
        assert statuses == [503] * 5 + [429] * 4
        assert len(seen) == 5


async def test_genesys_tokens_need_the_setting(opened: Open) -> None:
    async with opened() as (system, desk):
        desk.token = await log_in(system, system.agents[0].agent_id)
        await desk.refused(401, "unauthorized", "GET", "/v1/time-off-types")
        assert await system.genesys_calls("/users/me") == []


async def test_with_genesys_away_a_person_is_asked_to_come_back(opened: Open) -> None:
    async with opened(genesys_users=True) as (system, desk):
        desk.token = await log_in(system, system.agents[0].agent_id)
        rule = {"on": "GET /api/v2/users/me", "kind": "unavailable"}
        await system.admin("POST", "/genesys/rest-faults", {"rules": [rule]})
        await desk.refused(503, "genesys_unreachable", "GET", "/v1/time-off-types")
        assert (await desk.call("GET", "/v1/time-off-types")).status == 200


async def test_pages_of_listed_origins_may_call(opened: Open) -> None:
    """Promise: CORS by a list; a page from elsewhere gets no permission from the browser."""
    ours, other = "https://apps.example.com", "https://evil.example.com"
    async with opened(cors_origins=(ours,)) as (_, desk):
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        reply = await desk.call("OPTIONS", QUERY, headers={"Origin": ours, **asked, "Authorization": ""})
        assert reply.status == 204
        assert reply.headers["Access-Control-Allow-Origin"] == ours
        assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
        reply = await desk.call("OPTIONS", QUERY, headers={"Origin": other, **asked, "Authorization": ""})
        assert reply.status == 401
        assert "Access-Control-Allow-Origin" not in reply.headers
        for origin, allowed in ((ours, ours), (other, None)):
            for token in (TOKEN, "wrong"):
                reply = await desk.call("GET", "/v1/agents", headers={"Origin": origin}, token=token)
                assert reply.headers.get("Access-Control-Allow-Origin") == allowed
                assert reply.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_bodies_have_a_limit_and_a_kind(opened: Open) -> None:
    async with opened(body_limit=2048) as (_, desk):
        big = b'{"employeeId":"1","dates":["' + b"x" * 4000 + b'"]}'
        await desk.refused(413, "too_large", "POST", QUERY, big)
        plain = {"Content-Type": "text/plain"}
        await desk.refused(415, "unsupported_media_type", "POST", QUERY, b"{}", headers=plain)
        packed = {"Content-Encoding": "gzip"}
        await desk.refused(415, "unsupported_media_type", "POST", QUERY, b"{}", headers=packed)
        nested = b'{"dates":' + b"[" * 900 + b"]" * 900 + b"}"
        await desk.refused(400, "invalid", "POST", QUERY, nested)


async def test_a_fault_of_our_own_shows_no_words(
    opened: Open, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promise: no stack traces and no values in answers; the log has the error and no token."""
    async with opened() as (_, desk):

        async def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("secret words")

        monkeypatch.setattr(type(desk.service.parts.balances), "answer", fail)
        body = {"employeeId": "1", "dates": [in_days(1)]}
        reply = await desk.refused(500, "failed", "POST", QUERY, body)
        assert b"secret" not in reply.raw
        assert b"Traceback" not in reply.raw
        assert reply.headers["X-Request-Id"]
    assert TOKEN not in "".join(capsys.readouterr())


async def test_heads_that_no_client_would_send(
    opened: Open, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Promise: whatever bytes come, the answer is one and no 500, and no log line quotes them."""
    async with opened() as (_, desk):
        bearer = b"Authorization: Bearer "
        good = bearer + TOKEN.encode()
        for first, header in (
            (b"GET /v1/agents", bearer + b"\xff\xfe"),
            (b"GET /v1/agents", bearer + b"a" * 9000),
            (b"GET /v1/agents", bearer + b"secret" * 9000),
            (b"GET /v1/agents?target=%ff%fe", good),
            (b"GET /v1/%00", good),
            (b"GET /v1/%ff", good),
            (b"POST /v1/balances/query", good + b"\r\nContent-Type: \xff/\xfe\r\nContent-Length: 0"),
            (b"POST /oauth/token", b"Authorization: Basic /////w==\r\nContent-Length: 0"),
        ):
            sent = first + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + header + b"\r\n\r\n"
            async with asyncio.timeout(10):
                answer = await say(desk.url, sent)
            assert answer[:10] in (b"HTTP/1.1 4", b"HTTP/1.0 4"), (first, header[:60], answer[:200])
    assert "secret" not in caplog.text + "".join(capsys.readouterr())

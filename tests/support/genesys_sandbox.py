"""The whole sandbox on a free loopback port, and a bare client for its Genesys and admin routes."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.world import WorldOptions

Json = dict[str, Any]
WFM = "/api/v2/workforcemanagement"


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass
class GenesysClient:
    """Calls REST with a bearer token, the admin API without. `world` is what GET `/admin/world` said."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    world: Json
    token: str = ""
    sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    @property
    def agents(self) -> list[Json]:
        return self.world["agents"]

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        if not path.startswith("/admin"):
            headers.setdefault("Authorization", f"Bearer {self.token}")
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            # A stream, as aiohttp warns of large bodies given as bytes.
            data = io.BytesIO(json.dumps(body).encode())
        async with self.session.request(method, path, data=data, headers=headers) as response:
            return Reply(response.status, response.headers, await response.text())

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        reply = await self.call(method, path, body)
        assert 200 <= reply.status < 300, (method, path, reply.status, reply.text)
        return reply.body if reply.text else None

    async def login(self, secret: str | None = None, grant: str = "client_credentials") -> Reply:
        header = aiohttp.encode_basic_auth(
            self.world["clientId"], self.world["clientSecret"] if secret is None else secret
        )
        async with self.session.post(
            "/oauth/token", data={"grant_type": grant}, headers={"Authorization": header}
        ) as response:
            reply = Reply(response.status, response.headers, await response.text())
        if reply.status == 200:
            self.token = reply.body["access_token"]
        return reply

    async def options(self, **genesys: Any) -> None:
        await self.ok("PUT", "/admin/options", {"genesys": genesys})

    async def turn_clock(self, seconds: float) -> None:
        await self.ok("PUT", "/admin/options", {"clock": {"offsetSeconds": seconds}})

    async def channel(self, *topics: str) -> Json:
        channel = await self.ok("POST", "/api/v2/notifications/channels")
        if topics:
            await self.ok("PUT", subscriptions(channel), topic_list(*topics))
        return channel

    async def connect(self, channel: Json) -> aiohttp.ClientWebSocketResponse:
        socket = await self.session.ws_connect(channel["connectUri"])
        self.sockets.append(socket)
        return socket

    async def listen(self, *agents: Json) -> aiohttp.ClientWebSocketResponse:
        """A socket on which the time off of these agents arrives."""
        return await self.connect(await self.channel(*(topic(agent) for agent in agents)))

    async def create(self, agent: Json, **fields: Any) -> Json:
        body = {"agentId": agent["agentId"], "activityCodeId": "5", "status": "APPROVED", **fields}
        if "dates" not in body and "partialStarts" not in body:
            body["dates"] = ["2026-06-08"]
        return await self.ok("POST", "/admin/genesys/requests", body)

    async def patch(self, request: Json, **fields: Any) -> Json:
        return await self.ok("PATCH", f"/admin/genesys/requests/{request['id']}", fields)

    def requests_of(self, agent: Json, request: Json | None = None) -> str:
        path = f"{WFM}/managementunits/{agent['managementUnitId']}/users/{agent['agentId']}/timeoffrequests"
        return path if request is None else f"{path}/{request['id']}"

    def unit_path(self, agent: Json, rest: str) -> str:
        return f"{WFM}/managementunits/{agent['managementUnitId']}{rest}"


def topic(agent: Json) -> str:
    return f"v2.users.{agent['agentId']}.workforcemanagement.timeoffrequests"


def topic_list(*topics: str) -> list[Json]:
    return [{"id": each} for each in topics]


def subscriptions(channel: Json, *, ignore_errors: bool = False) -> str:
    suffix = "?ignoreErrors=true" if ignore_errors else ""
    return f"/api/v2/notifications/channels/{channel['id']}/subscriptions{suffix}"


async def next_frame(socket: aiohttp.ClientWebSocketResponse, seconds: float = 5.0) -> Json:
    """The next text frame that is no heartbeat."""
    async with asyncio.timeout(seconds):
        while True:
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            frame = json.loads(message.data)
            if frame.get("eventBody", {}).get("message") != "WebSocket Heartbeat":
                return frame


@asynccontextmanager
async def running_sandbox(world: WorldOptions | None = None, **genesys: Any) -> AsyncIterator[GenesysClient]:
    """A sandbox with a world of six agents and no rate limit, logged in."""
    sandbox = Sandbox({"genesys": {"requestsPerMinute": 0, **genesys}})
    described = sandbox.make_world(world or WorldOptions(agents=6))
    await sandbox.start()
    try:
        async with aiohttp.ClientSession(sandbox.url, timeout=aiohttp.ClientTimeout(total=20)) as session:
            client = GenesysClient(sandbox, session, described)
            await client.login()
            yield client
            for socket in client.sockets:
                await socket.close()
    finally:
        await sandbox.stop()

"""Routes of the notification service, and the socket's own address."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from timeoff_sandbox.genesys.channels import (
    AGENTS_TOPIC,
    USER_SUFFIXES,
    Channel,
    ChannelBook,
    permitted,
)
from timeoff_sandbox.genesys.errors import ApiError
from timeoff_sandbox.genesys.gateway import Answer, Call, Gateway
from timeoff_sandbox.genesys.options import GenesysOptions
from timeoff_sandbox.genesys.sockets import Socket
from timeoff_sandbox.genesys.wire import Json, TopicIn


class Notifications:
    def __init__(self, gateway: Gateway, channels: ChannelBook, options: GenesysOptions) -> None:
        self._gateway = gateway
        self._channels = channels
        self.options = options
        self._sockets: set[Socket] = set()

    def routes(self) -> list[web.RouteDef]:
        route = self._gateway.route
        base = "/notifications/channels"
        return [
            route("POST", base, self._create),
            route("GET", base, self._list),
            route("HEAD", base + "/{channel}", self._exists),
            route("GET", base + "/{channel}/subscriptions", self._subscriptions),
            route("POST", base + "/{channel}/subscriptions", self._subscribe),
            route("PUT", base + "/{channel}/subscriptions", self._subscribe),
            route("DELETE", base + "/{channel}/subscriptions", self._unsubscribe),
            route("GET", "/notifications/availabletopics", self._available),
            web.get("/channels/{channel}", self._connect),
        ]

    async def _create(self, call: Call) -> Answer:
        scheme = "wss" if call.request.secure else "ws"
        return self._channels.create(call.token, f"{scheme}://{call.request.host}").wire()

    async def _list(self, call: Call) -> Answer:
        """By default the channels of this token; those of the client's other tokens show without id."""
        self._channels.purge()
        every = call.request.query.get("includechannels", "token") == "oauthclient"
        entities = [
            channel.wire(own=channel.token == call.token.value)
            for channel in self._channels.channels.values()
            if channel.client_id == call.token.client_id and (every or channel.token == call.token.value)
        ]
        return {"entities": entities}

    async def _exists(self, call: Call) -> Answer:
        self._channel(call)
        return web.Response(status=200)

    async def _subscriptions(self, call: Call) -> Answer:
        return {"entities": [permitted(topic) for topic in self._channel(call).topics]}

    async def _subscribe(self, call: Call) -> Answer:
        channel = self._channel(call)
        topics = await call.body(list[TopicIn])
        entities = self._channels.subscribe(
            channel,
            [topic.id for topic in topics],
            replace=call.request.method == "PUT",
            ignore_errors=call.flag("ignoreErrors"),
        )
        return {"entities": entities}

    async def _unsubscribe(self, call: Call) -> Answer:
        self._channels.subscribe(self._channel(call), [], replace=True, ignore_errors=True)
        return None

    async def _available(self, call: Call) -> Answer:
        topics = [f"v2.users.{{id}}.{suffix}" for suffix in sorted(USER_SUFFIXES)] + [AGENTS_TOPIC]
        entities: list[Json] = [
            {
                "id": topic,
                "visibility": "Public",
                "transports": ["Websocket"],
                "enforced": True,
                "requiresCurrentUser": False,
                "requiresCurrentUserOrPermission": topic != AGENTS_TOPIC,
                "requiresPermissions": ["wfm:timeOffRequest:view"],
                "requiresDivisionPermissions": False,
                "requiresAnyValidator": True,
                "permissionDetails": [
                    {
                        "type": "requiresPermissions",
                        "permissions": ["wfm:timeOffRequest:view"],
                        "allowsCurrentUser": True,
                        "enforced": True,
                    }
                ],
                "topicParameters": [] if topic == AGENTS_TOPIC else ["id"],
                "publicApiTemplateUriPaths": [],
            }
            for topic in topics
        ]
        return {"entities": entities}

    def _channel(self, call: Call) -> Channel:
        return self._channels.get(call.path("channel"), call.token)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        """The upgrade. The address is the secret; no token is asked for."""
        if self.options.refuse_sockets:
            return web.Response(status=self.options.refuse_status)
        try:
            channel = self._channels.get(request.match_info["channel"])
        except ApiError:
            return web.Response(status=404)
        if channel.socket is not None:
            channel.socket.announce(channel.id, channel.client_id, "another_channel_subscribed")
            channel.socket.close(1001, b"")
        socket = Socket(self.options, lambda sender, body: self._received(channel, sender, body))
        channel.socket = socket
        self._sockets.add(socket)
        try:
            return await socket.serve(request)
        finally:
            self._sockets.discard(socket)
            if channel.socket is socket:
                channel.socket = None

    def _received(self, channel: Channel, socket: Socket, body: dict[str, Any]) -> None:
        message = body.get("message")
        if message == "ping":
            socket.say("pong")
        elif message in ("subscribe", "unsubscribe"):
            socket.send_json(self._by_socket(channel, message, body))

    def _by_socket(self, channel: Channel, message: str, body: dict[str, Any]) -> Json:
        answer: Json = {"correlationId": body["correlationId"]} if "correlationId" in body else {}
        topics = body.get("topics")
        if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
            return answer | {"result": "400", "status": "error"}
        if channel.id not in self._channels.channels:
            return answer | {"result": "404"}
        try:
            if message == "subscribe":
                self._channels.subscribe(channel, topics, replace=False, ignore_errors=False)
                return answer | {"result": "200", "status": "subscribed"}
            rest = [topic for topic in channel.topics if topic not in topics]
            self._channels.subscribe(channel, rest, replace=True, ignore_errors=True)
            return answer | {"result": "200", "status": "unsubscribed"}
        except ApiError:
            return answer | {"result": "400", "status": "failure"}

    def drop(self, channel_ids: list[str] | None) -> int:
        """Cuts sockets without a word; None means all."""
        dropped = 0
        for channel in self._chosen(channel_ids):
            if channel.socket is not None:
                channel.socket.abort()
                channel.socket = None
                dropped += 1
        return dropped

    def close_soon(self, channel_ids: list[str] | None, seconds: float) -> int:
        """Says that sockets close soon, and closes them after `seconds`."""
        loop, announced = asyncio.get_running_loop(), 0
        for channel in self._chosen(channel_ids):
            if channel.socket is not None:
                channel.socket.announce_closing(channel.id, channel.client_id, seconds)
                loop.call_later(seconds, channel.socket.close, 1001, b"")
                announced += 1
        return announced

    def nudge(self) -> None:
        for socket in self._sockets:
            socket.nudge()

    def close(self) -> None:
        for socket in self._sockets:
            socket.close(1001, b"")

    def _chosen(self, channel_ids: list[str] | None) -> list[Channel]:
        channels = self._channels.channels
        if channel_ids is None:
            return list(channels.values())
        return [channels[channel_id] for channel_id in channel_ids if channel_id in channels]

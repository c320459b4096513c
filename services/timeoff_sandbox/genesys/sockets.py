"""One open socket: a queue, a writer that alone waits for the network, heartbeats, ping and pong.

Whoever sends only appends to the queue, so one slow reader holds up nobody else; a reader that stays
behind by more than the backlog is cut off.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from timeoff_sandbox.genesys.options import GenesysOptions

METADATA_TOPIC = "channel.metadata"


@dataclass(slots=True, frozen=True)
class _Close:
    code: int
    message: bytes


class Socket:
    """Server side of one websocket. `on_text` gets what the client sends, as parsed JSON."""

    def __init__(self, options: GenesysOptions, on_text: Callable[[Socket, dict[str, Any]], None]) -> None:
        self.options = options
        self._on_text = on_text
        self._queue: deque[str | _Close] = deque()
        self._wake = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.open = False
        self.sent = 0

    def send(self, text: str) -> bool:
        """Queues a frame. False: lost, as the socket is closed, silent or too far behind."""
        if not self.open or self.options.silent_sockets:
            return False
        if len(self._queue) >= self.options.socket_backlog:
            self.abort()
            return False
        self._queue.append(text)
        self._wake.set()
        return True

    def send_json(self, body: dict[str, Any]) -> bool:
        return self.send(json.dumps(body, separators=(",", ":")))

    def say(self, message: str) -> None:
        self.send_json({"topicName": METADATA_TOPIC, "eventBody": {"message": message}})

    def announce(self, channel_id: str, client_id: str, reason: str) -> None:
        """A system message: displaced by another socket or channel, or tokens revoked."""
        kind = "token_revoked" if reason == "user_tokens_revoked" else "no_longer_subscribed"
        self._system(f"v2.system.{kind}.{channel_id}", channel_id, client_id, kind, reason)

    def announce_closing(self, channel_id: str, client_id: str, seconds: float) -> None:
        """The server is about to close; the client has up to a minute to open another socket."""
        self.send_json(
            {
                "topicName": "v2.system.socket_closing",
                "version": "2",
                "eventBody": {
                    "channelId": channel_id,
                    "oauthClientId": client_id,
                    "message": f"The socket closes in {seconds:g} seconds",
                },
                "metadata": {"CorrelationId": str(uuid.uuid4())},
            }
        )

    def _system(self, topic: str, channel_id: str, client_id: str, kind: str, reason: str) -> None:
        self.send_json(
            {
                "topicName": topic,
                "version": "2",
                "eventBody": {
                    "channelId": channel_id,
                    "systemTopicType": kind,
                    "oauthClientId": client_id,
                    "reason": reason,
                },
                "metadata": {"CorrelationId": str(uuid.uuid4())},
            }
        )

    def close(self, code: int, message: bytes) -> None:
        """Closes in good order, after what is queued."""
        if self.open:
            self._queue.append(_Close(code, message))
            self._wake.set()

    def abort(self) -> None:
        """Cuts the connection; the client sees no close frame."""
        self.open = False
        self._queue.clear()
        if self._transport is not None:
            self._transport.abort()

    def nudge(self) -> None:
        """The options changed: look at the heartbeat interval again."""
        self._wake.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Runs until either side ends the connection."""
        websocket = web.WebSocketResponse(max_msg_size=1 << 20, compress=False, timeout=2.0)
        await websocket.prepare(request)
        self._transport, self.open = request.transport, True
        writer = asyncio.create_task(self._write(websocket), name="sandbox-socket-writer")
        try:
            async for message in websocket:
                if message.type is not WSMsgType.TEXT:
                    continue
                try:
                    body = json.loads(message.data)
                except ValueError:
                    body = None
                if isinstance(body, dict):
                    self._on_text(self, body)
        finally:
            self.open = False
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return websocket

    async def _write(self, websocket: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        last_beat = loop.time()
        try:
            while True:
                while self._queue:
                    item = self._queue.popleft()
                    if isinstance(item, _Close):
                        self.open = False
                        await websocket.close(code=item.code, message=item.message)
                        return
                    await websocket.send_str(item)
                    self.sent += 1
                self._wake.clear()
                try:
                    async with asyncio.timeout_at(last_beat + self.options.heartbeat_seconds):
                        await self._wake.wait()
                except TimeoutError:
                    last_beat = loop.time()
                    self.say("WebSocket Heartbeat")
        except ConnectionError:
            self.open = False

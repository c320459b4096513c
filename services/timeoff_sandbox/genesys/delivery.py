"""The way of a notification to the sockets, with loss, doubles, swaps and delay on request.

At most once: what finds no socket is lost, as nothing in the real service replays it.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections import Counter

from timeoff_sandbox.genesys.channels import ChannelBook
from timeoff_sandbox.genesys.options import DeliverySettings
from timeoff_sandbox.genesys.wire import Json


class Delivery:
    """`notify` takes a topic and a body, everything else happens here."""

    def __init__(self, channels: ChannelBook) -> None:
        self._channels = channels
        self.settings = DeliverySettings()
        self.counts: Counter[str] = Counter()
        self._random = random.Random(1)  # noqa: S311 - chance of faults, not of secrets
        self._held: list[tuple[str, str]] = []
        self._waiting: dict[str, tuple[str, asyncio.TimerHandle]] = {}

    def set(self, settings: DeliverySettings) -> None:
        """Replaces the settings; what was held goes out once `hold` is false."""
        self.settings = settings
        if settings.seed is not None:
            self._random = random.Random(settings.seed)  # noqa: S311
        if settings.hold:
            return
        held, self._held = self._held, []
        if settings.reverse:
            held.reverse()
            self.counts["swapped"] += max(0, len(held) - 1)
        for topic, frame in held:
            self._send(topic, frame)

    def clear(self) -> None:
        for _, timer in self._waiting.values():
            timer.cancel()
        self._waiting.clear()
        self._held.clear()
        self.counts.clear()

    def truth(self) -> Json:
        names = ("notified", "sent", "unattached", "dropped", "duplicated", "swapped", "delayed")
        counts = {name: self.counts[name] for name in names}
        return {
            **self.settings.model_dump(by_alias=True),
            **counts,
            "held": len(self._held),
            "waiting": len(self._waiting),
        }

    def notify(self, topic: str, body: Json) -> None:
        envelope = {
            "topicName": topic,
            "version": "2",
            "eventBody": body,
            "metadata": {"CorrelationId": str(uuid.uuid4())},
        }
        frame = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False)
        self.counts["notified"] += 1
        settings = self.settings
        if self._random.random() < settings.drop:
            self.counts["dropped"] += 1
            return
        if settings.hold:
            self._held.append((topic, frame))
            return
        if settings.delay_ms:
            self.counts["delayed"] += 1
            asyncio.get_running_loop().call_later(settings.delay_ms / 1000, self._pass, topic, frame)
        else:
            self._pass(topic, frame)

    def _pass(self, topic: str, frame: str) -> None:
        settings = self.settings
        copies = 1
        if self._random.random() < settings.duplicate:
            self.counts["duplicated"] += 1
            copies = 2
        overtaken = self._waiting.pop(topic, None)
        if overtaken is None and copies == 1 and self._random.random() < settings.swap:
            timer = asyncio.get_running_loop().call_later(settings.swap_ms / 1000, self._give_up, topic)
            self._waiting[topic] = (frame, timer)
            return
        for _ in range(copies):
            self._send(topic, frame)
        if overtaken is not None:
            late, timer = overtaken
            timer.cancel()
            self.counts["swapped"] += 1
            self._send(topic, late)

    def _give_up(self, topic: str) -> None:
        """Nothing came to overtake it: it was only late."""
        frame, _ = self._waiting.pop(topic)
        self.counts["delayed"] += 1
        self._send(topic, frame)

    def _send(self, topic: str, frame: str) -> None:
        delivered = False
        for channel in self._channels.listeners(topic):
            if channel.socket is not None and channel.socket.send(frame):
                delivered = True
                self.counts["sent"] += 1
        if not delivered:
            self.counts["unattached"] += 1

"""Notification channels over REST (Genesys Cloud notification guide). The socket itself is the listener's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from timeoff.errors import GenesysNotFound
from timeoff.genesys.models import ChannelModel, TopicListing
from timeoff.genesys.transport import Transport

CHANNELS: Final = "/notifications/channels"
PERMITTED: Final = "Permitted"


class NotificationCalls(Transport):
    async def create_channel(self) -> ChannelModel:
        """A new channel of this token. Twenty live at once per client; the next evicts the least used.

        Not repeated after a broken answer: each try may leave a channel behind that nobody reads.
        """
        return await self.ask("POST", CHANNELS, ChannelModel, repeatable=False)

    async def channel_exists(self, channel_id: str) -> bool:
        try:
            await self.send("HEAD", f"{CHANNELS}/{quote(channel_id, safe='')}")
        except GenesysNotFound:
            return False
        return True

    async def replace_subscriptions(self, channel_id: str, topics: Iterable[str]) -> Mapping[str, str]:
        """Subscribe exactly these topics, which extends the channel's life too.

        Answers topic to state; what is not `Permitted` is not subscribed. Without `ignoreErrors` a single
        forbidden topic would leave the channel without any.
        """
        answer = await self.ask(
            "PUT",
            f"{CHANNELS}/{quote(channel_id, safe='')}/subscriptions",
            TopicListing,
            query={"ignoreErrors": "true"},
            body=[{"id": topic} for topic in topics],
        )
        return {topic.id: topic.state or PERMITTED for topic in answer.entities if topic.id}

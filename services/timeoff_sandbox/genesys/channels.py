"""Notification channels: topics, expiry, and the eviction of the oldest.

Source: Genesys Cloud notification guide.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from timeoff_sandbox.clock import Clock, wire_instant
from timeoff_sandbox.genesys.errors import ApiError, bad_request, not_found
from timeoff_sandbox.genesys.oauth import Token, TokenDesk
from timeoff_sandbox.genesys.options import GenesysOptions
from timeoff_sandbox.genesys.sockets import Socket
from timeoff_sandbox.genesys.wire import Json

COMBINED_TOPIC_LENGTH = 200
TIME_OFF = "workforcemanagement.timeoffrequests"
USER_SUFFIXES = frozenset(
    {
        TIME_OFF,
        "workforcemanagement.notifications",
        "workforcemanagement.schedules",
        "workforcemanagement.timeoffbalance.jobs",
        "workforcemanagement.integrations.hris.timeofftypes.jobs",
    }
)
#: What the rule for the time-off topic asks for is not documented; its sibling topics ask for such a one.
TOPIC_PERMISSION = "wfm:timeOffRequest:view"
AGENTS_TOPIC = "v2.workforcemanagement.agents"
_USER_TOPIC = re.compile(r"v2\.users\.([^.?]+)\.(.+)")


def time_off_topic(agent_id: str) -> str:
    return f"v2.users.{agent_id}.{TIME_OFF}"


def expand(topic: str) -> tuple[str, ...]:
    """`prefix?a&b` stands for `prefix.a` and `prefix.b`; messages carry the expanded names."""
    prefix, mark, suffixes = topic.partition("?")
    if not mark:
        return (topic,)
    if len(topic) > COMBINED_TOPIC_LENGTH:
        raise bad_request(f"A combined topic has at most {COMBINED_TOPIC_LENGTH} characters", field="id")
    return tuple(f"{prefix}.{suffix}" for suffix in suffixes.split("&"))


@dataclass(slots=True)
class Channel:
    id: str
    client_id: str
    token: str
    connect_uri: str
    expires: datetime
    last_used: int
    #: The topic as subscribed, and the names it stands for.
    topics: dict[str, tuple[str, ...]] = field(default_factory=dict)
    socket: Socket | None = None

    def wire(self, *, own: bool = True) -> Json:
        body: Json = {"expires": wire_instant(self.expires)}
        if own:
            body |= {"id": self.id, "connectUri": self.connect_uri}
        return body


class ChannelBook:
    """All channels of all clients, and which of them listen to a topic."""

    def __init__(
        self,
        clock: Clock,
        options: GenesysOptions,
        tokens: TokenDesk,
        known_agent: Callable[[str], bool],
    ) -> None:
        self._clock = clock
        self.options = options
        self._tokens = tokens
        self._known_agent = known_agent
        self._uses = 0
        self.channels: dict[str, Channel] = {}
        self._listeners: dict[str, dict[str, Channel]] = {}
        self.created = 0
        self.evicted = 0

    def create(self, token: Token, socket_base: str) -> Channel:
        """A new channel; where the client has its full number, the least recently used one goes, those
        without a socket first.
        """
        self.purge()
        own = [channel for channel in self.channels.values() if channel.client_id == token.client_id]
        while len(own) >= self.options.channels_per_client:
            oldest = min(own, key=lambda channel: (channel.socket is not None, channel.last_used))
            own.remove(oldest)
            self.evicted += 1
            self.remove(oldest, reason="another_channel_subscribed")
        channel_id = f"streaming-5-{secrets.token_urlsafe(24)}"
        channel = Channel(
            id=channel_id,
            client_id=token.client_id,
            token=token.value,
            connect_uri=f"{socket_base}/channels/{channel_id}",
            expires=self._expiry(),
            last_used=self._use(),
        )
        self.channels[channel_id] = channel
        self.created += 1
        return channel

    def get(self, channel_id: str, token: Token | None = None) -> Channel:
        """A live channel; with `token`, one of that client."""
        self.purge()
        channel = self.channels.get(channel_id)
        if channel is None or (token is not None and channel.client_id != token.client_id):
            raise not_found("Channel", "")
        channel.last_used = self._use()
        return channel

    def purge(self) -> None:
        """Removes what has expired; called wherever a channel is looked at."""
        now = self._clock.now()
        for channel in list(self.channels.values()):
            if channel.expires <= now:
                self.remove(channel, reason=None)
            elif self.options.channels_end_with_token and not self._tokens.is_live(channel.token):
                self.remove(channel, reason="user_tokens_revoked")

    def remove(self, channel: Channel, *, reason: str | None) -> None:
        self._unlisten(channel)
        self.channels.pop(channel.id, None)
        if channel.socket is not None:
            if reason is not None:
                channel.socket.announce(channel.id, channel.client_id, reason)
            channel.socket.close(1001, b"")
            channel.socket = None

    def subscribe(
        self, channel: Channel, topics: Iterable[str], *, replace: bool, ignore_errors: bool
    ) -> list[Json]:
        """Adds topics or replaces all of them, and extends the channel's life.

        One refused topic refuses all, unless `ignore_errors`. Answers one element per topic.
        """
        wanted = {topic: expand(topic) for topic in topics}
        refused = {topic: reason for topic, names in wanted.items() if (reason := self._refusal(names))}
        if refused and not ignore_errors:
            raise ApiError(
                403,
                "not.authorized",
                f"You are not permitted to subscribe to {len(refused)} of the topics",
                params={"topics": ",".join(list(refused)[:10])},
            )
        accepted = {topic: names for topic, names in wanted.items() if topic not in refused}
        kept = {} if replace else channel.topics
        result = kept | accepted
        if len(result) > self.options.topics_per_channel:
            raise bad_request(
                f"A channel takes at most {self.options.topics_per_channel} topics", field="topics"
            )
        self._unlisten(channel)
        channel.topics = result
        for names in result.values():
            for name in names:
                self._listeners.setdefault(name, {})[channel.id] = channel
        channel.expires = self._expiry()
        shown: Sequence[str] = list(result)
        if self.options.subscription_answer == "added":
            shown = list(accepted)
        rejected = [
            {
                "id": topic,
                "state": "Rejected",
                "rejectionReason": reason,
                "missingPermissions": [TOPIC_PERMISSION],
            }
            for topic, reason in refused.items()
        ]
        return [permitted(topic) for topic in shown] + rejected

    def listeners(self, topic: str) -> list[Channel]:
        return list(self._listeners.get(topic, {}).values())

    def clear(self) -> None:
        for channel in list(self.channels.values()):
            self.remove(channel, reason=None)
        self.created = self.evicted = 0

    def _refusal(self, names: Iterable[str]) -> str | None:
        held = self.options.permissions
        if held is not None and TOPIC_PERMISSION not in held:
            return "The permission is missing"
        for name in names:
            if name == AGENTS_TOPIC:
                continue
            match = _USER_TOPIC.fullmatch(name)
            if match is None or match[2] not in USER_SUFFIXES:
                return "The topic does not exist"
            rejected = self.options.reject_topics
            if match[1] in rejected or "*" in rejected or not self._known_agent(match[1]):
                return "The user is not permitted"
        return None

    def _unlisten(self, channel: Channel) -> None:
        for names in channel.topics.values():
            for name in names:
                listeners = self._listeners.get(name)
                if listeners is not None:
                    listeners.pop(channel.id, None)
                    if not listeners:
                        del self._listeners[name]

    def _expiry(self) -> datetime:
        return self._clock.now() + timedelta(seconds=self.options.channel_seconds)

    def _use(self) -> int:
        self._uses += 1
        return self._uses


def permitted(topic: str) -> Json:
    return {"id": topic, "state": "Permitted", "selfUri": f"/api/v2/notifications/topics/{topic}"}

"""One notification channel: its subscriptions, its socket, and the watch over both.

A `Line` is one socket on one channel. A `Channel` keeps its agents on a line for ever: it opens one, reads
it, extends or replaces it in time without a break, and after a loss opens a gap and connects again.

Source: Genesys Cloud notification guide. A channel lives 24 hours and longer if subscribed again; a second
socket on a channel ends the first; the server speaks about every 30 s; a new token is no promise that
channels of the old one go on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from timeoff.errors import GenesysAuthFailed, GenesysError, GenesysNotFound
from timeoff.genesys.client import GenesysClient
from timeoff.genesys.models import ChannelModel
from timeoff.genesys.notifications import PERMITTED
from timeoff.genesys.oauth import Token
from timeoff.settings.model import ListenerSettings
from timeoff.telemetry.logs import get_logger
from timeoff_listener import metrics
from timeoff_listener.gap import GapBook
from timeoff_listener.observe import topic_of

_MAX_FRAME: Final = 8 * 1024 * 1024
_OPEN_TIMEOUT: Final = 10.0
#: How long the old line is still read after the new one is up.
_OVERLAP: Final = 1.0
_FIRST_BACKOFF: Final = 0.5
_DEFAULT_LIFE: Final = 86_400.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

log = get_logger()

# The library logs addresses at debug level, and the address of a socket is its only secret.
_quiet = logging.getLogger("timeoff_listener.socket")
_quiet.setLevel(logging.WARNING)


class FrameSink(Protocol):
    """Where frames go. Waits while the log is behind, which keeps the socket from being read."""

    async def frame(self, text: str | bytes, agent_ids: Collection[str]) -> str | None:
        """Take one frame. Answers the name of a system notice about the channel, if it is one."""
        ...


class LineLost(Exception):
    """The socket ended or can no longer be trusted. `reusable`: the channel itself may still live."""

    def __init__(self, reason: str, *, reusable: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reusable = reusable


@dataclass(slots=True, eq=False)
class Line:
    """One socket on one channel, subscribed. Times are on the monotonic clock."""

    channel: ChannelModel
    token: Token
    life: float
    extend_at: float
    replace_at: float
    socket: ClientConnection
    opened_at: float


class Channel:
    """Keeps a set of agents live. `assign` changes the set; `run` is the part."""

    def __init__(
        self,
        number: int,
        *,
        client: GenesysClient,
        sink: FrameSink,
        gaps: GapBook,
        settings: ListenerSettings,
    ) -> None:
        self.number = number
        self._client = client
        self._sink = sink
        self._gaps = gaps
        self._settings = settings
        self._wanted: frozenset[str] = frozenset()
        self._changed = asyncio.Event()
        self._replace = asyncio.Event()
        self._last: tuple[ChannelModel, int, float] | None = None
        self.connected = False
        #: Agents on a live socket, and since when (the event loop's clock).
        self.live: dict[str, float] = {}
        #: Agents whose topic Genesys refuses.
        self.rejected: frozenset[str] = frozenset()

    @property
    def agents(self) -> frozenset[str]:
        return self._wanted

    def assign(self, agent_ids: frozenset[str]) -> None:
        if agent_ids != self._wanted:
            self._wanted = agent_ids
            self._changed.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Errors of Genesys and of the network are tried again; the gap is open meanwhile."""
        failures = 0
        while not stop.is_set():
            line: Line | None = None
            try:
                line = await self._open(reuse=True)
                await self._keep(line, stop)
                return
            except LineLost as lost:
                reason = lost.reason
                if not lost.reusable:
                    self._last = None
            except GenesysError as error:
                reason = error.error_class
                self._last = None
                log.error("channel.refused", channel=self.number, error=reason, detail=str(error))
                if isinstance(error, GenesysAuthFailed):
                    failures = max(failures, 8)
            was_live = bool(self.live)
            self._mark_down()
            if was_live:
                metrics.DISCONNECTS.labels(reason).inc()
                # Before any new connection: from here on changes may be missed.
                await self._gaps.open(reason, sorted(self._wanted))
            # A line that held for a while was a good one; one that broke at once waits longer each time.
            held = line is not None and monotonic() - line.opened_at > self._settings.heartbeat_timeout
            failures = 0 if held else failures + 1
            await self._back_off(failures, reason, stop)

    async def _back_off(self, failures: int, reason: str, stop: asyncio.Event) -> None:
        """The first try comes at once, then full jitter up to the limit."""
        most = min(self._settings.reconnect_max, _FIRST_BACKOFF * 2 ** min(failures, 16))
        wait = 0.0 if failures <= 1 else random.uniform(0, most)  # noqa: S311
        log.warning("channel.lost", channel=self.number, reason=reason, retry_in=round(wait, 2))
        try:
            async with asyncio.timeout(wait):
                await stop.wait()
        except TimeoutError:
            pass

    # Opening a line

    async def _open(self, *, reuse: bool) -> Line:
        """A subscribed socket, on the last channel if that still lives. Raises LineLost, GenesysError."""
        token = await self._client.tokens.token()
        channel, life = await self._channel_for(token, reuse=reuse)
        # Subscribed first and connected then, so that the socket is never open without its topics; again
        # for a known channel, because a second writer may have replaced the list.
        agents = await self._subscribe(channel)
        socket = await self._connect(channel)
        now = monotonic()
        line = Line(
            channel=channel,
            token=token,
            life=life,
            extend_at=now + life - min(3600.0, life / 3),
            # While the login is down the old token goes on; then ask again soon, but not at once.
            replace_at=token.renew_at if token.renew_at > now else now + 5,
            socket=socket,
            opened_at=now,
        )
        self._mark_live(agents)
        return line

    async def _channel_for(self, token: Token, *, reuse: bool) -> tuple[ChannelModel, float]:
        """The last channel if it belongs to this token and exists, else a new one; and its life."""
        if reuse and self._last is not None:
            channel, generation, life = self._last
            if generation == token.generation and await self._client.channel_exists(channel.id):
                return channel, life
        channel = await self._client.create_channel()
        life = self._life(channel)
        self._last = (channel, token.generation, life)
        return channel, life

    def _life(self, channel: ChannelModel) -> float:
        """Seconds from subscribing to the end. A time stamp in the past is a clock that is off."""
        if channel.expires is None:
            return _DEFAULT_LIFE
        expires = channel.expires if channel.expires.tzinfo else channel.expires.replace(tzinfo=UTC)
        left = (expires - datetime.now(UTC)).total_seconds()
        return min(left, _DEFAULT_LIFE) if left > 0 else _DEFAULT_LIFE

    async def _subscribe(self, channel: ChannelModel) -> frozenset[str]:
        """Put exactly the wanted agents on the channel; answers whom Genesys let us."""
        self._changed.clear()
        wanted = self._wanted
        topics = {topic_of(agent_id): agent_id for agent_id in wanted}
        states = await self._client.replace_subscriptions(channel.id, sorted(topics))
        rejected = {
            topics[topic] for topic, state in states.items() if topic in topics and state != PERMITTED
        }
        if rejected - self.rejected:
            log.error(
                "topics.rejected", channel=self.number, count=len(rejected), agent_ids=sorted(rejected)[:100]
            )
        if restored := (self.rejected & wanted) - rejected:
            await self._gaps.open("topic permitted again", sorted(restored))
        self.rejected = frozenset(rejected)
        return wanted - rejected

    async def _connect(self, channel: ChannelModel) -> ClientConnection:
        try:
            uri = channel.connect_uri.get_secret_value()
            return await connect(
                uri,
                proxy=None if urlsplit(uri).hostname in _LOOPBACK else True,
                open_timeout=_OPEN_TIMEOUT,
                close_timeout=2,
                ping_interval=None,
                max_size=_MAX_FRAME,
                logger=_quiet,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            # 401 and 404 say that the channel is gone; an overloaded server says nothing about it.
            raise LineLost(f"upgrade_{status}", reusable=status >= 500) from None
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            raise LineLost(type(error).__name__) from None

    # Keeping it

    async def _keep(self, line: Line, stop: asyncio.Event) -> None:
        """Read the line and tend it. Returns at `stop`; raises LineLost when it is over."""
        self._replace.clear()
        reader = asyncio.create_task(self._read(line))
        fading: set[asyncio.Task[None]] = set()
        tries = 0
        try:
            while True:
                due = min(line.extend_at, line.replace_at)
                reason = await self._wait_for_work(stop, reader, due)
                if stop.is_set():
                    return
                if reader.done():
                    reader.result()  # raises LineLost
                try:
                    if reason == "replace" or monotonic() >= line.replace_at:
                        line, reader = await self._take_over(line, reader, fading)
                    elif reason == "changed" or monotonic() >= line.extend_at:
                        await self._resubscribe(line)
                    tries = 0
                except GenesysNotFound:
                    raise LineLost("channel gone", reusable=False) from None
                except (GenesysError, LineLost) as error:
                    # The line in use is still good. Both duties fall due well before its end.
                    tries += 1
                    log.warning(
                        "channel.upkeep-failed", channel=self.number, reason=str(error), attempt=tries
                    )
                    later = monotonic() + min(30.0, 2.0**tries) * random.uniform(0.5, 1)  # noqa: S311
                    line.extend_at = max(line.extend_at, later)
                    line.replace_at = max(line.replace_at, later)
        finally:
            reader.cancel()
            await asyncio.gather(reader, *fading, return_exceptions=True)
            await line.socket.close()

    async def _wait_for_work(self, stop: asyncio.Event, reader: asyncio.Task[None], due: float) -> str:
        """What woke us: `changed`, `replace`, or nothing but the time, the reader or `stop`."""
        events = {"stop": stop, "replace": self._replace, "changed": self._changed}
        waits = [asyncio.create_task(event.wait()) for event in events.values()]
        try:
            await asyncio.wait(
                {reader, *waits}, timeout=max(0.0, due - monotonic()), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for task in waits:
                task.cancel()
        return next((name for name, event in events.items() if event.is_set()), "")

    async def _take_over(
        self, old: Line, reader: asyncio.Task[None], fading: set[asyncio.Task[None]]
    ) -> tuple[Line, asyncio.Task[None]]:
        """A new line beside the old one, which is read a moment longer: what arrives twice is harmless."""
        self._replace.clear()
        line = await self._open(reuse=False)
        if reader.done():
            # The old line ended before the new one was up, so the two did not overlap.
            await self._gaps.open("lost while replacing", sorted(self._wanted))
        metrics.ROTATIONS.inc()
        log.info("channel.replaced", channel=self.number)

        async def fade() -> None:
            await asyncio.wait({reader}, timeout=_OVERLAP)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            await old.socket.close()

        task = asyncio.create_task(fade())
        fading.add(task)
        task.add_done_callback(fading.discard)
        return line, asyncio.create_task(self._read(line))

    async def _resubscribe(self, line: Line) -> None:
        """The same call serves both: other agents, and a longer life."""
        try:
            agents = await self._subscribe(line.channel)
        except GenesysError:
            line.extend_at = monotonic()  # to be done again, even if only the agents changed
            raise
        line.extend_at = monotonic() + line.life - min(3600.0, line.life / 3)
        self._mark_live(agents)

    # Reading it

    async def _read(self, line: Line) -> None:
        """Frames to the sink, for ever. Raises LineLost."""
        quiet_for = self._settings.heartbeat_timeout / 2
        pinged = False
        while True:
            try:
                async with asyncio.timeout(quiet_for):
                    text = await line.socket.recv()
                pinged = False
            except TimeoutError:
                if pinged:
                    raise LineLost("silent") from None
                pinged = True
                await self._ping(line)
                continue
            except ConnectionClosed as error:
                code = error.rcvd.code if error.rcvd is not None else 1006
                raise LineLost(f"closed_{code}") from None
            notice = await self._sink.frame(text, self._wanted)
            if notice == "socket_closing":
                self._replace.set()
            elif notice == "no_longer_subscribed":
                raise LineLost(notice, reusable=False)
            elif notice == "token_revoked":
                self._client.tokens.discard(line.token)
                raise LineLost(notice, reusable=False)

    async def _ping(self, line: Line) -> None:
        try:
            async with asyncio.timeout(_OPEN_TIMEOUT):
                await line.socket.send('{"message":"ping"}')
        except (ConnectionClosed, TimeoutError):
            raise LineLost("silent") from None

    def _mark_live(self, agents: Collection[str]) -> None:
        now = asyncio.get_running_loop().time()
        self.live = {agent_id: self.live.get(agent_id, now) for agent_id in agents}
        self.connected = True
        self._gaps.wake()

    def _mark_down(self) -> None:
        self.live = {}
        self.connected = False

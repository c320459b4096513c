"""All channels of this listener: who is on which, and who is live."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from typing import Final

from timeoff.errors import GenesysError, TimeoffError
from timeoff.genesys.client import GenesysClient
from timeoff.settings.model import ListenerSettings
from timeoff.telemetry.logs import get_logger
from timeoff_listener import metrics
from timeoff_listener.channel import Channel, FrameSink
from timeoff_listener.coverage import Coverage, pack
from timeoff_listener.gap import GapBook

_FIRST_WAIT: Final = 1.0
_MAX_WAIT: Final = 60.0
_MEASURE_EVERY: Final = 1.0

log = get_logger()


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group: a part that fails is to name its reason, not a group of them."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Fleet:
    """Refreshes the coverage and spreads the agents over channels. It is the backfill's `Liveness`."""

    def __init__(
        self,
        settings: ListenerSettings,
        *,
        client: GenesysClient,
        coverage: Coverage,
        sink: FrameSink,
        gaps: GapBook,
    ) -> None:
        self._settings = settings
        self._client = client
        self._coverage = coverage
        self._sink = sink
        self._gaps = gaps
        self._channels: list[Channel] = []
        self._left_out: frozenset[str] = frozenset()
        self._assigned: frozenset[str] = frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        """Channels come up as agents are found; all end with `stop`."""
        try:
            async with asyncio.TaskGroup() as group:
                measuring = group.create_task(self._measure())
                try:
                    await self._tend(stop, group)
                finally:
                    measuring.cancel()
        except BaseExceptionGroup as group_error:
            raise first_of(group_error) from None

    async def _tend(self, stop: asyncio.Event, group: asyncio.TaskGroup) -> None:
        failures = 0
        while not stop.is_set():
            try:
                await self._coverage.refresh()
                failures = 0
            except TimeoffError as error:
                # Genesys, or the ledger that could not be told; what is not connected waits.
                if not (error.retryable or isinstance(error, GenesysError)):
                    raise
                failures += 1
                log.error("coverage.unread", error=error.error_class, detail=str(error), attempt=failures)
            else:
                for channel in await self._spread():
                    group.create_task(channel.run(stop), name=f"channel-{channel.number}")
            wait = self._settings.agents_every * random.uniform(0.9, 1)  # noqa: S311
            if failures:
                wait = min(wait, _MAX_WAIT, _FIRST_WAIT * 2 ** min(failures, 10))
            try:
                async with asyncio.timeout(wait):
                    await stop.wait()
            except TimeoutError:
                pass

    async def _spread(self) -> list[Channel]:
        """Give each channel its agents; answers the channels that are new."""
        packed, self._left_out = pack(
            self._coverage.by_unit(),
            [channel.agents for channel in self._channels],
            size=self._settings.topics_per_channel,
            most=self._settings.max_channels,
        )
        everybody = frozenset(self._coverage.agents)
        added = everybody - self._assigned
        if added and self._assigned:
            # Nobody listened to them until now. At the start everybody is in one gap already.
            await self._gaps.open("agents added", sorted(added))
        self._assigned = everybody
        if self._left_out:
            log.error("agents.without-channel", count=len(self._left_out), channels=len(packed))
        if not everybody:
            log.error("agents.none", units=len(self._coverage.units))
        fresh = []
        for number, agents in enumerate(packed):
            if number == len(self._channels):
                channel = Channel(
                    number, client=self._client, sink=self._sink, gaps=self._gaps, settings=self._settings
                )
                self._channels.append(channel)
                fresh.append(channel)
            self._channels[number].assign(agents)
        return fresh

    def live_since(self, agent_ids: Collection[str]) -> float | None:
        """See `gap.Liveness`. Nobody is live before the agents are known."""
        agents = self._coverage.agents
        if not agents:
            return None
        live = self._live()
        # Polling is all there is for these; their gap closes when the others are live and all are read.
        unreachable = self._left_out.union(*(channel.rejected for channel in self._channels))
        latest = 0.0
        for agent_id in agent_ids or agents:
            if agent_id in unreachable or agent_id not in agents:
                continue
            if agent_id not in live:
                return None
            latest = max(latest, live[agent_id])
        return latest

    async def readiness(self) -> str | None:
        """A reason not to count on the stream, or None."""
        if not self._coverage.agents:
            return "no agents known yet"
        down = [str(channel.number) for channel in self._channels if not channel.connected]
        return f"channels not connected: {', '.join(down)}" if down else None

    def _live(self) -> dict[str, float]:
        return {agent_id: since for channel in self._channels for agent_id, since in channel.live.items()}

    async def _measure(self) -> None:
        while True:
            metrics.AGENTS_SUBSCRIBED.set(len(self._live()))
            metrics.CHANNELS_CONNECTED.set(sum(channel.connected for channel in self._channels))
            metrics.TOPICS_REJECTED.set(sum(len(channel.rejected) for channel in self._channels))
            await asyncio.sleep(_MEASURE_EVERY)

"""From the frames of all sockets to the log."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime

from timeoff.events import Observation
from timeoff.settings.model import Settings
from timeoff_listener import metrics
from timeoff_listener.accept import Acceptor
from timeoff_listener.confirm import Confirming
from timeoff_listener.coverage import Coverage
from timeoff_listener.fleet import Fleet, first_of
from timeoff_listener.gap import GapBook
from timeoff_listener.observe import Malformed, Quiet, SystemNotice, from_frame


class Stream:
    """The sink of all channels. Every frame is appended, answered, or buried with a reason."""

    def __init__(
        self,
        settings: Settings,
        *,
        coverage: Coverage,
        acceptor: Acceptor,
        confirming: Confirming,
        gaps: GapBook,
    ) -> None:
        self._settings = settings
        self._coverage = coverage
        self._acceptor = acceptor
        self._confirming = confirming
        self._gaps = gaps

    async def frame(self, text: str | bytes, agent_ids: Collection[str]) -> str | None:
        at = datetime.now(UTC)
        seen = from_frame(
            text, org=self._settings.org, at=at, places=self._coverage.places, notes=self._settings.notes
        )
        match seen:
            case Observation():
                metrics.FRAMES.labels("request").inc()
                await self._acceptor.offer(seen)
            case Quiet():
                metrics.FRAMES.labels(seen.kind).inc()
            case SystemNotice():
                metrics.FRAMES.labels("system").inc()
                return seen.kind
            case Malformed():
                metrics.FRAMES.labels("malformed").inc()
                await self._bury(seen, text, at, agent_ids)
        return None

    async def _bury(
        self, malformed: Malformed, text: str | bytes, at: datetime, agent_ids: Collection[str]
    ) -> None:
        """What the frame meant to say is read over REST: from its agent, else from all it may be about."""
        await self._acceptor.offer_letter(malformed, origin="genesys-stream", at=at, frame=text)
        if malformed.agent_id is None:
            await self._gaps.open("unreadable frame", sorted(agent_ids))
        elif malformed.agent_id in self._coverage.agents:
            self._confirming.ask(malformed.agent_id)


async def run_stream(fleet: Fleet, acceptor: Acceptor, stop: asyncio.Event) -> None:
    """The part: channels read until `stop`, and then what they read is still appended."""

    async def read() -> None:
        await fleet.run(stop)
        await acceptor.close()

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(acceptor.pump())
            group.create_task(read())
    except BaseExceptionGroup as error:
        raise first_of(error) from None

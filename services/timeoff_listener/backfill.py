"""Backfill: read over REST what the stream may have missed, and close the gaps that this covers.

Per unit: all PENDING requests, then windows over look-back and horizon; then, agent by agent, whoever has
a known request that these did not show (its dates or its unit changed, or it lies outside). Genesys offers
no query by modification time, so everything in reach is read and versions tell what is news.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from timeoff.errors import TimeoffError
from timeoff.events import Observation
from timeoff.genesys.client import GenesysClient
from timeoff.genesys.time_off import Window, windows
from timeoff.settings.model import ListenerSettings
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import ObservationSource
from timeoff_listener import metrics
from timeoff_listener.accept import Acceptor
from timeoff_listener.agent_reads import AgentReads
from timeoff_listener.coverage import Coverage, Unit
from timeoff_listener.gap import GapBook, Liveness
from timeoff_listener.ports import Gap, ListenerLedger

_FIRST_WAIT: Final = 1.0
_MAX_WAIT: Final = 60.0
#: Agents whose known requests are asked from the ledger at a time.
_AGENTS_A_LOOK: Final = 500

log = get_logger()


@dataclass(slots=True)
class _Pass:
    """One run over some units: what was seen, and where it failed."""

    read: int = 0
    news: int = 0
    seen: set[str] = field(default_factory=set)
    failed_units: dict[str, TimeoffError] = field(default_factory=dict)
    failed_agents: dict[str, TimeoffError] = field(default_factory=dict)


class Backfill:
    """The part that fills gaps as they ripen, and reads everything now and then without one."""

    def __init__(
        self,
        settings: ListenerSettings,
        *,
        client: GenesysClient,
        coverage: Coverage,
        ledger: ListenerLedger,
        acceptor: Acceptor,
        reads: AgentReads,
        gaps: GapBook,
        liveness: Liveness,
    ) -> None:
        self._settings = settings
        self._client = client
        self._coverage = coverage
        self._ledger = ledger
        self._acceptor = acceptor
        self._reads = reads
        self._gaps = gaps
        self._liveness = liveness

    async def run(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._gaps.wake())
        failures = 0
        regular_at = loop.time() + self._settings.backfill_every
        try:
            while not stop.is_set():
                try:
                    ripeness = await self._gaps.ripe(self._liveness)
                    regular = loop.time() >= regular_at
                    if (ripeness.ripe or regular) and self._coverage.units:
                        complete = await self._fill(ripeness.ripe, everything=regular, stop=stop)
                        failures = 0 if complete else failures + 1
                        if regular and complete:
                            regular_at = loop.time() + self._settings.backfill_every
                        if complete:
                            continue  # others may have ripened meanwhile
                except TimeoffError as error:
                    if not error.retryable:
                        raise
                    failures += 1
                    log.warning("backfill.failed", error=error.error_class, detail=str(error))
                    ripeness = None
                until = regular_at if ripeness is None or ripeness.next_at is None else ripeness.next_at
                if failures:
                    most = min(_MAX_WAIT, _FIRST_WAIT * 2 ** min(failures, 10))
                    until = loop.time() + random.uniform(most / 2, most)  # noqa: S311
                    # New gaps wait their turn too: whatever failed would fail for them.
                    await _sleep_until(until, stop)
                else:
                    # An upper bound, so that gaps opened by other processes are found.
                    await self._gaps.wait(min(until - loop.time(), 5.0))
        finally:
            stopped.cancel()

    async def _fill(self, gaps: Sequence[Gap], *, everything: bool, stop: asyncio.Event) -> bool:
        """One pass over what these gaps touch, or over everything. Answers whether nothing failed."""
        began = asyncio.get_running_loop().time()
        units = self._units_of(gaps, everything=everything)
        agents = self._agents_of(gaps, units, everything=everything)
        run = _Pass()
        for unit in units:
            if stop.is_set():
                return True
            try:
                await self._read_unit(unit, run)
            except TimeoffError as error:
                run.failed_units[unit.unit_id] = error
        if len(run.failed_units) < len(units) or not units:
            await self._read_unseen(agents, run, stop)
        if stop.is_set():
            return True
        self._report(run, units, began)
        for gap in gaps:
            if not self._failed_for(gap, run):
                await self._gaps.close(gap, requests_read=run.read)
        return not run.failed_units and not run.failed_agents

    def _units_of(self, gaps: Sequence[Gap], *, everything: bool) -> Sequence[Unit]:
        units = self._coverage.units
        if everything or any(not gap.agent_ids for gap in gaps):
            return list(units.values())
        touched = {self._coverage.agents.get(agent_id) for gap in gaps for agent_id in gap.agent_ids}
        return [unit for unit_id, unit in units.items() if unit_id in touched]

    def _agents_of(self, gaps: Sequence[Gap], units: Sequence[Unit], *, everything: bool) -> Collection[str]:
        if everything or any(not gap.agent_ids for gap in gaps):
            return sorted(self._coverage.agents)
        return sorted({agent_id for gap in gaps for agent_id in gap.agent_ids})

    async def _read_unit(self, unit: Unit, run: _Pass) -> None:
        today = unit.today().date()
        reach: list[Window | None] = [None]
        reach += windows(
            today - timedelta(days=self._settings.look_back_days),
            today + timedelta(days=self._settings.horizon_days),
        )
        newest: dict[str, Observation] = {}
        for window in reach:
            at = datetime.now(UTC)
            items = await self._client.time_off_query(unit.unit_id, pending=window is None, window=window)
            for item in items:
                seen = await self._reads.observe(
                    item, at=at, unit=unit, source=ObservationSource.BACKFILL, agent_id=None
                )
                if seen is None:
                    continue
                held = newest.get(seen.request_id)
                if held is None or (seen.version or 0) > (held.version or 0):
                    newest[seen.request_id] = seen
        run.read += len(newest)
        run.seen.update(newest)
        metrics.BACKFILL_READ.inc(len(newest))
        news = await self._reads.news(list(newest.values()))
        await self._acceptor.append(news)
        run.news += len(news)

    async def _read_unseen(self, agents: Collection[str], run: _Pass, stop: asyncio.Event) -> None:
        """Agents of whom the ledger knows a request that no window showed, one by one."""
        ordered = list(agents)
        for first in range(0, len(ordered), _AGENTS_A_LOOK):
            known = await self._ledger.known_requests(ordered[first : first + _AGENTS_A_LOOK])
            for agent_id, unseen in _unseen(known, run.seen).items():
                if stop.is_set():
                    return
                if self._coverage.agents.get(agent_id) in run.failed_units:
                    continue
                try:
                    news = await self._reads.accept(agent_id, unseen, ObservationSource.BACKFILL)
                except TimeoffError as error:
                    run.failed_agents[agent_id] = error
                    continue
                run.read += len(unseen)
                run.news += len(news)

    def _failed_for(self, gap: Gap, run: _Pass) -> bool:
        if not gap.agent_ids:
            return bool(run.failed_units or run.failed_agents)
        return any(
            agent_id in run.failed_agents or self._coverage.agents.get(agent_id) in run.failed_units
            for agent_id in gap.agent_ids
        )

    def _report(self, run: _Pass, units: Sequence[Unit], began: float) -> None:
        seconds = asyncio.get_running_loop().time() - began
        failed = {**run.failed_units, **run.failed_agents}
        metrics.BACKFILLS.labels("failed" if failed else "finished").inc()
        if failed:
            name, error = next(iter(failed.items()))
            log.error(
                "backfill.incomplete",
                units=len(units),
                failed=len(failed),
                first=name,
                error=error.error_class,
                detail=str(error),
            )
        else:
            metrics.BACKFILL_SECONDS.observe(seconds)
        log.info(
            "backfill.done", units=len(units), requests=run.read, news=run.news, seconds=round(seconds, 2)
        )


def _unseen(
    known: Mapping[str, Mapping[str, int | None]], seen: Collection[str]
) -> Mapping[str, Collection[str]]:
    left = {agent_id: [each for each in requests if each not in seen] for agent_id, requests in known.items()}
    return {agent_id: requests for agent_id, requests in left.items() if requests}


async def _sleep_until(when: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout_at(when):
            await stop.wait()
    except TimeoutError:
        pass

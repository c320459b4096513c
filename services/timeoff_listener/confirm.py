"""Confirming reads: a notification only hints, the REST version decides (invariant 5).

The ledger says which agents to read; broken frames ask here directly. Reads are one per agent, however
many of its requests wait, and what they see is appended, which is what clears the wait.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Final

from timeoff.errors import TimeoffError
from timeoff.settings.model import ListenerSettings
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import ObservationSource
from timeoff_listener import metrics
from timeoff_listener.agent_reads import AgentReads
from timeoff_listener.ports import Confirmation, ListenerLedger

#: A claimed agent is ours this long; longer than a read with all its retries takes.
LEASE: Final = 120.0
_LOOK: Final = 1.0
_FIRST_WAIT: Final = 1.0
_MAX_WAIT: Final = 300.0

log = get_logger()


class Confirming:
    """The part that answers confirmations."""

    def __init__(self, settings: ListenerSettings, *, ledger: ListenerLedger, reads: AgentReads) -> None:
        self._settings = settings
        self._ledger = ledger
        self._reads = reads
        self._asked: dict[str, int] = {}
        self._news = asyncio.Event()

    def ask(self, agent_id: str, attempts: int = 0) -> None:
        """Read this agent soon. Held in memory: a start reads everybody anyway."""
        self._asked.setdefault(agent_id, attempts)
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        limit = self._settings.confirm_concurrency
        running: set[asyncio.Task[None]] = set()
        look = asyncio.create_task(self._look())
        stopped = asyncio.create_task(stop.wait())
        due = True
        try:
            while not stop.is_set():
                if due and (free := limit - len(running)):
                    claimed = await self._claim(free)
                    running.update(asyncio.create_task(self._confirm(each)) for each in claimed)
                    # Everything that is due is taken without a pause; slots are refilled as reads end.
                    due = len(claimed) == free
                news = asyncio.create_task(self._news.wait())
                signs = () if due else (look, news)
                await asyncio.wait((stopped, *signs, *running), return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                for ended in [task for task in running if task.done()]:
                    running.discard(ended)
                    ended.result()
                if not due and (look.done() or self._news.is_set()):
                    # A burst of changes of one agent costs one read.
                    await _pause(self._settings.confirm_delay, stop)
                    due = True
                    if look.done():
                        look.result()
                        look = asyncio.create_task(self._look())
            if running:
                await asyncio.gather(*running)
        finally:
            stopped.cancel()
            for task in (look, *running):
                task.cancel()
            await asyncio.gather(look, stopped, *running, return_exceptions=True)

    async def _look(self) -> None:
        try:
            await self._ledger.wait_for_confirmations(_LOOK)
        except TimeoffError as error:
            if not error.retryable:
                raise
            await asyncio.sleep(_LOOK)

    async def _claim(self, limit: int) -> Sequence[Confirmation]:
        if limit <= 0:
            return ()
        self._news.clear()
        own = [Confirmation(agent_id, (), self._asked[agent_id]) for agent_id in list(self._asked)[:limit]]
        for each in own:
            del self._asked[each.agent_id]
        if self._asked:
            self._news.set()
        if len(own) < limit:
            try:
                return [*own, *await self._ledger.claim_confirmations(limit - len(own), LEASE)]
            except TimeoffError as error:
                if not error.retryable:
                    raise
                log.warning("confirmations.unclaimed", error=error.error_class, detail=str(error))
        return own

    async def _confirm(self, confirmation: Confirmation) -> None:
        agent_id, waited = confirmation.agent_id, frozenset(confirmation.request_ids)
        try:
            accepted = await self._reads.accept(agent_id, waited, ObservationSource.CONFIRM)
        except TimeoffError as error:
            metrics.CONFIRMATIONS.labels(error.error_class).inc()
            most = min(_MAX_WAIT, _FIRST_WAIT * 2 ** min(confirmation.attempts, 10))
            wait = max(error.retry_after or 0.0, random.uniform(most / 2, most))  # noqa: S311
            log.warning(
                "confirmation.failed",
                agent_id=agent_id,
                error=error.error_class,
                detail=str(error),
                attempt=confirmation.attempts + 1,
                retry_in=round(wait, 1),
            )
            if waited:
                await self._postpone(agent_id, wait)
            else:
                loop = asyncio.get_running_loop()
                loop.call_later(wait, self.ask, agent_id, confirmation.attempts + 1)
            return
        metrics.CONFIRMATIONS.labels("read").inc()
        log.debug("agent.read", agent_id=agent_id, waited=len(waited), observations=len(accepted))

    async def _postpone(self, agent_id: str, seconds: float) -> None:
        try:
            await self._ledger.postpone_confirmation(agent_id, seconds)
        except TimeoffError as error:
            if not error.retryable:
                raise
            # The claim ends by itself, only later.
            log.warning("confirmation.not-postponed", agent_id=agent_id, error=error.error_class)


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass

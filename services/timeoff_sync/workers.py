"""Workers: claim lanes with due work, run them side by side, keep their leases, give them back.

Loading, renewing and releasing are done for many lanes at a time, so that the number of statements follows
the clock and not the number of changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from timeoff.errors import LeaseLost
from timeoff.ledger.database import CONNECTION_TROUBLE, REFUSED
from timeoff.ledger.group_commit import GroupCommit
from timeoff.ledger.lanes import Lane, Lanes
from timeoff.telemetry.logs import get_logger
from timeoff_sync import metrics
from timeoff_sync.lane_run import LaneBlocked, LaneRun, Tools
from timeoff_sync.writing import Writing, until

log = get_logger()

#: A lane whose step the database refused is left alone for so many seconds.
REFUSED_BLOCK = 60.0


class Workers:
    def __init__(
        self,
        lanes: Lanes,
        tools: Mapping[str, Tools],
        writing: Writing,
        due: asyncio.Event,
        *,
        most_lanes: int,
        requests_per_claim: int,
        lease: float,
        poll: float,
    ) -> None:
        self._lanes = lanes
        self._tools = tools
        self._writing = writing
        self._due = due
        self._most_lanes = most_lanes
        self._requests = requests_per_claim
        self._lease = lease
        self._poll = poll
        self._held: dict[int, LaneRun] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None
        self.progressed_at = time.monotonic()

    async def run(self, stop: asyncio.Event) -> None:
        """Until stopped; then running lanes finish their call, note its outcome and are given back."""
        for tools in self._tools.values():
            tools.target.interrupt(stop, lambda: LaneBlocked(0.0))
        reload = GroupCommit(self._reload, writers=2, largest=1000)
        release = GroupCommit(self._release, writers=1, largest=1000)
        renewing = asyncio.create_task(self._renew())
        watching = asyncio.create_task(_wake(stop, self._due))
        try:
            while not stop.is_set():
                self._due.clear()
                try:
                    started = await self._claim(stop, reload.submit, release.submit)
                except CONNECTION_TROUBLE as error:
                    log.error("ledger.unreachable", error=type(error).__name__)
                    await until(stop, 1.0)
                    continue
                self.progressed_at = time.monotonic()
                if self._crash is not None:
                    raise self._crash
                if started < self._most_lanes // 4 or len(self._held) >= self._most_lanes:
                    await self._wait(stop)
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in (renewing, watching, *self._tasks):
                task.cancel()
            await asyncio.gather(renewing, watching, *self._tasks, return_exceptions=True)
            await reload.close()
            await release.close()

    async def _wait(self, stop: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(self._due.wait(), self._poll)
        except TimeoutError:
            pass

    async def _claim(
        self, stop: asyncio.Event, reload: Callable[[Lane], Any], release: Callable[[tuple[Lane, float]], Any]
    ) -> int:
        await self._writing.refresh(self._poll)
        known = [name for name, tools in self._tools.items() if tools.target.types_known]
        targets = self._writing.running(known)
        free = self._most_lanes - len(self._held)
        if not targets or free <= 0:
            return 0
        claimed = await self._lanes.claim(targets, free, self._lease, self._requests)
        for lane in claimed:
            task = asyncio.create_task(self._work(lane, stop, reload, release))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        metrics.LANES.set(len(self._tasks))
        return len(claimed)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash = self._crash or error
            self._due.set()

    async def _work(
        self,
        lane: Lane,
        stop: asyncio.Event,
        reload: Callable[[Lane], Any],
        release: Callable[[tuple[Lane, float]], Any],
    ) -> None:
        """One lane from claim to release. Losing the lease or the ledger costs this lane only."""
        block = 0.0
        run: LaneRun | None = None
        try:
            while True:
                run = LaneRun(lane, self._tools[lane.target], stop)
                self._held[lane.lane_id] = run
                try:
                    block = await run.run()
                except REFUSED as error:  # its words may quote values
                    log.error("lane.step_refused", lane=lane.lane_id, error=type(error).__name__)
                    block = REFUSED_BLOCK
                if block or stop.is_set() or len(lane.cases) < 1:
                    break
                again: Lane | None = await reload(lane)
                if again is None or not again.cases:
                    break
                lane = again
            await release((lane, block))
            if block:
                asyncio.get_running_loop().call_later(block + 0.01, self._due.set)
        except LeaseLost:
            log.warning("lane.lost", lane=lane.lane_id, epoch=lane.epoch)
        except CONNECTION_TROUBLE as error:
            # The lease runs out by itself; whatever was announced is settled by who claims the lane next.
            log.error("ledger.unreachable", lane=lane.lane_id, error=type(error).__name__)
        finally:
            full = len(self._held) >= self._most_lanes
            if self._held.get(lane.lane_id) is run:  # a lane that was lost may be ours again
                del self._held[lane.lane_id]
            if full:
                self._due.set()

    async def _reload(self, lanes: list[Lane]) -> list[Lane | None]:
        rows = {
            lane.lane_id: {
                "epoch": lane.epoch,
                "target": lane.target,
                "employee_id": lane.employee_id,
            }
            for lane in lanes
        }
        loaded = {lane.lane_id: lane for lane in await self._lanes.load(rows, self._requests)}
        return [loaded.get(lane.lane_id) for lane in lanes]

    async def _release(self, lanes: list[tuple[Lane, float]]) -> list[None]:
        await self._lanes.release({lane.lane_id: (lane.epoch, block) for lane, block in lanes})
        return [None] * len(lanes)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            held = {lane_id: run.lane.epoch for lane_id, run in self._held.items()}
            try:
                kept = await self._lanes.renew(held, self._lease)
            except CONNECTION_TROUBLE:
                continue
            for lane_id, run in list(self._held.items()):
                if lane_id in held and lane_id not in kept and run.lane.epoch == held[lane_id]:
                    run.lost = True


async def _wake(stop: asyncio.Event, due: asyncio.Event) -> None:
    await stop.wait()
    due.set()

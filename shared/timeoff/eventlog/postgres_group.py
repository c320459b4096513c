"""One member of a group on the embedded log: leases in place of a coordinator.

Each member renews its own row every third of a lease. In the same transaction, with the group's lease rows
locked, it sees who is alive and how the partitions are shared, and acts for itself only: it takes free
partitions up to its share and gives up what is above it, after `on_revoked`. So a partition has one owner
at any time, and a new generation for each; a commit of an older generation finds no row to change.
A member that stands still in the middle of that transaction would hold the whole group: the server ends the
transaction after a lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from timeoff.errors import Fenced, TimeoffError, Unreachable
from timeoff.eventlog.places import Place, check_commit, stand
from timeoff.eventlog.port import Batch, Bounds, LogRecord, Revoked, Span, Starts
from timeoff.eventlog.postgres_reading import Stretch, Topic, bounds_of, fetch, queries, translated

_log = structlog.get_logger("timeoff.eventlog")


@dataclass(frozen=True, slots=True)
class _Lease:
    generation: int
    committed: int | None


def shares(held: Mapping[str, int], partitions: int) -> dict[str, int]:
    """How many partitions each live member should have, given what it has. They differ by one at most.

    The larger shares go to those who hold more already, so that nothing moves without need.
    """
    floor, extra = divmod(partitions, len(held))
    ranked = sorted(held, key=lambda member: (-held[member], member))
    return {member: floor + (rank < extra) for rank, member in enumerate(ranked)}


def _heed_cancellation() -> None:
    """A cancellation that meets a broken connection can come out as an error of that connection."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class PostgresSubscription:
    """Implements `Subscription`."""

    def __init__(
        self,
        pool: asyncpg.Pool[Any],
        topic: Topic,
        group: str,
        *,
        member: str | None,
        starts: Starts | None,
        on_revoked: Revoked | None,
        appended: asyncio.Event,
        regrouped: asyncio.Event,
        lease: float,
        poll: float,
        revoke_timeout: float,
    ) -> None:
        self._pool = pool
        self._topic = topic
        self._group: dict[str, Any] = {"topic_id": topic.id, "group_name": group}
        self._static = member is not None
        self._session = uuid.uuid4()
        self._member = member if member is not None else str(self._session)
        self._starts = starts
        self._on_revoked = on_revoked
        self._wake = appended
        self._regrouped = regrouped
        self._lease = lease
        self._retry_after = min(1.0, lease / 10)
        self._poll = poll
        self._revoke_timeout = revoke_timeout
        self._owned: dict[int, _Lease] = {}
        self._places: dict[int, Place] = {}
        self._paused: set[int] = set()
        self._revoking: set[int] = set()
        self._turn = 0
        self._fenced: Fenced | None = None
        self._valid_until = 0.0
        self._renewing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def partitions(self) -> frozenset[int]:
        return frozenset(self._owned)

    # Membership

    async def join(self) -> None:
        with translated("joining the group"):
            await queries.make_leases(self._pool, **self._group)
            await queries.join_group(
                self._pool, **self._group, member=self._member, session=self._session, lease=self._lease
            )
        await self._renew_until(asyncio.get_running_loop().time() + self._lease)
        # A member that is new to the group finds its share taken: the others are told to look.
        await self._tell()
        self._spawn(self._stay(), "eventlog-member")

    async def leave(self) -> None:
        """Give everything back at once. A named member keeps its partitions until its lease ends."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        owned, self._owned = self._owned, {}
        self._places.clear()
        if self._static or self._fenced is not None:
            return
        try:
            async with asyncio.timeout(5):
                with translated("leaving the group"):
                    await self._release(owned)
                    await queries.leave_group(
                        self._pool, **self._group, member=self._member, session=self._session
                    )
                await self._tell()
        except (TimeoffError, TimeoutError) as error:
            _log.info("the lease is left to end by itself", reason=type(error).__name__)

    async def _stay(self) -> None:
        """Renew in time, and at once when the group has changed."""
        while self._fenced is None:
            self._regrouped.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._lease / 3):
                    await self._regrouped.wait()
            try:
                await self._renew()
            except TimeoffError as error:
                _log.warning("a group lease could not be renewed", topic=self._topic.name, reason=str(error))
                _heed_cancellation()
                await asyncio.sleep(self._retry_after)

    async def _renew_until(self, end: float) -> None:
        """Renew for a caller who waits; one slow or lost statement is tried again until `end` (loop time)."""
        while True:
            try:
                await self._renew()
            except Unreachable:
                _heed_cancellation()
                if asyncio.get_running_loop().time() >= end:
                    raise
                await asyncio.sleep(self._retry_after)
            else:
                return

    async def _renew(self) -> None:
        """Say that we are alive, and bring our partitions to our share."""
        loop = asyncio.get_running_loop()
        async with self._renewing:
            began = loop.time()
            with translated("renewing the lease"):
                async with self._pool.acquire() as connection, connection.transaction():
                    await queries.end_if_idle(connection, milliseconds=str(max(1, round(self._lease * 1000))))
                    rows = [row async for row in queries.lock_leases(connection, **self._group)]
                    if not await queries.renew_member(
                        connection,
                        **self._group,
                        member=self._member,
                        session=self._session,
                        lease=self._lease,
                    ):
                        self._replaced()
                        return
                    await queries.drop_expired_members(connection, **self._group)
                    live = {row["member"] async for row in queries.live_members(connection, **self._group)}
                    leases = {row["partition"]: row for row in rows}
                    taken = self._plan(leases, live)
                    if taken:
                        await queries.take_leases(
                            connection, **self._group, member=self._member, partitions=sorted(taken)
                        )
            self._valid_until = began + self._lease
            self._settle(leases, taken)

    def _plan(self, leases: Mapping[int, Any], live: Collection[str]) -> set[int]:
        """Which partitions to take now; starts giving up what is above our share."""
        held = dict.fromkeys(live, 0)
        for row in leases.values():
            if row["member"] in held:
                held[row["member"]] += 1
        # Rows in our name that this process does not know are those of our name's earlier process.
        inherited = {
            p for p, row in leases.items() if row["member"] == self._member and not self._holds(p, row)
        }
        share = shares(held, len(leases))[self._member]
        surplus = held[self._member] - share
        if surplus > 0:
            self._give_up(surplus - len(self._revoking))
            return inherited
        free = sorted(p for p, row in leases.items() if row["member"] not in held)
        return inherited | set(free[:-surplus] if surplus else [])

    def _holds(self, partition: int, row: Any) -> bool:
        lease = self._owned.get(partition)
        return lease is not None and lease.generation == row["generation"] and row["member"] == self._member

    def _settle(self, leases: Mapping[int, Any], taken: Collection[int]) -> None:
        """Make our view that of the transaction just committed."""
        for partition, row in leases.items():
            if partition in taken:
                self._drop(partition)
                self._owned[partition] = _Lease(row["generation"] + 1, row["committed"])
            elif partition in self._owned and not self._holds(partition, row):
                self._drop(partition)
        self._wake.set()

    def _drop(self, partition: int) -> None:
        self._owned.pop(partition, None)
        self._places.pop(partition, None)
        self._paused.discard(partition)

    def _replaced(self) -> None:
        self._fenced = Fenced(f"another process joined {self._topic.name} as {self._member!r}")
        for partition in list(self._owned):
            self._drop(partition)
        self._wake.set()

    def _give_up(self, count: int) -> None:
        candidates = sorted(self._owned.keys() - self._revoking, reverse=True)[: max(count, 0)]
        if candidates:
            self._revoking.update(candidates)
            self._spawn(self._revoke(frozenset(candidates)), "eventlog-revoke")

    async def _revoke(self, partitions: frozenset[int]) -> None:
        """Let the reader finish, then free the partitions. Renewals go on meanwhile."""
        try:
            if self._on_revoked is not None:
                async with asyncio.timeout(self._revoke_timeout):
                    await self._on_revoked(partitions)
        except Exception:  # noqa: BLE001 - foreign code; the partitions go either way
            _log.exception("on_revoked failed", topic=self._topic.name, partitions=sorted(partitions))
        freed = {p: lease for p, lease in self._owned.items() if p in partitions}
        try:
            for partition in partitions:
                self._drop(partition)
            with translated("releasing partitions"):
                await self._release(freed)
            await self._tell()
        except TimeoffError as error:
            # The rows keep our name: the next renewal inherits them and gives them up again.
            _log.warning("partitions could not be released", reason=str(error))
        finally:
            self._revoking -= partitions

    async def _release(self, leases: Mapping[int, _Lease]) -> None:
        if leases:
            await queries.release_leases(
                self._pool,
                **self._group,
                member=self._member,
                partitions=list(leases),
                generations=[lease.generation for lease in leases.values()],
            )

    async def _tell(self) -> None:
        with translated("telling the group"):
            await queries.tell_group(self._pool, **self._group)

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Reading

    async def batch(self, max_records: int, wait: float) -> Batch | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while True:
            self._wake.clear()
            if self._fenced is not None:
                raise self._fenced
            if loop.time() > self._valid_until:
                # We were away for longer than a lease: ask who owns what before anything is read.
                await self._renew_until(deadline)
            await self._place_all()
            batch = await self._fetch(max_records)
            if batch is not None:
                return batch
            remaining = deadline - loop.time()
            if remaining <= 0:
                return None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(remaining, self._poll)):
                    await self._wake.wait()

    async def _place_all(self) -> None:
        missing = {p: lease for p, lease in self._owned.items() if p not in self._places}
        if not missing:
            return
        wanted = dict(await self._starts(frozenset(missing))) if self._starts is not None else {}
        held = await bounds_of(self._pool, self._topic, list(missing))
        for partition, lease in missing.items():
            # Only if it is still the same ownership that `starts` was asked for.
            if self._owned.get(partition) is lease and partition not in self._places:
                position = wanted.get(partition, lease.committed)
                if position is None:
                    position = held[partition].low
                self._places[partition] = stand(self._topic.name, partition, position, held[partition])

    async def _fetch(self, max_records: int) -> Batch | None:
        active = {p: q for p, q in self._places.items() if p not in self._paused and p not in self._revoking}
        if not active:
            return None
        held = await bounds_of(self._pool, self._topic, list(active))
        for partition, place in active.items():
            if place.fault is None:
                place.fault = stand(self._topic.name, partition, place.position, held[partition]).fault
            if place.fault is not None and self._places.get(partition) is place:
                raise place.fault
        stretches = self._stretches(active, held, max_records)
        if not stretches:
            return None
        read: dict[int, list[LogRecord]] = {stretch.partition: [] for stretch in stretches}
        for record in await fetch(self._pool, self._topic, stretches):
            read[record.partition].append(record)
        kept: list[LogRecord] = []
        spans: dict[int, Span] = {}
        for stretch in stretches:
            place = active[stretch.partition]
            mine = read[stretch.partition]
            if self._places.get(stretch.partition) is not place or stretch.partition in self._revoking:
                continue  # taken away, or moved by `seek`, while we read
            if len(mine) != stretch.last - stretch.first:
                continue  # trimmed while we read: the next look at the bounds says so
            place.position = stretch.last
            kept.extend(mine)
            spans[stretch.partition] = Span(stretch.first, stretch.last)
        return Batch(tuple(kept), spans) if kept else None

    def _stretches(
        self, active: Mapping[int, Place], held: Mapping[int, Bounds], max_records: int
    ) -> list[Stretch]:
        """What to read next: as much as there is, beginning with another partition each time."""
        order = sorted(active)
        self._turn += 1
        stretches: list[Stretch] = []
        for index in range(len(order)):
            partition = order[(index + self._turn) % len(order)]
            position = active[partition].position
            count = min(held[partition].high - position, max_records)
            if count > 0:
                stretches.append(Stretch(partition, position, position + count))
                max_records -= count
        return stretches

    async def commit(self, offsets: Mapping[int, int]) -> None:
        if self._fenced is not None:
            raise self._fenced
        check_commit(self._topic.name, self._places, offsets)
        if not offsets:
            return
        with translated("the commit of offsets"):
            stored = await queries.commit_offsets(
                self._pool,
                **self._group,
                member=self._member,
                partitions=list(offsets),
                generations=[self._owned[p].generation for p in offsets],
                positions=list(offsets.values()),
            )
        if stored != len(offsets):
            raise Fenced(f"a partition of {self._topic.name} has another owner now")

    async def seek(self, partition: int, offset: int) -> None:
        self._must_own(partition)
        held = await bounds_of(self._pool, self._topic, [partition])
        self._must_own(partition)
        self._places[partition] = stand(self._topic.name, partition, offset, held[partition])
        self._wake.set()

    async def pause(self, partition: int) -> None:
        self._must_own(partition)
        self._paused.add(partition)

    async def bounds(self) -> Mapping[int, Bounds]:
        return await bounds_of(self._pool, self._topic, list(self._owned))

    def _must_own(self, partition: int) -> None:
        if partition not in self._owned:
            raise Fenced(f"{self._topic.name}/{partition} is not owned by this member now")

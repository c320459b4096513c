"""Promises of group commit: all who wait learn what became of their item; nothing waits for a timer."""

from __future__ import annotations

import asyncio

import pytest

from timeoff.ledger.group_commit import GroupCommit


class Writes:
    """Records batches; a write waits until `go` is set and fails with `error` if there is one."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.started = asyncio.Event()
        self.error: BaseException | None = None

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        self.started.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return [item * 10 for item in items]


async def test_what_gathers_during_a_write_is_the_next_batch() -> None:
    writes = Writes()
    group = GroupCommit(writes, writers=1)
    first = asyncio.create_task(group.submit(1))
    await writes.started.wait()
    rest = [asyncio.create_task(group.submit(n)) for n in range(2, 6)]
    await asyncio.sleep(0)
    writes.go.set()
    assert await asyncio.gather(first, *rest) == [10, 20, 30, 40, 50]
    assert writes.batches == [[1], [2, 3, 4, 5]]
    await group.close()


async def test_no_batch_is_larger_than_the_limit_and_none_is_forgotten() -> None:
    writes = Writes()
    writes.go.set()
    group = GroupCommit(writes, writers=2, largest=3)
    assert await asyncio.gather(*(group.submit(n) for n in range(8))) == [n * 10 for n in range(8)]
    assert max(map(len, writes.batches)) == 3
    assert sorted(n for batch in writes.batches for n in batch) == list(range(8))
    await group.close()


async def test_an_error_reaches_everyone_in_the_batch_and_the_writer_goes_on() -> None:
    writes = Writes()
    writes.go.set()
    writes.error = OSError("gone")
    group = GroupCommit(writes, writers=1)
    failed = await asyncio.gather(*(group.submit(n) for n in range(4)), return_exceptions=True)
    assert [type(error) for error in failed] == [OSError] * 4
    writes.error = None
    assert await group.submit(7) == 70
    await group.close()


async def test_one_that_stopped_waiting_does_not_disturb_the_others() -> None:
    writes = Writes()
    group = GroupCommit(writes, writers=1)
    impatient, patient = asyncio.create_task(group.submit(1)), asyncio.create_task(group.submit(2))
    await writes.started.wait()
    impatient.cancel()
    writes.go.set()
    assert await patient == 20
    with pytest.raises(asyncio.CancelledError):
        await impatient
    await group.close()


async def test_closing_tells_those_in_flight_and_those_in_the_queue() -> None:
    writes = Writes()
    group = GroupCommit(writes, writers=1)
    flying = asyncio.create_task(group.submit(1))
    await writes.started.wait()
    waiting = asyncio.create_task(group.submit(2))
    await asyncio.sleep(0)
    await group.close()
    results = await asyncio.gather(flying, waiting, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2


async def test_an_answer_that_is_an_exception_fails_its_item_alone() -> None:
    async def write(items: list[int]) -> list[int | Exception]:
        return [ValueError("odd") if item % 2 else item * 10 for item in items]

    group: GroupCommit[int, int] = GroupCommit(write, writers=1)
    answers = await asyncio.gather(*map(group.submit, range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, ValueError, int]
    await group.close()

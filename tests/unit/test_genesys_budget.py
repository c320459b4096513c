"""The rate budget: no minute holds more calls than allowed, and a 429 stops everybody."""

from __future__ import annotations

import asyncio

import pytest

from timeoff.genesys.budget import LocalBudget


class Turned:
    """Time that passes only by sleeping in it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        real = asyncio.sleep

        async def sleep(seconds: float) -> None:
            self.now += seconds
            await real(0)

        monkeypatch.setattr("timeoff.genesys.budget.asyncio.sleep", sleep)

    def __call__(self) -> float:
        return self.now


async def test_no_stretch_of_a_minute_holds_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Turned(monkeypatch)
    budget = LocalBudget(300, clock=clock)
    sent = []
    for _ in range(1500):
        await budget.take()
        sent.append(clock())
    for first, at in enumerate(sent):
        assert sum(1 for other in sent[first:] if other < at + 60) <= 300
    assert sent[-1] - sent[0] < 1500 / 300 * 60 * 1.15, "the limit is hardly used"


async def test_a_throttle_stops_everybody_for_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Turned(monkeypatch)
    budget = LocalBudget(600, clock=clock)
    await budget.take()
    await budget.slow_down(12)
    await budget.slow_down(3)
    began = clock()
    await budget.take()
    assert clock() - began == pytest.approx(12, abs=0.01)


async def test_more_than_a_burst_at_once_is_granted_and_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Turned(monkeypatch)
    budget = LocalBudget(60, clock=clock)
    await budget.take(30)
    began = clock()
    await budget.take()
    assert clock() - began >= 20

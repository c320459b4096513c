"""Throttled, locked out, refusing, flooded with cancels: the sync slows, stops or asks, and loses nothing."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.acceptance.conftest import Launch
from tests.support.system import DAY_OFF, System, in_days

import timeoff_sync.watch


@pytest.mark.parametrize("status", [429, 503])
async def test_throttling_is_obeyed(launch: Launch, status: int) -> None:
    """Promise: after 429 or 503 nobody calls the HRIS before Retry-After has passed, and nothing is lost."""
    async with launch() as system:
        await system.options(bamboohr={"throttleStatus": status})
        await system.fault("create", "throttle", retryAfter=2)
        requests = [await system.submit(system.agents[0], in_days(14))]

        async def throttled() -> bool:
            rows = await system.ledger.pool.fetch("SELECT FROM ledger.budgets WHERE paused_until > now()")
            return bool(rows)

        await system.until("the HRIS throttles", throttled)
        requests += [await system.submit(agent, in_days(14)) for agent in system.agents[1:]]
        await system.quiet()
        for request in requests:
            assert await system.amounts(request) == {in_days(14): Decimal(8)}
        calls = await system.calls()
        refused = next(n for n, call in enumerate(calls) if call["status"] == status)
        answered = calls[refused]["at"] + calls[refused]["durationMs"] / 1000
        later = [call["at"] - answered for call in calls[refused + 1 :]]
        assert len(later) >= len(requests)
        assert all(waited >= 1.9 for waited in later), later


async def test_refused_credentials_stop_the_target_and_a_probe_resumes_it(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise: after the first 401 no replica writes; a slow probe finds the key good and all goes on."""
    monkeypatch.setattr(timeoff_sync.watch, "EVERY", 0.1)
    async with launch(syncs=2) as system:
        good = (await system.admin("GET", "/options"))["bamboohr"]["apiKeys"]
        await system.options(bamboohr={"apiKeys": {"another": {}}, "lockout": {"attempts": 0}})
        first = await system.submit(system.agents[0], in_days(14))

        async def stopped() -> bool:
            return bool(await system.ledger.pool.fetchval(_STOPPED))

        await system.until("the target stops", stopped)
        tried = len(await system.writes())
        rest = [await system.submit(agent, in_days(14)) for agent in system.agents[1:]]

        async def probed() -> bool:
            refused = [call for call in await system.calls() if call["status"] == 401]
            return sum(call["method"] == "GET" for call in refused) >= 2

        await system.until("two probes", probed)
        assert len(await system.writes()) == tried, "a write in spite of refused credentials"
        await system.options(bamboohr={"apiKeys": good})
        await system.quiet()
        assert not await stopped()
        for request in (first, *rest):
            assert await system.amounts(request) == {in_days(14): Decimal(8)}


async def test_the_brake_stops_a_flood_of_cancels(launch: Launch) -> None:
    """Promise: too many cancels pull the brake; nothing is written until a person releases it."""
    brake = {"max_cancels": 3, "max_share": 0.3, "window": 600.0}
    async with launch(agents=10, sync={"brake": brake}) as system:
        requests = [await system.submit(agent, in_days(14)) for agent in system.agents]
        await system.quiet()
        for request in requests:
            await system.change(request, status="CANCELED")

        async def pulled() -> bool:
            return (await system.ledger.deployment.read()).brake_reason is not None

        await system.until("the brake", pulled)

        async def confirmed() -> bool:
            return not await system.ledger.pool.fetchval(_UNCONFIRMED)

        await system.until("all cancels are confirmed", confirmed)
        late = await system.submit(system.agents[0], in_days(20))
        await system.state(late, "open")
        left = [entry for entry in await system.entries() if entry["status"] == "approved"]
        assert len(left) >= 5, "the brake came too late"
        assert await system.live_entries(late) == []
        # The window counts from the release: a flood that was taken back does not pull it again.
        for request in requests[2:]:
            await system.change(request, status="APPROVED")

        async def taken_back() -> bool:
            return await system.ledger.pool.fetchval(_TAKEN_BACK, requests[2:]) == len(requests[2:])

        await system.until("the ledger knows that most cancels were taken back", taken_back)
        assert await system.ledger.deployment.release_brake()
        await system.quiet()
        assert [len(await system.live_entries(request)) for request in requests] == [0, 0] + [1] * 8
        assert len(await system.live_entries(late)) == 1


async def test_a_refusal_is_listed_with_the_vendors_words_and_can_be_retried(launch: Launch) -> None:
    """Promise: failed says why in the HRIS's own words; corrected there, a retry books it, once."""
    async with launch() as system:
        await system.options(bamboohr={"rejectInsufficient": True})
        days = [in_days(14 + n) for n in range(12)]
        request = await system.submit(system.agents[0], *days, activityCodeId=DAY_OFF)
        other = await system.submit(system.agents[0], in_days(40))
        await system.quiet()
        standing = await system.standing(request)
        assert standing
        assert (standing.state, standing.reason) == ("failed", "insufficient_balance")
        assert "Insufficient balance" in standing.detail["hris"]
        assert await system.integration_status(request) == "Error"
        assert len(await system.live_entries(other)) == 1, "the lane went on"
        await system.options(bamboohr={"rejectInsufficient": False})
        assert await system.retry(request) == [request]
        await system.quiet()
        assert len((await system.the_entry(request))["dates"]) == 12
        assert await system.integration_status(request) == "AutomaticallyComplete"


@pytest.mark.parametrize(
    "kind", ["commit_then_drop", "commit_then_500", "no_id", "truncated", "error_before_commit"]
)
async def test_an_unclear_answer_never_books_twice(launch: Launch, kind: str) -> None:
    """Promise: whether a write took place is found out by looking: one record in the end."""
    async with launch() as system:
        booked = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.fault("create", kind)
        request = await system.submit(system.agents[0], in_days(20))
        await system.change(booked, minutes=[240], payableMinutes=[240])
        await system.quiet()
        assert await system.amounts(request) == {in_days(20): Decimal(8)}
        assert await system.amounts(booked) == {in_days(14): Decimal(4)}
        approved = [entry for entry in await system.entries() if entry["status"] == "approved"]
        assert len(approved) == 2


@pytest.mark.parametrize("kind", ["commit_then_drop", "error_before_commit"])
async def test_an_unclear_cancel_is_completed(launch: Launch, kind: str) -> None:
    """Promise: a cancel whose answer was lost is looked up and made sure of."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14))
        await system.quiet()
        await system.fault("status", kind)
        await system.change(request, status="CANCELED")
        await system.quiet()
        assert await system.live_entries(request) == []
        await system.state(request, "settled")


async def test_two_replicas_share_one_rate_budget(launch: Launch) -> None:
    """Promise: the calls of all replicas together stay within the budget of the target."""
    per_minute = 240
    async with launch(agents=24, syncs=2, hris={"acme": {"requests_per_minute": per_minute}}) as system:
        requests = [await system.submit(agent, in_days(14)) for agent in system.agents]
        await system.quiet()
        calls = sorted(call["at"] for call in await system.calls())
        burst, chunks = per_minute / 30, 2 * per_minute / 60
        assert len(calls) <= burst + chunks + (calls[-1] - calls[0]) * per_minute / 60 + 2
        for request in requests:
            assert len(await system.live_entries(request)) == 1


async def test_a_replay_of_everything_makes_no_call(launch: Launch) -> None:
    """Promise: read again from the first record, an applied topic costs no HRIS call."""
    async with launch() as system:
        await _a_few_changes(system)
        await system.quiet()
        calls = await system.writes()
        await system.stop()
        await system.ledger.pool.execute("UPDATE ledger.log_offsets SET next_offset = 0")
        await system.start_sync()

        async def read_again() -> bool:
            rows = await system.ledger.pool.fetch("SELECT partition, next_offset FROM ledger.log_offsets")
            bounds = await system.log.bounds(system.settings.log.requests_topic)
            return all(bounds[row["partition"]].high == row["next_offset"] for row in rows)

        await system.until("the topic is read again", read_again)
        await system.quiet()
        assert await system.writes() == calls


async def _a_few_changes(system: System) -> None:
    for agent in system.agents:
        request = await system.submit(agent, in_days(14))
        await system.change(request, minutes=[240], payableMinutes=[240])
    await system.quiet()
    await system.change(request, status="CANCELED")


_STOPPED = "SELECT count(*) FROM ledger.targets WHERE stopped_at IS NOT NULL"
_UNCONFIRMED = "SELECT count(*) FROM ledger.requests WHERE unconfirmed"
_TAKEN_BACK = (
    "SELECT count(*) FROM ledger.requests WHERE request_id = ANY ($1) AND version = 3 AND NOT unconfirmed"
)

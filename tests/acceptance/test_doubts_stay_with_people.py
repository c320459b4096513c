"""What looking cannot settle stays with a person; twins are found where the doubt was."""

from __future__ import annotations

from typing import Any

import pytest
from tests.acceptance.conftest import Launch
from tests.support.system import System, in_days

import timeoff.hris.bamboohr.adapter
import timeoff_sync.app
import timeoff_sync.lane_run
import timeoff_sync.lane_writer
from timeoff.errors import Forbidden

HRIS = {"acme": {"settings": {"read_lag": 0.05, "call_timeout": 1.0}}}
SYNC: dict[str, Any] = {"find_waits": [0.0, 0.1, 0.1], "empty_wait": 0.3}
#: An employee of whom the search shows nothing cannot be settled by looking.
NEVER: dict[str, Any] = {**SYNC, "settle_without_known_record": False}


@pytest.fixture(autouse=True)
def short_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A doubt ripens after the call's time-out and this; the rest of it is the same."""
    for module in (timeoff_sync.app, timeoff_sync.lane_run, timeoff_sync.lane_writer):
        monkeypatch.setattr(module, "SEND_WITHIN", 0.3)


async def unsettled(system: System) -> str:
    """An insert that is committed, whose answer is lost, and which no search shows."""
    await system.options(bamboohr={"readLagMs": 600_000})
    await system.fault("create", "commit_then_drop")
    request_id = await system.submit(system.agents[0], in_days(14))
    await system.state(request_id, "held", "unsettled_doubt")
    return request_id


async def audit_now(system: System) -> None:
    """As if the hour until the audit had passed."""
    await system.ledger.pool.execute(
        "UPDATE ledger.requests SET audit_at = now(), due_at = now() WHERE audit_at IS NOT NULL"
    )


async def approved(system: System) -> int:
    return sum(entry["status"] == "approved" for entry in await system.entries())


async def test_a_new_version_does_not_book_beside_an_unsettled_one(launch: Launch) -> None:
    """Would break: an edit would release what only a person may release."""
    async with launch(sync=NEVER, hris=HRIS) as system:
        request_id = await unsettled(system)
        await system.change(request_id, minutes=[240], payableMinutes=[240])
        await system.quiet()
        await system.state(request_id, "held", "unsettled_doubt")
        assert await approved(system) == 1


async def test_a_cancel_does_not_hide_an_unsettled_insert(launch: Launch) -> None:
    """Would break: the leave would stand in the HRIS and nobody would know."""
    async with launch(sync=NEVER, hris=HRIS) as system:
        request_id = await unsettled(system)
        await system.change(request_id, status="CANCELED")
        await system.quiet()
        await system.state(request_id, "held", "unsettled_doubt")


async def test_going_live_again_does_not_repeat_an_unsettled_write(launch: Launch) -> None:
    async with launch(sync=NEVER, hris=HRIS) as system:
        request_id = await unsettled(system)
        await system.go_live()
        await system.quiet()
        await system.state(request_id, "held", "unsettled_doubt")
        assert await approved(system) == 1


async def test_an_audit_does_not_release_an_unsettled_write(launch: Launch) -> None:
    async with launch(sync=NEVER, hris=HRIS) as system:
        request_id = await unsettled(system)
        await system.ledger.pool.execute("UPDATE ledger.requests SET audit_at = now(), due_at = now()")
        await system.quiet()
        await system.state(request_id, "held", "unsettled_doubt")
        assert await approved(system) == 1


async def test_a_persons_retry_releases_it_and_finds_the_record(launch: Launch) -> None:
    """Would break: nothing could end an unsettled doubt."""
    async with launch(sync=NEVER, hris=HRIS) as system:
        request_id = await unsettled(system)
        await system.options(bamboohr={"readLagMs": 0})
        await system.retry(request_id)
        await system.state(request_id, "settled", "adopt")
        assert await approved(system) == 1


async def in_doubt(system: System) -> str:
    """An insert that the HRIS will commit long after everybody has given it up."""
    await system.fault("create", "delay_then_commit", seconds=600)
    request_id = await system.submit(system.agents[0], in_days(14))

    async def announced() -> bool:
        query = "SELECT EXISTS (SELECT FROM ledger.intents WHERE settled_at IS NULL)"
        return bool(await system.ledger.pool.fetchval(query))

    await system.until("an open intent", announced)
    return request_id


async def test_a_late_record_of_a_cancelled_request_is_found_and_cancelled(launch: Launch) -> None:
    """Would break: with nothing booked, an audit that looks at entries looks nowhere."""
    async with launch(sync=SYNC, hris=HRIS) as system:
        request_id = await in_doubt(system)
        await system.change(request_id, status="CANCELED")
        await system.state(request_id, "settled", "removed")
        await system.admin("DELETE", "/hris/faults")

        async def late() -> bool:
            return await approved(system) == 1

        await system.until("the late commit", late)
        await audit_now(system)

        async def gone() -> bool:
            return await approved(system) == 0

        await system.until("the twin's cancel", gone)


async def test_a_twin_on_the_old_dates_is_found_and_its_lost_cancel_is_settled(launch: Launch) -> None:
    """Would break: the audit looks on new dates only, or a twin's cancel in doubt ends the process."""
    async with launch(sync=SYNC, hris=HRIS) as system:
        request_id = await in_doubt(system)
        await system.change(request_id, dates=[in_days(20)])
        await system.state(request_id, "settled", "insert")
        await system.admin("DELETE", "/hris/faults")

        async def both() -> bool:
            return await approved(system) == 2

        await system.until("the late commit", both)
        await system.fault("status", "commit_then_drop")
        await audit_now(system)

        async def one() -> bool:
            return await approved(system) == 1

        await system.until("the twin's cancel", one)
        other = await system.submit(system.agents[0], in_days(30))
        await system.state(other, "settled", "insert")


async def test_a_search_that_is_refused_hands_the_doubt_to_a_person(
    launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would break: the lane would be blocked for ever and no list would show it."""

    async def refused(*_: object) -> None:
        raise Forbidden("403")

    async with launch(sync=SYNC, hris=HRIS) as system:
        await system.submit(system.agents[0], in_days(10))
        await system.quiet()
        await system.fault("create", "commit_then_drop")
        monkeypatch.setattr(timeoff.hris.bamboohr.adapter.BambooHr, "find", refused)
        request_id = await system.submit(system.agents[0], in_days(14))
        await system.state(request_id, "held", "unsettled_doubt")


async def test_a_write_that_never_succeeds_reaches_a_person(launch: Launch) -> None:
    """Would break: write, look, write again, without end."""
    async with launch(sync={**SYNC, "retry_attempts": 2}, hris=HRIS) as system:
        await system.fault("create", "error_before_commit", times=None)
        request_id = await system.submit(system.agents[0], in_days(14))
        await system.state(request_id, "failed", "gave_up")
        assert not await system.entries()

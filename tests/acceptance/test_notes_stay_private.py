"""What an employee wrote can be medical: where it may go is a setting, and it goes nowhere else."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from tests.acceptance.conftest import Launch
from tests.support.system import System, in_days

from timeoff.events import decode_observation, encode_observation
from timeoff.settings.model import LoggingSettings
from timeoff.telemetry import logs

SECRET = "kidney-stone-0815"
NOTES = f"Please, it is my {SECRET} again."


async def test_omitted_notes_leave_no_trace(launch: Launch, capfd: pytest.CaptureFixture[str]) -> None:
    """Promise: with notes=omit no log line, metric, table, topic or HRIS record holds a word of them."""
    async with launch() as system:
        await _a_day_of_troubles(system)
        assert SECRET not in str(await system.entries())
        assert SECRET not in await system.everything_in_tables()
        assert SECRET not in await system.everything_on_topics()
        assert len(await system.letters()) >= 2
    assert SECRET not in generate_latest().decode()
    out, err = capfd.readouterr()
    assert "request.applied" in out + err, "nothing was captured"
    assert SECRET not in out + err


async def test_notes_of_an_older_setting_are_not_taken_into_the_ledger(launch: Launch) -> None:
    """Promise: with notes=omit, what lies on the topic from before goes neither to ledger nor to HRIS."""
    async with launch() as system:
        await system.stop_syncs()
        request = await system.submit(system.agents[0], in_days(14))
        topic = system.settings.log.requests_topic

        async def logged() -> bool:
            return bool(await system.records(topic))

        await system.until("an observation", logged)
        seen = decode_observation((await system.records(topic))[0])
        assert seen.content
        content = seen.content.model_copy(update={"notes": NOTES})
        noted = seen.model_copy(update={"content": content, "request_id": "noted-1"})
        await system.append(encode_observation(noted))
        # Genesys does not know it: a read would say so, perhaps before it is booked.
        await system.stop_listeners()
        await system.start_sync()
        for booked in ("noted-1", request):
            await system.until("booked", lambda: system.chain(booked))  # noqa: B023
        assert SECRET not in await system.everything_in_tables()
        assert SECRET not in str(await system.entries())


async def test_copied_notes_reach_the_hris_and_no_line_or_metric(
    launch: Launch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Promise: with notes=copy the HRIS shows them; log lines, metrics, outcomes and reasons do not."""
    async with launch(notes="copy") as system:
        request = await _a_day_of_troubles(system)
        assert NOTES in (await system.the_entry(request))["notes"].values().__str__()
        assert SECRET not in str(await system.outcomes())
        assert SECRET not in str([letter["reason"] for letter in await system.letters()])
        rows = await system.ledger.pool.fetch("SELECT reason, detail::text FROM ledger.requests")
        assert SECRET not in str([dict(row) for row in rows])
        evidence = await system.ledger.pool.fetch("SELECT content::text AS content FROM ledger.observations")
        assert SECRET not in str([row["content"] for row in evidence])
    assert SECRET not in generate_latest().decode()
    out, err = capfd.readouterr()
    assert "request.applied" in out + err, "nothing was captured"
    assert SECRET not in out + err


async def _a_day_of_troubles(system: System) -> str:
    """Booked, edited, cancelled, held, failed, malformed: each with notes. Returns a booked request."""
    logs.configure(LoggingSettings(level="debug"), "test")
    try:
        await system.booked_by_hand(system.agents[1], {in_days(14): "4"})
        await system.options(bamboohr={"rejectOverlap": True, "rejectInsufficient": True})
        booked = await system.submit(system.agents[0], in_days(14), notes=NOTES)
        await system.submit(system.agents[1], in_days(14), notes=NOTES)
        far = [in_days(20 + n) for n in range(15)]
        await system.submit(system.agents[2], *far, activityCodeId="6", notes=NOTES)
        ended = await system.submit(system.agents[3], in_days(14), notes=NOTES)
        unreadable = await system.submit(
            system.agents[3], in_days(20), notes=NOTES, raw={"durationMinutes": NOTES}
        )
        await system.submit(system.agents[3], in_days(25), notes=NOTES, raw={"newText": NOTES})
        await system.submit(system.agents[3], in_days(26), notes=NOTES, raw={"newTexts": {SECRET: [NOTES]}})
        await system.send(system.agents[0], '{"topicName": "v2.users.x", "notes": "' + NOTES)
        await system.quiet(ignoring={unreadable})
        await system.change(booked, notes=NOTES + NOTES, minutes=[240], payableMinutes=[240])
        await system.change(ended, status="CANCELED", notes=NOTES)
        await system.quiet(ignoring={unreadable})
        assert sorted((await system.waiting_for_people()).values()) == ["insufficient_balance", "overlap"]
        return booked
    finally:
        await system.admin("PATCH", f"/genesys/requests/{unreadable}", {"raw": {}})

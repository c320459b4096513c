"""Bad input ends in a clear outcome: a dead letter, ignored, held or failed; never a crash, never a stop."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.acceptance.conftest import Launch
from tests.support.system import System, in_days

from timeoff.eventlog.partitioner import partition_of
from timeoff.eventlog.port import Message
from timeoff.events import Observation, RequestContent, encode_observation
from timeoff.vocabulary import ObservationSource

SECRET = "kidney-stone-0815"


FRAMES: dict[str, Any] = {
    "broken JSON": "{ not json",
    "not an object": "[]",
    "topic of a wrong type": '{"topicName": 5}',
    "cut off": '{"topicName": "v2.users.x"',
    "wrong types": {"id": 5, "status": ["APPROVED"]},
    "fields missing": {"id": "r-1"},
    "NUL in the id": {"id": "r-\x00", "status": "APPROVED"},
    "somebody else's": {"id": "r-1", "status": "APPROVED", "user": {"id": "somebody else"}},
    "no such date": {"id": "r-1", "status": "APPROVED", "fullDayManagementUnitDates": ["2026-13-45"]},
    "the end of time": {
        "id": "r-1",
        "status": "APPROVED",
        "partialDayStartDateTimes": ["9999-12-31T23:59:59Z"],
    },
    "a megabyte of nothing": "x" * (1 << 20),
}

ODD: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "unknown status": ({"status": "WITHDRAWN"}, ("held", "unknown_status")),
    "too many durations": ({"durationMinutes": [480, 480, 480]}, ("held", "minutes_mismatch")),
    "too many payables": ({"payableMinutes": [1, 2]}, ("held", "minutes_mismatch")),
    "a day of 83 hours": ({"payableMinutes": [5000]}, ("held", "minutes_mismatch")),
    "in 124 years": ({"fullDayManagementUnitDates": ["2150-01-01"]}, ("held", "bad_dates")),
    "no day at all": ({"fullDayManagementUnitDates": []}, ("held", "no_days")),
    "an odd code": ({"activityCodeId": "\u00e4" * 150}, ("not_ours", "unmapped")),
    "1 MiB of notes with NUL": ({"notes": "\x00" + "n" * (1 << 20)}, ("settled", "insert")),
    "new fields": ({"substatus": "SOMETHING_NEW", "newField": {"a": [1]}}, ("settled", "insert")),
}

UNREADABLE: dict[str, dict[str, Any]] = {
    "the beginning of time": {"fullDayManagementUnitDates": ["0001-01-01"]},
    "minutes in words": {"durationMinutes": "eight hours"},
    "negative minutes": {"durationMinutes": [-5]},
    "an object for a flag": {"isFullDayRequest": {"really": True}},
    "NUL in the code": {"activityCodeId": "\x00"},
    "no number for a version": {"metadata": {"version": "new"}},
}


async def test_a_bad_frame_is_a_dead_letter_and_the_next_one_counts(launch: Launch) -> None:
    """Promise: a frame that cannot be read goes to dead letters with its reason, without its content."""
    async with launch() as system:
        for frame in FRAMES.values():
            await system.send(
                system.agents[0], {**frame, "notes": SECRET} if isinstance(frame, dict) else frame
            )
        same = await system.submit(system.agents[0], in_days(14))
        other = await system.submit(system.agents[1], in_days(14))
        await system.quiet()
        letters = await system.letters()
        assert len(letters) == len(FRAMES)
        assert all(letter["reason"] and "value" not in letter for letter in letters)
        assert SECRET not in json.dumps(letters)
        for request in (same, other):
            assert await system.amounts(request) == {in_days(14): Decimal(8)}


async def test_odd_requests_end_in_a_clear_outcome(launch: Launch) -> None:
    """Promise: what notification and REST both say oddly is held, ignored or booked; others go through."""
    async with launch(agents=len(ODD) + 1) as system:
        agents = dict(zip(ODD, system.agents, strict=False))
        odd = {
            name: await system.submit(agents[name], in_days(14), raw=raw) for name, (raw, _) in ODD.items()
        }
        good = [await system.submit(agent, in_days(20)) for agent in system.agents]
        await system.quiet()
        ended = {name: await system.standing(request) for name, request in odd.items()}
        assert {name: (end.state, end.reason) for name, end in ended.items() if end} == {
            name: outcome for name, (_, outcome) in ODD.items()
        }
        for request in good:
            assert await system.amounts(request) == {in_days(20): Decimal(8)}
        # Corrected in Genesys, they go through without anybody's help.
        for request in odd.values():
            await system.change(request, raw={}, minutes=[240], payableMinutes=[240])
        await system.quiet()
        for name, request in odd.items():
            assert await system.amounts(request) == {in_days(14): Decimal(4)}, name


async def test_unreadable_requests_are_dead_letters(launch: Launch) -> None:
    """Promise: a request that cannot be read, in notification and REST alike, costs itself only."""
    async with launch(agents=len(UNREADABLE)) as system:
        odd = {
            await system.submit(agent, in_days(14), raw=raw, notes=SECRET)
            for agent, raw in zip(system.agents, UNREADABLE.values(), strict=True)
        }
        good = [await system.submit(agent, in_days(20)) for agent in system.agents]

        async def buried() -> bool:
            return odd <= {letter.get("request_id") for letter in await system.letters()}

        await system.until("a dead letter for each", buried)
        await system.quiet(ignoring=odd)
        assert SECRET not in json.dumps(await system.letters())
        for request in good:
            assert await system.amounts(request) == {in_days(20): Decimal(8)}
        for request in odd:
            await system.change(request, raw={})
        await system.quiet()
        for request in odd:
            assert await system.amounts(request) == {in_days(14): Decimal(8)}


async def test_foreign_records_on_the_topic_are_dead_letters(launch_on_each_log: Launch) -> None:
    """Promise: garbage between good records of one batch costs the garbage only; its partition moves on."""
    async with launch_on_each_log() as system:
        key = system.agents[0].agent_id
        good = encode_observation(_observation(system, "foreign-1"))
        fixed = dict(good.headers)
        await system.stop_syncs()
        await system.append(
            Message(key, b"\xff\xfe\x00 " + SECRET.encode()),
            Message(key, b"{}", (("ce_specversion", b"1.0"),)),
            Message(key, SECRET.encode(), good.headers),
            Message(key, b'{"org": 5, "notes": "' + SECRET.encode() + b'"}', good.headers),
            Message(key, good.value, tuple({**fixed, "ce_type": b"com.example.order.v1"}.items())),
            Message(key, good.value.replace(b"foreign-1", b"foreign\\u0000"), good.headers),
        )
        request = await system.submit(system.agents[0], in_days(14))
        await system.start_sync()
        await system.quiet()
        assert await system.amounts(request) == {in_days(14): Decimal(8)}
        letters = await system.letters()
        assert len(letters) == 6
        assert all(letter["reason"] for letter in letters)
        assert SECRET not in json.dumps(letters)
        assert SECRET not in str(await system.everything_in_tables())


async def test_a_record_of_a_newer_major_version_stops_its_partition_only(launch_on_each_log: Launch) -> None:
    """Promise: what a newer release wrote is neither lost nor buried: its partition waits for the upgrade."""
    async with launch_on_each_log() as system:
        partitions = system.settings.log.partitions
        stopped = system.agents[0]
        other = next(
            agent
            for agent in system.agents
            if partition_of(agent.agent_id, partitions) != partition_of(stopped.agent_id, partitions)
        )
        good = encode_observation(_observation(system, "newer-1"))
        newer = tuple({**dict(good.headers), "ce_type": b"timeoff.request.observed.v2"}.items())
        await system.append(Message(stopped.agent_id, good.value, newer))
        behind = await system.submit(stopped, in_days(14))
        passes = await system.submit(other, in_days(14))
        await system.quiet(ignoring={behind})
        assert len(await system.live_entries(passes)) == 1
        assert await system.standing(behind) is None
        assert await system.letters() == []
        await system.restart_sync()
        again = await system.submit(other, in_days(15))
        await system.quiet(ignoring={behind})
        assert len(await system.live_entries(again)) == 1
        assert await system.standing(behind) is None, "a restart passed the newer record"


async def test_two_versions_of_a_request_in_one_batch_are_the_newer_one(launch: Launch) -> None:
    """Promise: versions in the wrong order within a batch, and one twice, leave the highest version."""
    async with launch(listen=False) as system:
        await system.stop_syncs()
        versions = [(2, 120), (3, 180), (3, 180), (1, 60)]
        await system.append(
            *(
                encode_observation(_observation(system, "batch-1", version, minutes))
                for version, minutes in versions
            )
        )
        await system.start_sync()
        await system.state("batch-1", "settled")
        await system.quiet()
        assert await system.amounts("batch-1") == {in_days(14): Decimal(3)}
        assert await system.writes() == ["create"]


def _observation(system: System, request_id: str, version: int = 1, minutes: int = 480) -> Observation:
    from datetime import UTC, date, datetime

    agent, now = system.agents[0], datetime.now(UTC)
    return Observation(
        org=system.settings.org,
        request_id=request_id,
        agent_id=agent.agent_id,
        source=ObservationSource.BACKFILL,
        read_at=now,
        version=version,
        modified_at=now,
        management_unit_id=agent.unit_id,
        zone=agent.zone,
        zone_confirmed=True,
        content=RequestContent(
            status="APPROVED",
            activity_code_id="5",
            full_day=True,
            full_day_dates=(date.fromisoformat(in_days(14)),),
            duration_minutes=(minutes,),
            payable_minutes=(minutes,),
            submitted_at=now,
        ),
    )

"""The listener against the sandbox: what Genesys says ends in the log, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from datetime import date, timedelta

import pytest
from tests.support.listener_ledger import MemoryListenerLedger
from tests.support.listening import listening, town
from tests.support.memory_log import MemoryLog

from timeoff.errors import GenesysAuthFailed, LogError, Unreachable
from timeoff.vocabulary import ObservationSource

STREAM, CONFIRM, BACKFILL = ObservationSource.STREAM, ObservationSource.CONFIRM, ObservationSource.BACKFILL


def day(offset: int) -> str:
    return str(date.today() + timedelta(days=offset))  # noqa: DTZ011  (the unit's zone is a day off at most)


def sources(observations: list) -> list[ObservationSource]:
    return [seen.source for seen in observations]


async def test_a_notification_is_logged_at_once_and_then_confirmed_with_its_version() -> None:
    async with town() as genesys, listening(genesys) as listener:
        agent = genesys.agents[0]
        request = await genesys.submit(agent, day(3), day(4))
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))
        hint, confirmed = listener.of(request)
        assert (hint.source, hint.version, hint.zone_confirmed) == (STREAM, None, False)
        assert (confirmed.source, confirmed.version, confirmed.zone_confirmed) == (CONFIRM, 1, True)
        assert hint.content == confirmed.content
        assert confirmed.content is not None
        assert [str(each) for each in confirmed.content.full_day_dates] == [day(3), day(4)]
        assert confirmed.management_unit_id == genesys.unit_of(agent)
        assert listener.ledger.agents[agent] == (confirmed.management_unit_id, confirmed.zone)
        assert {record.key for record in listener.log.records["timeoff.requests"]} == {agent}


async def test_what_changed_before_the_start_is_found_by_the_first_backfill() -> None:
    async with town(useDownloadUrl=True) as genesys:
        request = await genesys.submit(genesys.agents[1], day(10), status="PENDING")
        await genesys.change(request, status="APPROVED")
        async with listening(genesys) as listener:
            assert sources(listener.of(request)) == [BACKFILL]
            assert listener.of(request)[0].version == 2
            assert [gap.reason for gap, _ in listener.ledger.closed] == ["start"]


async def test_changes_while_the_socket_was_down_are_recovered_and_only_then_the_gap_closes() -> None:
    async with town() as genesys, listening(genesys) as listener:
        known = await genesys.submit(genesys.agents[0], day(5))
        await listener.until(lambda: CONFIRM in sources(listener.of(known)))
        await genesys.options(refuseSockets=True)
        await genesys.admin("POST", "/genesys/drop-sockets", {})
        await listener.ledger.until(lambda: listener.ledger.gaps)
        # Moved beyond every window: only a read of the agent can show it.
        await genesys.change(known, dates=[day(300)])
        fresh = await genesys.submit(genesys.agents[2], day(6))
        await asyncio.sleep(0.5)  # ten times the margin: it must be the lost socket that holds it open
        assert listener.ledger.gaps
        await genesys.options(refuseSockets=False)
        await listener.settled()
        assert sources(listener.of(fresh)) == [BACKFILL]
        moved = listener.of(known)[-1]
        assert (moved.source, moved.version) == (BACKFILL, 2)
        # And the stream goes on.
        after = await genesys.submit(genesys.agents[3], day(7))
        await listener.until(lambda: CONFIRM in sources(listener.of(after)))


async def test_a_unit_that_cannot_be_read_keeps_the_gap_open_until_it_can() -> None:
    async with town() as genesys:
        agent = genesys.agents[0]
        rule = {
            "on": f"POST .*/{genesys.unit_of(agent)}/timeoffrequests/query",
            "kind": "unavailable",
            "times": 8,
        }
        await genesys.admin("POST", "/genesys/rest-faults", {"rules": [rule]})
        missed = await genesys.submit(agent, day(3))
        other = await genesys.submit(genesys.agents[1], day(3))
        async with listening(genesys, settle=False) as listener:
            await listener.until(lambda: bool(listener.of(other)))
            assert not listener.ledger.closed
            await listener.ledger.until(lambda: listener.ledger.closed, within=40)
            assert sources(listener.of(missed)) == [BACKFILL]


async def test_a_request_that_cannot_be_read_over_rest_is_buried_and_the_gap_closes() -> None:
    async with town() as genesys:
        bad = await genesys.submit(genesys.agents[0], day(3), raw={"durationMinutes": ["x"], "notes": "hip"})
        good = await genesys.submit(genesys.agents[0], day(4))
        async with listening(genesys, notes="copy") as listener:
            assert {letter["request_id"] for letter in listener.letters} == {bad}
            assert "hip" not in json.dumps(listener.letters)
            assert sources(listener.of(good)) == [BACKFILL]
            assert not listener.of(bad)


async def test_a_version_already_held_is_logged_again_for_whoever_waits_for_it() -> None:
    async with town() as genesys, listening(genesys) as listener:
        request = await genesys.submit(genesys.agents[0], day(3))
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))
        listener.ledger.want(genesys.agents[0], request)
        await listener.until(lambda: sources(listener.of(request)).count(CONFIRM) == 2)


async def test_doubled_and_swapped_notifications_end_in_the_right_version() -> None:
    async with town() as genesys, listening(genesys) as listener:
        await genesys.admin(
            "PUT", "/genesys/delivery", {"duplicate": 0.5, "swap": 0.5, "swapMs": 50, "seed": 7}
        )
        requests = [await genesys.submit(agent, day(8), status="PENDING") for agent in genesys.agents]
        for request in requests:
            await genesys.change(request, status="APPROVED")
            await genesys.change(request, status="CANCELED")
        await listener.ledger.until(
            lambda: (
                all(listener.ledger.versions.get(each) == 3 for each in requests)
                and not listener.ledger.waiting
            )
        )
        for request in requests:
            content = listener.ledger.contents[request].content
            assert content is not None
            assert content.status == "CANCELED"


@pytest.mark.parametrize("notes", ["omit", "copy"])
async def test_a_malformed_frame_is_buried_its_agent_is_read_and_the_stream_goes_on(notes: str) -> None:
    async with town() as genesys, listening(genesys, notes=notes) as listener:
        agent = genesys.agents[0]
        request = await genesys.submit(agent, day(9), silent=True)
        frame = {
            "topicName": f"v2.users.{agent}.workforcemanagement.timeoffrequests",
            "version": "2",
            "eventBody": {"id": request, "status": 7, "notes": "surgery", "user": {"id": agent}},
        }
        await genesys.admin("POST", "/genesys/send", {"agentId": agent, "frame": json.dumps(frame)})
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))
        (letter,) = listener.letters
        assert letter["agent_id"] == agent
        assert letter["request_id"] == request
        assert "surgery" not in letter["reason"]
        assert ("surgery" in json.dumps(letter)) == (notes == "copy")
        after = await genesys.submit(agent, day(11))
        await listener.until(lambda: STREAM in sources(listener.of(after)))


async def test_a_frame_that_names_nobody_opens_a_gap_for_its_channel() -> None:
    async with town() as genesys, listening(genesys) as listener:
        lost = await genesys.submit(genesys.agents[4], day(9), silent=True)
        await genesys.admin("POST", "/genesys/send", {"agentId": genesys.agents[0], "frame": '{"half'})
        await listener.ledger.until(lambda: len(listener.ledger.closed) == 2)
        assert listener.ledger.closed[1][0].reason == "unreadable frame"
        assert sources(listener.of(lost)) == [BACKFILL]


async def test_a_mebibyte_of_notes_passes_the_socket_and_is_cut() -> None:
    async with town() as genesys, listening(genesys, notes="copy") as listener:
        request = await genesys.submit(genesys.agents[0], day(3), notes="n\x00" * (1 << 19))
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))
        for seen in listener.of(request):
            assert seen.content is not None
            assert seen.content.notes == "n" * 512 or seen.content.notes == "n" * 1024
        assert len(listener.ledger.closed) == 1, "the socket was lost over it"


async def test_notes_stay_here_unless_they_may_be_copied() -> None:
    async with town() as genesys, listening(genesys) as listener:
        request = await genesys.submit(genesys.agents[0], day(3), notes="chemotherapy")
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))
        assert all(b"chemo" not in record.value for record in listener.log.records["timeoff.requests"])


async def test_a_silent_socket_is_left_and_its_gap_is_filled() -> None:
    async with town() as genesys, listening(genesys, heartbeat_timeout=0.4) as listener:
        await genesys.options(silentSockets=True)
        missed = await genesys.submit(genesys.agents[0], day(3))
        await listener.ledger.until(lambda: listener.ledger.gaps)
        await genesys.options(silentSockets=False)
        await listener.settled()
        assert sources(listener.of(missed)) == [BACKFILL]


async def test_a_quiet_server_is_pinged_and_not_left() -> None:
    async with town(heartbeatSeconds=60) as genesys, listening(genesys, heartbeat_timeout=0.3) as listener:
        await asyncio.sleep(1.0)  # three times the limit: only answered pings can have kept it
        assert not listener.ledger.gaps
        assert len(listener.ledger.closed) == 1


async def test_a_token_that_ends_is_renewed_and_its_channel_replaced_without_a_gap() -> None:
    async with town(tokenSeconds=2, channelsEndWithToken=True) as genesys, listening(genesys) as listener:
        requests = []
        for number in range(30):
            requests.append(await genesys.submit(genesys.agents[number % 6], day(3 + number)))
            await asyncio.sleep(0.15)
        await listener.until(lambda: all(STREAM in sources(listener.of(each)) for each in requests))
        assert len(listener.ledger.closed) == 1
        assert not listener.ledger.gaps
        created = await genesys.calls("POST /api/v2/notifications/channels")
        assert 3 <= len(created) <= 4, "one channel for each token of four seconds and a half"


async def test_a_channel_near_its_end_is_extended_and_not_lost() -> None:
    async with town(channelSeconds=1.5) as genesys, listening(genesys) as listener:
        await asyncio.sleep(3.0)  # twice its life
        request = await genesys.submit(genesys.agents[0], day(3))
        await listener.until(lambda: STREAM in sources(listener.of(request)))
        assert len(listener.ledger.closed) == 1


async def test_a_closing_socket_is_replaced_before_it_ends() -> None:
    async with town() as genesys, listening(genesys) as listener:
        before = len(await genesys.channels())
        await genesys.admin("POST", "/genesys/close-sockets", {"graceSeconds": 2})
        async with asyncio.timeout(5):
            while len(await genesys.channels()) == before:
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.2)  # the old socket is closed by now
        request = await genesys.submit(genesys.agents[0], day(3))
        await listener.until(lambda: STREAM in sources(listener.of(request)))
        assert len(listener.ledger.closed) == 1
        assert not listener.ledger.gaps


async def test_revoked_tokens_cost_a_gap_and_no_more() -> None:
    async with town(channelsEndWithToken=True) as genesys, listening(genesys) as listener:
        await genesys.admin("POST", "/genesys/revoke-tokens", {})
        await listener.ledger.until(lambda: len(listener.ledger.closed) >= 2)
        request = await genesys.submit(genesys.agents[0], day(3))
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))


async def test_an_agent_who_moved_is_read_in_the_new_unit() -> None:
    async with town() as genesys, listening(genesys) as listener:
        agent = genesys.agents[0]
        old = genesys.unit_of(agent)
        new = next(unit for unit in genesys.units if unit != old)
        await genesys.admin("POST", "/genesys/move-agent", {"agentId": agent, "managementUnitId": new})
        request = await genesys.submit(agent, day(3))
        await listener.until(lambda: CONFIRM in sources(listener.of(request)))
        confirmed = listener.of(request)[-1]
        assert confirmed.content is not None
        assert (confirmed.management_unit_id, confirmed.zone_confirmed) == (new, True)
        assert listener.ledger.agents[agent] == (new, confirmed.zone)


async def test_a_request_that_is_nowhere_is_reported_missing_and_not_cancelled() -> None:
    async with town() as genesys, listening(genesys) as listener:
        listener.ledger.want(genesys.agents[0], "11111111-2222-3333-4444-555555555555")
        await listener.ledger.until(lambda: listener.ledger.missing)
        (seen,) = listener.observations
        assert seen.content is None
        assert seen.source is CONFIRM


async def test_a_confirming_read_that_fails_is_postponed_and_comes_back() -> None:
    async with town() as genesys, listening(genesys) as listener:
        rule = {"on": "GET .*/users/.*/timeoffrequests", "kind": "unavailable", "times": 4}
        await genesys.admin("POST", "/genesys/rest-faults", {"rules": [rule]})
        request = await genesys.submit(genesys.agents[0], day(3))
        await listener.until(lambda: CONFIRM in sources(listener.of(request)), within=20)
        assert [agent for agent, _ in listener.ledger.postponed] == [genesys.agents[0]]


async def test_changes_of_one_agent_in_a_burst_share_a_confirming_read() -> None:
    async with town() as genesys, listening(genesys, confirm_delay=0.5) as listener:
        agent = genesys.agents[0]
        before = len(await genesys.calls(f"/users/{agent}/timeoffrequests"))
        operations = [
            {
                "op": "create",
                "agentId": agent,
                "activityCodeId": "5",
                "status": "APPROVED",
                "dates": [day(n)],
                "dailyMinutes": 480,
            }
            for n in range(1, 21)
        ]
        results = (await genesys.admin("POST", "/genesys/batch", {"operations": operations}))["results"]
        ids = {result["id"] for result in results}
        await listener.ledger.until(lambda: ids <= set(listener.ledger.versions))
        assert len(await genesys.calls(f"/users/{agent}/timeoffrequests")) - before <= 2


async def test_refused_topics_are_counted_and_do_not_hold_the_gap_open() -> None:
    async with town() as genesys:
        await genesys.options(rejectTopics=[genesys.agents[0]])
        async with listening(genesys, backfill_every=0.5) as listener:
            unheard = await genesys.submit(genesys.agents[0], day(3))
            heard = await genesys.submit(genesys.agents[1], day(3))
            await listener.until(lambda: STREAM in sources(listener.of(heard)))
            await listener.until(lambda: BACKFILL in sources(listener.of(unheard)))  # polled
            assert STREAM not in sources(listener.of(unheard))


async def test_agents_are_spread_over_channels_and_new_ones_join_with_a_gap() -> None:
    async with (
        town(agents=7) as genesys,
        listening(genesys, topics_per_channel=3, agents_every=0.3) as listener,
    ):
        assert sorted(len(channel["topics"]) for channel in await genesys.channels()) == [1, 3, 3]
        added = await genesys.admin("POST", "/genesys/agents", {"managementUnitId": genesys.units[0]})
        agent = added["agentId"]
        earlier = await genesys.submit(agent, day(3), silent=True)
        await listener.ledger.until(lambda: len(listener.ledger.closed) == 2)
        gap = listener.ledger.closed[1][0]
        assert (gap.reason, gap.agent_ids) == ("agents added", (agent,))
        assert sources(listener.of(earlier)) == [BACKFILL]
        request = await genesys.submit(agent, day(4))
        await listener.until(lambda: STREAM in sources(listener.of(request)))


async def test_only_the_configured_units_are_covered() -> None:
    async with town() as genesys:
        unit = genesys.units[1]
        async with listening(genesys, genesys={"management_units": (unit,)}) as listener:
            expected = {agent for agent in genesys.agents if genesys.unit_of(agent) == unit}
            assert set(listener.ledger.agents) == expected
            (channel,) = await genesys.channels()
            assert len(channel["topics"]) == len(expected)


async def test_a_log_that_fails_holds_the_stream_back_and_loses_nothing() -> None:
    async with town() as genesys, listening(genesys) as listener:
        listener.log.fail_with = LogError("disk full")
        requests = [await genesys.submit(agent, day(3)) for agent in genesys.agents]
        await asyncio.sleep(0.3)
        assert not listener.observations
        listener.log.fail_with = None
        await listener.until(lambda: all(STREAM in sources(listener.of(each)) for each in requests))


async def test_a_ledger_that_is_away_delays_the_gap_and_the_socket_but_loses_neither() -> None:
    ledger = LedgerAway()
    async with town() as genesys, listening(genesys, ledger=ledger) as listener:
        ledger.failures = 2
        await genesys.admin("POST", "/genesys/drop-sockets", {})
        await asyncio.sleep(0.3)
        missed = await genesys.submit(genesys.agents[0], day(3))
        await listener.until(lambda: bool(listener.of(missed)))
        assert sources(listener.of(missed)) == [BACKFILL], "connected before the loss was on record"
        assert ledger.failures == 0


class LedgerAway(MemoryListenerLedger):
    """Refuses to open the next `failures` gaps."""

    failures = 0

    async def open_gap(self, reason: str, agent_ids: Collection[str]) -> int:
        if self.failures:
            self.failures -= 1
            raise Unreachable("the ledger is away")
        return await super().open_gap(reason, agent_ids)


async def test_throttling_is_obeyed_and_the_backfill_still_ends() -> None:
    async with (
        town(requestsPerMinute=8, rateWindowSeconds=1) as genesys,
        listening(genesys, horizon_days=200) as listener,
    ):
        assert not listener.ledger.gaps
        refused = [call for call in await genesys.calls("") if call["status"] == 429]
        assert refused, "the limit was never met, so nothing was shown"
        for call in refused:
            soon = [
                other
                for other in await genesys.calls("/api/v2")
                if call["at"] < other["at"] and other["status"] != 429
            ]
            assert soon, "it never came back"


async def test_a_new_start_is_a_gap_even_if_the_last_one_ended_well() -> None:
    async with town() as genesys:
        async with listening(genesys) as first:
            ledger = first.ledger
        request = await genesys.submit(genesys.agents[0], day(3))
        async with listening(genesys, ledger=ledger, log=MemoryLog(), settle=False) as second:
            await second.until(lambda: sources(second.of(request)) == [BACKFILL])


async def test_wrong_credentials_end_the_start_with_one_error() -> None:
    async with town() as genesys:
        with pytest.raises(GenesysAuthFailed, match="client_id"):
            async with listening(genesys, genesys={"client_id": "nobody"}):
                pass

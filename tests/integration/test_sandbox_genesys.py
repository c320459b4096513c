"""Promises of the sandbox's Genesys side: the rules, limits and faults by which the product is judged."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.support.genesys_sandbox import (
    WFM,
    GenesysClient,
    next_frame,
    running_sandbox,
    subscriptions,
    topic,
    topic_list,
)

from timeoff_sandbox.app import Sandbox, is_loopback
from timeoff_sandbox.genesys.errors import ApiError
from timeoff_sandbox.world import WorldOptions

DAY = 86_400


@pytest.fixture
async def genesys() -> AsyncIterator[GenesysClient]:
    async with running_sandbox() as client:
        yield client


async def statuses(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[str]:
    return [(await next_frame(socket))["eventBody"]["status"] for _ in range(count)]


async def closed(socket: aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
    """Reads up to the end of the socket."""
    async with asyncio.timeout(5):
        while True:
            message = await socket.receive()
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return message


# -- login, limits, permissions, faults ------------------------------------------------------------------


async def test_wrong_secret_and_wrong_grant_are_refused(genesys: GenesysClient) -> None:
    wrong = await genesys.login(secret="guess")
    assert (wrong.status, wrong.body["error"]) == (401, "invalid_client")
    grant = await genesys.login(grant="password")
    assert (grant.status, grant.body["error"]) == (400, "unsupported_grant_type")


async def test_a_token_ends_at_its_time_or_when_revoked(genesys: GenesysClient) -> None:
    await genesys.options(tokenSeconds=600)
    await genesys.login()
    await genesys.turn_clock(599)
    assert (await genesys.call("GET", "/api/v2/users")).status == 200
    await genesys.turn_clock(601)
    late = await genesys.call("GET", "/api/v2/users")
    assert (late.status, late.body["code"]) == (401, "credentials.expired")
    await genesys.login()
    assert (await genesys.ok("POST", "/admin/genesys/revoke-tokens"))["revoked"] >= 1
    revoked = await genesys.call("GET", "/api/v2/users")
    assert (revoked.status, revoked.body["code"]) == (401, "bad.credentials")
    await genesys.login()
    assert (await genesys.call("GET", "/api/v2/users")).status == 200


async def test_rate_limit_counts_by_token_and_says_how_long_to_wait(genesys: GenesysClient) -> None:
    await genesys.options(requestsPerMinute=2, rateWindowSeconds=1)
    await genesys.login()
    replies = [await genesys.call("GET", "/api/v2/users") for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["inin-ratelimit-count"] for reply in replies] == ["1", "2", "3"]
    assert {reply.headers["inin-ratelimit-allowed"] for reply in replies} == {"2"}
    assert replies[2].headers["Retry-After"] == replies[2].headers["inin-ratelimit-reset"] == "1"
    await genesys.login()
    assert (await genesys.call("GET", "/api/v2/users")).status == 200


async def test_missing_permission_is_403(genesys: GenesysClient) -> None:
    await genesys.options(permissions=["wfm:timeOffRequest:view"])
    agent = genesys.agents[0]
    request = await genesys.create(agent)
    assert (await genesys.call("GET", genesys.requests_of(agent))).status == 200
    refused = await genesys.call(
        "PATCH", genesys.requests_of(agent, request), {"status": "DENIED", "metadata": {"version": 1}}
    )
    assert (refused.status, refused.body["code"]) == (403, "missing.any.permissions")
    assert "wfm:timeOffRequest:edit" in refused.body["message"]
    await genesys.options(permissions=["directory:user:view"])
    answer = await genesys.ok(
        "PUT", subscriptions(await genesys.channel(), ignore_errors=True), topic_list(topic(agent))
    )
    assert answer["entities"][0]["state"] == "Rejected"


async def test_faults_strike_the_matching_call_once(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    request = await genesys.create(agent)
    path = genesys.requests_of(agent, request)
    rules = [
        {"on": "^GET .*/timeoffrequests/", "kind": "throttle", "retryAfter": 7},
        {"on": "^PATCH ", "kind": "commit_then_drop"},
    ]
    await genesys.ok("POST", "/admin/genesys/rest-faults", {"rules": rules})
    throttled = await genesys.call("GET", path)
    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "7")
    with pytest.raises(aiohttp.ClientConnectionError):
        await genesys.call("PATCH", path, {"status": "DENIED", "metadata": {"version": 1}})
    after = await genesys.ok("GET", path)
    assert (after["status"], after["metadata"]["version"]) == ("DENIED", 2)
    calls = (await genesys.ok("GET", "/admin/genesys/calls"))["calls"]
    assert [call["fault"] for call in calls if call["path"] == path] == ["throttle", "commit_then_drop", None]
    bad = await genesys.call("POST", "/admin/genesys/rest-faults", {"rules": [{"on": "(", "kind": "slow"}]})
    assert bad.status == 400


# -- channels ----------------------------------------------------------------------------------------------


async def test_the_21st_channel_evicts_the_oldest_without_a_socket(genesys: GenesysClient) -> None:
    channels = [await genesys.channel() for _ in range(20)]
    await genesys.connect(channels[0])
    for used in (*channels[2:], channels[1]):
        await genesys.call("HEAD", f"/api/v2/notifications/channels/{used['id']}")
    await genesys.channel()
    found = [
        (await genesys.call("HEAD", f"/api/v2/notifications/channels/{channel['id']}")).status
        for channel in channels[:4]
    ]
    # The first is the least recently used but connected; of the idle ones that is the third.
    assert found == [200, 200, 404, 200]


async def test_a_channel_lives_a_day_and_subscribing_extends_it(genesys: GenesysClient) -> None:
    await genesys.options(tokenSeconds=2 * DAY)
    await genesys.login()
    kept, left = await genesys.channel(), await genesys.channel()
    socket = await genesys.connect(left)
    await genesys.turn_clock(DAY - 10)
    await genesys.ok("PUT", subscriptions(kept), [])
    await genesys.turn_clock(DAY + 10)
    head = "/api/v2/notifications/channels/"
    assert (await genesys.call("HEAD", head + kept["id"])).status == 200
    assert (await genesys.call("HEAD", head + left["id"])).status == 404
    await closed(socket)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await genesys.session.ws_connect(left["connectUri"])
    assert refused.value.status == 404


async def test_a_channel_of_another_client_is_not_found(genesys: GenesysClient) -> None:
    channel = await genesys.channel()
    await genesys.options(clients={"other": "secret"})
    genesys.world["clientId"], genesys.world["clientSecret"] = "other", "secret"
    await genesys.login()
    assert (await genesys.call("GET", subscriptions(channel))).status == 404


async def test_post_adds_put_replaces_delete_removes_all(genesys: GenesysClient) -> None:
    first, second, third = (topic(agent) for agent in genesys.agents[:3])
    channel = await genesys.channel(first)

    async def now() -> list[str]:
        return [each["id"] for each in (await genesys.ok("GET", subscriptions(channel)))["entities"]]

    await genesys.ok("POST", subscriptions(channel), topic_list(second))
    assert await now() == [first, second]
    await genesys.ok("PUT", subscriptions(channel), topic_list(third))
    assert await now() == [third]
    await genesys.ok("DELETE", subscriptions(channel))
    assert await now() == []


async def test_one_refused_topic_refuses_all_unless_errors_are_ignored(genesys: GenesysClient) -> None:
    good, bad = genesys.agents[:2]
    await genesys.options(rejectTopics=[bad["agentId"]])
    channel = await genesys.channel()
    topics = topic_list(topic(good), topic(bad), "v2.users.nobody.workforcemanagement.timeoffrequests")
    assert (await genesys.call("PUT", subscriptions(channel), topics)).status == 403
    assert (await genesys.ok("GET", subscriptions(channel)))["entities"] == []
    answer = await genesys.ok("PUT", subscriptions(channel, ignore_errors=True), topics)
    assert [each["state"] for each in answer["entities"]] == ["Permitted", "Rejected", "Rejected"]
    assert len((await genesys.ok("GET", subscriptions(channel)))["entities"]) == 1


async def test_topic_1001_is_refused_and_changes_nothing() -> None:
    async with running_sandbox(WorldOptions(agents=1001)) as genesys:
        topics = [topic(agent) for agent in genesys.agents]
        channel = await genesys.channel(*topics[:1000])
        assert (await genesys.call("POST", subscriptions(channel), topic_list(topics[1000]))).status == 400
        assert len((await genesys.ok("GET", subscriptions(channel)))["entities"]) == 1000


async def test_combined_topics_count_once_and_arrive_expanded(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    combined = (
        f"v2.users.{agent['agentId']}?workforcemanagement.timeoffrequests&workforcemanagement.notifications"
    )
    socket = await genesys.connect(await genesys.channel(combined))
    await genesys.create(agent)
    assert (await next_frame(socket))["topicName"] == topic(agent)
    long = combined + "&workforcemanagement.schedules" * 4
    assert (await genesys.call("PUT", subscriptions(await genesys.channel()), topic_list(long))).status == 400


# -- sockets -----------------------------------------------------------------------------------------------


async def test_heartbeats_come_at_the_set_interval() -> None:
    async with running_sandbox(heartbeatSeconds=0.05) as genesys:
        socket = await genesys.connect(await genesys.channel())
        arrived = []
        for _ in range(5):
            message = await socket.receive(timeout=5)
            arrived.append(asyncio.get_running_loop().time())
            assert json.loads(message.data) == {
                "topicName": "channel.metadata",
                "eventBody": {"message": "WebSocket Heartbeat"},
            }
        # Five beats are four intervals apart; a late first one may cost one of them.
        assert arrived[-1] - arrived[0] > 0.13


async def test_a_silent_socket_stays_open_and_answers_no_ping(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    await genesys.options(silentSockets=True, heartbeatSeconds=0.05)
    await socket.send_str('{"message":"ping"}')
    await genesys.create(agent)
    await asyncio.sleep(0.2)  # the absence of frames has no event to wait for
    await genesys.options(silentSockets=False, heartbeatSeconds=30)
    await genesys.create(agent, status="PENDING")
    assert (await next_frame(socket))["eventBody"]["status"] == "PENDING"


async def test_dropped_sockets_see_no_close_frame_and_keep_their_subscription(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    channel = await genesys.channel(topic(agent))
    socket = await genesys.connect(channel)
    await genesys.options(refuseSockets=True)
    assert (await genesys.ok("POST", "/admin/genesys/drop-sockets"))["dropped"] == 1
    await closed(socket)
    assert socket.close_code in (None, 1006)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await genesys.session.ws_connect(channel["connectUri"])
    assert refused.value.status == 503
    await genesys.create(agent)
    await genesys.options(refuseSockets=False)
    socket = await genesys.connect(channel)
    await genesys.create(agent, status="PENDING")
    # What happened without a socket is lost; what comes now arrives.
    assert await statuses(socket, 1) == ["PENDING"]
    assert (await genesys.ok("GET", "/admin/genesys/delivery"))["unattached"] == 1


async def test_a_second_socket_displaces_the_first(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    channel = await genesys.channel(topic(agent))
    first = await genesys.connect(channel)
    second = await genesys.connect(channel)
    frame = await next_frame(first)
    assert frame["topicName"] == f"v2.system.no_longer_subscribed.{channel['id']}"
    assert (await closed(first)).data == 1001
    await genesys.create(agent)
    assert await statuses(second, 1) == ["APPROVED"]


async def test_closing_is_announced_then_done(genesys: GenesysClient) -> None:
    socket = await genesys.listen(genesys.agents[0])
    await genesys.ok("POST", "/admin/genesys/close-sockets", {"graceSeconds": 0.05})
    assert (await next_frame(socket))["topicName"] == "v2.system.socket_closing"
    assert (await closed(socket)).data == 1001


async def test_topics_can_be_taken_over_the_socket(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.connect(await genesys.channel())
    await socket.send_json({"message": "subscribe", "topics": [topic(agent)], "correlationId": "c1"})
    answer = await next_frame(socket)
    assert (answer["result"], answer["status"], answer["correlationId"]) == ("200", "subscribed", "c1")
    await genesys.create(agent)
    assert await statuses(socket, 1) == ["APPROVED"]


async def test_a_reader_that_stands_still_holds_up_nobody(genesys: GenesysClient) -> None:
    slow, quick = genesys.agents[:2]
    channel = await genesys.channel(topic(slow))
    port = int(genesys.sandbox.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    path = channel["connectUri"].split("/", 3)[3]
    writer.write(
        f"GET /{path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    try:
        assert b"101" in await reader.readuntil(b"\r\n\r\n")
        socket = await genesys.listen(quick)
        large = {"op": "create", "agentId": slow["agentId"], "activityCodeId": "5", "dates": ["2026-06-08"]}
        operations = [large | {"notes": "x" * 200_000}] * 100
        await genesys.ok("POST", "/admin/genesys/batch", {"operations": operations})
        await genesys.create(quick)
        assert await statuses(socket, 1) == ["APPROVED"]
        channels = (await genesys.ok("GET", "/admin/genesys/channels"))["channels"]
        assert channels[0]["sent"] < 100, "the slow reader was to be still behind"
        await genesys.options(socketBacklog=1)
        await genesys.create(slow)
        async with asyncio.timeout(5):
            while channels[0]["connected"]:
                channels = (await genesys.ok("GET", "/admin/genesys/channels"))["channels"]
    finally:
        writer.close()


async def test_a_note_of_one_mebibyte_arrives_whole(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    note = "n\x00" * (1 << 19)
    request = await genesys.create(agent, notes=note)
    assert (await next_frame(socket))["eventBody"]["notes"] == note
    assert (await genesys.ok("GET", genesys.requests_of(agent, request)))["notes"] == note


# -- delivery ----------------------------------------------------------------------------------------------


async def delivery(genesys: GenesysClient, **settings: Any) -> dict[str, Any]:
    return await genesys.ok("PUT", "/admin/genesys/delivery", settings)


async def test_notifications_follow_every_change_in_order(genesys: GenesysClient) -> None:
    agent, other = genesys.agents[:2]
    socket = await genesys.listen(agent)
    await genesys.create(other)
    request = await genesys.create(agent, status="PENDING")
    for status in ("APPROVED", "DENIED", "CANCELED"):
        await genesys.patch(request, status=status)
    assert await statuses(socket, 4) == ["PENDING", "APPROVED", "DENIED", "CANCELED"]


async def test_dropped_doubled_and_swapped_notifications_are_counted(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    await delivery(genesys, drop=1)
    request = await genesys.create(agent, status="PENDING")
    await delivery(genesys, duplicate=1)
    await genesys.patch(request, status="APPROVED")
    assert await statuses(socket, 2) == ["APPROVED", "APPROVED"]
    await delivery(genesys, swap=1, swapMs=60_000)
    await genesys.patch(request, status="DENIED")
    await genesys.patch(request, status="CANCELED")
    assert await statuses(socket, 2) == ["CANCELED", "DENIED"]
    counts = await genesys.ok("GET", "/admin/genesys/delivery")
    assert {name: counts[name] for name in ("dropped", "duplicated", "swapped", "notified", "sent")} == {
        "dropped": 1,
        "duplicated": 1,
        "swapped": 1,
        "notified": 4,
        "sent": 4,
    }


async def test_a_swapped_notification_that_nothing_overtakes_is_only_late(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    await delivery(genesys, swap=1, swapMs=20)
    await genesys.create(agent)
    assert await statuses(socket, 1) == ["APPROVED"]
    counts = await genesys.ok("GET", "/admin/genesys/delivery")
    assert (counts["swapped"], counts["delayed"]) == (0, 1)


async def test_held_notifications_come_out_reversed(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    await delivery(genesys, hold=True)
    request = await genesys.create(agent, status="PENDING")
    await genesys.patch(request, status="APPROVED")
    await genesys.patch(request, status="CANCELED")
    assert (await genesys.ok("GET", "/admin/genesys/delivery"))["held"] == 3
    await delivery(genesys, reverse=True)
    assert await statuses(socket, 3) == ["CANCELED", "APPROVED", "PENDING"]


async def test_a_silent_change_is_in_rest_but_not_on_the_socket(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    request = await genesys.create(agent, status="PENDING", silent=True)
    assert (await genesys.ok("GET", genesys.requests_of(agent, request)))["status"] == "PENDING"
    await genesys.patch(request, status="APPROVED", silent=True)
    assert (await genesys.ok("GET", genesys.requests_of(agent, request)))["status"] == "APPROVED"
    await genesys.patch(request, status="DENIED")
    assert await statuses(socket, 1) == ["DENIED"]


async def test_bad_input_is_passed_on_word_for_word(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    raw = {"status": "EXPIRED", "fullDayManagementUnitDates": ["9999-99-99"], "durationMinutes": None}
    request = await genesys.create(agent, raw=raw)
    body = (await next_frame(socket))["eventBody"]
    rest = await genesys.ok("GET", genesys.requests_of(agent, request))
    for name, value in raw.items():
        assert body[name] == rest[name] == value
    await genesys.patch(request, raw={})
    assert (await next_frame(socket))["eventBody"]["status"] == "APPROVED"
    sent = await genesys.ok(
        "POST", "/admin/genesys/send", {"agentId": agent["agentId"], "frame": "{not json"}
    )
    assert sent == {"sent": 1}
    assert (await socket.receive(timeout=5)).data == "{not json"


async def test_empty_arrays_can_be_left_out(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    await genesys.options(omitEmptyArrays=True)
    request = await genesys.create(agent)
    assert "partialDayStartDateTimes" not in (await next_frame(socket))["eventBody"]
    assert "partialDayStartDateTimes" in await genesys.ok("GET", genesys.requests_of(agent, request))


# -- time off over REST ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"userIds": ["x"]}, 400),
        ({"statuses": ["APPROVED"]}, 400),
        ({"statuses": ["PENDING", "APPROVED"]}, 400),
        ({"dateRange": {"startDate": "2026-06-01", "endDate": "2026-07-04"}}, 400),
        ({"dateRange": {"startDate": "2026-06-02", "endDate": "2026-06-01"}}, 400),
        ({"dateRange": {"startDate": "June", "endDate": "2026-06-01"}}, 400),
        ({"dateRange": {"startDate": "2026-06-01", "endDate": "2026-07-03"}}, 200),
        ({"statuses": ["PENDING"]}, 200),
    ],
)
async def test_a_query_needs_pending_or_at_most_33_days(
    genesys: GenesysClient, body: dict[str, Any], status: int
) -> None:
    path = genesys.unit_path(genesys.agents[0], "/timeoffrequests/query")
    assert (await genesys.call("POST", path, body)).status == status


async def test_a_window_means_days_off_in_the_zone_of_the_unit() -> None:
    async with running_sandbox(WorldOptions(agents=3)) as genesys:
        by_zone = {agent["timeZone"]: agent for agent in genesys.agents}

        async def found(agent: dict[str, Any], day: str) -> list[str]:
            body = {"dateRange": {"startDate": day, "endDate": day}}
            path = genesys.unit_path(agent, "/timeoffrequests/query")
            return [each["id"] for each in (await genesys.ok("POST", path, body))["entities"]]

        for zone, day in (
            ("America/New_York", "2026-06-09"),  # 20:30 of the day before
            ("Asia/Kolkata", "2026-06-10"),  # 06:00
        ):
            request = await genesys.create(
                by_zone[zone], partialStarts=["2026-06-10T00:30:00Z"], minutes=[60]
            )
            assert await found(by_zone[zone], day) == [request["id"]]
        assert await found(by_zone["America/New_York"], "2026-06-10") == []
        night = await genesys.create(
            by_zone["Europe/Berlin"], partialStarts=["2026-07-10T21:00:00Z"], minutes=[120]
        )
        for day in ("2026-07-10", "2026-07-11"):
            assert await found(by_zone["Europe/Berlin"], day) == [night["id"]]
        assert await found(by_zone["Europe/Berlin"], "2026-07-12") == []


async def test_pending_query_finds_open_requests_of_any_date(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    pending = await genesys.create(agent, status="PENDING", dates=["2031-01-01"])
    await genesys.create(agent)
    path = genesys.unit_path(agent, "/timeoffrequests/query")
    answer = await genesys.ok("POST", path, {"statuses": ["PENDING"]})
    assert [each["id"] for each in answer["entities"]] == [pending["id"]]


@pytest.mark.parametrize("by_option", [True, False])
async def test_a_query_answer_can_stand_behind_a_download(genesys: GenesysClient, by_option: bool) -> None:
    agent = genesys.agents[0]
    request = await genesys.create(agent, status="PENDING")
    await genesys.options(useDownloadUrl=by_option)
    path = genesys.unit_path(agent, "/timeoffrequests/query") + (
        "" if by_option else "?forceDownloadService=true"
    )
    answer = await genesys.ok("POST", path, {"statuses": ["PENDING"]})
    assert answer["entities"] == []
    async with genesys.session.get(answer["downloadUrl"]) as response:
        assert [each["id"] for each in (await response.json())["entities"]] == [request["id"]]
    await genesys.turn_clock(3600)
    async with genesys.session.get(answer["downloadUrl"]) as response:
        assert response.status == 403


async def test_a_patch_needs_the_current_version(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    request = await genesys.create(agent, status="PENDING")
    path = genesys.requests_of(agent, request)
    assert (await genesys.call("PATCH", path, {"status": "APPROVED"})).status == 400
    refused = [
        await genesys.call("PATCH", path, {"status": "CANCELED", "metadata": {"version": 1}}),
        await genesys.call("PATCH", path, {"durationMinutes": [1, 2], "metadata": {"version": 1}}),
    ]
    assert [reply.status for reply in refused] == [400, 400]
    approve = {"status": "APPROVED", "metadata": {"version": 1}}
    assert (await genesys.ok("PATCH", path, approve))["metadata"]["version"] == 2
    assert (await genesys.call("PATCH", path, approve)).status == 409
    assert await statuses(socket, 2) == ["PENDING", "APPROVED"]


@pytest.mark.parametrize(
    "change",
    [
        {"partialDayStartDateTimes": ["2026-06-10T00:30:00Z"]},
        {"fullDayManagementUnitDates": [], "partialDayStartDateTimes": ["9999-12-31T23:59:00Z"]},
        {"activityCodeId": "99"},
        {"durationMinutes": [60, 60]},
        {"dailyDurationMinutes": None},
        {"users": []},
    ],
)
async def test_a_create_that_makes_no_sense_is_refused(
    genesys: GenesysClient, change: dict[str, Any]
) -> None:
    agent = genesys.agents[0]
    good = {
        "status": "APPROVED",
        "users": [{"id": agent["agentId"]}],
        "activityCodeId": "5",
        "fullDayManagementUnitDates": ["2026-06-08"],
        "dailyDurationMinutes": 480,
    }
    path = genesys.unit_path(agent, "/timeoffrequests")
    assert (await genesys.call("POST", path, good | change)).status == 400
    assert (await genesys.ok("GET", genesys.requests_of(agent)))["timeOffRequests"] == []
    assert (await genesys.call("POST", path, good)).status == 200


async def test_the_truth_keeps_every_version(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    request = await genesys.create(agent, status="PENDING", dates=["2026-06-08"])
    await genesys.patch(request, status="APPROVED")
    await genesys.patch(request, dates=["2026-06-08", "2026-06-09"], minutes=[480, 240])
    refused = await genesys.call("PATCH", f"/admin/genesys/requests/{request['id']}", {"minutes": [1]})
    assert refused.status == 400
    truth = (await genesys.ok("GET", "/admin/genesys/requests"))["requests"]
    assert len(truth) == 1
    assert [(v["version"], v["status"], v["dates"], v["minutes"]) for v in truth[0]["history"]] == [
        (1, "PENDING", ["2026-06-08"], [480]),
        (2, "APPROVED", ["2026-06-08"], [480]),
        (3, "APPROVED", ["2026-06-08", "2026-06-09"], [480, 240]),
    ]
    assert truth[0]["payableMinutes"] == [480, 240]
    assert truth[0]["managementUnitId"] == agent["managementUnitId"]


async def test_a_batch_goes_on_after_a_refused_operation(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    create = {"op": "create", "agentId": agent["agentId"], "activityCodeId": "5", "dates": ["2026-06-08"]}
    operations = [create | {"dates": ["nonsense"]}, create, {"op": "patch", "id": "?", "status": "DENIED"}]
    results = (await genesys.ok("POST", "/admin/genesys/batch", {"operations": operations}))["results"]
    assert [each.get("error", {}).get("status", each.get("version")) for each in results] == [400, 1, 404]
    typing_error = await genesys.call("POST", "/admin/genesys/requests", {**create, "datse": []})
    assert typing_error.status == 400


async def test_integration_status_is_kept_and_logged_and_may_notify(genesys: GenesysClient) -> None:
    agent = genesys.agents[0]
    socket = await genesys.listen(agent)
    request = await genesys.create(agent)
    assert await statuses(socket, 1) == ["APPROVED"]
    base = genesys.unit_path(agent, f"/timeoffrequests/{request['id']}/users/{agent['agentId']}")
    query = genesys.unit_path(agent, "/timeoffrequests/integrationstatus/query")
    lookups = {"timeOffRequestLookups": [{"timeOffRequestId": request["id"], "userId": agent["agentId"]}]}
    assert (await genesys.ok("POST", query, lookups))["entities"] == []
    await genesys.ok("PATCH", base + "/integrationstatus", {"integrationStatus": "AutomaticallyComplete"})
    bad = await genesys.call("PATCH", base + "/integrationstatus", {"integrationStatus": "Done"})
    assert bad.status == 400
    await genesys.options(integrationStatusEmits=True)
    await genesys.ok(
        "POST",
        "/admin/genesys/integration-status",
        {"requestId": request["id"], "status": "ManuallyComplete"},
    )
    # Only the second one was to be announced, with the version and the content unchanged.
    assert (await next_frame(socket))["eventBody"]["id"] == request["id"]
    assert (await genesys.ok("GET", "/admin/genesys/delivery"))["sent"] == 2
    answer = await genesys.ok("POST", query, lookups)
    assert answer["entities"][0]["integrationStatus"] == "ManuallyComplete"
    log = (await genesys.ok("GET", "/admin/genesys/calls"))["integrationStatuses"]
    assert [(each["status"], each["by"], each["version"]) for each in log] == [
        ("AutomaticallyComplete", "api", 1),
        ("ManuallyComplete", "hand", 1),
    ]


# -- people and the world ----------------------------------------------------------------------------------


async def test_a_moved_agent_takes_requests_along_and_is_announced(genesys: GenesysClient) -> None:
    agent = dict(genesys.agents[0])
    socket = await genesys.connect(await genesys.channel("v2.workforcemanagement.agents"))
    request = await genesys.create(agent)
    old = genesys.requests_of(agent, request)
    new_unit = next(
        unit["id"] for unit in genesys.world["managementUnits"] if unit["id"] != agent["managementUnitId"]
    )
    await genesys.ok(
        "POST",
        "/admin/genesys/move-agent",
        {"agentId": agent["agentId"], "managementUnitId": new_unit},
    )
    moved = (await next_frame(socket))["eventBody"]
    assert moved["destinationManagementUnit"] == {"id": new_unit}
    assert (await genesys.call("GET", old)).status == 404
    agent["managementUnitId"] = new_unit
    assert (await genesys.call("GET", genesys.requests_of(agent, request))).status == 200
    unit = await genesys.ok("GET", f"{WFM}/agents/{agent['agentId']}/managementunit")
    assert unit["managementUnit"]["id"] == new_unit


async def test_users_come_in_pages_and_by_id(genesys: GenesysClient) -> None:
    seen: list[str] = []
    path: str | None = "/api/v2/users?pageSize=4"
    while path:
        page = await genesys.ok("GET", path)
        seen += [user["id"] for user in page["entities"]]
        path = page.get("nextUri")
    assert seen == [agent["agentId"] for agent in genesys.agents]
    wanted = seen[1:3]
    page = await genesys.ok("GET", f"/api/v2/users?id={wanted[0]}&id={wanted[1]}&id=nobody&pageSize=100")
    assert [user["id"] for user in page["entities"]] == wanted
    assert (await genesys.call("GET", "/api/v2/users?pageSize=501")).status == 400


async def test_search_by_address_finds_the_agent_or_has_no_results(genesys: GenesysClient) -> None:
    agent = genesys.agents[3]
    body = {"query": [{"type": "EXACT", "fields": ["email"], "value": agent["email"].upper()}]}
    found = await genesys.ok("POST", "/api/v2/users/search", body)
    assert [user["id"] for user in found["results"]] == [agent["agentId"]]
    body["query"][0]["value"] = "nobody@example.com"
    assert "results" not in await genesys.ok("POST", "/api/v2/users/search", body)


async def test_the_same_seed_makes_the_same_world() -> None:
    first, again, other = (Sandbox().make_world(WorldOptions(seed=seed)) for seed in (7, 7, 8))
    assert first["agents"] == again["agents"]
    assert first["agents"] != other["agents"]
    assert {agent["timeZone"] for agent in first["agents"]} == {
        "Europe/Berlin",
        "America/New_York",
        "Asia/Kolkata",
    }


async def test_the_world_fills_both_sides_alike() -> None:
    world = WorldOptions(agents=6, agents_without_employee=1, shared_emails=1, external_ids=0)
    async with running_sandbox(world) as genesys:
        header = aiohttp.encode_basic_auth(genesys.world["apiKey"], "x")
        directory = await genesys.call(
            "GET",
            f"/api/gateway.php/{genesys.world['company']}/v1/employees/directory",
            Authorization=header,
            Accept="application/json",
        )
        addresses = [employee["workEmail"] for employee in directory.body["employees"]]
        by_agent = {agent["email"]: agent for agent in genesys.agents}
        shared, missing = genesys.agents[0]["email"], genesys.agents[5]["email"]
        assert addresses.count(shared) == 2
        assert addresses.count(missing) == 0
        assert set(addresses) == set(by_agent) - {missing}
        assert by_agent[shared]["employeeId"] is None
        assert len(by_agent[shared]["sharedEmployeeIds"]) == 2
        linked = {code for plan in genesys.world["plans"] for code in plan["activityCodeIds"]}
        assert linked == {"5", "6", "7"}
        units = {each["id"]: each["units"] for each in genesys.world["types"]}
        assert units == {"83": "hours", "84": "days", "85": "hours"}


async def test_a_mapping_can_vanish_and_a_zone_can_change(genesys: GenesysClient) -> None:
    plan = genesys.world["plans"][0]
    await genesys.ok("PATCH", f"/admin/genesys/plans/{plan['id']}", {"unlink": True})
    business = genesys.world["businessUnitId"]
    plans = await genesys.ok("GET", f"{WFM}/businessunits/{business}/timeoffplans")
    assert [("hrisTimeOffType" in each) for each in plans["entities"]] == [False, True, True]
    unit = genesys.world["managementUnits"][0]["id"]
    await genesys.ok("PATCH", f"/admin/genesys/management-units/{unit}", {"timeZone": "Asia/Kathmandu"})
    assert (await genesys.ok("GET", f"{WFM}/managementunits/{unit}"))["timeZone"] == "Asia/Kathmandu"


async def test_a_plan_can_be_linked_to_a_type_of_another_hris(genesys: GenesysClient) -> None:
    """Would break: a world could only stand before the HRIS that it was made with."""
    plan = genesys.world["plans"][0]
    type_ = {"id": "10", "name": "Vacation", "secondaryId": "6"}
    await genesys.ok("PATCH", f"/admin/genesys/plans/{plan['id']}", {"hrisType": type_})
    business = genesys.world["businessUnitId"]
    plans = await genesys.ok("GET", f"{WFM}/businessunits/{business}/timeoffplans")
    (linked,) = (each["hrisTimeOffType"] for each in plans["entities"] if each["id"] == plan["id"])
    assert {name: linked[name] for name in type_} == type_


async def test_reset_forgets_all_but_the_options(genesys: GenesysClient) -> None:
    await genesys.create(genesys.agents[0])
    socket = await genesys.listen(genesys.agents[0])
    await genesys.options(heartbeatSeconds=17)
    await genesys.ok("POST", "/admin/reset")
    await closed(socket)
    assert (await genesys.ok("GET", "/admin/genesys/requests"))["requests"] == []
    assert (await genesys.ok("GET", "/admin/world"))["agents"] == []
    assert (await genesys.call("GET", "/api/v2/users")).status == 401
    assert (await genesys.ok("GET", "/admin/options"))["genesys"]["heartbeatSeconds"] == 17


async def test_wrong_options_are_refused_and_change_nothing(genesys: GenesysClient) -> None:
    before = await genesys.ok("GET", "/admin/options")
    for body in (
        {"genesys": {"tokenSeconds": -1, "heartbeatSeconds": 1}},
        {"genesys": {"noSuchOption": 1}},
        {"bamboohr": {"noSuchOption": 1}},
        {"other": {}},
    ):
        assert (await genesys.call("PUT", "/admin/options", body)).status == 400
    assert await genesys.ok("GET", "/admin/options") == before
    with pytest.raises(ApiError):
        Sandbox({"genesys": {"noSuchOption": 1}})


async def test_the_command_serves_until_terminated() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "timeoff_sandbox",
        "--agents",
        "3",
        "--seed",
        "4",
        "--options",
        '{"genesys": {"requestsPerMinute": 77}}',
        stdout=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 20))
        async with aiohttp.ClientSession(ready["url"]) as session:
            async with session.get("/admin/world") as response:
                assert len((await response.json())["agents"]) == 3
            async with session.get("/admin/options") as response:
                assert (await response.json())["genesys"]["requestsPerMinute"] == 77
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_channels_can_end_with_their_token(genesys: GenesysClient) -> None:
    await genesys.options(channelsEndWithToken=True)
    channel = await genesys.channel()
    socket = await genesys.connect(channel)
    await genesys.ok("POST", "/admin/genesys/revoke-tokens")
    assert (await next_frame(socket))["topicName"] == f"v2.system.token_revoked.{channel['id']}"
    await closed(socket)
    await genesys.login()
    assert (await genesys.call("HEAD", f"/api/v2/notifications/channels/{channel['id']}")).status == 404


async def test_agents_come_and_go_and_get_links(genesys: GenesysClient) -> None:
    unit = genesys.world["managementUnits"][0]["id"]
    new = await genesys.ok("POST", "/admin/genesys/agents", {"managementUnitId": unit})
    agent_id = new["agentId"]
    body = {"agentId": agent_id, "externalId": "4711"}
    link = await genesys.ok("POST", "/admin/genesys/link-agent", body)
    assert link["associatedIntegrations"][0]["agentExternalId"] == "4711"
    query = (f"{WFM}/agents/integrations/hris/query", {"agentIds": [agent_id]})
    assert (await genesys.ok("POST", *query))["entities"] == [link]
    listing = f"{WFM}/managementunits/{unit}/users"
    assert agent_id in [user["id"] for user in (await genesys.ok("GET", listing))["entities"]]
    await genesys.ok("DELETE", f"/admin/genesys/agents/{agent_id}")
    assert agent_id not in [user["id"] for user in (await genesys.ok("GET", listing))["entities"]]
    assert (await genesys.call("GET", f"/api/v2/users/{agent_id}")).status == 404


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("127.0.0.1", True), ("::1", True), ("192.0.2.7", False), ("::ffff:192.0.2.7", False), (None, False)],
)
def test_the_admin_api_is_for_this_machine(address: str | None, allowed: bool) -> None:
    assert is_loopback(address) is allowed

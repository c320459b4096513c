"""One call is one request on the wire, and what may have been sent is never called unsent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from tests.support.tracktik_portal import Call, Drop, Portal, portal, reply

from timeoff.errors import AuthFailed, Forbidden, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris.tracktik.client import Deadline, Refused, TrackTikClient

NOTE = "Kniearthroskopie am linken Bein"
NOT_FOUND = {"leave-requests": ["Leave request not found."]}


@pytest.fixture
async def site() -> AsyncIterator[Portal]:
    async with portal() as running:
        yield running


@pytest.fixture
async def client(site: Portal) -> AsyncIterator[TrackTikClient]:
    opened = TrackTikClient(site.settings())
    yield opened
    await opened.close()


async def read(client: TrackTikClient, seconds: float = 5) -> bytes:
    return await client.read("list", "leave-requests", {"employee": "1"}, deadline=Deadline.after(seconds))


async def write(client: TrackTikClient, seconds: float = 5, method: str = "POST") -> bytes:
    body = {"reason": NOTE}
    answer = await client.write(
        "create", method, "leave-requests", body, deadline=Deadline.after(seconds), private=(None, NOTE)
    )
    return answer.body


async def error_of(work: object) -> HrisError:
    with pytest.raises(HrisError) as raised:
        await work  # type: ignore[misc]
    return raised.value


async def test_a_call_carries_its_token_its_query_and_its_body(site: Portal, client: TrackTikClient) -> None:
    await read(client)
    await write(client)
    assert site.calls == [
        Call("GET", "leave-requests", {"employee": "1"}, None, "access-1"),
        Call("POST", "leave-requests", {}, {"reason": NOTE}, "access-1"),
    ]


@pytest.mark.parametrize(
    ("status", "headers", "of_read", "of_write"),
    [
        (408, {}, RetryLater, OutcomeUnknown),
        (429, {}, RetryLater, RetryLater),
        (429, {"Retry_After": "7"}, RetryLater, RetryLater),
        (500, {}, RetryLater, OutcomeUnknown),
        (502, {"Retry_After": "7"}, RetryLater, OutcomeUnknown),
        (503, {}, RetryLater, OutcomeUnknown),
        (503, {"Retry_After": "7"}, RetryLater, OutcomeUnknown),
        (504, {}, RetryLater, OutcomeUnknown),
        (401, {}, AuthFailed, AuthFailed),
        (403, {}, Forbidden, Forbidden),
        (400, {}, Refused, Refused),
        (404, {}, Refused, OutcomeUnknown),
        (405, {}, Refused, Refused),
        (409, {}, Refused, Refused),
        (413, {}, Refused, Refused),
        (415, {}, Refused, Refused),
        (301, {"Location": "/rest/v1/other"}, RetryLater, RetryLater),
        (302, {"Location": "/login"}, RetryLater, RetryLater),
        (303, {"Location": "/rest/v1/other"}, RetryLater, OutcomeUnknown),
        (307, {"Location": "/rest/v1/other"}, RetryLater, RetryLater),
    ],
)
async def test_the_class_of_an_answer(
    site: Portal,
    client: TrackTikClient,
    status: int,
    headers: dict[str, str],
    of_read: type[HrisError],
    of_write: type[HrisError],
) -> None:
    site.answer = lambda _: reply({}, status, **headers)
    reading = await error_of(read(client))
    sent = len(site.calls)
    if status == 401:
        await client.close()
        client = TrackTikClient(site.settings())
    writing = await error_of(write(client))
    assert (type(reading), type(writing)) == (of_read, of_write)
    once = 2 if status == 401 else 1
    assert (sent, len(site.calls) - sent) == (once, once)
    for error in (reading, writing):
        if isinstance(error, RetryLater):
            assert error.throttled is (status == 429)
            assert error.retry_after == (7 if "Retry_After" in headers else None)
        if 300 <= status < 400:
            assert "redirected and not followed" in str(error)
    await client.close()


@pytest.mark.parametrize(
    ("body", "absent"),
    [(NOT_FOUND, True), ("<html>", False), ({}, False), ({"message": "no Route matched"}, False)],
)
async def test_only_the_api_itself_says_that_something_is_not_there(
    site: Portal, client: TrackTikClient, body: object, absent: bool
) -> None:
    """A gateway has its own 404, for a moment or because of a wrong address."""
    site.answer = lambda _: reply(body, 404)
    reading = await error_of(read(client))
    assert isinstance(reading, Refused)
    assert reading.absent is absent
    assert type(await error_of(write(client))) is (Refused if absent else OutcomeUnknown)


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_write_that_is_dropped_is_unknown_and_sent_once(
    site: Portal, client: TrackTikClient, method: str
) -> None:
    def dropped(call: Call) -> web.StreamResponse:
        if call.method == "GET":
            return reply([])
        raise Drop

    site.answer = dropped
    await read(client)  # so that the connection is a kept one
    assert isinstance(await error_of(write(client, method=method)), OutcomeUnknown)
    assert [call.method for call in site.calls] == ["GET", method]


async def test_nothing_listens_there_so_nothing_was_sent(unused_tcp_port: int, site: Portal) -> None:
    client = TrackTikClient(site.settings(base_url=f"http://127.0.0.1:{unused_tcp_port}"))
    assert isinstance(await error_of(write(client)), RetryLater)
    await client.close()


async def test_an_answer_that_does_not_come_is_unknown_for_a_write_only(
    site: Portal, client: TrackTikClient
) -> None:
    async def silent(_: Call) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    site.answer = silent
    hasty = TrackTikClient(site.settings(call_timeout=1, read_timeout=0.2))
    assert isinstance(await error_of(read(hasty, 1)), RetryLater)
    assert isinstance(await error_of(write(hasty, 1)), OutcomeUnknown)
    await hasty.close()


async def test_a_write_is_not_begun_with_too_little_time_left(site: Portal, client: TrackTikClient) -> None:
    """The portal may take 30 s: a slow success would look like an unknown outcome."""
    await read(client)
    assert isinstance(await error_of(write(client, 3.5)), RetryLater)
    assert [call.method for call in site.calls] == ["GET"]
    # A read may use what is left.
    await read(client, 3.5)


async def test_a_write_that_does_no_harm_twice_may_be_begun_with_less_time_left(
    site: Portal, client: TrackTikClient
) -> None:
    async def approve(seconds: float) -> None:
        deadline = Deadline.after(seconds)
        await client.write("approve", "POST", "x", {}, deadline=deadline, harmless=True)

    await approve(1.5)
    assert isinstance(await error_of(approve(0.9)), RetryLater)
    assert len(site.calls) == 1


async def test_a_login_that_takes_all_the_time_sends_nothing(site: Portal, client: TrackTikClient) -> None:
    async def slow(_: dict[str, str]) -> web.StreamResponse:
        await asyncio.sleep(0.4)
        return site.tokens()

    site.login = slow
    assert isinstance(await error_of(write(client, 0.2)), RetryLater)
    assert site.calls == []


async def test_a_401_is_followed_by_one_new_token_and_one_more_try(
    site: Portal, client: TrackTikClient
) -> None:
    await read(client)
    site.revoke()
    await write(client)
    assert [call.token for call in site.calls] == ["access-1", "access-1", "access-2"]
    assert site.grants == ["password", "refresh_token"]


async def test_many_calls_with_one_dead_token_cost_one_refresh(site: Portal, client: TrackTikClient) -> None:
    await read(client)
    site.revoke()
    await asyncio.gather(*(read(client) for _ in range(20)))
    assert site.grants == ["password", "refresh_token"]


async def test_a_401_with_a_new_token_too_ends_in_failed_authentication(
    site: Portal, client: TrackTikClient
) -> None:
    """And the next calls do not log in again and again."""
    site.answer = lambda _: reply({"message": "Unauthorized"}, 401)
    for _ in range(5):
        assert isinstance(await error_of(read(client)), AuthFailed)
    assert len(site.calls) == 2
    assert len(site.logins) == 2


async def test_a_read_that_breaks_off_is_no_answer_and_a_write_may_have_been_one(
    site: Portal, client: TrackTikClient
) -> None:
    async def half(call: Call) -> web.StreamResponse:
        return Half(headers={"Content-Length": "100"})

    site.answer = half
    assert isinstance(await error_of(read(client)), RetryLater)
    answer = await client.write("create", "POST", "leave-requests", {}, deadline=Deadline.after(5))
    assert (answer.status, answer.complete, answer.body) == (200, False, b"")


class Half(web.StreamResponse):
    """The head and ten bytes of a hundred."""

    async def write_eof(self, data: bytes = b"") -> None:
        await self.write(b"[         ")
        assert self._req
        assert self._req.transport
        self._req.transport.close()


async def test_the_vendors_words_are_shown_but_not_the_note(site: Portal, client: TrackTikClient) -> None:
    site.answer = lambda _: reply({"reason": [f"'{NOTE}' is bad"], "endDate": ["Too early."]}, 400)
    refused = await error_of(write(client))
    assert isinstance(refused, Refused)
    assert str(refused) == "TrackTik create: 400: endDate: Too early."
    # The class of the refusal is judged by all of them.
    assert refused.words["reason"] == f"'{NOTE}' is bad"


@pytest.mark.parametrize(
    "body",
    [
        {NOTE.split()[0]: ["bad"]},
        {"reason": ["x" * 160 + NOTE]},
        {"reason": ["x" * 190 + NOTE]},
        {"reason": ["x" * 1000 + NOTE]},
        {"a": ["x" * 150], "b": ["x" * 120], "reason": [NOTE]},
    ],
)
async def test_no_cut_and_no_name_lets_a_note_through(
    site: Portal, client: TrackTikClient, body: object
) -> None:
    site.answer = lambda _: reply(body, 400)
    assert "Knie" not in str(await error_of(write(client)))


async def test_no_words_are_shown_where_the_notes_are_not_known(site: Portal, client: TrackTikClient) -> None:
    for status in (400, 403, 404, 429, 500):
        site.answer = lambda _, status=status: reply({"cancel": ["Because of influenza."]}, status)  # type: ignore[misc]
        refused = await error_of(client.write("cancel", "POST", "x", {}, deadline=Deadline.after(5)))
        assert str(refused) == f"TrackTik cancel: {status}"


async def test_a_long_page_instead_of_an_error_has_no_words(site: Portal, client: TrackTikClient) -> None:
    site.answer = lambda _: reply("<html>" + "x" * 1_000_000, 400)
    refused = await error_of(write(client))
    assert isinstance(refused, Refused)
    assert refused.words == {}


async def test_cookies_do_not_travel(site: Portal) -> None:
    def answer(call: Call) -> web.StreamResponse:
        response = reply([])
        response.set_cookie("session", "1")
        return response

    site.answer = answer
    # By name, because cookies of bare addresses are dropped anyway.
    client = TrackTikClient(site.settings(base_url=site.url.replace("127.0.0.1", "localhost")))
    await read(client)
    await read(client)
    await client.close()
    assert len(site.calls) == 2
    assert site.cookies == []

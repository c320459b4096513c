"""One call is one request on the wire, and what may have been sent is never called unsent.

The servers here are real sockets that speak as much HTTP as each test needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from timeoff.errors import AuthFailed, Forbidden, HrisError, OutcomeUnknown, RetryLater
from timeoff.hris.bamboohr.client import BambooHrClient, Refused
from timeoff.hris.bamboohr.settings import BambooHrSettings

NOTE = "Kniearthroskopie am linken Bein"
Answer = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts the requests it gets; `answer` is called with the number of each."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._answer = answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    (int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                await self._answer(len(self.requests), writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    def client(self, timeout: float = 5) -> BambooHrClient:
        return BambooHrClient(BambooHrSettings(base_url=self.url, api_key="k", call_timeout=timeout))


def reply(status: int, *headers: str, body: bytes = b"", cut: int = 0) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) + cut}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def always(data: bytes) -> Answer:
    async def answer(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


async def good_then_dead(number: int, writer: asyncio.StreamWriter) -> None:
    """A first good answer with keep-alive; after that every request ends in a closed connection."""
    if number == 1:
        await always(reply(200, body=b"{}"))(number, writer)
    else:
        writer.transport.abort()


@pytest.fixture
async def closing() -> AsyncIterator[list[BambooHrClient]]:
    clients: list[BambooHrClient] = []
    yield clients
    for client in clients:
        await client.close()


async def test_a_write_on_a_kept_connection_that_dies_is_sent_once(closing: list[BambooHrClient]) -> None:
    """aiohttp repeats a PUT there by default, and BambooHR would book twice."""
    async with Server(good_then_dead) as server:
        client = server.client()
        closing.append(client)
        await client.read("types", "v1/meta/time_off/types")
        with pytest.raises(OutcomeUnknown):
            await client.write("create", "v1/employees/4/time_off/request", {"status": "approved"})
        assert [request.split()[0] for request in server.requests] == [b"GET", b"PUT"]
        assert server.connections == 1


async def test_a_write_on_a_new_connection_that_dies_is_sent_once(closing: list[BambooHrClient]) -> None:
    async def dead(_: int, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with Server(dead) as server:
        closing.append(client := server.client())
        with pytest.raises(OutcomeUnknown):
            await client.write("create", "v1/employees/4/time_off/request", {})
        assert len(server.requests) == 1


async def test_a_refused_connection_was_not_sent(closing: list[BambooHrClient], unused_tcp_port: int) -> None:
    settings = BambooHrSettings(base_url=f"http://127.0.0.1:{unused_tcp_port}", api_key="k")
    closing.append(client := BambooHrClient(settings))
    with pytest.raises(RetryLater) as raised:
        await client.write("create", "v1/employees/4/time_off/request", {})
    assert not raised.value.throttled


async def test_time_that_runs_out_before_the_connection_was_not_sent(closing: list[BambooHrClient]) -> None:
    """A listening socket with a full backlog accepts nothing: the time-out is one of connecting."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fill = [socket.socket() for _ in range(4)]
        for each in fill:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = BambooHrSettings(base_url=url, api_key="k", call_timeout=0.3)
        closing.append(client := BambooHrClient(settings))
        with pytest.raises(RetryLater):
            await client.write("create", "v1/employees/4/time_off/request", {})
        for each in fill:
            each.close()


async def test_the_time_out_is_kept_to_the_fraction_of_a_second(closing: list[BambooHrClient]) -> None:
    """The lease of a lane is planned with it; aiohttp alone would round six seconds up to seven."""

    async def silent(_: int, __: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    async with Server(silent) as server:
        began = loop.time()
        # Chosen so that the end falls just after a whole second of the loop's clock.
        timeout = 5 + 1.05 - began % 1
        closing.append(client := server.client(timeout))
        with pytest.raises(OutcomeUnknown):
            await client.write("create", "v1/employees/4/time_off/request", {})
        assert loop.time() - began < timeout + 0.6


@pytest.mark.parametrize(
    ("status", "headers", "read", "write"),
    [
        (408, (), RetryLater, OutcomeUnknown),
        (429, (), RetryLater, RetryLater),
        (429, ("Retry-After: 7",), RetryLater, RetryLater),
        (500, (), RetryLater, OutcomeUnknown),
        (502, ("Retry-After: 7",), RetryLater, OutcomeUnknown),
        (503, (), RetryLater, OutcomeUnknown),
        (503, ("Retry-After: soon",), RetryLater, OutcomeUnknown),
        (503, ("Retry-After: 7",), RetryLater, RetryLater),
        (504, (), RetryLater, OutcomeUnknown),
        (598, (), RetryLater, OutcomeUnknown),
        (401, (), AuthFailed, AuthFailed),
        (403, (), Forbidden, Refused),
        (404, (), Refused, Refused),
        (409, (), Refused, Refused),
        (422, (), Refused, Refused),
        (302, ("Location: /login.php",), Refused, Refused),
        (307, ("Location: /v1/other",), Refused, Refused),
    ],
)
async def test_the_class_of_an_answer(
    closing: list[BambooHrClient],
    status: int,
    headers: tuple[str, ...],
    read: type[HrisError],
    write: type[HrisError],
) -> None:
    async with Server(always(reply(status, *headers))) as server:
        closing.append(client := server.client())
        with pytest.raises(HrisError) as of_read:
            await client.read("list", "v1/time_off/requests")
        with pytest.raises(HrisError) as of_write:
            await client.write("create", "v1/employees/4/time_off/request", {})
        assert (type(of_read.value), type(of_write.value)) == (read, write)
        assert len(server.requests) == 2
        for raised in (of_read.value, of_write.value):
            if isinstance(raised, RetryLater):
                throttle = status == 429 or (headers == ("Retry-After: 7",) and status == 503)
                assert raised.throttled is throttle
                assert raised.retry_after == (7 if headers == ("Retry-After: 7",) else None)


async def test_a_read_that_breaks_off_is_no_answer(closing: list[BambooHrClient]) -> None:
    async def half(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, body=b"[", cut=10))
        await writer.drain()
        writer.close()

    async with Server(half) as server:
        closing.append(client := server.client())
        with pytest.raises(RetryLater):
            await client.read("list", "v1/time_off/requests")
        answer = await client.write("create", "v1/employees/4/time_off/request", {})
        assert not answer.complete


async def test_the_key_and_the_wish_for_json_are_sent(closing: list[BambooHrClient]) -> None:
    async with Server(always(reply(200, "Set-Cookie: PHPSESSID=1", body=b"[]"))) as server:
        # By name, because cookies of bare addresses are dropped anyway.
        server.url = server.url.replace("127.0.0.1", "localhost")
        closing.append(client := server.client())
        for _ in range(2):
            await client.read("list", "v1/time_off/requests", {"start": "2027-01-01"})
        assert server.requests[0].startswith(b"GET /api/v1/time_off/requests?start=2027-01-01 ")
        assert b"Authorization: Basic azp4\r\n" in server.requests[1]
        assert b"Accept: application/json\r\n" in server.requests[1]
        assert b"cookie" not in server.requests[1].lower()


@pytest.mark.parametrize("name", ["X-BambooHR-Error-Message", "X-BambooHR-Error-Messsage"])
async def test_the_vendors_words_are_one_short_line(closing: list[BambooHrClient], name: str) -> None:
    words = f"{name}: Invalid\t type " + "x" * 1000
    async with Server(always(reply(400, words))) as server:
        closing.append(client := server.client())
        with pytest.raises(Refused) as raised:
            await client.read("list", "v1/time_off/requests")
        assert str(raised.value) == "BambooHR list: 400: Invalid type " + "x" * 287


@pytest.mark.parametrize(
    ("words", "note", "shown"),
    [
        (f"Note '{NOTE}' too long", NOTE, False),
        ("Bad note: kniearthrosk...", NOTE, False),
        ("flu is not allowed", "Flu", False),
        ("HIVpos is not allowed", "HIV\u200bpos", False),
        ("x" * 295 + "Chemotherapy", "Chemotherapy", False),
        ("Invalid time off type", NOTE, True),
        ("Invalid time off type", None, True),
    ],
)
async def test_the_vendors_words_are_dropped_when_they_repeat_the_note(
    closing: list[BambooHrClient], words: str, note: str | None, shown: bool
) -> None:
    async with Server(always(reply(400, f"X-BambooHR-Error-Message: {words}"))) as server:
        closing.append(client := server.client())
        with pytest.raises(Refused) as raised:
            await client.write("create", "v1/employees/4/time_off/request", {}, private=(None, note))
        assert str(raised.value) == "BambooHR create: 400" + (f": {words}" if shown else "")
        # The class of the refusal is judged by them all the same.
        assert raised.value.reason == words
        with pytest.raises(Refused) as raised:
            await client.write("cancel", "v1/time_off/requests/7/status", {})
        assert str(raised.value) == "BambooHR cancel: 400"

"""The recording proxy on real HTTP: what passes through, what is noted, and what is spoilt on purpose."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import shutil
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError
from tests.support.raw_http import RawServer, raw_server, say

from timeoff.embedded.child import free_port
from timeoff_cli.demo.stage import COMMAND
from timeoff_sandbox.proxy import ProxyOptions, RecordingProxy

CREATE = b"POST /leave-requests HTTP/1.1\r\nHost: portal\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture
async def hris() -> AsyncIterator[RawServer]:
    async with raw_server() as server:
        yield server


@pytest.fixture
async def proxy(hris: RawServer) -> AsyncIterator[RecordingProxy]:
    proxy = RecordingProxy(hris.url)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def http(proxy: RecordingProxy) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(proxy.url, connector=connector) as session:
        # aiohttp would repeat a GET or PUT whose connection was cut.
        session._retry_connection = False
        yield session


def get(target: str, *headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: portal", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


async def written(hris: RawServer) -> int:
    """How many calls the HRIS has carried out."""
    return len(hris.heads)


# -- passing through -------------------------------------------------------------------------------


async def test_a_request_arrives_word_for_word(proxy: RecordingProxy, hris: RawServer) -> None:
    """Would break: the adapter is tried against something else than what it sends."""
    target = "/rest/v1//a%2fb/%7E/../leave-requests?status:in=A,B&q=%C3%A9+x&empty=&again=1&again=2"
    await say(
        proxy.url,
        f"PATCH {target} HTTP/1.1\r\nHost: portal\r\nX-Twice: one\r\nX-Twice: two\r\n"
        "Authorization: Bearer abc\r\ncontent-type: application/json; charset=utf-8\r\n"
        "Content-Encoding: gzip\r\nContent-Length: 4\r\n"
        "Connection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nCookie: a=b\r\n\r\n"
        "\x1f\x00\x01\x02".encode("latin-1"),
    )
    host = hris.url.removeprefix("http://")
    assert hris.heads[0][0] == f"PATCH {target} HTTP/1.1"
    assert sorted(hris.heads[0][1:]) == [
        "Authorization: Bearer abc",
        "Connection: close",
        "Content-Encoding: gzip",
        "Content-Length: 4",
        "Cookie: a=b",
        f"Host: {host}",
        "X-Twice: one",
        "X-Twice: two",
        "content-type: application/json; charset=utf-8",
    ]
    assert hris.bodies == [b"\x1f\x00\x01\x02"]


async def test_a_bare_request_gets_no_headers_of_the_proxy(proxy: RecordingProxy, hris: RawServer) -> None:
    await say(proxy.url, get("/types"))
    assert sorted(line.partition(":")[0] for line in hris.heads[0][1:]) == ["Connection", "Host"]


async def test_an_answer_comes_back_word_for_word(proxy: RecordingProxy, hris: RawServer) -> None:
    body = gzip.compress(b'{"id": 1}')
    hris.answer = (
        b"HTTP/1.1 201 Made It\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nX-Note: caf\xc3\xa9\r\n"
        b"Content-Type: application/json\r\nContent-Encoding: gzip\r\nLocation: https://other/1\r\n"
        b"X-Hop: 1\r\nConnection: X-Hop\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    said = await say(proxy.url, CREATE)
    head, _, rest = said.partition(b"\r\n\r\n")
    assert rest == body
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 201 Made It",
        b"Set-Cookie: a=1; Path=/",
        b"set-cookie: b=2",
        b"X-Note: caf\xc3\xa9",
        b"Content-Type: application/json",
        b"Content-Encoding: gzip",
        b"Location: https://other/1",
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    ]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b'HTTP/1.1 304 Not Modified\r\nETag: "5"\r\n\r\n',
        b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno\n",
    ],
)
async def test_other_statuses_pass_as_they_are(proxy: RecordingProxy, hris: RawServer, answer: bytes) -> None:
    hris.answer = answer
    said = await say(proxy.url, get("/x"))
    assert said.replace(b"Connection: close\r\n", b"") == answer


async def test_an_answer_to_head_keeps_its_length(proxy: RecordingProxy, hris: RawServer) -> None:
    hris.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4711\r\nContent-Type: text/plain\r\n\r\n"
    said = await say(proxy.url, get("/x").replace(b"GET", b"HEAD"))
    assert b"Content-Length: 4711\r\n" in said
    assert said.endswith(b"\r\n\r\n")
    assert proxy.calls.of("HEAD /x")[0].status == 200


async def test_chunked_bodies_pass_in_both_directions(proxy: RecordingProxy, hris: RawServer) -> None:
    """How a body is framed belongs to one connection; its bytes do not."""
    hris.answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    said = await say(
        proxy.url,
        b"POST /x HTTP/1.1\r\nHost: p\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        b'Connection: close\r\n\r\n4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n',
    )
    assert hris.bodies == [b'{"a":1}']
    assert "Content-Length: 7" in hris.heads[0]
    assert not [line for line in hris.heads[0] if line.startswith(("Transfer", "Expect"))]
    assert said.startswith(b"HTTP/1.1 100")
    assert said.endswith(b"\r\n\r\nabcde")


async def test_long_headers_and_large_bodies_pass(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    large = bytes(range(256)) * 40_000  # 10 MB
    hris.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(large), large)
    async with http.post(
        "/x?" + "q" * 20_000, data=io.BytesIO(large), headers={"X-Long": "v" * 60_000}
    ) as response:
        assert await response.read() == large
    assert hris.bodies == [large]
    assert f"X-Long: {'v' * 60_000}" in hris.heads[0]
    assert proxy.calls.of("POST /x")[0].request_bytes == len(large)


async def test_bodies_beyond_the_bound_are_refused_in_words(hris: RawServer) -> None:
    proxy = RecordingProxy(hris.url, longest_body=1000)
    await proxy.start()
    try:
        async with aiohttp.ClientSession(proxy.url) as http:
            async with http.post("/x", data=b"x" * 1001) as response:
                assert response.status == 413
                assert "1000 bytes" in await response.text()
            assert await written(hris) == 0
            hris.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001
            async with http.get("/x") as response:
                assert response.status == 502
                assert response.headers["X-Recording-Proxy"]
    finally:
        await proxy.stop()


async def test_the_upstreams_path_goes_before_every_path(hris: RawServer) -> None:
    proxy = RecordingProxy(hris.url + "/portal/")
    await proxy.start()
    await say(proxy.url, get("/rest/v1/types?limit=1"))
    await proxy.stop()
    assert hris.heads[0][0] == "GET /portal/rest/v1/types?limit=1 HTTP/1.1"


async def test_many_calls_at_once_do_not_wait_for_each_other(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    """Would break: a proxy that lines calls up hides what happens when two arrive together."""
    hris.gate.clear()
    calls = [asyncio.create_task(_text(http, f"/{number}")) for number in range(150)]
    for _ in calls:
        await hris.arrived.acquire()
    assert [call.finished for call in proxy.calls] == [False] * 150
    hris.gate.set()
    assert await asyncio.gather(*calls) == ["ok"] * 150
    assert sorted(call.number for call in proxy.calls) == list(range(1, 151))
    assert {call.status for call in proxy.calls} == {200}


async def test_an_upstream_may_speak_tls(hris: RawServer, tmp_path: Path) -> None:
    """Would break: the systems that adapters are tried against are all behind https."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the command openssl for a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = await asyncio.create_subprocess_exec(
        *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate, key)
    listener = await asyncio.start_server(hris.serve, "127.0.0.1", 0, ssl=server)
    upstream = f"https://localhost:{listener.sockets[0].getsockname()[1]}"
    trusting = RecordingProxy(upstream, tls=ssl.create_default_context(cafile=str(certificate)))
    for proxy, status in ((trusting, b"200"), (RecordingProxy(upstream), b"502")):
        await proxy.start()
        assert (await say(proxy.url, get("/x"))).split(b" ")[1] == status
        await proxy.stop()
    listener.close()
    await listener.wait_closed()


# -- the HRIS in trouble ---------------------------------------------------------------------------


async def test_an_hris_that_is_down_is_said_in_words() -> None:
    port = free_port()
    proxy = RecordingProxy(f"http://127.0.0.1:{port}")
    await proxy.start()
    try:
        async with aiohttp.ClientSession(proxy.url) as http, http.get("/x") as response:
            assert response.status == 502
            assert (await response.text()).startswith("The HRIS cannot be reached: ")
    finally:
        await proxy.stop()
    (call,) = proxy.calls
    assert (call.status, call.upstream_status, call.committed) == (502, None, False)
    assert call.error is not None
    assert call.error.startswith("not reached")


async def test_a_connection_that_the_hris_cuts_is_cut(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    """Would break: a lost answer turned into a clear one is no test of an adapter. Nor is one sent twice."""
    hris.answer = None
    for method in ("PUT", "POST"):
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.request(method, "/x", data=b"{}")
    assert await written(hris) == 2
    assert [(call.status, call.upstream_status) for call in proxy.calls] == [(None, None)] * 2
    hris.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
    assert await say(proxy.url, get("/x")) == b""


async def test_an_hris_without_an_answer_in_time_is_said_in_words(hris: RawServer) -> None:
    proxy = RecordingProxy(hris.url, upstream_seconds=0.2)
    await proxy.start()
    hris.gate.clear()
    said = await say(proxy.url, get("/x"))
    await proxy.stop()
    assert said.startswith(b"HTTP/1.1 504 ")
    assert [call.error for call in proxy.calls] == ["no answer in time"]


async def test_an_address_that_is_none_is_refused() -> None:
    for wrong in ("hris.example.com", "ftp://hris", "http://", "https://u:p@hris", "http://hris/?a=b"):
        with pytest.raises(ValueError, match="upstream"):
            RecordingProxy(wrong)
    with pytest.raises(ValueError, match="loopback"):
        await RecordingProxy("http://hris").start(host="0.0.0.0")


# -- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "details", "status"),
    [
        ("refuse", {}, 403),
        ("refuse", {"status": 409}, 409),
        ("throttle", {"retry_after": 2.5}, 429),
        ("throttle", {"retry_after": 2.5, "status": 503}, 503),
        ("unavailable", {"retry_after": 2.5}, 503),
        ("error_before_commit", {}, 500),
    ],
)
async def test_what_is_refused_never_reaches_the_hris(
    proxy: RecordingProxy, hris: RawServer, kind: Any, details: dict[str, Any], status: int
) -> None:
    proxy.spoil("POST /leave-requests$", kind, **details)
    said = await say(proxy.url, CREATE)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert (b"Retry-After: 3\r\n" in said) == ("retry_after" in details)
    assert await written(hris) == 0
    (call,) = proxy.calls
    assert (call.status, call.upstream_status, call.fault) == (status, None, kind)


async def test_a_hanging_call_reaches_nobody_and_is_cut(proxy: RecordingProxy, hris: RawServer) -> None:
    proxy.spoil("POST /leave-requests$", "hang", seconds=0.1)
    assert await say(proxy.url, CREATE) == b""
    assert await written(hris) == 0
    assert [(call.status, call.fault) for call in proxy.calls] == [(None, "hang")]


@pytest.mark.parametrize(
    ("kind", "said", "status"),
    [
        ("commit_then_drop", b"", None),
        ("commit_then_500", b"HTTP/1.1 500 Internal Server Error", 500),
        ("slow", b"HTTP/1.1 201 Created", 201),
        ("truncated", b"HTTP/1.1 201 Created", 201),
        ("no_location", b"HTTP/1.1 201 Created", 201),
        ("no_id", b"HTTP/1.1 201 Created", 201),
        ("delay_then_commit", b"HTTP/1.1 201 Created", 201),
    ],
)
async def test_what_is_spoilt_afterwards_was_carried_out(
    proxy: RecordingProxy, hris: RawServer, kind: Any, said: bytes, status: int | None
) -> None:
    """Would break: the answer is lost, the write is not: the doubt that an adapter has to leave open."""
    hris.answer = b'HTTP/1.1 201 Created\r\nLocation: /9\r\nContent-Length: 9\r\n\r\n{"id": 9}'
    proxy.spoil("POST /leave-requests$", kind, seconds=0.2)
    began = time.monotonic()
    answer = await say(proxy.url, CREATE)
    took = time.monotonic() - began
    assert answer.partition(b"\r\n")[0] == said
    assert await written(hris) == 1
    (call,) = proxy.calls
    assert (call.status, call.upstream_status, call.fault) == (status, 201, kind)
    assert call.committed
    assert (took > 0.15) == (kind in ("slow", "delay_then_commit"))
    if kind == "truncated":
        assert b"Content-Length: 9\r\n" in answer
        assert answer.endswith(b'\r\n\r\n{"id')
    if kind in ("no_location", "no_id"):
        assert b"Location" not in answer
        assert answer.endswith(b"\r\n\r\n" + (b"" if kind == "no_id" else b'{"id": 9}'))


async def test_a_delayed_write_is_carried_out_when_the_caller_has_gone(
    proxy: RecordingProxy, hris: RawServer
) -> None:
    proxy.spoil("POST /leave-requests$", "delay_then_commit", seconds=0.2)
    host, port = proxy.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(CREATE)
    await writer.drain()
    writer.close()
    await hris.arrived.acquire()
    assert hris.bodies == [b"{}"]


async def test_a_refusal_of_the_hris_itself_is_not_lost(proxy: RecordingProxy, hris: RawServer) -> None:
    """What was refused is not in doubt; the record does not claim a fault that did not strike."""
    hris.answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    proxy.spoil("POST /leave-requests$", "commit_then_drop")
    assert (await say(proxy.url, CREATE)).startswith(b"HTTP/1.1 400 ")
    assert [(call.status, call.fault) for call in proxy.calls] == [(400, None)]


async def test_rules_mean_method_path_and_body(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    proxy.spoil("POST|PATCH /leave-requests", "refuse", body='"employee": ?17\\b', times=None)
    proxy.spoil("* /types$", "refuse", status=404)
    assert await _status(http, "GET", "/leave-requests") == 200
    assert await _status(http, "POST", "/leave-requests", '{"employee":18}') == 200
    assert await _status(http, "POST", "/leave-requests", '{"employee": 17}') == 403
    assert await _status(http, "PATCH", "/leave-requests/5", '{"employee":17}') == 403
    assert await _status(http, "GET", "/types?limit=1") == 404
    assert await _status(http, "GET", "/types?limit=1") == 200
    assert await written(hris) == 3
    assert [call.path for call in proxy.calls.of("PATCH /leave")] == ["/leave-requests/5"]


async def test_a_rule_lets_some_calls_pass_first_and_ends(
    proxy: RecordingProxy, http: aiohttp.ClientSession
) -> None:
    proxy.spoil("any", "unavailable", skip=1, times=2)
    assert [await _status(http, "GET", "/x") for _ in range(4)] == [200, 503, 503, 200]
    assert [rule["fired"] for rule in proxy.faults.remaining()] == [2]


@pytest.mark.parametrize("on", ["/leave-requests", "POST", "POST (", ""])
async def test_a_rule_that_means_nothing_is_refused(proxy: RecordingProxy, on: str) -> None:
    """Would break: a rule with a slip never strikes, and the test that stands on it passes."""
    with pytest.raises(ValidationError):
        proxy.spoil(on, "commit_then_drop")
    with pytest.raises(ValidationError):
        proxy.spoil("any", "refuse", body="(")
    assert proxy.faults.remaining() == []


@pytest.mark.parametrize(("form", "wait"), [("date", " GMT"), ("none", None)])
async def test_the_wait_is_said_as_the_vendor_says_it(
    proxy: RecordingProxy, http: aiohttp.ClientSession, form: Any, wait: str | None
) -> None:
    proxy.options = ProxyOptions(retry_after_form=form, throttle_status=503)
    proxy.spoil("any", "throttle")
    async with http.get("/x") as response:
        assert response.status == 503
        said = response.headers.get("Retry-After")
    assert said is None if wait is None else said is not None and said.endswith(wait)


async def test_latency_is_added_to_every_call(proxy: RecordingProxy, http: aiohttp.ClientSession) -> None:
    proxy.options = ProxyOptions(latency_ms=200)
    assert await _status(http, "GET", "/x") == 200
    (call,) = proxy.calls
    assert call.duration_ms is not None
    assert call.duration_ms >= 190


# -- the record ------------------------------------------------------------------------------------

SECRETS = ("hunter2", "Bearer", "s3cret", "eyJ", "refresh-9", "key-77", "sid=1", "Kniearthroskopie")


async def test_the_record_holds_no_secret_even_with_bodies(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    """Would break: a record that people pass around would hold a password, a token, or a diagnosis."""
    proxy.options = ProxyOptions(record_bodies=True)
    said = gzip.compress(b'{"access_token": "eyJ", "refresh_token": "refresh-9", "expires_in": 3600}')
    hris.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Set-Cookie: sid=1\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
    )
    headers = {"Authorization": "Bearer eyJ", "Cookie": "sid=1", "X-Api-Key": "key-77"}
    form = {"grant_type": "password", "username": "bot", "password": "hunter2", "client_secret": "s3cret"}
    async with http.post("/token", data=form, headers=headers):
        pass
    request = {"employee": 17, "Reason": "Kniearthroskopie", "days": [{"note": "Kniearthroskopie"}]}
    async with http.post("/leave-requests?api_key=key-77&limit=5", json=request, headers=headers):
        pass
    async with http.post("/odd", data=b"hunter2", headers={"Content-Type": "text/xml"}):
        pass
    async with http.get("/__proxy__/calls") as response:
        text = await response.text()
    for secret in SECRETS:
        assert secret not in text
    token, create, odd = json.loads(text)["calls"]
    assert token["requestBody"] == [
        ["grant_type", "password"],
        ["username", "bot"],
        ["password", "***"],
        ["client_secret", "***"],
    ]
    assert token["responseBody"] == {"access_token": "***", "refresh_token": "***", "expires_in": 3600}
    assert create["query"] == "api_key=***&limit=5"
    assert create["requestBody"] == {"employee": 17, "Reason": "***", "days": [{"note": "***"}]}
    assert odd["requestBody"] == "not kept: text/xml"


async def test_bodies_are_kept_only_if_asked(proxy: RecordingProxy, http: aiohttp.ClientSession) -> None:
    async with http.post("/x", json={"employee": 17}):
        pass
    async with http.get("/__proxy__/calls") as response:
        (call,) = (await response.json())["calls"]
    assert "requestBody" not in call
    assert (call["requestBytes"], call["responseBytes"]) == (16, 2)


# -- the admin API ---------------------------------------------------------------------------------


async def test_everything_can_be_done_over_http(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    rule = {"on": "GET /x", "kind": "throttle", "times": 1, "retryAfter": 4}
    async with http.post("/__proxy__/faults", json={"rules": [rule]}) as response:
        assert (await response.json())["rules"][0]["retryAfter"] == 4
    async with http.put("/__proxy__/options", json={"throttleStatus": 503}) as response:
        assert (await response.json())["throttleStatus"] == 503
    assert [await _status(http, "GET", "/x") for _ in range(2)] == [503, 200]
    async with http.get("/__proxy__/calls", params={"on": "GET /x", "after": "1"}) as response:
        (call,) = (await response.json())["calls"]
    assert (call["number"], call["status"], call["upstreamStatus"]) == (2, 200, 200)
    async with http.delete("/__proxy__/faults") as response:
        assert await response.json() == {"rules": []}
    async with http.delete("/__proxy__/calls") as response:
        assert await response.json() == {"calls": []}
    assert await written(hris) == 1  # the admin API is not the HRIS's


async def test_mistakes_are_answered_with_what_is_wrong(
    proxy: RecordingProxy, hris: RawServer, http: aiohttp.ClientSession
) -> None:
    for method, path, body, status in (
        ("POST", "faults", '{"rules": [{"on": "POST (", "kind": "hang"}]}', 400),
        ("POST", "faults", '{"rules": [{"on": "any", "kind": "hng"}]}', 400),
        ("POST", "faults", "[", 400),
        ("PUT", "options", '{"throttle_satus": 503}', 400),
        ("GET", "calls?after=x", None, 400),
        ("GET", "calls?onn=any", None, 400),
        ("GET", "calls?on=GET", None, 400),
        ("POST", "calls", None, 405),
        ("GET", "call", None, 404),
    ):
        assert await _status(http, method, f"/__proxy__/{path}", body) == status, path
    assert await written(hris) == 0


async def test_a_web_page_cannot_reach_the_admin_api(
    proxy: RecordingProxy, http: aiohttp.ClientSession
) -> None:
    """A browser on this machine must not be led here by a page, nor by a name that points to loopback."""
    for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
        async with http.get("/__proxy__/calls", headers=headers) as response:
            assert response.status == 403


async def test_the_command_serves_until_it_is_told_to_stop(hris: RawServer) -> None:
    """Would break: an author in another language has only the command."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *("proxy", "--upstream", hris.url, "--json", "--record-bodies", "--redact", "salary"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    assert ready["upstream"] == hris.url
    async with aiohttp.ClientSession(ready["url"]) as http:
        async with http.post("/x", json={"salary": 1, "note": "x"}) as response:
            assert await response.text() == "ok"
        async with http.get("/__proxy__/calls") as response:
            (call,) = (await response.json())["calls"]
    assert call["requestBody"] == {"salary": "***", "note": "x"}
    process.terminate()
    assert await process.wait() == 0


async def test_the_command_says_which_address_is_wrong() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "proxy", "--upstream", "hris", stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"--upstream: " in said


async def _text(http: aiohttp.ClientSession, path: str) -> str:
    async with http.get(path) as response:
        return await response.text()


async def _status(http: aiohttp.ClientSession, method: str, path: str, body: str | None = None) -> int:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    async with http.request(method, path, data=body, headers=headers) as response:
        return response.status

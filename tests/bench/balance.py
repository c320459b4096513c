"""The balance service: cached lookups beside a bare aiohttp handler, and thirty dates uncached.

A bare handler returns the same JSON as the service does, from a value that it has at hand. Both are asked in
turns, in one run, from another process; what counts is their ratio. The uncached lookup is measured in round
trips of an HRIS that takes 200 ms to answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import aiohttp
import yarl
from aiohttp import web
from rich.console import Console
from rich.table import Table
from tests.support.balance import TOKEN, balance_settings

from timeoff.embedded.postgres import PostgresServer
from timeoff.ledger import Ledger
from timeoff.runtime.process import new_loop
from timeoff.settings.model import Settings
from timeoff_balance import app
from timeoff_balance.routes import MOST_ANSWERS
from timeoff_cli.opening import open_event_log, open_ledger
from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.world import WorldOptions

CALLS, WARMING, TOGETHER = 4000, 160, 8
LATENCY = 0.2
DATES = [(datetime.now(UTC).date() + timedelta(days=days)).isoformat() for days in range(1, 31)]
TYPES = [{"id": each} for each in ("83", "84", "85")]
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}


def settings_of(place: Sandbox, url: str, per_minute: int) -> Settings:
    described = place.describe()
    return Settings.model_validate(
        {
            "org": "bench",
            "database": {"url": url},
            "genesys": {"client_id": "none"},
            "hris": {
                "acme": {
                    "adapter": "bamboohr",
                    "requests_per_minute": per_minute,
                    "settings": {"base_url": place.url, "api_key": described["apiKey"]},
                }
            },
            "balance": balance_settings(requests_per_minute=100_000_000, fresh=3600).model_dump(),
        }
    )


Json = dict[str, Any]


class _Caller(asyncio.Protocol):
    """One kept connection that asks again as soon as it is answered.

    A caller has to be cheaper than what it measures: with a real client the faster of two servers waits for
    its caller, and the other one does not. So this one knows no more of HTTP than where an answer ends.
    """

    _LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)

    def __init__(self, sent: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._sent = sent
        self._done = done
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def _ask(self) -> None:
        message = next(self._sent, None)
        if message is not None:
            self._transport.write(message)
        elif not self._done.done():
            self._done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = self._LENGTH.search(head + b"\r\n")
        if not found or length is None or len(body) < int(length[1]):
            return
        if head.startswith(b"HTTP/1.1 200 "):
            self._received = b""
            self._ask()
        elif not self._done.done():
            self._done.set_exception(AssertionError(head))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(AssertionError("the connection was closed"))


def ask(url: str, bodies: Sequence[bytes], calls: int, together: int) -> float:
    """In a process of its own: seconds for `calls` calls, `together` at a time, over kept connections."""
    address = yarl.URL(url)
    host, port = address.host, address.port
    head = (
        f"POST {address.path} HTTP/1.1\r\nHost: {address.host}\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: bench\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    messages = [f"{head}{len(body)}\r\n\r\n".encode() + body for body in bodies]

    async def some(count: int) -> float:
        loop = asyncio.get_running_loop()
        sent = itertools.islice(itertools.cycle(messages), count)
        ends = [loop.create_future() for _ in range(together)]
        began = time.perf_counter()
        callers = [
            await loop.create_connection(lambda end=end: _Caller(sent, end), host, port)  # type: ignore[misc]
            for end in ends
        ]
        await asyncio.gather(*ends)
        seconds = time.perf_counter() - began
        for transport, _ in callers:
            transport.close()
        return seconds

    async def work() -> float:
        await some(WARMING)
        return await some(calls)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(work())


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call, in microseconds: wall time as the caller saw it, CPU time of this process, the server."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The service and the bare handler, asked in turns. Ratios are of neighbours."""

    name: str
    ours: list[Cost]
    bare: list[Cost]

    def median(self, side: Literal["ours", "bare"], what: Literal["wall", "cpu"]) -> float:
        return statistics.median(getattr(each, what) for each in getattr(self, side))

    def ratios(self, what: Literal["wall", "cpu"]) -> list[float]:
        return sorted(getattr(a, what) / getattr(b, what) for a, b in zip(self.ours, self.bare, strict=True))

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratios": {what: self.ratios(what) for what in ("wall", "cpu")}}


@asynccontextmanager
async def bare(answer: bytes) -> AsyncIterator[str]:
    """What anybody writes first: read the body, return JSON."""
    value = json.loads(answer)

    async def handle(request: web.Request) -> web.Response:
        await request.json()
        return web.json_response(value)

    bare_app = web.Application()
    bare_app.add_routes([web.post("/v1/balances/query", handle)])
    runner = web.AppRunner(bare_app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/v1/balances/query"
    await runner.cleanup()


def question(employee: str, dates: Sequence[str], types: Sequence[Json] = TYPES) -> bytes:
    return json.dumps({"employeeId": employee, "dates": dates, "types": types}).encode()


def in_other_words(body: bytes) -> list[bytes]:
    """One question with other spaces around it each time."""
    return [b" " * (number % 100) + body + b" " * (number // 100) for number in range(2 * MOST_ANSWERS)]


def others(employee: str) -> list[bytes]:
    """So many questions about two dates and three types that no answer is kept when one is asked again."""
    orders = itertools.product(itertools.permutations(DATES, 2), itertools.permutations(TYPES))
    return [question(employee, *each) for each in itertools.islice(orders, 2 * MOST_ANSWERS)]


async def in_turns(
    url: str,
    bare_url: str,
    name: str,
    bodies: Sequence[bytes],
    rounds: int,
    callers: Executor,
    tell: Callable[[], None],
) -> Compared:
    loop = asyncio.get_running_loop()

    async def asked(at: str) -> Cost:
        began = time.process_time()
        wall = await loop.run_in_executor(callers, ask, at, bodies, CALLS, TOGETHER)
        return Cost(wall / CALLS * 1e6, (time.process_time() - began) / (CALLS + WARMING) * 1e6)

    ours: list[Cost] = []
    theirs: list[Cost] = []
    for _ in range(rounds):
        theirs.append(await asked(bare_url))
        ours.append(await asked(url))
        tell()
    return Compared(name, ours, theirs)


async def round_trips(place: Sandbox, url: str, per_minute: int, employees: Sequence[str]) -> list[float]:
    """Of one lookup of thirty dates, each employee's first."""
    settings = settings_of(place, url, per_minute)
    found = []
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(open_ledger(settings, "bench"))
        log = await opened.enter_async_context(open_event_log(settings))
        service = await opened.enter_async_context(app.serve(settings, ledger, log))
        http = await opened.enter_async_context(aiohttp.ClientSession(headers=HEADERS))
        async with http.get(f"{service.url}/v1/time-off-types") as reply:
            await reply.read()
        for employee in employees:
            await asyncio.sleep(2.1)  # the budget holds what two seconds bring
            began = time.perf_counter()
            async with http.post(f"{service.url}/v1/balances/query", data=question(employee, DATES)) as reply:
                answer = await reply.json()
            found.append((time.perf_counter() - began) / LATENCY)
            assert len(answer["balances"]) == len(DATES) * len(TYPES), answer
            assert not any(row["reason"] for row in answer["balances"]), answer
    return found


async def know_agents(ledger: Ledger, employees: Sequence[str]) -> None:
    """Of employees whom nobody knows as agents nothing of the ledger is kept."""
    await ledger.deployment.ensure()
    await ledger.pool.execute(
        "INSERT INTO agent_links (org, agent_id, target, employee_id, source)"
        " SELECT 'bench', 'agent-' || e, 'acme', e, 'email' FROM unnest($1::text[]) AS e",
        employees,
    )


@asynccontextmanager
async def serving(settings: Settings, employees: Sequence[str]) -> AsyncIterator[str]:
    """The service as it runs, topics and notices followed; the address of its lookups."""
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(open_ledger(settings, "bench"))
        await know_agents(ledger, employees)
        log = await opened.enter_async_context(open_event_log(settings))
        service = await opened.enter_async_context(app.serve(settings, ledger, log))
        stop = asyncio.Event()
        loops = [asyncio.create_task(loop(stop)) for loop in service.loops.values()]
        await service.invalidation.ready.wait()
        yield f"{service.url}/v1/balances/query"
        stop.set()
        await asyncio.gather(*loops)


async def cached(url: str, employee: str, rounds: int, tell: Callable[[], None]) -> list[Compared]:
    one, ten = question(employee, DATES[:1]), question(employee, DATES[:10])
    found = []
    async with (
        aiohttp.ClientSession(headers=HEADERS) as http,
        http.post(url, data=question(employee, DATES)) as reply,
    ):
        assert reply.status == 200, await reply.text()
    callers = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    for name, bodies in (
        ("1 date x 3 types", [one]),
        ("10 dates x 3 types", [ten]),
        ("1 date x 3 types, in other words", in_other_words(one)),
        ("2 dates x 3 types, another question each time", others(employee)),
    ):
        async with aiohttp.ClientSession(headers=HEADERS) as http, http.post(url, data=bodies[0]) as reply:
            answer = await reply.read()
        async with bare(answer) as bare_url:
            found.append(await in_turns(url, bare_url, name, bodies, rounds, callers, tell))
    callers.shutdown()
    return found


async def measure(rounds: int, tell: Callable[[], None] = lambda: None) -> Measures:
    """`tell` hears of each round; there are 4 x `rounds` of them."""
    place = Sandbox({"genesys": {"requestsPerMinute": 0}, "bamboohr": {"requestsPerMinute": None}})
    place.make_world(WorldOptions(agents=8))
    await place.start()
    try:
        async with PostgresServer() as postgres:
            await postgres.create_database("bench")
            url = postgres.url("bench")
            employees = [agent["employeeId"] for agent in place.describe()["agents"]]
            async with serving(settings_of(place, url, 60_000), employees) as address:
                found = await cached(address, employees[0], rounds, tell)
            place.bamboohr.set_options({"latencyMs": LATENCY * 1000})
            trips = {
                per_minute: await round_trips(place, url, per_minute, some)
                for per_minute, some in ((1200, employees[1:4]), (240, employees[4:6]))
            }
            return Measures(found, trips)
    finally:
        await place.stop()


@dataclass(frozen=True, slots=True)
class Measures:
    """`uncached`: round trips of each lookup, by the calls a minute that the HRIS allows."""

    cached: list[Compared]
    uncached: dict[int, list[float]]

    def show(self, console: Console) -> None:
        table = Table(title="Balance service", title_justify="left")
        table.add_column("cached lookup")
        for column in ("us a call", "bare", "ratio", "CPU us", "bare", "ratio"):
            table.add_column(column, justify="right")
        for each in self.cached:
            cells: list[str] = []
            for what in ("wall", "cpu"):
                ratios = each.ratios(what)
                cells += (
                    f"{each.median('ours', what):.0f}",
                    f"{each.median('bare', what):.0f}",
                    f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
                )
            table.add_row(each.name, *cells)
        console.print(table)
        console.print(
            "Beside a bare aiohttp handler that returns the same JSON. Ratios: median, lowest and highest.",
            style="dim",
        )
        for per_minute, trips in self.uncached.items():
            shown = ", ".join(f"{value:.2f}" for value in trips)
            console.print(
                f"30 dates x 3 types uncached, {per_minute:,} calls a minute: {shown} round trips of"
                f" {LATENCY * 1000:.0f} ms"
            )

    def to_json(self) -> dict[str, Any]:
        return {"cached": [each.to_json() for each in self.cached], "round_trips": self.uncached}

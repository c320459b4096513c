"""`python -m tests.bench.balance`: cached lookups beside a bare aiohttp handler, and thirty dates uncached.

A bare handler returns the same JSON as the service does, from a value that it has at hand. Both are asked in
turns, in one run, from another process; what counts is their ratio. The uncached lookup is measured in round
trips of an HRIS that takes 200 ms to answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import typer
from aiohttp import web
from rich.console import Console
from rich.table import Table
from tests.bench.measured import machine
from tests.support.balance import TOKEN, balance_settings

from timeoff.embedded.postgres import PostgresServer
from timeoff.runtime.process import new_loop
from timeoff.settings.model import LoggingSettings, Settings
from timeoff.telemetry import logs
from timeoff_balance import app
from timeoff_cli.opening import open_event_log, open_ledger
from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.world import WorldOptions

ROUNDS, CALLS, TOGETHER = 9, 1500, 8
LATENCY = 0.2
DATES = [(datetime.now(UTC).date() + timedelta(days=days)).isoformat() for days in range(1, 31)]
TYPES = [{"id": each} for each in ("83", "84", "85")]


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


def in_new_words(body: bytes, number: int) -> bytes:
    """The same question with other spaces around it: no answer is kept for these words."""
    return b" " * (number % 100) + body + b" " * (number // 100)


def ask(url: str, body: bytes, vary: int | None, calls: int, together: int, answers: Any) -> None:
    """In a process of its own: seconds for `calls` calls, `together` at a time, over kept connections."""

    async def work() -> float:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        number = itertools.count(vary or 0)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=together)) as http:

            async def some(count: int) -> None:
                for _ in range(count):
                    sent = in_new_words(body, next(number)) if vary is not None else body
                    async with http.post(url, data=sent, headers=headers) as reply:
                        await reply.read()
                        assert reply.status == 200, reply.status

            await some(20)
            began = time.perf_counter()
            await asyncio.gather(*(some(calls // together) for _ in range(together)))
            return time.perf_counter() - began

    with asyncio.Runner(loop_factory=new_loop) as runner:
        answers.put(runner.run(work()))


async def cpu_of(call: Callable[[], Awaitable[float]]) -> tuple[float, float]:
    """Wall time as the caller saw it, and CPU time of this process, which serves."""
    began = time.process_time()
    wall = await call()
    return wall, time.process_time() - began


async def bare(answer: bytes) -> tuple[web.AppRunner, str]:
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
    return runner, f"http://{host}:{port}/v1/balances/query"


async def in_turns(url: str, bare_url: str, name: str, body: bytes, rounds: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    answers, words = context.Queue(), itertools.count()

    async def from_outside(at: str, body: bytes) -> float:
        vary = next(words) * 2 * CALLS if "new words" in name else None
        args = (at, body, vary, CALLS, TOGETHER, answers)
        process = context.Process(target=ask, args=args)
        process.start()
        seconds: float = await asyncio.to_thread(answers.get)
        await asyncio.to_thread(process.join)
        return seconds

    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(rounds):
        theirs.append(await cpu_of(lambda: from_outside(bare_url, body)))
        ours.append(await cpu_of(lambda: from_outside(url, body)))
    return {
        "name": name,
        "wall_us": statistics.median(wall for wall, _ in ours) / CALLS * 1e6,
        "bare_wall_us": statistics.median(wall for wall, _ in theirs) / CALLS * 1e6,
        "cpu_us": statistics.median(cpu for _, cpu in ours) / CALLS * 1e6,
        "bare_cpu_us": statistics.median(cpu for _, cpu in theirs) / CALLS * 1e6,
        "wall_ratio": statistics.median(a[0] / b[0] for a, b in zip(ours, theirs, strict=True)),
        "cpu_ratio": statistics.median(a[1] / b[1] for a, b in zip(ours, theirs, strict=True)),
    }


async def uncached(place: Sandbox, url: str, per_minute: int, employees: list[str]) -> list[float]:
    """Seconds of one lookup of thirty dates, each employee's first."""
    settings = settings_of(place, url, per_minute)
    found = []
    async with AsyncExitStack() as opened:
        ledger = await opened.enter_async_context(open_ledger(settings, "bench"))
        log = await opened.enter_async_context(open_event_log(settings))
        service = await opened.enter_async_context(app.serve(settings, ledger, log))
        http = await opened.enter_async_context(aiohttp.ClientSession())
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with http.get(f"{service.url}/v1/time-off-types", headers=headers) as reply:
            await reply.read()
        for employee in employees:
            await asyncio.sleep(2.1)  # the budget holds what two seconds bring
            question = {"employeeId": employee, "dates": DATES, "types": TYPES}
            began = time.perf_counter()
            async with http.post(f"{service.url}/v1/balances/query", json=question, headers=headers) as reply:
                answer = await reply.json()
            found.append(time.perf_counter() - began)
            assert len(answer["balances"]) == 90, answer
            assert not any(row["reason"] for row in answer["balances"]), answer
    return found


async def measure(rounds: int) -> dict[str, Any]:
    place = Sandbox({"genesys": {"requestsPerMinute": 0}, "bamboohr": {"requestsPerMinute": None}})
    place.make_world(WorldOptions(agents=8))
    await place.start()
    try:
        async with PostgresServer() as postgres, AsyncExitStack() as opened:
            await postgres.create_database("bench")
            url = postgres.url("bench")
            employees = [agent["employeeId"] for agent in place.describe()["agents"]]
            settings = settings_of(place, url, 60_000)
            ledger = await opened.enter_async_context(open_ledger(settings, "bench"))
            await ledger.deployment.ensure()
            await ledger.pool.execute(  # employees whom nobody knows as agents are asked for anew each time
                "INSERT INTO agent_links (org, agent_id, target, employee_id, source)"
                " SELECT 'bench', 'agent-' || e, 'acme', e, 'email' FROM unnest($1::text[]) AS e",
                employees,
            )
            log = await opened.enter_async_context(open_event_log(settings))
            service = await opened.enter_async_context(app.serve(settings, ledger, log))
            stop = asyncio.Event()
            tasks = [asyncio.create_task(loop(stop)) for loop in service.loops.values()]
            await service.invalidation.ready.wait()
            few = {"employeeId": employees[0], "dates": DATES[:1], "types": TYPES}
            many = {"employeeId": employees[0], "dates": DATES[:10], "types": TYPES}
            results = []
            for name, question in (
                ("1 date x 3 types", few),
                ("10 dates x 3 types", many),
                ("1 date x 3 types, new words", few),
            ):
                body = json.dumps(question).encode()
                headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
                async with (
                    aiohttp.ClientSession() as http,
                    http.post(f"{service.url}/v1/balances/query", data=body, headers=headers) as reply,
                ):
                    answer = await reply.read()
                runner, bare_url = await bare(answer)
                results.append(
                    await in_turns(
                        f"{service.url}/v1/balances/query", bare_url, f"cached, {name}", body, rounds
                    )
                )
                await runner.cleanup()
            stop.set()
            await asyncio.gather(*tasks)

            async with (
                aiohttp.ClientSession() as http,
                http.put(
                    f"{place.url}/admin/options", json={"bamboohr": {"latencyMs": LATENCY * 1000}}
                ) as reply,
            ):
                assert reply.status == 200, await reply.text()
            trips = [
                {
                    "per_minute": per_minute,
                    "round_trips": [
                        seconds / LATENCY for seconds in await uncached(place, url, per_minute, some)
                    ],
                }
                for per_minute, some in ((1200, employees[1:4]), (240, employees[4:6]))
            ]
            return {"machine": machine(), "cached": results, "uncached": trips}
    finally:
        await place.stop()


def main(quick: bool = False, as_json: bool = False) -> None:
    """Measure, and print."""
    logs.configure(LoggingSettings(level="warning"), "balance")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        found = runner.run(measure(3 if quick else ROUNDS))
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    size = found["machine"]
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(
        title=f"{size['cpus']} CPUs, Python {size['python']}, {size['system']}", title_justify="left"
    )
    table.add_column("lookup")
    for column in ("us a call", "bare", "ratio", "CPU us", "bare CPU", "CPU ratio"):
        table.add_column(column, justify="right")
    for each in found["cached"]:
        table.add_row(
            each["name"],
            *(f"{each[name]:.0f}" for name in ("wall_us", "bare_wall_us")),
            f"{each['wall_ratio']:.2f}",
            *(f"{each[name]:.0f}" for name in ("cpu_us", "bare_cpu_us")),
            f"{each['cpu_ratio']:.2f}",
        )
    console.print(table)
    for each in found["uncached"]:
        trips = ", ".join(f"{value:.2f}" for value in each["round_trips"])
        console.print(
            f"30 dates x 3 types uncached, {each['per_minute']} calls a minute: {trips} round trips"
        )


if __name__ == "__main__":
    typer.run(main)

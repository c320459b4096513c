"""`python -m tests.bench`: measure the sync and the balance service. See docs/performance.md."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from tests.bench import balance, runs
from tests.bench.measured import Measured, machine, show
from tests.bench.traffic import Traffic

from timeoff.embedded.kafka import KafkaUnavailable
from timeoff.errors import Unreachable
from timeoff.runtime import exits
from timeoff.runtime.process import new_loop
from timeoff.settings.model import LoggingSettings
from timeoff.telemetry import logs


def main(
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the changes: does it run at all?")
    ] = False,
    to: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    only: Annotated[str, typer.Option(help="Only runs whose name begins so.")] = "",
) -> None:
    """Lanes at 5, 50 and 100 ms, beside a bare consumer loop; intake alone; replay of applied events.
    Lookups of the balance service beside a bare handler."""
    console = Console(width=None if sys.stdout.isatty() else 120)  # the table needs the room
    size = machine()
    gc.freeze()  # as every service does at its start
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner, _logs_thrown_away():
            # First, so that it does not carry what the other runs leave in memory.
            lookups = runner.run(_lookups(3 if quick else 9, console)) if "balance".startswith(only) else None
            results = [] if only == "balance" else runner.run(_measure(10 if quick else 1, only, console))
    except (KafkaUnavailable, Unreachable) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        raise typer.Exit(exits.UNREACHABLE) from None
    if results:
        show(results, size, console)
    if lookups is not None:
        lookups.show(console)
    if size["load"] and size["load"] > size["cpus"] / 2:
        console.print(f"[yellow]The load average was {size['load']:.1f} before the first run: measure again.")
    if to is not None:
        report = {"machine": size, "quick": quick, "runs": [result.to_json() for result in results]}
        if lookups is not None:
            report["balance"] = lookups.to_json()
        to.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if any(result.wrong for result in results):
        raise typer.Exit(exits.DIFFERENCES)


async def _lookups(rounds: int, console: Console) -> balance.Measures:
    with _progress(console) as progress:
        task = progress.add_task("balance", total=4 * rounds)
        return await balance.measure(rounds, lambda: progress.advance(task))


async def _measure(part: int, only: str, console: Console) -> list[Measured]:
    results: list[Measured] = []
    with _progress(console) as progress:
        starting = progress.add_task("starting PostgreSQL and Kafka", total=None)
        async with runs.stage() as stage:
            progress.remove_task(starting)
            for latency, employees in ((5, 100), (50, 100), (100, 100), (100, 1000)):
                name = f"lanes at {latency} ms, {employees} employees"
                if not name.startswith(only):
                    continue
                task = progress.add_task(name, total=10_000 // part)
                results += await runs.lanes(
                    stage,
                    Traffic(employees, 10_000 // part),
                    latency,
                    lambda n, task=task: progress.advance(task, n),  # type: ignore[misc]
                    replays=3 if latency == 5 else 0,
                )
                progress.remove_task(task)
                if employees == 100 and "bare".startswith(only or "bare"):
                    task = progress.add_task(f"bare loop at {latency} ms", total=None)
                    results.append(
                        await runs.bare(stage, Traffic(100, max(20, 2000 // latency // part)), latency)
                    )
                    progress.remove_task(task)
            if "intake".startswith(only):
                task = progress.add_task("intake alone", total=None)
                results.append(await runs.intake(stage, Traffic(500, 20_000 // part)))
                progress.remove_task(task)
    return results


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    # Redrawn rarely: drawing is CPU of the process that is measured.
    return Progress(*columns, console=console, refresh_per_second=2, transient=True)


@contextlib.contextmanager
def _logs_thrown_away() -> Iterator[None]:
    """Log lines are made as in production, at the default level, and written nowhere."""
    logs.configure(LoggingSettings(), "sync")
    with contextlib.redirect_stderr(_Nowhere()):
        yield


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


if __name__ == "__main__":
    typer.run(main)

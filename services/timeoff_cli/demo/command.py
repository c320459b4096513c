"""`timeoff-sync demo`: the whole product on one machine, a working day, and a table that must show zeros."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from timeoff.embedded.kafka import KafkaUnavailable
from timeoff_cli import exits
from timeoff_cli.demo.hris import Hris
from timeoff_cli.demo.hris_bamboohr import BambooHr
from timeoff_cli.demo.hris_leave import Leave
from timeoff_cli.demo.judge import Verdict, judge, rows_as_dicts
from timeoff_cli.demo.lookups import Lookups
from timeoff_cli.demo.play import Player, until_quiet
from timeoff_cli.demo.report import as_json, show
from timeoff_cli.demo.script import Script, Writer
from timeoff_cli.demo.stage import Stage

#: REST calls a minute, for the budgets of the product and the limits of the sandbox alike. Far above the
#: vendors' defaults (Genesys: 300), or the day would take hours.
RAISED = 30_000

SETTINGS = """
org = "demo"
notes = "omit"

[log]
kind = "{log}"
member = "sync-1"
[log.kafka]
bootstrap_servers = "{bootstrap}"

[genesys]
api_url = "{url}"
login_url = "{url}"
client_id = "{client}"
requests_per_minute = 30000

[listener]
lag_margin = 0.5
confirm_delay = 0.1
confirm_concurrency = 16
reconnect_max = 2.0
horizon_days = 400

[sync]
lease = 14.0
retry_first = 0.5
find_waits = [0.0, 0.5, 1.0]
empty_wait = 2.0
writeback_every = 0.5
brake = {{ window = 600.0, max_cancels = 1000, max_share = 0.6 }}
"""


HRIS: dict[str, Callable[[int], Hris]] = {"bamboohr": BambooHr, "leave": Leave}


class LogKind(StrEnum):
    POSTGRES = "postgres"
    KAFKA = "kafka"


class HrisKind(StrEnum):
    BAMBOOHR = "bamboohr"
    LEAVE = "leave"


class Break(StrEnum):
    NO_FIND = "no-find"
    NO_INTENT = "no-intent"
    NO_ORDER = "no-order"


def demo(
    log: Annotated[LogKind, typer.Option(help="Event log to use.")] = LogKind.POSTGRES,
    hris: Annotated[
        HrisKind, typer.Option(help="The sandbox's BambooHR, or the leave service behind a recording proxy.")
    ] = HrisKind.BAMBOOHR,
    agents: Annotated[int, typer.Option(min=20, help="WFM agents.")] = 200,
    changes: Annotated[int, typer.Option(min=60, help="Changes in Genesys over the day.")] = 1000,
    seed: Annotated[int, typer.Option(help="Another seed, another day.")] = 1,
    seconds: Annotated[float, typer.Option(min=10, help="Length of the day, in seconds.")] = 60.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running afterwards.")] = False,
    broken: Annotated[
        Break | None, typer.Option("--break", help="Switch one protection off; the demo must then fail.")
    ] = None,
) -> None:
    """Play a working day and count what went wrong. Exit code 1 unless that is nothing, and
    what waits for a person is what the script planned."""
    console = Console()
    if json_file is not None and not json_file.absolute().parent.is_dir():
        typer.echo(f"--json: there is no folder {json_file.absolute().parent}", err=True)
        raise typer.Exit(exits.USAGE)
    try:
        code = asyncio.run(
            _run(
                console,
                log.value,
                HRIS[hris](RAISED),
                agents,
                changes,
                seed,
                seconds,
                json_file,
                keep,
                broken,
            )
        )
    except KafkaUnavailable as error:
        console.print(f"[red]Kafka cannot be had:[/red] {error}")
        code = exits.UNREACHABLE
    raise typer.Exit(code)


async def _run(
    console: Console,
    log: str,
    hris: Hris,
    agents: int,
    changes: int,
    seed: int,
    seconds: float,
    json_file: Path | None,
    keep: bool,
    broken: Break | None,
) -> int:
    began = time.monotonic()
    options = {
        "genesys": {"requestsPerMinute": RAISED, "heartbeatSeconds": 10},
        **hris.sandbox_options(),
    }
    parts = ", ".join(("PostgreSQL", "the sandbox", *hris.parts))
    console.print(f"Starting {parts}" + (" and Kafka" if log == "kafka" else "") + " …")
    async with Stage(
        log=log, hris=hris, agents=agents, seed=seed, sandbox=options, settings=SETTINGS
    ) as stage:
        world = await stage.ask(
            "POST", "/world", {"seed": seed, "agents": agents, "agentsWithoutEmployee": 2}
        )
        world = await hris.fill(world)
        today = datetime.now(UTC).date()
        script = Writer(world, seed, today, refuses_overlaps=hris.refuses_overlaps).write(changes)
        _header(console, stage, script, agents, seed, broken)
        left, player, lookups = await _play(console, stage, script, seed, seconds, broken)
        verdict = await _judged(stage, world, player)
        report = as_json(
            verdict,
            script,
            player.played,
            lookups,
            left,
            hris.writing,
            {
                "log": stage.log_name,
                "database": stage.database_name,
                "hris": hris.title,
                "agents": agents,
                "seed": seed,
            },
            time.monotonic() - began,
        )
        show(console, report)
        if json_file:
            _write(json_file, report)
        if keep:
            await _kept(console, stage, script)
        if report["passed"]:
            stage.forget()
        else:
            console.print(f"Logs and settings of this run: {stage.folder}")
    if keep:
        console.print("Ended.")
    return exits.OK if report["passed"] else exits.DIFFERENCES


def _write(file: Path, report: dict[str, Any]) -> None:
    file.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def _header(
    console: Console, stage: Stage, script: Script, agents: int, seed: int, broken: Break | None
) -> None:
    console.rule("[bold]timeoff-sync demo")
    console.print(f"log: {stage.log_name}    database: {stage.database_name}    seed: {seed}")
    if stage.hris.parts:
        console.print(f"HRIS: {stage.hris.title}")
    console.print(f"{agents} agents, {script.changes} changes, {len(script.baseline)} requests from before")
    console.print(
        f"budgets and the sandbox's limits are raised to {RAISED} calls a minute (Genesys allows 300)"
    )
    if broken:
        console.print(f"[bold red]protection switched off: {broken.value}; this run has to fail[/bold red]")


async def _play(
    console: Console, stage: Stage, script: Script, seed: int, seconds: float, broken: Break | None
) -> tuple[dict[str, int], Player, Lookups | None]:
    columns: list[ProgressColumn] = [
        TextColumn("{task.description:<32}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    ]
    if console.width >= 105:
        columns.append(TextColumn("[dim]{task.fields[flow]}"))
    progress = Progress(*columns, console=console)
    with progress:
        bar = progress.add_task("baseline", total=script.changes, flow="")

        def tell(text: str) -> None:
            progress.console.print(f"  [yellow]fault:[/yellow] {text}")

        def stage_is(text: str) -> None:
            progress.update(bar, description=text)
            if not console.is_terminal:
                console.print(text)

        player = Player(stage, script, seed, tell)
        await player.baseline()
        player.done = 0
        known = len(script.baseline)

        stage_is("first start in shadow mode")
        extra = {"TIMEOFF_BREAK": broken.value} if broken else {}
        # Somewhere in the day the process dies between a write and the note of its outcome.
        crash = 24 + script.changes // 6
        await stage.services["listener"].start()
        await stage.services["sync"].start({"TIMEOFF_FAILPOINTS": f"sync.after-call=kill@{crash}", **extra})
        stage.services["sync"].keep(extra)
        if left := await until_quiet(stage, known=known, patience=60, quiet_for=1.0):
            return left, player, None
        stage_is("go-live, baseline settles")
        await stage.command("go-live", "--yes")
        if left := await until_quiet(stage, known=known, patience=60, quiet_for=1.5):
            return left, player, None

        ticking = asyncio.create_task(_tick(progress, bar, player, stage))
        try:
            stage_is("balance before, during, after")
            await stage.desk.open()
            lookups = await player.asking(stage.desk)
            stage_is("calm hour: the path's own latency")
            await player.calm()
            stage_is("the day, with faults")
            async with player.watching_sync():
                await player.day(seconds)
                stage_is("waiting until all is quiet")
                left = await until_quiet(stage, known=len(player.played.ids), patience=90)
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError, asyncpg.InterfaceError, OSError):
                await ticking
        progress.update(bar, completed=player.done)
    return left, player, lookups


FLOW = """
SELECT (SELECT sum(next_offset) FROM ledger.log_offsets) AS read,
       (SELECT count(*) FROM ledger.entries WHERE live) AS booked,
       (SELECT count(*) FROM ledger.requests WHERE due_at <= now()) AS due,
       (SELECT count(*) FROM ledger.intents WHERE settled_at IS NULL) AS open
"""


async def _tick(progress: Progress, bar: Any, player: Player, stage: Stage) -> None:
    """The way of the data while it happens: read from the log, due in the ledger, written, booked."""
    connection = await asyncpg.connect(stage.database)
    try:
        while True:
            row = await connection.fetchrow(FLOW)
            if row is not None:
                steps = {"log": "read", "due": "due", "writing": "open", "live": "booked"}
                flow = " > ".join(f"{step} {row[name] or 0}" for step, name in steps.items())
                progress.update(bar, completed=player.done, flow=flow)
            await asyncio.sleep(0.25)
    finally:
        await connection.close()


async def _judged(stage: Stage, world: dict[str, Any], player: Player) -> Verdict:
    """All three sides: Genesys from the sandbox's admin API, the ledger, and the HRIS."""
    connection = await asyncpg.connect(stage.database)
    try:
        rows = await connection.fetch("SELECT request_id, state, reason, detail FROM ledger.requests")
        entries = await connection.fetch(
            "SELECT r.request_id, e.vendor_id, e.chain, e.live, e.adopted"
            " FROM ledger.entries e JOIN ledger.requests r USING (request_pk)"
        )
    finally:
        await connection.close()
    return judge(
        world,
        (await stage.ask("GET", "/genesys/requests"))["requests"],
        await stage.hris.truth(),
        stage.hris.amounts,
        rows_as_dicts([dict(row) for row in rows]),
        rows_as_dicts([dict(row) for row in entries]),
        (player.played.calm_from, player.played.calm_to),
    )


async def _kept(console: Console, stage: Stage, script: Script) -> None:
    """Leave it running for a look around, until interrupted."""
    console.print(f"\nStill running. Settings: {stage.folder / 'settings.toml'}, sandbox: {stage.url}")
    console.print("Try in another terminal (secrets as below):")
    console.print(f'  export PATH="{Path(sys.executable).parent}:$PATH"', highlight=False, soft_wrap=True)
    for name, value in stage.environment.items():
        console.print(f"  export {name}={value}", highlight=False, soft_wrap=True)
    console.print("  timeoff-sync held")
    desk = stage.desk.look_around(script.asking) if script.asking else []
    for line in (*stage.hris.look_around(), *desk):
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends everything.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()

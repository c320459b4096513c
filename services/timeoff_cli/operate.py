"""Commands of operators: go live, see what waits for a person, look again, release the brake."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import asyncpg
import typer
from rich.console import Console
from rich.table import Column, Table

from timeoff.ledger import Ledger
from timeoff.settings.load import load
from timeoff.settings.model import Settings
from timeoff.vocabulary import WriteMode
from timeoff_cli import exits, waiting
from timeoff_cli.config import ConfigOption
from timeoff_cli.opening import open_ledger

Answer = TypeVar("Answer")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _with_ledger(settings: Settings, question: Callable[[Ledger], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with open_ledger(settings, "cli") as ledger:
            return await question(ledger)

    return asyncio.run(run())


def go_live(
    config: ConfigOption = None,
    pilot: Annotated[
        list[str] | None, typer.Option(help="Only these management units or agents (ids); repeat it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="Turn writing off again.")] = False,
) -> None:
    """Turn writing to the HRIS on. Until then sync only plans."""
    settings = load(config)

    async def plan(ledger: Ledger) -> tuple[WriteMode, list[asyncpg.Record]]:
        deployment = await ledger.deployment.ensure()
        return deployment.write_mode, await ledger.reports.planned()

    if shadow and pilot:
        typer.echo("--shadow turns everything off: it takes no --pilot.", err=True)
        raise typer.Exit(exits.USAGE)
    if shadow:
        _with_ledger(settings, lambda ledger: ledger.deployment.go_shadow())
        typer.echo("Writing is off: sync plans and writes nothing.")
        return
    mode, planned = _with_ledger(settings, plan)
    console = Console()
    console.print(f"Mode: {mode.value}. " + ("Planned so far:" if planned else "Nothing is planned."))
    if planned:
        table = Table("what", Column("requests", justify="right"))
        for row in planned:
            table.add_row(row["plan"], str(row["requests"]))
        console.print(table)
    if not yes and not typer.confirm("Write to the HRIS from now on?"):
        raise typer.Exit(exits.DIFFERENCES)
    pilots = pilot or []
    if unknown := _with_ledger(settings, lambda ledger: ledger.deployment.unknown_pilots(pilots)):
        typer.echo(f"No unit or agent that the listener has seen: {', '.join(unknown)}", err=True)
        raise typer.Exit(exits.USAGE)

    async def turn_on(ledger: Ledger) -> int:
        return await ledger.deployment.go_live(pilots, pilots)

    reopened = _with_ledger(settings, turn_on)
    whom = f" for the pilot ({len(pilots)})" if pilots else ""
    typer.echo(f"Live{whom}. Requests compared with the HRIS again, and written if need be: {reopened}.")


def held(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List requests that wait for a person's decision. Exit code 1 if there are any."""
    _list(load(config), "held", as_json)


def failed(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List requests that the HRIS refused. Exit code 1 if there are any."""
    _list(load(config), "failed", as_json)


def retry(
    requests: Annotated[list[str] | None, typer.Argument(help="Request ids.")] = None,
    config: ConfigOption = None,
    reason: Annotated[list[str] | None, typer.Option(help="Only with this reason; repeat it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All held and failed requests.")] = False,
) -> None:
    """Look again at held and failed requests, HRIS first. Exit code 1 if none was found."""
    if bool(requests or reason) == everything:
        typer.echo("Name requests, or a --reason, or else --all.", err=True)
        raise typer.Exit(exits.USAGE)
    found = _with_ledger(load(config), lambda ledger: ledger.deployment.retry(requests, reason))
    for request_id in found:
        typer.echo(request_id)
    typer.echo(f"Will be looked at again: {len(found)}.", err=True)
    missed = [request_id for request_id in requests or [] if request_id not in found]
    for request_id in missed:
        typer.echo(f"Neither held nor failed: {request_id}", err=True)
    raise typer.Exit(exits.OK if found and not missed else exits.DIFFERENCES)


def targets(
    config: ConfigOption = None,
    probe: Annotated[str | None, typer.Option(help="Probe this stopped target now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the HRIS targets; one that refused our credentials is stopped. Exit code 1 if one is."""
    settings = load(config)
    if probe is not None:
        if not _with_ledger(settings, lambda ledger: ledger.deployment.probe_soon(probe)):
            typer.echo(f"{probe} is not stopped.", err=True)
            raise typer.Exit(exits.USAGE)
        typer.echo(f"{probe} is probed within seconds; if it answers, it goes on.")
        return
    rows = _with_ledger(settings, lambda ledger: ledger.deployment.targets())
    shown = [
        {
            "target": row["target"],
            "stopped": row["stopped_reason"],
            "since": row["stopped_at"].isoformat(timespec="seconds") if row["stopped_at"] else None,
        }
        for row in rows
    ]
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
    for row in [] if as_json else shown:
        state = f"stopped since {row['since']}: {row['stopped']}" if row["stopped"] else "running"
        typer.echo(f"{row['target']}: {state}")
    raise typer.Exit(exits.DIFFERENCES if any(row["stopped"] for row in shown) else exits.OK)


def brake(
    config: ConfigOption = None,
    release: Annotated[bool, typer.Option("--release", help="Let writes go on.")] = False,
) -> None:
    """Show whether the brake holds all writes (exit code 1), or release it."""
    settings = load(config)
    if release:
        released = _with_ledger(settings, lambda ledger: ledger.deployment.release_brake())
        typer.echo("The brake is released." if released else "The brake was not pulled.")
        return
    why = _with_ledger(settings, lambda ledger: ledger.deployment.read()).brake_reason
    typer.echo(f"Pulled: {why}" if why else "Not pulled.")
    raise typer.Exit(exits.DIFFERENCES if why else exits.OK)


def _list(settings: Settings, state: str, as_json: bool) -> None:
    rows = _with_ledger(settings, lambda ledger: ledger.reports.waiting_for_people([state]))
    items = [waiting.item(dict(row)) for row in rows]
    if as_json:
        typer.echo(json.dumps(items, indent=2, ensure_ascii=False))
    elif not items:
        typer.echo(f"No {state} requests.")
    else:
        console, now = Console(highlight=False), datetime.now(UTC)
        for item in items:
            console.print(waiting.block(item, now))
        console.print(f"{len(items)} {state} {'request' if len(items) == 1 else 'requests'}.")
    raise typer.Exit(exits.DIFFERENCES if items else exits.OK)

"""`timeoff-sync listener`, `sync` and `database`: the long-running processes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

import timeoff_listener.app
import timeoff_sync.app
from timeoff.embedded.postgres import PostgresServer
from timeoff.ledger.budget import GENESYS, SharedBudget
from timeoff.runtime import process
from timeoff.settings.load import load
from timeoff.settings.model import Settings
from timeoff_cli.config import ConfigOption
from timeoff_cli.opening import open_event_log, open_ledger


def listener(config: ConfigOption = None) -> None:
    """Listen to Genesys and append what is seen to the event log."""
    settings = load(config, role="listener")

    async def run() -> None:
        async with open_ledger(settings, "listener") as ledger, open_event_log(settings) as event_log:
            # Listener and sync are one OAuth client to Genesys: they share its rate limit.
            await ledger.deployment.add_budget(GENESYS)
            budget = SharedBudget(ledger.deployment, GENESYS, settings.genesys.requests_per_minute)
            await timeoff_listener.app.run(settings, ledger.listener, event_log, budget=budget)

    raise typer.Exit(process.run(run, settings, service="listener"))


def sync(config: ConfigOption = None) -> None:
    """Read the event log and keep the HRIS in step. Starts in shadow mode: see `go-live`."""
    settings = load(config, role="sync")

    async def run() -> None:
        async with open_ledger(settings, "sync") as ledger, open_event_log(settings) as event_log:
            await timeoff_sync.app.run(settings, ledger, event_log)

    raise typer.Exit(process.run(run, settings, service="sync"))


def database(
    folder: Annotated[Path, typer.Option("--dir", help="Data folder.")] = Path("timeoff-data"),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Name one, and the address stays; 0 takes a free one.")
    ] = 0,
    binaries: Annotated[
        Path | None, typer.Option(help="Folder with postgres and initdb; else the wheel's, else Debian's.")
    ] = None,
) -> None:
    """Run the embedded PostgreSQL in the foreground and print its address, password included."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with PostgresServer(folder, binaries=binaries, port=port) as server:
            typer.echo(server.url())
            ended = asyncio.create_task(server.wait())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            ended.cancel()

    # It reads no settings: they name this very server, and may not be complete before it runs.
    raise typer.Exit(process.run(run, Settings(), service="database"))

"""`timeoff-sync balance`: the balance service."""

from __future__ import annotations

import typer

import timeoff_balance.app
from timeoff.runtime import process
from timeoff.settings.load import load
from timeoff_cli.config import ConfigOption
from timeoff_cli.opening import open_event_log, open_ledger


def balance(config: ConfigOption = None) -> None:
    """Serve what employees have left: HRIS numbers, less what is accepted and not booked yet."""
    settings = load(config, role="balance")

    async def run() -> None:
        async with open_ledger(settings, "balance") as ledger, open_event_log(settings) as event_log:
            await timeoff_balance.app.run(settings, ledger, event_log)

    raise typer.Exit(process.run(run, settings, service="balance"))

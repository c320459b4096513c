"""`timeoff-sync sandbox`: Genesys Cloud and BambooHR on loopback, for trying and for writing adapters."""

from __future__ import annotations

from typing import Annotated

import typer

from timeoff_sandbox.__main__ import main


def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 0,
    agents: Annotated[int, typer.Option(min=1, help="WFM agents, each with an employee.")] = 200,
    seed: Annotated[int, typer.Option(help="Another seed, other people.")] = 1,
    options: Annotated[str, typer.Option(help="JSON in the form of PUT /admin/options.")] = "{}",
) -> None:
    """Serve an imitation of Genesys Cloud and BambooHR on loopback; one JSON line tells the address."""
    arguments = ["--port", str(port), "--agents", str(agents), "--seed", str(seed), "--options", options]
    raise typer.Exit(main(arguments))

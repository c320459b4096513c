"""The command `timeoff-sync`. Each command lives in its own module; adding one is one line here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from timeoff.errors import SettingsError, TimeoffError
from timeoff.telemetry.metrics import product_version
from timeoff_cli import balance, config, exits, leave, operate, proxy, sandbox, services
from timeoff_cli.demo import command as demo

app = typer.Typer(
    name="timeoff-sync",
    help="Keeps time off in Genesys Cloud workforce management and in an HRIS in step.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"timeoff-sync {product_version()}")
        raise typer.Exit(exits.OK)


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keeps time off in Genesys Cloud workforce management and in an HRIS in step."""


app.command("config")(config.show)
app.command("listener")(services.listener)
app.command("sync")(services.sync)
app.command("database")(services.database)
app.command("balance")(balance.balance)
app.command("leave")(leave.leave)
app.command("leave-account")(leave.account)
app.command("leave-employees")(leave.employees)
app.command("leave-unblock")(leave.unblock)
app.command("go-live")(operate.go_live)
app.command("held")(operate.held)
app.command("failed")(operate.failed)
app.command("retry")(operate.retry)
app.command("brake")(operate.brake)
app.command("targets")(operate.targets)
app.command("demo")(demo.demo)
app.command("sandbox")(sandbox.sandbox)
app.command("proxy")(proxy.proxy)


def main() -> None:
    """Entry point: errors of the product become one clear message and the exit code they stand for."""
    try:
        app()
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(f"settings: {problem}", err=True)
        sys.exit(exits.code_of(error))
    except TimeoffError as error:
        typer.echo(f"timeoff-sync: {error}", err=True)
        sys.exit(exits.code_of(error))


if __name__ == "__main__":
    main()

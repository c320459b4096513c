"""`timeoff-sync leave`, `leave-account` and `leave-employees`: the leave service and what sets it up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import timeoff_leave.app
from timeoff.errors import SettingsError, TimeoffError
from timeoff.runtime import process
from timeoff.settings.load import load
from timeoff.settings.model import Settings
from timeoff_cli.config import ConfigOption
from timeoff_leave import bulk, setup
from timeoff_leave.clock import system_clock
from timeoff_leave.context import Context
from timeoff_leave.database import open_pool
from timeoff_leave.passwords import Passwords


class RoleName(StrEnum):
    ADMINISTRATOR = "administrator"
    READER = "reader"


def leave(config: ConfigOption = None) -> None:
    """Serve the leave API: types, policies, balances and requests, on its own schema of PostgreSQL."""
    settings = load(config, role="leave")

    async def run() -> None:
        await timeoff_leave.app.run(settings)

    raise typer.Exit(process.run(run, settings, service="leave"))


def account(
    username: Annotated[str, typer.Argument(help="Name of the account; one that is there is changed.")],
    config: ConfigOption = None,
    region: Annotated[int, typer.Option(help="Id of the region that it sees, with all below.")] = 1,
    role: Annotated[RoleName, typer.Option(help="A reader changes nothing.")] = RoleName.ADMINISTRATOR,
    password_file: Annotated[
        Path | None, typer.Option(help="File that holds the password; default: it is asked for.")
    ] = None,
    keep_password: Annotated[bool, typer.Option("--keep-password", help="Change only the rest.")] = False,
    inactive: Annotated[bool, typer.Option("--inactive", help="Nobody can log in with it.")] = False,
) -> None:
    """Create or change an account of the leave service. Its tokens end if anything changes."""
    settings = load(config)
    password = None if keep_password else _password(password_file)

    async def run() -> None:
        async with _opened(settings) as context:
            if await context.pool.fetchval(context.sql.is_root, region) is None:
                raise TimeoffError(f"there is no region {region}")
            try:
                await setup.keep_account(
                    context,
                    Passwords(),
                    username,
                    password,
                    region=region,
                    role=role.value.upper(),
                    active=not inactive,
                )
            except ValueError as error:
                raise TimeoffError(str(error)) from None

    asyncio.run(run())
    typer.echo(f"account {username}: region {region}, {role.value}{', inactive' if inactive else ''}")


def employees(
    file: Annotated[Path, typer.Argument(help="CSV with a head; see docs/reference/leave.md.", exists=True)],
    config: ConfigOption = None,
) -> None:
    """Create employees from a CSV file, and change those whose customId is known. All of them or none."""
    settings = load(config)

    async def run() -> bulk.Stored:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            found = bulk.read_employees(lines)
        async with _opened(settings) as context:
            return await bulk.store_employees(context.pool, found)

    stored = asyncio.run(run())
    typer.echo(f"{stored.created} created, {stored.changed} changed")


def _password(file: Path | None) -> str:
    password = (
        file.read_text(encoding="utf-8").rstrip("\r\n")
        if file
        else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    if not password:
        raise TimeoffError("the password is empty")
    return str(password)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Context]:
    url = settings.leave.database_url or settings.database.url
    if url is None:
        raise SettingsError(["leave.database_url: is not set, nor is database.url"])
    pool = await open_pool(url.get_secret_value(), size=2)
    try:
        yield Context(pool, settings.leave, system_clock)
    finally:
        await pool.close()

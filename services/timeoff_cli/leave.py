"""`timeoff-sync leave` and `leave-…`: the leave service, what sets it up, and who may log in again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import timeoff_leave.app
from timeoff.errors import SettingsError
from timeoff.runtime import process
from timeoff.settings.load import load
from timeoff.settings.model import Settings
from timeoff_cli import exits
from timeoff_cli.config import ConfigOption
from timeoff_leave import bulk, setup
from timeoff_leave.addresses import counted
from timeoff_leave.clock import system_clock
from timeoff_leave.context import Context
from timeoff_leave.database import open_pool
from timeoff_leave.passwords import Passwords
from timeoff_leave.setup import BadAccount
from timeoff_leave.values import MAX_ID


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
    region: Annotated[
        int, typer.Option(min=1, max=MAX_ID, help="Id of the region that it sees, with all below.")
    ] = 1,
    role: Annotated[RoleName, typer.Option(help="A reader changes nothing.")] = RoleName.ADMINISTRATOR,
    password_file: Annotated[
        Path | None, typer.Option(help="File that holds the password; default: it is asked for.")
    ] = None,
    keep_password: Annotated[bool, typer.Option("--keep-password", help="Change only the rest.")] = False,
    inactive: Annotated[bool, typer.Option("--inactive", help="Nobody can log in with it.")] = False,
) -> None:
    """Create or change an account of the leave service. Its tokens end if anything changes."""
    settings = load(config)

    async def run() -> None:
        async with _opened(settings) as context:
            if await context.pool.fetchval(context.sql.is_root, region) is None:
                raise BadAccount(f"there is no region {region}")
            await setup.keep_account(
                context,
                Passwords(),
                username,
                password,
                region=region,
                role=role.value.upper(),
                active=not inactive,
            )

    with _mistakes():
        if username.lower() == settings.leave.administrator_username.lower():
            raise BadAccount(
                f"{username} is the account of leave.administrator_username: each start of the service "
                "brings it in line with the settings; change it there, or give a new account another name"
            )
        password = None if keep_password else _password(password_file)
        asyncio.run(run())
    typer.echo(f"account {username}: region {region}, {role.value}{', inactive' if inactive else ''}")


def employees(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with a head; see docs/reference/leave.md.", exists=True, dir_okay=False, readable=True
        ),
    ],
    config: ConfigOption = None,
) -> None:
    """Create employees from a CSV file, and change those whose customId is known. All of them or none."""
    settings = load(config)

    async def run() -> bulk.Stored:
        async with _opened(settings) as context:
            regions = await bulk.known_regions(context)
            with file.open("rb") as lines:
                found = bulk.read_employees(lines, regions)
            return await bulk.store_employees(context, found)

    with _mistakes():
        stored = asyncio.run(run())
    typer.echo(f"{stored.created} created, {stored.changed} changed")


def unblock(
    address: Annotated[str | None, typer.Argument(help="Address to let in; default: list them.")] = None,
    config: ConfigOption = None,
) -> None:
    """List addresses whose logins are blocked (exit code 1 if there are any), or let one in again."""
    settings = load(config)

    async def run() -> bool:
        async with _opened(settings) as context:
            now, sql = context.now(), context.sql
            if address is not None:
                lifted = await context.pool.fetchval(sql.lift_login_block, counted(address), now) is not None
                typer.echo(f"{address} may log in again." if lifted else f"{address} was not blocked.")
                return lifted
            blocks = await context.pool.fetch(sql.login_blocks, now)
            for block in blocks:
                until = block["blocked_until"].isoformat(timespec="seconds")
                typer.echo(f"{block['address']}: blocked until {until}")
            if not blocks:
                typer.echo("No address is blocked.")
            return not blocks

    raise typer.Exit(exits.OK if asyncio.run(run()) else exits.DIFFERENCES)


def _password(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise BadAccount(f"--password-file: {file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise BadAccount(f"--password-file: {file} is not in UTF-8") from None


@contextmanager
def _mistakes() -> Iterator[None]:
    """What was given wrong ends in its text, and the exit code of wrong usage."""
    try:
        yield
    except (BadAccount, bulk.BadFile) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exits.USAGE) from None


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

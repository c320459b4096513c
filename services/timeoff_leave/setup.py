"""What has to be there before anybody can call: the administrator and the OAuth client of the settings."""

from __future__ import annotations

from timeoff.errors import TimeoffError
from timeoff.settings.model import SHORTEST_PASSWORD, LeaveSettings
from timeoff_leave.context import Context
from timeoff_leave.passwords import LONGEST, Passwords


class BadAccount(TimeoffError):
    """The account cannot be kept so; the message says what is missing or wrong."""


async def ensure_access(context: Context, passwords: Passwords) -> None:
    """Bring account and client in line with the settings. A new password ends the sessions of the old one."""
    settings: LeaveSettings = context.settings
    if settings.administrator_password is not None:
        await keep_account(
            context,
            passwords,
            settings.administrator_username,
            settings.administrator_password.get_secret_value(),
            region=1,
            role="ADMINISTRATOR",
        )
    if settings.client_secret is not None:
        secret = settings.client_secret.get_secret_value()
        known = await context.pool.fetchval(context.sql.client_to_login, settings.client_id)
        if known is None or not await passwords.check(secret, known):
            hashed = await passwords.hash(secret)
            await context.pool.execute(context.sql.keep_client, settings.client_id, hashed)


async def keep_account(
    context: Context,
    passwords: Passwords,
    username: str,
    password: str | None,
    *,
    region: int,
    role: str,
    active: bool = True,
) -> None:
    """Create the account or change it. `password` None keeps the one it has.

    Unless all stays as it is, its tokens end. Raises `BadAccount`.
    """
    if password is not None and not SHORTEST_PASSWORD <= len(password) <= LONGEST:
        raise BadAccount(f"the password must have {SHORTEST_PASSWORD} to {LONGEST} characters")
    async with context.transaction() as connection:
        await connection.execute(context.sql.lock_accounts)
        row = await connection.fetchrow(context.sql.account, username)
        hashed = row["password_hash"] if row else None
        if password is not None and not await passwords.check(password, hashed):
            hashed = await passwords.hash(password)
        if hashed is None:
            raise BadAccount(f"there is no account {username} yet: a password is needed")
        wanted = (hashed, region, role, active)
        if row is not None and wanted == (row["password_hash"], row["region"], row["role"], row["active"]):
            return
        id = await connection.fetchval(context.sql.keep_account, username, *wanted)
        await connection.execute(context.sql.remove_tokens_of, id)

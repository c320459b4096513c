"""Who may call the leave service: tokens and their end, logins and their limit, what accounts may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from multidict import CIMultiDict
from pydantic import SecretStr
from tests.support.leave import (
    ADMINISTRATOR,
    CLIENT_ID,
    CLIENT_SECRET,
    PASSWORD,
    QUICK,
    Leave,
    Reply,
    served,
    waiting,
)

from timeoff_leave import app
from timeoff_leave.addresses import counted
from timeoff_leave.errors import Refusal
from timeoff_leave.logins import Logins
from timeoff_leave.passwords import Passwords
from timeoff_leave.setup import keep_account

NO_TOKEN = "The access token is missing, not known or expired."
NOT_RIGHT = {"access_token": ["The credentials are not right."]}


@pytest.fixture
async def leave(database_url: str) -> AsyncIterator[Leave]:
    async with served(database_url) as leave:
        yield leave


class Counting(PasswordHasher):
    """Counts how many passwords it was asked about."""

    verified = 0

    def verify(self, *given: Any) -> Literal[True]:
        self.verified += 1
        return super().verify(*given)


def password_grant(**changes: str) -> dict[str, str]:
    return {"grant_type": "password", "username": ADMINISTRATOR, "password": PASSWORD, **changes}


# -- tokens ------------------------------------------------------------------------------------------


async def test_a_login_gives_both_tokens_and_says_how_long_one_lasts(leave: Leave) -> None:
    reply = await leave.grant(**password_grant(), scope="ignored")
    granted = reply.ok()
    assert set(granted) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (granted["token_type"], granted["expires_in"]) == ("Bearer", 3600)
    assert reply.headers["Cache-Control"] == "no-store"
    assert await leave.get("/leave-types/8", token=granted["access_token"])


async def test_a_json_body_is_taken_for_a_form(leave: Leave) -> None:
    body = (
        f'{{"grant_type": "password", "client_id": "{CLIENT_ID}", "client_secret": "{CLIENT_SECRET}",'
        f' "username": "{ADMINISTRATOR}", "password": "{PASSWORD}"}}'
    )
    headers = {"Content-Type": "application/json"}
    assert (await leave.send("POST", "/rest/oauth2/access_token", body, headers)).ok()["access_token"]


async def test_a_body_for_tokens_that_cannot_be_taken_says_which_can(leave: Leave) -> None:
    headers = {"Content-Type": "text/plain"}
    reply = await leave.send("POST", "/rest/oauth2/access_token", "grant_type=password", headers)
    said = "The body must be application/x-www-form-urlencoded or application/json."
    assert reply.refused(415) == {"access_token": [said]}
    twice = '{"username": "x", "username": "y"}'
    headers = {"Content-Type": "application/json"}
    reply = await leave.send("POST", "/rest/oauth2/access_token", twice, headers)
    assert reply.refused() == {"access_token": ['The key "username" stands twice in one object.']}


async def test_no_call_without_a_token_not_even_for_what_is_not_there(leave: Leave) -> None:
    routes = [(route.method, route.path.replace("{id}", "1"), route.name) for route in app.ROUTES]
    for method, path, key in [
        *routes,
        ("GET", "/nothing", "request"),
        ("PUT", "/leave-types", "leave-types"),
    ]:
        for token in (None, "not-a-token"):
            reply = await leave.call(method, path, token=token)
            assert reply.refused(401) == {key: [NO_TOKEN]}
            assert reply.headers["WWW-Authenticate"] == "Bearer"


async def test_what_is_no_bearer_token_is_none(leave: Leave) -> None:
    for header in ("", "Bearer", "Bearer  ", "Basic eDp5", "Bearer \u00e9", "Bearer a b"):
        reply = await leave.call("GET", "/leave-types", token=None, headers={"Authorization": header})
        assert reply.refused(401)


async def test_a_token_ends_after_its_time(leave: Leave) -> None:
    leave.clock.moment += timedelta(seconds=3599)
    assert await leave.get("/leave-types/8")
    leave.clock.moment += timedelta(seconds=1)
    assert await leave.refused("GET", "/leave-types/8", status=401)


async def test_a_refresh_token_works_once(leave: Leave) -> None:
    first = (await leave.grant(**password_grant())).ok()
    second = (await leave.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])).ok()
    assert second["refresh_token"] != first["refresh_token"]
    assert await leave.get("/leave-types/8", token=second["access_token"])
    again = await leave.grant(grant_type="refresh_token", refresh_token=first["refresh_token"])
    assert again.refused(401) == NOT_RIGHT


async def test_a_refresh_token_that_comes_twice_ends_the_login_that_it_was_copied_from(leave: Leave) -> None:
    async def refreshed(tokens: dict[str, str]) -> Reply:
        return await leave.grant(grant_type="refresh_token", refresh_token=tokens["refresh_token"])

    first = (await leave.grant(**password_grant())).ok()
    other = (await leave.grant(**password_grant())).ok()
    second = (await refreshed(first)).ok()
    newest = (await refreshed(second)).ok()
    assert (await refreshed(first)).refused(401) == NOT_RIGHT
    assert (await refreshed(newest)).refused(401) == NOT_RIGHT
    for ended in (first, second, newest):
        assert await leave.refused("GET", "/leave-types", status=401, token=ended["access_token"])
    assert await leave.get("/leave-types/8", token=other["access_token"])
    assert (await refreshed(other)).ok()


async def test_a_refresh_under_way_does_not_outlive_the_login_that_is_taken_back(leave: Leave) -> None:
    """The newest token is being used while an old one comes again: whichever is first, nothing is left."""
    first = (await leave.grant(**password_grant())).ok()["refresh_token"]
    newest = (await leave.grant(grant_type="refresh_token", refresh_token=first)).ok()["refresh_token"]
    async with leave.context.pool.acquire() as holder:
        transaction = holder.transaction()
        await transaction.start()
        # The new access token is not written before this is over: the refresh stands still in its midst.
        await holder.execute("LOCK TABLE access_tokens IN SHARE MODE")
        under_way = asyncio.create_task(leave.grant(grant_type="refresh_token", refresh_token=newest))
        await waiting(holder, 1)
        copied = asyncio.create_task(leave.grant(grant_type="refresh_token", refresh_token=first))
        await waiting(holder, 2)
        await transaction.rollback()
    granted, refused = await asyncio.gather(under_way, copied)
    assert refused.refused(401) == NOT_RIGHT
    given = granted.ok()
    assert await leave.refused("GET", "/leave-types", status=401, token=given["access_token"])
    again = await leave.grant(grant_type="refresh_token", refresh_token=given["refresh_token"])
    assert again.refused(401) == NOT_RIGHT


async def test_of_many_who_show_one_refresh_token_at_once_one_gets_a_new_one(leave: Leave) -> None:
    token = (await leave.grant(**password_grant())).ok()["refresh_token"]
    replies = await asyncio.gather(
        *(leave.grant(grant_type="refresh_token", refresh_token=token) for _ in range(6))
    )
    assert sorted(reply.status for reply in replies) == [200, 401, 401, 401, 401, 401]


async def test_a_refresh_token_ends_after_its_time_and_belongs_to_its_client(leave: Leave) -> None:
    token = (await leave.grant(**password_grant())).ok()["refresh_token"]
    await leave.context.pool.execute(
        "INSERT INTO clients VALUES ('other', (SELECT secret_hash FROM clients WHERE client_id = $1))",
        CLIENT_ID,
    )
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert (await leave.grant(**form, client_id="other")).refused(401) == NOT_RIGHT
    leave.clock.moment += timedelta(days=15)
    assert (await leave.grant(**form)).refused(401) == NOT_RIGHT


async def test_a_wrong_login_does_not_tell_what_was_wrong(leave: Leave) -> None:
    for changes in (
        {"password": "wrong"},
        {"username": "nobody"},
        {"client_secret": "wrong"},
        {"client_id": "nobody"},
        {"password": "x" * 1000},
    ):
        assert (await leave.grant(**password_grant(**changes))).refused(401) == NOT_RIGHT


async def test_a_wrong_login_costs_the_same_whatever_was_wrong(leave: Leave) -> None:
    """Else the time tells which user names and clients there are."""
    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    logins = Logins(leave.context, Passwords(hasher))
    costs = []
    for client, secret, username, password in (
        (CLIENT_ID, CLIENT_SECRET, ADMINISTRATOR, "wrong"),
        (CLIENT_ID, CLIENT_SECRET, "nobody", PASSWORD),
        (CLIENT_ID, "wrong", ADMINISTRATOR, PASSWORD),
        ("nobody", CLIENT_SECRET, ADMINISTRATOR, PASSWORD),
        ("nobody", "wrong", "nobody", "wrong"),
    ):
        hasher.verified = 0
        with pytest.raises(Refusal):
            await logins.by_password("key", "10.0.0.1", client, secret, username, password)
        costs.append(hasher.verified)
    assert costs == [2] * 5


async def test_an_incomplete_call_for_tokens_is_named_and_is_no_failed_login(leave: Leave) -> None:
    incomplete: list[tuple[dict[str, str], str]] = [
        ({}, "grant_type"),
        ({"grant_type": "client_credentials"}, "grant_type"),
        ({"grant_type": "password", "username": ADMINISTRATOR}, "password"),
        ({"grant_type": "refresh_token"}, "refresh_token"),
        (password_grant(username="a\0b"), "username"),
        (password_grant(client_id=""), "client_id"),
    ]
    for form, key in incomplete:
        assert list((await leave.grant(**form)).refused()) == [key]
    assert await leave.context.pool.fetchval("SELECT count(*) FROM login_failures") == 0


async def test_passwords_secrets_and_tokens_are_not_in_the_database(leave: Leave) -> None:
    granted = (await leave.grant(**password_grant())).ok()
    for table in ("accounts", "clients", "access_tokens", "refresh_tokens"):
        rows = await leave.context.pool.fetch(f"SELECT t::text AS line FROM {table} t")
        assert rows
        text = "\n".join(row["line"] for row in rows)
        for secret in (PASSWORD, CLIENT_SECRET, granted["access_token"], granted["refresh_token"]):
            assert secret not in text
    hashed = await leave.context.pool.fetchval("SELECT password_hash FROM accounts")
    assert hashed.startswith("$argon2id$")


async def test_what_has_expired_is_removed(leave: Leave) -> None:
    await leave.grant(**password_grant(password="wrong"))
    leave.clock.moment += timedelta(days=15)
    stop = asyncio.Event()
    stop.set()
    await app.clean(leave.context, stop)
    for table in ("access_tokens", "refresh_tokens", "login_failures"):
        assert await leave.context.pool.fetchval(f"SELECT count(*) FROM {table}") == 0


# -- failed logins -----------------------------------------------------------------------------------


async def test_forty_failed_logins_in_two_minutes_block_the_address_for_two_hours(leave: Leave) -> None:
    for _ in range(40):
        (await leave.grant(**password_grant(password="wrong"))).refused(401)
    reply = await leave.grant(**password_grant())
    assert reply.refused(429) == {"access_token": ["Too many failed logins."]}
    assert reply.headers["Retry-After"] == "7200"
    assert await leave.get("/leave-types/8"), "a token that was given is still good"
    leave.clock.moment += timedelta(seconds=7199)
    assert (await leave.grant(**password_grant())).headers["Retry-After"] == "1"
    leave.clock.moment += timedelta(seconds=1)
    assert (await leave.grant(**password_grant())).ok()


async def test_failures_that_are_older_than_the_window_do_not_count(database_url: str) -> None:
    async with served(database_url, login_attempts=3) as leave:
        for _ in range(2):
            await leave.grant(**password_grant(password="wrong"))
        leave.clock.moment += timedelta(seconds=120)
        await leave.grant(**password_grant(password="wrong"))
        assert (await leave.grant(**password_grant())).ok()


async def test_a_crowd_of_guesses_at_once_gets_no_more_of_them(database_url: str) -> None:
    async with served(database_url, login_attempts=5) as leave:
        replies = await asyncio.gather(
            *(leave.grant(**password_grant(password=f"guess {number}")) for number in range(30))
        )
        refused = sum(reply.status == 401 for reply in replies)
        assert 5 <= refused <= 6, "one more may be under way when the address is blocked"
        assert sum(reply.status == 429 for reply in replies) == 30 - refused


async def test_replicas_count_failed_logins_together_and_by_the_caller_behind_the_proxy(
    database_url: str,
) -> None:
    settings: dict[str, Any] = {"login_attempts": 4, "trusted_proxies": 1}
    async with served(database_url, **settings) as one, served(database_url, **settings) as two:

        async def login(leave: Leave, seen: str, password: str) -> int:
            form = f"grant_type=password&client_id=x&client_secret=y&username=z&password={password}"
            headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": seen}
            return (await leave.send("POST", "/rest/oauth2/access_token", form, headers)).status

        for leave in (one, two, one, two):
            assert await login(leave, "6.6.6.6, 10.1.1.1", "wrong") == 401
        for leave in (one, two):
            assert await login(leave, "10.1.1.1", "wrong") == 429
            assert await login(leave, "spoofed, 10.1.1.1", "wrong") == 429
            assert await login(leave, "10.1.1.1, 10.2.2.2", "wrong") == 401


async def test_a_line_of_the_callers_own_before_that_of_the_proxy_is_not_believed(database_url: str) -> None:
    async with served(database_url, login_attempts=2, trusted_proxies=1) as leave:
        statuses = []
        for number in range(3):
            headers = CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"})
            headers.add("X-Forwarded-For", f"10.0.0.{number}")
            headers.add("X-Forwarded-For", "203.0.113.7:4711")
            form = "grant_type=password&client_id=x&client_secret=y&username=z&password=w"
            reply = await leave.send("POST", "/rest/oauth2/access_token", form, headers)
            statuses.append(reply.status)
        assert statuses == [401, 401, 429]
        assert await leave.context.pool.fetchval("SELECT address FROM login_blocks") == "203.0.113.7"


@pytest.mark.parametrize(
    ("seen", "address"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:55000", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("_hidden", "_hidden"),
        ("x" * 200, "x" * 100),
    ],
)
def test_failures_are_counted_for_an_address_and_not_for_its_spellings(seen: str, address: str) -> None:
    """Of IPv6 a caller has as many addresses as it likes within its network."""
    assert counted(seen) == address


async def test_without_a_trusted_proxy_the_header_is_not_believed(database_url: str) -> None:
    async with served(database_url, login_attempts=2) as leave:
        for number in range(2):
            headers = {
                "X-Forwarded-For": f"10.0.0.{number}",
                "Content-Type": "application/x-www-form-urlencoded",
            }
            form = "grant_type=password&client_id=x&client_secret=y&username=z&password=w"
            await leave.send("POST", "/rest/oauth2/access_token", form, headers)
        assert (await leave.grant(**password_grant())).refused(429)


# -- accounts ----------------------------------------------------------------------------------------


async def test_a_reader_reads_everything_and_changes_nothing(leave: Leave) -> None:
    reader = await leave.account("reader", 1, "READER")
    for route in app.ROUTES:
        reply = await leave.call(route.method, route.path.replace("{id}", "1"), {}, token=reader)
        if route.method == "GET":
            assert reply.status in (200, 404), route.path
        else:
            assert reply.refused(403) == {route.name: ["The account is not allowed to do this."]}


async def test_an_account_that_is_switched_off_is_out_at_once(leave: Leave) -> None:
    other = await leave.account("other", 1)
    await leave.context.pool.execute("UPDATE accounts SET active = false WHERE username = 'other'")
    assert await leave.refused("GET", "/leave-types", token=other, status=401)
    token = await leave.account("somebody", 1)
    refresh = (await leave.grant(**password_grant(username="somebody"))).ok()["refresh_token"]
    await keep_account(
        leave.context, Passwords(QUICK), "somebody", None, region=1, role="ADMINISTRATOR", active=False
    )
    assert await leave.refused("GET", "/leave-types", token=token, status=401)
    assert (await leave.grant(grant_type="refresh_token", refresh_token=refresh)).refused(401)
    assert (await leave.grant(**password_grant(username="somebody"))).refused(401)


async def test_the_administrator_and_the_client_are_those_of_the_settings_at_each_start(
    database_url: str,
) -> None:
    async with served(database_url) as leave:
        token = leave.token
    async with served(database_url) as leave:
        assert await leave.get("/leave-types/8", token=token), "a restart ends no session"
    async with served(database_url, administrator_username="Administrator") as leave:
        assert await leave.context.pool.fetchval("SELECT count(*) FROM accounts") == 1
    new: dict[str, Any] = {
        "administrator_password": SecretStr("a new password"),
        "client_secret": SecretStr("a new secret"),
    }
    async with served(database_url, **new) as leave:
        assert await leave.refused("GET", "/leave-types", token=token, status=401)
        assert (await leave.grant(**password_grant())).refused(401) == NOT_RIGHT
        right = password_grant(password="a new password")
        assert (await leave.grant(**right, client_secret=CLIENT_SECRET)).refused(401) == NOT_RIGHT
        assert (await leave.grant(**right)).ok()


async def test_the_rate_of_an_account_is_limited_and_says_when_to_come_again(database_url: str) -> None:
    async with served(database_url, requests_per_minute=5) as leave:
        other = await leave.account("other", 1)
        for _ in range(5):
            assert await leave.get("/leave-types/8")
        reply = await leave.call("GET", "/leave-types/8")
        assert reply.refused(429) == {"leave-types": ["Too many requests."]}
        assert 1 <= int(reply.headers["Retry-After"]) <= 12
        assert await leave.get("/leave-types/8", token=other)


async def test_a_token_of_the_pages_opens_nothing_of_the_api(leave: Leave) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    form = f"username={ADMINISTRATOR}&password={PASSWORD}"
    reply = await leave.send("POST", "/web/login", form, headers)
    cookie = reply.headers["Set-Cookie"].split(";")[0].partition("=")[2]
    assert reply.status == 303
    assert await leave.refused("GET", "/leave-types", token=cookie, status=401)
    assert (
        await leave.send("GET", "/web/types", headers={"Cookie": f"leave_session={cookie}"})
    ).status == 200
    other_way = {"Cookie": f"leave_session={leave.token}"}
    assert (await leave.send("GET", "/web/types", headers=other_way)).status == 303

"""`timeoff-sync leave` and the commands that set it up, as processes with nothing but settings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from tests.support.leave import CLIENT_SECRET, PASSWORD, served, waiting

from timeoff.errors import SettingsError
from timeoff.settings.load import load
from timeoff_leave import bulk

HEAD = "customId,firstName,lastName,region,email,jobTitle,status\n"


def environment(database_url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TIMEOFF_")}
    return {
        **kept,
        "TIMEOFF_LEAVE__DATABASE_URL": database_url,
        "TIMEOFF_LEAVE__ADMINISTRATOR_PASSWORD": PASSWORD,
        "TIMEOFF_LEAVE__CLIENT_SECRET": CLIENT_SECRET,
        "TIMEOFF_LEAVE__PORT": "0",
    }


async def command(environ: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    """Exit code, and what was printed to either stream."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "timeoff_cli.main",
        *arguments,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, printed.decode()


async def test_the_service_starts_from_settings_alone_and_stops_on_sigterm(database_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "timeoff_cli.main",
        "leave",
        env=environment(database_url),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    urls: dict[str, str] = {}
    lines = []
    try:
        async with asyncio.timeout(40):
            while len(urls) < 2:
                line = await process.stderr.readline()
                assert line, lines
                lines.append(line.decode())
                event = json.loads(line)
                if event["action"].endswith(".listening"):
                    urls[event["action"].split(".")[0]] = event["url"]
        async with aiohttp.ClientSession() as http:
            for path in ("/healthz", "/readyz"):
                async with http.get(urls["monitor"] + path) as reply:
                    assert reply.status == 200
            async with http.get(urls["leave"] + "/rest/v1/leave-types") as reply:
                assert reply.status == 401
            form = {
                "grant_type": "password",
                "client_id": "timeoff-sync",
                "client_secret": CLIENT_SECRET,
                "username": "administrator",
                "password": PASSWORD,
            }
            async with http.post(urls["leave"] + "/rest/oauth2/access_token", data=form) as reply:
                assert reply.status == 200
            async with http.get(urls["monitor"] + "/metrics") as reply:
                text = await reply.text()
            assert 'timeoff_leave_logins_total{result="granted"} 1.0' in text
            assert 'status="401"' in text
        process.send_signal(signal.SIGTERM)
        lines.append((await process.stderr.read()).decode())
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert PASSWORD not in "".join(lines)
    assert CLIENT_SECRET not in "".join(lines)


async def test_without_what_it_needs_it_does_not_start_and_says_all_of_it() -> None:
    with pytest.raises(SettingsError) as refused:
        load(role="leave", environ={"TIMEOFF_LEAVE__TIME_ZONE": "Mars/Olympus"})
    problems = "\n".join(refused.value.problems)
    for key in ("database_url", "administrator_password", "client_secret", "time_zone"):
        assert f"leave.{key}: " in problems
    assert len(refused.value.problems) == 4
    code, printed = await command({"PATH": os.environ["PATH"]}, "leave")
    assert code == 2
    assert "leave.client_secret: is not set" in printed
    assert "Genesys" not in printed, "the leave service needs none"


async def test_a_service_that_finds_an_address_taken_changes_nothing(database_url: str) -> None:
    """Neither its own address nor that of its health: the one that runs keeps its logins."""
    async with served(database_url) as leave:
        port = leave.url.rpartition(":")[2]
        other = {**environment(database_url), "TIMEOFF_LEAVE__ADMINISTRATOR_PASSWORD": "another password"}
        for name, key in (("TIMEOFF_LEAVE__PORT", "leave.port"), ("TIMEOFF_HTTP__PORT", "http.port")):
            code, printed = await command({**other, name: port}, "leave")
            assert (code, f"{key}: cannot listen on 127.0.0.1:{port}" in printed) == (2, True), printed
        assert await leave.get("/leave-types/8"), "its tokens are still good"
        assert await leave.login()


async def test_an_address_in_use_is_wrong_usage_for_every_command(database_url: str) -> None:
    async with served(database_url) as leave:
        port = leave.url.rpartition(":")[2]
        for arguments in (("proxy", "--upstream", leave.url), ("sandbox", "--agents", "1")):
            code, printed = await command(environment(database_url), *arguments, "--port", port)
            assert (code, "cannot serve on" in printed) == (2, True), printed


@pytest.mark.parametrize("key", ["administrator_password", "client_secret"])
def test_a_short_secret_is_a_mistake_in_the_settings(key: str) -> None:
    variable = f"TIMEOFF_LEAVE__{key.upper()}"
    environ = {**environment("postgresql://x/y"), variable: "elevenchars"}
    with pytest.raises(SettingsError) as refused:
        load(role="leave", environ=environ)
    assert refused.value.problems == [f"leave.{key}: is too short; take 12 characters or more ({variable})"]
    assert load(role="leave", environ={**environ, variable: "twelve chars"})


async def test_accounts_are_made_and_changed_by_the_command(database_url: str, tmp_path: Path) -> None:
    environ = environment(database_url)
    password = tmp_path / "password"
    password.write_text("west's password\n")
    async with served(database_url) as leave:
        west = await leave.region("West")
        options = ("--region", str(west), "--password-file", str(password))
        code, printed = await command(environ, "leave-account", "west", *options)
        assert (code, printed) == (0, f"account west: region {west}, administrator\n")
        token = await leave.login("west", "west's password")
        assert [region["id"] for region in await leave.get("/regions", token=token)] == [west]

        changed = ("--region", str(west), "--role", "reader", "--keep-password")
        code, printed = await command(environ, "leave-account", "west", *changed)
        assert (code, printed) == (0, f"account west: region {west}, reader\n")
        assert await leave.refused("GET", "/regions", token=token, status=401)
        token = await leave.login("west", "west's password")
        assert await leave.refused("POST", "/regions", {"name": "x"}, 403, token=token)

        short, latin = tmp_path / "short", tmp_path / "latin"
        short.write_text("elevenchars\n")
        latin.write_bytes(b"p\xe4ssword of many characters\n")
        for wrong, said in (
            (("east", "--keep-password"), "there is no account east yet: a password is needed\n"),
            (("east", "--region", "99", "--password-file", str(password)), "there is no region 99\n"),
            (
                ("east", "--password-file", str(tmp_path / "nope")),
                f"--password-file: {tmp_path / 'nope'} cannot be read: No such file or directory\n",
            ),
            (("east", "--password-file", str(latin)), f"--password-file: {latin} is not in UTF-8\n"),
            (
                ("east", "--password-file", str(short)),
                "the password must have 12 to 1024 characters\n",
            ),
        ):
            assert await command(environ, "leave-account", *wrong) == (2, said)


async def test_the_account_of_the_settings_is_changed_there_alone(database_url: str) -> None:
    environ = environment(database_url)
    async with served(database_url) as leave:
        code, printed = await command(
            environ, "leave-account", "Administrator", "--role", "reader", "--keep-password"
        )
        assert code == 2
        assert "Administrator is the account of leave.administrator_username" in printed
        assert await leave.region("West"), "it may still write"


async def test_a_blocked_address_is_listed_and_let_in_by_the_command(database_url: str) -> None:
    environ = environment(database_url)
    async with served(database_url, login_attempts=3) as leave:
        # The command has the system's time.
        leave.clock.moment = datetime.now(UTC).replace(microsecond=0)
        assert await command(environ, "leave-unblock") == (0, "No address is blocked.\n")
        for _ in range(3):
            (await leave.grant(grant_type="password", username="x", password="y")).refused(401)
        until = (leave.clock.moment + timedelta(seconds=7200)).isoformat()
        assert await command(environ, "leave-unblock") == (1, f"127.0.0.1: blocked until {until}\n")
        assert await command(environ, "leave-unblock", "10.0.0.1") == (1, "10.0.0.1 was not blocked.\n")
        (await leave.grant(grant_type="password", username="x", password="y")).refused(429)
        assert await command(environ, "leave-unblock", "127.0.0.1") == (0, "127.0.0.1 may log in again.\n")
        (await leave.grant(grant_type="password", username="x", password="y")).refused(401)
        assert await leave.login()


async def test_employees_come_from_a_file_and_a_second_time_are_changed(
    database_url: str, tmp_path: Path
) -> None:
    environ = environment(database_url)
    file = tmp_path / "people.csv"
    async with served(database_url) as leave:
        file.write_text(HEAD + "E1,Ann,Lee,1,ann@example.com,Guard,ACTIVE\nE2,Böb,Ray,1,,,\n")
        assert await command(environ, "leave-employees", str(file)) == (0, "2 created, 0 changed\n")
        file.write_text(HEAD + "e2,Bob,Ray,1,bob@example.com,,TERMINATED\nE3,Cem,Oz,1,,,\n")
        assert await command(environ, "leave-employees", str(file)) == (0, "1 created, 1 changed\n")
        found = await leave.get("/employees?fields=customId,name,email,status")
        assert found == [
            {"customId": "E1", "name": "Ann Lee", "email": "ann@example.com", "status": "ACTIVE"},
            {"customId": "E2", "name": "Bob Ray", "email": "bob@example.com", "status": "TERMINATED"},
            {"customId": "E3", "name": "Cem Oz", "email": None, "status": "ACTIVE"},
        ]
        file.write_text(HEAD + "E4,Dee,Fox,1,,,\nE5,Eve,Kent,77,eve,,\n,,Ray,77,,,\n")
        assert await command(environ, "leave-employees", str(file)) == (
            2,
            "line 3: email: This value should be an e-mail address.; region: there is none with the id 77\n"
            "line 4: customId: This value should not be blank.; firstName: This value should not be blank.; "
            "region: there is none with the id 77\n",
        )
        code, printed = await command(environ, "leave-employees", str(tmp_path))
        assert (code, "Traceback" in printed) == (2, False)
        assert len(await leave.get("/employees")) == 3


def test_what_is_wrong_in_a_file_is_said_by_line_without_the_people() -> None:
    lines = [
        HEAD.encode(),
        b"E1,Ann,Lee,1,,,\n",
        b",Bob,Ray,1,,,\n",
        b"e1,Cem,Oz,1,,,\n",
        b"E4,,Fox,x,,,GONE\n",
        b"E5,Eve,Kent,1,,,,,,\n",
        "E6,Zoë,Fox,7,,,\n".encode("latin-1"),
        b"E7,Gus,Ray," + b"9" * 5000 + b",,,\n",
        b",Bob,Ray,1,,,\n",
        b'E8,"Ann,Lee\n',
        b"E9,Eve,Kent,1,,,\n",
    ]
    with pytest.raises(bulk.BadFile) as refused:
        bulk.read_employees(lines, {1, 2})
    assert str(refused.value).splitlines() == [
        "line 3: customId: This value should not be blank.",
        "line 4: customId: stands in line 2 already",
        "line 5: firstName: This value should not be blank.; region: This value should be of type integer.; "
        "status: The value you selected is not a valid choice.",
        "line 6: there are more values than columns",
        "line 7: is not in UTF-8",
        "line 7: region: there is none with the id 7",
        "line 8: region: This value should be of type integer.",
        "line 9: customId: This value should not be blank.",
        "line 10: is no CSV from here on: unexpected end of data",
    ]
    with pytest.raises(bulk.BadFile, match="line 1: there is no column firstName, lastName"):
        bulk.read_employees([b"customId,region\n"], {1})
    with_mark = [b"\xef\xbb\xbf" + HEAD.encode(), "E1,Zoë,Lee,1,,,\n".encode()]
    assert [each.first_name for each in bulk.read_employees(with_mark, {1})] == ["Zoë"]


async def test_fifty_thousand_employees_come_in_at_once(database_url: str) -> None:
    people = (f"E{number},Ann,Lee,1,e{number}@example.com,Guard,ACTIVE\n" for number in range(50_000))
    employees = bulk.read_employees([HEAD.encode(), *(line.encode() for line in people)], {1})
    async with served(database_url) as leave:
        assert await bulk.store_employees(leave.context, employees) == bulk.Stored(50_000, 0)
        assert await leave.get("/employees?customId=e49999&fields=email") == [{"email": "e49999@example.com"}]


async def test_a_file_locks_people_in_the_order_of_everybody(database_url: str) -> None:
    """By id, whatever the order of the rows: else a file and an action could wait for each other."""
    async with served(database_url) as leave:
        first, second = await leave.employee(customId="b"), await leave.employee(customId="a")
        rows = bulk.read_employees([HEAD.encode(), b"a,A,Lee,1,,,\n", b"b,B,Lee,1,,,\n"], {1})
        async with leave.context.pool.acquire() as holder:
            transaction = holder.transaction()
            await transaction.start()
            await holder.execute("SELECT FROM employees WHERE id = $1 FOR UPDATE", first)
            stored = asyncio.create_task(bulk.store_employees(leave.context, rows))
            await waiting(holder, 1)
            await holder.execute("SELECT FROM employees WHERE id = $1 FOR UPDATE NOWAIT", second)
            await transaction.rollback()
        assert await stored == bulk.Stored(0, 2)


async def test_a_zone_that_the_database_does_not_know_ends_the_start(database_url: str) -> None:
    with pytest.raises(SettingsError, match=r"leave\.time_zone: PostgreSQL does not know localtime"):
        async with served(database_url, time_zone="localtime"):
            pass


async def test_replicas_that_start_together_share_one_schema_one_account_and_one_client(
    database_url: str,
) -> None:
    async def start() -> str:
        async with served(database_url) as leave:
            return str((await leave.get("/leave-types/8"))["name"])

    assert set(await asyncio.gather(*(start() for _ in range(4)))) == {"Personal Day"}
    connection = await asyncpg.connect(database_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM leave.accounts") == 1
        assert await connection.fetchval("SELECT count(*) FROM leave.leave_types") == 11
    finally:
        await connection.close()

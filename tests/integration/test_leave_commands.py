"""`timeoff-sync leave` and the commands that set it up, as processes with nothing but settings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from tests.support.leave import CLIENT_SECRET, PASSWORD, served

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

        for wrong in (
            ("east", "--keep-password"),
            ("east", "--region", "99", "--password-file", str(password)),
        ):
            code, printed = await command(environ, "leave-account", *wrong)
            assert code != 0
            assert "Traceback" not in printed


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
        file.write_text(HEAD + "E4,Dee,Fox,1,,,\nE5,Eve,Kent,77,,,\n")
        code, printed = await command(environ, "leave-employees", str(file))
        assert (code, printed) == (1, "timeoff-sync: region: there is none with the id 77\n")
        assert len(await leave.get("/employees")) == 3


def test_what_is_wrong_in_a_file_is_said_by_line_without_the_people() -> None:
    lines = [
        HEAD,
        "E1,Ann,Lee,1,,,\n",
        ",Bob,Ray,1,,,\n",
        "e1,Cem,Oz,1,,,\n",
        "E4,,Fox,x,,,GONE\n",
        "E5,Eve,Kent,1,,,,,,\n",
    ]
    with pytest.raises(bulk.BadFile) as refused:
        bulk.read_employees(lines)
    assert str(refused.value).splitlines() == [
        "line 3: customId: This value should not be blank.",
        "line 5: firstName: This value should not be blank.; region: This value should be of type integer.; "
        "status: The value you selected is not a valid choice.",
        "line 6: there are more values than columns",
        "line 4: customId: stands in line 2 already",
    ]
    with pytest.raises(bulk.BadFile, match="line 1: there is no column firstName, lastName"):
        bulk.read_employees(["customId,region\n"])
    with pytest.raises(bulk.BadFile, match="is no CSV"):
        bulk.read_employees([HEAD, 'E1,"Ann,Lee\n'])


async def test_fifty_thousand_employees_come_in_at_once(database_url: str) -> None:
    people = (f"E{number},Ann,Lee,1,e{number}@example.com,Guard,ACTIVE\n" for number in range(50_000))
    employees = bulk.read_employees([HEAD, *people])
    async with served(database_url) as leave:
        assert await bulk.store_employees(leave.context.pool, employees) == bulk.Stored(50_000, 0)
        assert await leave.get("/employees?customId=e49999&fields=email") == [{"email": "e49999@example.com"}]


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

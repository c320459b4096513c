"""Which promises would break? That the embedded database keeps its data, ends with its owner, opens
nothing that was closed, and says in one line why it does not start."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from tests.support.postgres import DatabaseServer, run

from timeoff.embedded import account as accounts
from timeoff.embedded import binaries
from timeoff.embedded.account import unprivileged
from timeoff.embedded.child import Child, command_line
from timeoff.embedded.folder import FolderLock, make_temporary
from timeoff.embedded.postgres import PostgresServer
from timeoff.errors import Unreachable

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about servers started by root")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other accounts can pass through; pytest's own is closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="timeoff-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def pristine() -> Iterator[Path]:
    """A stopped server's folder to copy: initdb is most of the time that a first start takes."""
    folder = Path(tempfile.mkdtemp(prefix="timeoff-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    server = PostgresServer(folder / "data", durable=False)
    run(server.start())
    run(server.stop())
    yield folder / "data"
    shutil.rmtree(folder)


@pytest.fixture
def data(pristine: Path, place: Path) -> Path:
    subprocess.run(["cp", "-a", pristine, place / "data"], check=True)  # owners too
    return place / "data"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def remember(url: str, value: int = 7) -> None:
    async with connected(url) as connection:
        await connection.execute(f"CREATE TABLE memory AS SELECT {value} AS number")


async def recall(url: str) -> int:
    async with connected(url) as connection:
        number: int = await connection.fetchval("SELECT number FROM memory")
        return number


async def until_gone(pid: int) -> None:
    """Not our child, so nothing tells when it ends; the test's time limit is the patience."""
    while command_line(pid) is not None:
        await asyncio.sleep(0.02)


def processes_with(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        command = command_line(int(folder.name))
        if command and text in command:
            found.append(command)
    return found


async def test_each_test_gets_an_empty_database_of_its_own(
    database_url: str, postgres_server: DatabaseServer
) -> None:
    await remember(database_url)
    async with connected(postgres_server.url()) as connection:
        assert await connection.fetchval("SELECT to_regclass('memory')") is None


async def test_data_outlives_the_process_that_wrote_it(place: Path) -> None:
    async with PostgresServer(place / "data") as server:
        await server.create_database("timeoff")
        await remember(server.url("timeoff"))
    async with PostgresServer(place / "data") as server:
        assert await recall(server.url("timeoff")) == 7


async def test_a_durable_server_lets_nobody_in_without_the_password(place: Path) -> None:
    async with PostgresServer(place / "data") as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(f"postgresql://postgres:guess@127.0.0.1:{server.port}/postgres")
        assert stat.S_IMODE((place / "data" / "password").stat().st_mode) == 0o600
        assert not list(place.rglob("password.new"))


async def test_a_durable_server_writes_through_to_the_disk(place: Path) -> None:
    async with PostgresServer(place / "data") as server, connected(server.url()) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await connection.fetchval(f"SHOW {setting}") == "on"


async def test_a_restart_keeps_the_port_that_clients_know(data: Path) -> None:
    server = PostgresServer(data, durable=False)
    await server.start()
    try:
        url = server.url()
        await remember(url)
        await server.stop()
        await server.start()
        assert await recall(url) == 7
    finally:
        await server.stop()


async def test_committed_data_survives_a_crash_of_the_server(place: Path) -> None:
    async with PostgresServer(place / "data") as server:
        await remember(server.url())
        async with connected(server.url()):  # a backend that has to notice the crash by itself
            await server.kill()
            assert not server.running
            await server.start()
        assert await recall(server.url()) == 7


async def test_a_start_after_a_crash_waits_for_a_busy_backend_of_the_killed_server(data: Path) -> None:
    """A backend that computes does not notice at once that its server is gone, and keeps the memory."""
    async with PostgresServer(data, durable=False) as server:
        await remember(server.url())
        async with connected(server.url()) as busy, connected(server.url()) as watcher:
            backend = busy.get_server_pid()
            work = asyncio.create_task(busy.fetchval("SELECT count(*) FROM generate_series(1, 5000000)"))
            while (
                await watcher.fetchval(
                    "SELECT state FROM pg_stat_activity WHERE pid = $1 AND query LIKE 'SELECT count%'",
                    backend,
                )
                != "active"
            ):
                await asyncio.sleep(0)
            await server.kill()
            assert command_line(backend) is not None
            await server.start()
            assert command_line(backend) is None
            await asyncio.wait([work])
            work.exception()
        assert await recall(server.url()) == 7


async def test_a_crashed_server_is_noticed(data: Path) -> None:
    async with PostgresServer(data, durable=False) as server:
        waiting = asyncio.create_task(server.wait())
        await asyncio.sleep(0)
        os.kill(server.pid, signal.SIGKILL)
        assert await waiting == -signal.SIGKILL


async def test_a_template_is_cloned_and_a_database_in_use_can_be_dropped(data: Path) -> None:
    async with PostgresServer(data, durable=False) as server:
        await server.create_database("first")
        await remember(server.url("first"), 1)
        await server.create_database('se"cond', template="first")
        async with connected(server.url('se"cond')) as connection:
            await connection.execute("UPDATE memory SET number = 2")
            assert await recall(server.url("first")) == 1
            await server.drop_database('se"cond')
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await asyncpg.connect(server.url('se"cond'))


async def test_a_temporary_server_leaves_nothing_behind() -> None:
    async with PostgresServer(durable=False) as server:
        folder = server.folder
        assert folder.exists()
    assert not folder.exists()
    assert not processes_with(str(folder))


async def test_two_owners_do_not_fight_over_one_folder(data: Path) -> None:
    async with PostgresServer(data, durable=False) as first:
        await remember(first.url())
        with pytest.raises(Unreachable, match=f"in use by process {os.getpid()}"):
            await PostgresServer(data, durable=False).start()
        assert await recall(first.url()) == 7


OWNER = """
import asyncio, sys
from pathlib import Path
from timeoff.embedded.postgres import PostgresServer

async def main():
    server = PostgresServer(Path(sys.argv[1]))
    await server.start()
    print(server.pid, server.url(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
async def test_the_server_ends_when_its_owner_is_killed(place: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, place / "data"], stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        pid, url = owner.stdout.readline().split()
        await remember(url)
        owner.kill()
    await until_gone(int(pid))
    log = (place / "data" / "server.log").read_text()
    assert "fast shutdown" in log
    async with PostgresServer(place / "data") as server:
        assert await recall(server.url()) == 7
    assert "recovery" not in (place / "data" / "server.log").read_text()[len(log) :]


async def test_the_next_owner_need_not_wait_for_the_killed_one(place: Path) -> None:
    """The old server is still shutting down when the new one starts."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, place / "data"], stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        await remember(owner.stdout.readline().split()[1])
        owner.kill()
    async with PostgresServer(place / "data") as server:
        assert await recall(server.url()) == 7


async def test_the_server_outlives_the_thread_that_started_it(data: Path) -> None:
    """The kernel's death signal follows threads; a server must follow the process."""
    server = PostgresServer(data, durable=False)
    thread = threading.Thread(target=lambda: asyncio.run(server.start()))
    thread.start()
    await asyncio.to_thread(thread.join)
    try:
        # Had the signal come, it would end the server well within this time.
        assert await server._running_child().wait(0.5) is None
        await remember(server.url())
    finally:
        await server.stop()


async def test_an_orphan_is_ended_and_its_data_taken_over(data: Path, place: Path) -> None:
    """Where no death signal exists a server outlives its killed owner."""
    async with PostgresServer(data, durable=False) as server:
        await remember(server.url())
    cluster = data / "cluster"
    argv: list[str | Path] = [
        binaries.find().postgres,
        "-D",
        cluster,
        "-c",
        f"port={server.port}",
        "-c",
        "unix_socket_directories=",
    ]
    orphan = Child(
        argv,
        log=place / "log",
        death_signal=signal.SIGINT,
        environment={"LC_ALL": "C"},
        account=unprivileged(cluster.stat().st_uid),
    )
    try:
        status = cluster / "postmaster.pid"
        while not (status.exists() and "ready" in status.read_text()):
            assert await orphan.wait(0.02) is None
        async with PostgresServer(data, durable=False) as successor:
            assert not orphan.running
            assert await recall(successor.url()) == 7
    finally:
        await orphan.stop((signal.SIGINT, 10))


@pytest.mark.parametrize("ended", [True, False], ids=["zombie", "somebody else's process"])
async def test_a_stale_pid_file_neither_stops_the_start_nor_kills_a_stranger(data: Path, ended: bool) -> None:
    async with PostgresServer(data, durable=False):
        pass
    cluster = data / "cluster"
    who = unprivileged(cluster.stat().st_uid)
    switch = {"user": who.uid, "group": who.gid, "extra_groups": ()} if who else {}
    stranger = subprocess.Popen(["/bin/sleep", "0" if ended else "60"], cwd="/", **switch)  # type: ignore[call-overload]
    try:
        while ended and command_line(stranger.pid) is not None:
            await asyncio.sleep(0.01)
        (cluster / "postmaster.pid").write_text(f"{stranger.pid}\n{cluster}\n1\n1\n\n127.0.0.1\n")
        async with PostgresServer(data, durable=False) as server:
            await remember(server.url())
        assert (command_line(stranger.pid) is None) == ended
    finally:
        stranger.kill()
        stranger.wait()


async def test_data_of_another_major_version_is_refused_and_left_alone(data: Path) -> None:
    async with PostgresServer(data, durable=False):
        pass
    (data / "cluster" / "PG_VERSION").write_text("9\n")
    with pytest.raises(Unreachable, match=r"made by PostgreSQL 9, .* set database\.binaries") as caught:
        await PostgresServer(data, durable=False).start()
    assert "\n" not in str(caught.value)


async def test_an_interrupted_first_start_is_begun_again(place: Path) -> None:
    leftovers = place / "data" / "cluster.new"
    leftovers.mkdir(parents=True)
    (leftovers / "PG_VERSION").write_text("18\n")
    async with PostgresServer(place / "data", durable=False) as server:
        await remember(server.url())


async def test_a_server_that_does_not_start_says_why_and_frees_the_folder(data: Path) -> None:
    with pytest.raises(Unreachable, match="no_such_setting") as caught:
        await PostgresServer(data, durable=False, options={"no_such_setting": "1"}).start()
    assert "\n" not in str(caught.value)
    async with PostgresServer(data, durable=False) as server:
        await remember(server.url())


async def test_a_port_of_another_server_is_named_and_that_server_left_alone(data: Path, place: Path) -> None:
    """Asking the stranger would end in talk of passwords, or in work on its data."""
    async with PostgresServer(place / "other") as other:
        with pytest.raises(Unreachable, match=rf"port {other.port} .* taken by another program") as caught:
            await PostgresServer(data, durable=False, port=other.port).start()
        assert "\n" not in str(caught.value)
        assert "password" not in str(caught.value)
        await remember(other.url())
    async with PostgresServer(data, durable=False) as server:
        await remember(server.url())


async def test_missing_programs_are_named(place: Path) -> None:
    with pytest.raises(Unreachable, match=r"database\.binaries: no postgres and initdb in"):
        await PostgresServer(place / "data", binaries=place).start()


async def test_what_employees_wrote_does_not_reach_the_server_log(data: Path) -> None:
    async with PostgresServer(data, durable=False) as server, connected(server.url()) as connection:
        await connection.execute(
            "CREATE TABLE request (id int PRIMARY KEY, note text CHECK (length(note) < 3))"
        )
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("INSERT INTO request VALUES (1, 'broken leg')")
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("INSERT INTO request VALUES ($1, $2)", 1, "broken leg")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.execute("SELECT 'broken leg'::int")
    log = (data / "server.log").read_text()
    assert "request_note_check" in log
    # The message of a failed cast quotes the value itself: the one place that settings cannot silence.
    assert "broken leg" not in "\n".join(
        line for line in log.splitlines() if "invalid input syntax" not in line
    )


@pytest.fixture
def closed_home(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A 0700 folder with a copy of PostgreSQL inside, and a shelter that the test may spoil."""
    home = place / "home"
    home.mkdir(mode=0o700)
    package = binaries.find().folder.parent.parent
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, home / source.name, ignore=shutil.ignore_patterns("include", "*.py"))
    (home / "pg").symlink_to(home / package.name / binaries.find().folder.parent.name)
    monkeypatch.setattr(accounts, "SHELTERS", (place / "shelter",))
    return home


@as_root
async def test_root_in_a_closed_folder(closed_home: Path, place: Path) -> None:
    """Programs and data lie where the server's account cannot go; no folder of others is opened up."""
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (place, closed_home)}
    for expected in (None, 7):
        async with PostgresServer(closed_home / "data", binaries=closed_home / "pg" / "bin") as server:
            if expected is None:
                await remember(server.url())
            assert await recall(server.url()) == 7
            assert Path(f"/proc/{server.pid}").stat().st_uid != 0
            assert str(place / "shelter" / "postgresql-") in str(Path(f"/proc/{server.pid}/exe").readlink())
            assert (closed_home / "data" / "cluster").resolve().is_relative_to(place / "shelter")
    assert {path: stat.S_IMODE(path.stat().st_mode) for path in modes} == modes
    assert len(list((place / "shelter").glob("postgresql-*"))) == 1


@as_root
@pytest.mark.parametrize("spoil", ["content", "owner", "writable", "extra link"])
async def test_root_never_runs_a_copy_that_was_tampered_with(
    closed_home: Path, place: Path, spoil: str
) -> None:
    who = unprivileged()
    found = binaries.find(closed_home / "pg")
    copy = binaries.reachable(found, who)
    if spoil == "content":
        copy.postgres.write_bytes(b"#!/bin/sh\n")
    elif spoil == "owner":
        os.chown(copy.postgres, 65534, 65534)
    elif spoil == "writable":
        copy.folder.chmod(0o777)
    else:
        (copy.folder.parent / "lib" / "planted.so").symlink_to("/tmp/planted.so")
    again = binaries.reachable(found, who)
    assert again.postgres.read_bytes() == found.postgres.read_bytes()
    assert again.postgres.stat().st_uid == 0
    assert stat.S_IMODE(again.folder.stat().st_mode) == 0o755
    assert not (again.folder.parent / "lib" / "planted.so").is_symlink()


@as_root
@pytest.mark.parametrize("planted", ["folder of another account", "link"])
async def test_root_does_not_use_a_shelter_that_somebody_else_made(
    closed_home: Path, place: Path, planted: str
) -> None:
    if planted == "link":
        (place / "elsewhere").mkdir()
        (place / "shelter").symlink_to(place / "elsewhere")
    else:
        (place / "shelter").mkdir()
        os.chown(place / "shelter", 65534, 65534)
    with pytest.raises(Unreachable, match="no safe folder"):
        await PostgresServer(closed_home / "data", binaries=closed_home / "pg").start()
    assert not list((place / "shelter").iterdir())


@as_root
async def test_root_removes_temporary_data_from_the_shelter_too(
    closed_home: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(closed_home))
    async with PostgresServer(durable=False) as server:
        await remember(server.url())
        assert list((place / "shelter").glob("data-*"))
    assert not list((place / "shelter").glob("data-*"))
    assert not list(closed_home.glob("timeoff-*"))


def test_folders_that_a_killed_run_left_are_swept_and_those_in_use_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left, held, young, unlike = (make_temporary("timeoff-x-") for _ in range(4))
    (unlike / "precious").touch()
    locks = {folder: FolderLock(folder) for folder in (left, held, young)}
    for lock in locks.values():
        lock.acquire("test")
    locks[left].release()
    locks[young].release()
    for folder in (left, held, unlike):
        os.utime(folder, (1, 1))
    make_temporary("timeoff-x-")
    assert [folder.exists() for folder in (left, held, young, unlike)] == [False, True, True, True]
    locks[held].release()

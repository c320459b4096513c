"""A real PostgreSQL server beside this process, for one machine, for the demo and for the tests.

    async with PostgresServer(Path("data")) as server:
        await server.create_database("timeoff")
        connection = await asyncpg.connect(server.url("timeoff"))

The folder holds `cluster` (PostgreSQL's own), `password`, `server.log` and `lock`. Started as root, the
server runs as another account; what that account cannot reach is placed in a shelter (`account`), and
`cluster` is then a link to it. Linux and macOS; on other systems use an external server.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from timeoff.embedded import binaries as programs
from timeoff.embedded import databases
from timeoff.embedded.account import Account, unprivileged
from timeoff.embedded.child import Child, free_port, last_words, port_is_free
from timeoff.embedded.cluster import STOP, Cluster, environment
from timeoff.embedded.folder import make_temporary
from timeoff.embedded.server import OwnedServer
from timeoff.errors import Unreachable

_START_WITHIN: Final = 120.0  # recovery after a crash may take its time
_LOG_LIMIT: Final = 16 * 1024 * 1024

_OPTIONS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Statements and the details of errors can hold what employees wrote: keep them out of the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}

#: synchronous_commit stays on: without fsync it costs next to nothing, and tests that kill the server find
#: what was committed.
_NOT_DURABLE: Final = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer(OwnedServer):
    """An owned server on a free loopback port. Every failure is an `Unreachable` of one line.

    `data_dir` None: a temporary folder, removed on stop. `durable` False: for tests; a crash of the machine
    (not of the server) may cost the data, and every local user may connect. `options` are server settings
    (`-c name=value`) that come last. `port` 0: a free one; another must
    be free. Bound to no event loop. It ends with this
    process: on Linux also when the process is killed, elsewhere at the next start in the same folder.
    """

    title = "embedded PostgreSQL"
    stop_signals = STOP

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        binaries: Path | None = None,
        durable: bool = True,
        port: int = 0,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir)
        self._wanted_binaries = binaries
        self._durable = durable
        self._port = port
        self._options = {**_OPTIONS, **({} if durable else _NOT_DURABLE), **(options or {})}
        self._password: str | None = None

    @property
    def port(self) -> int:
        return self._port

    def url(self, database: str = "postgres") -> str:
        """`postgresql://` address for asyncpg. Holds the password where there is one: never log it."""
        login = "postgres" if self._password is None else f"postgres:{self._password}"
        return f"postgresql://{login}@127.0.0.1:{self._port}/{quote(database, safe='')}"

    async def create_database(self, name: str, template: str | None = None) -> None:
        """Raises `Unreachable`, or asyncpg's DuplicateDatabaseError."""
        await databases.create(self.url(), name, template)

    async def drop_database(self, name: str) -> None:
        """Ends the connections to it first; nothing happens if there is no such database."""
        await databases.drop(self.url(), name)

    async def start(self) -> None:
        """Returns when the server answers. Keeps its port when started again after `stop`."""
        if self.running:
            return
        found = await asyncio.to_thread(programs.find, self._wanted_binaries)
        cluster = Cluster(self._take_folder())
        try:
            account = unprivileged(cluster.owner)
            found = await asyncio.to_thread(programs.reachable, found, account)
            if not cluster.exists:
                await cluster.make(found, account, durable=self._durable)
            cluster.check(found)
            self._password = cluster.password
            await cluster.end_orphan()
            await self._launch(found, cluster, account)
        except BaseException:
            await self.stop()
            raise

    def _take_folder(self) -> Path:
        folder = self._folder or self._given_folder or make_temporary("timeoff-postgres-")
        if not folder.exists():
            try:
                folder.mkdir(parents=True)
                # Our own new folder: the server's account passes through it and sees nothing else.
                folder.chmod(0o711)
            except OSError as error:
                raise Unreachable(f"cannot make {folder} for PostgreSQL: {error.strerror}") from None
        self._take_lock(folder)
        self._folder = folder
        return folder

    async def _launch(self, found: programs.Binaries, cluster: Cluster, account: Account | None) -> None:
        log = cluster.log
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.rename(log.with_suffix(".log.1"))
        keeps_port = self._port != 0  # asked for, or clients know it
        if keeps_port and not port_is_free(self._port):
            # Asked now: once our server has failed to bind, we would be talking to the other one.
            raise Unreachable(
                f"port {self._port} for the embedded PostgreSQL is taken by another program: "
                "stop that program or choose another port"
            )
        for attempt in range(20):
            self._port = self._port or free_port()
            argv: list[str | Path] = [found.postgres, "-D", cluster.real, "-c", f"port={self._port}"]
            for name, value in self._options.items():
                argv += ["-c", f"{name}={value}"]
            size = log.stat().st_size if log.exists() else 0
            self._child = Child(
                argv, log=log, death_signal=signal.SIGINT, environment=environment(), account=account
            )
            if await self._ready(self._child, cluster):
                return
            said = log.read_bytes()[size:]
            if b"shared memory block" in said:  # backends of a killed server are just ending
                await asyncio.sleep(0.05 * (attempt + 1))
            elif b"could not create any TCP/IP sockets" in said and not keeps_port:
                self._port = 0
            else:
                break
        raise Unreachable(f"the embedded PostgreSQL did not start: {last_words(log)} (all of it in {log})")

    async def _ready(self, child: Child, cluster: Cluster) -> bool:
        """True when it answers, False when it ended."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _START_WITHIN
        while child.running:
            try:
                connection = await asyncpg.connect(self.url(), timeout=10)
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
                if clock() > deadline:
                    raise Unreachable(
                        f"the embedded PostgreSQL was silent for {_START_WITHIN:.0f} s"
                    ) from None
                await child.wait(0.01)
                continue
            except asyncpg.InvalidPasswordError:
                # Somebody else's server may have taken the port in between; then ours ends by itself.
                if await child.wait(5) is not None:
                    return False
                raise Unreachable(
                    f"{cluster.password_file} does not hold the password that {cluster.data} was made with"
                ) from None
            except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                raise Unreachable(f"the embedded PostgreSQL refuses us: {type(error).__name__}") from None
            try:
                where: str = await connection.fetchval("SHOW data_directory")
            finally:
                await connection.close()
            # Somebody else's, as above, that let us in.
            if Path(where) == cluster.real:
                return True
            await child.wait(5)
        return False


__all__ = ["PostgresServer"]

"""A server that lives and dies with this process: its own session, a log file, and a death signal.

On Linux the kernel sends the death signal when the *thread* that forked the child ends. Each child
therefore gets a guardian thread that forks it and waits for it, so that a child may be started from any
thread. Elsewhere a child can outlive a killed parent; `end_orphan` finds it at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from timeoff.embedded.account import Account

_BECOME = Path(__file__).with_name("become.py")


def tied(
    argv: Sequence[str | Path], death_signal: signal.Signals, account: Account | None = None
) -> list[str]:
    """The command line that runs `argv` tied to this process: on Linux it gets the signal when we die.

    The tie is to the *thread* that starts it, which has to live as long as the process. `argv` begins with
    an absolute path.
    """
    who = f"{account.uid}:{account.gid}" if account else "-"
    become = [sys.executable, "-I", "-S", str(_BECOME), str(os.getpid()), str(int(death_signal)), who]
    return [*become, *map(str, argv)]


class Child:
    """One running program. Belongs to no event loop: start it in one, wait for it in another.

    `death_signal` is what the child gets when this process dies. Output is appended to `log`.
    Raises OSError if the process cannot be made; a program that cannot be executed exits with 126.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        death_signal: signal.Signals,
        environment: Mapping[str, str],
        account: Account | None = None,
        cwd: Path = Path("/"),
    ) -> None:
        self._argv = tied(argv, death_signal, account)
        self._log = log
        self._environment = dict(environment)
        self._cwd = cwd
        self._lock = threading.Lock()
        self._ended = False
        self._watchers: list[Callable[[], None]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        spawned = threading.Event()
        threading.Thread(
            target=self._guard, args=(spawned,), name=f"guardian of {Path(argv[0]).name}", daemon=True
        ).start()
        spawned.wait()
        if self._failure is not None:
            raise self._failure

    def _guard(self, spawned: threading.Event) -> None:
        try:
            with self._log.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603
                    self._argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._cwd,
                    env=self._environment,
                    start_new_session=True,
                )
        except OSError as error:
            self._failure = error
            return
        finally:
            spawned.set()
        self._process.wait()
        with self._lock:
            self._ended = True
            watchers, self._watchers = self._watchers, []
        for wake in watchers:
            wake()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self._ended

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        assert self._process is not None
        return self._process.returncode if self._ended else None

    def send(self, number: signal.Signals) -> None:
        """Nothing happens when the child has ended already."""
        assert self._process is not None
        if self.running:
            self._process.send_signal(number)

    async def wait(self, timeout: float | None = None) -> int | None:
        """Exit status, or None when it still runs after `timeout` seconds."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # that loop was closed meanwhile
                loop.call_soon_threadsafe(ended.set)

        with self._lock:
            if self._ended:
                return self.returncode
            self._watchers.append(wake)
        try:
            async with asyncio.timeout(timeout):
                await ended.wait()
        except TimeoutError:
            return self.returncode
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._watchers.remove(wake)
        return self.returncode

    async def stop(self, *steps: tuple[signal.Signals, float]) -> None:
        """Send each signal in turn and wait so many seconds after it; SIGKILL when none helped."""
        for number, patience in steps:
            self.send(number)
            if await self.wait(patience) is not None:
                return
        self.send(signal.SIGKILL)
        await self.wait()


def command_line(pid: int) -> str | None:
    """Command line of a living process; None when there is none. A zombie counts as dead."""
    proc = Path("/proc") / str(pid)
    if Path("/proc/self/stat").exists():
        try:
            state = (proc / "stat").read_bytes().rpartition(b")")[2].split()[0]
            if state in (b"Z", b"X"):
                return None
            return (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (OSError, IndexError):
            return None
    listed = subprocess.run(  # noqa: S603
        ["/bin/ps", "-o", "stat=", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    state_, _, command = listed.stdout.strip().partition(" ")
    return None if not state_ or state_.startswith("Z") else command.strip()


async def end_orphan(pid: int, marks: str, *steps: tuple[signal.Signals, float]) -> bool:
    """End a server whose parent died. Only a process whose command line holds `marks` is touched.

    True when no such process lives any more. False when it resists, or belongs to somebody else.
    """

    def alive() -> bool:
        command = command_line(pid)
        return command is not None and marks in command

    for number, patience in (*steps, (signal.SIGKILL, 5.0)):
        if not alive():
            return True
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        deadline = asyncio.get_running_loop().time() + patience
        while alive() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - not our child
            await asyncio.sleep(0.02)
    return not alive()


def free_port() -> int:
    """A loopback port that was free a moment ago; whoever binds it must be ready to lose a race.

    Taken below the range from which the kernel serves outgoing connections, where it can be: a client
    that keeps trying to reach a server that is down would sooner or later be given that very port.
    """
    for _ in range(50):
        port = random.SystemRandom().randrange(20000, max(_first_outgoing_port(), 20001))
        if port_is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        given: int = probe.getsockname()[1]
        return given


def _first_outgoing_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 49152  # the range IANA sets aside for this, which macOS uses


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def last_words(log: Path) -> str:
    """Why a program ended, as far as its log tells, on one line: what it calls fatal, else its last lines."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            text = file.read().decode(errors="replace")
    except OSError:
        return "it left no log"
    said = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("at ")]
    fatal = [line for line in said if "FATAL" in line or "error:" in line]
    return " | ".join(fatal[-1:] or said[-3:])[:400]


__all__ = ["Child", "command_line", "end_orphan", "free_port", "last_words", "port_is_free"]

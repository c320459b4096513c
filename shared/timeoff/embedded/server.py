"""What an owned server is, whichever program it runs: a child process, a folder, a lock on the folder."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from timeoff.embedded.child import Child
from timeoff.embedded.folder import FolderLock, remove
from timeoff.errors import Unreachable


class OwnedServer(ABC):
    """A server that ends with this process. `given_folder` None: a temporary one, removed on stop."""

    #: as messages call it, e.g. "embedded Kafka"
    title: ClassVar[str]
    #: signals that end it, each with the seconds it gets
    stop_signals: ClassVar[tuple[tuple[signal.Signals, float], ...]]

    def __init__(self, given_folder: Path | None) -> None:
        self._given_folder = given_folder.absolute() if given_folder is not None else None
        self._folder: Path | None = None
        self._lock: FolderLock | None = None
        self._child: Child | None = None

    @abstractmethod
    async def start(self) -> None:
        """Returns when the server answers."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def folder(self) -> Path:
        """Where it keeps everything; known once started."""
        if self._folder is None:
            raise Unreachable(f"the {self.title} is not started")
        return self._folder

    @property
    def pid(self) -> int:
        return self._running_child().pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    async def stop(self) -> None:
        """Clean shutdown, then harder. A temporary folder is removed."""
        try:
            if self._child is not None:
                await self._child.stop(*self.stop_signals)
                self._stopped()
        finally:
            self._child = None
            if self._given_folder is None and self._folder is not None:
                remove(self._folder)
                self._folder = None
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    async def kill(self) -> None:
        """SIGKILL, as a crash would do; the folder stays, also a temporary one, for the next `start`."""
        child = self._running_child()
        child.send(signal.SIGKILL)
        await child.wait()

    async def wait(self) -> int:
        """Returns the exit status once the server has ended, whoever ended it."""
        status = await self._running_child().wait()
        assert status is not None
        return status

    def _stopped(self) -> None:  # noqa: B027 - most have nothing left to do
        """Called after a clean stop, while the folder is still there."""

    def _take_lock(self, folder: Path) -> None:
        """Hold the folder against other processes. Raises `Unreachable` if one of them has it."""
        lock = self._lock or FolderLock(folder)
        lock.acquire(self.title)
        self._lock = lock

    def _running_child(self) -> Child:
        if self._child is None:
            raise Unreachable(f"the {self.title} is not running")
        return self._child

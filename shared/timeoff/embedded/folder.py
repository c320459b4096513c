"""Folders of an embedded server: locked by one process at a time, swept when they were temporary."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from timeoff.errors import Unreachable

_SWEEP_AFTER = 300.0


class FolderLock:
    """An exclusive lock on a folder, freed by the kernel when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def acquire(self, what: str) -> None:
        """Raises `Unreachable`, which names `what` and the holder's process id."""
        if self._descriptor is not None:
            return
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unreachable(f"{what}: cannot use {self._path.parent}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Unreachable(
                f"{what}: {self._path.parent} is in use by process {holder}; stop it or choose another folder"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def make_temporary(prefix: str) -> Path:
    """A new temporary folder; other accounts may pass through it but see nothing.

    Folders with the same prefix whose owner was killed are removed first.
    """
    root = Path(tempfile.gettempdir())
    for old in root.glob(f"{prefix}*"):
        _sweep(old)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


def _sweep(old: Path) -> None:
    """Remove it if it is ours, not brand new, and nobody holds its lock."""
    try:
        found = old.lstat()
        age = time.time() - found.st_mtime
        if old.is_symlink() or found.st_uid != os.geteuid() or age < _SWEEP_AFTER:
            return
        descriptor = os.open(old / "lock", os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(old)
    except OSError:
        return
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder and, where its `cluster` is a link to a shelter, what the link points to."""
    cluster = folder / "cluster"
    if cluster.is_symlink():
        shutil.rmtree(cluster.resolve().parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


__all__ = ["FolderLock", "make_temporary", "remove"]

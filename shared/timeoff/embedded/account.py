"""Whom a server runs as, when we are root and it refuses to be, and what that account can reach.

Folders above a server's files belong to others: they are looked at, never opened up. What the account
cannot reach goes to a *shelter*: a folder of root's own where nobody else can plant anything.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from timeoff.errors import Unreachable

#: Tried in turn. Both exist on every Linux and macOS system, and all of their parents are root's.
SHELTERS = (Path("/var/lib/timeoff-sync"), Path("/var/tmp/timeoff-sync"))  # noqa: S108

#: An account of its own first: files of `nobody` could be read by whatever else runs as nobody.
_CANDIDATES = ("timeoff", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An existing system account, without its supplementary groups."""

    name: str
    uid: int
    gid: int

    def enters(self, folder: Path) -> bool:
        """Whether it may pass through `folder` and every folder above it."""
        return all(self._may(part, 0o1) for part in (folder, *folder.parents))

    def executes(self, file: Path) -> bool:
        return self._may(file, 0o5) and self.enters(file.parent)

    def _may(self, path: Path, wanted: int) -> bool:
        try:
            found = path.stat()
        except OSError:
            return False
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return (found.st_mode >> shift) & wanted == wanted


def unprivileged(owner: int | None = None) -> Account | None:
    """The account to run a server as: None (stay) unless we are root.

    `owner` is the uid that owns existing data and wins, so that a later start changes nothing.
    Raises `Unreachable` if root has no other account to offer.
    """
    if os.geteuid() != 0:
        return None
    if owner:
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            return Account(str(owner), owner, owner)
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise Unreachable(
        "PostgreSQL refuses to run as root and this system has none of the accounts "
        f"{', '.join(_CANDIDATES)}: start as an ordinary user, or set database.url"
    )


def shelter(account: Account) -> Path:
    """A folder of root's own that `account` can enter and nobody else can write to; made when absent.

    Raises `Unreachable`.
    """
    refused = []
    for folder in SHELTERS:
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            if folder.lstat().st_uid == 0 and not folder.is_symlink():
                folder.chmod(0o755)
        except OSError as error:
            refused.append(f"{folder}: {error.strerror}")
            continue
        complaint = next(_complaints(folder), None)
        if complaint is None and account.enters(folder):
            return folder
        refused.append(complaint or f"{folder}: {account.name} cannot enter it")
    raise Unreachable(
        "PostgreSQL cannot run as root, and there is no safe folder that another account can enter "
        f"({'; '.join(refused)}): start as an ordinary user, or set database.url"
    )


def _complaints(folder: Path) -> Iterator[str]:
    """Why somebody else could put something into `folder` or exchange it."""
    if folder.is_symlink():
        yield f"{folder}: is a link"
    for part in (folder, *folder.resolve().parents):
        found = part.stat()
        if found.st_uid != 0:
            yield f"{part}: does not belong to root"
        elif found.st_mode & 0o022 and (part == folder or not found.st_mode & stat.S_ISVTX):
            yield f"{part}: others may write to it"


__all__ = ["SHELTERS", "Account", "shelter", "unprivileged"]

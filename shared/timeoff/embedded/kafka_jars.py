"""The jars of a Kafka broker: fetched once from Maven Central, kept outside of any source tree.

The folder is `kafka-VERSION-DIGEST` below TIMEOFF_CACHE, else below `timeoff-sync` in the user's cache
folder (XDG_CACHE_HOME, else ~/.cache). The digest is that of the recipe, so a changed recipe is fetched
anew and the old jars stay for whoever uses them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from timeoff.errors import Unreachable

_PLUGIN: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_JAVA: Final = 17
_FETCH_WITHIN: Final = 600.0

HOW_TO_GET_IT: Final = (
    "install Java 17 or newer and Maven (on Debian: openjdk-17-jre-headless, maven) and run again; "
    "the first run fetches Kafka from Maven Central"
)


class KafkaUnavailable(Unreachable):
    """No broker can be had on this machine; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class KafkaRuntime:
    """What a broker is started from. `archive` is a speed-up of the JVM's start and may be absent."""

    java: Path
    jars: tuple[Path, ...]
    archive: Path

    @property
    def class_path(self) -> str:
        """In one fixed order: the archive is valid for exactly the class path it was made with."""
        return os.pathsep.join(map(str, self.jars))


def recipe(name: str) -> str:
    """Text of one file of the recipe: pom.xml, server.properties or log4j2.properties."""
    return (files("timeoff.embedded") / "kafka_recipe" / name).read_text()


def cache_folder() -> Path:
    """Where fetched things are kept; not made here."""
    if chosen := os.environ.get("TIMEOFF_CACHE"):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "timeoff-sync"


def ensure(cache: Path | None = None) -> KafkaRuntime:
    """Find Java and the jars; fetch the jars if need be (some 45 MB, seconds to minutes, once).

    Blocks. Two processes never fetch at once. Raises `KafkaUnavailable`.
    """
    java, identity = _java()
    pom = recipe("pom.xml")
    version = re.search(r"<kafka\.version>(.+?)</", pom)
    assert version is not None
    digest = hashlib.sha256(pom.encode()).hexdigest()[:8]
    folder = (cache or cache_folder()) / f"kafka-{version[1]}-{digest}"
    libs = folder / "libs"
    try:
        if not libs.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder / "lock"):
                if not libs.is_dir():
                    _fetch(pom, libs)
        jars = tuple(sorted(libs.glob("*.jar")))
    except OSError as error:
        raise KafkaUnavailable(f"the cache {folder} cannot be used: {error.strerror}") from None
    return KafkaRuntime(java, jars, folder / f"classes-{identity}.jsa")


def _java() -> tuple[Path, str]:
    """The program and a short name of its build, since an archive serves one build only."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None) or shutil.which("java")
    if found is None:
        raise KafkaUnavailable("Kafka needs Java, which is not installed")
    try:
        answer = subprocess.run(  # noqa: S603
            [found, "-version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise KafkaUnavailable(f"{found} does not run") from None
    match = re.search(r'version "(\d+)', answer.stderr)
    if match is None or int(match[1]) < _JAVA:
        raise KafkaUnavailable(
            f"Kafka needs Java {_JAVA} or newer; {found} is {match[1] if match else 'unknown'}"
        )
    return Path(found), hashlib.sha256(answer.stderr.encode()).hexdigest()[:8]


def _fetch(pom: str, libs: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("Kafka is fetched with Maven (mvn), which is not installed")
    building = Path(tempfile.mkdtemp(prefix=".fetching-", dir=libs.parent))
    try:
        (building / "pom.xml").write_text(pom)
        command = [maven, "-B", "-q", "--strict-checksums", "-f", str(building / "pom.xml"), _PLUGIN]
        try:
            done = subprocess.run(  # noqa: S603
                [*command, "-DincludeScope=runtime", f"-DoutputDirectory={building / 'libs'}"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_FETCH_WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise KafkaUnavailable(f"Maven did not fetch Kafka within {_FETCH_WITHIN:.0f} s") from None
        if done.returncode != 0 or not any((building / "libs").glob("kafka_*.jar")):
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), "it said nothing")
            raise KafkaUnavailable(f"Maven could not fetch Kafka: {said[:300]}")
        (building / "libs").rename(libs)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Waits for whoever is fetching; the kernel frees the lock of a process that died."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


__all__ = ["HOW_TO_GET_IT", "KafkaRuntime", "KafkaUnavailable", "cache_folder", "ensure", "recipe"]

"""Newman, Postman's runner for collections: fetched once with npm, kept where Kafka's jars are kept.

The folder is `newman-DIGEST` below the cache folder; the digest is that of the lock file beside this module.
TIMEOFF_TEST_NEWMAN names an installed newman instead. Without npm the tests that need it are skipped; under
CI=true they fail.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import pytest

from timeoff.embedded.kafka_jars import cache_folder

HERE: Final = Path(__file__).parent
FETCH_WITHIN: Final = 300.0


def newman() -> Path:
    """The program. Blocks while it is fetched (some 60 MB, once); skips where it cannot be had."""
    if chosen := os.environ.get("TIMEOFF_TEST_NEWMAN"):
        return Path(chosen)
    if shutil.which("node") is None or shutil.which("npm") is None:
        _not_to_be_had("Node.js 18 or newer with npm is not installed")
    lock = (HERE / "package-lock.json").read_bytes()
    folder = cache_folder() / f"newman-{hashlib.sha256(lock).hexdigest()[:8]}"
    program = folder / "node_modules" / ".bin" / "newman"
    if not program.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Two processes never fetch at once; the kernel frees the lock of one that died.
        with (folder.parent / f".{folder.name}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not program.exists():
                _fetch(folder)
    return program


def _fetch(folder: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix=".fetching-", dir=folder.parent))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, building)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(building)]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            _not_to_be_had(f"npm did not fetch it within {FETCH_WITHIN:.0f} s")
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines()
            _not_to_be_had(f"npm could not fetch it: {lines[0][:300] if lines else 'it said nothing'}")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _not_to_be_had(reason: str) -> None:
    words = f"Newman cannot be had: {reason}; TIMEOFF_TEST_NEWMAN may name an installed one"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(words)
    pytest.skip(words)

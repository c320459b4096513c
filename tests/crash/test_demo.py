"""The demo is the product's own proof: it passes as it is, and fails with any protection switched off."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from timeoff_cli.demo.stage import COMMAND

pytestmark = pytest.mark.timeout(300)


async def test_the_demo_ends_with_zeros(tmp_path: Path) -> None:
    """Would break: one command shows the whole way, and its table holds zeros."""
    code, said = await _demo(tmp_path)
    assert code == 0, said
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"] is True


async def test_the_demo_against_the_leave_service_ends_with_zeros(tmp_path: Path) -> None:
    """Would break: the product would work with the one HRIS that it was made with."""
    code, said = await _demo(tmp_path, "--hris", "leave")
    assert code == 0, said
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["passed"] is True
    # The proxy did spoil answers, and the judge did see writes.
    assert {"refuse", "throttle", "commit_then_drop"} <= set(report["hris_faults"])
    assert report["latency_ms"]["samples"] > 30


async def test_the_demo_fails_with_a_protection_switched_off(tmp_path: Path) -> None:
    """Would break: the demo would prove nothing if it could not fail.

    Side by side, for time.
    """
    breaks = ("no-find", "no-intent", "no-order")
    folders = [tmp_path / name for name in breaks]
    for folder in folders:
        folder.mkdir()
    runs = [_demo(folder, "--break", name) for folder, name in zip(folders, breaks, strict=True)]
    for name, folder, (code, said) in zip(breaks, folders, await asyncio.gather(*runs), strict=True):
        assert code == 1, f"{name}\n{said}"
        assert json.loads((folder / "report.json").read_text())["passed"] is False, name


async def _demo(folder: Path, *arguments: str) -> tuple[int, str]:
    size = ("--changes", "120", "--agents", "40", "--seconds", "12")
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "demo",
        *size,
        "--json",
        str(folder / "report.json"),
        *arguments,
        # Its own folder: two demos on one machine must not meet.
        env={**os.environ, "TMPDIR": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()[-3000:]

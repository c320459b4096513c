"""Failpoints: only declared names, exact hits, and nothing happens while nothing is armed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from timeoff.errors import SettingsError
from timeoff.runtime import failpoints

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    failpoints.disarm()
    yield
    failpoints.disarm()


async def test_only_the_nth_hit_acts() -> None:
    failpoints.arm("sync.after-call=raise@3")
    await failpoints.hit("sync.after-call")
    await failpoints.hit("sync.after-intent")
    await failpoints.hit("sync.after-call")
    with pytest.raises(failpoints.FailpointReached):
        await failpoints.hit("sync.after-call")
    await failpoints.hit("sync.after-call")


async def test_without_a_number_every_hit_acts() -> None:
    failpoints.arm("sync.after-call=raise; relay.after-append=sleep:0")
    for _ in range(2):
        with pytest.raises(failpoints.FailpointReached):
            await failpoints.hit("sync.after-call")
    await failpoints.hit("relay.after-append")


async def test_wait_tells_that_it_is_there_and_goes_on_when_the_file_appears(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    failpoints.arm(f"intake.before-commit=wait:{gate}")
    waiting = asyncio.create_task(failpoints.hit("intake.before-commit"))
    reached = tmp_path / "gate.reached"
    while not reached.exists():
        await asyncio.sleep(0.001)
    assert not waiting.done()
    gate.touch()
    await waiting


def test_arming_sets_the_flag_and_disarming_clears_it() -> None:
    failpoints.arm_from({})
    assert not failpoints.armed
    failpoints.arm_from({"TIMEOFF_FAILPOINTS": "sync.after-call=kill@2"})
    assert failpoints.armed
    failpoints.disarm()
    assert not failpoints.armed


@pytest.mark.parametrize(
    "text",
    [
        "nobody.knows=kill",
        "sync.after-call",
        "sync.after-call=explode",
        "sync.after-call=kill@0",
        "sync.after-call=kill@x",
        "sync.after-call=exit:x",
        "sync.after-call=exit:256",
        "sync.after-call=sleep:",
        "sync.after-call=wait:",
    ],
)
def test_a_text_that_cannot_be_armed_is_a_settings_error(text: str) -> None:
    with pytest.raises(SettingsError, match=r"TIMEOFF_FAILPOINTS"):
        failpoints.arm(text)
    assert not failpoints.armed


def test_all_mistakes_are_named_and_nothing_is_armed() -> None:
    with pytest.raises(SettingsError) as caught:
        failpoints.arm("a=kill;sync.after-call=raise;b=kill")
    assert len(caught.value.problems) == 2
    assert not failpoints.armed


async def test_an_undeclared_name_is_a_defect_of_the_caller() -> None:
    failpoints.arm("sync.after-call=raise")
    with pytest.raises(LookupError):
        await failpoints.hit("sync.after-cal")


def test_every_failpoint_in_the_code_is_declared_and_guarded() -> None:
    """A crash test that arms a name nobody hits would pass for the wrong reason."""
    for path in [*ROOT.glob("shared/**/*.py"), *ROOT.glob("services/**/*.py")]:
        if path.name == "failpoints.py":
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if (found := re.search(r'failpoints\.hit\(\s*"([^"]+)"', line)) is not None:
                assert found[1] in failpoints.NAMES, f"{path}:{number + 1}"
                assert "if failpoints.armed" in lines[number - 1], f"{path}:{number + 1} is not free"

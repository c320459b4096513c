"""Named places where a test can stop, kill or delay a process. Free while nothing is armed.

    if failpoints.armed:
        await failpoints.hit("sync.after-call")

Armed by `TIMEOFF_FAILPOINTS`, actions separated by `;`, each `name=action`, optionally `@N` for the Nth hit
only (else every hit):

    sync.after-call=kill@3      SIGKILL to this process
    sync.after-call=exit:7      end at once with this exit code, without clean-up
    relay.after-append=raise    raise `FailpointReached`
    sync.after-intent=sleep:0.5 wait so many seconds
    sync.after-call=wait:/a/b   create /a/b.reached, then wait until /a/b exists
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from timeoff.errors import SettingsError

VARIABLE: Final = "TIMEOFF_FAILPOINTS"

#: Every failpoint and where it stands. A name that is not here cannot be armed.
NAMES: Final[dict[str, str]] = {
    "listener.before-append": "the listener is about to append observations to the log",
    "listener.after-append": "the log has them, the listener does not count them as seen yet",
    "intake.before-commit": "a batch is written in the ledger's transaction, which is open",
    "intake.after-commit": "the ledger has the batch, the log's offset is not committed",
    "sync.after-intent": "the intent is committed, the HRIS is not called yet",
    "sync.after-call": "the HRIS has answered, nothing is recorded yet",
    "sync.before-outcome": "the evidence is at hand, the outcome is about to be committed",
    "sync.between-steps": "one of several writes of a request is recorded, the next is not announced yet",
    "relay.after-append": "outgoing events are in the log, the ledger does not know it yet",
}

_ACTIONS: Final = "kill, exit:CODE, raise, sleep:SECONDS or wait:FILE"
_POLL: Final = 0.01

#: Read this before calling `hit`; that is what makes an unarmed failpoint free.
armed: bool = False


class FailpointReached(Exception):
    """Raised by the action `raise`; no code but a test knows it, so it goes the way of any defect."""


@dataclass(slots=True)
class _Armed:
    action: str
    argument: str
    only: int | None
    hits: int = field(default=0)


_armed: dict[str, list[_Armed]] = {}


def arm(text: str) -> None:
    """Arm what the text says, in place of what was armed. Raises `SettingsError` with every mistake."""
    global armed
    found: dict[str, list[_Armed]] = {}
    problems: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, _, action = part.partition("=")
        try:
            found.setdefault(name, []).append(_parse(name, action))
        except ValueError as error:
            problems.append(f"{VARIABLE}: {part}: {error}")
    if problems:
        raise SettingsError(problems)
    _armed.clear()
    _armed.update(found)
    armed = bool(found)


def arm_from(environ: Mapping[str, str]) -> None:
    """Arm what `TIMEOFF_FAILPOINTS` says, if it says anything."""
    if text := environ.get(VARIABLE):
        arm(text)


def disarm() -> None:
    """Nothing is armed any more, and all counts are forgotten."""
    global armed
    _armed.clear()
    armed = False


async def hit(name: str) -> None:
    """Do what is armed under that name. Raises `LookupError` for a name that is not declared."""
    if name not in NAMES:
        raise LookupError(f"failpoint {name} is not declared in failpoints.NAMES")
    for point in _armed.get(name, ()):
        point.hits += 1
        if point.only is None or point.only == point.hits:
            await _act(name, point)


async def _act(name: str, point: _Armed) -> None:
    match point.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(int(point.argument))
        case "raise":
            raise FailpointReached(name)
        case "sleep":
            await asyncio.sleep(float(point.argument))
        case "wait":
            gate = Path(point.argument)
            gate.with_name(gate.name + ".reached").touch()
            while not os.path.exists(gate):  # noqa: ASYNC110, ASYNC240, PTH110  (another process opens the gate)
                await asyncio.sleep(_POLL)


def _parse(name: str, action: str) -> _Armed:
    if name not in NAMES:
        raise ValueError(f"no such failpoint; there are {', '.join(NAMES)}")
    text, at, number = action.rpartition("@")
    if not at:
        text, number = action, ""
    elif not number.isdigit() or int(number) == 0:
        raise ValueError("after @ stands which hit it is, counted from 1")
    word, _, argument = text.partition(":")
    match word:
        case "kill" | "raise":
            valid = not argument
        case "exit":
            valid = argument.isdigit() and int(argument) < 256
        case "sleep":
            valid = argument.replace(".", "", 1).isdigit()
        case "wait":
            valid = bool(argument)
        case _:
            valid = False
    if not valid:
        raise ValueError(f"the action is one of {_ACTIONS}")
    return _Armed(word, argument, int(number) if number else None)


__all__ = ["NAMES", "VARIABLE", "FailpointReached", "arm", "arm_from", "disarm", "hit"]

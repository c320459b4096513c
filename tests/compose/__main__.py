"""Builds the image, runs docker-compose.yml, and looks: health, bookings, balances, two syncs, the end.

    python -m tests.compose            # what `make compose-test` does
    python -m tests.compose --keep     # leave it running, and say how to look at it and to end it

Exit codes: 0 all was seen, 1 something was not, 3 there is no engine to run containers.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from tests.compose.people import Caller, Leave, Sandbox, in_days
from tests.compose.stack import IMAGE, LABEL, ROOT, Failed, NoEngine, Stack, until

#: Ends with 0 on SIGTERM; the others are not ours (a JVM says 143).
OURS = ("balance", "leave", "listener", "sandbox", "sync")


class Progress:
    """A line when a step begins, and one when it is done."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._begun:6.1f} s  {text}", flush=True)

    def step(self, what: str, act: Callable[[], str | None]) -> None:
        self.say(what)
        if found := act():
            self.say(f"    {found}")


class Trial:
    """The steps; each raises `Failed`, or says what it saw."""

    def __init__(self, stack: Stack, progress: Progress) -> None:
        self._stack = stack
        self._say = progress.say
        self._count = len(stack.services())
        self._first = ""
        self._before: dict[str, int] = {}
        self._healthy_ones: set[str] = set()

    def build(self) -> str:
        self._stack("build", "sync", within=1800)
        image = json.loads(self._stack.run(["docker", "image", "inspect", IMAGE]))[0]
        if (image["Config"].get("Labels") or {}).get(LABEL):
            self._say("    the base images are stand-ins: see deploy/compose/stand-ins")
        return f"{IMAGE}, {image['Size'] / 1e6:.0f} MB with its base"

    def start(self) -> str:
        """The HRIS first, with its people: an agent without an employee would wait for a person."""
        self._stack("up", "-d", "sandbox", "leave", within=600)
        self._stack.wait_healthy(self._say_healthy, 3)
        self._stack.environ["COMPOSE"] = " ".join(self._stack.compose)
        self._say("    " + self._stack.run([str(ROOT / "deploy/compose/leave-people.sh")]).splitlines()[-1])
        self._stack("up", "-d", within=600)
        return self._healthy()

    def look_inside(self) -> str:
        """Nobody is root, nothing is written that need not be, no secret stands where it can be read."""
        containers = self._stack.containers()
        for container in containers:
            name = self._stack.short(container)
            if self._stack.run(["docker", "exec", container["Id"], "id", "-u"]).strip() == "0":
                raise Failed(f"{name} runs as root")
            if not container["HostConfig"]["ReadonlyRootfs"] and "kafka" not in name:
                raise Failed(f"{name}: its file system is not read-only")
        shown = json.dumps(containers) + self._stack.run(["docker", "image", "inspect", IMAGE])
        shown += self._stack.run(["docker", "history", "--no-trunc", IMAGE])
        shown += self._stack("logs", "--no-color")
        ours = [
            file.name for file in self._stack.secrets.iterdir() if not file.read_text().startswith("sandbox-")
        ]
        if leaked := [name for name in ours if self._stack.secret(name) in shown]:
            raise Failed(
                f"these secrets stand in the image, in a container's description or in a log: {leaked}"
            )
        return f"{len(containers)} containers, none as root, no secret in image, description or log"

    def go_live(self) -> str:
        """Shadow mode until the first backfill has seen everybody."""
        metrics = (
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
        )
        until(
            lambda: "timeoff_listener_open_gaps 0" in self._stack.exec("listener", "python", "-c", metrics),
            "the first gap is closed",
        )
        return self._stack.exec("sync", "timeoff-sync", "go-live", "--yes").splitlines()[-1]

    def book(self) -> str:
        """One change each for the two targets; the supervisor sees both booked."""
        sandbox, day = Sandbox(self._stack), in_days(30)
        berlin, new_york = sandbox.agent_of("Berlin"), sandbox.agent_of("New York")
        self._before = self._left()
        self._first = sandbox.approve(berlin, "5", day)
        second = sandbox.approve(new_york, "8", day)
        until(
            lambda: sandbox.entries(berlin["employeeId"]).get(day) == "approved",
            "a record in the sandbox's HRIS",
        )

        leave = Leave(self._stack)
        until(
            lambda: leave.requests_of(new_york["email"]) == [(day, "APPROVED")],
            "a request in the leave service",
        )
        for request_id in (self._first, second):
            until(
                partial(sandbox.shows_booked, request_id),
                "Genesys shows that it is booked",
            )
        return f"{day} is booked in the sandbox's HRIS and in the leave service, and Genesys shows it"

    def ask(self) -> str:
        """What is left, of both HRIS: soon less than before by exactly what was booked.

        For as long as nobody can know whether the HRIS has counted a write already, less is shown.
        """
        Caller(self._stack).is_refused_without_token()
        wanted = {target: minutes - 480 for target, minutes in self._before.items()}
        until(lambda: self._left() == wanted, f"balances of {_shown(wanted)} after the booking", 90)
        return f"{_shown(self._before)} before, {_shown(wanted)} after; without a token: 401"

    def _left(self) -> dict[str, int]:
        sandbox, caller, day = Sandbox(self._stack), Caller(self._stack), in_days(30)
        return {
            "main": caller.minutes_left("main", sandbox.agent_of("Berlin"), "83", day),
            "leave": caller.minutes_left("leave", sandbox.agent_of("New York"), "10", day),
        }

    def scale(self) -> str:
        self._stack("up", "-d", "--no-build", "--scale", "sync=2", within=300)
        self._count += 1
        return self._healthy()

    def lose_one(self) -> str:
        """The sync that has done the work is killed; the other goes on."""
        older = self._stack.containers("sync")[0]
        self._stack.run(["docker", "kill", older["Id"]])
        sandbox, day = Sandbox(self._stack), in_days(31)
        berlin = sandbox.agent_of("Berlin")
        begun = time.monotonic()
        sandbox.deny(self._first)
        sandbox.approve(berlin, "5", day)
        wanted = {in_days(30): "canceled", day: "approved"}
        until(lambda: sandbox.entries(berlin["employeeId"]) == wanted, "the other sync books and cancels", 90)
        self._stack.run(["docker", "start", older["Id"]])
        took = time.monotonic() - begun
        return f"the other booked a day and cancelled one, {took:.1f} s after the first was killed"

    def stop(self) -> str:
        self._healthy()
        self._stack("stop", within=180)
        codes = {self._stack.short(each): each["State"]["ExitCode"] for each in self._stack.containers()}
        if wrong := {name: code for name, code in codes.items() if name.startswith(OURS) and code != 0}:
            raise Failed(f"ended with another code than 0: {wrong}")
        return "all ended in order"

    def _healthy(self) -> str:
        self._stack.wait_healthy(self._say_healthy, self._count)
        return f"{self._count} containers are healthy"

    def _say_healthy(self, name: str) -> None:
        if name not in self._healthy_ones:
            self._healthy_ones.add(name)
            self._say(f"    healthy: {name}")


def _shown(minutes: dict[str, int]) -> str:
    return ", ".join(f"{target} {left} min" for target, left in minutes.items())


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--keep"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        stack = Stack()
    except NoEngine as error:
        print(f"compose-test: NOT RUN: {error}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, _interrupt)
    progress = Progress()
    try:
        stack.make_secrets()
        trial = Trial(stack, progress)
        progress.step("build the image", trial.build)
        progress.step("start everything", trial.start)
        progress.step("look at users, file systems and secrets", trial.look_inside)
        progress.step("go live", trial.go_live)
        progress.step("approve leave in Genesys", trial.book)
        progress.step("ask the balance service", trial.ask)
        progress.step("scale sync to two", trial.scale)
        progress.step("kill the first sync, deny and approve leave", trial.lose_one)
        if not arguments:
            progress.step("stop", trial.stop)
    except (Failed, KeyboardInterrupt) as error:
        print(f"\nFAILED: {str(error) or 'interrupted'}\n", file=sys.stderr, flush=True)
        stack.show_trouble()
        _take_down(stack, progress)
        return 1
    except BaseException:
        _take_down(stack, progress)
        raise
    if arguments:
        variables = [f"{key}={value}" for key, value in stack.environ.items() if key.startswith("DEPLOY_")]
        print("\nkept; end it with:", *variables, *stack.compose[:-4], f"-p {stack.name} down --volumes")
        return 0
    _take_down(stack, progress)
    progress.say("passed")
    return 0


def _take_down(stack: Stack, progress: Progress) -> None:
    progress.step("take everything down", lambda: _down(stack))


def _down(stack: Stack) -> str:
    stack.down()
    kinds: tuple[list[str], ...] = (["ps", "-aq"], ["network", "ls", "-q"], ["volume", "ls", "-q"])
    label = f"label=com.docker.compose.project={stack.name}"
    left: list[Any] = [
        each for kind in kinds for each in stack.run(["docker", *kind, "--filter", label]).split()
    ]
    if left:
        raise Failed(f"something is left: {left}")
    return f"containers, networks, volumes and secrets are gone; the image {IMAGE} stays, as a cache"


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

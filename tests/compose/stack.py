"""One Compose project with names, secrets and volumes of its own, and nothing left of it afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
IMAGE = "timeoff-sync:compose-test"
LABEL = "timeoff.stand-in"


class Failed(Exception):
    """Something that had to be so was not; the message says what."""


class NoEngine(Exception):
    """There is nothing to run containers with."""


def find_compose() -> list[str]:
    """`docker compose`, else the older `docker-compose`. Raises `NoEngine`."""
    if shutil.which("docker") is None:
        raise NoEngine("docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        raise NoEngine("the Docker engine does not answer: is it running, may this user use it?")
    if not subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    raise NoEngine("neither `docker compose` nor docker-compose is installed")


class Stack:
    """The project of docker-compose.yml under a name of its own; ports and secrets are its own too."""

    def __init__(self) -> None:
        self.compose = [
            *find_compose(),
            "--project-directory",
            str(ROOT),
            "-f",
            str(ROOT / "docker-compose.yml"),
        ]
        self.name = f"timeoff-test-{os.getpid()}"
        self.secrets = Path(tempfile.mkdtemp(prefix="timeoff-secrets-"))
        self.environ = {
            **{
                key: value for key, value in os.environ.items() if not key.startswith(("COMPOSE_", "DEPLOY_"))
            },
            "COMPOSE_PROJECT_NAME": self.name,
            "DEPLOY_IMAGE": IMAGE,
            "DEPLOY_SECRETS": str(self.secrets),
            "DEPLOY_SETTINGS": str(ROOT / "deploy/compose"),
            "DEPLOY_LEAVE_PORT": "127.0.0.1:0",
            "DEPLOY_BALANCE_PORT": "127.0.0.1:0",
        }

    def make_secrets(self) -> None:
        self.run([str(ROOT / "deploy/compose/secrets.sh"), str(self.secrets)])

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()

    def run(self, command: list[str], *, stdin: str | None = None, within: float = 120.0) -> str:
        """Standard output. Raises `Failed` with the end of what was said."""
        try:
            done = subprocess.run(
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                capture_output=True,
                text=True,
                env=self.environ,
                cwd=ROOT,
                timeout=within,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(command[:12])}: no end within {within:.0f} s") from None
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-3000:]
            raise Failed(f"{' '.join(command[:12])}: exit code {done.returncode}\n{said}")
        return done.stdout

    def __call__(self, *arguments: str, stdin: str | None = None, within: float = 120.0) -> str:
        """A command of Compose."""
        return self.run([*self.compose, *arguments], stdin=stdin, within=within)

    def exec(self, service: str, *command: str, stdin: str | None = None) -> str:
        return self("exec", "-T", service, *command, stdin=stdin)

    def services(self) -> list[str]:
        return sorted(self("config", "--services").split())

    def containers(self, service: str = "") -> list[dict[str, Any]]:
        """What the engine knows of the containers, the oldest first."""
        ids = self("ps", "-q", *([service] if service else [])).split()
        found = json.loads(self.run(["docker", "inspect", *ids])) if ids else []
        return sorted(found, key=lambda container: str(container["Created"]))

    def health(self) -> dict[str, str]:
        """Name of each container to `healthy`, or to what it is instead."""
        return {
            self.short(container): container["State"].get("Health", {}).get("Status", "?")
            if container["State"]["Running"]
            else f"ended with {container['State']['ExitCode']}"
            for container in self.containers()
        }

    def short(self, container: dict[str, Any]) -> str:
        return str(container["Name"]).lstrip("/").removeprefix(self.name).lstrip("-_")

    def wait_healthy(self, seen: Callable[[str], None], count: int, within: float = 180.0) -> None:
        """Until `count` containers are healthy; `seen` is told each of them once."""
        deadline, told = time.monotonic() + within, set[str]()
        while True:
            health = self.health()
            for name in sorted(health):
                if health[name] == "healthy" and name not in told:
                    told.add(name)
                    seen(name)
            if len(health) == count and all(state == "healthy" for state in health.values()):
                return
            if time.monotonic() > deadline:
                raise Failed(f"not healthy within {within:.0f} s: {health}")
            time.sleep(0.5)

    def show_trouble(self) -> None:
        """What somebody who mends it wants to read first."""
        for command in (["ps"], ["logs", "--tail", "40"]):
            done = subprocess.run(
                [*self.compose, *command],
                capture_output=True,
                text=True,
                env=self.environ,
                cwd=ROOT,
                check=False,
            )
            sys.stderr.write(done.stdout + done.stderr)

    def down(self) -> None:
        """Containers, networks, volumes and secrets; the image stays, as the cache of the next build."""
        try:
            self("down", "--volumes", "--remove-orphans", "--timeout", "30")
        finally:
            shutil.rmtree(self.secrets, ignore_errors=True)


def until(ask: Callable[[], Any], what: str, within: float = 60.0) -> Any:
    """The first answer that is true. Raises `Failed` if there is none in time."""
    deadline = time.monotonic() + within
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {within:.0f} s")
        time.sleep(0.3)
    return answer

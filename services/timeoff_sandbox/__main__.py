"""`python -m timeoff_sandbox`: serves until interrupted and prints one JSON line when it is ready."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from pydantic import TypeAdapter, ValidationError

from timeoff_sandbox.app import Sandbox
from timeoff_sandbox.genesys.errors import ApiError
from timeoff_sandbox.world import UnitOptions, WorldOptions, default_units


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 after an interrupt, 2 for wrong arguments, an address that is in use included."""
    parser = argparse.ArgumentParser(
        prog="timeoff-sync sandbox", description="Imitates Genesys Cloud, BambooHR and an HRIS of every kind."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--units", help='JSON list of {"name", "timeZone"}; three by default')
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--options", default="{}", help="JSON in the form of PUT /admin/options")
    given = parser.parse_args(arguments)
    sandbox_options, units = _json(parser, "--options", given.options), default_units()
    if not isinstance(sandbox_options, dict):
        parser.error("--options is not a JSON object")
    try:
        if given.units is not None:
            units = TypeAdapter(list[UnitOptions]).validate_python(_json(parser, "--units", given.units))
        world = WorldOptions(seed=given.seed, agents=given.agents, units=units)
        sandbox = Sandbox(sandbox_options)
        sandbox.make_world(world)
    except ValidationError as error:
        parser.error(str(error.errors(include_url=False, include_input=False)[0]["msg"]))
    except ApiError as error:
        cause = error.__context__
        details = (
            cause.errors(include_url=False, include_input=False) if isinstance(cause, ValidationError) else []
        )
        keys = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in details)
        parser.error(f"--options: {keys or error.message}")
    return asyncio.run(_serve(sandbox, given.host, given.port))


def _json(parser: argparse.ArgumentParser, name: str, text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return parser.error(f"{name} is not JSON")


async def _serve(sandbox: Sandbox, host: str, port: int) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await sandbox.start(host, port)
    except OSError as error:
        sys.stderr.write(f"cannot serve on {host}:{port}: {error.strerror or error}\n")
        return 2
    ready = {"url": sandbox.url} | {
        name: sandbox.describe()[name] for name in ("company", "apiKey", "clientId", "clientSecret")
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    try:
        await stopped.wait()
    finally:
        await sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`timeoff-sync proxy`: a recording proxy before a real HRIS, for those who write or try an adapter."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from pathlib import Path
from typing import Annotated

import typer

from timeoff_cli import exits
from timeoff_sandbox.proxy import DEFAULT_REDACTED, ProxyOptions, RecordingProxy


def proxy(
    upstream: Annotated[str, typer.Option(help="Address of the HRIS, http or https.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free port.")] = 0,
    json_line: Annotated[
        bool, typer.Option("--json", help="When ready, one JSON line with the address.")
    ] = False,
    record_bodies: Annotated[
        bool, typer.Option("--record-bodies", help="Keep JSON and form bodies in the record, redacted.")
    ] = False,
    redact: Annotated[
        list[str] | None,
        typer.Option(
            help="Field to leave out of recorded bodies, in place of "
            + ", ".join(DEFAULT_REDACTED)
            + "; may be repeated. Secrets are never kept."
        ),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="Certificates of authorities to trust in place of the system's.")
    ] = None,
    latency: Annotated[float, typer.Option(min=0, help="Milliseconds to add to every call.")] = 0.0,
) -> None:
    """Pass every call on to an HRIS, record it, and spoil those that rules name. Serves on loopback."""
    options = ProxyOptions(latency_ms=latency, record_bodies=record_bodies)
    if redact:
        options.redacted = redact
    try:
        tls = None if ca_file is None else ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        typer.echo(f"--ca-file: cannot be used: {error.strerror or error}", err=True)
        raise typer.Exit(exits.USAGE) from None
    try:
        server = RecordingProxy(upstream, options, tls=tls)
    except ValueError as error:
        typer.echo(f"--upstream: {error}", err=True)
        raise typer.Exit(exits.USAGE) from None
    raise typer.Exit(asyncio.run(_serve(server, upstream, port, json_line)))


async def _serve(server: RecordingProxy, upstream: str, port: int, json_line: bool) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        await server.start(port=port)
    except OSError as error:
        typer.echo(f"cannot serve on port {port}: {error.strerror or error}", err=True)
        return exits.USAGE
    admin = f"{server.url}/__proxy__"
    if json_line:
        typer.echo(json.dumps({"url": server.url, "admin": admin, "upstream": upstream}))
    else:
        typer.echo(f"{server.url} stands before {upstream}; rules and record: {admin}/faults, {admin}/calls")
    try:
        await stopped.wait()
    finally:
        await server.stop()
    return exits.OK


__all__ = ["proxy"]

"""HTTP word for word: a server that answers with given bytes and keeps what it was sent, and a caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class RawServer:
    """`answer` goes to every call; None: closed without one. `gate` holds answers while it is not set."""

    url: str = ""
    answer: bytes | None = OK
    heads: list[list[str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, body = await read_message(reader)
            self.heads.append(head)
            self.bodies.append(body)
            self.arrived.release()
            await self.gate.wait()
            if self.answer is not None:
                writer.write(self.answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw_server() -> AsyncIterator[RawServer]:
    server = RawServer()
    server.gate.set()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, limit=2**20, backlog=512)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        server.gate.set()
        listener.close()
        await listener.wait_closed()


async def read_message(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    """First line and headers as they stood, and the body by its declared length."""
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    head = text.rstrip("\r\n").split("\r\n")
    lengths = [int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:")]
    return head, await reader.readexactly(lengths[0]) if lengths else b""


async def say(url: str, sent: bytes) -> bytes:
    """Send bytes on a connection of their own, and read all that comes back until it ends."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(sent)
        await writer.drain()
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()

"""The address of the service, taken before anything else is done."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

from timeoff.errors import SettingsError

#: Connections that wait until the service takes them.
BACKLOG: Final = 128


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets that hold the address, one for each that the name stands for; callers wait until somebody
    accepts them. Raises `SettingsError` if the address cannot be used."""
    with ExitStack() as stack:
        try:
            found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            sockets = [
                stack.enter_context(closing(socket.create_server(address, family=family, backlog=BACKLOG)))
                for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found)
            ]
        except OSError as error:
            said = error.strerror or error
            raise SettingsError([f"leave.port: cannot listen on {host}:{port}: {said}"]) from error
        yield sockets

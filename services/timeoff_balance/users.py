"""A person's own Genesys token: whose it is, asked of Genesys and known for a short while."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Final

import aiohttp

from timeoff.errors import GenesysUnavailable
from timeoff.genesys import metrics as genesys_metrics
from timeoff.settings.model import GenesysSettings
from timeoff.strict_json import read_json

#: So long a token is taken for what it was, seconds: a log-out shows after that at the latest. A token that
#: Genesys refused is not asked about again for the same time.
KNOWN_FOR: Final = 60.0
_MOST: Final = 20_000
#: Questions to Genesys at a time; who comes beyond waits.
_AT_ONCE: Final = 16
#: Bytes of an answer that are read; a user is some thousands.
_LONGEST: Final = 1_000_000


class GenesysUsers:
    """Use it as an async context manager."""

    def __init__(self, settings: GenesysSettings) -> None:
        self._url = f"{settings.api}/api/v2/users/me"
        self._timeout = aiohttp.ClientTimeout(total=min(settings.timeout, 10.0))
        self._known: OrderedDict[bytes, tuple[float, str | None]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[str | None]] = {}
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> GenesysUsers:
        self._session = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    def known(self, digest: bytes) -> tuple[bool, str | None]:
        """Is it known whose token this is, and whose? Asks nobody."""
        known = self._known.get(digest)
        if known is None or time.monotonic() - known[0] >= KNOWN_FOR:
            return False, None
        return True, known[1]

    async def user_of(self, digest: bytes, token: str) -> str | None:
        """Id of the user who logged in, None for a token that is nobody's. Raises `GenesysUnavailable`."""
        known, user = self.known(digest)
        if known:
            return user
        task = self._asking.get(digest)
        if task is None:
            task = self._asking[digest] = asyncio.create_task(self._ask(digest, token))
            task.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(task)

    async def _ask(self, digest: bytes, token: str) -> str | None:
        assert self._session is not None
        try:
            async with (
                self._at_once,
                self._session.get(
                    self._url,
                    headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                    allow_redirects=False,
                ) as response,
            ):
                status, body = response.status, await _read(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise GenesysUnavailable(f"GET /users/me: {type(error).__name__}") from None
        genesys_metrics.CALLS.labels(str(status)).inc()
        user = None
        if status == 200:
            try:
                user = read_json(body)["id"]
            except (ValueError, TypeError, KeyError):
                raise GenesysUnavailable("GET /users/me: unexpected answer") from None
            if not isinstance(user, str) or not user:
                raise GenesysUnavailable("GET /users/me: unexpected answer")
        elif status not in (400, 401, 403):
            raise GenesysUnavailable(f"GET /users/me: {status}", status=status)
        self._known[digest] = (time.monotonic(), user)
        self._known.move_to_end(digest)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return user


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """All of the answer, in however many pieces it comes. Raises `ValueError` where it is too long."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _LONGEST:
            raise ValueError("too long")
    return bytes(body)


__all__ = ["GenesysUsers"]

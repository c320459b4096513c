"""Passwords and secrets: argon2id, computed beside the event loop, a few at a time.

One hash takes tens of milliseconds and 64 MiB, on purpose. Unlimited, a crowd of logins would take the
memory.
"""

from __future__ import annotations

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

#: Hashes that one process computes at a time.
AT_ONCE: Final = 2
#: What is longer is refused before it is hashed.
LONGEST: Final = 1024


class Passwords:
    """Hashes and checks; by default with argon2-cffi's costs, the second choice of RFC 9106, section 4. A
    check against no hash takes as long as any other, so that time does not tell which user names exist."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._free = asyncio.Semaphore(AT_ONCE)
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        async with self._free:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password: str, hashed: str | None) -> bool:
        if len(password) > LONGEST:
            return False
        if hashed is None:
            self._nobody = self._nobody or await self.hash("nobody")
        async with self._free:
            right = await asyncio.to_thread(self._verify, hashed or str(self._nobody), password)
        return right and hashed is not None

    def _verify(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

"""PostgreSQL for tests: the embedded server, or one that TIMEOFF_TEST_DATABASE_URL names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from typing import Protocol, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from timeoff.embedded import databases
from timeoff.embedded.postgres import PostgresServer

T = TypeVar("T")


class DatabaseServer(Protocol):
    """What a test may rely on. Both calls can be made from any event loop."""

    def url(self, database: str = "postgres") -> str: ...

    async def create_database(self, name: str, template: str | None = None) -> None: ...

    async def drop_database(self, name: str) -> None: ...


class ExternalServer:
    """A server somebody else runs; the account in the address must be allowed to create databases."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "") -> str:
        return urlunsplit(urlsplit(self._url)._replace(path="/" + quote(database))) if database else self._url

    async def create_database(self, name: str, template: str | None = None) -> None:
        await databases.create(self._url, name, template)

    async def drop_database(self, name: str) -> None:
        await databases.drop(self._url, name)


def external_server() -> ExternalServer | None:
    url = os.environ.get("TIMEOFF_TEST_DATABASE_URL")
    return ExternalServer(url) if url else None


def owned_server() -> PostgresServer:
    return PostgresServer(durable=False)


def run(work: Coroutine[object, object, T]) -> T:
    """Run to the end in a loop of its own, without touching the loop that pytest-asyncio set for the test."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

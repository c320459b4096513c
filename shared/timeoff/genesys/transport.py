"""How one REST call is made: budget, token, retries, errors. What the calls are stands beside this file."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError
from yarl import URL

from timeoff.errors import GenesysAuthFailed, GenesysUnavailable
from timeoff.events import describe
from timeoff.genesys import metrics
from timeoff.genesys.budget import Budget
from timeoff.genesys.errors import from_answer
from timeoff.genesys.oauth import TokenSource
from timeoff.settings.model import GenesysSettings

Model = TypeVar("Model", bound=BaseModel)
Query = Mapping[str, str] | Sequence[tuple[str, str]]

READ_ATTEMPTS: Final = 4
_FIRST_BACKOFF: Final = 0.5
_MAX_BACKOFF: Final = 15.0


class Transport:
    """One HTTP session to one organisation. Use it as an async context manager.

    Every call takes from the budget first. A 401 costs one new token and one repeat. Calls that change
    nothing, or nothing more when repeated, are tried `READ_ATTEMPTS` times on 429, 5xx and broken
    connections; others are sent once. `Retry-After` closes the budget for all callers.
    """

    def __init__(self, settings: GenesysSettings, *, budget: Budget) -> None:
        self._settings = settings
        self._budget = budget
        self._base = f"{settings.api}/api/v2"
        self._session: aiohttp.ClientSession | None = None
        self._tokens: TokenSource | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout, sock_connect=10),
            headers={"Accept": "application/json"},
            trust_env=True,
        )
        self._tokens = TokenSource(
            self._settings.login,
            self._settings.client_id,
            self._settings.client_secret,
            session=self._session,
            budget=self._budget,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def tokens(self) -> TokenSource:
        """The token in force and its renewal."""
        if self._tokens is None:
            raise RuntimeError("the client is not open: use `async with`")
        return self._tokens

    async def ask(
        self,
        method: str,
        path: str,
        model: type[Model],
        *,
        query: Query | None = None,
        body: object = None,
        repeatable: bool = True,
    ) -> Model:
        """Call and read the answer as `model`. Raises a `GenesysError`."""
        raw = await self.send(method, path, query=query, body=body, repeatable=repeatable)
        return _read(model, raw, f"{method} {path}")

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        repeatable: bool = True,
    ) -> bytes:
        """The body of a 2xx answer. Raises a `GenesysError`."""
        url = URL(self._base + path, encoded=True)
        if query:
            url = url.with_query(query)
        return await self._repeat(f"{method} {path}", method, url, body, repeatable, bearer=True)

    async def download(self, url: str, model: type[Model]) -> Model:
        """Follow a `downloadUrl`: an expiring address outside of the API that takes no token."""
        try:
            target = URL(url, encoded=True)
        except ValueError:
            raise GenesysUnavailable("download: not an address") from None
        if target.scheme not in ("https", "http"):
            raise GenesysUnavailable("download: not an address")
        raw = await self._repeat("GET download", "GET", target, None, True, bearer=False)
        return _read(model, raw, "GET download")

    async def _repeat(
        self, call: str, method: str, url: URL, body: object, repeatable: bool, *, bearer: bool
    ) -> bytes:
        attempts = READ_ATTEMPTS if repeatable else 1
        for attempt in range(1, attempts + 1):
            try:
                return await self._with_token(call, method, url, body, bearer=bearer)
            except GenesysUnavailable as error:
                if attempt == attempts:
                    raise
                if error.retry_after is None:
                    # Full jitter, so that callers that failed together do not come back together.
                    await asyncio.sleep(
                        random.uniform(0, min(_MAX_BACKOFF, _FIRST_BACKOFF * 2**attempt))  # noqa: S311
                    )
                elif error.status != 429:
                    await asyncio.sleep(error.retry_after)
                # After a 429 the budget is closed for as long as asked, and waits for us.
        raise AssertionError("unreachable")

    async def _with_token(self, call: str, method: str, url: URL, body: object, *, bearer: bool) -> bytes:
        if not bearer:
            return await self._once(call, method, url, body, {})
        token = await self.tokens.token()
        try:
            return await self._once(call, method, url, body, {"Authorization": f"Bearer {token.value}"})
        except GenesysAuthFailed:
            # Expired early or revoked. Once: a second refusal is about the client, not the token.
            self.tokens.discard(token)
            token = await self.tokens.token()
            return await self._once(call, method, url, body, {"Authorization": f"Bearer {token.value}"})

    async def _once(
        self, call: str, method: str, url: URL, body: object, headers: Mapping[str, str]
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("the client is not open: use `async with`")
        await self._budget.take()
        began = time.perf_counter()
        try:
            async with self._session.request(method, url, json=body, headers=headers) as response:
                answer = await response.read()
                status, answered = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            metrics.CALLS.labels("none").inc()
            # The text of client errors can hold the address, and a download address is a secret.
            raise GenesysUnavailable(f"{call}: {type(error).__name__}") from None
        metrics.CALLS.labels(str(status)).inc()
        metrics.CALL_SECONDS.observe(time.perf_counter() - began)
        if 200 <= status < 300:
            return answer
        error_ = from_answer(call, status, answered, answer)
        if status == 429:
            metrics.THROTTLED.inc()
            await self._budget.slow_down(error_.retry_after or 0.0)
        raise error_


def _read(model: type[Model], raw: bytes, call: str) -> Model:
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        problem = error
    if problem.errors(include_input=False, include_url=False)[0]["type"] == "json_invalid":
        # One broken escape in one note must not hide a whole listing: the lenient parser lets it through,
        # and the request that holds it is refused on its own.
        try:
            return model.model_validate(json.loads(raw.decode(errors="replace")))
        except ValidationError as error:
            problem = error
        except (ValueError, RecursionError):
            pass
    raise GenesysUnavailable(f"{call}: unexpected answer: {describe(problem)}")

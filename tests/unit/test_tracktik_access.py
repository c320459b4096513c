"""Tokens: one login at a time, refresh tokens once each, and a refused login never in a loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web
from tests.support.tracktik_portal import PASSWORD, SECRET, USER, Portal, portal, reply

from timeoff.errors import AuthFailed, RetryLater
from timeoff.hris.calls import tracing
from timeoff.hris.tracktik.access import Access
from timeoff.hris.tracktik.settings import TrackTikSettings


@dataclass
class Turned:
    """Seconds that pass when a test says so."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def site() -> AsyncIterator[Portal]:
    async with portal() as running:
        yield running


@asynccontextmanager
async def access(settings: TrackTikSettings, clock: Turned) -> AsyncIterator[Access]:
    async with aiohttp.ClientSession(trace_configs=[tracing()]) as session:
        held = Access(settings, session, clock)
        yield held
        await held.close()


async def test_the_login_is_a_password_grant_without_scope(site: Portal) -> None:
    async with access(site.settings(), Turned()) as held:
        assert await held.token(5) == "access-1"
    assert site.logins == [
        {
            "grant_type": "password",
            "client_id": "client",
            "client_secret": SECRET,
            "username": USER,
            "password": PASSWORD,
        }
    ]


async def test_a_token_is_used_until_shortly_before_its_end(site: Portal) -> None:
    clock = Turned()
    async with access(site.settings(), clock) as held:
        assert await held.token(5) == "access-1"
        clock.seconds += 3539
        assert await held.token(5) == "access-1"
        clock.seconds += 2
        assert await held.token(5) == "access-2"
    assert site.grants == ["password", "refresh_token"]


async def test_each_refresh_brings_the_token_for_the_next(site: Portal) -> None:
    clock = Turned()
    async with access(site.settings(), clock) as held:
        for number in range(1, 5):
            assert await held.token(5) == f"access-{number}"
            clock.seconds += 3600
    assert [form.get("refresh_token") for form in site.logins] == [
        None,
        "refresh-1",
        "refresh-2",
        "refresh-3",
    ]


async def test_many_at_once_wait_for_one_fetch(site: Portal) -> None:
    """Two refreshes with one token: the second would fail, and count as a failed login."""
    clock = Turned()
    async with access(site.settings(), clock) as held:
        assert set(await asyncio.gather(*(held.token(5) for _ in range(20)))) == {"access-1"}
        clock.seconds += 3600
        assert set(await asyncio.gather(*(held.token(5) for _ in range(20)))) == {"access-2"}
        # All of them had sent the token that was refused.
        renewed = await asyncio.gather(*(held.token(5, instead_of="access-2") for _ in range(20)))
        assert set(renewed) == {"access-3"}
        # A latecomer with the old token gets the one that is there.
        assert await held.token(5, instead_of="access-2") == "access-3"
    assert site.grants == ["password", "refresh_token", "refresh_token"]


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_others(site: Portal) -> None:
    """Its answer holds the next refresh token: cut off, that would be lost."""
    arrived, go = asyncio.Event(), asyncio.Event()

    async def slow(_: dict[str, str]) -> web.StreamResponse:
        arrived.set()
        await go.wait()
        return site.tokens()

    site.login = slow
    async with access(site.settings(), Turned()) as held:
        hasty = asyncio.create_task(held.token(0.05))
        cancelled = asyncio.create_task(held.token(5))
        patient = asyncio.create_task(held.token(5))
        await arrived.wait()
        cancelled.cancel()
        with pytest.raises(RetryLater):
            await hasty
        go.set()
        assert await patient == "access-1"
        assert await held.token(5) == "access-1"
    assert len(site.logins) == 1


async def test_a_spent_refresh_token_leads_to_one_login(site: Portal) -> None:
    clock = Turned()
    async with access(site.settings(), clock) as held:
        await held.token(5)
        site.refreshable.clear()
        clock.seconds += 3600
        assert await held.token(5) == "access-3"
    assert site.grants == ["password", "refresh_token", "password"]


async def test_a_refresh_token_is_not_sent_again_after_an_unclear_answer(site: Portal) -> None:
    clock = Turned()
    async with access(site.settings(), clock) as held:
        await held.token(5)
        clock.seconds += 3600
        site.login = lambda _: reply({}, 504)
        with pytest.raises(RetryLater):
            await held.token(5)
        site.login = None
        await held.token(5)
    assert site.grants == ["password", "refresh_token", "password"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
async def test_a_refused_login_is_not_repeated(site: Portal, status: int) -> None:
    """40 failures within two minutes shut the address out for two hours."""
    clock = Turned()
    site.login = lambda _: reply({"error_description": f"no {PASSWORD} {SECRET}"}, status)
    async with access(site.settings(login_pause=60), clock) as held:
        for _ in range(50):
            with pytest.raises(AuthFailed) as raised:
                await held.token(5)
            assert PASSWORD not in str(raised.value)
            assert SECRET not in str(raised.value)
            clock.seconds += 1
        assert len(site.logins) == 1


async def test_after_the_pause_one_call_tries_again(site: Portal) -> None:
    clock = Turned()
    async with access(site.settings(login_pause=60), clock) as held:
        site.login = lambda _: reply({"error": "invalid_grant"}, 400)
        with pytest.raises(AuthFailed):
            await held.token(5)
        clock.seconds += 61
        answers = await asyncio.gather(*(held.token(5) for _ in range(9)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {AuthFailed}
        assert len(site.logins) == 2
        clock.seconds += 61
        site.login = None
        assert await held.token(5) == "access-3"
        assert await held.token(5) == "access-3"


async def test_a_token_that_is_refused_although_new_ends_the_trying(site: Portal) -> None:
    clock = Turned()
    async with access(site.settings(login_pause=60), clock) as held:
        await held.token(5)
        held.refuse(AuthFailed("TrackTik list: 401"))
        with pytest.raises(AuthFailed):
            await held.token(5)
        assert len(site.logins) == 1
        clock.seconds += 61
        assert await held.token(5) == "access-2"


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_portal_in_trouble_is_no_refusal(site: Portal, status: int) -> None:
    site.login = lambda _: reply("<html>", status)
    async with access(site.settings(), Turned()) as held:
        for _ in range(2):
            with pytest.raises(RetryLater) as raised:
                await held.token(5)
            assert not raised.value.throttled
        site.login = None
        assert await held.token(5) == "access-3"


async def test_a_throttled_login_waits_as_long_as_it_is_told(site: Portal) -> None:
    clock = Turned()
    site.login = lambda _: reply({}, 429, Retry_After="30")
    async with access(site.settings(), clock) as held:
        for wait in (30, 10):
            with pytest.raises(RetryLater) as raised:
                await held.token(5)
            assert (raised.value.throttled, raised.value.retry_after) == (True, wait)
            clock.seconds += 20
        assert len(site.logins) == 1
        site.login = None
        await held.token(5)


@pytest.mark.parametrize("status", [408, 500, 503])
async def test_a_portal_that_says_when_it_is_back_is_left_alone_until_then(site: Portal, status: int) -> None:
    clock = Turned()
    site.login = lambda _: reply({}, status, Retry_After="30")
    async with access(site.settings(), clock) as held:
        for wait in (30, 10):
            with pytest.raises(RetryLater) as raised:
                await held.token(5)
            assert (raised.value.throttled, raised.value.retry_after) == (False, wait)
            clock.seconds += 20
        assert len(site.logins) == 1
        site.login = None
        assert await held.token(5) == "access-2"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_password_goes_to_the_portal_and_nowhere_else(site: Portal, status: int) -> None:
    """A 307 or 308 that is followed sends the form once more, to wherever it points."""
    async with portal() as elsewhere:
        address = f"{elsewhere.url}/rest/oauth2/access_token"
        site.login = lambda _: reply({}, status, Location=address)
        async with access(site.settings(), Turned()) as held:
            with pytest.raises(AuthFailed):
                await held.token(5)
        assert elsewhere.logins == []
    assert len(site.logins) == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        '{"access_token": "t", "expires_in": 1e999999999999999999999}',
        '{"access_token": ""}',
        '{"meta": {}}',
    ],
)
async def test_an_answer_without_a_token_is_no_token(site: Portal, body: str) -> None:
    site.login = lambda _: reply(body)
    async with access(site.settings(), Turned()) as held:
        with pytest.raises(RetryLater, match="cannot be read"):
            await held.token(5)


async def test_tokens_in_an_envelope_are_tokens_too(site: Portal) -> None:
    site.login = lambda _: reply({"meta": {}, "data": {"access_token": "t"}})
    async with access(site.settings(), Turned()) as held:
        assert await held.token(5) == "t"


async def test_closing_ends_a_fetch_that_runs(site: Portal) -> None:
    arrived = asyncio.Event()

    async def silent(_: dict[str, str]) -> web.StreamResponse:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    site.login = silent
    async with access(site.settings(), Turned()) as held:
        waiting = asyncio.create_task(held.token(5))
        await arrived.wait()
    with pytest.raises(RetryLater):
        await waiting

"""Lists are whole or not at all: a part of one would look like absence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from tests.support.tracktik_portal import Call, Portal, portal, reply

from timeoff.errors import HrisError, RetryLater
from timeoff.hris.tracktik.client import Deadline, TrackTikClient
from timeoff.hris.tracktik.lists import read_list


@pytest.fixture
async def site() -> AsyncIterator[Portal]:
    async with portal() as running:
        yield running


async def listed(site: Portal, page_size: int = 10) -> list[Any]:
    client = TrackTikClient(site.settings())
    try:
        return await read_list(
            client, "employees", "employees", {"a": "b"}, Deadline.after(5), page_size=page_size
        )
    finally:
        await client.close()


def pages(
    total: int, *, envelope: bool = False, most: int = 1000, before: Callable[[int], list[int]] | None = None
) -> Callable[[Call], web.StreamResponse]:
    """Records 1 to `total`; `before` says which ids there are when page number n is asked for."""
    asked = 0

    def answer(call: Call) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        ids = before(asked) if before else list(range(1, total + 1))
        limit, offset = min(int(call.query["limit"]), most), int(call.query["offset"])
        data = [{"id": id_} for id_ in ids[offset : offset + limit]]
        if not envelope:
            return reply(data)
        meta = {"count": len(ids), "itemCount": len(data), "limit": limit, "offset": offset}
        return reply({"meta": meta, "data": data})

    return answer


@pytest.mark.parametrize("envelope", [False, True])
@pytest.mark.parametrize("total", [0, 1, 9, 10, 11, 18, 19, 20, 37, 46, 47, 100])
async def test_all_pages_are_read_and_each_record_once(site: Portal, total: int, envelope: bool) -> None:
    site.answer = pages(total, envelope=envelope)
    assert [item["id"] for item in await listed(site)] == list(range(1, total + 1))
    assert all(call.query["sort"] == "id" and call.query["a"] == "b" for call in site.calls)


async def test_one_page_is_one_call(site: Portal) -> None:
    site.answer = pages(9)
    await listed(site)
    assert len(site.calls) == 1


async def test_a_portal_that_gives_smaller_pages_and_says_so_is_read_to_the_end(site: Portal) -> None:
    site.answer = pages(23, envelope=True, most=5)
    assert len(await listed(site)) == 23


@pytest.mark.parametrize("gone", [1, 5, 10])
async def test_a_record_that_vanishes_between_pages_is_noticed(site: Portal, gone: int) -> None:
    """It pulls the others over the edge of the page: one of them would be in no page."""
    ids = list(range(1, 31))
    site.answer = pages(30, before=lambda number: ids if number == 1 else [i for i in ids if i != gone])
    with pytest.raises(RetryLater, match="changed"):
        await listed(site)


async def test_a_portal_that_ignores_the_offset_is_noticed(site: Portal) -> None:
    site.answer = lambda _: reply([{"id": n} for n in range(10)])
    with pytest.raises(RetryLater, match="changed"):
        await listed(site)


async def test_fewer_records_than_were_counted_are_no_list(site: Portal) -> None:
    site.answer = lambda _: reply({"meta": {"count": 3, "limit": 10}, "data": [{"id": 1}]})
    with pytest.raises(RetryLater, match="1 records of 3"):
        await listed(site)


async def test_a_page_that_fails_fails_the_list(site: Portal) -> None:
    good = pages(35)

    def answer(call: Call) -> web.StreamResponse:
        return reply({}, 500) if call.query["offset"] == "18" else good(call)

    site.answer = answer
    with pytest.raises(RetryLater):
        await listed(site)


@pytest.mark.parametrize("body", ["", "<html>", '{"message": "no"}', '{"data": {}}'])
async def test_what_is_no_list_is_not_an_empty_one(site: Portal, body: str) -> None:
    site.answer = lambda _: reply(body)
    with pytest.raises(HrisError) as raised:
        await listed(site)
    assert raised.value.retryable

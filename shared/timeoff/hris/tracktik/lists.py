"""Whole lists out of pages, or none: a part would look like absence.

Pages are cut by offset (TrackTik help centre, limits and paging), so a record that vanishes while a list is
read pulls the rest one place forward, over the edge of a page. Therefore each page begins with the last
record of the one before it, and if that is another one the list is read again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, Final

from timeoff.errors import RetryLater
from timeoff.hris.documents import parse
from timeoff.hris.tracktik import wire
from timeoff.hris.tracktik.client import Deadline, TrackTikClient

#: Pages read side by side once the first has shown that there are more.
_AT_ONCE: Final = 4


async def read_list(
    client: TrackTikClient,
    operation: str,
    path: str,
    params: Mapping[str, str],
    deadline: Deadline,
    *,
    page_size: int,
) -> list[Any]:
    """All records. Raises `RetryLater` if they cannot be read, or changed places meanwhile."""

    async def page(offset: int) -> wire.Page:
        asked = {"sort": "id", **params, "limit": str(page_size), "offset": str(offset)}
        body = await client.read(operation, path, asked, deadline=deadline)
        try:
            return wire.read_page(parse(body))
        except ValueError as error:
            raise RetryLater(f"TrackTik {operation}: the answer cannot be read ({error})") from None

    last = await page(0)
    items = last.items
    # A portal may give less than what was asked for, and says so where there is an envelope.
    size = min(page_size, last.limit or page_size)
    offset = size - 1
    while len(last.items) >= size:
        if size < 2:
            raise RetryLater(f"TrackTik {operation}: pages of {size} cannot be put together")
        pages = await together(*(page(offset + n * (size - 1)) for n in range(_AT_ONCE)))
        offset += _AT_ONCE * (size - 1)
        for last in pages:
            if not last.items or _id(last.items[0]) != _id(items[-1]):
                raise RetryLater(f"TrackTik {operation}: the list changed while it was read")
            items += last.items[1:]
            if len(last.items) < size:
                break
    if last.count is not None and len(items) != last.count:
        raise RetryLater(f"TrackTik {operation}: {len(items)} records of {last.count}")
    return items


async def together(*reads: Awaitable[Any]) -> list[Any]:
    """All answers; the first error ends the others."""
    tasks = [asyncio.ensure_future(read) for read in reads]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _id(item: Any) -> Any:
    return item.get("id") if isinstance(item, dict) else None

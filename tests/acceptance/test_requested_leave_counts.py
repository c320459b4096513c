"""Leave that the HRIS holds as requested, where its own balance does not count that."""

from __future__ import annotations

import asyncio

from tests.support.flows import FLOWS, Blueprint, blueprint

PENDING = {"timeOffStatus": "PENDING"}


async def test_what_is_only_requested_is_not_left_for_another_request(database_url: str) -> None:
    """Promise: the ledger keeps what a pending request takes, also when it has been booked for long."""

    def prepared(place: Blueprint) -> None:
        place.give_type(83, "Open Time Off", "hours", "manual", opening=24)

    async with blueprint(database_url, write_path=FLOWS, prepared=prepared) as place:
        first = await place.insert(**PENDING)
        assert first["Flow.status"] == "Complete"
        await asyncio.sleep(0.5)  # more than the read lag
        second = {**PENDING, "dates": ["2025-04-07"], "minutes": 480}
        assert (await place.insert(**second))["Flow.status"] == "InsufficientBalance"

        shorter = {**PENDING, "dates": ["2025-03-29"], "minutes": 480}
        changed = await place.update(first["Flow.timeOffRequestId"], **shorter)
        assert changed["Flow.status"] == "Complete", "what it replaces is added back, once"
        await asyncio.sleep(0.5)
        assert (await place.insert(**second))["Flow.status"] == "Complete"
        more = {**PENDING, "dates": ["2025-04-08", "2025-04-09"], "minutes": 480}
        assert (await place.insert(**more))["Flow.status"] == "InsufficientBalance"

"""Notifications come late, twice and in the wrong order; what Genesys says last is what the HRIS shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.processes import running_product

pytestmark = pytest.mark.timeout(150)


async def test_notifications_in_reverse_order_end_in_the_latest_version(
    tmp_path: Path, database_url: str
) -> None:
    """Would break: the version that REST reads orders confirmed states, not the order of arrival."""
    async with running_product(tmp_path, database_url) as product:
        listener, _ = await product.start("listener", "sync")
        await product.listening(listener)
        await product.sandbox.ok("PUT", "/admin/genesys/delivery", {"duplicate": 1.0, "hold": True})
        edited, ended = await product.approve(0), await product.approve(1)
        edited = await product.change(edited, minutes=[240], payableMinutes=[240])
        ended = await product.change(ended, status="CANCELED")
        await product.sandbox.ok("PUT", "/admin/genesys/delivery", {"hold": False, "reverse": True})
        await product.until_settled(edited, ended)
        await product.assert_exactly_once()
        live = [entry for entry in await product.entries() if entry["status"] == "approved"]
        assert [list(entry["dates"].values()) for entry in live] == [["4.00"]]

"""A write that arrives long after everybody gave it up: the audit finds the second record."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.processes import running_product, until

pytestmark = pytest.mark.timeout(150)


async def test_a_twin_that_arrives_late_is_found_and_cancelled(tmp_path: Path, database_url: str) -> None:
    """Would break: an hour after a doubt, an audit cancels the record that is not in the chain."""
    async with running_product(tmp_path, database_url) as product:
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        await product.fault("create", "delay_then_commit", seconds=600)
        request = await product.approve(0)
        await product.until_fault_fired("create")
        await product.until_settled(request)
        (repeated,) = await product.entries()

        await product.sandbox.ok("DELETE", "/admin/hris/faults")  # lets the first write through

        async def arrived() -> bool:
            return len(await product.entries()) == 2

        await until(arrived, "the late twin")
        ahead = "SELECT audit_at > now() + interval '50 minutes' FROM ledger.requests"
        assert await product.value(ahead), "an audit is planned for an hour after the doubt"
        # The hour passes, and with it the lag after which a search shows the twin.
        await product.sandbox.ok("PUT", "/admin/options", {"bamboohr": {"readLagMs": 0}})
        await product.rows("UPDATE ledger.requests SET audit_at = now(), due_at = now()")

        async def cancelled() -> bool:
            live = [entry for entry in await product.entries() if entry["status"] == "approved"]
            return len(live) == 1

        await until(cancelled, "the twin to be cancelled", sync)
        await product.until_settled(request)
        (live,) = [entry for entry in await product.entries() if entry["status"] == "approved"]
        assert live["id"] == repeated["id"], "the record in the ledger's chain stays, the other one goes"
        assert await product.metric(sync, "timeoff_sync_twins_total") == 1
        kinds = await product.rows("SELECT kind, outcome FROM ledger.intents ORDER BY created_at")
        assert ("cancel_twin", "written") in [(row["kind"], row["outcome"]) for row in kinds]
        await product.assert_exactly_once()

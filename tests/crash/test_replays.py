"""The log is read again from its beginning: the HRIS must not hear of it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.support.processes import running_product, toml

pytestmark = pytest.mark.timeout(150)


@pytest.mark.parametrize("how", ["new group", "offsets removed"])
async def test_a_full_replay_makes_no_hris_write_and_no_search(
    how: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: level-triggered; what is applied already costs nothing, however often it is read."""
    async with running_product(tmp_path, database_url) as product:
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        made = [await product.approve(agent, day) for agent in range(4) for day in range(2)]
        made[0] = await product.change(made[0], minutes=[240], payableMinutes=[240])
        made[1] = await product.change(made[1], status="CANCELED")
        await product.until_settled(*made)
        await product.assert_exactly_once()
        for process in (sync, listener):
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
        records = await product.value("SELECT sum(next_offset) FROM ledger.log_offsets")
        assert records >= len(made)
        revisions = await product.rows("SELECT request_pk, revision FROM ledger.requests ORDER BY 1")

        if how == "new group":
            product.config.write_text(
                toml(product.settings | {"log": {"kind": "postgres", "group": "again"}})
            )
        else:
            await product.rows("DELETE FROM ledger.log_offsets")
            await product.rows("UPDATE eventlog.leases SET committed = NULL")
        before = len(await product.calls())
        (again,) = await product.start("sync")
        group = "again" if how == "new group" else "timeoff-sync"
        read = "SELECT coalesce(sum(next_offset), 0) >= $1 FROM ledger.log_offsets WHERE log_group = $2"
        await product.until_true(read, "the whole topic to be read again", records, group)
        await product.until_settled(*made)

        assert await product.metric(again, "timeoff_sync_observations_total") >= records
        calls = {call["operation"] for call in (await product.calls())[before:]}
        assert calls <= {"types", "directory", "health", "calculator"}, "no write and no search"
        assert await product.rows("SELECT request_pk, revision FROM ledger.requests ORDER BY 1") == revisions

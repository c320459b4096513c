"""The HRIS does what it was told, or not, and its answer never arrives. Nothing may be written twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.processes import running_product

pytestmark = pytest.mark.timeout(150)


@pytest.mark.parametrize(
    ("kind", "doubts"), [("commit_then_drop", 3), ("commit_then_500", 3), ("truncated", 0), ("hang", 3)]
)
async def test_a_lost_answer_to_any_write_is_settled_by_looking(
    kind: str, doubts: int, tmp_path: Path, database_url: str
) -> None:
    """Would break: in doubt is settled by looking, never by repeating (insert, update and cancel).

    A body that breaks off after a complete header is no doubt: the header names the record.
    """
    async with running_product(tmp_path, database_url) as product:
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        edited, ended = await product.approve(0), await product.approve(1)
        await product.until_settled(edited, ended)

        await product.fault("create", kind, seconds=30)
        new = await product.approve(2)
        await product.until_fault_fired("create")
        await product.until_settled(new)

        await product.fault("create|update", kind, seconds=30)
        await product.fault("status", kind, seconds=30)
        edited = await product.change(edited, minutes=[240], payableMinutes=[240])
        ended = await product.change(ended, status="CANCELED")
        await product.until_fault_fired("create|update")
        await product.until_fault_fired("status")
        await product.until_settled(edited, ended)

        await product.assert_exactly_once()
        assert len(await product.entries()) == 4, "three bookings and one replacement, whatever got lost"
        assert await product.metric(sync, "timeoff_sync_doubts_total") == doubts
        looks = await product.value(
            "SELECT count(DISTINCT intent_id) FROM ledger.evidence WHERE kind = 'look'"
        )
        assert looks == doubts, "each lost answer is followed by a look"

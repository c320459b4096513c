"""kill -9 between the writes of one request: whoever comes after sees what is done and does the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import Json, Product, future, running_product
from tests.support.reference_sandbox import MODES, Mode

from timeoff_sandbox.reference import DEFAULT_KEY

pytestmark = pytest.mark.timeout(150)

NAMED = {"kind": "postgres", "member": "sync-0"}
#: The edit below is two writes in each of these (accepted-later: each of them is read until it shows).
KINDS = {
    "cancel_and_create": MODES["cancel_and_create"],
    "entry_per_day": MODES["entry_per_day"],
    "counter_entry": MODES["counter_entry"],
    "accepted_later": MODES["accepted_later_delete"],
}
#: Around the first write, between the two, and around the second; fewer where they would tell nothing new.
POINTS = {
    "cancel_and_create": (
        "sync.after-intent=kill@1",
        "sync.after-call=kill@1",
        "sync.before-outcome=kill@1",
        "sync.between-steps=kill@1",
        "sync.after-intent=kill@2",
        "sync.after-call=kill@2",
        "sync.before-outcome=kill@2",
    ),
    "entry_per_day": ("sync.after-call=kill@1", "sync.between-steps=kill@1", "sync.after-intent=kill@2"),
    "counter_entry": ("sync.after-call=kill@1", "sync.between-steps=kill@1", "sync.after-call=kill@2"),
    "accepted_later": ("sync.after-call=kill@1", "sync.after-call=kill@2"),
}


@pytest.mark.parametrize(("kind", "point"), [(kind, point) for kind in KINDS for point in POINTS[kind]])
async def test_a_sync_killed_between_the_writes_of_an_edit(
    kind: str, point: str, tmp_path: Path, database_url: str
) -> None:
    """Would break: each write has its own intent, and what is done stands in the entries."""
    mode = KINDS[kind]
    async with running_product(tmp_path, database_url, log=NAMED, hris={"acme": target(mode)}) as product:
        product.environment["TIMEOFF_HRIS__ACME__SETTINGS__API_KEY"] = DEFAULT_KEY
        await product.sandbox.ok("PUT", "/admin/options", {"reference": mode.options})
        listener, sync = await product.start("listener", "sync")
        await product.listening(listener)
        # Something else that the ledger knows of this employee: a look has to be able to prove itself.
        await product.approve(0, day=30)
        request = await product.approve(0, dates=[future(0), future(1)], minutes=[480, 480])
        await product.until_settled(request)
        await sync.kill()
        await product.time_passes(sync)

        (sync,) = await product.start("sync", TIMEOFF_FAILPOINTS=point)
        edited = await product.change(
            request, dates=[future(1), future(2)], minutes=[480, 480], payableMinutes=[480, 480]
        )
        assert await sync.ended() == -9, "the kill struck"
        await product.time_passes(sync)
        # As if the deadline had passed as well: nobody is left who could still send the call.
        await product.rows("UPDATE ledger.intents SET deadline = now() WHERE settled_at IS NULL")
        await product.start("sync")
        await product.until_settled(edited)
        await until_effective(product)

        assert await booked(product) == {future(30): 480, future(1): 480, future(2): 480}
        assert await product.held() == {}


def target(mode: Mode) -> Json:
    return {"adapter": "reference", "settings": mode.adapter_settings | {"call_timeout": 1.0}}


async def until_effective(product: Product) -> None:
    await product.until_true(
        "SELECT NOT EXISTS (SELECT FROM ledger.entries WHERE NOT effective)"
        " AND NOT EXISTS (SELECT FROM ledger.requests"
        "                 WHERE state IN ('open', 'waiting') AND due_at IS NOT NULL)",
        "every write to be in effect",
    )


async def booked(product: Product) -> dict[str, Any]:
    """Minutes by date of what counts in the HRIS, surplus counter entries included."""
    entries = (await product.sandbox.ok("GET", "/admin/reference/entries"))["entries"]
    found: dict[str, Any] = {}
    for entry in entries:
        if entry["live"]:
            for on, hours in entry["dates"].items():
                found[on] = found.get(on, 0) + float(hours) * 60
    return found

"""What was accepted is booked, also when the write path changes; what never would be is not accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.balance import served
from tests.support.handed import FLOWS, booked_days, id_of, insert, office, one_row, refused, restarted, rows
from tests.support.system import in_days

from timeoff.rules import Asked, Skip


def nothing_on_the_83(asked: Asked) -> Skip | None:
    """A rule that an organisation might have."""
    return Skip("not leave") if asked.type_id == "83" else None


@pytest.mark.parametrize("path", [{}, FLOWS], ids=["events", "flows"])
async def test_leave_of_before_the_cutover_is_refused(
    path: dict[str, object], database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path, **path) as (system, desk):
        for status in ("PENDING", "APPROVED"):
            answer = await insert(desk, system.agents[0], in_days(-3), timeOffStatus=status)
            refused(answer, "before the day from which leave is ours")
        assert all(row["handover_id"] is None or row["state"] == "not_ours" for row in await rows(system))
        assert await system.entries() == []


async def test_what_the_rule_skips_is_refused(database_url: str, tmp_path: Path) -> None:
    rule = f"{__name__}:nothing_on_the_83"
    async with office(database_url, tmp_path, sync={"rule": rule}) as (system, desk):
        refused(await insert(desk, system.agents[0], in_days(20)), "rule")
        assert await rows(system) == []


async def test_what_was_accepted_in_shadow_is_booked_after_the_path_has_changed(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: Genesys was told that it is complete, so it is booked, whoever books from now on."""
    async with office(database_url, tmp_path, live=False) as (system, desk):
        agent = system.agents[0]
        await insert(desk, agent, in_days(20))
        request = await system.submit(agent, in_days(20))
        await system.state(request, "planned", "shadow")
        await restarted(system, write_path="flows")
        await system.go_live()
        await system.retry(request)
        await system.state(request, "settled", "insert")
        assert await booked_days(system) == [in_days(20)]


async def test_a_balance_service_that_still_thinks_events_loses_nothing(
    database_url: str, tmp_path: Path
) -> None:
    """Promise: whichever of the two processes is restarted first, what is accepted is booked once."""
    async with office(database_url, tmp_path) as (system, late):
        await restarted(system, write_path="flows")
        first, second = system.agents[:2]
        shown = await system.submit(first, in_days(20))
        await system.state(shown, "not_ours", "written_by_flows")
        await insert(late, first, in_days(20))
        await insert(late, second, in_days(21))
        await system.submit(second, in_days(21))
        await system.quiet()

        async def both() -> bool:
            return await booked_days(system) == [in_days(20), in_days(21)]

        await system.until("both are booked", both)
        assert len(await rows(system)) == 2


async def test_what_the_hris_did_not_take_yet_is_not_given_up_for_another_path(
    database_url: str, tmp_path: Path
) -> None:
    async with office(database_url, tmp_path) as (system, _):
        rule = {"on": "create", "kind": "throttle", "retryAfter": 1, "times": None}
        await system.admin("POST", "/hris/faults", {"rules": [rule]})
        request = await system.submit(system.agents[0], in_days(20))
        await system.state(request, "waiting", "retry_later")
        await restarted(system, write_path="flows")
        await system.admin("DELETE", "/hris/faults")
        await system.state(request, "settled", "insert")
        async with served(system.settings) as desk:
            answer = await insert(desk, system.agents[0], in_days(20))
            assert (await one_row(system))["request_id"] == request
            assert id_of(answer) == (await system.the_entry(request))["id"]
            assert len(await booked_days(system)) == 1

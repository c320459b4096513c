"""Marks that people set in Genesys: `ManuallyComplete` means that somebody sees to the HRIS side by hand.

The mark is no part of a request, so nothing tells the sync about it. It is asked for before an insert of
anything that somebody may have had the time to book by hand: leave from before the first start, and
whatever was held, failed or paused. Many lanes ask at once, and one call answers a hundred.

A unit whose marks may not be read, or that is gone, counts as unmarked: asking again would change nothing.
"""

from __future__ import annotations

from collections import defaultdict

from timeoff.errors import GenesysError, GenesysForbidden, GenesysNotFound, GenesysRejected
from timeoff.genesys.client import GenesysClient
from timeoff.ledger.group_commit import GroupCommit
from timeoff.ledger.rows import RequestView
from timeoff.telemetry.logs import get_logger
from timeoff.vocabulary import IntegrationStatus
from timeoff_sync import metrics

log = get_logger()

#: Answers that stay the same however often a unit is asked for.
UNREADABLE = (GenesysForbidden, GenesysNotFound, GenesysRejected)


class HandMarks:
    """Close it when the workers have ended."""

    def __init__(self, genesys: GenesysClient) -> None:
        self._genesys = genesys
        self._unreadable: set[str] = set()
        self._group: GroupCommit[RequestView, bool] = GroupCommit(self._read, writers=2, largest=100)

    async def done_by_hand(self, view: RequestView) -> bool:
        """Is the request marked? False where the unit is not known. Raises `GenesysError`."""
        return view.management_unit_id is not None and await self._group.submit(view)

    async def close(self) -> None:
        await self._group.close()

    async def _read(self, views: list[RequestView]) -> list[bool | Exception]:
        by_unit: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for view in views:
            by_unit[view.management_unit_id or ""].append((view.request_id, view.agent_id))
        shown: dict[str, str] = {}
        failed: dict[str, GenesysError] = {}
        for unit, lookups in by_unit.items():
            try:
                shown.update(await self._genesys.integration_statuses(unit, lookups))
                self._unreadable.discard(unit)
            except UNREADABLE as error:
                self._note_unreadable(unit, error, len(lookups))
            except GenesysError as error:
                failed[unit] = error
        return [
            failed.get(view.management_unit_id or "")
            or shown.get(view.request_id) == IntegrationStatus.MANUALLY_COMPLETE
            for view in views
        ]

    def _note_unreadable(self, unit: str, error: GenesysError, requests: int) -> None:
        metrics.UNREADABLE_MARKS.inc(requests)
        if unit not in self._unreadable:
            self._unreadable.add(unit)
            log.error("marks.unreadable", management_unit_id=unit, error=error.error_class)

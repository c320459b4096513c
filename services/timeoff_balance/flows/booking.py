"""The seam for the two flows that book: what runs them stands behind this protocol.

A run is given the inputs, which are complete by the contract but not yet judged, and ends in a `Result` whose
values hold `timeOffRequestId`. `values.read_status`, `read_date` and `read_minutes` read the single inputs.
Where nothing is given to `Flows` for it, the two flows do not exist: they are not listed, not served and not
described.
"""

from __future__ import annotations

from typing import Protocol

from timeoff_balance.flows.results import Result
from timeoff_balance.flows.values import Inputs


class BookingFlows(Protocol):
    async def insert(self, target: str, inputs: Inputs) -> Result:
        """HRIS-Insert-TimeOff. The same call again is the same booking."""
        ...

    async def update(self, target: str, inputs: Inputs) -> Result:
        """HRIS-Update-TimeOff. `inputTimeOffRequestId` may be any id that the request ever had."""
        ...


__all__ = ["BookingFlows"]

"""What the listener needs from the ledger. The ledger implements it; tests may hold it in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from timeoff.ledger.listener import Confirmation, Gap

__all__ = ["Confirmation", "Gap", "ListenerLedger"]


class ListenerLedger(Protocol):
    async def claim_confirmations(self, limit: int, lease: float) -> Sequence[Confirmation]:
        """Agents due for a confirming read, taken for `lease` seconds."""
        ...

    async def postpone_confirmation(self, agent_id: str, seconds: float) -> None:
        """The read failed; try again later. A finished read needs no call: intake clears it."""
        ...

    async def wait_for_confirmations(self, timeout: float) -> None:
        """Return when some are likely due, at the latest after `timeout` seconds."""
        ...

    async def known_versions(self, request_ids: Collection[str]) -> Mapping[str, int]:
        """Confirmed version per known request; requests unknown to the ledger are absent."""
        ...

    async def known_requests(self, agent_ids: Collection[str]) -> Mapping[str, Mapping[str, int | None]]:
        """Per agent the requests the ledger knows that may still change, with their confirmed version."""
        ...

    async def open_gap(self, reason: str, agent_ids: Collection[str]) -> int: ...

    async def open_gaps(self) -> Sequence[Gap]: ...

    async def close_gap(self, gap_id: int, *, requests_read: int) -> None: ...

    async def save_agents(self, agents: Mapping[str, tuple[str, str]]) -> None:
        """Agent id to (management unit id, IANA zone). Adds and moves; an absent agent is not removed."""
        ...

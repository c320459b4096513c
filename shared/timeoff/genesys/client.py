"""The Genesys Cloud client: `async with GenesysClient(settings.genesys, budget=budget) as client`."""

from __future__ import annotations

from timeoff.genesys.directory import DirectoryCalls
from timeoff.genesys.notifications import NotificationCalls
from timeoff.genesys.time_off import TimeOffCalls


class GenesysClient(DirectoryCalls, TimeOffCalls, NotificationCalls):
    """All calls of the product on one session, one token and one budget."""

    async def authenticate(self) -> None:
        """Get a token now. Raises `GenesysAuthFailed` or `GenesysUnavailable`."""
        await self.tokens.token()

"""The sandbox's integration "WFM Time-off HRIS": turned on, waited for, and asked what it called.

    native = Native(system.admin)
    await native.turn_on(service.url, TOKEN, order="callFirst", autoApprove=True)
    request = await system.submit(agent, in_days(14), status="PENDING")
    await native.settled()
    (call,) = await native.calls(request)

An agent is told of only with an id in the integration: `link`, `sync_agents` or the world's `externalIds`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

INSERT: Final = "insert-timeoff"
UPDATE: Final = "update-timeoff"
#: Far above what a test needs; a machine under load may be slow.
PATIENCE: Final = 40.0


@dataclass(frozen=True)
class Native:
    """`admin` calls the sandbox's admin API: method, path behind `/admin`, body."""

    admin: Callable[..., Awaitable[Any]]

    async def turn_on(self, address: str, token: str = "", **options: Any) -> None:
        """`options` as the sandbox names them; those that are not named keep their value."""
        await self.options(address=address, token=token, **options)

    async def turn_off(self) -> None:
        await self.options(address=None)

    async def options(self, **options: Any) -> Json:
        answer: Mapping[str, Any] = await self.admin("PUT", "/options", {"native": options})
        return dict(answer["native"])

    async def settled(self, within: float = PATIENCE) -> None:
        """Every workflow that a change ran has ended, retries included."""
        state = await self.admin("POST", "/genesys/native/settle", {"seconds": within})
        assert state["underWay"] == 0, f"after {within} s {state['underWay']} are under way"

    async def calls(self, request_id: str | None = None, *flows: str) -> list[Json]:
        """What was called, oldest first: of one request, of some flows, or all."""
        calls = (await self.admin("GET", "/genesys/native/calls"))["calls"]
        return [
            call
            for call in calls
            if request_id in (None, call["requestId"]) and (not flows or call["flow"] in flows)
        ]

    async def link(self, agent_id: str, external_id: str | None) -> None:
        await self.admin("POST", "/genesys/link-agent", {"agentId": agent_id, "externalId": external_id})

    async def sync_agents(self) -> Json:
        return dict(await self.admin("POST", "/genesys/native/sync-agents"))

    async def balance(self, agent_id: str, *dates: str, codes: tuple[str, ...] = ("5",)) -> Json:
        """What a request form shows: `accepted`, and the outputs of Get-Balance as `answer`."""
        form = {"agentId": agent_id, "activityCodeIds": list(codes), "dates": list(dates)}
        return dict(await self.admin("POST", "/genesys/native/balance", form))

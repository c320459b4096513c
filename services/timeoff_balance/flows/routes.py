"""The flows, wired: what the service needs to serve them in both ways.

balances, directory ───────> Reading ─┐
handovers, HRIS, balances ─> Booking ─┴─> Flows ─┬─> Plain        POST /v1/flows/{name}
                                                 └─> Executions ─> Compatible   /api/v2/flows…
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace

from aiohttp import web

from timeoff.database import Pool
from timeoff.openapi import Operation
from timeoff_balance.access import CALLER
from timeoff_balance.errors import Refusal
from timeoff_balance.flows.booking import Booking
from timeoff_balance.flows.catalogue import Catalogue
from timeoff_balance.flows.compatible import Compatible
from timeoff_balance.flows.executions import Executions
from timeoff_balance.flows.plain import Plain, operation
from timeoff_balance.flows.reading import Balances, Directory, Reading
from timeoff_balance.flows.running import LIMIT, Flows


class FlowService:
    """`pool` stands in the schema of the service; `target_of` names the HRIS that a call means, and raises
    `Refusal` if there is none. `kept` are seconds for which a run can be asked for.
    """

    def __init__(
        self,
        *,
        balances: Balances,
        directory: Directory,
        targets: Sequence[str],
        target_of: Callable[[str | None], str],
        pool: Pool,
        sql: SimpleNamespace,
        kept: float,
        booking: Booking,
        limit: float = LIMIT,
    ) -> None:
        self.flows = Flows(Reading(balances, directory), booking, limit=limit)
        self.executions = Executions(pool, sql, self.flows, kept=kept)
        self._plain = Plain(self.flows, target_of)
        self._compatible = Compatible(Catalogue(self.flows.all, targets), self.executions)

    def routes(self) -> list[web.RouteDef]:
        """Both ways. A person's own token is not enough: flows tell of everybody."""
        return [_for_services(route) for route in (*self._plain.routes(), *self._compatible.routes())]

    def operations(self) -> list[Operation]:
        """The plain calls for the OpenAPI document; the others are described by Genesys Cloud."""
        return [operation(flow) for flow in self.flows.all]


def _for_services(route: web.RouteDef) -> web.RouteDef:
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = route.handler

    async def guarded(request: web.Request) -> web.StreamResponse:
        if request[CALLER].employee is not None:
            raise Refusal(403, "not_for_persons", "A person's token shows no flows")
        return await handler(request)

    return web.route(route.method, route.path, guarded)


__all__ = ["FlowService"]

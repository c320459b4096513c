"""One run of a flow: inputs read, a limit on its time, and a result whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from timeoff.database import CONNECTION_TROUBLE
from timeoff.errors import HrisError
from timeoff.telemetry.logs import get_logger
from timeoff_balance import metrics
from timeoff_balance.errors import Refusal
from timeoff_balance.flows.booking import Booking
from timeoff_balance.flows.contract import (
    FLOWS,
    GET_AGENTS,
    GET_BALANCE,
    GET_TIMEOFF_TYPES,
    INSERT_TIMEOFF,
    UPDATE_TIMEOFF,
    Flow,
    Status,
)
from timeoff_balance.flows.reading import Reading
from timeoff_balance.flows.results import NO_ANSWER, Result, failed, failed_by, wrong_inputs
from timeoff_balance.flows.values import Inputs, read_inputs

#: Seconds. A data action waits a minute at most: an answer after that is none.
LIMIT: Final = 55.0

Run = Callable[[str, Inputs], Awaitable[Result]]

log = get_logger()


class Flows:
    """The five flows."""

    def __init__(self, reading: Reading, booking: Booking, *, limit: float = LIMIT) -> None:
        self._limit = limit
        self._runs: dict[str, Run] = {
            GET_AGENTS.name: reading.get_agents,
            GET_TIMEOFF_TYPES.name: reading.get_timeoff_types,
            GET_BALANCE.name: reading.get_balance,
            INSERT_TIMEOFF.name: booking.insert,
            UPDATE_TIMEOFF.name: booking.update,
        }

    @property
    def all(self) -> tuple[Flow, ...]:
        """In the order of the contract."""
        return tuple(FLOWS.values())

    @property
    def limit(self) -> float:
        """Seconds after which a run has ended."""
        return self._limit

    async def run(self, flow: Flow, target: str, document: Mapping[str, Any]) -> Result:
        """Never raises, except that it can be cancelled. Messages hold nothing of free texts."""
        began = time.perf_counter()
        result = await self._ended(flow, target, document)
        metrics.FLOW_RUNS.labels(flow.name, str(result.code)).inc()
        (log.info if result.status is Status.ERROR else log.debug)(
            "flow.ended",
            flow=flow.name,
            target=target,
            status=str(result.status),
            code=result.code,
            ms=round((time.perf_counter() - began) * 1000, 1),
        )
        return result

    async def _ended(self, flow: Flow, target: str, document: Mapping[str, Any]) -> Result:
        inputs, problems = read_inputs(flow, document)
        if problems:
            return wrong_inputs(problems)
        try:
            async with asyncio.timeout(self._limit):
                return await self._runs[flow.name](target, inputs)
        except HrisError as error:
            return failed_by(error)
        except Refusal as refusal:
            return failed(refusal.status, str(refusal))
        except TimeoutError:
            return failed(NO_ANSWER, f"no answer within {self._limit:g} s")
        except CONNECTION_TROUBLE as error:
            log.warning("ledger.unreachable", part="flows", error=type(error).__name__)
            return failed(503, "the ledger cannot be reached: call again with the same inputs")
        except Exception as error:
            log.exception("flow.failed", flow=flow.name, target=target, error=type(error).__name__)
            return failed(500, f"internal error ({type(error).__name__})")


__all__ = ["LIMIT", "Flows"]

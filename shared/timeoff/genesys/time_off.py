"""Time-off requests over REST (workforce management API of Genesys Cloud)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from urllib.parse import quote

from pydantic_core import from_json

from timeoff.errors import GenesysUnavailable
from timeoff.genesys.models import (
    IntegrationStatusListing,
    RawRequest,
    TimeOffRequestList,
    TimeOffRequestListing,
)
from timeoff.genesys.transport import Transport
from timeoff.vocabulary import IntegrationStatus, RequestStatus

UNITS: Final = "/workforcemanagement/managementunits"
#: The query refuses longer ranges.
MAX_WINDOW_DAYS: Final = 33
_STATUSES_A_CALL: Final = 200


@dataclass(frozen=True, slots=True)
class Window:
    """Days off, both ends included, in the unit's zone. It says nothing about when a request changed."""

    first: date
    last: date


def windows(first: date, last: date) -> Sequence[Window]:
    """Cut a range into windows that the query accepts; adjacent, no day twice."""
    cut = []
    while first <= last:
        end = min(last, first + timedelta(days=MAX_WINDOW_DAYS - 1))
        cut.append(Window(first, end))
        first = end + timedelta(days=1)
    return cut


class TimeOffCalls(Transport):
    async def time_off_query(
        self, unit_id: str, *, pending: bool = False, window: Window | None = None
    ) -> Sequence[RawRequest]:
        """Requests of a unit: all that are PENDING, or all that touch a window, whatever their status."""
        if pending == (window is not None):
            raise ValueError("ask for PENDING or for a window")
        body: dict[str, object] = {}
        if window is not None:
            body["dateRange"] = {"startDate": str(window.first), "endDate": str(window.last)}
        else:
            body["statuses"] = [RequestStatus.PENDING.value]
        answer = await self.ask(
            "POST", f"{UNITS}/{_id(unit_id)}/timeoffrequests/query", TimeOffRequestListing, body=body
        )
        if answer.download_url:
            answer = await self.download(answer.download_url, TimeOffRequestListing)
        return answer.entities

    async def time_off_of_user(self, unit_id: str, user_id: str) -> Sequence[RawRequest]:
        """All requests of one agent. Raises `GenesysNotFound` if the agent is not in this unit."""
        path = f"{UNITS}/{_id(unit_id)}/users/{_id(user_id)}/timeoffrequests"
        return (await self.ask("GET", path, TimeOffRequestList)).time_off_requests

    async def time_off_get(self, unit_id: str, user_id: str, request_id: str) -> RawRequest:
        path = f"{UNITS}/{_id(unit_id)}/users/{_id(user_id)}/timeoffrequests/{_id(request_id)}"
        raw = await self.send("GET", path)
        try:
            answer = from_json(raw)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise GenesysUnavailable(f"GET {path}: unexpected answer: not an object")
        return answer

    async def set_integration_status(
        self, unit_id: str, request_id: str, user_id: str, status: IntegrationStatus
    ) -> None:
        """What a supervisor sees about the HRIS side. Last writer wins; sent once, never repeated here."""
        path = f"{UNITS}/{_id(unit_id)}/timeoffrequests/{_id(request_id)}/users/{_id(user_id)}"
        await self.send(
            "PATCH",
            f"{path}/integrationstatus",
            body={"integrationStatus": status.value},
            repeatable=False,
        )

    async def integration_statuses(
        self, unit_id: str, lookups: Sequence[tuple[str, str]]
    ) -> Mapping[str, str]:
        """Request id to status, for (request id, agent id) pairs; those without a status are absent."""
        found: dict[str, str] = {}
        path = f"{UNITS}/{_id(unit_id)}/timeoffrequests/integrationstatus/query"
        for first in range(0, len(lookups), _STATUSES_A_CALL):
            pairs = lookups[first : first + _STATUSES_A_CALL]
            answer = await self.ask(
                "POST",
                path,
                IntegrationStatusListing,
                body={"timeOffRequestLookups": [{"timeOffRequestId": r, "userId": u} for r, u in pairs]},
            )
            for item in answer.entities:
                if item.time_off_request is not None and item.time_off_request.id and item.integration_status:
                    found[item.time_off_request.id] = item.integration_status
        return found


def _id(value: str) -> str:
    return quote(value, safe="")

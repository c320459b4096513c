"""HR's own desk at the leave service, past the proxy: it fills, books by hand, and counts.

Written from the API's description (docs/reference/leave.md), without the product's client: it judges that.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import aiohttp

from timeoff.errors import Unreachable
from timeoff_cli.demo.hris import Document

PAGE: Final = 1000
#: Calls at a time while employees are made and balances are read.
AT_A_TIME: Final = 8
PAY_HOURS: Final = 8
#: Days of each type in a period: nobody runs out, as with the 30 that many people have some would.
QUANTITY: Final = 200


class LeaveOffice:
    """`url` is the service's address. Raises `Unreachable` with its words where it refuses something."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._headers: dict[str, str] = {}

    async def log_in(self, client: tuple[str, str], account: tuple[str, str]) -> None:
        form = {
            "grant_type": "password",
            "client_id": client[0],
            "client_secret": client[1],
            "username": account[0],
            "password": account[1],
        }
        async with self._http.post(f"{self._url}/rest/oauth2/access_token", data=form) as answer:
            said = await self._said("the login", answer)
        self._headers = {"Authorization": f"Bearer {said['access_token']}"}

    async def ask(
        self,
        method: str,
        path: str,
        body: Document | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """One call; decimals stay exact."""
        url = f"{self._url}/rest/v1{path}"
        async with self._http.request(method, url, params=query, json=body, headers=self._headers) as answer:
            return await self._said(f"{method} {path}", answer)

    async def everything(self, path: str, **query: str) -> list[Document]:
        """All pages of a list; the last one is shorter than a page."""
        found: list[Document] = []
        while True:
            place = {"limit": str(PAGE), "offset": str(len(found)), "sort": "id"}
            page = await self.ask("GET", path, query={**place, **query})
            found += page
            if len(page) < PAGE:
                return found

    async def open_shop(self, time_zones: Mapping[str, str], type_names: Iterable[str]) -> Shop:
        """A region for each unit (name to zone), and a policy that gives plenty of each type."""
        (root,) = [region for region in await self.everything("/regions") if region["parent"] is None]
        regions = {
            name: (await self.ask("POST", "/regions", {"name": name, "timeZone": zone}))["id"]
            for name, zone in time_zones.items()
        }
        listed = {type_["name"]: type_["id"] for type_ in await self.everything("/leave-types")}
        types = {name: listed[name] for name in type_names}
        begins = (datetime.now(UTC) + timedelta(days=2)).date()
        policy = await self.ask(
            "POST",
            "/leave-policies",
            {
                "name": "Everybody",
                "customId": "DEMO",
                "region": root["id"],
                "status": "ACTIVE",
                "effectiveStartDate": f"{begins}T00:00:00+00:00",
                "payHoursPerDay": PAY_HOURS,
                "balanceResetReferenceMonth": "JANUARY",
                "balanceResetsPerYear": 1,
            },
        )
        items = []
        for name, type_id in types.items():
            item = {
                "name": name,
                "customId": f"DEMO-{type_id}",
                "entitlementUnit": "DAYS",
                "quantity": QUANTITY,
                "region": root["id"],
                "leaveType": type_id,
            }
            items.append((await self.ask("POST", "/leave-policy-items", item))["id"])
        path = f"/leave-policies/{policy['id']}/actions/assign-leave-policy-items"
        await self.ask("POST", path, {"leavePolicyItemsIds": items})
        return Shop(self, policy["id"], regions, types)

    async def balances(self, employees: Iterable[str]) -> list[Document]:
        """The balance records of these employees, type and period by period."""
        gate = asyncio.Semaphore(AT_A_TIME)

        async def of(employee: str) -> list[Document]:
            async with gate:
                return await self.everything("/leave-balances", employee=employee)

        return [each for found in await asyncio.gather(*map(of, employees)) for each in found]

    async def _said(self, what: str, answer: aiohttp.ClientResponse) -> Any:
        text = await answer.text()
        if answer.status != 200:
            raise Unreachable(f"the leave service, {what}: {answer.status} {text[:300]}")
        return json.loads(text, parse_float=Decimal)


class Shop:
    """What everybody has in common: policy, regions by unit name, leave types by name."""

    def __init__(
        self, office: LeaveOffice, policy: int, regions: dict[str, int], types: dict[str, int]
    ) -> None:
        self._office = office
        self._policy = policy
        self._regions = regions
        self.types = types

    async def hire(self, people: Mapping[str, str]) -> dict[str, str]:
        """Employees from address to name of the unit; returns their ids by address, all on the policy."""
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(email: str, unit: str) -> tuple[str, int]:
            first, last = (part.title() for part in email.partition("@")[0].split(".")[:2])
            new = {"firstName": first, "lastName": last, "email": email, "region": self._regions[unit]}
            async with gate:
                made: int = (await self._office.ask("POST", "/employees", new))["id"]
            return email, made

        ids = dict(await asyncio.gather(*(one(email, unit) for email, unit in people.items())))
        path = f"/leave-policies/{self._policy}/actions/assign-employees"
        everybody = list(ids.values())
        for at in range(0, len(everybody), 500):
            await self._office.ask("POST", path, {"employeesIds": everybody[at : at + 500]})
        return {email: str(id_) for email, id_ in ids.items()}

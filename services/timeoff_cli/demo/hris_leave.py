"""The leave service as the demo's HRIS, with the recording proxy between it and the product.

What the product does goes through the proxy, which spoils answers and notes every call. What HR does goes to
the service itself, and so does the judge, who reads `/leave-requests` and balances, and the proxy's record.
"""

from __future__ import annotations

import re
import secrets
from collections import Counter
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, Final

from timeoff.errors import Unreachable
from timeoff_cli.demo.hris import Amounts, Document, Record, Truth, Write, Writes, days
from timeoff_cli.demo.leave_office import PAY_HOURS, QUANTITY, LeaveOffice

if TYPE_CHECKING:
    from timeoff_cli.demo.stage import Stage

SERVICE: Final = """
[leave]
port = 0
requests_per_minute = {rate}
"""
TARGET: Final = """
[hris.acme]
adapter = "tracktik"
requests_per_minute = {rate}
[hris.acme.settings]
base_url = "{url}"
client_id = "timeoff-sync"
username = "administrator"
read_lag = 1.0
read_timeout = 3.5
call_timeout = 4.0
"""
#: Activity code of the sandbox's world to built-in leave type.
TYPES: Final = {"5": "Vacation", "6": "Personal Day", "7": "Sick"}
OPERATIONS: Final[Mapping[Writes, str]] = {
    "book": r"POST|PATCH /leave-requests(/\d+)?$",
    "cancel": r"POST /leave-requests/\d+/actions/(cancel|decline)$",
}
LATENCY_MS: Final = 15


class Leave:
    title = "the leave service, behind the recording proxy"
    parts: tuple[str, ...] = ("the leave service", "the recording proxy")
    refuses_overlaps = True
    writing = frozenset({"create", "change", "approve", "decline", "cancel"})
    _stage: Stage
    _office: LeaveOffice

    def __init__(self, requests_per_minute: int) -> None:
        self._rate = requests_per_minute
        self._client_secret = secrets.token_urlsafe(24)
        self._password = secrets.token_urlsafe(24)
        self._url = ""
        self._proxy = ""

    def sandbox_options(self) -> Document:
        return {}

    async def open(self, stage: Stage) -> None:
        self._stage = stage
        settings = stage.folder / "leave.toml"
        settings.write_text(SERVICE.format(rate=self._rate))
        environment = {
            "TIMEOFF_CONFIG": str(settings),
            "TIMEOFF_LEAVE__DATABASE_URL": await stage.create_database("leave"),
            "TIMEOFF_LEAVE__ADMINISTRATOR_PASSWORD": self._password,
            "TIMEOFF_LEAVE__CLIENT_SECRET": self._client_secret,
        }
        service = await stage.start_service("leave", ["leave"], environment)
        self._url = await service.address("leave.listening")
        proxy = ["proxy", "--upstream", self._url, "--json", "--record-bodies", "--latency", str(LATENCY_MS)]
        self._proxy = (await stage.start_with_a_line("proxy", proxy))["url"]
        self._office = LeaveOffice(stage.http, self._url)
        await self._office.log_in(("timeoff-sync", self._client_secret), ("administrator", self._password))

    def target(self) -> str:
        return TARGET.format(rate=self._rate, url=self._proxy)

    def secrets(self) -> Mapping[str, str]:
        return {
            "TIMEOFF_HRIS__ACME__SETTINGS__CLIENT_SECRET": self._client_secret,
            "TIMEOFF_HRIS__ACME__SETTINGS__PASSWORD": self._password,
        }

    async def fill(self, world: Document) -> Document:
        units = {unit["id"]: unit for unit in world["managementUnits"]}
        zones = {unit["name"]: unit["timeZone"] for unit in units.values()}
        shop = await self._office.open_shop(zones, TYPES.values())
        known = [agent for agent in world["agents"] if agent["employeeId"]]
        ids = await shop.hire({agent["email"]: units[agent["managementUnitId"]]["name"] for agent in known})
        for plan in world["plans"]:
            (name,) = (TYPES[code] for code in plan["activityCodeIds"])
            link = {"hrisType": {"id": str(shop.types[name]), "name": name}}
            await self._stage.ask("PATCH", f"/genesys/plans/{plan['id']}", link)
        linked = await self._stage.ask("GET", "/world")
        return {
            **world,
            "plans": linked["plans"],
            "types": [{"id": str(id_), "name": name, "units": "minutes"} for name, id_ in shop.types.items()],
            "agents": [{**agent, "employeeId": ids.get(agent["email"])} for agent in world["agents"]],
        }

    async def book(self, employee_id: str, type_id: str, hours: Mapping[str, Decimal]) -> None:
        body = {
            "employee": int(employee_id),
            "leaveType": int(type_id),
            "status": "APPROVED",
            "startDate": min(hours),
            "endDate": max(hours),
            "days": _days(hours),
        }
        await self._office.ask("POST", "/leave-requests", body)

    async def change(self, record_id: str, hours: Mapping[str, Decimal]) -> None:
        await self._office.ask("PATCH", f"/leave-requests/{record_id}", {"days": _days(hours)})

    async def refuse(self, employee_id: str) -> None:
        body = rf'"employee": ?{employee_id}\b'
        await self._rule({"on": "POST /leave-requests$", "kind": "refuse", "times": None, "body": body})

    async def spoil(self, what: Writes, kind: str, times: int, **details: Any) -> None:
        await self._rule({"on": OPERATIONS[what], "kind": kind, "times": times, **details})

    async def records(self) -> list[Record]:
        return [_record(each) for each in await self._office.everything("/leave-requests")]

    async def truth(self) -> Truth:
        records = await self.records()
        calls = (await self._ask_proxy("GET", "calls"))["calls"]
        named = [(_operation(call), call) for call in calls]
        writes = [_write(call) for name, call in named if name in ("create", "change") and _done(call)]
        employees = sorted({record.employee_id for record in records}, key=int)
        wrong = _balances_wrong(records, await self._office.balances(employees))
        struck = Counter(call["fault"] for call in calls if call["fault"])
        return Truth(records, writes, Counter(name for name, _ in named), struck, wrong)

    def amounts(self, version: Document, type_: Document, zone: str) -> Amounts:
        """Minutes of payable time, of every type."""
        found: Amounts = {}
        for on, minutes, _ in days(version, zone):
            found[on] = found.get(on, Decimal(0)) + minutes
        return {on: amount for on, amount in found.items() if amount}

    def look_around(self) -> list[str]:
        return [
            f"leave service: {self._url}/web (administrator, {self._password})",
            f"recording proxy: {self._proxy}/__proxy__/calls",
        ]

    async def _rule(self, rule: Document) -> None:
        await self._ask_proxy("POST", "faults", {"rules": [rule]})

    async def _ask_proxy(self, method: str, what: str, body: Document | None = None) -> Any:
        async with self._stage.http.request(method, f"{self._proxy}/__proxy__/{what}", json=body) as answer:
            if answer.status != 200:
                raise Unreachable(
                    f"the proxy, {method} {what}: {answer.status} {(await answer.text())[:300]}"
                )
            return await answer.json()


def _days(hours: Mapping[str, Decimal]) -> list[Document]:
    return [{"date": on, "minutes": int(amount * 60)} for on, amount in hours.items()]


def _amounts(leave: Document) -> Amounts:
    return {day["date"]: Decimal(str(day["minutes"])) for day in leave["days"] if day["minutes"]}


def _record(leave: Document) -> Record:
    """A record of `/leave-requests`; the key is `<request id>/<booking>`, and HR gives none."""
    key = leave["customId"]
    return Record(
        id=str(leave["id"]),
        employee_id=str(leave["employee"]),
        type_id=str(leave["leaveType"]),
        live=leave["status"] in ("PENDING", "APPROVED"),
        by_hand=key is None,
        amounts=_amounts(leave),
        claims=None if key is None else key.partition("/")[0],
    )


def _operation(call: Document) -> str:
    method, path = call["method"], call["path"].removeprefix("/rest/v1/").removeprefix("/rest/")
    if method == "GET":
        return f"read {path.partition('/')[0]}"
    if found := re.fullmatch(r"leave-requests/\d+/actions/(\w+)", path):
        return found[1]
    names = {"leave-requests": "create", "oauth2/access_token": "log in"}
    return "change" if method == "PATCH" else names.get(path, f"{method} {path}")


def _done(call: Document) -> bool:
    return bool(call["upstreamStatus"] == 200)


def _write(call: Document) -> Write:
    """A booking or change that the service carried out, whether or not the product heard of it."""
    answer = call["responseBody"]
    committed = call["at"] + (call["durationMs"] - LATENCY_MS / 2) / 1000
    return Write(str(answer["id"]), _amounts(answer), committed, call["at"])


def _balances_wrong(records: list[Record], balances: list[Document]) -> list[str]:
    """What is left is what was granted less what is booked, for every employee, type and period."""
    wrong = []
    booked: dict[tuple[str, str], Amounts] = {}
    for record in records:
        if record.live:
            of_both = booked.setdefault((record.employee_id, record.type_id), {})
            for on, minutes in record.amounts.items():
                of_both[on] = of_both.get(on, Decimal(0)) + minutes
    for balance in balances:
        whose = str(balance["employee"]), str(balance["leaveType"])
        first, end = balance["periodStartDateTime"][:10], balance["periodEndDateTime"][:10]
        mine = booked.get(whose, {})
        minutes = sum((mine.pop(on) for on in list(mine) if first <= on < end), Decimal(0))
        left = (QUANTITY - minutes / (PAY_HOURS * 60)).quantize(Decimal("0.0001"), ROUND_HALF_UP)
        if left != balance["balanceDays"]:
            wrong.append(f"balance {balance['id']} is {balance['balanceDays']}, and should be {left}")
    return wrong + [
        f"no balance counts {whose} on {', '.join(mine)}" for whose, mine in booked.items() if mine
    ]

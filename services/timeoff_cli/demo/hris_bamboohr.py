"""BambooHR as the sandbox imitates it: truth, faults and HR are its admin API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from timeoff_cli.demo.hris import Amounts, Document, Record, Truth, Write, Writes, days

if TYPE_CHECKING:
    from timeoff_cli.demo.stage import Stage

TARGET: Final = """
[hris.acme]
adapter = "bamboohr"
requests_per_minute = {rate}
[hris.acme.settings]
base_url = "{url}"
read_lag = 1.0
call_timeout = 4.0
"""
#: An update is a create there.
OPERATIONS: Final[Mapping[Writes, str]] = {"book": "create", "cancel": "status"}


class BambooHr:
    title = "BambooHR (sandbox)"
    parts: tuple[str, ...] = ()
    refuses_overlaps = False
    writing = frozenset({"create", "status"})
    _stage: Stage

    def __init__(self, requests_per_minute: int) -> None:
        self._rate = requests_per_minute

    def sandbox_options(self) -> Document:
        return {"bamboohr": {"requestsPerMinute": self._rate, "latencyMs": 15, "readLagMs": 200}}

    async def open(self, stage: Stage) -> None:
        self._stage = stage

    def target(self) -> str:
        return TARGET.format(rate=self._rate, url=self._stage.url)

    def secrets(self) -> Mapping[str, str]:
        return {"TIMEOFF_HRIS__ACME__SETTINGS__API_KEY": self._stage.sandbox["apiKey"]}

    async def fill(self, world: Document) -> Document:
        # The sandbox has filled it already.
        return world

    async def book(self, employee_id: str, type_id: str, hours: Mapping[str, Decimal]) -> None:
        body = {"employeeId": employee_id, "typeId": type_id, "dates": _texts(hours)}
        await self._stage.ask("POST", "/hris/entries", body)

    async def change(self, record_id: str, hours: Mapping[str, Decimal]) -> None:
        await self._stage.ask("PATCH", f"/hris/entries/{record_id}", {"dates": _texts(hours)})

    async def refuse(self, employee_id: str) -> None:
        world = await self._stage.ask("GET", "/world")
        others = [
            int(agent["employeeId"])
            for agent in world["agents"]
            if agent["employeeId"] not in (None, employee_id)
        ]
        options = await self._stage.ask("GET", "/options")
        keys = options["bamboohr"]["apiKeys"]
        for rights in keys.values():
            rights["employees"] = others
        await self._stage.ask("PUT", "/options", {"bamboohr": {"apiKeys": keys}})

    async def spoil(self, what: Writes, kind: str, times: int, **details: Any) -> None:
        rule = {"on": OPERATIONS[what], "kind": kind, "times": times, **details}
        await self._stage.ask("POST", "/hris/faults", {"rules": [rule]})

    async def records(self) -> list[Record]:
        return _records((await self._stage.ask("GET", "/hris/entries"))["entries"])

    async def truth(self) -> Truth:
        entries = (await self._stage.ask("GET", "/hris/entries"))["entries"]
        return truth(entries, (await self._stage.ask("GET", "/hris/calls"))["calls"])

    def amounts(self, version: Document, type_: Document, zone: str) -> Amounts:
        return amounts(version, type_, zone)

    def look_around(self) -> list[str]:
        return []


def truth(entries: list[Document], calls: list[Document]) -> Truth:
    """From the entries and calls of the sandbox's admin API. Every write is an entry of its own there."""
    called = {str(call["entryId"]): call["at"] for call in calls if call["operation"] == "create"}
    writes = [
        Write(str(entry["id"]), _amounts(entry), entry["committedAt"], called.get(str(entry["id"])))
        for entry in entries
        if entry["by"] == "api"
    ]
    return Truth(
        _records(entries),
        writes,
        Counter(call["operation"] for call in calls),
        Counter(call["fault"] for call in calls if call["fault"]),
    )


def amounts(version: Document, type_: Document, zone: str) -> Amounts:
    """Hours of payable time, or whole days, by the type's unit."""
    found: Amounts = {}
    for on, minutes, whole in days(version, zone):
        if type_["units"] == "days":
            amount = Decimal(1) if whole else (Decimal(minutes) / 480).quantize(Decimal("0.01"))
        else:
            amount = (Decimal(minutes) / 60).quantize(Decimal("0.01"))
        found[on] = found.get(on, Decimal(0)) + amount
    return {on: amount for on, amount in found.items() if amount}


def _records(entries: list[Document]) -> list[Record]:
    return [
        Record(
            str(entry["id"]),
            entry["employeeId"],
            str(entry["typeId"]),
            entry["status"] in ("approved", "requested"),
            entry["by"] != "api",
            _amounts(entry),
        )
        for entry in entries
    ]


def _amounts(entry: Document) -> Amounts:
    return {on: Decimal(value) for on, value in entry["dates"].items() if Decimal(value)}


def _texts(hours: Mapping[str, Decimal]) -> dict[str, str]:
    return {on: str(value) for on, value in hours.items()}

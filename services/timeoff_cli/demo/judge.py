"""The judge: Genesys, ledger and HRIS side by side, from the sandbox's own logs.

It shares no code with what it judges: what an entry should say is worked out here, from the sandbox's truth.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Truth = dict[str, Any]
Amounts = dict[str, Decimal]


@dataclass
class Verdict:
    """Counts that must be zero, and those that the script planned."""

    missing: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    exported: int = 0
    live_entries: int = 0
    adopted: int = 0
    latencies: list[float] = field(default_factory=list)
    overheads: list[float] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def zeros(self) -> bool:
        return not (self.missing or self.duplicate or self.stale or self.wrong)


def judge(
    world: Truth,
    requests: list[Truth],
    entries: list[Truth],
    calls: list[Truth],
    ledger_requests: list[Truth],
    ledger_entries: list[Truth],
    calm: tuple[float, float],
) -> Verdict:
    verdict = Verdict()
    zones = {unit["id"]: unit["timeZone"] for unit in world["managementUnits"]}
    types = _types_by_code(world)
    employees = {agent["agentId"]: agent["employeeId"] for agent in world["agents"]}
    request_of = {vendor_id: row["request_id"] for row in ledger_entries for vendor_id in row["chain"]}
    states = {row["request_id"]: row for row in ledger_requests}
    waiting = {request_id for request_id, row in states.items() if row["state"] in ("held", "failed")}
    for row in ledger_requests:
        if row["state"] == "held":
            verdict.held[row["reason"]] += 1
        elif row["state"] == "failed":
            verdict.failed[row["reason"]] += 1
    verdict.adopted = sum(1 for row in ledger_entries if row["adopted"])

    live = [entry for entry in entries if entry["status"] in ("approved", "requested")]
    verdict.live_entries = len(live)
    by_request: dict[str, list[Truth]] = defaultdict(list)
    for entry in live:
        owner = request_of.get(str(entry["id"]))
        if owner is not None:
            by_request[owner].append(entry)
        elif entry["by"] == "api":
            verdict.duplicate.append(f"HRIS record {entry['id']} belongs to no request in the ledger")

    for request in requests:
        request_id = request["id"]
        found = by_request.get(request_id, [])
        type_ = types.get(request["activityCodeId"])
        employee = employees.get(request["agentId"])
        wanted = request["status"] == "APPROVED" and type_ is not None
        if len(found) > 1:
            verdict.duplicate.append(f"{request_id}: {len(found)} live records")
        if request_id in waiting:
            continue
        if wanted:
            verdict.exported += 1
        if wanted and not found:
            verdict.missing.append(request_id)
        elif not wanted and found:
            verdict.stale.append(f"{request_id} is {request['status']}, record {found[0]['id']} is live")
        elif wanted and found and type_ is not None:
            zone = zones[request["managementUnitId"]]
            said = {on: Decimal(value) for on, value in found[0]["dates"].items() if Decimal(value)}
            fits = found[0]["employeeId"] == employee and str(found[0]["typeId"]) == type_["id"]
            if not fits or said != _amounts(request, type_, zone):
                older = any(said == _amounts(v, type_, zone) for v in request["history"][:-1])
                (verdict.stale if fits and older else verdict.wrong).append(request_id)
    _ledger_against_hris(verdict, entries, ledger_entries, waiting)
    _latencies(verdict, requests, entries, calls, request_of, types, zones, calm)
    for call in calls:
        verdict.calls[call["operation"]] += 1
    return verdict


def _ledger_against_hris(
    verdict: Verdict, entries: list[Truth], ledger_entries: list[Truth], waiting: set[str]
) -> None:
    """What the ledger calls live must be live in the HRIS, and the other way round."""
    status = {str(entry["id"]): entry["status"] for entry in entries}
    for row in ledger_entries:
        is_live = status.get(row["vendor_id"]) in ("approved", "requested")
        if row["live"] != is_live and row["request_id"] not in waiting:
            verdict.wrong.append(f"{row['request_id']}: ledger and HRIS disagree on {row['vendor_id']}")


def _types_by_code(world: Truth) -> dict[str, Truth]:
    types = {str(type_["id"]): type_ for type_ in world["types"]}
    return {
        code: {**types[str(plan["hrisTimeOffType"]["id"])], "id": str(plan["hrisTimeOffType"]["id"])}
        for plan in world["plans"]
        if plan.get("hrisTimeOffType")
        for code in plan["activityCodeIds"]
    }


def _amounts(version: Truth, type_: Truth, zone: str) -> Amounts:
    """What the HRIS should hold for a version of a request: hours of payable time, or whole days."""
    dates = version["dates"]
    starts = version["partialStarts"]
    payable = version["payableMinutes"]
    days = list(dates) or [
        datetime.fromisoformat(start.replace("Z", "+00:00")).astimezone(ZoneInfo(zone)).date().isoformat()
        for start in starts
    ]
    amounts: Amounts = {}
    for on, minutes in zip(days, payable, strict=True):
        if type_["units"] == "days":
            amount = Decimal(1) if dates else (Decimal(minutes) / 480).quantize(Decimal("0.01"))
        else:
            amount = (Decimal(minutes) / 60).quantize(Decimal("0.01"))
        amounts[on] = amounts.get(on, Decimal(0)) + amount
    return {on: amount for on, amount in amounts.items() if amount}


def _latencies(
    verdict: Verdict,
    requests: list[Truth],
    entries: list[Truth],
    calls: list[Truth],
    request_of: dict[str, str],
    types: dict[str, Truth],
    zones: dict[str, str],
    calm: tuple[float, float],
) -> None:
    """From the moment Genesys changed to the moment the HRIS had it, per write of the day."""
    by_id = {request["id"]: request for request in requests}
    called = {str(call["entryId"]): call["at"] for call in calls if call["operation"] == "create"}
    for entry in entries:
        request = by_id.get(request_of.get(str(entry["id"]), ""))
        if request is None or entry["by"] != "api" or request["activityCodeId"] not in types:
            continue
        type_, zone = types[request["activityCodeId"]], zones[request["managementUnitId"]]
        said = {on: Decimal(value) for on, value in entry["dates"].items() if Decimal(value)}
        causes = [
            _at(version)
            for version in request["history"]
            if version["status"] == "APPROVED"
            and _at(version) <= entry["committedAt"]
            and _amounts(version, type_, zone) == said
        ]
        if not causes:
            continue
        verdict.latencies.append(entry["committedAt"] - causes[-1])
        if calm[0] <= causes[-1] <= calm[1] and str(entry["id"]) in called:
            verdict.overheads.append(called[str(entry["id"])] - causes[-1])


def _at(version: Truth) -> float:
    return datetime.fromisoformat(version["at"].replace("Z", "+00:00")).timestamp()


def rows_as_dicts(rows: list[Any]) -> list[Truth]:
    """Ledger rows for the judge; JSON columns are parsed."""
    return [
        {
            key: json.loads(value) if key in ("detail", "spec") and value else value
            for key, value in row.items()
        }
        for row in rows
    ]


def quantile(values: list[float], share: float) -> float | None:
    """The nearest-rank quantile, or None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

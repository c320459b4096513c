"""The judge: Genesys, ledger and HRIS side by side, from the sandbox's and the HRIS's own logs.

It shares no code with what it judges: what a record should say is worked out here, from the sandbox's truth.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from timeoff_cli.demo.hris import Amounts, Document, Record, Truth

#: What a record should hold for a version of a request, given its type and the zone of its unit.
Expected = Callable[[Document, Document, str], Amounts]


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
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def zeros(self) -> bool:
        return not (self.missing or self.duplicate or self.stale or self.wrong)


def judge(
    world: Document,
    requests: list[Document],
    hris: Truth,
    expected: Expected,
    ledger_requests: list[Document],
    ledger_entries: list[Document],
    calm: tuple[float, float],
) -> Verdict:
    verdict = Verdict(wrong=list(hris.wrong), calls=hris.calls, faults=hris.faults)
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

    live = [record for record in hris.records if record.live]
    verdict.live_entries = len(live)
    by_request = _by_request(verdict, live, request_of)
    for request in requests:
        request_id = request["id"]
        found = by_request.get(request_id, [])
        type_ = types.get(request["activityCodeId"])
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
            verdict.stale.append(f"{request_id} is {request['status']}, record {found[0].id} is live")
        elif wanted and found and type_ is not None:
            zone = zones[request["managementUnitId"]]
            said = found[0].amounts
            fits = found[0].employee_id == employees.get(request["agentId"])
            fits = fits and found[0].type_id == type_["id"]
            if not fits or said != expected(request, type_, zone):
                older = any(said == expected(version, type_, zone) for version in request["history"][:-1])
                (verdict.stale if fits and older else verdict.wrong).append(request_id)
    _ledger_against_hris(verdict, hris.records, ledger_entries, waiting)
    _latencies(verdict, requests, hris, expected, request_of, types, zones, calm)
    return verdict


def _by_request(verdict: Verdict, live: list[Record], request_of: dict[str, str]) -> dict[str, list[Record]]:
    """Live records by request: that of the ledger, which has to be the one that the record's key names."""
    by_request: dict[str, list[Record]] = defaultdict(list)
    for record in live:
        owner = request_of.get(record.id)
        if record.claims is not None and record.claims != owner:
            whose = owner or "nobody"
            verdict.wrong.append(f"{record.claims}: its record {record.id} is {whose}'s in the ledger")
        if request_id := owner or record.claims:
            by_request[request_id].append(record)
        elif not record.by_hand:
            verdict.duplicate.append(f"HRIS record {record.id} belongs to no request in the ledger")
    return by_request


def _ledger_against_hris(
    verdict: Verdict, records: list[Record], ledger_entries: list[Document], waiting: set[str]
) -> None:
    """What the ledger calls live must be live in the HRIS, and the other way round."""
    live = {record.id for record in records if record.live}
    for row in ledger_entries:
        if row["live"] != (row["vendor_id"] in live) and row["request_id"] not in waiting:
            verdict.wrong.append(f"{row['request_id']}: ledger and HRIS disagree on {row['vendor_id']}")


def _types_by_code(world: Document) -> dict[str, Document]:
    types = {str(type_["id"]): type_ for type_ in world["types"]}
    return {
        code: {**types[str(plan["hrisTimeOffType"]["id"])], "id": str(plan["hrisTimeOffType"]["id"])}
        for plan in world["plans"]
        if plan.get("hrisTimeOffType")
        for code in plan["activityCodeIds"]
    }


def _latencies(
    verdict: Verdict,
    requests: list[Document],
    hris: Truth,
    expected: Expected,
    request_of: dict[str, str],
    types: dict[str, Document],
    zones: dict[str, str],
    calm: tuple[float, float],
) -> None:
    """From the moment Genesys changed to the moment the HRIS had it, per write of the day."""
    by_id = {request["id"]: request for request in requests}
    for write in hris.writes:
        request = by_id.get(request_of.get(write.record_id, ""))
        if request is None or request["activityCodeId"] not in types:
            continue
        type_, zone = types[request["activityCodeId"]], zones[request["managementUnitId"]]
        causes = [
            _at(version)
            for version in request["history"]
            if version["status"] == "APPROVED"
            and _at(version) <= write.committed_at
            and expected(version, type_, zone) == write.amounts
        ]
        if not causes:
            continue
        verdict.latencies.append(write.committed_at - causes[-1])
        if calm[0] <= causes[-1] <= calm[1] and write.called_at is not None:
            verdict.overheads.append(write.called_at - causes[-1])


def _at(version: Document) -> float:
    return datetime.fromisoformat(version["at"].replace("Z", "+00:00")).timestamp()


def rows_as_dicts(rows: list[Any]) -> list[Document]:
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

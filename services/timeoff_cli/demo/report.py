"""The demo's result: one dictionary for programs, tables for people."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from rich.console import Console
from rich.table import Table

from timeoff_cli.demo.judge import Verdict, quantile
from timeoff_cli.demo.lookups import Lookups
from timeoff_cli.demo.play import Played
from timeoff_cli.demo.script import Script

COUNTS = {
    "missing": "exported in Genesys, not in the HRIS, neither held nor failed",
    "duplicate": "more than one live record for a request",
    "stale": "the HRIS shows an older state of the request",
    "wrong": "the HRIS or the ledger shows something that never was",
}


def as_json(
    verdict: Verdict,
    script: Script,
    played: Played,
    lookups: Lookups | None,
    left: dict[str, int],
    writing: Collection[str],
    stage: dict[str, Any],
    took: float,
) -> dict[str, Any]:
    counts = {name: len(getattr(verdict, name)) for name in COUNTS}
    planned = script.held
    as_planned = dict(verdict.held) == planned and dict(verdict.failed) == script.failed
    # A record of ours that is taken for one of HR's is one that the ledger had lost.
    as_planned = as_planned and verdict.adopted == script.adopted
    writes = sum(count for operation, count in verdict.calls.items() if operation in writing)
    return {
        "passed": verdict.zeros and as_planned and not left and lookups is not None and lookups.right,
        **stage,
        "changes": script.changes,
        "seconds": round(took, 1),
        "counts": counts,
        "examples": {name: getattr(verdict, name)[:5] for name in COUNTS if counts[name]},
        "not_finished": left,
        "held": {"planned": planned, "found": dict(verdict.held)},
        "failed": {"planned": script.failed, "found": dict(verdict.failed)},
        "exported_requests": verdict.exported,
        "live_entries": verdict.live_entries,
        "adopted": verdict.adopted,
        "adopted_planned": script.adopted,
        "balance": lookups.as_json() if lookups else None,
        "latency_ms": _quantiles(verdict.latencies),
        "overhead_at_low_load_ms": _quantiles(verdict.overheads),
        "hris_calls": {
            "made": sum(verdict.calls.values()),
            "writes": writes,
            "by_operation": dict(sorted(verdict.calls.items())),
            "saved": max(0, script.changes - writes),
        },
        "hris_faults": dict(sorted(verdict.faults.items())),
        "faults": played.faults,
    }


def _quantiles(values: list[float]) -> dict[str, float | int | None]:
    p50, p99 = quantile(values, 0.5), quantile(values, 0.99)
    return {
        "p50": round(p50 * 1000, 1) if p50 is not None else None,
        "p99": round(p99 * 1000, 1) if p99 is not None else None,
        "samples": len(values),
    }


def _show_balance(console: Console, balance: dict[str, Any] | None) -> None:
    if balance is None:
        return
    table = Table(title=f"What an employee has left while {balance['minutes']} minutes are booked")
    for name in ("when", "minutes left", "of these waiting", "the HRIS says"):
        table.add_column(name, justify="left" if name == "when" else "right")
    for each in balance["lookups"]:
        table.add_row(each["when"], str(each["minutes"]), str(each["waiting"] or ""), each["hris"])
    console.print(table)
    if not balance["right"]:
        console.print("[red]these are not the numbers that they have to be[/red]")


def show(console: Console, report: dict[str, Any]) -> None:
    table = Table(title="Genesys, ledger and HRIS compared")
    for name in ("count", "found", "planned", "meaning"):
        table.add_column(name, justify="right" if name in ("found", "planned") else "left")
    for name, meaning in COUNTS.items():
        found = report["counts"][name]
        table.add_row(name, f"[{'red' if found else 'green'}]{found}[/]", "0", meaning)
    for state in ("held", "failed"):
        found, planned = report[state]["found"], report[state]["planned"]
        right = found == planned
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(found.items()))
        table.add_row(
            state,
            f"[{'green' if right else 'red'}]{sum(found.values())}[/]",
            str(sum(planned.values())),
            reasons or "none",
        )
    console.print(table)
    for name, examples in report["examples"].items():
        for example in examples:
            console.print(f"  {name}: {example}")
    _show_balance(console, report["balance"])
    if report["not_finished"]:
        console.print(f"[red]not finished in time: {report['not_finished']}[/red]")

    numbers = Table(title="Numbers", show_header=False)
    numbers.add_column()
    numbers.add_column(justify="right")
    latency, overhead = report["latency_ms"], report["overhead_at_low_load_ms"]
    calls = report["hris_calls"]
    numbers.add_row(
        "exported requests / live entries", f"{report['exported_requests']} / {report['live_entries']}"
    )
    adopted, planned = report["adopted"], report["adopted_planned"]
    shown = str(adopted) if adopted == planned else f"[red]{adopted}, planned {planned}[/]"
    numbers.add_row("adopted (booked by hand before)", shown)
    numbers.add_row("approval to HRIS, p50 / p99, faults included", f"{latency['p50']} / {latency['p99']} ms")
    numbers.add_row(
        f"approval to HRIS call at low load, p50 / p99 ({overhead['samples']})",
        f"{overhead['p50']} / {overhead['p99']} ms",
    )
    numbers.add_row("HRIS calls made (writes)", f"{calls['made']} ({calls['writes']})")
    numbers.add_row("changes that cost no write of their own", str(calls["saved"]))
    numbers.add_row("took", f"{report['seconds']} s")
    console.print(numbers)
    verdict = "[bold green]passed[/bold green]" if report["passed"] else "[bold red]FAILED[/bold red]"
    console.print(verdict)

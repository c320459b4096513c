"""What was measured, as values and as a table."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `limit` is what lanes and latency allow at most (changes a second); None where none does.

    `cpu` and `database_cpu` are CPU time of this process and of PostgreSQL for each change, in milliseconds;
    `wrong` says what was not kept.
    """

    name: str
    changes: int
    seconds: float
    cpu: float
    database_cpu: float | None = None
    latency_ms: int | None = None
    lanes: int | None = None
    calls: int | None = None
    wrong: tuple[str, ...] = ()

    @property
    def rate(self) -> float:
        return self.changes / self.seconds

    @property
    def limit(self) -> float | None:
        if self.latency_ms is None or self.lanes is None:
            return None
        return self.lanes * 1000 / self.latency_ms

    def to_json(self) -> dict[str, Any]:
        limit = self.limit
        return asdict(self) | {"rate": self.rate, "share": self.rate / limit if limit else None}


def machine() -> dict[str, Any]:
    """Size and load: figures of a machine that does other things too are no figures of this product."""
    return {
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def show(results: Sequence[Measured], size: dict[str, Any], console: Console) -> None:
    table = Table(
        title=f"{size['cpus']} CPUs, Python {size['python']}, {size['system']}", title_justify="left"
    )
    table.add_column("run")
    for column in (
        "latency",
        "lanes",
        "changes",
        "seconds",
        "rate /s",
        "of limit",
        "CPU ms",
        "PG ms",
        "calls",
    ):
        table.add_column(column, justify="right")
    for result in results:
        limit = result.limit
        table.add_row(
            result.name,
            f"{result.latency_ms} ms" if result.latency_ms is not None else "",
            f"{result.lanes:,}" if result.lanes is not None else "",
            f"{result.changes:,}",
            f"{result.seconds:.2f}",
            f"{result.rate:,.0f}",
            f"{result.rate / limit:.1%}" if limit else "",
            f"{result.cpu:.3f}",
            f"{result.database_cpu:.3f}" if result.database_cpu is not None else "",
            f"{result.calls:,}" if result.calls is not None else "",
        )
    console.print(table)
    console.print("CPU and PG: CPU time of the sync process and of PostgreSQL for each change.", style="dim")
    for result in results:
        for problem in result.wrong:
            console.print(f"[bold red]{result.name}: {problem}")

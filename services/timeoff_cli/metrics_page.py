"""docs/reference/metrics.md, written from the metrics that the code defines (`make docs`)."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

PACKAGES: Final = (
    "timeoff",
    "timeoff_balance",
    "timeoff_cli",
    "timeoff_leave",
    "timeoff_listener",
    "timeoff_sync",
)

_HEAD: Final = """\
# Metrics

Written by `make docs` from the code; a test compares both. Every service serves its metrics on `/metrics`.
Counters and histograms have the usual further series of Prometheus (`_created`, `_bucket`, `_count`, `_sum`).

| name | kind | labels | meaning |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True, order=True)
class Metric:
    """One metric as a scrape names it (a counter ends in `_total`)."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def row(self) -> str:
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name}` | {self.kind} | {labels} | {self.meaning} |"


def defined() -> list[Metric]:
    """Every metric in a module named `metrics` of the product, by name."""
    found: dict[int, MetricWrapperBase] = {}
    for module in _modules():
        for value in vars(importlib.import_module(module)).values():
            if isinstance(value, MetricWrapperBase):
                found[id(value)] = value
    return sorted(
        Metric(
            # prometheus-client has no public way to ask a metric that has no samples yet
            metric._name + ("_total" if metric._type == "counter" else ""),
            str(metric._type),
            tuple(metric._labelnames),
            metric._documentation,
        )
        for metric in found.values()
    )


def page() -> str:
    return _HEAD + "".join(f"{metric.row}\n" for metric in defined())


def _modules() -> Iterator[str]:
    for package in PACKAGES:
        path = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(path, package + "."):
            if module.name.rpartition(".")[2] == "metrics":
                yield module.name


if __name__ == "__main__":
    sys.stdout.write(page())

"""Metrics that all services share. Each service has its own in its `metrics.py`, `timeoff_<service>_…`.

Labels never hold ids of people or requests: their number must stay small. The list with names, labels
and meanings is docs/reference/metrics.md.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import Counter, Gauge

BUILD_INFO: Final = Gauge(
    "timeoff_build_info", "Always 1; the labels say what runs.", ["service", "version", "python"]
)
PART_UP: Final = Gauge("timeoff_part_up", "1 while the part of the process runs, 0 after it ended.", ["part"])
LOG_APPENDED: Final = Counter(
    "timeoff_log_appended_total", "Records appended to the event log by this process.", ["topic"]
)
LOG_READ: Final = Counter(
    "timeoff_log_read_total", "Records read from the event log by this process.", ["topic"]
)


@cache
def product_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("timeoff-sync")
    except PackageNotFoundError:
        return "unknown"


def announce(service: str) -> None:
    """Say which service and version this process is."""
    BUILD_INFO.labels(service, product_version(), platform.python_version()).set(1)


__all__ = ["BUILD_INFO", "LOG_APPENDED", "LOG_READ", "PART_UP", "announce", "product_version"]

"""Metrics of the leave service."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Histogram

CALLS: Final = Counter(
    "timeoff_leave_calls_total", "Calls that were answered.", ["resource", "method", "status"]
)
CALL_SECONDS: Final = Histogram(
    "timeoff_leave_call_seconds",
    "From a call's head to its answer.",
    ["resource"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0),
)
LOGINS: Final = Counter(
    "timeoff_leave_logins_total",
    "Logins: granted, refused, or blocked before they were looked at.",
    ["result"],
)

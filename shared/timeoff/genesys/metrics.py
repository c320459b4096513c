"""Metrics of the Genesys client, the same in every service that uses it."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

CALLS = Counter("timeoff_genesys_calls_total", "REST calls to Genesys Cloud by HTTP status.", ["status"])
THROTTLED = Counter("timeoff_genesys_throttled_total", "Answers 429 from Genesys Cloud.")
CALL_SECONDS = Histogram(
    "timeoff_genesys_call_seconds",
    "Time from sending a REST call to the end of its answer.",
    buckets=(0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)

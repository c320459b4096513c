"""Metrics of the balance service."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from timeoff.hris.target import CallMetrics

CALLS: Final = Counter("timeoff_balance_calls_total", "Calls that were answered.", ["route", "status"])
CALL_SECONDS: Final = Histogram(
    "timeoff_balance_call_seconds",
    "From a call's head to its answer.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
LOOKUPS: Final = Counter(
    "timeoff_balance_lookups_total", "Dates that were asked for, cached or read.", ["target", "result"]
)
TROUBLES: Final = Counter(
    "timeoff_balance_hris_troubles_total", "Dates that the HRIS gave no number for.", ["target", "reason"]
)
STALE: Final = Counter(
    "timeoff_balance_stale_figures_total", "Figures answered with the last known number.", ["target"]
)
INVALIDATIONS: Final = Counter(
    "timeoff_balance_invalidations_total", "What dropped claims that were kept.", ["cause"]
)
READINGS: Final = Gauge("timeoff_balance_readings", "Readings of the HRIS that are kept.")
FOLLOWING: Final = Gauge("timeoff_balance_following", "1 while both topics and the notices are followed.")
REFUSED_TOKENS: Final = Counter("timeoff_balance_refused_tokens_total", "Tokens that were refused.", ["why"])
FLOW_RUNS: Final = Counter(
    "timeoff_balance_flow_runs_total", "Runs of flows that ended, by `Flow.statusCode`.", ["flow", "code"]
)
HRIS_CALLS: Final = Counter(
    "timeoff_balance_hris_calls_total", "Calls to the HRIS.", ["target", "operation", "result"]
)
HRIS_SECONDS: Final = Histogram(
    "timeoff_balance_hris_call_seconds", "Duration of calls to the HRIS.", ["target", "operation"]
)
HRIS: Final = CallMetrics(HRIS_CALLS, HRIS_SECONDS)

"""Metrics of the sync. Names and labels are listed in docs/reference/metrics.md."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

OBSERVATIONS = Counter("timeoff_sync_observations", "Observations taken in", ["source", "verdict"])
DEAD_LETTERS = Counter("timeoff_sync_dead_letters", "Records that could not be read", ["reason"])
DECISIONS = Counter("timeoff_sync_decisions", "Turns of requests by decision", ["target", "decision"])
HRIS_CALLS = Counter("timeoff_sync_hris_calls", "Calls to the HRIS", ["target", "operation", "result"])
HRIS_SECONDS = Histogram(
    "timeoff_sync_hris_call_seconds", "Duration of calls to the HRIS", ["target", "operation"]
)
DOUBTS = Counter("timeoff_sync_doubts", "Writes with an unknown outcome", ["target"])
SETTLEMENTS = Counter("timeoff_sync_settlements", "How doubts were settled", ["target", "how"])
TWINS = Counter("timeoff_sync_twins", "Second records found by an audit and cancelled", ["target"])
LANES = Gauge("timeoff_sync_lanes_held", "Lanes this process works on")
DUE = Gauge("timeoff_sync_requests_due", "Requests that wait for a worker")
OLDEST_DUE = Gauge("timeoff_sync_oldest_due_seconds", "Age of the oldest change that is not applied")
WAITING = Gauge("timeoff_sync_requests_waiting_for_people", "Held and failed requests", ["state", "reason"])
LAG = Gauge("timeoff_sync_log_lag", "Records in the log that were not read yet", ["partition"])
OUTBOX = Gauge("timeoff_sync_outbox", "Events that wait for the log")
LEASES_LOST = Counter("timeoff_sync_leases_lost", "Lanes lost to another holder while working")
TARGET_STOPPED = Gauge("timeoff_sync_target_stopped", "1 while a target is stopped", ["target"])
WRITING = Gauge("timeoff_sync_writing", "1 while live and not braked")
UNREADABLE_MARKS = Counter(
    "timeoff_sync_unreadable_marks", "Requests taken as not done by hand because Genesys does not show it"
)
REPORTS = Counter("timeoff_sync_status_reports", "Integration statuses set in Genesys", ["status", "result"])

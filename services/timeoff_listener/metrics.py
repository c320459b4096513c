"""What the listener counts. Explained in docs/reference/metrics.md."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

FRAMES = Counter("timeoff_listener_frames_total", "Frames read from the sockets.", ["kind"])
OBSERVATIONS = Counter("timeoff_listener_observations_total", "Observations in the log.", ["source"])
MALFORMED = Counter("timeoff_listener_malformed_total", "Inputs that could not be read.", ["origin"])
APPEND_RETRIES = Counter("timeoff_listener_append_retries_total", "Appends to the log that failed.")
QUEUE = Gauge("timeoff_listener_queue", "Messages of the stream that wait to be appended.")

AGENTS_EXPECTED = Gauge("timeoff_listener_agents_expected", "Agents of the configured units.")
AGENTS_SUBSCRIBED = Gauge("timeoff_listener_agents_subscribed", "Agents on a connected channel.")
TOPICS_REJECTED = Gauge("timeoff_listener_topics_rejected", "Topics that Genesys refused to subscribe.")
CHANNELS_CONNECTED = Gauge("timeoff_listener_channels_connected", "Channels with a live socket.")
DISCONNECTS = Counter("timeoff_listener_disconnects_total", "Sockets that ended.", ["reason"])
ROTATIONS = Counter("timeoff_listener_rotations_total", "Channels replaced without a break.")

OPEN_GAPS = Gauge("timeoff_listener_open_gaps", "Gaps that no backfill has closed yet.")
OLDEST_GAP = Gauge("timeoff_listener_oldest_gap_seconds", "Age of the oldest open gap.")
BACKFILLS = Counter("timeoff_listener_backfills_total", "Backfills of units.", ["outcome"])
BACKFILL_SECONDS = Histogram(
    "timeoff_listener_backfill_seconds",
    "Duration of a finished backfill.",
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600),
)
BACKFILL_READ = Counter("timeoff_listener_backfill_requests_total", "Requests read by backfills.")
CONFIRMATIONS = Counter("timeoff_listener_confirmations_total", "Confirming reads of agents.", ["outcome"])

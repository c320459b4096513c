"""TrackTik: the adapter that the entry point `timeoff.hris: tracktik` names."""

from __future__ import annotations

from timeoff.hris.port import Adapter
from timeoff.hris.tracktik.adapter import TrackTik
from timeoff.hris.tracktik.settings import TrackTikSettings

ADAPTER = Adapter("tracktik", TrackTikSettings, TrackTik.open)

__all__ = ["ADAPTER", "TrackTik", "TrackTikSettings"]

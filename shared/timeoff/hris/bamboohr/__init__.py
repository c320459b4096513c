"""BambooHR: the adapter that the entry point `timeoff.hris: bamboohr` names."""

from __future__ import annotations

from timeoff.hris.bamboohr.adapter import BambooHr
from timeoff.hris.bamboohr.settings import BambooHrSettings
from timeoff.hris.port import Adapter

ADAPTER = Adapter("bamboohr", BambooHrSettings, BambooHr.open)

__all__ = ["ADAPTER", "BambooHr", "BambooHrSettings"]

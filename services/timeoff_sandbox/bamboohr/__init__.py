"""BambooHR as far as time off needs it, in memory, with its ambiguities and its faults."""

from timeoff_sandbox.bamboohr.options import DEFAULT_KEY, DEFAULT_TOKEN, Options, Permissions
from timeoff_sandbox.bamboohr.records import Clock
from timeoff_sandbox.bamboohr.server import BambooHrSandbox

__all__ = ["DEFAULT_KEY", "DEFAULT_TOKEN", "BambooHrSandbox", "Clock", "Options", "Permissions"]

"""A recording proxy to put before any real HRIS: passes calls through, notes them, spoils some on purpose."""

from timeoff_sandbox.proxy.options import DEFAULT_REDACTED, ProxyOptions
from timeoff_sandbox.proxy.record import Call, CallLog
from timeoff_sandbox.proxy.server import RecordingProxy

__all__ = ["DEFAULT_REDACTED", "Call", "CallLog", "ProxyOptions", "RecordingProxy"]

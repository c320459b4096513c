"""An HRIS of no vendor, in memory, that options turn into each kind of vendor there is."""

from timeoff_sandbox.reference.options import DEFAULT_KEY, Options
from timeoff_sandbox.reference.server import ReferenceSandbox

__all__ = ["DEFAULT_KEY", "Options", "ReferenceSandbox"]

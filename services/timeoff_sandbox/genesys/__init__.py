"""An imitation of the parts of Genesys Cloud that time off touches. See `server.GenesysSandbox`."""

from timeoff_sandbox.genesys.options import GenesysOptions
from timeoff_sandbox.genesys.server import GenesysSandbox

__all__ = ["GenesysOptions", "GenesysSandbox"]

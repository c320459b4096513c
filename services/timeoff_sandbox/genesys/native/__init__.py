"""The integration "WFM Time-off HRIS": Genesys calls the workflows of an address by itself.

options.py      what it is set to, and what goes wrong on purpose
inputs.py       what a workflow is told of a request
workflows.py    one run of a workflow, in either way of calling, retries included; every call on record
integration.py  which change runs which workflow, and what becomes of its answer
agents.py       Get-Agents, once a day: agents get and lose their ids in the HRIS
routes.py       the jobs and the admin routes that run workflows

Source of when which workflow runs, with what and with what effect: Genesys Cloud blueprint "Integrate Genesys
Cloud with an HRIS system to sync time-off requests and time-off balances".
"""

from timeoff_sandbox.genesys.native.integration import Integration
from timeoff_sandbox.genesys.native.options import NativeOptions

__all__ = ["Integration", "NativeOptions"]

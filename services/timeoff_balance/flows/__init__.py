"""The five workflows that Genesys Cloud WFM runs to talk to an HRIS, each callable in two ways.

contract.py   what goes in and out: names, types, initial values, limits; everything else is made from it
values.py     inputs as they come, read by the contract
results.py    how a flow ended, as the outputs say it
reading.py    Get-Agents, Get-TimeOff-Types, Get-Balance
booking.py    the seam for Insert-TimeOff and Update-TimeOff
running.py    one run: inputs, deadline, failure as the initial state
plain.py      POST /v1/flows/{name}
compatible.py the calls of Genesys Cloud's own API for flows: catalogue.py has what can be run,
              executions.py what was
routes.py     all of it, wired
"""

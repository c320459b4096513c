"""The sandbox's reference HRIS, in each of its modes: the adapter `timeoff.hris: reference`.

It is also the example to read before writing an adapter: `settings` says what kind of vendor it is,
`wire` what is sent and read (pure), `client` what an answer means, `adapter` is the port.
"""

from __future__ import annotations

from timeoff.hris.port import Adapter
from timeoff.hris.reference.adapter import Reference
from timeoff.hris.reference.settings import ReferenceSettings

ADAPTER = Adapter("reference", ReferenceSettings, Reference.open)

__all__ = ["ADAPTER", "Reference", "ReferenceSettings"]

"""Where the files go: the choices that differ from one Genesys Cloud organisation to the next."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from timeoff_balance.flows.contract import Flow
from timeoff_balance.flows.plain import BASE


@dataclass(frozen=True, slots=True)
class Place:
    """Without arguments: what the files in this folder are made for."""

    #: The balance service as Genesys Cloud reaches it.
    address: str = "https://balance.example.com"
    #: Name of the Web Services Data Actions integration.
    integration: str = "timeoff-sync"
    division: str = "Home"
    #: The HRIS by its name in the settings, where there are several.
    target: str | None = None

    def title(self, flow: Flow) -> str:
        """Name of the data action and of the workflow; with several HRIS as the balance service has it."""
        return flow.title if self.target is None else f"{flow.title} ({self.target})"

    def plain(self, flow: Flow) -> str:
        """The path of the plain call."""
        query = "" if self.target is None else "?" + urlencode({"target": self.target})
        return f"{BASE}/{flow.name}{query}"

    def url(self, path: str) -> str:
        return self.address.rstrip("/") + path


__all__ = ["Place"]

"""Which workflows there are: each flow once for every HRIS, with an id and a name as Genesys Cloud gives.

With one HRIS the names are those of the published workflows; with several the HRIS stands behind the name.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from timeoff_balance.flows.contract import Flow


@dataclass(frozen=True, slots=True)
class Workflow:
    """A flow of one HRIS."""

    flow: Flow
    target: str
    name: str

    @property
    def id(self) -> str:
        return self.flow.id(self.target)


class Catalogue:
    def __init__(self, flows: Sequence[Flow], targets: Sequence[str]) -> None:
        self._all = tuple(
            Workflow(flow, target, flow.title if len(targets) == 1 else f"{flow.title} ({target})")
            for target in targets
            for flow in flows
        )
        self._by_id = {workflow.id: workflow for workflow in self._all}

    def get(self, id: str) -> Workflow | None:
        return self._by_id.get(id.strip().lower())

    def named(self, pattern: str) -> tuple[Workflow, ...]:
        """Those of that name in any letter case; `*` stands for anything. All for an empty pattern.

        Quotes around it are taken off: test clients send `name="…"`.
        """
        wanted = pattern.strip().strip('"').casefold()
        if not wanted:
            return self._all
        return tuple(w for w in self._all if fnmatch.fnmatchcase(w.name.casefold(), _only_stars(wanted)))


def _only_stars(pattern: str) -> str:
    """As a pattern in which nothing but `*` is special."""
    return "".join(f"[{c}]" if c in "?[" else c for c in pattern)


__all__ = ["Catalogue", "Workflow"]

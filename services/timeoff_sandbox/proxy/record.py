"""The record: one entry a call, in order of arrival, without credentials.

Headers are not kept at all. Query and bodies lose the values of secret fields; bodies are kept only where
they were asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from timeoff_sandbox.proxy.faults import by_method_and_path

#: Calls kept; older ones fall out.
CALLS_KEPT: Final = 200_000


@dataclass(slots=True)
class Call:
    """One call. `status` is what the caller was told (None: nothing), `upstream_status` what the HRIS said.

    `at` is in epoch seconds. The HRIS carried the call out, as far as it can be told, where `committed`.
    """

    number: int
    method: str
    path: str
    query: str
    at: float
    duration_ms: float | None = None
    status: int | None = None
    upstream_status: int | None = None
    fault: str | None = None
    error: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    request_body: Any = None
    response_body: Any = None

    @property
    def committed(self) -> bool:
        return self.upstream_status is not None and self.upstream_status < 300

    @property
    def finished(self) -> bool:
        return self.duration_ms is not None

    def document(self) -> dict[str, Any]:
        """As the admin API shows it; bodies only where there are any."""
        shown = {
            "number": self.number,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "at": self.at,
            "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="microseconds"),
            "durationMs": self.duration_ms,
            "status": self.status,
            "upstreamStatus": self.upstream_status,
            "fault": self.fault,
            "error": self.error,
            "requestBytes": self.request_bytes,
            "responseBytes": self.response_bytes,
        }
        bodies = {"requestBody": self.request_body, "responseBody": self.response_body}
        return shown | {name: body for name, body in bodies.items() if body is not None}


class CallLog:
    """Calls in order of arrival, those under way included."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._number = 0

    def __iter__(self) -> Iterator[Call]:
        return iter(list(self._calls))

    def __len__(self) -> int:
        return len(self._calls)

    def open(self, method: str, path: str, query: str, at: float) -> Call:
        self._number += 1
        call = Call(self._number, method, path, query, at)
        self._calls.append(call)
        return call

    def of(self, on: str) -> list[Call]:
        """The calls that a fault rule with this `on` would mean."""
        return [call for call in self._calls if by_method_and_path(on, f"{call.method} {call.path}")]

    def clear(self) -> None:
        """Forget the calls; numbers go on."""
        self._calls.clear()

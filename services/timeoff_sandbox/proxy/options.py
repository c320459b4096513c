"""What can be set before and while the proxy runs."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from timeoff_sandbox.genesys.options import Settable

#: Fields of bodies in which employees and HR write free text, which may be medical.
DEFAULT_REDACTED: Final = ("comment", "comments", "description", "note", "notes", "reason")


class ProxyOptions(Settable):
    """Body of PUT `/__proxy__/options`; what is not named keeps its value."""

    #: Of every call, half before it is passed on and half after.
    latency_ms: float = Field(0, ge=0, le=600_000)
    #: Status of the fault `throttle` where its rule names none.
    throttle_status: int = Field(429, ge=400, le=599)
    #: How `throttle` and `unavailable` say how long to wait.
    retry_after_form: Literal["seconds", "date", "none"] = "seconds"
    #: Keep bodies in the record, without what `redacted` and secrets hold.
    record_bodies: bool = False
    #: Fields whose values are left out, at any depth and in any spelling of case; secrets always are.
    redacted: list[str] = Field(default_factory=lambda: list(DEFAULT_REDACTED))

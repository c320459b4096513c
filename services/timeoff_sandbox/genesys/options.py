"""What can be switched while the sandbox runs. Where Genesys documents no answer, the switch offers both."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Settable(BaseModel):
    """Admin input: camelCase names, unknown ones refused so that a typing error shows."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", validate_assignment=True
    )


class GenesysOptions(Settable):
    """Defaults are the documented values of Genesys Cloud."""

    #: OAuth clients: id to secret. Each has its own 20 channels.
    clients: dict[str, str] = Field(default_factory=lambda: {"sandbox-client": "sandbox-secret"})
    token_seconds: float = Field(86_399, gt=0)
    #: None: every permission. Else the permissions of every client, e.g. `wfm:timeOffRequest:view`.
    permissions: list[str] | None = None

    #: Per token and window; 0 switches the limit off.
    requests_per_minute: int = Field(300, ge=0)
    #: Length of the window of that limit; shorter in tests, so that waiting for it is short.
    rate_window_seconds: float = Field(60, gt=0)

    channel_seconds: float = Field(86_400, gt=0)
    channels_per_client: int = Field(20, ge=1)
    topics_per_channel: int = Field(1_000, ge=1)
    #: Whether a channel ends when the token that made it expires or is revoked (not documented).
    channels_end_with_token: bool = False
    #: Agents whose topics are refused; "*" refuses all.
    reject_topics: list[str] = Field(default_factory=list)
    #: Whether POST subscriptions answers with every topic or with the added ones (not documented).
    subscription_answer: Literal["all", "added"] = "all"

    heartbeat_seconds: float = Field(30, gt=0)
    refuse_sockets: bool = False
    #: 503 looks like an outage; 401 and 404 say that the channel is gone.
    refuse_status: int = Field(503, ge=400, le=599)
    #: Sockets stay open and say nothing, not even heartbeats or pongs.
    silent_sockets: bool = False
    #: Frames waiting for one slow reader before its socket is aborted.
    socket_backlog: int = Field(20_000, ge=1)

    #: Whether setting an integration status sends a time-off notification (not documented).
    integration_status_emits: bool = False
    #: Whether notifications leave empty arrays out (not documented).
    omit_empty_arrays: bool = False
    #: Query answers stand behind a download URL.
    use_download_url: bool = False


class DeliverySettings(Settable):
    """Faults on the way of a notification; the first three are probabilities per notification."""

    drop: float = Field(0.0, ge=0, le=1)
    duplicate: float = Field(0.0, ge=0, le=1)
    #: A swapped notification waits for the next one of the same agent, at most `swap_ms`.
    swap: float = Field(0.0, ge=0, le=1)
    swap_ms: int = Field(400, ge=0)
    delay_ms: int = Field(0, ge=0)
    #: Collect instead of deliver; what was collected goes out when a later setting says false.
    hold: bool = False
    #: Deliver what was collected in reverse order.
    reverse: bool = False
    seed: int | None = None

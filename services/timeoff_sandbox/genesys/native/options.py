"""What the integration is set to, and what goes wrong on purpose. A switch where Genesys says nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from timeoff_sandbox.genesys.options import Settable

Seconds = Annotated[float, Field(ge=0)]


class NativeOptions(Settable):
    """Without an address the integration is off."""

    #: Where the workflows are, without the path of a call.
    address: str | None = Field(None, pattern=r"^https?://[^\s/]\S*$")
    #: Bearer token of each call; "" sends none.
    token: str = ""
    way: Literal["plain", "compatible"] = "plain"
    #: Name of the HRIS, where the address has workflows of several.
    target: str = ""
    #: Ids of the plans that run it; None: every plan that is linked to a type of an HRIS.
    plans: list[str] | None = None

    #: How long a call may take. A data action has a minute.
    timeout_seconds: float = Field(60, gt=0)
    #: Pauses before the second call, the third, and so on; none: it is called once (not documented).
    retry_seconds: list[Seconds] = Field(default_factory=lambda: [5.0, 30.0])
    #: Whether an answer that tells of a failure is followed by a retry too (not documented).
    retry_failures: bool = False

    #: Which comes first, the end of the call or the notification (not documented).
    order: Literal["callFirst", "eventFirst", "together"] = "together"
    #: With `eventFirst`: the time from the notification to the call.
    lead_seconds: Seconds = 1.0
    #: Calls that hand requests over wait until this is false again.
    hold: bool = False

    #: What is inserted as PENDING with success is approved by Genesys itself.
    auto_approve: bool = False
    #: Whether that approval is a change that Update is called for (not documented).
    update_after_auto_approval: bool = True
    #: Whether Insert is called for what was denied or canceled before any Insert succeeded (not documented).
    insert_ended: bool = True
    #: Time from one agent sync to the next; None: there is none, it is optional.
    agent_sync_seconds: float | None = Field(86_400, gt=0)

    #: So many next answers of Insert and Update are lost, after the call was carried out.
    lose_answers: int = Field(0, ge=0)
    #: So many next calls of Insert and Update are made twice at once.
    double_calls: int = Field(0, ge=0)

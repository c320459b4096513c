"""Switches of the reference HRIS, as `/admin/options` shows and takes them (camelCase)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DEFAULT_KEY = "reference-api-key"
Unit = Literal["hours", "days", "minutes"]


class Options(BaseModel):
    """What kind of vendor it is. The adapter's settings have to say the same.

    `external_key`: what becomes of a caller's own key: dropped; kept and searchable; refused (409) when a
    record has it; or the record that has it is overwritten.
    `update`: `cancelAndCreate` and `none` both answer 405; they differ in what callers may do instead.
    `cancel`: `counterEntry` books a record with negative amounts each time it is asked to.
    `accepted_later`: seconds until an accepted write (202) takes effect; 0: at once (200, 201).
    `status_with_days`: False refuses a change of days and status at once.
    `partial_day`: `startTime` is kept; `amount` drops it; `half` also takes only halves for types in days.
    `balance_unknown`: types that `balances` leaves out.
    """

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    external_key: Literal["none", "searchable", "unique", "upsert"] = "none"
    update: Literal["inPlace", "replaceNewId", "cancelAndCreate", "none"] = "inPlace"
    cancel: Literal["status", "delete", "counterEntry", "none"] = "status"
    entry_per_day: bool = False
    accepted_later: float = Field(0, ge=0, le=86_400)
    status_with_days: bool = True
    partial_day: Literal["startTime", "amount", "half"] = "startTime"
    units: dict[str, Unit] = Field(default_factory=dict)
    balance: Literal["anyDate", "perPeriod", "current", "none"] = "anyDate"
    balance_unknown: frozenset[str] = frozenset()
    reject_overlap: bool = False
    reject_insufficient: bool = False
    latency_ms: float = Field(0, ge=0)
    read_lag_ms: float = Field(0, ge=0)
    api_key: str = Field(DEFAULT_KEY, min_length=1)

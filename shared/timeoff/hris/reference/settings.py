"""Settings of one reference HRIS: the table `[hris.NAME.settings]`."""

from __future__ import annotations

from decimal import Decimal

from pydantic import Field, SecretStr, field_validator

from timeoff.hris.address import check_base_url
from timeoff.hris.port import (
    BalanceAsOf,
    CancelMode,
    Capabilities,
    ExternalKey,
    PartialDay,
    UpdateMode,
)
from timeoff.settings.model import Seconds, Section
from timeoff.vocabulary import EntryStatus


class ReferenceSettings(Section):
    """The mode has to be the one that the sandbox was given; nothing on the wire tells it."""

    base_url: str = Field(description="address of the sandbox")
    api_key: SecretStr = Field(description="the sandbox's option `apiKey`")

    external_key: ExternalKey = Field(ExternalKey.NONE, description="what becomes of our key on a record")
    update_mode: UpdateMode = Field(UpdateMode.IN_PLACE, description="how a record is changed")
    cancel_mode: CancelMode = Field(CancelMode.STATUS, description="how a record is cancelled")
    partial_day: PartialDay = Field(PartialDay.START_TIME, description="what is kept of a part of a day")
    entry_per_day: bool = Field(False, description="one record holds one day")
    status_with_days: bool = Field(True, description="one change may touch days and status")
    effective_within: float = Field(0.0, ge=0, description="accepted writes are in effect after it")
    balance_as_of: BalanceAsOf = Field(BalanceAsOf.ANY_DATE, description="for which dates balances are known")
    can_list: bool = Field(True, description="offer listings of everybody")

    step: Decimal = Field(Decimal("0.01"), gt=0, le=1, description="amounts are rounded to it")
    day_minutes: int = Field(480, ge=1, le=1440, description="length of a working day, for types in days")
    read_lag: Seconds = Field(1.0, description="a write is certainly seen by reads begun this much later")
    call_timeout: Seconds = Field(10.0, description="every call ends within it")

    @field_validator("base_url")
    @classmethod
    def _absolute(cls, value: str) -> str:
        check_base_url(value, insecure_http=False, shows="the API key")
        return value.rstrip("/")

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            external_key=self.external_key,
            update_mode=self.update_mode,
            cancel_mode=self.cancel_mode,
            partial_day=self.partial_day,
            insert_statuses=frozenset({EntryStatus.REQUESTED, EntryStatus.APPROVED}),
            can_list=self.can_list,
            read_lag=self.read_lag,
            call_timeout=self.call_timeout,
            throttle_signals=("429",),
            entry_per_day=self.entry_per_day,
            status_with_days=self.status_with_days,
            effective_within=self.effective_within,
            balance_as_of=self.balance_as_of,
        )

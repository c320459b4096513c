"""Switches of the BambooHR face, as `/admin/options` shows and takes them (camelCase)."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

DEFAULT_KEY = "sandbox-api-key"
DEFAULT_TOKEN = "sandbox-access-token"  # noqa: S105  (of the sandbox, for everybody)


class _Option(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Permissions(_Option):
    """What the user behind an API key or an access token may do.

    `view` shows requests in the list, `approve` writes them as approved or denied and changes their status,
    `calculator` shows balances, `directory` the directory. `employees` limits all of it to some people
    (None: everybody). `user_id` is the id of the user, `employee_id` the person that `employees/0` names.
    """

    directory: bool = True
    view: bool = True
    approve: bool = True
    calculator: bool = True
    employees: frozenset[int] | None = None
    user_id: int = 1
    employee_id: int = 1

    def sees(self, employee_id: int) -> bool:
        return self.employees is None or employee_id in self.employees


class Lockout(_Option):
    """`attempts` with unknown keys lock the whole API for `seconds`; 0 attempts switch this off."""

    attempts: int = Field(5, ge=0)
    seconds: float = Field(60.0, gt=0)


class Options(_Option):
    """Everything that can be switched.

    Where BambooHR documents nothing, the default is our choice and stands here: 1,200 calls a minute and
    key, lock-out after five unknown keys, 403 for a second cancel, `denied` as the stored word.

    `company` is the one company there is, as the older base path names it. No new request has an id below
    `first_request_id`. `access_tokens` are those that an OAuth login would give.
    """

    company: str = Field("acme", pattern=r"^[A-Za-z0-9-]+$")
    wire: Literal["strings", "numbers"] = "strings"
    latency_ms: float = Field(0, ge=0)
    read_lag_ms: float = Field(0, ge=0)
    requests_per_minute: int | None = Field(1200, ge=1)
    throttle_status: Literal[429, 503] = 429
    retry_after_form: Literal["seconds", "date"] = "seconds"
    reject_overlap: bool = False
    reject_insufficient: bool = False
    cancel_again: Literal[403, 200] = 403
    denied_word: Literal["denied", "declined"] = "denied"
    scheduled_counts: bool = True
    note_limit: int | None = Field(None, ge=1)
    first_request_id: int = Field(1300, ge=1)
    time_zone: str = "UTC"
    api_keys: dict[str, Permissions] = Field(default_factory=lambda: {DEFAULT_KEY: Permissions()})
    access_tokens: dict[str, Permissions] = Field(default_factory=lambda: {DEFAULT_TOKEN: Permissions()})
    lockout: Lockout = Lockout()

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("not an IANA time zone") from None
        return value

"""Settings of one BambooHR target: the table `[hris.NAME.settings]`."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator
from yarl import URL

from timeoff.hris.address import check_base_url
from timeoff.settings.model import Seconds, Section

_COMPANY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}")

#: BambooHR shows at most four decimals of an amount, so a finer step could never be seen again.
Step = Annotated[Decimal, Field(gt=0, le=1, decimal_places=4)]


class BambooHrSettings(Section):
    """`company`, or `base_url`, or both."""

    company: str | None = Field(None, description="the first label of COMPANY.bamboohr.com")
    base_url: str | None = Field(None, description="only for another host, or a root of your own")
    gateway: bool = Field(False, description="use the older form …/api/gateway.php/COMPANY")
    api_key: SecretStr = Field(description="of a user who may do what docs/reference/bamboohr.md lists")
    verify_tls: bool = Field(True, description="false accepts any certificate: prefer ca_file")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the system's")
    insecure_http: bool = Field(False, description="allow http:// to a host other than this machine")
    proxy_from_environment: bool = Field(False, description="obey HTTPS_PROXY and NO_PROXY")

    hours_step: Step = Field(Decimal("0.01"), description="amounts of hour types are rounded to it")
    days_step: Step = Field(Decimal("0.01"), description="amounts of day types are rounded to it")
    day_minutes: int = Field(480, ge=1, le=1440, description="working day where BambooHR names none")
    whole_day_is_one: bool = Field(True, description="day types: a whole day is 1, whatever its minutes")

    read_lag: Seconds = Field(30.0, description="a write is certainly seen by reads begun this much later")
    call_timeout: Seconds = Field(20.0, description="every call ends within it")
    note_limit: int = Field(1024, ge=64, le=100_000, description="longer notes of employees are cut")

    @model_validator(mode="after")
    def _usable(self) -> BambooHrSettings:
        if self.company is None and self.base_url is None:
            raise ValueError("company is needed (the first label of COMPANY.bamboohr.com), or base_url")
        if self.company is not None and not _COMPANY.fullmatch(self.company):
            raise ValueError("company is one label such as `acme`, without dots, slashes or a scheme")
        if self.gateway and self.company is None:
            raise ValueError("gateway needs company")
        key = self.api_key.get_secret_value()
        if not key.strip():
            raise ValueError("api_key is empty")
        if ":" in key or not key.isprintable() or not key.isascii() or key != key.strip():
            raise ValueError("api_key holds a character that no key has (space, line end or colon)")
        if self.base_url is not None:
            check_base_url(self.base_url, insecure_http=self.insecure_http, shows="the API key")
        return self

    @property
    def api_root(self) -> URL:
        """Where `v1/…` is appended.

        BambooHR serves two forms (BambooHR API reference, getting started): COMPANY.bamboohr.com/api and
        the older api.bamboohr.com/api/gateway.php/COMPANY. A `base_url` with a path is taken as it is; one
        without gets `/api`, or the older form where `gateway` is set.
        """
        if self.base_url is not None:
            url = URL(self.base_url.rstrip("/"))
            if url.path.endswith("/v1"):
                url = url.parent
            if url.path not in ("", "/"):
                return url
        elif self.gateway:
            url = URL("https://api.bamboohr.com")
        else:
            url = URL(f"https://{self.company}.bamboohr.com")
        return url / "api/gateway.php" / str(self.company) if self.gateway else url / "api"

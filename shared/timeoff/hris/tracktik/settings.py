"""Settings of one TrackTik target: the table `[hris.NAME.settings]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr, model_validator
from yarl import URL

from timeoff.hris.address import check_base_url
from timeoff.settings.model import Seconds, Section


class TrackTikSettings(Section):
    """A portal and the service account that works in it."""

    base_url: str = Field(description="the portal's address, e.g. https://acme.staffr.us")
    client_id: str = Field(min_length=1, description="of the OAuth client")
    client_secret: SecretStr = Field(description="of the OAuth client")
    username: str = Field(min_length=1, description="of the service account; see docs/reference/tracktik.md")
    password: SecretStr = Field(description="of the service account")
    verify_tls: bool = Field(True, description="false accepts any certificate: prefer ca_file")
    ca_file: Path | None = Field(None, description="certificates to trust instead of the system's")
    insecure_http: bool = Field(False, description="allow http:// to a host other than this machine")
    proxy_from_environment: bool = Field(False, description="obey HTTPS_PROXY and NO_PROXY")

    page_size: int = Field(1000, ge=2, le=1000, description="records in one page of a list")
    read_lag: Seconds = Field(5.0, description="a write is certainly seen by reads begun this much later")
    call_timeout: Seconds = Field(36.0, description="every call ends within it, logging in included")
    read_timeout: Seconds = Field(35.0, description="for one answer; the portal gives up after 30 s")
    login_pause: float = Field(60.0, ge=10, description="a refused login is not tried again so soon")

    @model_validator(mode="after")
    def _usable(self) -> TrackTikSettings:
        check_base_url(self.base_url, insecure_http=self.insecure_http, shows="the password")
        for name in ("client_secret", "password"):
            if not getattr(self, name).get_secret_value():
                raise ValueError(f"{name} is empty")
        if self.read_timeout >= self.call_timeout:
            raise ValueError("read_timeout must be shorter than call_timeout")
        return self

    @property
    def api_root(self) -> URL:
        """Where `leave-requests` is appended."""
        return self._portal / "rest/v1"

    @property
    def token_url(self) -> URL:
        return self._portal / "rest/oauth2/access_token"

    @property
    def _portal(self) -> URL:
        """The address without the path of the API, which people copy along from the vendor's examples."""
        url = URL(self.base_url.rstrip("/"))
        for tail in ("/v1", "/rest"):
            if url.path.endswith(tail):
                url = url.parent
        return url

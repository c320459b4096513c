"""How a Kafka client proves who it is: keyword arguments for aiokafka from the settings."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from timeoff.errors import SettingsError
from timeoff.settings.model import KafkaSettings


class TokenUnavailable(KafkaError):  # type: ignore[misc]
    """No access token. A Kafka error, because aiokafka's background tasks survive only those."""

    retriable = True


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]
    """Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4), shared by all connections.

    A token is renewed when a fifth of its life, at most a minute, is left, so that none expires on its way.
    """

    def __init__(
        self, url: str, client_id: str, client_secret: str, scope: str | None, *, time_limit: float = 10.0
    ) -> None:
        self._url = url
        # Form-encoded before it is joined by a colon: RFC 6749, section 2.3.1.
        basic = aiohttp.encode_basic_auth(quote_plus(client_id), quote_plus(client_secret))
        self._headers = {"Authorization": basic}
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        self._timeout = aiohttp.ClientTimeout(total=time_limit)
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                self._token, lifetime = await self._fetch()
                self._renew_at = time.monotonic() + lifetime - min(60.0, lifetime / 5)
            return self._token

    async def _fetch(self) -> tuple[str, float]:
        # A session for each fetch: once in minutes, and nothing to close when the log is closed.
        try:
            async with (
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.post(self._url, data=self._form, headers=self._headers) as answer,
            ):
                if answer.status != 200:
                    # The body may repeat what was sent; the status is enough.
                    raise TokenUnavailable(f"the token endpoint answered {answer.status}")
                body = await answer.json(content_type=None)
                return str(body["access_token"]), float(body.get("expires_in", 300.0))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise TokenUnavailable(f"the token endpoint failed: {type(error).__name__}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise TokenUnavailable("the token endpoint's answer holds no access_token") from None


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Arguments common to producer, consumers and admin client. Raises `SettingsError` for bad files."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        arguments["ssl_context"] = ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            # Their presence is a rule of the settings model.
            assert settings.oauth_token_url
            assert settings.oauth_client_id
            assert settings.oauth_client_secret
            arguments["sasl_oauth_token_provider"] = ClientCredentials(
                settings.oauth_token_url,
                settings.oauth_client_id,
                settings.oauth_client_secret.get_secret_value(),
                settings.oauth_scope,
                time_limit=min(10.0, settings.request_timeout),
            )
        else:
            assert settings.sasl_username
            assert settings.sasl_password
            arguments["sasl_plain_username"] = settings.sasl_username
            arguments["sasl_plain_password"] = settings.sasl_password.get_secret_value()
    return arguments


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext:
    """Certificates as set; the system's authorities where none is named."""
    try:
        context = ssl.create_default_context(
            cafile=str(settings.ssl_ca_file) if settings.ssl_ca_file else None
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError([f"log.kafka.ssl_ca_file: {_reason(error)}"]) from None
    context.check_hostname = settings.ssl_check_hostname
    if settings.ssl_certificate_file and settings.ssl_key_file:
        password = settings.ssl_key_password.get_secret_value() if settings.ssl_key_password else ""
        try:
            # A password is always given: without one OpenSSL would ask on the terminal.
            context.load_cert_chain(settings.ssl_certificate_file, settings.ssl_key_file, lambda: password)
        except (OSError, ssl.SSLError, ValueError) as error:
            raise SettingsError([f"log.kafka.ssl_certificate_file: {_reason(error)}"]) from None
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable ({error.reason or 'not a PEM file'})"
    return getattr(error, "strerror", None) or type(error).__name__

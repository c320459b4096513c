"""Settings of a BambooHR target: a mistake is named before anything connects, and the key is never shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from timeoff.hris.bamboohr import ADAPTER
from timeoff.hris.bamboohr.settings import BambooHrSettings


@pytest.mark.parametrize(
    ("given", "root"),
    [
        ({"company": "acme"}, "https://acme.bamboohr.com/api"),
        ({"company": "acme", "gateway": True}, "https://api.bamboohr.com/api/gateway.php/acme"),
        ({"base_url": "http://127.0.0.1:8080"}, "http://127.0.0.1:8080/api"),
        (
            {"base_url": "http://127.0.0.1:8080/", "company": "acme", "gateway": True},
            "http://127.0.0.1:8080/api/gateway.php/acme",
        ),
        ({"base_url": "https://proxy.example/bamboo/acme"}, "https://proxy.example/bamboo/acme"),
        ({"base_url": "https://acme.bamboohr.com/api/v1/"}, "https://acme.bamboohr.com/api"),
    ],
)
def test_the_address_that_follows(given: dict[str, Any], root: str) -> None:
    assert str(BambooHrSettings(api_key="k", **given).api_root) == root


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "company is needed"),
        ({"company": "acme.bamboohr.com"}, "company is one label"),
        ({"company": "a/b"}, "company is one label"),
        ({"base_url": "ftp://x"}, "must start with https"),
        ({"base_url": "acme"}, "must start with https"),
        ({"base_url": "https://x:99999"}, "not a URL"),
        ({"base_url": "http://bamboo.example"}, "show the API key"),
        ({"base_url": "https://u:p@x.example"}, "must not hold credentials"),
        ({"base_url": "https://x.example", "gateway": True}, "gateway needs company"),
        ({"company": "acme", "api_key": " "}, "api_key is empty"),
        ({"company": "acme", "api_key": "secret-key\n"}, "api_key holds a character"),
        ({"company": "acme", "hours_step": 0}, "greater than 0"),
        ({"company": "acme", "days_step": "0.00001"}, "decimal places"),
        ({"company": "acme", "call_timeout": 0}, "greater than 0"),
        ({"company": "acme", "colour": "red"}, "colour"),
    ],
)
def test_a_mistake_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as raised:
        BambooHrSettings(**({"api_key": "secret-key"} | given))
    assert "secret-key" not in "".join(p["msg"] for p in raised.value.errors())


def test_http_elsewhere_is_possible_on_purpose() -> None:
    settings = BambooHrSettings(base_url="http://sandbox:8080", api_key="k", insecure_http=True)
    assert str(settings.api_root) == "http://sandbox:8080/api"


def test_the_key_is_not_printed() -> None:
    assert "secret-key" not in repr(BambooHrSettings(company="acme", api_key="secret-key"))
    assert ADAPTER.settings is BambooHrSettings

"""Settings of a TrackTik target: a mistake is named before anything connects, and secrets are never shown."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from timeoff.hris import registry
from timeoff.hris.tracktik import ADAPTER
from timeoff.hris.tracktik.settings import TrackTikSettings

GIVEN: dict[str, Any] = {
    "base_url": "https://acme.staffr.us",
    "client_id": "sync",
    "client_secret": "hidden-secret",
    "username": "sync@example.com",
    "password": "hidden-password",
}


@pytest.mark.parametrize(
    "base_url",
    [
        "https://acme.staffr.us",
        "https://acme.staffr.us/",
        "https://acme.staffr.us/rest/v1",
        "https://acme.staffr.us/rest/v1/",
        "https://acme.staffr.us/rest",
    ],
)
def test_the_addresses_that_follow(base_url: str) -> None:
    settings = TrackTikSettings(**GIVEN | {"base_url": base_url})
    assert str(settings.api_root) == "https://acme.staffr.us/rest/v1"
    assert str(settings.token_url) == "https://acme.staffr.us/rest/oauth2/access_token"


def test_a_path_before_the_api_is_kept() -> None:
    settings = TrackTikSettings(**GIVEN | {"base_url": "https://proxy.example/tracktik/acme"})
    assert str(settings.api_root) == "https://proxy.example/tracktik/acme/rest/v1"


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"base_url": "http://acme.staffr.us"}, "show the password"),
        ({"client_secret": ""}, "client_secret is empty"),
        ({"password": ""}, "password is empty"),
        ({"username": ""}, "at least 1 character"),
        ({"page_size": 1001}, "less than or equal to 1000"),
        ({"read_timeout": 40}, "read_timeout must be shorter"),
        ({"login_pause": 1}, "greater than or equal to 10"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_mistake_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as raised:
        TrackTikSettings(**GIVEN | given)
    assert "hidden" not in "".join(problem["msg"] for problem in raised.value.errors())


def test_secrets_are_not_printed() -> None:
    assert "hidden" not in repr(TrackTikSettings(**GIVEN))


def test_the_answer_is_awaited_for_longer_than_the_portal_takes() -> None:
    """It gives up after 30 s: hanging up earlier would turn slow successes into unknown outcomes."""
    settings = TrackTikSettings(**GIVEN)
    assert 30 < settings.read_timeout < settings.call_timeout


def test_the_short_name_leads_here() -> None:
    assert registry.adapter("tracktik") is ADAPTER

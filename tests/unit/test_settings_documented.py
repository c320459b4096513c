"""Settings: the documented list is what the models say, and no key lacks a meaning."""

from __future__ import annotations

from pathlib import Path

from timeoff.settings.layers import NOT_SETTINGS
from timeoff.settings.model import Settings
from timeoff_cli import settings_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_page_says_what_the_models_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page.page(), "run `make docs`"


def test_every_key_has_a_meaning() -> None:
    assert settings_page.undocumented() == []


def test_the_page_reaches_every_table() -> None:
    """A table that the walk misses would be missing in the page and in the comparison above alike."""
    titles = " ".join(section.title for section in settings_page.sections())
    for name in Settings.model_fields:
        if name not in ("org", "notes"):
            assert name in titles
    assert "[log.kafka]" in titles
    assert "[sync.brake]" in titles
    assert "bamboohr" in titles


def test_variables_that_are_no_settings_are_listed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in NOT_SETTINGS:
        assert f"`{name}`" in text


def test_defaults_of_secrets_are_not_shown() -> None:
    for section in settings_page.sections():
        for key in section.keys:
            assert key.kind != "secret" or key.default in ("–", "**required**")

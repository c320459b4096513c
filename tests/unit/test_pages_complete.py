"""Pages of the reference name all there is (reasons, failpoints, event types); links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import timeoff.events as events
from timeoff.runtime import failpoints
from timeoff_cli import reasons_page

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_the_page_of_reasons_says_what_the_commands_say() -> None:
    assert read("reasons.md") == reasons_page.page(), "run `make docs`"


def test_every_failpoint_is_explained() -> None:
    text = read("failpoints.md")
    for name, where in failpoints.NAMES.items():
        assert f"| `{name}` | {where} |" in text


def test_every_event_type_is_explained() -> None:
    text = read("events.md")
    types = {value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    assert len(types) >= 6
    for type_ in types:
        assert f"`{type_}.v{events.MAJOR_VERSION}`" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"

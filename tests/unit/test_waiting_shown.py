"""`timeoff-sync held` and `failed`: ids whole, both sides side by side, at any width of the terminal."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

from rich.console import Console

from timeoff_cli import waiting

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REQUEST = "37461ea4-a488-4f5c-954f-f113f9332556"


def row(**more: Any) -> dict[str, Any]:
    return {
        "request_id": REQUEST,
        "agent_id": "agent-1",
        "employee_id": "102",
        "target": "main",
        "status": "APPROVED",
        "first_day": date(2026, 12, 22),
        "last_day": date(2026, 12, 23),
        "reason": "overlap",
        "detail": (
            '{"hris": [{"id": "1300", "hours": {"2026-12-22": "4"}, "status": "approved", "type_id": "83"}],'
            ' "wanted": {"status": "approved", "minutes": {"2026-12-22": 480}, "type_id": "83"}}'
        ),
        "changed_at": datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
        **more,
    }


def shown(found: dict[str, Any], width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(waiting.block(waiting.item(found), NOW))
    return out.getvalue()


def test_a_request_id_is_never_broken_so_that_it_can_be_copied_into_retry() -> None:
    assert REQUEST in shown(row(), width=60)


def test_both_sides_of_a_hold_stand_below_each_other() -> None:
    lines = [line.strip() for line in shown(row()).splitlines()]
    assert "wanted       type 83, approved: 2026-12-22 480 min" in lines
    assert "in the HRIS  1300, type 83, approved: 2026-12-22 4 h" in lines


def test_the_reason_says_how_long_and_what_to_do() -> None:
    text = shown(row())
    assert "overlap, for 3 h" in text
    assert "correct one side" in text


def test_an_agent_without_employee_and_dates_is_shown_too() -> None:
    text = shown(row(employee_id=None, first_day=None, last_day=None, reason="no_employee", detail=None))
    assert "agent agent-1" in text
    assert "no dates" in text


def test_markup_in_words_of_an_hris_is_text() -> None:
    """A vendor's `[/bold]` must neither vanish nor crash the listing."""
    assert "no [/bold] way" in shown(row(reason="rejected", detail='{"hris": "no [/bold] way"}'))


def test_what_has_no_known_form_is_shown_as_it_is() -> None:
    text = shown(row(reason="unsettled_doubt", detail='{"why": "cannot_see", "odd_thing": {"a": [1]}}'))
    assert "cannot_see" in text
    assert "odd thing" in text
    assert '{"a": [1]}' in text

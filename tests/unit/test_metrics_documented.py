"""Metrics: the documented list is the list in the code, names and labels both ways."""

from __future__ import annotations

import re
from pathlib import Path

import timeoff_cli.metrics_page as metrics_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
ROW = re.compile(
    r"^\| `(?P<name>timeoff_\w+)` \| (?P<kind>\w+) \| (?P<labels>[^|]*) \| (?P<meaning>[^|]+) \|$", re.M
)


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    text = PAGE.read_text(encoding="utf-8")
    return {
        row["name"]: (row["kind"], tuple(re.findall(r"`(\w+)`", row["labels"]))) for row in ROW.finditer(text)
    }


def test_the_page_lists_exactly_the_metrics_of_the_code() -> None:
    defined = {metric.name: (metric.kind, metric.labels) for metric in metrics_page.defined()}
    assert "timeoff_part_up" in defined
    assert documented() == defined, "run `make docs`"


def test_names_say_whose_metric_it_is_and_what_it_counts() -> None:
    for metric in metrics_page.defined():
        assert metric.name.startswith("timeoff_")
        assert metric.meaning
        if metric.kind == "counter":
            assert "_total_total" not in metric.name


def test_no_label_can_hold_a_person_or_a_request() -> None:
    """Unbounded labels would make the series grow with the staff, and would name people."""
    people = {"agent", "agent_id", "employee", "employee_id", "email"}
    unbounded = people | {"request", "request_id", "lane", "event_id"}
    for metric in metrics_page.defined():
        assert not unbounded & set(metric.labels), metric.name

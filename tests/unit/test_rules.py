"""An organisation's rule may skip, retype or change minutes, and can harm only the request it fails on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.cases import FLEX, MONDAY, TUESDAY, case, content, entry, rules, view

from timeoff.errors import SettingsError
from timeoff.ledger.rows import spec_from_json, spec_to_json
from timeoff.rules import Asked, Change, Ruling, Skip, load_rule
from timeoff.settings.load import load
from timeoff_sync.decide import decide
from timeoff_sync.decisions import Hold, Insert, Nothing


def skip_all(asked: Asked) -> Ruling:
    return Skip("not leave")


NOT_A_RULE = 3


def insert_of(rule: object, **changes: object) -> Insert:
    decision = decide(
        case(view(content(dates=(MONDAY, TUESDAY))), look_first=False, **changes),
        replace(rules(), rule=rule),
    )
    assert isinstance(decision, Insert)
    return decision


def test_without_a_ruling_nothing_changes() -> None:
    spec = insert_of(lambda asked: None).spec
    assert [day.minutes for day in spec.days] == [480, 480]
    assert spec.ruled is None


def test_a_skipped_request_is_not_ours_and_says_why() -> None:
    decision = decide(case(view(content())), replace(rules(), rule=skip_all))
    assert decision == Nothing("skipped_by_rule", ours=False, detail={"rule": "not leave"})


def test_a_rule_never_cancels_what_is_booked() -> None:
    booked = case(view(content()), entries=(entry(),))
    decision = decide(booked, replace(rules(), rule=skip_all))
    assert isinstance(decision, Hold)
    assert decision.reason == "rule_skips_booked"


def test_minutes_and_type_follow_the_rule_and_its_reason_is_kept_with_the_entry() -> None:
    change = Change("half days only", type_id=FLEX.id, minutes={MONDAY: 240, TUESDAY: 0})
    spec = insert_of(lambda asked: change).spec
    assert spec.type_id == FLEX.id
    assert [(day.date, day.minutes) for day in spec.days] == [(MONDAY, 240)]
    assert spec_from_json(spec_to_json(spec)).ruled == "half days only"


def test_the_reason_alone_is_no_reason_to_write() -> None:
    plain = insert_of(lambda asked: None).spec
    assert insert_of(lambda asked: Change("only noted")).spec.fingerprint == plain.fingerprint


def test_a_rule_sees_no_notes() -> None:
    seen: list[Asked] = []

    def curious(asked: Asked) -> Ruling:
        seen.append(asked)
        return None

    decide(case(view(content(notes="surgery")), look_first=False), replace(rules(), rule=curious))
    assert seen
    assert "surgery" not in repr(seen)


@pytest.mark.parametrize(
    "bad",
    [
        lambda asked: 1 / 0,
        lambda asked: "skip",
        lambda asked: Change("too long", minutes={MONDAY: 5000}),
    ],
)
def test_a_failing_rule_holds_its_request(bad: object) -> None:
    decision = decide(case(view(content())), replace(rules(), rule=bad))
    assert isinstance(decision, Hold)
    assert decision.reason == "rule_failed"


def test_a_rule_is_found_by_its_dotted_path() -> None:
    assert load_rule(None) is None
    assert load_rule(f"{__name__}:skip_all") is skip_all


@pytest.mark.parametrize(
    "path", ["no.such.module:rule", f"{__name__}:no_such", f"{__name__}:NOT_A_RULE", "x"]
)
def test_a_wrong_path_is_a_settings_problem(path: str) -> None:
    with pytest.raises(SettingsError, match=r"sync\.rule"):
        load_rule(path)


def test_a_wrong_rule_is_reported_with_all_other_mistakes_before_anything_connects() -> None:
    with pytest.raises(SettingsError) as raised:
        load(overrides={"sync": {"rule": "no.such:rule"}}, role="sync", environ={})
    assert any(problem.startswith("sync.rule:") for problem in raised.value.problems)
    assert any(problem.startswith("genesys.client_id:") for problem in raised.value.problems)

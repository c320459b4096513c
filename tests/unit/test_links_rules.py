"""Who an agent is and what a code means in the HRIS: linked by what is unique, never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.cases import FLEX, MONDAY, TUESDAY, VACATION, case, content, days, entry, rules, spec, view

from timeoff.errors import SettingsError
from timeoff.hris.configured import choices
from timeoff.ledger.links import AgentLink, TypeLink, WaitingForType
from timeoff.rules import Asked, Change, Ruling, Skip, load_rule
from timeoff.settings.model import GenesysSettings, Settings, TypeSettings
from timeoff_sync.decide import decide
from timeoff_sync.decisions import Cancel, Hold, Insert, Nothing, TypeChoice
from timeoff_sync.links import has_type, link_agent

# -- agents -----------------------------------------------------------------------------------------------

EMPLOYEES = {"157", "158", "159"}
BY_EMAIL = {"ada@acme.test": ["157"], "twins@acme.test": ["158", "159"]}


def linked(external_id: str | None, email: str | None) -> AgentLink:
    return link_agent("agent-1", "main", external_id, email, EMPLOYEES, BY_EMAIL)


def test_the_external_id_comes_first() -> None:
    assert linked("158", "ada@acme.test") == AgentLink("agent-1", "main", "158", "external_id", None)


@pytest.mark.parametrize("email", ["ada@acme.test", " Ada@ACME.test "])
def test_without_external_id_the_email_links(email: str) -> None:
    assert linked(None, email) == AgentLink("agent-1", "main", "157", "email", None)


def test_an_external_id_that_the_hris_does_not_know_is_reported_and_no_email_is_guessed() -> None:
    found = linked("unknown", "ada@acme.test")
    assert found == AgentLink("agent-1", "main", None, None, "unknown_external_id")


@pytest.mark.parametrize(
    ("external_id", "email", "problem"),
    [
        (None, None, "no_email"),
        (None, "", "no_email"),
        ("unknown", None, "unknown_external_id"),
        (None, "nobody@acme.test", "no_employee"),
        ("unknown", "nobody@acme.test", "unknown_external_id"),
        (None, "twins@acme.test", "ambiguous_email"),
        ("unknown", "twins@acme.test", "unknown_external_id"),
    ],
)
def test_who_cannot_be_linked_is_reported_and_not_guessed(
    external_id: str | None, email: str | None, problem: str
) -> None:
    assert linked(external_id, email) == AgentLink("agent-1", "main", None, None, problem)


def test_two_employees_of_one_address_are_told_apart_by_external_id() -> None:
    assert linked("159", "twins@acme.test").employee_id == "159"


# -- types ------------------------------------------------------------------------------------------------


def settings(*types: TypeSettings) -> Settings:
    return Settings(
        org="acme",
        genesys=GenesysSettings.model_construct(),
        types=types,
    )


def of_code(code: str, type_id: str, **more: Any) -> TypeSettings:
    return TypeSettings(activity_code=code, type_id=type_id, **more)


def test_a_plan_links_the_codes_of_its_unit() -> None:
    found = choices(settings(), "main", [TypeLink("unit-1", "c1", "83", "9"), TypeLink("unit-2", "c1", "84")])
    assert found == {("unit-1", "c1"): TypeChoice("83", "9"), ("unit-2", "c1"): TypeChoice("84")}


def test_the_settings_link_what_no_plan_links() -> None:
    found = choices(settings(of_code("c2", "90", type_id2="x", minutes="duration")), "main", [])
    assert found == {("", "c2"): TypeChoice("90", "x", "duration")}


def test_a_plan_comes_before_the_settings() -> None:
    found = choices(settings(of_code("c1", "90")), "main", [TypeLink("unit-1", "c1", "83")])
    here = rules(choices=found)
    assert here.choice("unit-1", "c1") == TypeChoice("83")
    assert here.choice("unit-2", "c1") == TypeChoice("90")
    assert here.choice(None, "c1") == TypeChoice("90")
    assert here.choice("unit-1", "c3") is None
    assert here.choice("unit-1", None) is None


def test_minutes_of_a_linked_type_are_what_the_settings_say_of_the_type() -> None:
    found = choices(
        settings(TypeSettings(type_id="83", minutes="duration")), "main", [TypeLink("unit-1", "c1", "83")]
    )
    assert found == {("unit-1", "c1"): TypeChoice("83", None, "duration")}


@pytest.mark.parametrize(
    ("code", "reason", "type_id", "again"),
    [
        ("mapped", "unmapped", None, True),
        ("mapped", "mapping_vanished", None, True),
        ("other", "unmapped", None, False),
        ("mapped", "unknown_type", VACATION.id, True),  # listed again
        ("mapped", "unknown_type", "gone", True),  # linked to another type, which is known
        ("astray", "unknown_type", "gone", False),
    ],
)
def test_only_what_would_be_decided_otherwise_is_looked_at_again(
    code: str, reason: str, type_id: str | None, again: bool
) -> None:
    """What is put aside for the same reason again would be opened and held for ever."""
    chosen = {("", "mapped"): TypeChoice(VACATION.id), ("", "astray"): TypeChoice("gone")}
    kind = WaitingForType("unit-1", code, reason, type_id)
    assert has_type(kind, rules(choices=chosen)) is again


def test_settings_of_another_target_do_not_count() -> None:
    other = of_code("c1", "90", target="other", minutes="duration")
    assert choices(settings(other), "main", [TypeLink("unit-1", "c1", "90")]) == {
        ("unit-1", "c1"): TypeChoice("90", None, "payable")
    }
    assert choices(settings(other), "other", []) == {("", "c1"): TypeChoice("90", None, "duration")}


# -- rules of the organisation ----------------------------------------------------------------------------


def ruled(ruling: Ruling, **changes: Any) -> object:
    return decide(case(**changes), rules(rule=lambda asked: ruling))


def test_a_rule_sees_what_is_about_to_be_wanted_and_no_notes() -> None:
    seen: list[Asked] = []

    def look(asked: Asked) -> None:
        seen.append(asked)

    decide(case(view(content(notes="knee surgery", paid=True))), rules(rule=look, copy_notes=True))
    assert [(asked.type_id, asked.days, asked.paid) for asked in seen] == [(VACATION.id, days(), True)]
    assert "surgery" not in repr(seen)


def test_a_rule_without_opinion_changes_nothing() -> None:
    assert ruled(None) == Insert(spec(), 1)


def test_a_skipped_request_is_not_ours_and_says_why() -> None:
    assert ruled(Skip("training")) == Nothing("skipped_by_rule", ours=False, detail={"rule": "training"})


def test_a_rule_that_skips_what_is_booked_cancels_nothing() -> None:
    decision = ruled(Skip("training"), entries=(entry(),))
    assert isinstance(decision, Hold)
    assert decision.reason == "rule_skips_booked"
    assert decision.detail["rule"] == "training"


def test_a_rule_may_choose_type_and_minutes() -> None:
    decision = ruled(Change("half", FLEX.id, "x", {MONDAY: 240, TUESDAY: 60}))
    assert decision == Insert(spec(type_id=FLEX.id, type_id2="x", days=days(minutes=240), ruled="half"), 1)
    assert ruled(Change("same")) == Insert(spec(ruled="same"), 1)


def test_a_rule_that_takes_all_minutes_books_nothing() -> None:
    assert ruled(Change("none", minutes={MONDAY: 0})) == Nothing("nothing_to_book")


def test_a_rule_that_changes_its_words_only_costs_no_call() -> None:
    assert ruled(Change("other words"), entries=(entry(spec(ruled="words")),)) == Nothing("in_step")


@pytest.mark.parametrize(
    ("ruling", "reason"),
    [
        (Change("x", minutes={MONDAY: -1}), "rule_failed"),
        (Change("x", minutes={MONDAY: 1441}), "rule_failed"),
        ("skip", "rule_failed"),
        (Change("x", type_id="unknown"), "unknown_type"),
    ],
)
def test_a_ruling_that_cannot_be_is_for_a_person(ruling: Any, reason: str) -> None:
    decision = ruled(ruling)
    assert isinstance(decision, Hold)
    assert decision.reason == reason


def test_a_rule_that_fails_costs_its_request_and_shows_no_values() -> None:
    def fails(asked: Asked) -> Ruling:
        raise RuntimeError("knee surgery")

    decision = decide(case(), rules(rule=fails))
    assert decision == Hold("rule_failed", {"error": "RuntimeError"})


def test_a_removal_asks_no_rule() -> None:
    """What Genesys cancels is cancelled, whatever a rule says of it."""
    decision = ruled(Skip("x"), of=view(content("DENIED")), entries=(entry(age=0.0),))
    assert isinstance(decision, Cancel)


def test_a_rule_is_found_by_its_path() -> None:
    assert load_rule(None) is None
    found: object = load_rule("timeoff.rules:load_rule")
    assert found is load_rule


@pytest.mark.parametrize(
    "path", ["nowhere:rule", "timeoff.rules:nothing", "timeoff.rules:__doc__", "timeoff.rules", ":x", "a b"]
)
def test_a_rule_that_cannot_be_loaded_is_a_mistake_in_the_settings(path: str) -> None:
    with pytest.raises(SettingsError, match=r"sync\.rule"):
        load_rule(path)

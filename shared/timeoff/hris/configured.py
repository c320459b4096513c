"""Types and activity codes as the settings want them: on top of what the HRIS and the plans say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from timeoff.hris.choices import TypeChoice
from timeoff.hris.port import TimeOffType
from timeoff.ledger.links import TypeLink
from timeoff.settings.model import Settings, TypeSettings
from timeoff.vocabulary import WritePath


def choices(settings: Settings, target: str, linked: Iterable[TypeLink]) -> dict[tuple[str, str], TypeChoice]:
    """(unit, code) to type: plans first, then the settings for codes that no plan links."""
    rules = {rule.type_id: rule for rule in settings.types if rule.target in (None, target)}
    found: dict[tuple[str, str], TypeChoice] = {}
    for rule in settings.types:
        if rule.activity_code and rule.target in (None, target):
            found["", rule.activity_code] = TypeChoice(
                rule.type_id, rule.type_id2, rule.minutes, WritePath(settings.sync.write_path)
            )
    for link in linked:
        rule_of_type = rules.get(link.type_id)
        found[link.management_unit_id, link.activity_code_id] = TypeChoice(
            link.type_id,
            link.type_id2,
            rule_of_type.minutes if rule_of_type else "payable",
            write_path(settings, link.plan_id),
        )
    return found


def write_path(settings: Settings, plan_id: str | None) -> WritePath:
    """Who books the requests of a time-off plan; None: of what no plan links."""
    sync = settings.sync
    return WritePath(sync.write_path_of_plans.get(plan_id or "", sync.write_path))


def configured_type(type_: TimeOffType, settings: Settings, target: str) -> TimeOffType:
    """A type as the HRIS describes it, with what the settings say about it on top."""
    for rule in settings.types:
        if rule.type_id == type_.id and rule.target in (None, target):
            type_ = _with_rule(type_, rule)
    return type_


def _with_rule(type_: TimeOffType, rule: TypeSettings) -> TimeOffType:
    type_ = replace(type_, whole_day_is_one=rule.full_day == "one_day")
    if rule.step is not None:
        type_ = replace(type_, step=rule.step)
    if rule.day_minutes is not None:
        type_ = replace(type_, day_minutes={}, default_day_minutes=rule.day_minutes)
    return type_

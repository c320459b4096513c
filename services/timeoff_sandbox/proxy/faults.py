"""Which calls a fault strikes: `METHOD path-regex`, and perhaps what the body says.

any                              every call
POST /leave-requests$            creates; the expression is searched in the path, without its query
POST|PATCH /leave-requests       several methods
* /employees/17/                 any method
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, field_validator

from timeoff_sandbox.faults import FaultBook, FaultRule, Refuse

_PATTERN: Final = re.compile(r"(\*|[A-Za-z]+(?:\|[A-Za-z]+)*)\s+(\S.*)")
#: Kinds that strike only what the HRIS has carried out: before a refusal of its own they give way.
AFTER_COMMIT: Final = frozenset(
    {"commit_then_drop", "commit_then_500", "slow", "truncated", "no_location", "no_id"}
)


def check_pattern(on: str) -> str:
    """Raises `ValueError` unless it names calls in one of the ways above."""
    if on != "any":
        split = _PATTERN.fullmatch(on)
        if split is None:
            raise ValueError("write METHOD and a regular expression of the path, or any")
        _compiles(split[2])
    return on


class ProxyRule(FaultRule):
    """A rule of `timeoff_sandbox.faults` with `on` as above; `body` is searched in the request's body."""

    body: str | None = None

    @field_validator("on")
    @classmethod
    def _names_an_operation(cls, value: str) -> str:
        return check_pattern(value)

    @field_validator("body")
    @classmethod
    def _is_an_expression(cls, value: str | None) -> str | None:
        if value is not None:
            _compiles(value)
        return value


class _Rules(BaseModel):
    rules: list[ProxyRule]


def _compiles(expression: str) -> None:
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None


def by_method_and_path(on: str, label: str) -> bool:
    """Does `on` mean the call of this label, `METHOD path`?"""
    split = _PATTERN.fullmatch(on)
    if split is None:
        return on == "any"
    method, _, path = label.partition(" ")
    return (split[1] == "*" or method in split[1].upper().split("|")) and bool(re.search(split[2], path))


class ProxyFaults(FaultBook):
    """The rules in force; the first one that is due takes the call."""

    def __init__(self, refuse: Refuse, throttle_status: Any) -> None:
        super().__init__(by_method_and_path, refuse, throttle_status)

    def add(self, document: Mapping[str, Any]) -> None:
        """Add the rules of `{"rules": [...]}`. Raises `pydantic.ValidationError`, then none was added."""
        self._rules.extend(_Rules.model_validate(dict(document)).rules)

    def due(self, label: str, body: bytes) -> FaultRule | None:
        """The rule that spoils this call, if any; it is counted as used."""
        return self.take(label, lambda rule: _says(rule, body))


def _says(rule: FaultRule, body: bytes) -> bool:
    wanted = getattr(rule, "body", None)
    return wanted is None or re.search(wanted, body.decode("utf-8", "replace")) is not None

"""What the service refuses, as values: a status, a stable code, words for people (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from timeoff.errors import TimeoffError


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong place of a request: a JSON pointer or a parameter's name, and what is wrong with it."""

    at: str
    message: str

    def shown(self) -> dict[str, Any]:
        return {"at": self.at, "message": self.message}


class Refusal(TimeoffError):
    """An answer that is no success. `code` is for programs and does not change; `detail` holds no values."""

    def __init__(
        self,
        status: int,
        code: str,
        title: str,
        detail: str = "",
        *,
        mistakes: Sequence[Mistake] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail or title)
        self.status = status
        self.code = code
        self.title = title
        self.detail = detail
        self.mistakes = tuple(mistakes)
        self.headers = dict(headers or {})


class UnknownEmployee(Refusal):
    def __init__(self, detail: str = "The HRIS knows no such employee.") -> None:
        super().__init__(404, "unknown_employee", "Unknown employee", detail)


class UnknownTarget(Refusal):
    def __init__(self, targets: Sequence[str], named: bool) -> None:
        detail = "There is no HRIS of that name." if named else "Name one of several HRIS as target."
        super().__init__(
            404 if named else 400, "unknown_target", "Unknown HRIS", f"{detail} ({', '.join(targets)})"
        )


class TooMany(Refusal):
    """`what` is dates, or dates x types."""

    def __init__(self, what: str, count: int, limit: int) -> None:
        super().__init__(
            400, "too_many", "Too many at once", f"{count} {what}; at most {limit} in one request."
        )
        self.count = count
        self.limit = limit


class LedgerAway(Refusal):
    """Without the ledger nobody knows what is accepted and not booked: no number is given."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "ledger_unreachable",
            "The ledger cannot be reached",
            "Nobody can tell what is accepted and not booked; ask again later.",
            headers={"Retry-After": "2"},
        )


class HrisAway(Refusal):
    """A list that only the HRIS has, and that was never read. `code` is a reason of `figures.Unknown`."""

    def __init__(self, code: str, seconds: float | None = None) -> None:
        super().__init__(
            503,
            code,
            "The HRIS does not answer",
            "The list was never read, and cannot be read now; ask again later.",
            headers={"Retry-After": str(max(1, round(seconds or 5)))},
        )


def bad_request(*mistakes: Mistake) -> Refusal:
    return Refusal(400, "invalid", "The request is not valid", mistakes=mistakes)


@dataclass(frozen=True, slots=True)
class Problem:
    """A refusal as it is written: `application/problem+json`."""

    refusal: Refusal
    more: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        refusal = self.refusal
        shown: dict[str, Any] = {"type": "about:blank", "title": refusal.title, "status": refusal.status}
        if refusal.detail:
            shown["detail"] = refusal.detail
        shown["code"] = refusal.code
        if refusal.mistakes:
            shown["errors"] = [mistake.shown() for mistake in refusal.mistakes]
        return {**shown, **self.more}


__all__ = [
    "HrisAway",
    "LedgerAway",
    "Mistake",
    "Problem",
    "Refusal",
    "TooMany",
    "UnknownEmployee",
    "UnknownTarget",
    "bad_request",
]

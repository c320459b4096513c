"""What the three reading flows make of what the HRIS says: aligned lists, and nothing left out unsaid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from timeoff.errors import (
    AuthFailed,
    Forbidden,
    HrisError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    RetryLater,
    Unsupported,
)
from timeoff.hris.port import BalanceKind, Employee, TimeOffType, Unit
from timeoff_balance.figures import Figure, TypeAsked, Unknown
from timeoff_balance.flows.contract import GET_AGENTS, GET_BALANCE, GET_TIMEOFF_TYPES, Status
from timeoff_balance.flows.reading import list_agents, list_balances, list_types, read_question
from timeoff_balance.flows.results import Result, failed_by, outputs
from timeoff_balance.flows.values import Inputs, read_inputs

JUNE = date(2025, 6, 1)
VACATION = Figure(JUNE, TypeAsked("83"), 9600, BalanceKind.PROJECTED, Unit.HOURS)


def agents(*people: Employee) -> dict[str, Any]:
    return outputs(GET_AGENTS, list_agents(people))


def pairs(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """(address, id) over all buckets; strict: lists of a pair that differ in length are an error."""
    found: list[tuple[str, str]] = []
    for n in range(25):
        emails, ids = answer[f"Flow.emails{n or ''}"], answer[f"Flow.externalIds{n or ''}"]
        found += zip(emails, ids, strict=True)
    return found


# -- Get-Agents ----------------------------------------------------------------------------------------


def test_agents_without_an_address_are_in_neither_list_and_are_counted() -> None:
    """Defect 20: whether the lists stay aligned must not depend on who has an address."""
    answer = agents(
        Employee("1", "ann@example.com"),
        Employee("2"),
        Employee("3", " "),
        Employee("4", " cho@example.com "),
    )
    assert pairs(answer) == [("ann@example.com", "1"), ("cho@example.com", "4")]
    assert answer["Flow.errorMsg"] == "left out without an e-mail address: 2"
    assert (answer["Flow.statusCode"], answer["Flow.status"]) == (200, "Complete")


def test_employees_who_share_an_address_are_nobody() -> None:
    """Which of them is the agent cannot be known; a wrong one would be booked."""
    answer = agents(
        Employee("1", "ann@example.com"), Employee("2", "Ann@Example.com"), Employee("3", "bob@example.com")
    )
    assert pairs(answer) == [("bob@example.com", "3")]
    assert answer["Flow.errorMsg"] == "left out because they share an e-mail address: 1, 2"


def test_an_employee_listed_twice_is_one() -> None:
    answer = agents(Employee("1", "ann@example.com"), Employee("1", "ann@example.com"))
    assert pairs(answer) == [("ann@example.com", "1")]
    assert answer["Flow.errorMsg"] is None


@pytest.mark.parametrize("count", [1, 1999, 2000, 2001, 4000, 50_000])
def test_all_25_buckets_are_filled_in_order(count: int) -> None:
    """Defect 19: agents beyond 2,000 were lost."""
    people = [Employee(str(n), f"{n}@example.com") for n in range(count)]
    answer = agents(*people)
    assert pairs(answer) == [(person.email, person.id) for person in people]
    assert len(answer["Flow.emails"]) == min(count, 2000)
    assert len(answer["Flow.emails24"]) == (2000 if count == 50_000 else 0)
    assert answer["Flow.errorMsg"] is None


def test_more_than_50000_agents_are_said_and_always_the_same_are_left_out() -> None:
    people = [Employee(str(n), f"{n}@example.com") for n in range(50_003)]
    answer, other_way = agents(*people), agents(*reversed(people))
    assert answer["Flow.errorMsg"] == "50,003 employees, 50,000 can be answered: the others are left out"
    assert pairs(answer) == pairs(other_way)
    assert {id for _, id in pairs(answer)} == {person.id for person in people[:50_000]}


@pytest.mark.parametrize("people", [(), (Employee("1"), Employee("2", ""))])
def test_nobody_at_all_is_a_failure(people: tuple[Employee, ...]) -> None:
    """WFM takes an empty list for the truth, and every agent would lose the id that is known."""
    answer = agents(*people)
    assert (answer["Flow.statusCode"], answer["Flow.status"]) == (404, "Error")
    assert pairs(answer) == []


# -- Get-TimeOff-Types ---------------------------------------------------------------------------------


def test_types_have_no_second_ids_or_one_each() -> None:
    plain = [TimeOffType("83", "Open Time Off", Unit.HOURS), TimeOffType("90", "Study Day", Unit.DAYS)]
    answer = outputs(GET_TIMEOFF_TYPES, list_types(plain))
    assert (answer["Flow.ids"], answer["Flow.names"]) == (["83", "90"], ["Open Time Off", "Study Day"])
    assert answer["Flow.id2s"] == []
    answer = outputs(GET_TIMEOFF_TYPES, list_types([plain[0], replace(plain[1], id2="rule-7")]))
    assert answer["Flow.id2s"] == ["", "rule-7"]


def test_more_than_2000_types_are_said() -> None:
    types = [TimeOffType(str(n), f"Type {n}", Unit.HOURS) for n in range(2001)]
    answer = outputs(GET_TIMEOFF_TYPES, list_types(types))
    assert len(answer["Flow.ids"]) == len(answer["Flow.names"]) == 2000
    assert answer["Flow.errorMsg"] == "2,001 types, 2,000 can be answered: the others are left out"


# -- Get-Balance: the question -------------------------------------------------------------------------


def asked(dates: Any, types: Any, id2s: Any = None) -> tuple[Any, list[str]]:
    document = {
        "Flow.agentId": "452",
        "Flow.inputDates": dates,
        "Flow.inputTimeOffTypeIds": types,
        "Flow.inputTimeOffTypeId2s": id2s,
    }
    inputs, problems = read_inputs(GET_BALANCE, document)
    assert problems == []
    return read_question(inputs)


def test_each_date_and_type_is_asked_for_once() -> None:
    question, remarks = asked(["2025-06-02", "2025-06-01", "2025-06-02"], ["83", "84", 83])
    assert question == ([date(2025, 6, 2), JUNE], [TypeAsked("83"), TypeAsked("84")])
    assert remarks == []


def test_second_ids_belong_to_the_types_at_their_place() -> None:
    question, _ = asked("2025-06-01", ["83", "83", "90"], ["a", "b", None])
    assert question[1] == [TypeAsked("83", "a"), TypeAsked("83", "b"), TypeAsked("90")]


@pytest.mark.parametrize(
    ("dates", "types", "id2s", "message"),
    [
        (
            ["2025-06-01", "2025-06-31"],
            "83",
            None,
            "Flow.inputDates item 2 is a date that does not exist: 2025-06-31",
        ),
        (["01.06.2025"], "83", None, 'Flow.inputDates item 1 is not YYYY-MM-DD: "01.06.2025"'),
        ([None], "83", None, 'Flow.inputDates item 1 is not YYYY-MM-DD: ""'),
        ("2025-06-01", ["83", None], None, "Flow.inputTimeOffTypeIds item 2 is empty"),
        (
            "2025-06-01",
            ["83", "84"],
            ["a"],
            "Flow.inputTimeOffTypeId2s has 1 items and Flow.inputTimeOffTypeIds 2",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_before_the_hris_is_asked(
    dates: Any, types: Any, id2s: Any, message: str
) -> None:
    result, _ = asked(dates, types, id2s)
    assert isinstance(result, Result)
    assert (result.status, result.code, result.message) == (Status.ERROR, 400, message)


def test_more_problems_than_anybody_reads_are_counted() -> None:
    result, _ = asked(["nonsense"] * 2000, "83")
    assert isinstance(result, Result)
    assert (result.message or "").endswith("; and 1,980 more")


def test_rows_beyond_2000_are_whole_dates_and_are_said() -> None:
    """Defect 18: 250 dates of 10 types do not fit into lists of 2,000."""
    days = [(JUNE + timedelta(days=n)).isoformat() for n in range(250)]
    (dates, types), remarks = asked(days, [str(n) for n in range(10)])
    assert (len(dates), len(types)) == (200, 10)
    assert remarks == [
        "250 dates and 10 types make 2,500 rows, 2,000 can be answered: dates from 2025-12-18 on are left out"
    ]
    (dates, _), remarks = asked(days[:200], [str(n) for n in range(10)])
    assert (len(dates), remarks) == (200, [])


# -- Get-Balance: the answer ---------------------------------------------------------------------------


def answered(*figures: Figure, remarks: tuple[str, ...] = ()) -> dict[str, Any]:
    return outputs(GET_BALANCE, list_balances(figures, remarks))


def test_rows_are_parallel_and_numbers_are_text() -> None:
    answer = answered(VACATION, replace(VACATION, type=TypeAsked("84", "x"), minutes=-30))
    assert answer["Flow.dates"] == ["2025-06-01", "2025-06-01"]
    assert answer["Flow.timeOffTypeIds"] == ["83", "84"]
    assert answer["Flow.balanceMinutesPerDay"] == ["9600", "-30"]
    assert answer["Flow.timeOffTypeId2s"] == ["", "x"]
    assert answered(VACATION)["Flow.timeOffTypeId2s"] == []


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (replace(VACATION, minutes=None, unknown=Unknown.NO_BALANCE), "no balance known: 83"),
        (replace(VACATION, minutes=None, unknown=Unknown.UNKNOWN_TYPE), "not a type of the HRIS: 83"),
        (
            replace(VACATION, minutes=None, unknown=Unknown.NOT_A_NUMBER),
            "balance cannot be converted to minutes: 83",
        ),
        (replace(VACATION, minutes=None, unlimited=True), "unlimited, no balance is kept: 83"),
        (replace(VACATION, minutes=-480, unlimited=True), "unlimited, no balance is kept: 83"),
    ],
)
def test_a_type_without_a_number_has_no_row_and_is_named(figure: Figure, message: str) -> None:
    """Never 0 for what is unknown, nor for what has no limit."""
    answer = answered(figure)
    assert answer["Flow.balanceMinutesPerDay"] == []
    assert (answer["Flow.statusCode"], answer["Flow.status"]) == (200, "Complete")
    assert answer["Flow.errorMsg"] == message


def test_a_type_without_a_number_on_some_dates_only_is_named_with_them() -> None:
    later = replace(VACATION, on=date(2027, 1, 1), minutes=None, unknown=Unknown.NO_BALANCE)
    answer = answered(VACATION, later, remarks=("first",))
    assert answer["Flow.dates"] == ["2025-06-01"]
    assert answer["Flow.errorMsg"] == "first; no balance known: 83 (2027-01-01)"


@pytest.mark.parametrize(
    ("unknown", "code"),
    [
        (Unknown.THROTTLED, 429),
        (Unknown.UNREACHABLE, 503),
        (Unknown.REFUSED, 502),
        (Unknown.NOT_IN_TIME, 408),
        (Unknown.NOT_SUPPORTED, 501),
        (Unknown.FAILED, 500),
    ],
)
def test_one_date_that_fails_leaves_no_row_behind(unknown: Unknown, code: int) -> None:
    """Defect 9: `Complete` stayed after a later date failed, and the lists were out of step."""
    answer = answered(VACATION, replace(VACATION, on=date(2025, 6, 2), minutes=None, unknown=unknown))
    assert (answer["Flow.statusCode"], answer["Flow.status"]) == (code, "Error")
    for name in ("dates", "timeOffTypeIds", "balanceMinutesPerDay", "timeOffTypeId2s"):
        assert answer[f"Flow.{name}"] == []
    assert answer["Flow.errorMsg"].endswith(": 2025-06-02")


def test_every_reason_for_no_number_has_an_answer() -> None:
    for unknown in Unknown:
        answered(replace(VACATION, minutes=None, unknown=unknown))


def test_a_number_that_is_only_the_last_known_one_says_so() -> None:
    read = datetime(2025, 3, 26, 20, tzinfo=UTC)
    answer = answered(replace(VACATION, as_of=read, stale=True))
    assert answer["Flow.balanceMinutesPerDay"] == ["9600"]
    assert answer["Flow.errorMsg"] == "the HRIS does not answer now, known since 2025-03-26T20:00:00+00:00"


# -- failures of the HRIS ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AuthFailed("401"), 401),
        (Forbidden("403"), 403),
        (NotFound("employee"), 404),
        (RetryLater("429", throttled=True), 429),
        (RetryLater("503"), 503),
        (Unsupported("balance"), 501),
        (Rejected("400"), 502),
        (OutcomeUnknown("?"), 502),
        (HrisError("?"), 502),
    ],
)
def test_reasons_of_a_failure_stay_told_apart(error: HrisError, code: int) -> None:
    """Defect 10: 401, 403, 404 and 429 all became 500."""
    result = failed_by(error)
    assert (result.status, result.code) == (Status.ERROR, code)
    assert str(error) in (result.message or "")


def test_no_inputs_are_no_question() -> None:
    assert Inputs({}, {}).items("inputDates") == ()
    assert Inputs({}, {}).text("agentId") == ""

"""When what a workflow hands over is the same leave as something else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from tests.support.cases import MONDAY, TUESDAY, content, part_of_a_day

from timeoff.handover import Handed, Leave, leave_of, leave_of_request
from timeoff.hris.choices import TypeChoice
from timeoff.vocabulary import Day

WHOLE = (Day(MONDAY, 480, whole=True), Day(TUESDAY, 240, whole=True))
CHOICE = TypeChoice("83")


def leave(*days: Day, type_id: str = "83", type_id2: str | None = None) -> Leave:
    return leave_of(type_id, type_id2, days or WHOLE)


def part(minutes: int, start: time | None) -> Day:
    return Day(MONDAY, minutes, whole=False, start=start)


def test_type_dates_and_minutes_make_a_leave() -> None:
    assert leave().same(leave())
    for other in (
        leave(type_id="84"),
        leave(WHOLE[0]),
        leave(WHOLE[0], replace(WHOLE[1], minutes=241)),
        leave(*(replace(day, date=day.date + timedelta(days=7)) for day in WHOLE)),
    ):
        assert not leave().same(other)
        assert not other.same(leave())


def test_days_without_minutes_take_no_leave() -> None:
    assert leave(*WHOLE, Day(TUESDAY + timedelta(days=1), 0, whole=True)).same(leave())


def test_a_start_time_tells_two_parts_of_a_day_apart_where_both_have_one() -> None:
    morning, afternoon, some_time = (leave(part(60, start)) for start in (time(9), time(14), None))
    assert morning.same(morning)
    assert not morning.same(afternoon)
    assert morning.same(some_time)
    assert some_time.same(afternoon)
    assert not morning.same(leave(part(61, None)))


def test_a_second_id_counts_where_both_have_one() -> None:
    one, two, none = (leave(type_id2=id2) for id2 in ("rule-1", "rule-2", None))
    assert one.same(none)
    assert none.same(two)
    assert not one.same(two)
    assert leave(type_id2="").same(one)


def test_only_denied_and_canceled_remove() -> None:
    handed = Handed("83", None, "APPROVED", WHOLE)
    removed = {
        status: replace(handed, status=status).removed
        for status in ("APPROVED", "PENDING", "DENIED", "CANCELED")
    }
    assert removed == {"APPROVED": False, "PENDING": False, "DENIED": True, "CANCELED": True}
    assert handed.span == (MONDAY, TUESDAY)


def test_a_request_of_genesys_is_the_same_leave_as_its_hand_over() -> None:
    seen = content(dates=(MONDAY, TUESDAY), duration_minutes=(480, 240))
    found = leave_of_request(seen, "Europe/Berlin", CHOICE)
    assert found is not None
    assert found.same(leave())


def test_a_part_of_a_day_is_local_in_both() -> None:
    start = datetime.combine(MONDAY, time(8), UTC)
    found = leave_of_request(part_of_a_day(start, 60), "Europe/Berlin", CHOICE)
    assert found is not None
    assert found.same(leave(part(60, time(9))))
    assert not found.same(leave(part(60, time(8))))


def test_the_type_says_which_minutes_count() -> None:
    seen = content(duration_minutes=(480,), payable_minutes=(450,))
    for minutes, expected in (("payable", 450), ("duration", 480)):
        found = leave_of_request(seen, "UTC", replace(CHOICE, minutes=minutes))
        assert found is not None
        assert found.days == ((MONDAY, expected, None),)


@pytest.mark.parametrize("zone", [None, "Mars/Olympus"])
def test_what_cannot_be_told_is_no_leave(zone: str | None) -> None:
    start = datetime.combine(MONDAY, time(8), UTC)
    assert leave_of_request(part_of_a_day(start, 60), zone, CHOICE) is None
    assert leave_of_request(content(), "UTC", None) is None
    assert leave_of_request(content(duration_minutes=(1, 2)), "UTC", CHOICE) is None

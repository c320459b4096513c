"""Promises of looking into the HRIS by months."""

from __future__ import annotations

from datetime import date

import pytest

from timeoff_sync.sightings import _months


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        (date(2027, 3, 31), date(2027, 3, 31), [date(2027, 3, 1)]),
        (date(2027, 11, 30), date(2028, 1, 1), [date(2027, 11, 1), date(2027, 12, 1), date(2028, 1, 1)]),
        (date(9999, 11, 30), date(9999, 12, 31), [date(9999, 11, 1), date(9999, 12, 1)]),
    ],
)
def test_every_month_that_the_dates_touch_is_listed_also_the_last_there_is(
    first: date, last: date, months: list[date]
) -> None:
    assert _months(first, last) == months

"""What a workflow is told of a request: variables with the prefix `Flow.`, arrays of strings. Pure.

Dates and start times are those of the management unit. A part of a day that crosses midnight has two dates,
each with its share of the minutes; its start time stays one. The source does not say how Genesys shares them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from timeoff_sandbox.genesys.time_off import TimeOffRequest, parse_instant
from timeoff_sandbox.genesys.wire import Json
from timeoff_sandbox.genesys.workforce import HrisType

_MINUTE = timedelta(minutes=1)


def booking_inputs(request: TimeOffRequest, zone: ZoneInfo, type_: HrisType) -> Json:
    """Inputs of Insert and Update but for the ids of employee and booking."""
    minutes = _minutes_by_date(request, zone)
    dates = sorted(minutes)
    inputs: Json = {
        "Flow.dates": dates,
        "Flow.minDate": dates[0],
        "Flow.maxDate": dates[-1],
        "Flow.timeOffStatus": request.status,
        "Flow.timeOffTypeId": type_.id,
        "Flow.durationMinutes": [str(minutes[day][0]) for day in dates],
        "Flow.payableMinutes": [str(minutes[day][1]) for day in dates],
    }
    if request.partial_starts:
        starts = (parse_instant(text).astimezone(zone) for text in request.partial_starts)
        inputs["Flow.startDateTimes"] = [f"{start:%Y-%m-%dT%H:%M:%S}" for start in sorted(starts)]
    if type_.secondary_id is not None:
        inputs["Flow.timeOffTypeId2"] = type_.secondary_id
    if request.notes:
        inputs["Flow.notes"] = request.notes
    return inputs


def _minutes_by_date(request: TimeOffRequest, zone: ZoneInfo) -> dict[str, tuple[int, int]]:
    """Length and payable minutes of each date that the request touches."""
    found: dict[str, tuple[int, int]] = {}
    for text, length, payable in zip(
        request.partial_starts or request.dates, request.minutes, request.payable_minutes, strict=True
    ):
        pieces = (
            _pieces(parse_instant(text), length, zone)
            if request.partial_starts
            else [(date.fromisoformat(text), length)]
        )
        passed = told = 0
        for day, minutes in pieces:
            passed += minutes
            # Rounded half up on the running sum, so that the shares add up to the whole.
            due = payable if passed == length else (2 * payable * passed + length) // (2 * length)
            before = found.get(day.isoformat(), (0, 0))
            found[day.isoformat()] = (before[0] + minutes, before[1] + due - told)
            told = due
    return found


def _pieces(start: datetime, length: int, zone: ZoneInfo) -> Iterator[tuple[date, int]]:
    """A part of a day cut at each midnight of the zone, in real minutes whatever the clocks do."""
    end = start + length * _MINUTE
    while True:
        day = start.astimezone(zone).date()
        until = min(end, _midnight_after(day, start, zone))
        yield day, (until - start) // _MINUTE
        if until >= end:
            return
        start = until


def _midnight_after(day: date, start: datetime, zone: ZoneInfo) -> datetime:
    """The end of that date, as an instant behind `start`."""
    midnight = datetime.combine(day + timedelta(days=1), time(), zone)
    first = midnight.astimezone(UTC)
    # Where clocks go back across midnight it comes twice, and the first may have passed.
    return first if first > start else midnight.replace(fold=1).astimezone(UTC)

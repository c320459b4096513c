"""Minutes become exact hours and days, on the right dates, also where the clock jumps."""

from __future__ import annotations

from decimal import Decimal

from tests.acceptance.conftest import Launch
from tests.support.system import DAY_OFF, SICK, System, in_days

BERLIN, NEW_YORK, KOLKATA = 0, 1, 2


#: What it is about, unit, start, minutes, hours by date.
PARTS = [
    ("over the lost hour", BERLIN, "2027-03-28T00:30:00Z", 120, {"2027-03-28": "2"}),
    ("into the short day", BERLIN, "2027-03-27T22:00:00Z", 240, {"2027-03-27": "1", "2027-03-28": "3"}),
    ("out of it", BERLIN, "2027-03-28T20:30:00Z", 180, {"2027-03-28": "1.5", "2027-03-29": "1.5"}),
    ("over the doubled hour", BERLIN, "2027-10-31T00:15:00Z", 150, {"2027-10-31": "2.5"}),
    ("into the long day", BERLIN, "2027-10-30T21:30:00Z", 180, {"2027-10-30": "0.5", "2027-10-31": "2.5"}),
    ("west of Greenwich", NEW_YORK, "2027-03-14T06:30:00Z", 60, {"2027-03-14": "1"}),
    ("late in the west", NEW_YORK, "2027-03-15T03:30:00Z", 45, {"2027-03-14": "0.5", "2027-03-15": "0.25"}),
    ("half hours", KOLKATA, "2027-01-10T18:00:00Z", 90, {"2027-01-10": "0.5", "2027-01-11": "1"}),
]


async def test_a_part_of_a_day_lands_on_its_local_dates(launch: Launch) -> None:
    """Promise: a partial day is booked on the unit's local dates with its real minutes, DST days included."""
    async with launch(agents=3 * len(PARTS)) as system:
        requests = [
            await system.submit(system.agents[3 * number + unit], partialStarts=[start], minutes=[minutes])
            for number, (_, unit, start, minutes, _) in enumerate(PARTS)
        ]
        await system.quiet()
        booked = {
            about: await system.amounts(request) for request, (about, *_) in zip(requests, PARTS, strict=True)
        }
        assert booked == {
            about: {on: Decimal(value) for on, value in hours.items()} for about, _, _, _, hours in PARTS
        }


async def test_hour_and_day_types_are_exact(launch: Launch) -> None:
    """Promise: hours are payable minutes over 60 to two decimals; a whole day is one, a part its share."""
    async with launch() as system:
        hours = await system.submit(
            system.agents[0],
            in_days(14),
            in_days(15),
            in_days(16),
            minutes=[480, 480, 135],
            payableMinutes=[450, 100, 0],
        )
        whole = await system.submit(
            system.agents[1], in_days(14), in_days(15), activityCodeId=DAY_OFF, minutes=[480, 450]
        )
        part = await _part(system, 2, DAY_OFF, 100)
        unpaid = await system.submit(system.agents[3], in_days(14), activityCodeId=SICK, payableMinutes=[0])
        await system.quiet()
        assert await system.amounts(hours) == {in_days(14): Decimal("7.5"), in_days(15): Decimal("1.67")}
        assert await system.amounts(whole) == {in_days(14): Decimal(1), in_days(15): Decimal(1)}
        assert list((await system.amounts(part)).values()) == [Decimal("0.21")]
        assert await system.live_entries(unpaid) == []
        assert await system.waiting_for_people() == {}


async def test_a_change_below_the_rounding_step_is_no_change(launch: Launch) -> None:
    """Promise: what rounds to the same amount costs no call, so nothing flaps."""
    async with launch() as system:
        request = await system.submit(system.agents[0], in_days(14), activityCodeId=DAY_OFF)
        await system.quiet()
        await system.change(request, minutes=[450], payableMinutes=[450])
        await system.quiet()
        assert await system.amounts(request) == {in_days(14): Decimal(1)}
        assert await system.writes() == ["create"]


async def _part(system: System, who: int, code: str, minutes: int) -> str:
    start = f"{in_days(14)}T09:00:00Z"
    return await system.submit(
        system.agents[who], partialStarts=[start], minutes=[minutes], activityCodeId=code
    )

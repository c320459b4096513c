"""Where a group member stands in the partitions it owns, whatever the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from timeoff.errors import Fenced, OffsetOutOfRange
from timeoff.eventlog.port import Bounds


@dataclass(slots=True, eq=False)
class Place:
    """`position` is the next offset to deliver, `base` the least one that may be committed.

    With a `fault` nothing is delivered: the log does not hold the position.
    """

    position: int
    base: int
    fault: OffsetOutOfRange | None = None


def stand(topic: str, partition: int, position: int, held: Bounds) -> Place:
    """A place at `position`, in fault if it is out of range. The log's end is in range."""
    fault = None
    if not held.low <= position <= held.high:
        fault = OffsetOutOfRange(topic, partition, position, held.low, held.high)
    return Place(position, base=position, fault=fault)


def check_commit(topic: str, places: Mapping[int, Place], offsets: Mapping[int, int]) -> None:
    """Raises `Fenced` for partitions not owned, and for offsets that this ownership did not deliver.

    The second is a batch of an earlier ownership: its offset could step over what another member read since,
    or step back behind it.
    """
    for partition, offset in offsets.items():
        place = places.get(partition)
        if place is None:
            raise Fenced(f"{topic}/{partition} is not owned by this member now")
        if not place.base <= offset <= place.position:
            raise Fenced(f"offset {offset} of {topic}/{partition} was read in an earlier ownership")

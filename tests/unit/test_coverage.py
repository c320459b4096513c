"""Spreading agents over channels: everybody once, nobody moved without need."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from timeoff_listener.coverage import pack

UNITS = st.dictionaries(
    st.sampled_from("uvwx"), st.sets(st.integers(0, 60).map(str), max_size=20), max_size=4
)


def distinct(units: dict[str, set[str]]) -> dict[str, set[str]]:
    seen: set[str] = set()
    result = {}
    for name, agents in units.items():
        result[name] = agents - seen
        seen |= agents
    return result


@given(UNITS, UNITS, st.integers(1, 9), st.integers(1, 5))
def test_everybody_is_on_one_channel_or_named_and_nobody_moves(
    before: dict[str, set[str]], after: dict[str, set[str]], size: int, most: int
) -> None:
    before, after = distinct(before), distinct(after)
    first, _ = pack(before, [], size=size, most=most)
    second, left_out = pack(after, first, size=size, most=most)
    wanted = set().union(*after.values()) if after else set()
    placed = [agent for channel in second for agent in channel]
    assert len(placed) == len(set(placed))
    assert set(placed) | left_out == wanted
    assert not set(placed) & left_out
    assert len(second) <= most
    assert all(len(channel) <= size for channel in second)
    assert not left_out or all(len(channel) == size for channel in second)
    for old, new in zip(first, second, strict=False):
        assert old & wanted <= new


def test_units_stay_together() -> None:
    units = {"a": {f"a{n}" for n in range(5)}, "b": {f"b{n}" for n in range(5)}}
    assert [{agent[0] for agent in channel} for channel in pack(units, [], size=5, most=9)[0]] == [
        {"a"},
        {"b"},
    ]

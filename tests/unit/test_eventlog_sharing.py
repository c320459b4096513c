"""The pure parts of the log: which partition a key has, and how a group shares partitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timeoff.errors import Fenced, OffsetOutOfRange
from timeoff.eventlog.partitioner import key_hash, partition_of
from timeoff.eventlog.places import Place, check_commit, stand
from timeoff.eventlog.port import Bounds
from timeoff.eventlog.postgres_group import shares
from timeoff.eventlog.postgres_reading import pack_headers, unpack_headers


@pytest.mark.parametrize(
    ("key", "hash_"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_keys_hash_as_in_the_java_client(key: str, hash_: int) -> None:
    """Values of Kafka's own unit test of murmur2; else other producers would split an agent's history."""
    assert key_hash(key) == hash_ & 0x7FFFFFFF


@given(st.text(), st.integers(1, 1000))
def test_every_key_has_a_partition(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12), st.integers(1, 60))
def test_shares_cover_all_partitions_fairly(held: list[int], partitions: int) -> None:
    share = shares({f"m{nr}": count for nr, count in enumerate(held)}, partitions)
    assert sum(share.values()) == partitions
    assert max(share.values()) - min(share.values()) <= 1


@given(st.integers(1, 12), st.integers(1, 60))
def test_a_fair_sharing_stays_as_it_is(members: int, partitions: int) -> None:
    """Else partitions would wander for ever."""
    once = shares({f"m{nr}": 0 for nr in range(members)}, partitions)
    assert shares(once, partitions) == once


@given(st.lists(st.tuples(st.text(), st.binary()), max_size=8))
def test_headers_survive_packing(headers: list[tuple[str, bytes]]) -> None:
    assert unpack_headers(pack_headers(headers)) == tuple(headers)


@pytest.mark.parametrize(
    ("position", "in_range"), [(3, False), (4, True), (9, True), (10, True), (11, False)]
)
def test_a_place_is_in_fault_outside_of_what_the_log_holds(position: int, in_range: bool) -> None:
    place = stand("t", 0, position, Bounds(4, 10))
    assert (place.fault is None) == in_range
    assert in_range or isinstance(place.fault, OffsetOutOfRange)


@pytest.mark.parametrize("offsets", [{1: 5}, {0: 4}, {0: 9}, {0: 6, 1: 5}])
def test_a_commit_must_be_of_this_ownership(offsets: dict[int, int]) -> None:
    with pytest.raises(Fenced):
        check_commit("t", {0: Place(position=8, base=5)}, offsets)


def test_a_commit_of_what_was_delivered_passes() -> None:
    check_commit("t", {0: Place(position=8, base=5)}, {0: 8})
    check_commit("t", {0: Place(position=8, base=5)}, {0: 5})

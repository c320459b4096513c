"""Key to partition, the way Kafka's default partitioner does it, in every adapter.

The same key keeps its partition number when a deployment moves from one log to the other with the same
number of partitions, and producers written in other languages agree (Kafka documentation, producer
configuration, `partitioner.class`: murmur2 over the key's bytes, sign bit dropped, modulo).
"""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def key_hash(key: str) -> int:
    """Hash of the UTF-8 bytes, 0 to 2^31 - 1. Cached: keys are agents, few and often repeated."""
    return int(murmur2(key.encode())) & 0x7FFFFFFF


def partition_of(key: str, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, that holds everything of this key."""
    return key_hash(key) % partitions

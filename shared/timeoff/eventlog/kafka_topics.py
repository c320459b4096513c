"""Topics on Kafka: what is there, and creating what is not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, for_code

from timeoff.errors import LogError, TopicMissing
from timeoff.eventlog.port import TopicSpec

#: Error codes of the Kafka protocol guide.
_EXISTS: Final = 36
_NOT_ALLOWED: Final = frozenset({29, 31})


async def existing_topics(admin: AIOKafkaAdminClient) -> frozenset[str]:
    """Names of all topics this user may see, with a leader for each partition."""
    described = await admin.describe_topics()
    return frozenset(
        topic["topic"]
        for topic in described
        if topic["partitions"] and all(partition["leader"] >= 0 for partition in topic["partitions"])
    )


async def create_topics(admin: AIOKafkaAdminClient, topics: Sequence[TopicSpec], replication: int) -> None:
    """Create topics and wait until they can be used. Never compacted: the history is the point."""
    answer = await admin.create_topics(
        [
            NewTopic(
                spec.name,
                spec.partitions,
                max(spec.replication_factor, replication),
                topic_configs={
                    "cleanup.policy": "delete",
                    "retention.ms": str(
                        -1 if spec.retention_hours is None else int(spec.retention_hours * 3_600_000)
                    ),
                },
            )
            for spec in topics
        ]
    )
    refused, failed = [], []
    for name, code, *message in answer.topic_errors:
        if code in _NOT_ALLOWED:
            refused.append(name)
        elif code not in (0, _EXISTS):
            failed.append(f"{name}: {(message and message[0]) or for_code(code).__name__}")
    if refused:
        raise TopicMissing(
            f"missing on Kafka: {', '.join(sorted(refused))}. This user may not create topics "
            "(ACL: Create on the cluster or topic); create them or grant it"
        )
    if failed:
        raise LogError(f"Kafka refused to create topics: {'; '.join(sorted(failed))}")
    wanted = {spec.name for spec in topics}
    while True:
        try:
            if wanted <= await existing_topics(admin):
                return
        except KafkaError:  # a broker that just changes its role; the caller's time limit ends this
            pass
        await asyncio.sleep(0.05)

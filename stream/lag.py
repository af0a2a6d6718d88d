"""How far a group is behind, as Kafka itself tells it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    TopicPartition,
)
from confluent_kafka import KafkaError as ClientError

from stream.errors import KafkaError
from stream.kafka import client_config, explain, require_topics

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ClusterMetadata

    from stream.settings import Settings

__all__ = ["GroupLag", "PartitionLag", "measure"]

OLDEST_SECONDS = 5.0
"""How long the oldest unread records are waited for."""


class PartitionLag(NamedTuple):
    """`committed` is None before the first commit; `seconds` is the age of the oldest unread record, where known."""

    partition: int
    committed: int | None
    end: int
    records: int
    seconds: float | None
    member: str | None


class GroupLag(NamedTuple):
    group: str
    topic: str
    state: str
    members: int
    partitions: list[PartitionLag]


def measure(settings: Settings, admin: AdminClient, cluster: ClusterMetadata, group: str, topic: str) -> GroupLag:
    """Raises `TopicMissing`, or `KafkaError` when Kafka refuses."""
    require_topics(cluster, [topic])
    partitions = sorted(cluster.topics[topic].partitions)
    try:
        described = admin.describe_consumer_groups([group])[group].result()
        places = [TopicPartition(topic, partition) for partition in partitions]
        asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
        offsets = {p.partition: p.offset for p in asked[group].result().topic_partitions}
        ends, ages, read = _read(settings, topic, offsets)
    except KafkaException as error:
        raise KafkaError(f"cannot ask for the group {group}: {explain(error)}") from None
    owners = {
        place.partition: member.group_instance_id or member.client_id
        for member in described.members
        for place in (member.assignment.topic_partitions if member.assignment else [])
        if place.topic == topic
    }
    return GroupLag(
        group,
        topic,
        described.state.name.lower(),
        len(described.members),
        [
            PartitionLag(
                partition,
                offsets[partition] if offsets[partition] >= 0 else None,
                ends[partition][1],
                0 if partition in read else ends[partition][1] - max(offsets[partition], ends[partition][0]),
                ages.get(partition),
                owners.get(partition),
            )
            for partition in partitions
        ],
    )


def _read(
    settings: Settings, topic: str, offsets: dict[int, int]
) -> tuple[dict[int, tuple[int, int]], dict[int, float], set[int]]:
    """-> partition -> (first, end) offset; the age in seconds of the first unread record where there is one; and the
    partitions where nothing but markers of transactions is unread."""
    config = {"group.id": "ajil.reader", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer(client_config(settings) | config)
    try:
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10) for p in offsets}
        starts = {p: max(offsets[p], ends[p][0]) for p in offsets if max(offsets[p], ends[p][0]) < ends[p][1]}
        consumer.assign([TopicPartition(topic, p, offset) for p, offset in starts.items()])
        ages: dict[int, float] = {}
        read: set[int] = set()
        until = time.monotonic() + OLDEST_SECONDS
        while len(ages) + len(read) < len(starts) and time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is None or message.partition() in ages:
                continue
            error = message.error()
            if error is not None:
                # Before the end of an open transaction's records, the end comes too early.
                if error.code() == ClientError._PARTITION_EOF and message.offset() >= ends[message.partition()][1]:
                    read.add(message.partition())
                continue
            kind, milliseconds = message.timestamp()
            if kind != TIMESTAMP_NOT_AVAILABLE:
                ages[message.partition()] = max(0.0, datetime.now(UTC).timestamp() - milliseconds / 1000)
            consumer.pause([TopicPartition(topic, message.partition())])
    finally:
        consumer.close()
    return ends, ages, read

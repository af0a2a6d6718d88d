"""What a test does with Kafka from outside: create topics, produce records, read a topic to its end."""

from __future__ import annotations

import time
import uuid
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Record", "Topics", "consume_all", "create_topic", "create_topics", "produce"]

MEGABYTE = 1024 * 1024
TIMEOUT = 30.0
_NO_LEADER = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.UNKNOWN_TOPIC_OR_PART}


class Record(NamedTuple):
    """One record, on its way in or out; `timestamp` is Unix time in ms, None lets the client set it."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int = -1
    offset: int = -1
    timestamp: int | None = None


@dataclass(frozen=True)
class Topics:
    """The names of one set of Ajil's topics."""

    raw: str
    enriched: str
    rejected: str
    signals: str
    stories: str
    alerts: str
    feedback: str
    undelivered: str


def create_topics(address: str, *, partitions: int = 4) -> Topics:
    """Create a set of topics with names of its own."""
    mark = uuid.uuid4().hex[:8]
    topics = Topics(
        raw=f"t{mark}.articles.raw",
        enriched=f"t{mark}.articles.enriched",
        rejected=f"t{mark}.articles.rejected",
        signals=f"t{mark}.signals",
        stories=f"t{mark}.stories",
        alerts=f"t{mark}.alerts",
        feedback=f"t{mark}.feedback",
        undelivered=f"t{mark}.alerts.undelivered",
    )
    settings: dict[str, dict[str, str]] = {
        topics.raw: {"max.message.bytes": str(12 * MEGABYTE)},
        # An original of the largest size, and the headers that say why it was rejected.
        topics.rejected: {"max.message.bytes": str(16 * MEGABYTE)},
        topics.stories: {"cleanup.policy": "compact"},
    }
    _create(address, partitions, {name: settings.get(name, {}) for name in astuple(topics)})
    return topics


def create_topic(address: str, name: str, *, partitions: int = 4, config: dict[str, str] | None = None) -> None:
    """Create one topic and return when the broker has it; KafkaException if it exists or cannot be."""
    _create(address, partitions, {name: config or {}})


def _create(address: str, partitions: int, topics: dict[str, dict[str, str]]) -> None:
    # log_level 4: warnings and up; closing an admin client logs a line of no use.
    admin = AdminClient({"bootstrap.servers": address, "log_level": 4})
    new = [NewTopic(name, partitions, 1, config=config) for name, config in topics.items()]
    for created in admin.create_topics(new, operation_timeout=TIMEOUT).values():
        created.result(TIMEOUT)


def produce(address: str, topic: str, records: Iterable[Record | bytes]) -> list[Record]:
    """Produce records, await every delivery, and return them in order with the places they were given.

    `bytes` stand for a record with that value alone. KafkaException for the first delivery that failed.
    """
    producer = Producer(
        {"bootstrap.servers": address, "acks": "all", "linger.ms": 5, "message.max.bytes": 20 * MEGABYTE}
    )
    sent = [record if isinstance(record, Record) else Record(record) for record in records]
    delivered: dict[int, Record] = {}
    failures: list[KafkaError] = []

    for number, record in enumerate(sent):

        def report(error: KafkaError | None, message: Message, number: int = number) -> None:
            if error:
                failures.append(error)
            else:
                # A delivery report has the place, but not the headers.
                partition, offset, (_, timestamp) = message.partition(), message.offset(), message.timestamp()
                delivered[number] = sent[number]._replace(partition=partition, offset=offset, timestamp=timestamp)

        while True:
            try:
                producer.produce(
                    topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=record.partition,
                    timestamp=record.timestamp or 0,
                    on_delivery=report,
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(TIMEOUT)
    if failures:
        raise KafkaException(failures[0])
    assert left == 0, f"{left} records were not delivered in {TIMEOUT:.0f} s"
    return [delivered[number] for number in range(len(sent))]


def consume_all(address: str, topic: str, *, isolation: str = "read_committed") -> list[Record]:
    """Read a topic from its beginning to where it ended when this was called, partition by partition.

    `isolation` is Kafka's isolation.level: `read_uncommitted` also shows what a transaction aborted.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "tests",  # asked for by the client; nothing is committed, no group is joined
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "fetch.message.max.bytes": 20 * MEGABYTE,
        }
    )
    try:
        partitions = sorted(consumer.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions)
        ends = {partition: _end(consumer, TopicPartition(topic, partition)) for partition in partitions}
        unread = {partition for partition in partitions if ends[partition] > 0}
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in sorted(unread)])
        records: list[Record] = []
        while unread:
            message = consumer.poll(TIMEOUT)
            assert message is not None, f"{topic}: nothing more came in {TIMEOUT:.0f} s, unread: {sorted(unread)}"
            partition, offset = message.partition(), message.offset()
            error = message.error()
            if error and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            # The last offsets of a partition can belong to transaction markers, which are never handed out:
            # only the end-of-partition event tells that they were passed.
            if offset >= ends[partition] or (not error and offset == ends[partition] - 1):
                unread.discard(partition)
            if not error and offset < ends[partition]:
                records.append(_record(message))
    finally:
        consumer.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def _end(consumer: Consumer, place: TopicPartition) -> int:
    """The partition's end; a topic that was made just now may have no leader yet."""
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            return int(consumer.get_watermark_offsets(place, timeout=TIMEOUT)[1])
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _record(message: Message) -> Record:
    return Record(
        value=message.value(),
        key=message.key(),
        headers=tuple(message.headers() or ()),
        partition=message.partition(),
        offset=message.offset(),
        timestamp=message.timestamp()[1],
    )

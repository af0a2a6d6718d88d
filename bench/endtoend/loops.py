"""Bare client loops: the least that a worker with this guarantee can be."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from bench.endtoend.work import BATCH_BYTES
from bench.endtoend.work import as_record as record
from stream.kafka import as_record, consumer_config, producer_config

if TYPE_CHECKING:
    from bench.endtoend.work import Work
    from stream.settings import Settings

__all__ = ["run_aiokafka", "run_confluent"]


def run_confluent(settings: Settings, work: Work, linger: int) -> None:
    """confluent-kafka: poll, work, produce, flush, commit."""
    from confluent_kafka import Consumer, Producer, TopicPartition

    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    failed = []
    consumer = Consumer(consumer_config(settings, settings.group))
    producer = Producer(producer_config(settings) | {"linger.ms": linger})
    consumer.subscribe([settings.topic_raw])
    while not stopped:
        first = consumer.poll(0.2)
        if first is None:
            continue
        messages = [m for m in (first, *consumer.consume(settings.batch_size - 1, 0)) if m.error() is None]
        for output in work([as_record(message) for message in messages]):
            producer.produce(
                output.topic,
                output.value,
                output.key,
                headers=output.headers,
                on_delivery=lambda error, _: failed.append(error) if error else None,
            )
        producer.flush()
        if failed:
            raise SystemExit(f"not delivered: {failed[0]}")
        ends = {message.partition(): message.offset() + 1 for message in messages}
        consumer.commit(offsets=[TopicPartition(settings.topic_raw, *end) for end in ends.items()], asynchronous=False)
    consumer.close()


def run_aiokafka(settings: Settings, work: Work, linger: int) -> None:
    """aiokafka: getmany, work, send, await every delivery, commit."""
    asyncio.run(_aiokafka(settings, work, linger))


async def _aiokafka(settings: Settings, work: Work, linger: int) -> None:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    compression = None if settings.compression == "none" else settings.compression
    consumer = AIOKafkaConsumer(
        settings.topic_raw,
        bootstrap_servers=settings.brokers,
        group_id=settings.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.brokers,
        acks="all",
        enable_idempotence=True,
        compression_type=compression,
        linger_ms=linger,
        max_batch_size=BATCH_BYTES,
    )
    async with producer, consumer:
        while not stopped.is_set():
            fetched = await consumer.getmany(timeout_ms=200, max_records=settings.batch_size)
            records = [
                record(m.topic, m.partition, m.offset, m.timestamp, m.key, m.value, m.headers)
                for messages in fetched.values()
                for m in messages
            ]
            sent = [
                await producer.send(output.topic, output.value, output.key, headers=list(output.headers))
                for output in work(records)
            ]
            await asyncio.gather(*sent)
            if fetched:
                await consumer.commit(
                    {TopicPartition(p.topic, p.partition): m[-1].offset + 1 for p, m in fetched.items()}
                )

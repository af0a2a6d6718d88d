"""The same worker in other frameworks, each as its own documentation has it, with its delivery made to be awaited."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from typing import TYPE_CHECKING, Any

from bench.endtoend.work import BATCH_BYTES, as_record
from stream.kafka import consumer_config, producer_config

if TYPE_CHECKING:
    from bench.endtoend.work import Work
    from stream.records import Output, Record
    from stream.settings import Settings

__all__ = ["run_faststream", "run_faust", "run_quix"]


def run_quix(settings: Settings, work: Work, linger: int, *, batches: bool) -> None:
    """Quix Streams: `apply` and `to_topic` a message, or a batching sink; it commits after a flush."""
    from confluent_kafka import Producer
    from quixstreams import Application, message_context
    from quixstreams.models import Serializer
    from quixstreams.sinks import BatchingSink, SinkBatch

    client = {"bootstrap.servers", "logger"}
    consumer = {k: v for k, v in consumer_config(settings, settings.group).items() if k not in client}
    producer = {k: v for k, v in producer_config(settings).items() if k not in client} | {"linger.ms": linger}
    app = Application(
        settings.brokers,
        consumer_group=settings.group,
        auto_offset_reset="earliest",
        commit_every=settings.batch_size,
        commit_interval=0.1,
        consumer_extra_config={k: v for k, v in consumer.items() if k not in ("group.id", "auto.offset.reset")},
        producer_extra_config={k: v for k, v in producer.items() if k != "partitioner"},
        auto_create_topics=False,
        loglevel="WARNING",
        state_dir=tempfile.mkdtemp(),
    )

    class OutputValue(Serializer):
        def __call__(self, value: Output, ctx: Any) -> Any:
            return value.value

    def classify(value: bytes, key: bytes | None, milliseconds: int, headers: Any) -> list[Output]:
        place = message_context()
        return work([as_record(place.topic, place.partition, place.offset, milliseconds, key, value, headers)])

    class Classify(BatchingSink):
        producer = Producer(producer_config(settings) | {"linger.ms": linger})

        def write(self, batch: SinkBatch) -> None:
            failed: list[object] = []
            records = [
                as_record(batch.topic, batch.partition, i.offset, i.timestamp, i.key, i.value, i.headers) for i in batch
            ]
            for output in work(records):
                self.producer.produce(
                    output.topic,
                    output.value,
                    output.key,
                    headers=output.headers,
                    on_delivery=lambda error, _: failed.append(error) if error else None,
                )
            self.producer.flush()
            if failed:
                raise SystemExit(f"not delivered: {failed[0]}")

    frame = app.dataframe(app.topic(settings.topic_raw, key_deserializer="bytes", value_deserializer="bytes"))
    if batches:
        frame.sink(Classify())
    else:
        topics = {
            name: app.topic(name, key_serializer="bytes", value_serializer=OutputValue())
            for name in (settings.topic_enriched, settings.topic_signals, settings.topic_rejected)
        }
        frame = frame.apply(classify, expand=True, metadata=True)
        frame = frame.set_headers(lambda output, *_: output.headers)
        frame.to_topic(lambda output, *_: topics[output.topic], key=lambda output: output.key)
    app.run()


def run_faststream(settings: Settings, work: Work, linger: int, *, batches: bool) -> None:
    """FastStream on aiokafka: publish, await every delivery, acknowledge after it."""
    from faststream import AckPolicy, FastStream
    from faststream.kafka import KafkaBroker, KafkaMessage

    async def raw(message: Any) -> Any:
        return message.body

    broker = KafkaBroker(
        settings.brokers,
        acks="all",
        enable_idempotence=True,
        compression_type=None if settings.compression == "none" else settings.compression,
        linger_ms=linger if batches else 0,  # alone, it waits for each delivery: nobody else would come
        max_batch_size=BATCH_BYTES,
        allow_auto_create_topics=False,
        logger=None,
        decoder=raw,
    )
    more: dict[str, Any] = {"batch": True, "max_records": settings.batch_size} if batches else {}

    @broker.subscriber(
        settings.topic_raw,
        group_id=settings.group,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        ack_policy=AckPolicy.ACK,
        **more,
    )
    async def classify(message: KafkaMessage) -> None:
        read: Any = message.raw_message if batches else (message.raw_message,)
        records = [as_record(m.topic, m.partition, m.offset, m.timestamp, m.key, m.value, m.headers) for m in read]
        sent = [
            await broker.publish(
                output.value,
                output.topic,
                key=output.key,
                headers={name: (value or b"").decode() for name, value in output.headers},
                no_confirm=True,
            )
            for output in work(records)
        ]
        await asyncio.gather(*sent)

    classify.__annotations__["message"] = KafkaMessage
    asyncio.run(FastStream(broker, logger=None).run())


def run_faust(settings: Settings, work: Work, linger: int, *, batches: bool) -> None:
    """Stock Faust: an agent over a topic; it flushes its producer before each commit."""
    import faust

    logging.getLogger("aiokafka").setLevel(logging.WARNING)  # else debug lines are made and thrown away
    app = faust.App(
        settings.group,
        env={"": ""},
        broker=f"aiokafka://{settings.brokers}",
        broker_commit_interval=0.1,
        broker_commit_every=settings.batch_size,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_compression_type=None if settings.compression == "none" else settings.compression,
        producer_linger=linger / 1000,
        producer_max_batch_size=BATCH_BYTES,
        store="memory://",
        datadir=tempfile.mkdtemp(),
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    topic = {
        name: app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        for name in (
            settings.topic_raw,
            settings.topic_enriched,
            settings.topic_signals,
            settings.topic_rejected,
        )
    }

    def as_records(events: Any) -> list[Record]:
        read = [event.message for event in events]
        return [
            as_record(m.topic, m.partition, m.offset, int(m.timestamp * 1000), m.key, m.value, m.headers) for m in read
        ]

    async def publish(outputs: list[Output]) -> None:
        for output in outputs:
            await topic[output.topic].send(key=output.key, value=output.value, headers=list(output.headers))

    @app.agent(topic[settings.topic_raw])
    async def classify(stream: Any) -> None:
        if batches:
            async for events in stream.take_events(settings.batch_size, within=0.01):
                await publish(work(as_records(events)))
        else:
            async for event in stream.events():
                await publish(work(as_records([event])))

    worker = faust.Worker(app, loglevel="warn", redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()

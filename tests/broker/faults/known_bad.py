"""Workers that lose records, each by one mistake that is common: the harness must catch them all.

    python -m tests.broker.faults.known_bad NAME

They strike themselves down like the aimed worker: between delivery and commit, whichever of the two comes first.
"""

from __future__ import annotations

import signal
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from stream.classify import ClassifyStage, load_model
from stream.kafka import client_config, producer_config
from stream.records import Output, Place, Record
from stream.settings import Settings, load_settings
from tests.broker.faults.aimed_worker import strike

if TYPE_CHECKING:
    from collections.abc import Sequence


class Worker:
    """A plain loop that does it right: read, classify, deliver, commit."""

    consumer_config: ClassVar[dict[str, Any]] = {"enable.auto.commit": False}

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stage = ClassifyStage(load_model(settings), settings)
        self.strike = strike()
        self.producer = Producer(producer_config(settings))
        self.consumer = Consumer(
            client_config(settings)
            | {"group.id": settings.group, "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
            | self.consumer_config
        )
        self.consumer.subscribe([settings.topic_raw], on_revoke=self.on_revoke)
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def run(self) -> None:
        while not self.stopping:
            messages = self.read()
            if messages:
                self.finish(self.stage([_record(message) for message in messages]).outputs)
        self.consumer.close()

    def read(self) -> list[Message]:
        return [message for message in self.consumer.consume(self.settings.batch_size, 0.2) if not message.error()]

    def finish(self, outputs: Sequence[Output]) -> None:
        self.deliver(outputs)
        self.strike()
        self.commit()

    def commit(self) -> None:
        try:
            self.consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._NO_OFFSET:
                raise

    def deliver(self, outputs: Sequence[Output]) -> None:
        failed: list[KafkaError] = []

        def report(error: KafkaError | None, _: Message) -> None:
            if error:
                failed.append(error)

        for output in outputs:
            self.producer.produce(output.topic, output.value, output.key, headers=output.headers, on_delivery=report)
        self.producer.flush()
        if failed:
            raise KafkaException(failed[0])

    def on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Nothing is in hand while this worker polls."""


class AutoCommit(Worker):
    """The client commits by the clock what has been read, delivered or not."""

    consumer_config: ClassVar = {"enable.auto.commit": True, "auto.commit.interval.ms": 200}

    def finish(self, outputs: Sequence[Output]) -> None:
        time.sleep(0.3)  # a model that takes its time
        self.strike()
        self.deliver(outputs)


class CommitBeforeSend(Worker):
    def finish(self, outputs: Sequence[Output]) -> None:
        self.commit()
        self.strike()
        self.deliver(outputs)


class DeliveryUnchecked(Worker):
    """It flushes, and takes that for proof: a record that Kafka refused is gone from the queue as well."""

    def deliver(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            self.producer.produce(output.topic, output.value, output.key, headers=output.headers)
        self.producer.flush()


class RevokedCommitted(Worker):
    """It gathers a batch over several polls; in a rebalance it commits its position, and leaves what it has gathered of
    the revoked partitions to their next owner, who starts behind it."""

    gathered: list[Message]

    def read(self) -> list[Message]:
        self.gathered = []
        end = time.monotonic() + 0.5
        while len(self.gathered) < self.settings.batch_size and time.monotonic() < end:
            message = self.consumer.poll(0.1)
            if message is not None and not message.error():
                self.gathered.append(message)
        return self.gathered

    def on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self.commit()
        revoked = {place.partition for place in partitions}
        self.gathered = [message for message in self.gathered if message.partition() not in revoked]


WORKERS: dict[str, type[Worker]] = {
    "correct": Worker,
    "auto_commit": AutoCommit,
    "commit_before_send": CommitBeforeSend,
    "delivery_unchecked": DeliveryUnchecked,
    "revoked_committed": RevokedCommitted,
}


def _record(message: Message) -> Record:
    place = Place(message.topic(), message.partition(), message.offset())
    time_ = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
    return Record(place, time_, message.key(), message.value(), message.headers() or [])


if __name__ == "__main__":
    WORKERS[sys.argv[1]](load_settings()).run()

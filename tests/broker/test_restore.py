"""What the alerts agent reads back before it begins: all that is committed, however late Kafka shows it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from confluent_kafka import Message, Producer

from stream.kafka import messages
from stream.settings import Settings
from tests.kafka_client import Record, Topics, produce

if TYPE_CHECKING:
    from tests.kafka_server import KafkaServer


def test_reading_a_topic_waits_for_transactions_that_are_being_ended(kafka: KafkaServer, topics: Topics) -> None:
    """The offsets of a dead worker's last transaction may be there before its stories: Kafka ends a transaction in each
    partition by itself."""
    produce(kafka.address, topics.stories, [Record(b"one", key=b"1")])
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topics.stories})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topics.stories, b"two", b"2")
    producer.flush(30)
    found: list[Message] = []

    def read() -> None:
        settings = Settings(brokers=kafka.address)
        found.extend(messages(settings, topics.stories, from_beginning=True, follow=False))

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(5)  # in which it would be done, if it did not wait
    producer.commit_transaction(30)
    reader.join(60)
    assert sorted(message.value() for message in found) == [b"one", b"two"]

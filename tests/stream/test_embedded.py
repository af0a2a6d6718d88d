"""The embedded broker serves both clients that Ajil uses."""

from __future__ import annotations

import socket

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition

from stream.embedded import EmbeddedBroker


def produce(broker: EmbeddedBroker, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": broker.brokers})
    for value in values:
        producer.produce(topic, value=value, key=value, headers=[("content-type", b"text/plain")])
    assert producer.flush(30) == 0


def test_a_group_of_librdkafka_reads_and_commits() -> None:
    with EmbeddedBroker(["news"]) as broker:
        produce(broker, "news", [b"1", b"2", b"3"])
        consumer = Consumer(
            {
                "bootstrap.servers": broker.brokers,
                "group.id": "readers",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "partition.assignment.strategy": "cooperative-sticky",
            }
        )
        consumer.subscribe(["news"])
        records = [consumer.poll(30) for _ in range(3)]
        assert sorted((record.key(), record.value(), record.headers()) for record in records) == [
            (value, value, [("content-type", b"text/plain")]) for value in (b"1", b"2", b"3")
        ]
        consumer.commit(asynchronous=False)
        committed = consumer.committed([TopicPartition("news", number) for number in range(4)], timeout=30)
        consumer.close()
    assert sum(max(position.offset, 0) for position in committed) == 3


async def test_aiokafka_writes_and_reads() -> None:
    with EmbeddedBroker(["news"]) as broker:
        producer = AIOKafkaProducer(bootstrap_servers=broker.brokers)
        await producer.start()
        await producer.send_and_wait("news", "عاجل".encode(), key=b"k", headers=[("lang", b"ar")])
        await producer.stop()
        consumer = AIOKafkaConsumer("news", bootstrap_servers=broker.brokers, auto_offset_reset="earliest")
        await consumer.start()
        message = await consumer.getone()
        await consumer.stop()
    assert (message.key, message.value, message.headers) == (b"k", "عاجل".encode(), (("lang", b"ar"),))


def test_topics_asked_for_exist_from_the_start_with_four_partitions() -> None:
    with EmbeddedBroker(["news.articles.raw", "news.alerts"]) as broker:
        topics = Producer({"bootstrap.servers": broker.brokers}).list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {
        "news.articles.raw": 4,
        "news.alerts": 4,
    }


def test_it_says_nothing_and_its_port_is_closed_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with EmbeddedBroker() as broker:
        host, port = broker.brokers.split(":")
        socket.create_connection((host, int(port)), timeout=5).close()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((host, int(port)), timeout=5)
    assert capfd.readouterr() == ("", "")

"""A Kafka broker inside this process: librdkafka's mock cluster, for the demo and for fast tests."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

from confluent_kafka import Producer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["EmbeddedBroker"]


class EmbeddedBroker:
    """A broker that lives as long as the `with` block, on a free port of 127.0.0.1; `brokers` is its address.

    It speaks Kafka's protocol, consumer groups and transactions included, so any client can use it, in this
    process or another. It is not for production: everything is in memory and gone at the end of the block, a
    partition keeps 5 MB or 100,000 records (older ones are dropped silently), and nothing asks for
    permission. A new group waits 3 s for its members; a member that left is missed only when its session times
    out, so the next one waits for that. Topics come into being when they are first asked for, with 4
    partitions; `topics` are asked for at the start, so that a client which lists topics sees them.

    >>> with EmbeddedBroker(["news.articles.raw"]) as broker:
    ...     broker.brokers.startswith("127.0.0.1:")
    True
    """

    brokers: str

    def __init__(self, topics: Iterable[str] = ()) -> None:
        self._topics = list(topics)
        self._cluster: Producer | None = None

    def __enter__(self) -> Self:
        # The cluster belongs to a client object, which is used for nothing else and needs no polling. Its log
        # goes to a logger, because librdkafka would announce every mock cluster on stderr.
        self._cluster = Producer(
            {"bootstrap.servers": "unused", "test.mock.num.brokers": 1},
            logger=logging.getLogger("librdkafka.embedded"),
        )
        for topic in self._topics:
            self._cluster.list_topics(topic, timeout=10)
        nodes = self._cluster.list_topics(timeout=10).brokers.values()
        self.brokers = ",".join(f"{node.host}:{node.port}" for node in nodes)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cluster = None  # the last reference: librdkafka takes the cluster down with its client

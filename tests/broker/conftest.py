"""A real broker for the session, and topics of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kafka_client import Topics, create_topics
from tests.kafka_server import KafkaServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """One broker for all tests of the session, started when the first one asks."""
    server = KafkaServer(tmp_path_factory.mktemp("kafka"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def topics(kafka: KafkaServer) -> Topics:
    """A fresh set of topics, four partitions each."""
    return create_topics(kafka.address)

"""Alerts that were given up: onto a topic of their own, with the reason, and back from there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer

from stream.kafka import as_record, asyncio_config, messages
from stream.records import ERRORS, Alert, header, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from aiokafka import ConsumerRecord

    from stream.settings import Settings

__all__ = ["DESTINATION", "GivenUp", "Undelivered", "given_up"]

DESTINATION = "ajil.destination"


class Undelivered:
    """Writes the dead letters of all destinations: the alert's own bytes, key and headers, and why."""

    def __init__(self, settings: Settings) -> None:
        self._config = asyncio_config(settings)
        self._topic = settings.topic_undelivered
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def add(self, record: ConsumerRecord, destination: str, reason: str, message: str) -> None:
        """Returns when Kafka has it. Raises aiokafka's `KafkaError`."""
        told = {
            DESTINATION: destination,
            f"{ERRORS}topic": record.topic,
            f"{ERRORS}partition": str(record.partition),
            f"{ERRORS}offset": str(record.offset),
            f"{ERRORS}stage": "deliver",
            f"{ERRORS}exception.class.name": reason,
            f"{ERRORS}exception.message": message[:500],
        }
        headers = [*record.headers, *((name, text.encode()) for name, text in told.items())]
        producer = await self._started()
        await producer.send_and_wait(self._topic, key=record.key, value=record.value, headers=headers)

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._config, acks="all", enable_idempotence=True, max_request_size=2 << 20
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
        return self._producer


class GivenUp(NamedTuple):
    """A dead letter; `destination` is where it was to go."""

    destination: str
    alert: Alert
    time: datetime
    reason: str


def given_up(settings: Settings, since: datetime | None) -> Iterator[GivenUp]:
    """What lies on the topic now, given up since `since`. Raises `KafkaError`, `BrokerUnreachable`, `TopicMissing`."""
    for message in messages(settings, settings.topic_undelivered, from_beginning=True, follow=False):
        record = as_record(message)
        destination = header(record.headers, DESTINATION)
        if destination and record.value and (since is None or record.timestamp >= since):
            reason = header(record.headers, f"{ERRORS}exception.message") or ""
            yield GivenUp(destination, read(record.value, Alert), record.timestamp, reason)

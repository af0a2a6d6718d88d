"""A gateway in the test's own process: real HTTP, a fake Kafka."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp.test_utils import TestClient, TestServer
from aiokafka import ConsumerRecord

from stream.gateway.server import Gateway
from stream.records import Alert, Place, Story, encode
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stream.errors import KafkaError
    from stream.records import Output

__all__ = ["NOON", "FakeProducer", "Running", "alert", "running", "story"]

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class FakeProducer:
    """Acknowledges at once, or, while `holding`, when `release` is called; `error` refuses what is sent."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.ready = True
        self.holding = False
        self.error: KafkaError | None = None
        self._held: list[tuple[asyncio.Future[Place], Place]] = []

    def send(self, output: Output) -> asyncio.Future[Place]:
        if self.error:
            raise self.error
        self.outputs.append(output)
        future: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._held.append((future, Place(output.topic, 0, len(self.outputs) - 1)))
        if not self.holding:
            self.release()
        return future

    def release(self) -> None:
        self.holding = False
        for future, place in self._held:
            future.set_result(place)
        self._held.clear()


class _Server(TestServer):
    """As in production, a handler is not cancelled when its client leaves, and bodies come as they were sent."""

    async def _make_runner(self, **options: Any) -> Any:
        return await super()._make_runner(**options | {"handler_cancellation": False, "auto_decompress": False})


class Running:
    """A gateway that has read everything; `feed` is what Kafka would bring next, as (partition, record)."""

    def __init__(self, gateway: Gateway, producer: FakeProducer, client: TestClient[Any, Any]) -> None:
        self.gateway = gateway
        self.producer = producer
        self.client = client

    async def feed(self, *alerts: tuple[int, Alert | bytes]) -> None:
        """Give alerts the next offsets of their partitions."""
        ahead = self.gateway.alerts.history.next.copy()
        records = []
        for partition, told in alerts:
            value = told if isinstance(told, bytes) else encode(told)
            records.append(_record("news.alerts", partition, ahead[partition], value))
            ahead[partition] += 1
        await self.gateway.alerts.take(records)

    async def feed_stories(self, *stories: Story) -> None:
        await self.gateway.stories.take([_record("news.stories", 0, 0, encode(told)) for told in stories])


@asynccontextmanager
async def running(partitions: int = 2, **settings: Any) -> AsyncIterator[Running]:
    producer = FakeProducer()
    gateway = Gateway(Settings(**settings), producer)  # type: ignore[arg-type]
    for partition in range(partitions):
        gateway.alerts.history.start(partition, 0)
    gateway.alerts.loaded.set()
    gateway.stories.loaded.set()

    async def end_streams(_: object) -> None:
        gateway.alerts.fanout.stop()

    gateway.app.on_shutdown.append(end_streams)
    async with TestClient(_Server(gateway.app)) as client:
        yield Running(gateway, producer, client)


def alert(number: int = 1, **fields: Any) -> Alert:
    told: dict[str, Any] = {
        "alert_id": f"en-{number:032x}",
        "revision": 1,
        "kind": "opened",
        "story_id": f"en-{number:032x}",
        "title": f"Dam {number} bursts",
        "lang": "en",
        "topic": "politics",
        "reasons": ["marker"],
        "articles": [],
        "article_count": 1,
        "outlets": ["example.org"],
        "published_at": None,
        "ingested_at": NOON + timedelta(seconds=number),
        "alerted_at": NOON + timedelta(seconds=number),
    }
    return Alert(**told | fields)


def story(number: int = 1, **fields: Any) -> Story:
    told: dict[str, Any] = {
        "story_id": f"en-{number:032x}",
        "alert_id": f"en-{number:032x}",
        "revision": 1,
        "state": "open",
        "lang": "en",
        "title": f"Dam {number} bursts",
        "topic": "politics",
        "reasons": ["marker"],
        "articles": [],
        "article_count": 1,
        "outlets": ["example.org"],
        "opened_at": NOON,
        "updated_at": NOON + timedelta(seconds=number),
    }
    return Story(**told | fields)


def _record(topic: str, partition: int, offset: int, value: bytes) -> ConsumerRecord[bytes, bytes]:
    return ConsumerRecord(topic, partition, offset, 0, 0, b"key", value, None, 3, len(value), ())

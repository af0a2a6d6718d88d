"""Records to Kafka from asyncio: each a future that ends when all in-sync replicas have it.

librdkafka rather than aiokafka: it compresses whole pages in its own threads, where the event loop's streams do not
wait for it, and its idempotent producer goes on after every error that passes.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Message
from confluent_kafka import Producer as Client

from stream.errors import KafkaError
from stream.kafka import explain, producer_config
from stream.records import Place

if TYPE_CHECKING:
    from stream.gateway.metrics import GatewayMetrics
    from stream.records import Output
    from stream.settings import Settings

__all__ = ["Producer", "TooLarge"]

QUEUE_KBYTES = 64 << 10
"""Waiting for Kafka: four requests of the largest size. What does not fit is answered 503."""
CHECK_SECONDS = 5.0
"""How often the broker is asked whether it is there, when nothing is sent."""

log = structlog.get_logger(__name__)


class TooLarge(KafkaError):
    """Kafka takes no record of this size."""


class Producer:
    """`start`, then `send`; `close` waits for what is in hand."""

    def __init__(self, settings: Settings, metrics: GatewayMetrics) -> None:
        self._config = producer_config(settings) | {
            "linger.ms": 2,
            "queue.buffering.max.kbytes": QUEUE_KBYTES,
            "error_cb": self._failed,
        }
        self._topic = settings.topic_raw
        self._brokers = settings.brokers
        self._up = metrics.kafka_up.labels("producer")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="gateway-producer", daemon=True)
        self._fatal = False
        self.ready = False
        """Whether a broker has answered lately."""

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = Client(self._config)
        self._thread.start()
        self._checking = self._loop.create_task(self._check())

    def send(self, output: Output) -> asyncio.Future[Place]:
        """The future of the record's place. Cancelling it does not take the record back.

        Raises `TooLarge`, and `KafkaError` when there is no room to wait in. The future raises the same.
        """
        future: asyncio.Future[Place] = self._loop.create_future()

        def report(error: ClientError | None, message: Message) -> None:
            place = None if error else Place(message.topic(), message.partition(), message.offset())
            self._loop.call_soon_threadsafe(_settle, future, place, error)

        try:
            self._client.produce(
                output.topic, output.value, output.key, headers=list(output.headers), on_delivery=report
            )
        except BufferError:
            raise KafkaError("too much waits for Kafka already") from None
        except KafkaException as error:
            raise _refused(error.args[0]) from None
        return future

    async def close(self, seconds: float) -> None:
        """Wait for what is on its way, at most so long."""
        self._checking.cancel()
        await asyncio.to_thread(self._client.flush, seconds)
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._client.poll(0.2)
            if self._fatal:
                # An idempotent producer that lost its place takes nothing more; what it held has failed by now.
                self._fatal = False
                self._client.flush(5)
                self._client = Client(self._config)

    def _failed(self, error: ClientError) -> None:
        """Called by librdkafka, in the polling thread."""
        if error.fatal():
            log.error("the producer failed and is made anew", error=explain(error))
            self._fatal = True
        elif error.code() == ClientError._ALL_BROKERS_DOWN:
            self._tell(False, explain(error))

    async def _check(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._client.list_topics, self._topic, 3.0)
                self._tell(True)
            except KafkaException as error:
                self._tell(False, explain(error))
            await asyncio.sleep(CHECK_SECONDS if self.ready else 0.5)

    def _tell(self, ready: bool, why: str = "") -> None:
        if ready != self.ready or not (ready or self._told):
            event = "producing to Kafka" if ready else "waiting for Kafka"
            log.log(20 if ready else 30, event, brokers=self._brokers, **({"error": why} if why else {}))
        self._told = True
        self.ready = ready
        self._up.set(ready)

    _told = False


def _settle(future: asyncio.Future[Place], place: Place | None, error: ClientError | None) -> None:
    if future.cancelled():
        return
    if place is not None:
        future.set_result(place)
    elif error is not None:
        future.set_exception(_refused(error))
        # Whoever waited may have gone: an exception that nobody fetches is no news.
        future.exception()


def _refused(error: ClientError) -> KafkaError:
    large = error.code() in (ClientError.MSG_SIZE_TOO_LARGE, ClientError.RECORD_LIST_TOO_LARGE)
    return (TooLarge if large else KafkaError)(f"Kafka refused the record: {explain(error)}")

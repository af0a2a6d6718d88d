"""Reading a Kafka topic for everybody: all partitions, committed records only, no group, nothing committed."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from typing import TYPE_CHECKING, Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.helpers import create_ssl_context

from stream.errors import KafkaError as OurKafkaError
from stream.errors import TopicMissing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from stream.gateway.metrics import GatewayMetrics
    from stream.settings import Settings

__all__ = ["Archive", "TopicReader", "TopicReplaced", "consumer_options"]

RECORDS = 500
PARTITIONS_SECONDS = 30.0
"""How often new partitions are looked for; until then their records wait in Kafka."""
SILENT_SECONDS = 10.0
TELL_SECONDS = 10.0
STOP_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
FAILURES = (KafkaError, OSError, TopicMissing)

log = structlog.get_logger(__name__)


class TopicReplaced(OurKafkaError):
    """The topic was made anew, or lost records, while it was read: positions in it mean nothing any more."""


def consumer_options(settings: Settings, refresh: float = PARTITIONS_SECONDS) -> dict[str, Any]:
    """aiokafka's settings for a reader without a group; `refresh`: seconds between looks at the cluster."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers.split(","),
        "client_id": "ajil",
        "group_id": None,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        # Where retention has passed a position, what is left is read.
        "auto_offset_reset": "earliest",
        "metadata_max_age_ms": int(refresh * 1000),
        "security_protocol": settings.security_protocol.upper(),
    }
    if settings.security_protocol.startswith("sasl"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    if settings.security_protocol.endswith("ssl"):
        options["ssl_context"] = create_ssl_context(
            cafile=settings.ssl_ca_file and str(settings.ssl_ca_file),
            certfile=settings.ssl_certificate_file and str(settings.ssl_certificate_file),
            keyfile=settings.ssl_key_file and str(settings.ssl_key_file),
            password=settings.ssl_key_password,
        )
    return options


class TopicReader:
    """Hands a topic's records to `take`, in the order of their offsets and about in that of their timestamps.

    `start` is told each partition and the offset it is read from, in order, before any of its records; `tail` is how
    many of the last records are read at first, None all; when they are taken, `loaded` is set. `run` goes on whatever
    happens to Kafka, except that it raises `TopicReplaced`.
    """

    def __init__(
        self,
        settings: Settings,
        topic: str,
        metrics: GatewayMetrics,
        *,
        tail: int | None,
        start: Callable[[int, int], None],
        take: Callable[[Sequence[ConsumerRecord]], Awaitable[None]],
        loaded: asyncio.Event,
        refresh: float = PARTITIONS_SECONDS,
    ) -> None:
        # Brokers that are away are told here, in our words.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self._settings = settings
        self._topic = topic
        self._tail = tail
        self._start = start
        self._take = take
        self._up = metrics.kafka_up.labels(topic)
        self._next: list[int] = []
        self._loaded = loaded
        self._refresh = refresh
        self._is_up = False
        self._told = -TELL_SECONDS

    async def run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                await self._read()
            except FAILURES as error:
                if self._is_up:
                    pause = FIRST_PAUSE
                self._tell(False, error=str(error) or type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _read(self) -> None:
        async with _Consumer(self._settings, self._refresh) as consumer:
            places = [TopicPartition(self._topic, partition) for partition in await _partitions(consumer, self._topic)]
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            begins = await consumer.beginning_offsets(places)
            for place in places[len(self._next) :]:
                last = 0 if self._tail is None or self._loaded.is_set() else ends[place] - self._tail // len(places)
                self._next.append(max(begins[place], last))
                self._start(place.partition, self._next[place.partition])
            for place in places:
                if self._next[place.partition] > ends[place]:
                    raise TopicReplaced(f"{self._topic} ends before what was read from it: start the gateway again")
                consumer.seek(place, self._next[place.partition])
            self._tell(True, partitions=len(places))
            looked = time.monotonic()
            began = time.time()
            while True:
                await self._take_batch(await consumer.getmany(timeout_ms=500, max_records=RECORDS))
                if not self._loaded.is_set() and await _reached(consumer, ends):
                    self._loaded.set()
                # The client says nothing of a broker that is away; an idle one answers twice a second.
                answered = max(consumer.last_poll_timestamp(place) or 0 for place in places) / 1000
                silent = time.time() - max(began, answered)
                if silent > SILENT_SECONDS:
                    self._tell(False, error=f"no broker has answered for {silent:.0f} s")
                elif not self._is_up:
                    self._tell(True, partitions=len(places))
                if time.monotonic() - looked > self._refresh:
                    looked = time.monotonic()
                    if len(consumer.partitions_for_topic(self._topic) or ()) > len(places):
                        return

    async def _take_batch(self, found: dict[TopicPartition, list[ConsumerRecord]]) -> None:
        if not found:
            return
        records = list(heapq.merge(*found.values(), key=lambda record: record.timestamp))
        await self._take(records)
        for place, of_partition in found.items():
            self._next[place.partition] = of_partition[-1].offset + 1

    def _tell(self, up: bool, **facts: object) -> None:
        """Note whether Kafka is there; log that it came, and now and then that it is away."""
        if up:
            log.info("reading", topic=self._topic, **facts)
            self._told = -TELL_SECONDS
        elif time.monotonic() - self._told >= TELL_SECONDS:
            log.warning("waiting for Kafka", topic=self._topic, **facts)
            self._told = time.monotonic()
        self._is_up = up
        self._up.set(up)


class Archive:
    """Alerts that are no longer in memory, read from Kafka for one reader each; a few readers at a time."""

    def __init__(self, settings: Settings, at_a_time: int = 4) -> None:
        self._settings = settings
        self._topic = settings.topic_alerts
        self._slots = asyncio.Semaphore(at_a_time)

    async def read(
        self, offsets: Sequence[int], until: Sequence[int]
    ) -> AsyncGenerator[tuple[int, int, list[ConsumerRecord]]]:
        """(partition, offset after them, records) from `offsets` up to `until`, where a partition lacks some.

        Records that Kafka has deleted are passed over: the first offset after them then comes without records.
        Raises `aiokafka.errors.KafkaError`.
        """
        wanted = [partition for partition, end in enumerate(until) if offsets[partition] < end]
        async with self._slots, _Consumer(self._settings) as consumer:
            places = [TopicPartition(self._topic, partition) for partition in wanted]
            consumer.assign(places)
            begins = await consumer.beginning_offsets(places)
            for place in places:
                if begins[place] > offsets[place.partition]:
                    yield place.partition, begins[place], []
                consumer.seek(place, max(begins[place], offsets[place.partition]))
            left = {place for place in places if begins[place] < until[place.partition]}
            consumer.pause(*(set(places) - left))
            while left:
                found = await consumer.getmany(*left, timeout_ms=500, max_records=RECORDS)
                for place in list(left):
                    end = until[place.partition]
                    records = [record for record in found.get(place, ()) if record.offset < end]
                    after = min(await consumer.position(place), end)
                    if records:
                        yield place.partition, after, records
                    if after == end:
                        left.discard(place)
                        consumer.pause(place)


class _Consumer:
    """An aiokafka consumer that is stopped whatever happens, a failed start included."""

    def __init__(self, settings: Settings, refresh: float = PARTITIONS_SECONDS) -> None:
        self._options = consumer_options(settings, refresh)

    async def __aenter__(self) -> AIOKafkaConsumer:
        self._consumer = AIOKafkaConsumer(**self._options)
        try:
            await self._consumer.start()
        except BaseException:
            await self._stop()
            raise
        return self._consumer

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        # While a broker is away, aiokafka's `stop` raises CancelledError before its client is closed: as the reader's
        # own it would end the reader without a word.
        stopping = asyncio.create_task(self._consumer.stop())
        await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        if not stopping.done() or stopping.cancelled() or stopping.exception():
            stopping.cancel()
            await self._consumer._client.close()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    """All partitions of a topic, in order. Raises `TopicMissing`."""
    if topic not in await consumer.topics():
        raise TopicMissing(f"not in Kafka, or not for this user to see: {topic}; `ajil topics --create` creates it")
    # The client only knows the partitions of topics it reads from, and asks for them when it needs one.
    first = TopicPartition(topic, 0)
    consumer.assign([first])
    await consumer.end_offsets([first])
    found = sorted(consumer.partitions_for_topic(topic) or ())
    if not found or found != list(range(len(found))):
        raise TopicMissing(f"not all partitions of {topic} are there")
    return found


async def _reached(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> bool:
    for place, end in ends.items():
        if await consumer.position(place) < end:
            return False
    return True

"""Feeds the articles to Kafka and shows what comes out; how the worker runs is no concern of it."""

from __future__ import annotations

import itertools
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from stream.demo.screen import Screen, alert_row, enriched_row, rejected_row
from stream.demo.tally import Tally
from stream.errors import AjilError, KafkaError, Reason
from stream.kafka import client_config
from stream.records import Alert, EnrichedArticle, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from stream.demo.articles import DemoArticle
    from stream.settings import Settings

__all__ = ["DemoFailed", "Worker", "play"]

PATIENCE = 90.0
"""Seconds without any result before the demo gives up. A worker needs 5-10 s to load its model and join its group;
a busy or small machine several times that."""
QUIET = 2.0
"""Seconds without a record after which the last alert has come: alerts follow their articles within one batch."""
ALERT_PATIENCE = 20.0
"""Seconds to wait for the first alert, when something breaking came out."""


class Worker(Protocol):
    """Something that classifies; `failure` is one line that says how it ended, or None while it runs."""

    def failure(self) -> str | None: ...


class DemoFailed(AjilError):
    """The demo ended before it had shown everything; exit code 1."""


def play(
    articles: Sequence[DemoArticle],
    settings: Settings,
    screen: Screen,
    worker: Worker,
    *,
    once: bool,
    interval: float,
    stopped: Callable[[], bool],
    started: float,
    news: Callable[[], Iterable[str]] = tuple,
    patience: float = PATIENCE,
) -> Tally:
    """Feed one article every `interval` seconds, round and round or `once`, until `stopped()` or all is out.

    `started` is a time of `time.monotonic`, from which the time to the first result counts; `news` are lines to be
    shown with the rest. The topics must exist.
    Raises `DemoFailed` when the worker ends, or nothing comes out for `patience` seconds.
    """
    feed = _Feed(articles, settings, once=once, interval=interval)
    consumer = _consumer(settings)
    tally = Tally(started)
    by_key = {article.key: article for article in articles}
    progress = time.monotonic()
    try:
        while not stopped():
            waiting = len(feed.waiting)
            if feed.send_due():
                tally.fed += 1
                progress = progress if waiting else time.monotonic()
            for message in consumer.consume(100, 0.05):
                progress = time.monotonic()
                _show(message, settings, by_key, tally, screen)
                feed.waiting.discard(_key(message))
            for line in news():
                screen.tell(line)
            screen.status(tally.line() if tally.verdicts else f"{tally.fed} fed; the worker is starting")

            quiet = time.monotonic() - progress
            if feed.ended and not feed.waiting and _alerts_are_out(tally, quiet):
                return tally
            if failure := worker.failure():
                raise DemoFailed(failure)
            if feed.waiting and quiet > patience:
                raise DemoFailed(f"nothing came out for {patience:.0f} s; missing: {', '.join(sorted(feed.waiting))}")
    finally:
        consumer.close()
    if once:
        raise DemoFailed(f"stopped with {len(feed.waiting)} articles in flight and {feed.left} not sent")
    return tally


class _Feed:
    """Sends articles at their time; `waiting` holds the keys that were sent and have not come out."""

    def __init__(self, articles: Sequence[DemoArticle], settings: Settings, *, once: bool, interval: float) -> None:
        self.waiting: set[str] = set()
        self.left = len(articles)
        self.ended = False
        self._producer = Producer(client_config(settings))
        self._topic = settings.topic_raw
        self._articles: Iterator[DemoArticle] = iter(articles) if once else itertools.cycle(articles)
        self._interval = interval
        self._due = time.monotonic()

    def send_due(self) -> bool:
        """Send the next article if it is time; True if one was sent."""
        self._producer.poll(0)
        if self.ended or time.monotonic() < self._due:
            return False
        article = next(self._articles, None)
        if article is None:
            self.ended = True
            return False
        self._due = time.monotonic() + self._interval
        self._producer.produce(
            self._topic,
            key=article.key.encode(),
            value=article.value(datetime.now(UTC)),
            headers=[*article.kafka_headers(), ("traceparent", _traceparent())],
        )
        self.waiting.add(article.key)
        self.left = max(self.left - 1, 0)
        return True


def _traceparent() -> bytes:
    """A trace for each article, as an outlet's own system would begin it."""
    return f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01".encode()


def _consumer(settings: Settings) -> Consumer:
    """Reads every partition of the output topics from its start, without a group's waits and commits."""
    consumer = Consumer(
        client_config(settings)
        | {"group.id": "ajil-demo-screen", "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    topics = (settings.topic_enriched, settings.topic_rejected, settings.topic_alerts)
    known = consumer.list_topics(timeout=10).topics
    consumer.assign([TopicPartition(name, number, 0) for name in topics for number in known[name].partitions])
    return consumer


def _show(message: Message, settings: Settings, by_key: dict[str, DemoArticle], tally: Tally, screen: Screen) -> None:
    if (error := message.error()) is not None:
        raise KafkaError(f"the embedded broker failed: {error.str()}")
    at = datetime.now().astimezone()
    value = message.value() or b""
    if message.topic() == settings.topic_alerts:
        tally.alerts += 1
        screen.show(alert_row(read(value, Alert), at))
        return
    key = _key(message)
    if message.topic() == settings.topic_enriched:
        article = read(value, EnrichedArticle)
        screen.show(enriched_row(article, at, tally.add(by_key[key], article, time.monotonic())))
    else:
        headers = {name: (told or b"").decode("utf-8", "replace") for name, told in message.headers() or []}
        reason = Reason(headers["__connect.errors.exception.class.name"])
        told = headers["__connect.errors.exception.message"]
        screen.show(rejected_row(key, reason, told, at, tally.add(by_key[key], reason, time.monotonic())))


def _key(message: Message) -> str:
    return (message.key() or b"").decode()


def _alerts_are_out(tally: Tally, quiet: float) -> bool:
    if tally.breaking == 0 or tally.alerts > 0:
        return quiet > QUIET
    if quiet > ALERT_PATIENCE:
        raise DemoFailed(f"{tally.breaking} breaking articles came out, but no alert within {ALERT_PATIENCE:.0f} s")
    return False

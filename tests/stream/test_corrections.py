"""The thread that hears feedback: patient with Kafka, deaf to what is no feedback, gone when the worker stops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from confluent_kafka import Producer
from structlog.testing import capture_logs

from stream.answers import Answers
from stream.corrections import Corrections
from stream.embedded import EmbeddedBroker
from stream.metrics import Metrics
from stream.records import Feedback, encode
from stream.settings import Settings
from tests.stream.test_answers import article

if TYPE_CHECKING:
    from collections.abc import Callable

TOPIC = Settings().topic_feedback


async def until(found: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not found():  # noqa: ASYNC110 (another thread has no event for it)
            await asyncio.sleep(0.05)


async def test_a_topic_that_comes_later_is_heard_then() -> None:
    answers, metrics = Answers(), Metrics({"en": ["sport"]})
    answers.remember([article("a")])
    with EmbeddedBroker([]) as broker, capture_logs() as logs:

        def logged(event: str) -> list[str]:
            return [str(line.get("error")) for line in logs if line["event"].startswith(event)]

        producer = Producer({"bootstrap.servers": broker.brokers, "log_level": 0})
        corrections = Corrections(Settings(brokers=broker.brokers), answers, metrics)
        await corrections.start()
        await until(lambda: logged("cannot hear feedback"))
        assert f"not for this user to see: {TOPIC}" in logged("cannot hear feedback")[0]
        producer.produce(TOPIC, encode(Feedback(id="a", topic="said before it listened")))  # makes the topic
        await asyncio.to_thread(producer.flush, 30)
        await until(lambda: logged("hearing feedback"))

        for value in (None, b"\xff", b"{", encode(Feedback(id="a", topic="sport"))):
            producer.produce(TOPIC, value, partition=0)
        await asyncio.to_thread(producer.flush, 30)

        counted = metrics.registry.get_sample_value
        right = {"lang": "en", "topic": "sport", "result": "right"}
        await until(lambda: counted("ajil_feedback_topics_total", right))
        await corrections.stop()
        await asyncio.to_thread(corrections._thread.join, 30)
        assert not corrections._thread.is_alive()

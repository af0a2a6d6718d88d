"""Signal batch -> stories and alerts to be written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from stream.caution import MAX_DEATHS
from stream.records import Alert, Output, Place, Record, Signal, Story, cloudevent_headers, encode, read
from stream.stories import Stories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from confluent_kafka import Message

    from stream.settings import Settings

__all__ = ["AlertStage", "Announced"]

log = structlog.get_logger(__name__)


class Announced(NamedTuple):
    alerts: list[Alert]
    outputs: list[Output]


def _now() -> datetime:
    return datetime.now(UTC)


class AlertStage:
    """Keeps the open stories in memory."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._clock = clock
        self._stories = Stories()

    def restore(self, messages: Iterable[Message]) -> None:
        """Forget everything, and take back the stories that were published, in the order of their topic."""
        stories = []
        for message in messages:
            if message.value() is not None:
                try:
                    stories.append(read(message.value(), Story))
                except msgspec.DecodeError as error:
                    place = Place(message.topic(), message.partition(), message.offset())
                    log.error("not a story; passed over", place=place._asdict(), error=str(error))
        self._stories = Stories()
        self._stories.restore(sorted(stories, key=lambda story: story.updated_at))
        log.info("stories restored", read=len(stories), kept=len(self._stories))

    def __call__(self, records: Sequence[Record]) -> Announced:
        alerts: list[Alert] = []
        outputs: list[Output] = []
        for record in records:
            if record.deaths >= MAX_DEATHS:
                log.error("a signal that kills the worker; passed over", place=record.place._asdict())
                continue
            try:
                signal = read(record.value or b"", Signal)
            except msgspec.DecodeError as error:
                # Only Ajil writes this topic. What a stranger put there holds no article that could be lost.
                log.error("not a signal; passed over", place=record.place._asdict(), error=str(error))
                continue
            told = self._stories.tell(signal, self._clock())
            if told is None:
                continue
            traced = [(name, value) for name, value in record.headers if name.lower() == "traceparent"]
            key = told.story.story_id.encode()
            headers = cloudevent_headers(traced, "ajil.story", signal.event_id, told.story.updated_at)
            outputs.append(Output(self._settings.topic_stories, key, encode(told.story), headers))
            if told.alert is not None:
                headers = cloudevent_headers(traced, "ajil.alert", told.alert.alert_id, told.alert.alerted_at)
                outputs.append(Output(self._settings.topic_alerts, key, encode(told.alert), headers))
                alerts.append(told.alert)
        return Announced(alerts, outputs)

"""Signal batch -> stories and alerts to be written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from stream.caution import MAX_DEATHS
from stream.records import (
    Alert,
    Headers,
    Output,
    Place,
    Record,
    Story,
    Withdrawal,
    cloudevent_headers,
    encode,
    header,
    read,
    read_signal,
    trace_headers,
)
from stream.stories import Stories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from confluent_kafka import Message

    from stream.settings import Settings
    from stream.stories import Limit, Told

    Traced = Callable[[Alert, str, Headers], Headers]

__all__ = ["AlertStage", "Announced"]

log = structlog.get_logger(__name__)


class Announced(NamedTuple):
    """What a batch brought; `held_back` has the limit in the way of each alert that was not sent."""

    alerts: list[Alert]
    held_back: list[Limit]
    outputs: list[Output]


class _Head(msgspec.Struct):
    """What decides whether a published story is taken back."""

    story_id: str
    lang: str
    state: str
    updated_at: datetime
    retracted_at: datetime | None = None


class _Kept(NamedTuple):
    updated_at: datetime
    value: bytes
    place: Place


def _stories(kept: Iterable[_Kept]) -> Iterator[Story]:
    for _, value, place in kept:
        try:
            yield read(value, Story)
        except msgspec.DecodeError as error:
            _pass_over(place, error)


def _pass_over(place: Place, error: Exception) -> None:
    log.error("not a story; passed over", place=place._asdict(), error=str(error))


def _now() -> datetime:
    return datetime.now(UTC)


class AlertStage:
    """Keeps the open stories in memory."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._clock = clock
        self._stories = Stories(settings)

    def __len__(self) -> int:
        """Open stories in memory."""
        return len(self._stories)

    def restore(self, messages: Iterable[Message], mine: Callable[[str], bool] = lambda _: True) -> None:
        """Forget everything, and take back the stories that were published, in the order of their topic.

        `mine` says whether the signals of a language come to this worker.
        """
        newest: dict[str, _Kept] = {}
        for message in messages:
            value = message.value()
            if value is None:
                continue
            try:
                head = msgspec.json.decode(value, type=_Head)
            except msgspec.DecodeError as error:
                _pass_over(Place(message.topic(), message.partition(), message.offset()), error)
                continue
            newest.pop(head.story_id, None)
            if mine(head.lang) and (head.state == "open" or head.retracted_at is not None):
                place = Place(message.topic(), message.partition(), message.offset())
                newest[head.story_id] = _Kept(head.updated_at, value, place)
        # As bytes until it is their turn: twenty thousand stories as objects would be the worker's largest memory.
        order = sorted(newest, key=lambda story_id: newest[story_id].updated_at)
        self._stories.restore(_stories(newest.pop(story_id) for story_id in order))
        log.info("stories restored", stories=len(self._stories))

    def __call__(self, records: Sequence[Record], traced: Traced = lambda _, __, headers: headers) -> Announced:
        """What a batch changes; an empty one, what time alone does.

        `traced` is told of each alert, its topic and the trace headers of what made it, and says which the alert
        carries.
        """
        announced = Announced([], [], [])
        if not records:
            self._publish(self._stories.tick(self._clock()), "", (), announced, traced)
        for record in records:
            if record.deaths >= MAX_DEATHS:
                log.error("a signal that kills the worker; passed over", place=record.place._asdict())
                continue
            try:
                signal = read_signal(record.value or b"")
            except msgspec.DecodeError as error:
                # Only Ajil writes this topic. What a stranger put there holds no article that could be lost.
                log.error("not a signal; passed over", place=record.place._asdict(), error=str(error))
                continue
            trace = trace_headers(record.headers)
            if isinstance(signal, Withdrawal):
                told, event = self._stories.withdraw(signal, self._clock()), signal.alert_id
            else:
                told, event = self._stories.tell(signal, self._clock(), header(trace, "traceparent")), signal.event_id
            self._publish(told, event, trace, announced, traced)
        return announced

    def _publish(self, told: Told, event: str, trace: Headers, announced: Announced, traced: Traced) -> None:
        for story in told.stories.values():
            headers = cloudevent_headers(trace, "ajil.story", event or story.story_id, story.updated_at)
            key = story.story_id.encode()
            announced.outputs.append(Output(self._settings.topic_stories, key, encode(story), headers))
        for alert in told.alerts:
            name = f"{alert.alert_id}/{alert.revision}"
            topic = self._settings.topic_alerts
            about = traced(alert, topic, trace)
            headers = cloudevent_headers(about, f"ajil.alert.{alert.kind}", name, alert.alerted_at)
            key = (alert.story_id or alert.alert_id).encode()
            announced.outputs.append(Output(topic, key, encode(alert), headers))
        announced.alerts.extend(told.alerts)
        announced.held_back.extend(told.held_back)

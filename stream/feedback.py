"""Feedback batch -> withdrawals, sent the way of the signals to whichever worker tells the alert's story."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import structlog

from stream.records import Feedback, Output, Withdrawal, cloudevent_headers, encode, read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.records import Record
    from stream.settings import Settings

__all__ = ["FeedbackStage", "Heard"]

log = structlog.get_logger(__name__)

MAX_NOTE = 1_000
"""Characters of `by` and `note` that travel: a withdrawal must not be larger than its topic takes."""


class Heard(NamedTuple):
    """`results` counts records by what became of them: withdrawn, noted or invalid; `about` those that judge a topic,
    and those that judge a breaking flag or withdraw an alert."""

    results: dict[str, int]
    about: dict[str, int]
    outputs: list[Output]


def _now() -> datetime:
    return datetime.now(UTC)


class FeedbackStage:
    """Keeps nothing between batches."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        self._settings = settings
        self._clock = clock

    def __call__(self, records: Sequence[Record]) -> Heard:
        heard = Heard({"withdrawn": 0, "noted": 0, "invalid": 0}, {"topic": 0, "breaking": 0}, [])
        for record in records:
            try:
                feedback = read(record.value or b"", Feedback)
                output = self._withdrawal(feedback) if feedback.withdraw else None
            except msgspec.DecodeError as error:
                log.warning("not a feedback; passed over", **record.place._asdict(), error=str(error))
                heard.results["invalid"] += 1
                continue
            heard.about["topic"] += feedback.topic is not None
            heard.about["breaking"] += feedback.breaking is not None or feedback.withdraw
            if output is None:
                heard.results["noted"] += 1
            else:
                heard.results["withdrawn"] += 1
                heard.outputs.append(output)
        return heard

    def _withdrawal(self, feedback: Feedback) -> Output:
        # An alert's id begins with its language, which is the key that leads to its story.
        known = re.fullmatch(r"([a-z]{2,3})-[0-9a-f]{32}", feedback.alert_id or "")
        if known is None:
            raise msgspec.ValidationError(f"to withdraw an alert takes its alert_id; got {feedback.alert_id!r}")
        now = self._clock()
        withdrawal = Withdrawal(
            alert_id=known[0],
            by=(feedback.by or "")[:MAX_NOTE] or None,
            note=(feedback.note or "")[:MAX_NOTE] or None,
            given_at=feedback.given_at or now,
        )
        return Output(
            self._settings.topic_signals,
            known[1].encode(),
            encode(withdrawal),
            cloudevent_headers((), "ajil.withdrawal", known[0], now),
        )

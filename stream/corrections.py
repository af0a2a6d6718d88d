"""A thread that hears all feedback and judges this worker's answers by it. No group: every worker reads everything.

It is beside the flow: articles and alerts do not wait for it, and whatever happens to it stops no worker.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from mode import Service

from stream.kafka import messages
from stream.records import Feedback, read

if TYPE_CHECKING:
    from stream.answers import Answers
    from stream.metrics import Metrics
    from stream.settings import Settings

__all__ = ["Corrections"]

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the topic is tried again; each pause is twice the one before."""


class _Stopped(Exception):
    pass


class Corrections(Service):
    """Reads from where the topic ends when it starts: what was said before is of answers that nobody remembers."""

    abstract = False

    logger = logging.getLogger("mode.corrections")

    def __init__(self, settings: Settings, answers: Answers, metrics: Metrics, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._answers = answers
        self._metrics = metrics
        self._stop = threading.Event()
        self._following = False
        self._thread = threading.Thread(target=self._run, name="corrections", daemon=True)

    async def on_start(self) -> None:
        self._thread.start()

    async def on_stop(self) -> None:
        # A daemon: one that waits for an answer of Kafka's need not be waited for.
        self._stop.set()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            self._following = False
            try:
                self._follow()
            except _Stopped:
                return
            except Exception as error:
                if self._following:
                    pause = FIRST_PAUSE
                log.warning("cannot hear feedback; accuracy is not measured", error=str(error), pause=pause)
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _follow(self) -> None:
        topic = self._settings.topic_feedback
        for message in messages(self._settings, topic, from_beginning=False, follow=True, alive=self._alive):
            try:
                feedback = read(message.value() or b"", Feedback)
            except msgspec.DecodeError:
                continue  # the feedback agent tells and counts it
            self._metrics.judged(self._answers.judge(feedback))

    def _alive(self) -> None:
        if self._stop.is_set():
            raise _Stopped
        if not self._following:
            self._following = True
            log.info("hearing feedback", topic=self._settings.topic_feedback)

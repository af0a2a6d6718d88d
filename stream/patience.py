"""How the Kafka thread waits: it shows that it is alive, says why it waits, and ends when the worker is to stop."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException

from stream.errors import BrokerUnreachable, TopicMissing
from stream.kafka import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    import structlog

__all__ = ["GaveUp", "Patience"]

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before what Kafka refused is tried again; each pause is twice the one before."""
SLICE = 0.1
"""A pause is slept in slices, so that a stop is noticed."""
TELL_SECONDS = 10.0
"""How often one long wait is logged."""


class GaveUp(Exception):
    """The worker is to stop, and what Kafka has not taken so far is left; uncommitted records are handed out again.

    `in_hand`: whether there was a batch, and the stop deadline passed with it.
    """

    def __init__(self, in_hand: bool) -> None:
        super().__init__()
        self.in_hand = in_hand


class Patience:
    """`deadline` returns the time (`time.monotonic`) by which a batch in hand must be done, or None."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        deadline: Callable[[], float | None],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._log = log
        self._deadline = deadline
        self._sleep = sleep
        self.watch: Callable[[], None] = lambda: None
        """Called whenever the thread shows that it is alive."""
        self._told: dict[str, float] = {}
        self.in_hand = False
        """Set while a batch is being published: it may be finished after a stop was asked for, until the deadline."""
        self.last_beat = time.monotonic()
        """When the thread last made progress; a retry that Kafka refused is progress, a hang is not."""

    def alive(self, doing: str | None = None, **facts: object) -> None:
        """Show progress; `doing` is logged now and then. Raises `GaveUp`."""
        self.last_beat = time.monotonic()
        if doing:
            self.tell(doing, **facts)
        self.watch()
        deadline = self._deadline()
        if deadline is not None and (not self.in_hand or self.last_beat > deadline):
            raise GaveUp(self.in_hand)

    def tell(self, event: str, **facts: object) -> None:
        """Log a warning, unless the same was logged within `TELL_SECONDS`. Events are a few fixed sentences."""
        now = time.monotonic()
        if now - self._told.get(event, -TELL_SECONDS) >= TELL_SECONDS:
            self._told[event] = now
            self._log.warning(event, **facts)

    def pauses(self) -> Callable[[], None]:
        """A function that pauses longer each time it is called. It raises `GaveUp`."""
        seconds = FIRST_PAUSE

        def pause() -> None:
            nonlocal seconds
            for _ in range(round(seconds / SLICE)):
                self.alive()
                self._sleep(SLICE)
            seconds = min(2 * seconds, LONGEST_PAUSE)

        return pause

    def retry(self, step: Callable[[], object]) -> None:
        """Repeat a step until Kafka takes it. Raises `GaveUp`."""
        pause = self.pauses()
        while True:
            try:
                step()
            except (KafkaException, BrokerUnreachable, TopicMissing) as error:
                self.tell("waiting for Kafka", error=explain(error))
                pause()
            else:
                return

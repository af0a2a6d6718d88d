"""Follows what workers write, as a consumer would."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Watcher"]


class Watcher(threading.Thread):
    """Which inputs have come out, by their event ids, and when each output was written.

    `events` are the event ids that an output answers.
    """

    def __init__(
        self, address: str, topics: list[str], partitions: int, events: Callable[[Message], Iterable[bytes]]
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self.events: set[bytes] = set()
        self.last = time.monotonic()
        """When something new came last."""
        self.newest = 0.0
        """Unix time at which the newest output was written."""
        self.ended = threading.Event()
        self._events = events
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "watcher",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                # A broker that has just been killed may not know its last offsets at once; a reset to the end, which is
                # the default, would leave out what it knows a moment later.
                "auto.offset.reset": "earliest",
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(t, p, OFFSET_BEGINNING) for t in topics for p in range(partitions)])

    def run(self) -> None:
        while not self.ended.is_set():
            for message in self._consumer.consume(500, 0.1):
                if message.error():
                    continue
                new = {event for event in self._events(message) if event} - self.events
                self.newest = max(self.newest, message.timestamp()[1] / 1000)
                if new:
                    self.events |= new
                    self.last = time.monotonic()
        self._consumer.close()

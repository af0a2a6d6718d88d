"""How far behind a member is, as its metrics tell it; `lag.py` asks Kafka, for the command."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition as ClientPartition

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import Consumer

    from stream.gaps import Gaps
    from stream.metrics import Metrics
    from stream.progress import Partition, Progress

__all__ = ["Backlog"]

LAG_SECONDS = 1.0
"""How often lag is measured: its cost grows with the partitions, so it is not a batch's."""


class Backlog:
    """`queued` tells how many outputs wait for their delivery report."""

    def __init__(
        self,
        agent: str,
        consumer: Consumer,
        progress: dict[Partition, Progress],
        gaps: Gaps,
        queued: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._agent = agent
        self._consumer = consumer
        self._progress = progress
        self._gaps = gaps
        self._queued = queued
        self._metrics = metrics
        self._measured = 0.0

    def measure(self) -> None:
        """Set the gauges, if that was not done just now."""
        if time.monotonic() - self._measured < LAG_SECONDS or not self._progress:
            return
        self._measured = time.monotonic()
        now = datetime.now(UTC)
        self._metrics.producer_queue.labels(self._agent).set(self._queued())
        for partition, progress in self._progress.items():
            # Cached: what the last fetch said. It is negative before the first one.
            low, high = self._consumer.get_watermark_offsets(ClientPartition(*partition), cached=True)
            lag = max(0, high - max(self._gaps.behind(partition, progress.caution.offset), low))
            waiting = max(0.0, (now - progress.oldest).total_seconds()) if lag and progress.oldest else 0.0
            self._metrics.lag.labels(self._agent, *partition).set(lag)
            self._metrics.lag_seconds.labels(self._agent, *partition).set(waiting)

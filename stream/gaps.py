"""Records that Kafka deleted before this group read them: nobody can bring them back, but all can know."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition as ClientPartition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from confluent_kafka import Consumer

    from stream.metrics import Metrics
    from stream.progress import Partition

__all__ = ["Gaps"]

ASK_SECONDS = 5.0
"""How often Kafka is asked about gaps in one partition: in a topic that is written in transactions, every transaction
leaves one, where its marker lies."""
MARKERS = 100
"""Offsets without a record that a batch may pass over before Kafka is asked at once."""


class Gaps:
    """A partition that goes on behind what was read last has transaction markers there, or has lost records.

    It has lost none where the log still starts before the gap, so that one question settles all gaps before it. The
    log may have been cut off after a gap was read, in the seconds between: then some markers count as lost.
    """

    def __init__(
        self,
        consumer: Consumer,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._next: dict[Partition, int] = {}
        self._read: dict[Partition, int] = {}
        """Behind the last record; `_next` may be further, behind the markers that follow it."""
        self._open: dict[Partition, list[tuple[int, int]]] = {}
        self._asked: dict[Partition, float] = {}
        self._told: dict[Partition, int] = {}
        """What was lost before it has been told; a batch that is read again has the same gaps."""

    def start(self, partition: Partition, offset: int) -> None:
        """Reading starts, or starts again, at `offset`."""
        self._next[partition] = self._read[partition] = offset

    def read(self, partition: Partition, offsets: Sequence[int]) -> None:
        """The next records have these offsets, in order."""
        expected = self._next[partition]
        if offsets[-1] + 1 - expected != len(offsets):
            for offset in offsets:
                if offset > expected:
                    self._open.setdefault(partition, []).append((expected, offset))
                expected = max(expected, offset + 1)
        self._next[partition] = max(expected, offsets[-1] + 1)
        self._read[partition] = max(self._read[partition], offsets[-1] + 1)

    def read_end(self, partition: Partition, offset: int) -> None:
        """There are no records from the last one that was read up to `offset`, where the log ends for now."""
        expected = self._next.get(partition, offset)
        if offset > expected:
            self._open.setdefault(partition, []).append((expected, offset))
            self._next[partition] = offset

    def behind(self, partition: Partition, committed: int) -> int:
        """Where the first record lies that is not committed, as far as is known: not before the markers that follow the
        last one, once that is committed."""
        return max(committed, self._next[partition]) if committed >= self._read[partition] else committed

    def settle(self) -> None:
        """Find out about gaps, where that is due. Raises KafkaException when it should be tried again."""
        for partition in list(self._open):
            size = sum(end - first for first, end in self._open[partition])
            if size > MARKERS or self._clock() - self._asked.get(partition, -ASK_SECONDS) >= ASK_SECONDS:
                self._settle(partition)

    def end(self, partition: Partition) -> None:
        """The partition goes to another member. Raises KafkaException when Kafka cannot be asked."""
        self._next.pop(partition, None)
        self._read.pop(partition, None)
        self._asked.pop(partition, None)
        try:
            if partition in self._open:
                self._settle(partition)
        finally:
            self._asked.pop(partition, None)
            self._open.pop(partition, None)
            self._told.pop(partition, None)

    def _settle(self, partition: Partition) -> None:
        low, _ = self._consumer.get_watermark_offsets(ClientPartition(*partition), timeout=10)
        self._asked[partition] = self._clock()
        for first, end in self._open.pop(partition):
            if low > first:
                self.tell(partition, first, min(low, end))

    def tell(self, partition: Partition, first: int, end: int) -> None:
        first = max(first, self._told.get(partition, first))
        if first >= end:
            return
        self._told[partition] = end
        self._metrics.lost.labels(partition[0]).inc(end - first)
        self._log.error(
            "records were deleted before they were read: make retention.ms longer, or the worker faster",
            topic=partition[0],
            partition=partition[1],
            first_offset=first,
            last_offset=end - 1,
        )

"""How far a member has come in one partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import TopicPartition as ClientPartition

if TYPE_CHECKING:
    from datetime import datetime

    from stream.caution import Caution

__all__ = ["Partition", "Progress"]

Partition = tuple[str, int]


class Progress:
    """One partition, from the time it is taken up to its end. `caution.offset` is what is committed."""

    def __init__(self, partition: Partition, caution: Caution) -> None:
        self.partition = partition
        self.caution = caution
        self.delivered: int | None = None
        """The offset after the last record whose outputs Kafka has, while that is not committed."""
        self.oldest: datetime | None = None
        """The timestamp of the oldest record in hand, or of the newest committed one."""

    def place(self, offset: int | None = None) -> ClientPartition:
        """What to commit: `offset`, or once more what is committed, with what is known of the records there."""
        caution = self.caution
        return ClientPartition(*self.partition, caution.offset if offset is None else offset, caution.metadata(offset))

    def passed(self, offset: int) -> None:
        """Everything before `offset` is committed, or is being committed now."""
        self.caution.passed(offset)
        self.delivered = None

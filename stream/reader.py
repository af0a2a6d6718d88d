"""The next batch: what the consumer has fetched of the partitions that are this member's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError as ClientError

from stream.caution import MAX_DEATHS
from stream.kafka import as_record, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from confluent_kafka import Consumer, Message

    from stream.assignment import Assignment
    from stream.gaps import Gaps
    from stream.patience import Patience
    from stream.progress import Partition, Progress
    from stream.records import Record

    Prepare = Callable[[Callable[[], None], Collection[Partition]], None]

__all__ = ["Reader"]

POLL_SECONDS = 0.2
"""How long an idle poll lasts: the worker notices a stop within it."""


class Reader:
    """`prepare` runs after partitions came or went, before the next records are handed out. It is given what to call
    between its steps, and the partitions that are held now; what it raises of Kafka's is retried."""

    def __init__(
        self,
        consumer: Consumer,
        assignment: Assignment,
        gaps: Gaps,
        batch_size: int,
        patience: Patience,
        on_error: Callable[[ClientError], None],
        prepare: Prepare,
    ) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._gaps = gaps
        self._batch_size = batch_size
        self._patience = patience
        self._on_error = on_error
        self._prepare = prepare

    def read(self) -> list[Record]:
        """At most `batch_size` records, at least none, all of partitions that are held when it returns."""
        self._patience.alive()
        messages, ends = self._fetch(POLL_SECONDS)
        while self._assignment.changed or self._assignment.unprepared:
            # A record fetched before its partition was revoked belongs to the next owner. Where that is this member
            # again, and for all that it has kept, it reads on from what is committed.
            dropped, messages, ends = messages, [], []
            self._take_up(dropped)
            if self._assignment.unprepared:
                self._assignment.unprepared = False
                self._patience.retry(lambda: self._prepare(self._patience.alive, self._assignment.progress.keys()))
            self._consumer.resume(self._consumer.assignment())
        return self._hand_out(messages, ends)

    def read_ahead(self) -> list[Record]:
        """What was fetched behind the batch in hand; none where a worker has died near, or partitions come or go."""
        self._patience.alive()  # as long as a backlog lasts, nothing else does
        assignment = self._assignment
        if assignment.changed or any(progress.caution.suspicious for progress in assignment.progress.values()):
            return []
        messages, ends = self._fetch(0)
        if assignment.changed:
            assignment.held += messages  # to be dropped, and read again, when the partitions are taken up
            return []
        return self._hand_out(messages, ends)

    def _hand_out(self, messages: list[Message], ends: list[Message]) -> list[Record]:
        by_partition: dict[Partition, list[Message]] = {}
        for message in messages:
            by_partition.setdefault((message.topic(), message.partition()), []).append(message)
        for partition, mine in by_partition.items():
            self._gaps.read(partition, [message.offset() for message in mine])
        for end in ends:
            self._gaps.read_end((end.topic(), end.partition()), end.offset())
        self._patience.retry(self._gaps.settle)
        return self._choose(messages, by_partition)

    def _take_up(self, dropped: list[Message]) -> None:
        self._patience.retry(lambda: self._assignment.take_up(dropped))

    def _fetch(self, seconds: float) -> tuple[list[Message], list[Message]]:
        """The records that there are, after at most so many seconds for the first one, and ends of partitions that were
        reached behind them."""
        fetched = self._assignment.held[: self._batch_size]
        del self._assignment.held[: self._batch_size]
        records, ends = self._sort(fetched)
        until = time.monotonic() + seconds
        while seconds and not records and not self._assignment.changed:
            # An end alone is nothing to hand out: at a steady rate there would be one behind every record.
            first = self._consumer.poll(max(0.0, until - time.monotonic()))
            if first is None:
                return [], ends
            more, reached = self._sort([first])
            records += more
            ends += reached
            if time.monotonic() >= until:
                break
        if len(records) < self._batch_size:
            # consume(n, timeout) would wait its time-out out for the n-th record: take what has been fetched already.
            more, reached = self._sort(self._consumer.consume(self._batch_size - len(records), 0))
            records += more
            ends += reached
        return records, ends

    def _sort(self, messages: list[Message]) -> tuple[list[Message], list[Message]]:
        """Records, and ends of partitions. What else the client reports is counted and told."""
        records, ends = [], []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == ClientError._PARTITION_EOF:
                ends.append(message)
            else:
                self._on_error(error)
                self._assignment.raise_if_fatal(error)
                self._patience.tell("cannot read", error=explain(error))
        return records, ends

    def _choose(self, messages: list[Message], by_partition: dict[Partition, list[Message]]) -> list[Record]:
        """All of them, unless a worker has died near one: then some of that one's partition alone."""
        progress = self._assignment.progress
        suspect = next((p for p in by_partition if progress[p].caution.suspicious), None)
        if suspect is None:
            return [as_record(message) for message in messages]
        limit = progress[suspect].caution.limit
        chosen, later = by_partition[suspect][:limit], by_partition[suspect][limit:]
        others = [message for message in messages if (message.topic(), message.partition()) != suspect]
        self._assignment.held[:0] = [*later, *others]
        deaths = self._mark(progress[suspect]) if limit == 1 else 0
        # A partition may have been revoked while its mark was committed.
        return [as_record(message, deaths) for message in chosen if suspect in progress]

    def _mark(self, suspect: Progress) -> int:
        """-> how often a worker has died with nothing but the partition's next record in hand."""
        deaths = suspect.caution.deaths
        if deaths < MAX_DEATHS:
            suspect.caution.mark()

            def commit() -> None:
                if self._assignment.progress.get(suspect.partition) is suspect:
                    self._assignment.commit([suspect.place()])

            self._patience.retry(commit)
        return deaths

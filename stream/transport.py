"""One consumer and one producer, and the order in which they may be used: open, poll, publish, poll, ..., close.

Everything here is synchronous and belongs to one thread: two threads on one librdkafka consumer have been seen to
abort the process. A rebalance can therefore only happen inside `poll` and `read_ahead`, or while a commit is retried,
never while outputs are on their way.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from stream.assignment import Assignment
from stream.backlog import Backlog
from stream.gaps import Gaps
from stream.patience import Patience
from stream.publisher import Publisher, TransactionalPublisher
from stream.reader import Reader
from stream.tracing import BatchSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from confluent_kafka import KafkaError as ClientError

    from stream.clients import Clients
    from stream.metrics import Metrics
    from stream.progress import Partition
    from stream.reader import Prepare
    from stream.records import Output, Record
    from stream.settings import Settings

__all__ = ["Transport"]

NO_SPAN = BatchSpan()

log = structlog.get_logger(__name__)


class Transport:
    """Reads batches of some topics for one group; publishes what came of them; commits.

    `agent` names it in logs and metrics. `deadline` returns the time (`time.monotonic`) by which a batch in hand
    must be done, or None while the worker is to run on. `prepare`: see `Reader`.
    """

    def __init__(
        self,
        agent: str,
        clients: Clients,
        topics: Sequence[str],
        settings: Settings,
        metrics: Metrics,
        deadline: Callable[[], float | None],
        outputs: Iterable[str],
        prepare: Prepare,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._agent = agent
        self._clients = clients
        self._topics = topics
        self._settings = settings
        self._metrics = metrics
        self._outputs = outputs
        self._prepare = prepare
        self._log = log.bind(agent=agent)
        self._patience = Patience(self._log, deadline, sleep)
        self._pause_after_abort = self._patience.pauses()
        self._assignment: Assignment | None = None

    @property
    def last_beat(self) -> float:
        """When the Kafka thread last made progress (`time.monotonic`)."""
        return self._patience.last_beat

    @property
    def joined(self) -> bool:
        """Whether the group has told this member which partitions it has, be it none."""
        return self._assignment is not None and self._assignment.joined

    @property
    def assigned(self) -> bool:
        """Whether there are partitions that were taken up. Only between two calls."""
        return self._assignment is not None and bool(self._assignment.progress)

    def open(self) -> None:
        """Wait until Kafka answers and has the topics, then join the group. Raises `GaveUp` when told to stop."""
        needed = [*self._topics, *self._outputs]
        self._patience.retry(lambda: self._clients.check(needed))
        make = TransactionalPublisher if self._clients.transactional else Publisher
        self._publisher = make(
            partial(self._clients.producer, self._on_error), self._patience, self._log, self._on_error
        )
        consumer = self._clients.consumer(self._on_error)
        gaps = Gaps(consumer, self._metrics, self._log)
        assignment = Assignment(
            self._agent, self._clients.group, consumer, gaps, self._settings, self._metrics, self._log
        )
        self._patience.watch = Backlog(
            self._agent, consumer, assignment.progress, gaps, lambda: self._publisher.queued, self._metrics
        ).measure
        self._reader = Reader(
            consumer, assignment, gaps, self._settings.batch_size, self._patience, self._on_error, self._prepare
        )
        self._consumer, self._assignment = consumer, assignment
        assignment.subscribe(self._topics)
        self._log.info("joining", group=self._clients.group, topics=self._topics, brokers=self._settings.brokers)

    def poll(self) -> list[Record]:
        """The next batch: at most `batch_size` records, at least none, all of partitions held when it returns."""
        return self._reader.read()

    def read_ahead(self) -> list[Record]:
        """The batch behind one that is answered and not published: as `poll`, but it waits for nothing.

        Partitions may come or go in it. `publish` then drops the first batch, as it drops this one when they come or go
        in the commit of the first.
        """
        self._patience.in_hand = True
        return self._reader.read_ahead()

    def publish(
        self,
        records: Sequence[Record],
        outputs: Sequence[Output],
        delivered: Callable[[], None],
        span: BatchSpan = NO_SPAN,
    ) -> bool:
        """At-least-once, in this order:

        1. send every output of the batch;
        2. wait until Kafka has acknowledged each one, sending again only those it refused;
        3. tell `delivered`;
        4. commit the offsets after the batch's last records.

        Exactly-once does 1, 2 and 4 in one transaction, then 3. Returns False when that was aborted, or when partitions
        came or went since the batch was handed out: it will be read again. Raises `GaveUp` when the stop deadline
        passes before the end; the batch is then not committed.

        What an agent publishes without records (at a tick) goes out in the same way. Its transaction commits a
        partition's offset anew, unchanged: by that Kafka refuses it from a member that it has shut out.
        """
        assert self._assignment is not None
        if not records and not outputs:
            delivered()
            return True
        if self._assignment.changed:
            self._patience.in_hand = False
            return False
        self._patience.in_hand = True
        progress = self._assignment.progress
        last: dict[Partition, Record] = {}
        for record in records:
            partition = record.place.topic, record.place.partition
            if partition not in last:
                progress[partition].oldest = record.timestamp
            last[partition] = record
        done = True
        if isinstance(self._publisher, TransactionalPublisher):
            done = self._transact(self._publisher, outputs, last, span)
            if done:
                delivered()
        else:
            with self._metrics.stage.labels(self._agent, "deliver").time(), span.stage("deliver"):
                self._publisher.deliver(outputs)
            delivered()
            # From here on, and not before, may a rebalance or the end of the worker commit them.
            for partition, record in last.items():
                progress[partition].delivered = record.place.offset + 1
            with self._metrics.stage.labels(self._agent, "commit").time(), span.stage("commit"):
                self._patience.retry(self._assignment.commit_delivered)
        for partition, record in last.items():
            if partition in progress:  # else it was revoked while the commit was retried
                progress[partition].oldest = record.timestamp
        self._patience.in_hand = False
        return done

    def _transact(
        self,
        publisher: TransactionalPublisher,
        outputs: Sequence[Output],
        last: dict[Partition, Record],
        span: BatchSpan,
    ) -> bool:
        assert self._assignment is not None
        progress = self._assignment.progress
        places = [progress[partition].place(record.place.offset + 1) for partition, record in last.items()]
        if not places:
            places = [next(iter(progress.values())).place()]
        self._assignment.unknown = True
        with self._metrics.stage.labels(self._agent, "transaction").time(), span.stage("transaction"):
            done = publisher.deliver_with_offsets(outputs, places, self._consumer.consumer_group_metadata())
        if done:
            self._assignment.unknown = False
            self._assignment.committed(places)
            self._pause_after_abort = self._patience.pauses()
        else:
            self._assignment.read_again()
            self._pause_after_abort()
        return done

    def close(self, *, crashed: bool = False) -> None:
        """Leave the group. Blocks until the coordinator has been told, or is known to be away.

        `crashed`: an agent raised. That counts as a death, so that a record that always does it is found.
        """
        if self._assignment is not None:
            self._assignment.crashed = crashed
            self._consumer.close()

    def _on_error(self, error: ClientError) -> None:
        self._metrics.client_errors.labels(self._agent, error.name()).inc()
        if error.fatal():
            self._log.error("Kafka client", error=f"{error.str()} ({error.name()})")

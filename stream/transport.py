"""One consumer and one producer, and the order in which they may be used.

Everything here is synchronous and belongs to one thread: two threads on one librdkafka consumer have been seen to
abort the process. A rebalance can therefore only happen inside `poll` or while a commit is retried, never while
outputs are on their way.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaException,
    Message,
    Producer,
)
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from stream.errors import BrokerUnreachable, KafkaError, TopicMissing
from stream.kafka import client_config, consumer_config, explain, metadata, producer_config, require_topics
from stream.records import Output, Place, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stream.metrics import Metrics
    from stream.settings import Settings

__all__ = ["GaveUp", "Transport"]

POLL_SECONDS = 0.2
"""How long an idle poll lasts: the worker notices a stop within it."""
RETRY_SECONDS = (0.1, 5.0)
"""First and longest pause before what Kafka refused is tried again."""
WAITING_SECONDS = 10.0
"""How often a long wait is logged."""
LAG_SECONDS = 1.0
"""How often lag is measured: its cost grows with the partitions, so it is not a batch's."""

Partition = tuple[str, int]

log = structlog.get_logger(__name__)


class GaveUp(Exception):
    """The worker is to stop, and what Kafka has not taken so far is left; uncommitted records are handed out again.

    `in_hand`: whether there was a batch, and the stop deadline passed with it.
    """

    def __init__(self, in_hand: bool) -> None:
        super().__init__()
        self.in_hand = in_hand


class Transport:
    """Reads batches of one topic for one group; publishes what came of them; commits.

    `agent` names it in logs and metrics. `deadline` returns the time (`time.monotonic`) by which a batch in hand
    must be done, or None while the worker is to run on. `prepare` runs after partitions were assigned, before their
    first records are handed out; what it raises of Kafka's is retried.
    """

    def __init__(
        self,
        agent: str,
        topic: str,
        group: str,
        settings: Settings,
        metrics: Metrics,
        deadline: Callable[[], float | None],
        outputs: Iterable[str],
        prepare: Callable[[], None],
    ) -> None:
        self._agent = agent
        self._topic = topic
        self._group = group
        self._settings = settings
        self._metrics = metrics
        self._deadline = deadline
        self._needed = [topic, *outputs]
        self._prepare = prepare
        self._unprepared = False
        self._admin = AdminClient(client_config(settings))
        self._in_hand = False
        self._held: list[Message] = []
        self._lag_measured = 0.0
        self._told_waiting = 0.0
        self._revoked: set[Partition] = set()
        self._uncommitted: dict[Partition, int] = {}
        self._newest: dict[Partition, datetime] = {}
        self._log = log.bind(agent=agent)
        self.last_beat = time.monotonic()
        """When this thread last made progress; a retry that Kafka refused is progress, a hang is not."""
        self.joined = False
        """Whether the group has assigned partitions, or has told this member that there are none for it."""

    # Start ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Wait until Kafka answers and has the topics, then join the group. Raises `GaveUp` when told to stop."""
        self._retry(self._check_topics)
        self._producer = self._new_producer()
        self._consumer = Consumer(consumer_config(self._settings, self._group) | {"error_cb": self._on_error})
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        self._log.info("joining", group=self._group, topic=self._topic, brokers=self._settings.brokers)

    def _check_topics(self) -> None:
        require_topics(metadata(self._settings, timeout=2, admin=self._admin), self._needed)

    def _new_producer(self) -> Producer:
        config = {"queue.buffering.max.kbytes": 4 * self._settings.max_record_bytes // 1024}
        return Producer(producer_config(self._settings) | config | {"error_cb": self._on_error})

    # Poll -------------------------------------------------------------------------------------------------------

    def poll(self) -> list[Record]:
        """The next batch: at most `batch_size` records, at least none, all of partitions held when it returns."""
        self.last_beat = time.monotonic()
        self._revoked.clear()
        self._measure_lag()
        messages, self._held = self._held, []
        if not messages:
            first = self._consumer.poll(POLL_SECONDS)
            messages += [] if first is None else [first]
        # consume(n, timeout) would wait its time-out out for the n-th record: take what has been fetched already.
        messages += self._consumer.consume(max(0, self._settings.batch_size - len(messages)), 0)
        records = [_record(message) for message in messages if self._is_record(message)]
        if self._revoked:
            records = self._drop_revoked(records)
        if self._unprepared:
            self._retry(self._prepare)
            self._unprepared = False
        return records

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        self._on_error(error)
        if error.fatal():
            raise KafkaError(f"the consumer of {self._topic} cannot go on: {error.str()} ({error.name()})")
        return False

    def _drop_revoked(self, records: list[Record]) -> list[Record]:
        """A record fetched before its partition was revoked belongs to the partition's next owner.

        Where that is this member again, it goes back to the committed offset and reads the record once more.
        """
        kept = [r for r in records if (r.place.topic, r.place.partition) not in self._revoked]
        if len(kept) < len(records):
            self._log.info("dropped records of revoked partitions", records=len(records) - len(kept))
        self._rewind(self._revoked)
        return kept

    # Publish ----------------------------------------------------------------------------------------------------

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> None:
        """At-least-once, in this order:

        1. send every output of the batch;
        2. wait until Kafka has acknowledged each one, sending again only those it refused;
        3. tell `delivered`;
        4. commit the offsets after the batch's last records.

        Raises `GaveUp` when the stop deadline passes before the end of 2 or 4: the batch is then not committed.
        """
        self._in_hand = True
        with self._metrics.stage.labels(self._agent, "deliver").time():
            self._deliver(outputs)
        delivered()
        for record in records:
            place = record.place
            self._uncommitted[place.topic, place.partition] = place.offset + 1
            self._newest[place.topic, place.partition] = record.timestamp
        with self._metrics.stage.labels(self._agent, "commit").time():
            self._retry(self._commit)
        self._in_hand = False

    def _deliver(self, outputs: Sequence[Output]) -> None:
        pending = list(enumerate(outputs))
        pause, longest = RETRY_SECONDS
        while True:
            refused: list[tuple[int, Output, ClientError]] = []
            for at, output in pending:
                self._send(at, output, refused)
            while self._producer.flush(1.0):
                self._alive("waiting for acknowledgements", waiting=len(self._producer))
            if not refused:
                return
            # Kafka answers out of order between partitions; within one the order of the inputs must come back.
            refused.sort(key=lambda entry: entry[0])
            _, output, error = refused[0]
            self._log.error(
                "Kafka refused outputs; nothing is committed until it takes them",
                topic=output.topic,
                refused=len(refused),
                error=f"{error.str()} ({error.name()})",
                bytes=output.size,
            )
            if any(error.fatal() for _, _, error in refused):
                self._producer = self._new_producer()
            self._pause(pause)
            pause = min(pause * 2, longest)
            pending = [(at, output) for at, output, _ in refused]

    def _send(self, at: int, output: Output, refused: list[tuple[int, Output, ClientError]]) -> None:
        def report(error: ClientError | None, _: Message) -> None:
            if error is not None:
                self._on_error(error)
                refused.append((at, output, error))

        while True:
            try:
                self._producer.produce(
                    output.topic,
                    value=output.value,
                    key=output.key,
                    headers=output.headers,
                    on_delivery=report,
                )
            except BufferError:
                self._alive("the producer's queue is full")
                self._producer.poll(0.1)
            except KafkaException as error:
                # Refused on the spot (larger than message.max.bytes, a fatal error): there is no report to come.
                refused.append((at, output, error.args[0]))
                return
            else:
                return

    # Commit -----------------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        if not self._uncommitted:
            return
        offsets = [ClientPartition(t, p, offset) for (t, p), offset in self._uncommitted.items()]
        try:
            committed = self._consumer.commit(offsets=offsets, asynchronous=False)
            failed = next((p.error for p in committed if p.error is not None), None)
            if failed is not None:
                raise KafkaException(failed)
        except KafkaException as error:
            self._metrics.commits.labels(self._agent, "failed").inc()
            if error.args[0].fatal():
                raise KafkaError(f"cannot commit for the group {self._group}: {explain(error)}") from error
            # A rebalance may be what is in the way. What this member loses by it, the callbacks below forget.
            self._serve_rebalance()
            raise
        self._uncommitted.clear()
        self._metrics.commits.labels(self._agent, "done").inc()
        self._metrics.last_commit.labels(self._agent).set_to_current_time()

    def _serve_rebalance(self) -> None:
        """A rebalance may be what holds a commit up, and goes on only inside a poll: one that should hand out nothing.

        A partition assigned in this very poll is not paused yet; what it hands out is held for the next batch.
        """
        self._consumer.pause(self._consumer.assignment())
        message = self._consumer.poll(0)
        if message is not None:
            self._held.append(message)
        self._consumer.resume(self._consumer.assignment())

    def _rewind(self, partitions: set[Partition]) -> None:
        """Go back to the committed offsets of those of `partitions` that are still, or again, assigned."""

        def go_back() -> None:
            held = [p for p in self._consumer.assignment() if (p.topic, p.partition) in partitions]
            if not held:
                return
            for place in self._consumer.committed(held, timeout=10):
                offset = place.offset if place.offset >= 0 else OFFSET_BEGINNING
                self._consumer.seek(ClientPartition(place.topic, place.partition, offset))
            self._held = [m for m in self._held if (m.topic(), m.partition()) not in partitions]

        self._retry(go_back)

    # Rebalance (called inside Consumer.poll and Consumer.consume) -------------------------------------------------

    def _on_assign(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        self.joined = True
        self._unprepared = self._unprepared or bool(partitions)
        self._told("assigned", partitions)

    def _on_revoke(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        # Still a member at this point: what was delivered may be committed before the partition goes.
        if self._uncommitted:
            try:
                self._commit_before_revoke()
            except KafkaException as error:
                self._log.warning("could not commit before a rebalance; a batch may be repeated", error=explain(error))
        self._forget(partitions)
        self._told("revoked", partitions)

    def _commit_before_revoke(self) -> None:
        offsets = [ClientPartition(t, p, offset) for (t, p), offset in self._uncommitted.items()]
        self._consumer.commit(offsets=offsets, asynchronous=False)

    def _on_lost(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        self._forget(partitions)
        self._told("lost", partitions)

    def _forget(self, partitions: list[ClientPartition]) -> None:
        for partition in partitions:
            place = (partition.topic, partition.partition)
            self._revoked.add(place)
            self._uncommitted.pop(place, None)
            self._newest.pop(place, None)
            for gauge in (self._metrics.lag, self._metrics.lag_seconds):
                gauge.remove(place[0], str(place[1]))
        self._held = [m for m in self._held if (m.topic(), m.partition()) not in self._revoked]

    def _told(self, event: str, partitions: list[ClientPartition]) -> None:
        self._metrics.rebalances.labels(self._agent, event).inc()
        self._log.info(f"partitions {event}", partitions=sorted(p.partition for p in partitions))

    # The rest ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave the group. Blocks until the coordinator has been told, or is known to be away."""
        if hasattr(self, "_consumer"):
            self._consumer.close()

    def _retry(self, step: Callable[[], None]) -> None:
        """Repeat a step until Kafka takes it. Raises `GaveUp` when the worker is to stop."""
        pause, longest = RETRY_SECONDS
        while True:
            try:
                step()
            except (KafkaException, BrokerUnreachable, TopicMissing) as error:
                self._log.warning("waiting for Kafka", error=explain(error), retry_in_seconds=pause)
                self._pause(pause)
                pause = min(pause * 2, longest)
            else:
                return

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._alive()
            time.sleep(min(left, 0.1))

    def _alive(self, doing: str | None = None, **facts: object) -> None:
        self.last_beat = time.monotonic()
        if doing and self.last_beat - self._told_waiting > WAITING_SECONDS:
            self._told_waiting = self.last_beat
            self._log.warning(doing, **facts)
        deadline = self._deadline()
        if deadline is not None and (not self._in_hand or self.last_beat > deadline):
            raise GaveUp(self._in_hand)

    def _on_error(self, error: ClientError) -> None:
        self._metrics.client_errors.labels(self._agent, error.name()).inc()
        if error.fatal():
            self._log.error("Kafka client", error=f"{error.str()} ({error.name()})")

    def _measure_lag(self) -> None:
        if self.last_beat - self._lag_measured < LAG_SECONDS:
            return
        self._lag_measured = self.last_beat
        now = datetime.now(UTC)
        try:
            places = self._consumer.position(self._consumer.assignment())
        except KafkaException:
            return  # between two assignments there is nothing to measure
        for place in places:
            low, high = self._consumer.get_watermark_offsets(place, cached=True)
            # Before the first fetch the position is unknown; before the first answer the watermark is.
            position = place.offset if place.offset >= 0 else low
            if high < 0:
                continue
            lag = max(0, high - position)
            newest = self._newest.get((place.topic, place.partition))
            waiting = (now - newest).total_seconds() if lag and newest else 0.0
            self._metrics.lag.labels(place.topic, str(place.partition)).set(lag)
            self._metrics.lag_seconds.labels(place.topic, str(place.partition)).set(max(0.0, waiting))


def _record(message: Message) -> Record:
    kind, milliseconds = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        timestamp = datetime.now(UTC)
    else:
        timestamp = datetime.fromtimestamp(milliseconds / 1000, UTC)
    place = Place(message.topic(), message.partition(), message.offset())
    return Record(place, timestamp, message.key(), message.value(), message.headers() or [])

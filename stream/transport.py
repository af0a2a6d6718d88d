"""One consumer and one producer, and the order in which they may be used.

Everything here is synchronous and belongs to one thread: two threads on one librdkafka consumer have been seen to
abort the process. A rebalance can therefore only happen inside `poll` or while a commit is retried, never while
outputs are on their way.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaException,
    Message,
)
from confluent_kafka import KafkaError as ClientError
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata

from stream.caution import MAX_DEATHS, Caution
from stream.errors import KafkaError
from stream.kafka import as_record, client_config, consumer_config, explain, metadata, require_topics
from stream.patience import Patience
from stream.publisher import Publisher, TransactionalPublisher
from stream.topics import differences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from stream.metrics import Metrics
    from stream.records import Output, Record
    from stream.settings import Settings

__all__ = ["Transport"]

POLL_SECONDS = 0.2
"""How long an idle poll lasts: the worker notices a stop within it."""
LAG_SECONDS = 1.0
"""How often lag is measured: its cost grows with the partitions, so it is not a batch's."""

Partition = tuple[str, int]

log = structlog.get_logger(__name__)


class Transport:
    """Reads batches of one topic for one group; publishes what came of them; commits.

    `agent` names it in logs and metrics. `deadline` returns the time (`time.monotonic`) by which a batch in hand
    must be done, or None while the worker is to run on. `prepare` runs after partitions were assigned, before their
    first records are handed out, and calls what it is given between its steps; what it raises of Kafka's is retried.
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
        prepare: Callable[[Callable[[], None]], None],
        *,
        transactional: bool,
    ) -> None:
        self._agent = agent
        self._topic = topic
        self._group = group
        self._settings = settings
        self._metrics = metrics
        self._needed = [topic, *outputs]
        self._prepare = prepare
        self._transactional = transactional
        self._unprepared = False
        self._held: list[Message] = []
        self._lag_measured = 0.0
        self._revoked: set[Partition] = set()
        self._uncommitted: dict[Partition, int] = {}
        self._oldest: dict[Partition, datetime] = {}
        self._cautions: dict[Partition, Caution] = {}
        self._log = log.bind(agent=agent)
        self._patience = Patience(self._log, deadline, self._measure_lag)
        self._pause_after_abort = self._patience.pauses()
        self.joined = False
        """Whether the group has assigned partitions, or has told this member that there are none for it."""

    @property
    def last_beat(self) -> float:
        """When the Kafka thread last made progress (`time.monotonic`)."""
        return self._patience.last_beat

    # Start ------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Wait until Kafka answers and has the topics, then join the group. Raises `GaveUp` when told to stop."""
        self._patience.retry(self._check_topics)
        self._publisher = self._open_publisher()
        self._consumer = Consumer(consumer_config(self._settings, self._group) | {"error_cb": self._on_error})
        self._consumer.subscribe(
            [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        self._log.info("joining", group=self._group, topic=self._topic, brokers=self._settings.brokers)

    def _check_topics(self) -> None:
        admin = AdminClient(client_config(self._settings))
        try:
            cluster = metadata(self._settings, timeout=2, admin=admin)
            require_topics(cluster, self._needed)
        finally:
            admin.poll(0)  # the client's own words, such as a TLS handshake that failed, come out here
        # Beside the start: a broker that cannot answer (the embedded one) would hold it up.
        threading.Thread(target=self._tell_differences, args=(admin, cluster), daemon=True).start()

    def _tell_differences(self, admin: AdminClient, cluster: ClusterMetadata) -> None:
        """A topic that refuses large records, say, is better told at the start than met by the first one."""
        try:
            for told in differences(admin, cluster, self._settings):
                self._log.warning("a topic is not as `ajil topics --create` makes it", difference=told)
        except KafkaError as error:
            self._log.info("topics not checked", reason=str(error))

    def _open_publisher(self) -> Publisher:
        common = (self._settings, self._patience, self._log, self._on_error)
        if not self._transactional:
            return Publisher(*common)
        return TransactionalPublisher(*common, group=self._group, slot=self._settings.instance_id)

    # Poll -------------------------------------------------------------------------------------------------------

    def poll(self) -> list[Record]:
        """The next batch: at most `batch_size` records, at least none, all of partitions held when it returns."""
        self._patience.alive()
        self._revoked.clear()
        messages, self._held = self._held, []
        if not messages:
            first = self._consumer.poll(POLL_SECONDS)
            messages += [] if first is None else [first]
        # consume(n, timeout) would wait its time-out out for the n-th record: take what has been fetched already.
        messages += self._consumer.consume(max(0, self._settings.batch_size - len(messages)), 0)
        messages = [message for message in messages if self._is_record(message)]
        while self._unprepared:
            self._unprepared = False
            self._patience.retry(self._start_partitions)
            self._patience.retry(lambda: self._prepare(self._patience.alive))
            self._consumer.resume(self._consumer.assignment())
        if self._revoked:
            messages = self._drop_revoked(messages)
        self._patience.retry(lambda: self._look_for_gaps(messages))
        return self._cautiously(messages)

    def _start_partitions(self) -> None:
        """Take up each new partition where its last owner left it, and say that it was taken up."""
        new = [p for p in self._consumer.assignment() if (p.topic, p.partition) not in self._cautions]
        if not new:
            return
        started = {}
        for place in self._committed_offsets(new):
            low, high = self._consumer.get_watermark_offsets(place, timeout=10)
            offset = place.offset if place.offset >= 0 else low
            if offset < low:
                self._tell_lost(_partition(place), offset, low)
                offset = low
            elif offset > high:
                self._log.error(
                    "the committed offset is past the end: the topic was made anew, or its log was cut off; "
                    "reading it from its beginning",
                    partition=place.partition,
                    committed=offset,
                    end=high,
                )
                offset = low
            started[_partition(place)] = Caution(self._settings.batch_size, offset, place.metadata)
        self._commit(_places(started))
        self._cautions |= started

    def _tell_lost(self, partition: Partition, first: int, end: int) -> None:
        """Kafka deleted records that this group had not read: nobody can bring them back, but all can know."""
        self._metrics.lost.labels(partition[0]).inc(end - first)
        self._log.error(
            "records were deleted before they were read: make retention.ms longer, or the worker faster",
            topic=partition[0],
            partition=partition[1],
            first_offset=first,
            last_offset=end - 1,
        )

    def _look_for_gaps(self, messages: list[Message]) -> None:
        """A partition that goes on behind what was read last has transaction markers there, or has lost records."""
        seen: set[Partition] = set()
        for message in messages:
            partition = _partition(message)
            if partition not in seen:
                seen.add(partition)
                expected = self._cautions[partition].offset
                if message.offset() > expected:
                    low, _ = self._consumer.get_watermark_offsets(ClientPartition(*partition), timeout=10)
                    if low > expected:
                        self._tell_lost(partition, expected, min(low, message.offset()))

    def _committed_offsets(self, partitions: list[ClientPartition]) -> list[ClientPartition]:
        places = self._consumer.committed(partitions, timeout=10)
        failed = next((place.error for place in places if place.error is not None), None)
        if failed is not None:
            raise KafkaException(failed)
        return list(places)

    def _cautiously(self, messages: list[Message]) -> list[Record]:
        """All of them, unless a worker has died near one: then some of that one's partition alone."""
        caution = next((c for m in messages if (c := self._cautions[_partition(m)]).suspicious), None)
        if caution is None:
            return [as_record(message) for message in messages]
        suspect = next(_partition(m) for m in messages if self._cautions[_partition(m)] is caution)
        mine = [m for m in messages if _partition(m) == suspect]
        others = [m for m in messages if _partition(m) != suspect]
        chosen, later = mine[: caution.limit], mine[caution.limit :]
        self._held = [*later, *others, *self._held]
        deaths = caution.deaths if caution.limit == 1 else 0
        if caution.limit == 1 and deaths < MAX_DEATHS:
            caution.mark()

            def commit_mark() -> None:
                if suspect in self._cautions:  # else it was revoked while this was retried
                    self._commit(_places({suspect: caution}))

            self._patience.retry(commit_mark)
        return [as_record(message, deaths) for message in chosen if suspect in self._cautions]

    def _is_record(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return True
        self._on_error(error)
        self._raise_if_fatal(error)
        self._patience.tell("cannot read", topic=self._topic, error=explain(error))
        return False

    def _raise_if_fatal(self, error: ClientError) -> None:
        """By its code: the client builds these errors from the bare code, so that `fatal()` says no to all."""
        if error.code() in (ClientError.FENCED_INSTANCE_ID, ClientError._FATAL):
            raise KafkaError(
                f"the group {self._group} has shut this worker out: {explain(error)}. "
                f"Another worker may have the same AJIL_INSTANCE_ID ({self._settings.instance_id})"
            )

    def _drop_revoked(self, messages: list[Message]) -> list[Message]:
        """A record fetched before its partition was revoked belongs to the partition's next owner.

        Where that is this member again, it goes back to the committed offset and reads the record once more.
        """
        kept = [message for message in messages if _partition(message) not in self._revoked]
        if len(kept) < len(messages):
            self._log.info("dropped records of revoked partitions", records=len(messages) - len(kept))
        self._rewind(self._revoked)
        return kept

    # Publish ----------------------------------------------------------------------------------------------------

    def publish(self, records: Sequence[Record], outputs: Sequence[Output], delivered: Callable[[], None]) -> bool:
        """At-least-once, in this order:

        1. send every output of the batch;
        2. wait until Kafka has acknowledged each one, sending again only those it refused;
        3. tell `delivered`;
        4. commit the offsets after the batch's last records.

        Exactly-once does 1, 2 and 4 in one transaction, then 3. Returns False when that was aborted: the batch will be
        read again. Raises `GaveUp` when the stop deadline passes before the end; the batch is then not committed.
        """
        self._patience.in_hand = True
        for record in reversed(records):
            self._oldest[record.place.topic, record.place.partition] = record.timestamp
        ends = {(r.place.topic, r.place.partition): r.place.offset + 1 for r in records}
        if isinstance(self._publisher, TransactionalPublisher):
            with self._metrics.stage.labels(self._agent, "transaction").time():
                done = self._publisher.deliver_with_offsets(
                    outputs, self._offsets(ends), self._consumer.consumer_group_metadata()
                )
            if done:
                self._committed()
                delivered()
            else:
                self._pause_after_abort()
                self._rewind({(p.topic, p.partition) for p in self._consumer.assignment()})
                self._unprepared = True
        else:
            done = True
            with self._metrics.stage.labels(self._agent, "deliver").time():
                self._publisher.deliver(outputs)
            delivered()
            # From here on, and not before, may a rebalance or the end of the worker commit them.
            self._uncommitted = ends
            with self._metrics.stage.labels(self._agent, "commit").time():
                self._patience.retry(self._commit_batch)
        if done:
            for record in records:
                partition = record.place.topic, record.place.partition
                if partition in self._cautions:  # else it was revoked while the commit was retried
                    self._oldest[partition] = record.timestamp
                    self._cautions[partition].passed(record.place.offset + 1)
            self._pause_after_abort = self._patience.pauses()
        self._patience.in_hand = False
        return done

    def _offsets(self, ends: dict[Partition, int]) -> list[ClientPartition]:
        return [
            ClientPartition(*partition, offset, self._cautions[partition].metadata(offset))
            for partition, offset in ends.items()
        ]

    def _committed(self) -> None:
        self._metrics.commits.labels(self._agent, "done").inc()
        self._metrics.last_commit.labels(self._agent).set_to_current_time()

    # Commit -----------------------------------------------------------------------------------------------------

    def _commit_batch(self) -> None:
        if places := self._offsets(self._uncommitted):
            self._commit(places)
            self._uncommitted.clear()
            self._committed()

    def _commit(self, places: list[ClientPartition]) -> None:
        """Raises KafkaException when it should be tried again, KafkaError when that would be of no use."""
        try:
            answered = self._consumer.commit(offsets=places, asynchronous=False)
            failed = next((p.error for p in answered if p.error is not None), None)
            if failed is not None:
                raise KafkaException(failed)
        except KafkaException as error:
            self._metrics.commits.labels(self._agent, "failed").inc()
            self._raise_if_fatal(error.args[0])
            # A rebalance may be what is in the way. What this member loses by it, the callbacks below forget.
            self._serve_rebalance()
            raise

    def _serve_rebalance(self) -> None:
        """A rebalance may be what holds a commit up, and goes on only inside a poll: one that should hand out nothing.

        A partition assigned in this very poll is not paused yet; what it hands out is held for the next batch.
        """
        paused = self._consumer.assignment()
        self._consumer.pause(paused)
        try:
            message = self._consumer.poll(0)
        finally:
            # Those that were paused, not those assigned now: a partition that is lost here keeps its pause, and would
            # come back mute.
            self._consumer.resume(paused)
        if message is not None:
            self._held.append(message)

    def _rewind(self, partitions: set[Partition]) -> None:
        """Go back to the committed offsets of those of `partitions` that are still, or again, assigned."""

        def go_back() -> None:
            held = [p for p in self._consumer.assignment() if (p.topic, p.partition) in partitions]
            if not held:
                return
            for place in self._committed_offsets(held):
                offset = place.offset if place.offset >= 0 else OFFSET_BEGINNING
                self._consumer.seek(ClientPartition(place.topic, place.partition, offset))
                caution = self._cautions.get(_partition(place))
                if caution is not None and offset > caution.offset:
                    caution.passed(offset)  # a transaction whose answer was lost had been committed after all
            self._held = [m for m in self._held if (m.topic(), m.partition()) not in partitions]

        self._patience.retry(go_back)

    # Rebalance (called inside Consumer.poll and Consumer.consume) -------------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[ClientPartition]) -> None:
        if self._settings.group_protocol == "consumer" or self._settings.assignor == "cooperative-sticky":
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)
        # Not before they are taken up: on a slow link, what is asked of the broker would wait behind fetched records.
        consumer.pause(partitions)
        self.joined = True
        self._unprepared = self._unprepared or bool(partitions)
        self._told("assigned", partitions)

    def _on_revoke(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        # Still a member at this point: what was delivered may be committed before the partitions go, and the next
        # owner need not take this one for dead.
        held = {_partition(p): self._cautions[_partition(p)] for p in partitions if _partition(p) in self._cautions}
        for partition, caution in held.items():
            if partition in self._uncommitted:
                caution.passed(self._uncommitted[partition])
            caution.stopped()
        # While a transaction's outcome is unknown, its offsets may be committed already: never commit those before it.
        if held and not (self._transactional and self._patience.in_hand):
            try:
                self._consumer.commit(offsets=_places(held), asynchronous=False)
            except KafkaException as error:
                self._log.warning("could not commit before a rebalance; a batch may be repeated", error=explain(error))
        self._forget(partitions)
        self._told("revoked", partitions)

    def _on_lost(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        self._forget(partitions)
        self._told("lost", partitions)

    def _forget(self, partitions: list[ClientPartition]) -> None:
        for partition in partitions:
            place = (partition.topic, partition.partition)
            self._revoked.add(place)
            self._uncommitted.pop(place, None)
            self._oldest.pop(place, None)
            self._cautions.pop(place, None)
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

    def _on_error(self, error: ClientError) -> None:
        self._metrics.client_errors.labels(self._agent, error.name()).inc()
        if error.fatal():
            self._log.error("Kafka client", error=f"{error.str()} ({error.name()})")

    def _measure_lag(self) -> None:
        if self._patience.last_beat - self._lag_measured < LAG_SECONDS or not self._cautions:
            return
        self._lag_measured = self._patience.last_beat
        now = datetime.now(UTC)
        for partition, caution in self._cautions.items():
            # Cached: what the last fetch said. It is negative before the first one.
            low, high = self._consumer.get_watermark_offsets(ClientPartition(*partition), cached=True)
            lag = max(0, high - max(caution.offset, low))
            known = self._oldest.get(partition)
            waiting = max(0.0, (now - known).total_seconds()) if lag and known else 0.0
            self._metrics.lag.labels(partition[0], str(partition[1])).set(lag)
            self._metrics.lag_seconds.labels(partition[0], str(partition[1])).set(waiting)


def _partition(place: Message | ClientPartition) -> Partition:
    """Of a message, whose facts are methods, or a place, whose facts are attributes."""
    return (place.topic(), place.partition()) if isinstance(place, Message) else (place.topic, place.partition)


def _places(cautions: dict[Partition, Caution]) -> list[ClientPartition]:
    return [ClientPartition(*partition, c.offset, c.metadata()) for partition, c in cautions.items()]

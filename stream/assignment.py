"""The partitions that the group has given this member, and what is committed in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Message
from confluent_kafka import TopicPartition as ClientPartition

from stream.caution import Caution
from stream.errors import KafkaError
from stream.kafka import explain
from stream.progress import Partition, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import structlog
    from confluent_kafka import Consumer

    from stream.gaps import Gaps
    from stream.metrics import Metrics
    from stream.settings import Settings

__all__ = ["Assignment"]


class Assignment:
    """Changes only inside `Consumer.poll` and `consume`, and while a commit is retried: never while outputs are on
    their way. Whoever sees `changed` calls `take_up`; what was fetched before is then read again."""

    def __init__(
        self,
        agent: str,
        group: str,
        consumer: Consumer,
        gaps: Gaps,
        settings: Settings,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._agent = agent
        self._group = group
        self._consumer = consumer
        self._settings = settings
        self._metrics = metrics
        self._log = log
        self.progress: dict[Partition, Progress] = {}
        """Of the partitions that were taken up."""
        self.held: list[Message] = []
        """Fetched already, to be handed out before anything else."""
        self.joined = False
        """Whether the group has assigned partitions, or has told this member that there are none for it."""
        self.changed = False
        self.unprepared = False
        """Whether the agent must be prepared before it is handed records."""
        self.crashed = False
        """Whether this member leaves because its agent failed on what it had in hand."""
        self.unknown = False
        """Whether a transaction may have been committed of which no answer came."""
        self._gaps = gaps

    def subscribe(self, topics: Sequence[str]) -> None:
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    # Between batches ------------------------------------------------------------------------------------------------

    def read_again(self) -> None:
        """What was handed out is not committed, and the agent must forget it."""
        self.changed = self.unprepared = True

    def take_up(self, fetched: Sequence[Message]) -> None:
        """Go to what is committed; of a new partition, commit that it was taken up. Raises as `commit` does.

        `fetched` has been fetched and is not to be handed out.
        """
        self.changed = False
        dropped = {(message.topic(), message.partition()) for message in [*fetched, *self.held]}
        new: dict[Partition, Progress] = {}
        lost: list[tuple[Partition, int, int]] = []
        for place in self._committed(self._consumer.assignment()):
            partition, offset = (place.topic, place.partition), place.offset
            known = self.progress.get(partition)
            if known is None:
                offset = self._start(place, lost)
                new[partition] = Progress(partition, Caution(self._settings.batch_size, offset, place.metadata))
            elif offset < 0:
                offset = known.caution.offset  # somebody deleted what was committed
            elif offset > known.caution.offset:
                known.passed(offset)  # a transaction whose answer was lost had been committed after all
            # The client itself starts a new one at this offset, and has no other place to seek in until it has.
            if known is not None or partition in dropped:
                self._consumer.seek(ClientPartition(*partition, offset))
            self._gaps.start(partition, offset)
        self.unknown = False
        if new:
            self.commit([progress.place() for progress in new.values()])
        self.progress |= new
        self.held.clear()
        for told in lost:
            self._gaps.tell(*told)

    def _committed(self, partitions: list[ClientPartition]) -> list[ClientPartition]:
        if not partitions:
            return []
        places = self._consumer.committed(partitions, timeout=10)
        failed = next((place.error for place in places if place.error is not None), None)
        if failed is not None:
            raise KafkaException(failed)
        return list(places)

    def _start(self, place: ClientPartition, lost: list[tuple[Partition, int, int]]) -> int:
        """Where to read: at what is committed if the log has it, else at the log's beginning, as a new group does."""
        low, high = self._consumer.get_watermark_offsets(ClientPartition(place.topic, place.partition), timeout=10)
        if place.offset < 0 or low <= place.offset <= high:
            return int(max(place.offset, low))
        if place.offset < low:
            lost.append(((place.topic, place.partition), place.offset, int(low)))
        else:
            self._log.error(
                "the committed offset is past the end: the topic was made anew, or its log was cut off; "
                "reading it from its beginning",
                topic=place.topic,
                partition=place.partition,
                committed=place.offset,
                end=high,
            )
        return int(low)

    # Commit ---------------------------------------------------------------------------------------------------------

    def commit_delivered(self) -> None:
        """Raises as `commit` does."""
        if places := [p.place(p.delivered) for p in self.progress.values() if p.delivered is not None]:
            self.commit(places)
            self.committed(places)

    def committed(self, places: list[ClientPartition]) -> None:
        """These offsets of batches are committed, in a transaction or without."""
        for place in places:
            self.progress[place.topic, place.partition].passed(place.offset)
        self._metrics.commits.labels(self._agent, "done").inc()
        self._metrics.last_commit.labels(self._agent).set_to_current_time()

    def commit(self, places: list[ClientPartition]) -> None:
        """Raises KafkaException when it should be tried again, KafkaError when that would be of no use."""
        try:
            answered = self._consumer.commit(offsets=places, asynchronous=False)
            failed = next((p.error for p in answered if p.error is not None), None)
            if failed is not None:
                raise KafkaException(failed)
        except KafkaException as error:
            self._metrics.commits.labels(self._agent, "failed").inc()
            self.raise_if_fatal(error.args[0])
            # A rebalance may be what is in the way. What this member loses by it, the callbacks below forget.
            self._serve_rebalance()
            raise

    def raise_if_fatal(self, error: ClientError) -> None:
        """By its code: the client builds these errors from the bare code, so that `fatal()` says no to all."""
        if error.code() in (ClientError.FENCED_INSTANCE_ID, ClientError._FATAL):
            raise KafkaError(
                f"the group {self._group} has shut this worker out: {explain(error)}. "
                f"Another worker may have the same AJIL_INSTANCE_ID ({self._settings.instance_id})"
            )

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
            self.held.append(message)

    # Rebalance (called inside Consumer.poll, consume and close) -------------------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[ClientPartition]) -> None:
        if self._settings.group_protocol == "consumer" or self._settings.assignor == "cooperative-sticky":
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)
        # Not before they are taken up: on a slow link, what is asked of the broker would wait behind fetched records.
        consumer.pause(partitions)
        self.joined = True
        if partitions:
            self.changed = self.unprepared = True
        self._told("assigned", partitions)

    def _on_revoke(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        # Still a member at this point: what was delivered may be committed before the partitions go, and the next
        # owner need not take this one for dead.
        held = [progress for p in partitions if (progress := self.progress.get((p.topic, p.partition)))]
        for progress in held:
            if progress.delivered is not None:
                progress.passed(progress.delivered)
            if not self.crashed:
                progress.caution.stopped()
        # While a transaction's outcome is unknown, its offsets may be committed already: never commit those before it.
        if held and not self.unknown:
            try:
                self._consumer.commit(offsets=[progress.place() for progress in held], asynchronous=False)
            except KafkaException as error:
                self._log.warning("could not commit before a rebalance; a batch may be repeated", error=explain(error))
        self._forget(partitions)
        self._told("revoked", partitions)

    def _on_lost(self, _: Consumer, partitions: list[ClientPartition]) -> None:
        self._forget(partitions)
        self._told("lost", partitions)

    def _forget(self, partitions: list[ClientPartition]) -> None:
        """The records in hand are the next owner's, and what the agent remembers of their partitions is its as well."""
        self.changed = self.unprepared = True
        for place in partitions:
            self.progress.pop((place.topic, place.partition), None)
            try:
                self._gaps.end((place.topic, place.partition))
            except KafkaException as error:
                self._log.warning("cannot tell whether records were lost", error=explain(error))
            for gauge in (self._metrics.lag, self._metrics.lag_seconds):
                gauge.remove(self._agent, place.topic, place.partition)

    def _told(self, event: str, partitions: list[ClientPartition]) -> None:
        self._metrics.rebalances.labels(self._agent, event).inc()
        self._log.info(f"partitions {event}", partitions=sorted(p.partition for p in partitions))

"""One producer, and what it takes to know that Kafka has a batch's outputs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException

from stream.kafka import TRANSACTION_SECONDS, explain
from stream.patience import GaveUp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from confluent_kafka import Message, Producer
    from confluent_kafka import TopicPartition as ClientPartition

    from stream.patience import Patience
    from stream.records import Output

__all__ = ["Publisher", "TransactionalPublisher"]

LONGEST_TRANSACTION = 16 * TRANSACTION_SECONDS
"""Seconds; within the default `AJIL_MAX_POLL_INTERVAL` and the 15 minutes that a broker allows."""

_TOO_LARGE = {ClientError.MSG_SIZE_TOO_LARGE, ClientError.RECORD_LIST_TOO_LARGE}
_PURGED = {ClientError._PURGE_QUEUE, ClientError._PURGE_INFLIGHT}

Waiting = dict[int, "Output"]
Refused = list[tuple["Output", ClientError]]


class Publisher:
    """Delivers outputs and knows it: acks=all, an idempotent producer, every delivery report looked at.

    `make_producer` is given the seconds that a transaction may take.
    """

    def __init__(
        self,
        make_producer: Callable[[int], Producer],
        patience: Patience,
        log: structlog.stdlib.BoundLogger,
        on_error: Callable[[ClientError], None],
    ) -> None:
        self._make_producer = make_producer
        self._patience = patience
        self._log = log
        self._on_error = on_error
        self._seconds = TRANSACTION_SECONDS
        self._producer = self._new_producer()

    def _new_producer(self) -> Producer:
        return self._make_producer(self._seconds)

    @property
    def queued(self) -> int:
        """Records in the producer's queue and on their way, whose delivery has not been reported."""
        return len(self._producer)

    def deliver(self, outputs: Sequence[Output]) -> None:
        """Send every output and return when Kafka has acknowledged each one; what it refuses is sent again, in order.

        Raises `GaveUp` when the stop deadline passes before.
        """
        waiting = dict(enumerate(outputs))
        pause = self._patience.pauses()
        while True:
            refused = self._send_all(waiting)
            if not waiting:
                return
            self._tell(refused)
            pause()

    def _send_all(self, waiting: Waiting) -> Refused:
        """Send what waits, and wait for every report: what Kafka acknowledged is taken out of `waiting`."""
        refused: Refused = []
        try:
            for at, output in list(waiting.items()):
                self._send(at, output, waiting, refused)
            while self._producer.flush(1.0):
                self._patience.alive("waiting for acknowledgements", waiting=len(waiting))
        except GaveUp:
            raise
        except Exception as error:
            # A fatal error comes out of whatever call is next, sometimes as another exception out of a callback that
            # the client runs with the first one pending. What was not reported as acknowledged counts as not sent.
            self._log.error("the producer failed; starting a new one", error=repr(error)[:300])
            self._producer = self._new_producer()
        return refused

    def _tell(self, refused: Refused) -> None:
        # When one output has spoilt its transaction, the client purges others, and may report those first.
        causes = [each for each in refused if each[1].code() not in _PURGED] or refused
        for output, error in causes[:1]:
            remedy = f"raise its max.message.bytes over {output.size}" if error.code() in _TOO_LARGE else None
            self._patience.tell(
                "Kafka refused outputs; nothing is committed until it takes them",
                topic=output.topic,
                refused=len(refused),
                error=explain(error),
                remedy=remedy,
            )

    def _send(self, at: int, output: Output, waiting: Waiting, refused: Refused) -> None:
        def report(error: ClientError | None, _: Message) -> None:
            if error is None:
                waiting.pop(at, None)
            else:
                self._on_error(error)
                refused.append((output, error))

        while True:
            try:
                self._producer.produce(
                    output.topic, value=output.value, key=output.key, headers=output.headers, on_delivery=report
                )
            except BufferError:
                self._patience.alive("the producer's queue is full")
                self._producer.poll(0.1)
            except KafkaException as error:
                if error.args[0].code() not in _TOO_LARGE:
                    raise
                # Larger than message.max.bytes: refused on the spot, there is no report to come.
                refused.append((output, error.args[0]))
                return
            else:
                return


class TransactionalPublisher(Publisher):
    """Delivers outputs and commits the offsets they came from as one: readers in read_committed see both or neither.

    A batch that a slow network does not carry in the time of one transaction has twice the time when it is read again.
    """

    def _new_producer(self) -> Producer:
        producer = super()._new_producer()
        self._patience.retry(lambda: producer.init_transactions(5))
        return producer

    def deliver_with_offsets(
        self, outputs: Sequence[Output], offsets: Sequence[ClientPartition], member: object
    ) -> bool:
        """Send every output and the offsets in one transaction. `member` is the consumer's group metadata.

        Returns False when the transaction was aborted: nothing of it will be seen, and the batch must be read again.
        Raises `GaveUp` when the stop deadline passes before.
        """
        begun = time.monotonic()
        self._timed_out = False
        done = self._transact(outputs, offsets, member)
        if self._timed_out:
            self._allow(min(2 * self._seconds, LONGEST_TRANSACTION))
        elif done and time.monotonic() - begun < TRANSACTION_SECONDS / 2:
            self._allow(TRANSACTION_SECONDS)
        return done

    def _allow(self, seconds: int) -> None:
        """For the next transaction. A producer keeps the time that it was made with."""
        if seconds != self._seconds:
            self._seconds = seconds
            self._log.info("changed the time that a transaction may take", seconds=seconds)
            self._producer = self._new_producer()

    def _transact(self, outputs: Sequence[Output], offsets: Sequence[ClientPartition], member: object) -> bool:
        waiting = dict(enumerate(outputs))
        refused: Refused = []
        try:
            self._producer.begin_transaction()
            for at, output in enumerate(outputs):
                self._send(at, output, waiting, refused)
            if not refused:
                self._step(lambda: self._producer.send_offsets_to_transaction(list(offsets), member, 5))
                self._step(lambda: self._producer.commit_transaction(5))
                return True
        except GaveUp:
            raise
        except KafkaException as error:
            self._patience.tell("a transaction failed; the batch is read again", error=explain(error))
            # Not one of the short time-outs of a call, which `_step` repeats.
            self._timed_out = error.args[0].code() == ClientError._TIMED_OUT
            if not error.args[0].txn_requires_abort():
                self._producer = self._new_producer()
                return False
        except Exception as error:  # see _send_all
            self._log.error("the producer failed; starting a new one", error=repr(error)[:300])
            self._producer = self._new_producer()
            return False
        self._tell(refused)
        self._abort()
        return False

    def _step(self, step: Callable[[], None]) -> None:
        """Repeat a step of a transaction while Kafka says that it may be repeated."""
        while True:
            try:
                step()
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
                self._patience.alive("waiting for a transaction", error=explain(error))
            else:
                return

    def _abort(self) -> None:
        try:
            self._step(lambda: self._producer.abort_transaction(5))
        except KafkaException as error:
            self._log.warning("cannot abort a transaction; starting a new producer", error=explain(error))
            self._producer = self._new_producer()

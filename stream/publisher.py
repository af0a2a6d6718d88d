"""One producer, and what it takes to know that Kafka has a batch's outputs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError as ClientError
from confluent_kafka import KafkaException, Producer

from stream.kafka import explain, producer_config

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import structlog
    from confluent_kafka import Message
    from confluent_kafka import TopicPartition as ClientPartition

    from stream.patience import Patience
    from stream.records import Output
    from stream.settings import Settings

__all__ = ["Publisher", "TransactionalPublisher"]

TRANSACTION_SECONDS = 30
"""A killed worker's open transaction holds up read_committed readers for so long, unless its slot comes back first."""

Refused = list[tuple[int, "Output", ClientError]]


class Publisher:
    """Delivers outputs and knows it: acks=all, an idempotent producer, every delivery report looked at."""

    def __init__(
        self,
        settings: Settings,
        patience: Patience,
        log: structlog.stdlib.BoundLogger,
        on_error: Callable[[ClientError], None],
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._log = log
        self._on_error = on_error
        self._producer = self._new_producer()

    def _config(self) -> dict[str, Any]:
        return producer_config(self._settings) | {
            "error_cb": self._on_error,
            "queue.buffering.max.kbytes": 4 * self._settings.max_record_bytes // 1024,
        }

    def _new_producer(self) -> Producer:
        return Producer(self._config())

    def deliver(self, outputs: Sequence[Output]) -> None:
        """Send every output and return when Kafka has acknowledged each one; what it refuses is sent again.

        Raises `GaveUp` when the stop deadline passes before.
        """
        pending = list(enumerate(outputs))
        pause = self._patience.pauses()
        while True:
            refused: Refused = []
            for at, output in pending:
                self._send(at, output, refused)
            while self._producer.flush(1.0):
                self._patience.alive("waiting for acknowledgements", waiting=len(self._producer))
            if not refused:
                return
            self._tell(refused)
            if any(error.fatal() for _, _, error in refused):
                # Everything that was sent has been reported by now, so the old producer holds nothing.
                self._producer = self._new_producer()
            pause()
            # Partitions answer in any order; within one the order of the inputs must come back.
            pending = [(at, output) for at, output, _ in sorted(refused, key=lambda entry: entry[0])]

    def _tell(self, refused: Refused) -> None:
        _, output, error = refused[0]
        self._log.error(
            "Kafka refused outputs; nothing is committed until it takes them",
            topic=output.topic,
            refused=len(refused),
            error=explain(error),
            bytes=output.size,
        )

    def _send(self, at: int, output: Output, refused: Refused) -> None:
        def report(error: ClientError | None, _: Message) -> None:
            if error is not None:
                self._on_error(error)
                refused.append((at, output, error))

        while True:
            try:
                self._producer.produce(
                    output.topic, value=output.value, key=output.key, headers=output.headers, on_delivery=report
                )
            except BufferError:
                self._patience.alive("the producer's queue is full")
                self._producer.poll(0.1)
            except KafkaException as error:
                # Refused on the spot (larger than message.max.bytes, a fatal error): there is no report to come.
                refused.append((at, output, error.args[0]))
                return
            else:
                return


class TransactionalPublisher(Publisher):
    """Delivers outputs and commits the offsets they came from as one: readers in read_committed see both or neither.

    `slot` names the worker's place among the others, and must be its alone. With a stable one, a restarted worker ends
    its predecessor's open transaction at once; without (None), Kafka does so after `TRANSACTION_SECONDS`.
    """

    def __init__(
        self,
        settings: Settings,
        patience: Patience,
        log: structlog.stdlib.BoundLogger,
        on_error: Callable[[ClientError], None],
        *,
        group: str,
        slot: str | None,
    ) -> None:
        self._id = f"{group}.{slot or uuid.uuid4().hex}"
        super().__init__(settings, patience, log, on_error)

    def _config(self) -> dict[str, Any]:
        return super()._config() | {
            "transactional.id": self._id,
            "transaction.timeout.ms": TRANSACTION_SECONDS * 1000,
            "message.timeout.ms": TRANSACTION_SECONDS * 1000,  # librdkafka wants it no longer than the transaction
        }

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
        refused: Refused = []
        try:
            self._producer.begin_transaction()
            for at, output in enumerate(outputs):
                self._send(at, output, refused)
            if not refused:
                self._step(lambda: self._producer.send_offsets_to_transaction(list(offsets), member, 5))
                self._step(lambda: self._producer.commit_transaction(5))
                return True
        except KafkaException as error:
            self._log.warning("transaction failed; the batch is read again", error=explain(error))
            if error.args[0].fatal():
                self._producer = self._new_producer()
                return False
        if refused:
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

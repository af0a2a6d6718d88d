"""A producer for commands: sends, counts what Kafka acknowledged, and fails instead of waiting for ever."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException, Producer

from stream.errors import KafkaError
from stream.kafka import explain, producer_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from confluent_kafka import KafkaError as ClientError
    from confluent_kafka import Message

    from stream.records import Output
    from stream.settings import Settings

__all__ = ["Sender"]


class Sender:
    """Kafka has `timeout` seconds for each record. `sent` and `acknowledged` count records."""

    def __init__(self, settings: Settings, timeout: float) -> None:
        # The client's asides (a coordinator that is still loading) are not for the user of a command.
        logging.getLogger("librdkafka").setLevel(logging.ERROR)
        self._producer = Producer(producer_config(settings) | {"message.timeout.ms": int(timeout * 1000)})
        self._refused: list[ClientError] = []
        self.sent = 0
        self.acknowledged = 0

    def send(self, output: Output) -> None:
        """Queue one record; waits while the queue is full."""
        while True:
            try:
                self._producer.produce(
                    output.topic, output.value, output.key, headers=output.headers, on_delivery=self._report
                )
                break
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                self._refused.append(error.args[0])
                break
        self.sent += 1
        self._producer.poll(0)

    def finish(self, watch: Callable[[], None]) -> None:
        """Return when Kafka has answered for every record; `watch` is called meanwhile.

        Raises `KafkaError` when it refused any.
        """
        while self._producer.flush(0.2):
            watch()
        if self._refused:
            raise KafkaError(
                f"{len(self._refused)} of {self.sent} records were refused, the first with: {explain(self._refused[0])}"
            )

    def _report(self, error: ClientError | None, _: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._refused.append(error)

"""What every agent of a worker counts: records, batches, partitions, Kafka. docs/metrics.md lists it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AgentMetrics"]

# From a single short article to a batch of whole pages.
_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BATCH_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)

_AGENT = "`classify`, `alerts`, `feedback`"
_TOPIC = "a Kafka topic"


class AgentMetrics:
    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.registry = self.catalogue.registry
        self._count_records(self.catalogue)
        self._count_kafka(self.catalogue)

    def _count_records(self, catalogue: Catalogue) -> None:
        self.consumed = catalogue.counter(
            "records_consumed", "Records handed to an agent, repeats included.", agent=_AGENT
        )
        self.in_flight = catalogue.gauge(
            "records_in_flight", "Records handed to an agent whose outputs Kafka has not acknowledged.", agent=_AGENT
        )
        self.returned = catalogue.counter(
            "records_returned",
            "Records of batches dropped before their commit (an aborted transaction, a rebalance), consumed again.",
            agent=_AGENT,
        )
        self.lost = catalogue.counter(
            "records_lost",
            "Records that Kafka deleted (retention) before they were read; the log has their offsets.",
            topic=_TOPIC,
        )
        self.stage = catalogue.histogram(
            "stage_duration_seconds",
            "Time of one stage for one batch.",
            _BATCH_SECONDS,
            agent=_AGENT,
            stage="`classify` (the alerts agent: `place`), then `deliver` and `commit`, or `transaction` for both",
        )
        self.batch = catalogue.histogram(
            "batch_duration_seconds",
            "From poll to commit; of a batch that was read ahead, from the commit before. Its sum grows by the share "
            "of time in which the agent is busy.",
            _BATCH_SECONDS,
            agent=_AGENT,
        )
        self.batch_records = catalogue.histogram(
            "batch_size_records", "Records in a batch.", _BATCH_RECORDS, agent=_AGENT
        )

    def _count_kafka(self, catalogue: Catalogue) -> None:
        self.ready = catalogue.gauge(
            "agent_ready",
            "1 while the agent's group has told it which partitions it has and it is not stopping.",
            agent=_AGENT,
        )
        self.lag = catalogue.gauge(
            "consumer_lag_records",
            "Records that are not committed yet, on the partitions that this worker has.",
            agent=_AGENT,
            topic=_TOPIC,
            partition="its number",
        )
        self.lag_seconds = catalogue.gauge(
            "consumer_lag_seconds",
            "Age of the oldest record in hand, else of the newest committed one, while records wait; else 0.",
            agent=_AGENT,
            topic=_TOPIC,
            partition="its number",
        )
        self.producer_queue = catalogue.gauge(
            "producer_queue_records",
            "Outputs in the producer's queue or on their way, whose delivery Kafka has not reported.",
            agent=_AGENT,
        )
        self.rebalances = catalogue.counter(
            "rebalances", "Changes of this worker's assignment.", agent=_AGENT, event="`assigned`, `revoked`, `lost`"
        )
        self.commits = catalogue.counter("commits", "Offset commits.", agent=_AGENT, result="`done`, `failed`")
        self.last_commit = catalogue.gauge(
            "last_commit_timestamp_seconds", "Unix time of the last commit.", agent=_AGENT
        )
        self.client_errors = catalogue.counter(
            "kafka_client_errors", "Errors that librdkafka reported.", agent=_AGENT, code="its name for the error"
        )

    def be_ready(self, agent: str, ready: Callable[[], bool]) -> None:
        """Ask `ready` whenever Prometheus asks."""
        self.ready.labels(agent).set_function(ready)

"""The worker's own metrics, updated once a batch. docs/metrics.md lists them.

Every label has a bounded set of values: agents, stages and reasons are named in the code, topics and partitions are
those assigned, languages and topic labels those of the bundle (any other language counts as `other`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from stream.errors import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stream.records import Alert, EnrichedArticle

__all__ = ["Metrics"]

# From a single short article to a batch of whole pages.
_BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# From "seconds after news breaks" to an archive.
_AGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 7200, 86400)
_BATCH_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


class Metrics:
    """One registry for each worker process, so that tests can have their own."""

    def __init__(self, languages: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._languages = frozenset(languages)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ajil_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"ajil_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"ajil_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.consumed = counter("records_consumed", "Records handed to an agent.", "agent")
        self.in_flight = gauge(
            "records_in_flight",
            "Records handed to an agent whose outputs Kafka has not acknowledged.",
            "agent",
        )
        self.returned = counter(
            "records_returned", "Records of aborted transactions; they are consumed again.", "agent"
        )
        self.lost = counter("records_lost", "Records that Kafka deleted before they were read.", "topic")
        self.enriched = counter("articles_enriched", "Enriched articles acknowledged by Kafka.", "lang", "topic")
        self.abstained = counter("topics_abstained", "Enriched articles without a topic.", "lang", "reason")
        self.rejected = counter("records_rejected", "Rejected records acknowledged by Kafka.", "reason")
        self.breaking = counter("articles_breaking", "Articles flagged as breaking, for each reason.", "reason")
        self.alerts = counter("alerts", "Alerts acknowledged by Kafka.", "kind")
        self.held_back = counter(
            "alerts_held_back",
            "Alerts and updates that storm control has kept back, by the limit in their way.",
            "limit",
        )
        self.stories = gauge("stories_open", "Stories in memory.")
        self.feedback = counter("feedback", "Feedback records read, by what became of them.", "result")
        self.stage = histogram(
            "stage_duration_seconds", "Time of one stage for one batch.", _BATCH_SECONDS, "agent", "stage"
        )
        self.batch = histogram("batch_duration_seconds", "From poll to commit.", _BATCH_SECONDS, "agent")
        self.batch_records = histogram("batch_size_records", "Records in a batch.", _BATCH_RECORDS, "agent")
        self.age = histogram(
            "article_age_seconds",
            "Age of an article when its enriched record was acknowledged, since it was published or ingested.",
            _AGE_SECONDS,
            "since",
        )
        self.lag = gauge("consumer_lag_records", "Records not committed yet.", "topic", "partition")
        self.lag_seconds = gauge(
            "consumer_lag_seconds",
            "Age of the oldest record in hand, or of the newest committed one, while records wait, else 0.",
            "topic",
            "partition",
        )
        self.rebalances = counter("rebalances", "Changes of this member's assignment.", "agent", "event")
        self.commits = counter("commits", "Offset commits.", "agent", "result")
        self.last_commit = gauge("last_commit_timestamp_seconds", "Time of the last commit.", "agent")
        self.client_errors = counter("kafka_client_errors", "Errors that Kafka clients reported.", "agent", "code")
        self.model_info = gauge("model_info", "The models served.", "name", "version")

    def language(self, lang: str) -> str:
        """The label value for a language."""
        return lang if lang in self._languages else "other"

    def classified(self, results: Iterable[EnrichedArticle | Rejection], traced: tuple[int, str] | None = None) -> None:
        """Count a batch whose outputs Kafka has acknowledged just now.

        `traced`: the number and the trace id of the one article whose ages carry it as their exemplar.
        """
        now = datetime.now(UTC)
        for number, result in enumerate(results):
            if isinstance(result, Rejection):
                self.rejected.labels(result.reason.value).inc()
                continue
            lang = self.language(result.lang)
            self.enriched.labels(lang, result.topic.label or "none").inc()
            if result.topic.reason:
                self.abstained.labels(lang, result.topic.reason).inc()
            if result.breaking.flag:
                for reason in result.breaking.reasons:
                    self.breaking.labels(reason).inc()
            exemplar = {"trace_id": traced[1]} if traced and traced[0] == number else None
            self.age.labels("ingested").observe(max(0.0, (now - result.ingested_at).total_seconds()), exemplar)
            if result.published_at is not None:
                self.age.labels("published").observe(max(0.0, (now - result.published_at).total_seconds()), exemplar)

    def alerted(self, alerts: Iterable[Alert], held_back: Iterable[str], stories: int) -> None:
        """Count alerts that Kafka has acknowledged, and those that were kept back."""
        for alert in alerts:
            self.alerts.labels(alert.kind).inc()
        for limit in held_back:
            self.held_back.labels(limit).inc()
        self.stories.set(stories)

    def heard(self, results: Mapping[str, int]) -> None:
        """Count feedback whose withdrawals Kafka has acknowledged."""
        for result, count in results.items():
            self.feedback.labels(result).inc(count)

"""The gateway's own metrics. docs/metrics.md lists them.

Labels are bounded: routes are those of the code (anything else is `none`), methods those of the routes, statuses
HTTP's, the rest a few fixed words.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

__all__ = ["GatewayMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class GatewayMetrics:
    """One registry for each gateway, so that tests can have their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ajil_gateway_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"ajil_gateway_{name}", text, labels, registry=self.registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"ajil_gateway_{name}", text, labels, buckets=_SECONDS, registry=self.registry)

        self.requests = counter("requests", "Requests answered.", "route", "method", "status")
        self.duration = histogram("request_duration_seconds", "Time of one request, streams left out.", "route")
        self.articles = counter("articles", "Articles received, by what became of them.", "result")
        self.feedback = counter("feedback", "Feedback acknowledged by Kafka.")
        self.subscribers = gauge("subscribers", "Open alert streams.")
        self.dropped = counter("subscribers_dropped", "Alert streams ended because their reader was too slow.")
        self.resumed = counter("subscribers_resumed", "Alert streams resumed from a position.", "source")
        self.alerts_read = counter("alerts_read", "Alerts read from Kafka.")
        self.alerts_sent = counter("alerts_sent", "Alerts written to streams: one for each stream.")
        self.delay = histogram("alert_delay_seconds", "From an alert's own time until it was written to all streams.")
        self.stories = gauge("stories", "Stories in memory.")
        self.unreadable = counter("records_unreadable", "Records that are no alert or story.", "topic")
        self.kafka_up = gauge("kafka_up", "1 while the client has its broker.", "client")

"""The gateway's own metrics. `python -m stream.exposition` writes docs/metrics.md from them.

Labels are bounded: routes are those of the code (anything else is `none`), methods those of the routes, statuses
HTTP's, the rest a few fixed words.
"""

from __future__ import annotations

from stream.catalogue import Catalogue
from stream.metrics import build_info

__all__ = ["GatewayMetrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class GatewayMetrics:
    def __init__(self) -> None:
        self.catalogue = catalogue = Catalogue()
        route = "as in the code, `none` for any other path"
        self.requests = catalogue.counter(
            "gateway_requests",
            "Requests answered; a stream counts when it ends.",
            route=route,
            method="of HTTP",
            status="of HTTP",
        )
        self.duration = catalogue.histogram(
            "gateway_request_duration_seconds", "Time of one request, streams left out.", _SECONDS, route=route
        )
        self.articles = catalogue.counter(
            "gateway_articles",
            "Articles received.",
            result="`accepted` (Kafka has them), `repeated` (it had them already), `rejected` (they cannot be read)",
        )
        self.feedback = catalogue.counter("gateway_feedback", "Feedback that Kafka acknowledged.")
        self.subscribers = catalogue.gauge("gateway_subscribers", "Open alert streams.")
        self.dropped = catalogue.counter(
            "gateway_subscribers_dropped", "Alert streams ended because their reader was too slow."
        )
        self.resumed = catalogue.counter(
            "gateway_subscribers_resumed", "Alert streams resumed from a position.", source="`memory`, `kafka`"
        )
        self.alerts_read = catalogue.counter("gateway_alerts_read", "Alerts read from Kafka.")
        self.alerts_sent = catalogue.counter("gateway_alerts_sent", "Alerts written to streams, one for each stream.")
        self.delay = catalogue.histogram(
            "gateway_alert_delay_seconds",
            "From the time that an alert carries until it was written to every stream that keeps up.",
            _SECONDS,
        )
        self.stories = catalogue.gauge("gateway_stories", "Stories in memory.")
        self.unreadable = catalogue.counter(
            "gateway_records_unreadable", "Records that are no alert or story.", topic="a Kafka topic"
        )
        self.kafka_up = catalogue.gauge(
            "gateway_kafka_up",
            "1 while the client has its broker.",
            client="`producer`, or the topic that a reader reads",
        )
        build_info(catalogue)
        self.registry = catalogue.registry

"""What the gateway counts of its subscriptions. docs/metrics.md lists it.

Destinations and services are those that the subscriptions file names, results a few fixed words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["SubscriptionMetrics"]

# From "at once" to a digest of a day.
_AGE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 7200, 21600, 86400)


class SubscriptionMetrics:
    """Part of the gateway's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.deliveries = Counter(
            "ajil_deliveries",
            "Messages that a destination took or did not.",
            ("destination", "service", "result"),
            registry=registry,
        )
        self.age = Histogram(
            "ajil_delivery_age_seconds",
            "Age of an alert when its destination took it.",
            ("service",),
            buckets=_AGE_SECONDS,
            registry=registry,
        )
        self.circuit_open = Gauge(
            "ajil_destination_circuit_open",
            "1 while a destination that keeps failing is left alone between attempts.",
            ("destination",),
            registry=registry,
        )
        self.reloads = Counter(
            "ajil_subscriptions_reloads", "Changed subscription files.", ("result",), registry=registry
        )

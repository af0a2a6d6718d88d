"""What the gateway counts of its subscriptions, in the gateway's own catalogue.

Destinations and services are those that the subscriptions file names, results a few fixed words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.catalogue import Catalogue

__all__ = ["SubscriptionMetrics"]

# From "at once" to a digest of a day.
_AGE_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 7200, 21600, 86400)


class SubscriptionMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        destination = "its name in the [subscriptions](subscriptions.md)"
        service = "its kind there"
        self.deliveries = catalogue.counter(
            "deliveries",
            "Messages that a destination took or did not.",
            destination=destination,
            service=service,
            result="`delivered`, `failed` (one attempt; it is tried again), `undelivered` (given up, on "
            "`AJIL_TOPIC_UNDELIVERED`)",
        )
        self.age = catalogue.histogram(
            "delivery_age_seconds",
            "Age of an alert when its destination took it, digests and quiet hours included.",
            _AGE_SECONDS,
            service=service,
        )
        self.circuit_open = catalogue.gauge(
            "destination_circuit_open",
            "1 while a destination that failed five times in a row is left alone for up to a minute between attempts.",
            destination=destination,
        )
        self.reloads = catalogue.counter(
            "subscriptions_reloads",
            "Changes of the subscriptions file.",
            result="`applied`, `refused` (the old one stays in force; the log says why)",
        )

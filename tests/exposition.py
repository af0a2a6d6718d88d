"""What Ajil exposes to Prometheus, so that rules and dashboards can be held to it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from stream.gateway.metrics import GatewayMetrics
from stream.gateway.subscriptions.metrics import SubscriptionMetrics
from stream.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRAPED = {"job", "instance"}
OTHERS = {
    "up": set[str](),
    "process_start_time_seconds": set[str](),
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
"""What Prometheus itself and its client for Python add."""


def _metrics() -> Iterator[MetricWrapperBase]:
    gateway = GatewayMetrics()
    for part in (Metrics(), gateway, SubscriptionMetrics(gateway.registry)):
        yield from (metric for metric in vars(part).values() if isinstance(metric, MetricWrapperBase))


def samples() -> dict[str, set[str]]:
    """The names of all samples, each with its labels."""
    found = dict(OTHERS)
    for metric in _metrics():
        name, labels = metric._name, set(metric._labelnames)
        if isinstance(metric, Histogram):
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        else:
            found[name + ("_total" if metric._type == "counter" else "")] = labels
    return {name: labels | SCRAPED for name, labels in found.items()}


def buckets(name: str) -> set[str]:
    """The bounds of a histogram, as they are in its label `le`."""
    (metric,) = (metric for metric in _metrics() if metric._name == name)
    assert isinstance(metric, Histogram)
    return {str(bound) for bound in metric._upper_bounds}


def unknown(expression: str, recorded: dict[str, set[str]]) -> list[str]:
    """What a PromQL expression names, metrics and their selectors' and groups' labels, and nothing has.

    `recorded` has the labels of recording rules.
    """
    known = samples() | recorded
    wrong = []
    labels: set[str] = set()
    names = re.findall(r"(?<![\w:])((?:\w+:)?(?:ajil|process)_\w+(?::\w+)?|up|ALERTS)\b(?:\{([^}]*)\})?", expression)
    for name, selector in names:
        if name not in known:
            wrong.append(name)
            continue
        labels |= known[name]
        wrong += [
            f"{name}{{{label}}}" for label in re.findall(r"(\w+)\s*(?:=|!)", selector) if label not in known[name]
        ]
    for group in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        made = set(re.findall(r'label_replace\(.*?, "(\w+)"', expression))
        wrong += [label for label in re.findall(r"\w+", group) if label not in labels | made]
    return wrong

"""Metrics, made together with what the documentation says of them: one entry is both.

>>> catalogue = Catalogue()
>>> sold = catalogue.counter("apples_sold", "Apples that were paid for.", sort="`boskoop`, `elstar`")
>>> sold.labels("elstar").inc()
>>> [(family.name, family.kind, family.labels) for family in catalogue.families]
[('ajil_apples_sold_total', 'counter', {'sort': '`boskoop`, `elstar`'})]
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from prometheus_client.core import Metric

__all__ = ["BatchHistogram", "Catalogue", "Family", "Measured", "Values"]

# The client would write the time of each series' first event as a series of its own: a third of a scrape, never asked.
disable_created_metrics()  # type: ignore[no-untyped-call]

_PREFIX = "ajil_"
_Collector = TypeVar("_Collector", bound=Collector)
Values = Iterable[tuple[tuple[str, ...], float]]
"""Label values, and the value that goes with them."""


class Family(NamedTuple):
    """One metric as Prometheus sees it. `labels` says of each label which values it has, `buckets` is of histograms."""

    name: str
    kind: str
    help: str
    labels: dict[str, str]
    buckets: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """Prometheus' base unit; empty where things are counted.

        >>> Family("ajil_article_age_seconds", "histogram", "", {}).unit
        'seconds'
        """
        name = self.name.removesuffix("_total")
        return next((unit for unit in ("seconds", "bytes", "ratio") if name.endswith(f"_{unit}")), "")


class Catalogue:
    """A registry for each process, so that tests can have their own; metrics of the process itself are in it."""

    def __init__(self) -> None:
        self.families: list[Family] = []
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def counter(self, name: str, text: str, /, **labels: str) -> Counter:
        """`labels`: each with its values, in words."""
        self._enter(f"{name}_total", "counter", text, labels)
        return Counter(_PREFIX + name, text, tuple(labels), registry=self.registry)

    def gauge(self, name: str, text: str, /, **labels: str) -> Gauge:
        self._enter(name, "gauge", text, labels)
        return Gauge(_PREFIX + name, text, tuple(labels), registry=self.registry)

    def measured(self, name: str, text: str, measure: Callable[[], Values], /, **labels: str) -> Measured:
        """A gauge whose values are asked for when Prometheus asks, and are absent where there are none."""
        self._enter(name, "gauge", text, labels)
        return self._register(Measured(_PREFIX + name, text, tuple(labels), measure))

    def histogram(self, name: str, text: str, buckets: tuple[float, ...], /, **labels: str) -> Histogram:
        self._enter(name, "histogram", text, labels, buckets)
        return Histogram(_PREFIX + name, text, tuple(labels), buckets=buckets, registry=self.registry)

    def batch_histogram(self, name: str, text: str, buckets: tuple[float, ...], /, **labels: str) -> BatchHistogram:
        """For values that come hundreds at a time."""
        self._enter(name, "histogram", text, labels, buckets)
        return self._register(BatchHistogram(_PREFIX + name, text, tuple(labels), buckets))

    def _enter(self, name: str, kind: str, text: str, labels: dict[str, str], buckets: tuple[float, ...] = ()) -> None:
        self.families.append(Family(_PREFIX + name, kind, text, labels, buckets))

    def _register(self, collector: _Collector) -> _Collector:
        self.registry.register(collector)
        return collector


class Measured(Collector):
    """See `Catalogue.measured`."""

    def __init__(self, name: str, text: str, labels: Sequence[str], measure: Callable[[], Values]) -> None:
        self._name, self._text, self._labels, self._measure = name, text, labels, measure

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._measure():
            family.add_metric(labels, value)
        return [family]


class BatchHistogram(Collector):
    """The client's histogram takes a microsecond a value, mostly for locks; this one takes one lock for a batch."""

    def __init__(self, name: str, text: str, labels: Sequence[str], buckets: tuple[float, ...]) -> None:
        self._name, self._text, self._labels, self._buckets = name, text, labels, buckets
        self._lock = Lock()
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}
        self._exemplars: dict[tuple[str, ...], dict[int, Exemplar]] = {}

    def observe(self, values: Sequence[float], *labels: str) -> None:
        """Count the values, all under the same label values."""
        if not values:
            return
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * (len(self._buckets) + 1))
            for value in values:
                counts[bisect_left(self._buckets, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + sum(values)

    def show(self, value: float, trace_id: str, *labels: str) -> None:
        """Make a trace the exemplar of the bucket that the value, which was observed, is in."""
        exemplar = Exemplar({"trace_id": trace_id}, value, time.time())
        with self._lock:
            self._exemplars.setdefault(labels, {})[bisect_left(self._buckets, value)] = exemplar

    def describe(self) -> Iterable[Metric]:
        return [HistogramMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[Metric]:
        """
        >>> histogram = BatchHistogram("ages_seconds", "Ages.", (), (1.0, 5.0))
        >>> histogram.observe([0.5, 1.0, 7.0])
        >>> (family,) = histogram.collect()
        >>> [(sample.name, sample.labels.get("le"), sample.value) for sample in family.samples]
        ... # doctest: +NORMALIZE_WHITESPACE
        [('ages_seconds_bucket', '1.0', 2), ('ages_seconds_bucket', '5.0', 2), ('ages_seconds_bucket', '+Inf', 3),
         ('ages_seconds_count', None, 3), ('ages_seconds_sum', None, 8.5)]
        """
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        bounds = [*(str(float(bound)) for bound in self._buckets), "+Inf"]
        with self._lock:
            for labels, counts in self._counts.items():
                shown = self._exemplars.get(labels, {})
                buckets = [
                    (bound, count, shown[number]) if number in shown else (bound, count)
                    for number, (bound, count) in enumerate(zip(bounds, accumulate(counts), strict=True))
                ]
                family.add_metric(labels, buckets, self._sums[labels])
        return [family]

"""What is usual for a model: what its topics, its confidence and its vocabulary were on outlets that it never saw."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bins", "Shape", "Usual"]

_BINS = 10
"""Deciles, as PSI has them by custom: no bin is empty by itself, and each counts alike."""
_DIGITS = 6
"""Of the edges, as of a confidence in the enriched records."""


class Bins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`edges` part the line; `shares`, one more, is how much usually lies up to the first edge, up to the second, and
    so on, and over the last."""

    edges: list[float]
    shares: list[float]

    @classmethod
    def of(cls, values: NDArray[np.floating], weight: NDArray[np.floating]) -> Bins:
        """Bins of equal shares, fewer where values are alike.

        >>> Bins.of(np.array([0.1, 0.2, 0.2, 0.4]), np.ones(4))
        Bins(edges=[0.1, 0.2], shares=[0.25, 0.5, 0.25])
        """
        values = np.array([round(value, _DIGITS) for value in values.tolist()])  # as `index` does, to the last bit
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weight[order]) / weight.sum()
        cuts = np.searchsorted(reached, np.arange(1, _BINS) / _BINS - 1e-9)
        edges = sorted(set(values[order][cuts].tolist()) - {float(values.max())})
        shares = np.bincount(np.searchsorted(edges, values), weights=weight, minlength=len(edges) + 1)
        return cls(edges, (shares / shares.sum()).round(4).tolist())

    def index(self, value: float) -> int:
        """The bin of a value, to the six digits that edges have: a third of a text's words is a frequent one.

        >>> [Bins([0.1, 0.333333], [0.25, 0.5, 0.25]).index(value) for value in (0.0, 0.1, 0.15, 1 / 3, 0.4)]
        [0, 0, 1, 1, 2]
        """
        return bisect_left(self.edges, round(value, _DIGITS))


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of full or of short texts. `topics`: label -> share of the texts that it was the best label of; `confidence` is
    that of the best label; `vocabulary` the share of a text's words that the model does not know."""

    topics: dict[str, float]
    confidence: Bins
    vocabulary: Bins


class Usual(msgspec.Struct, frozen=True):
    """`rows` counts what the model was taught, by label. A bundle of before has neither `full` nor `short`, and other
    fields that are passed over: what it serves cannot be held against anything."""

    rows: dict[str, int] = {}
    outlets: list[str] = []
    full: Shape | None = None
    short: Shape | None = None

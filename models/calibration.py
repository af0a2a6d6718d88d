"""Scores -> probabilities, and how honest these are."""

from __future__ import annotations

from math import exp
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.integer]

__all__ = [
    "accuracy_at",
    "calibration_error",
    "fit_temperature",
    "logistic",
    "probabilities",
    "softmax",
    "threshold_for",
]

_TEMPERATURES = np.geomspace(0.03, 1.0, 50)
_FLOORS = (0.0, 0.01, 0.03, 0.06, 0.1)


def softmax(scores: Floats, temperature: float, floor: float = 0.0) -> Floats:
    """Rows of scores -> rows of probabilities; a lower temperature is surer.

    `floor` is shared out evenly over the labels: the part of the truth that scores do not know.

    >>> softmax(np.array([[1.0, 0.0]]), 0.5).round(3).tolist()
    [[0.881, 0.119]]
    """
    scaled = scores / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    exp = np.exp(scaled)
    return np.asarray((1 - floor) * exp / exp.sum(axis=1, keepdims=True) + floor / scores.shape[1])


def probabilities(scores: Sequence[float], temperature: float, floor: float = 0.0) -> list[float]:
    """`softmax` of one row: for the few labels of one article numpy costs ten times as much.

    >>> [round(p, 3) for p in probabilities([1.0, 0.0], 0.5)]
    [0.881, 0.119]
    """
    best = max(scores) / temperature
    likely = [exp(score / temperature - best) for score in scores]
    total, rest = sum(likely), floor / len(likely)
    return [(1 - floor) * each / total + rest for each in likely]


def logistic(score: float) -> float:
    """The probability that a score of log odds gives.

    >>> logistic(0.0), logistic(-1e6), logistic(1e6)
    (0.5, 0.0, 1.0)
    """
    return 1 / (1 + exp(-score)) if score > -700 else 0.0  # where exp would overflow


def fit_temperature(scores: Floats, truth: Ints, weight: Floats | None = None) -> tuple[float, float]:
    """Temperature and floor with the least log loss; Guo et al., "On calibration of modern neural networks"
    (2017)."""

    def loss(pair: tuple[float, float]) -> float:
        right = softmax(scores, *pair)[np.arange(len(truth)), truth]
        return float(-np.average(np.log(right + 1e-9), weights=weight))

    return min(((float(t), f) for t in _TEMPERATURES for f in _FLOORS), key=loss)


def threshold_for(confidence: Floats, right: Floats, accuracy: float, weight: Floats | None = None) -> float:
    """The lowest confidence above which at least `accuracy` of the answers are right, but half are answered.

    Rounded up to 0.01; `weight` is what each answer counts.

    >>> threshold_for(np.array([0.4, 0.6, 0.8]), np.array([0.0, 1.0, 1.0]), 0.9)
    0.6
    """
    order = np.argsort(-confidence, kind="stable")
    mass = np.ones(len(order)) if weight is None else weight[order]
    share = np.cumsum(right[order] * mass) / np.cumsum(mass)
    half = int(np.searchsorted(np.cumsum(mass), mass.sum() / 2))
    last = max([half, *np.flatnonzero(share >= accuracy)])
    return float(np.ceil(float(confidence[order][last]) * 100 - 1e-4) / 100)


def calibration_error(confidence: Floats, right: Floats, bins: int = 15) -> float:
    """Expected calibration error over `bins` bins of equal width; Naeini, Cooper and Hauskrecht (2015)."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[which == b].sum() - right[which == b].sum()) for b in range(bins)]
    return float(sum(gaps) / max(len(confidence), 1))


def accuracy_at(confidence: Floats, right: Floats, coverage: float) -> float:
    """Accuracy on the `coverage` share of answers with the highest confidence."""
    kept = np.argsort(-confidence, kind="stable")[: max(1, round(coverage * len(confidence)))]
    return float(right[kept].mean())

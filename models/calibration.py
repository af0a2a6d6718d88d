"""Scores -> probabilities, and how honest these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.integer]

__all__ = ["accuracy_at", "calibration_error", "fit_temperature", "softmax", "threshold_for"]

_TEMPERATURES = np.geomspace(0.02, 2.0, 200)


def softmax(scores: Floats, temperature: float) -> Floats:
    """Rows of scores -> rows of probabilities; a lower temperature is surer.

    >>> softmax(np.array([[1.0, 0.0]]), 0.5).round(3).tolist()
    [[0.881, 0.119]]
    """
    scaled = scores / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    exp = np.exp(scaled)
    return np.asarray(exp / exp.sum(axis=1, keepdims=True))


def fit_temperature(scores: Floats, truth: Ints, weight: Floats | None = None) -> float:
    """The temperature with the least log loss; Guo et al., "On calibration of modern neural networks"
    (2017)."""

    def loss(temperature: float) -> float:
        right = softmax(scores, temperature)[np.arange(len(truth)), truth]
        return float(-np.average(np.log(right + 1e-9), weights=weight))

    return float(min(_TEMPERATURES, key=loss))


def threshold_for(confidence: Floats, right: Floats, accuracy: float) -> float:
    """The lowest confidence above which at least `accuracy` of the answers are right, rounded up to 0.01;
    at most 0.99.

    >>> threshold_for(np.array([0.4, 0.6, 0.8]), np.array([0.0, 1.0, 1.0]), 0.9)
    0.6
    """
    order = np.argsort(-confidence, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(share >= accuracy)
    if not len(good):
        return 0.99
    return min(0.99, float(np.ceil(confidence[order][good[-1]] * 100 - 1e-9) / 100))


def calibration_error(confidence: Floats, right: Floats, bins: int = 15) -> float:
    """Expected calibration error over `bins` bins of equal width; Naeini, Cooper and Hauskrecht (2015)."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[which == b].sum() - right[which == b].sum()) for b in range(bins)]
    return float(sum(gaps) / max(len(confidence), 1))


def accuracy_at(confidence: Floats, right: Floats, coverage: float) -> float:
    """Accuracy on the `coverage` share of answers with the highest confidence."""
    kept = np.argsort(-confidence, kind="stable")[: max(1, round(coverage * len(confidence)))]
    return float(right[kept].mean())

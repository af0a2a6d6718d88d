"""One topic model from examples: labels made trustworthy first, then the weights."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import vstack

from models.calibration import softmax
from models.estimator import Blend
from models.examples import Features, draw

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from models.examples import Examples
    from models.recipe import Recipe

    Rows = NDArray[np.intp]

__all__ = ["Learned", "learn", "weights"]

_TEMPERATURE = 0.2  # of a teacher; near what is fitted on left-out outlets
_AGREED = 0.5  # confidence of a teacher that says what the desk says too
_ALONE = 0.9  # and of one that is the only witness


class Learned(NamedTuple):
    """A model and the columns it looks at."""

    features: Features
    linear: Blend

    def scores(self, examples: Examples, rows: Rows, *, short: bool = False) -> NDArray[np.float32]:
        """Scores, (n rows, n labels)."""
        return self.linear.decision_function(examples.matrix(rows, self.features, short=short))

    def answers(self, examples: Examples, rows: Rows) -> tuple[NDArray[Any], NDArray[np.floating[Any]]]:
        """The best label of each row and its confidence."""
        p = softmax(self.scores(examples, rows), _TEMPERATURE)
        return self.linear.classes_[p.argmax(axis=1)], p.max(axis=1)


def learn(examples: Examples, rows: Rows, recipe: Recipe) -> Learned:
    """Teach a model with the examples `rows`; raises ValueError when they have fewer than two labels."""
    labels = examples.labels.copy()
    if recipe.relabel:
        _take_mixed_desks_apart(examples, rows, labels, recipe)
    taught = rows[labels[rows] != ""]
    model = _fit(examples, taught, labels, np.ones(len(taught)), recipe)
    unlabelled = rows[labels[rows] == ""]
    if not recipe.desks or not len(unlabelled):
        return model
    agreed = _agreed(examples, unlabelled, labels, model, recipe)
    trust = np.concatenate([np.ones(len(taught)), np.full(len(agreed), recipe.desk_weight)])
    return _fit(examples, np.concatenate([taught, agreed]), labels, trust, recipe)


def weights(labels: Iterable[str], sources: Iterable[str]) -> NDArray[np.float64]:
    """Equal mass for each label and, within a label, for each outlet; the mean weight is 1.

    >>> weights(["sport", "sport", "health"], ["a", "b", "a"]).tolist()
    [0.75, 0.75, 1.5]
    """
    both = list(zip(labels, sources, strict=True))
    pairs = Counter(both)
    outlets = Counter(label for label, _ in pairs)
    weight = np.array([1 / (outlets[a] * pairs[a, b]) for a, b in both])
    return np.asarray(weight / weight.mean())


def _fit(examples: Examples, rows: Rows, labels: NDArray[Any], trust: NDArray[np.float64], recipe: Recipe) -> Learned:
    features = examples.features(rows)
    X, y, weight = examples.matrix(rows, features), labels[rows].astype(str), trust
    if recipe.balance:
        weight = trust * weights(y, examples.sources[rows])
    if recipe.titles:
        X = vstack([X, examples.matrix(rows, features, short=True)]).tocsr()
        y, weight = np.concatenate([y, y]), np.concatenate([weight, recipe.titles * weight])
    blend = Blend(naive_bayes=recipe.naive_bayes, C=recipe.C)
    return Learned(features, blend.fit(X, y, sample_weight=weight / weight.mean()))


def _take_mixed_desks_apart(examples: Examples, rows: Rows, labels: NDArray[Any], recipe: Recipe) -> None:
    """Relabel the rows of a desk that names two topics where a model taught without them says the other one."""
    mixed = np.array([row for row in rows if labels[row] and len(examples.hints[row]) > 1], dtype=np.intp)
    others = np.setdiff1d(rows[labels[rows] != ""], mixed)
    if not len(mixed) or len(set(labels[others])) < 2:
        return
    said, _ = _fit(examples, others, labels, np.ones(len(others)), recipe).answers(examples, mixed)
    for row, label in zip(mixed, said, strict=True):
        if label in examples.hints[row]:
            labels[row] = label


def _agreed(examples: Examples, rows: Rows, labels: NDArray[Any], teacher: Learned, recipe: Recipe) -> Rows:
    """Of rows without a label those that can be trusted with one; it is written into `labels`."""
    said, confidence = teacher.answers(examples, rows)
    hinted = np.array([label in examples.hints[row] for row, label in zip(rows, said, strict=True)])
    trusted = confidence >= np.where(hinted, _AGREED, _ALONE)
    labels[rows[trusted]] = said[trusted]
    groups: dict[tuple[str, str], list[int]] = {}
    for row in rows[trusted]:
        groups.setdefault((examples.sources[row], labels[row]), []).append(int(row))
    drawn = [draw(np.array(group, dtype=np.intp), recipe.desk_cap) for _, group in sorted(groups.items())]
    return np.concatenate([np.empty(0, dtype=np.intp), *drawn])

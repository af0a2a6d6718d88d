"""What a recipe is worth on outlets it never saw: every outlet answered by a model taught by the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.calibration import accuracy_at, calibration_error, fit_temperature, softmax
from models.learn import Learned, learn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from models.examples import Examples
    from models.recipe import Recipe

__all__ = ["LeftOut", "by_outlet", "figures", "leave_one_out", "macro_f1", "probabilities"]

_ABSENT = -2.0  # the score of a label that the teaching outlets do not have


class LeftOut(NamedTuple):
    """Answers about rows of outlets left out; all arrays have one element a row, in the same order.

    `full` and `short` are scores (n rows, n labels); `truth` indexes `labels`; `weight` gives outlets equal mass;
    `full_unknown` and `short_unknown` are the shares of a row's words that the model taught by the others lacks.
    """

    labels: list[str]
    outlet: NDArray[Any]
    truth: NDArray[np.intp]
    full: NDArray[np.float32]
    short: NDArray[np.float32]
    weight: NDArray[np.float64]
    full_unknown: NDArray[np.float64]
    short_unknown: NDArray[np.float64]


def leave_one_out(examples: Examples, recipe: Recipe, on_step: Callable[[str], None] = lambda name: None) -> LeftOut:
    """Leave each outlet out in turn; with one outlet only, a fifth of the rows (and be told too good a story).

    Rows whose label no other outlet has cannot be asked about and are left away.
    """
    labels = sorted(set(examples.labels) - {""})
    outlet: list[str] = []
    truth: list[int] = []
    full: list[NDArray[np.float32]] = []
    short: list[NDArray[np.float32]] = []
    full_unknown: list[NDArray[np.float64]] = []
    short_unknown: list[NDArray[np.float64]] = []
    for name, asked in _folds(examples):
        rows = np.arange(len(examples.labels))
        model = learn(examples, rows[~asked], recipe)
        answerable = rows[asked & np.isin(examples.labels.astype(str), model.linear.classes_)]
        outlet += [name] * len(answerable)
        truth += [labels.index(label) for label in examples.labels[answerable]]
        columns = [labels.index(label) for label in model.linear.classes_]
        for view, unknown, is_short in ((full, full_unknown, False), (short, short_unknown, True)):
            unknown.append(_unknown(examples, model, answerable, short=is_short))
            scores = np.full((len(answerable), len(labels)), _ABSENT, dtype=np.float32)
            scores[:, columns] = model.scores(examples, answerable, short=is_short)
            view.append(scores)
        on_step(name)
    names, counts = np.unique(outlet, return_counts=True)
    mass = dict(zip(names, 1 / counts, strict=True))
    return LeftOut(
        labels,
        np.array(outlet),
        np.array(truth, dtype=np.intp),
        np.vstack(full),
        np.vstack(short),
        np.array([mass[name] for name in outlet]),
        np.concatenate(full_unknown),
        np.concatenate(short_unknown),
    )


def _unknown(examples: Examples, model: Learned, rows: NDArray[np.intp], *, short: bool) -> NDArray[np.float64]:
    counts, words = (examples.short, examples.short_words) if short else (examples.full, examples.full_words)
    single = np.array([" " not in term for term in examples.terms[model.features.columns]])
    known = np.asarray(counts[rows][:, model.features.columns[single]].sum(axis=1)).ravel()
    return np.asarray(1 - known / np.maximum(words[rows], 1))


def _folds(examples: Examples) -> list[tuple[str, NDArray[np.bool_]]]:
    labelled = examples.labels != ""
    folds = []
    for outlet in examples.outlets:
        mine = examples.sources == outlet
        if len(set(examples.labels[labelled & ~mine])) > 1:
            folds.append((outlet, mine))
    if len(folds) > 1:
        return folds
    order = np.cumsum(labelled)
    return [(f"fifth {fifth + 1}", order % 5 == fifth) for fifth in range(5)]


def macro_f1(truth: NDArray[np.intp], answer: NDArray[np.intp]) -> float:
    """Mean F1 over the labels that occur in `truth`; answers may be any label.

    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 2, 1])).__round__(3)
    0.833
    """
    scores = []
    for label in np.unique(truth):
        hit = int(((truth == label) & (answer == label)).sum())
        scores.append(2 * hit / int((truth == label).sum() + (answer == label).sum()))
    return float(np.mean(scores))


def figures(truth: NDArray[np.intp], probability: NDArray[np.floating[Any]]) -> dict[str, float]:
    """Macro-F1, accuracy, accuracy on the surest 80%, calibration error."""
    answer, confidence = probability.argmax(axis=1), probability.max(axis=1)
    right = answer == truth
    found = {
        "macro_f1": macro_f1(truth, answer),
        "accuracy": float(right.mean()),
        "at_80": accuracy_at(confidence, right, 0.8),
        "calibration_error": calibration_error(confidence, right),
    }
    return {name: round(value, 4) for name, value in found.items()}


def probabilities(left_out: LeftOut, scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probabilities (n rows, n labels), every outlet's by the temperature and floor of the other outlets."""
    p = np.zeros(scores.shape)
    for name in np.unique(left_out.outlet):
        mine = left_out.outlet == name
        pair = fit_temperature(scores[~mine], left_out.truth[~mine], left_out.weight[~mine])
        p[mine] = softmax(scores[mine], *pair)
    return p


def by_outlet(left_out: LeftOut, scores: NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """`figures` of each outlet, calibrated on the others."""
    p = probabilities(left_out, scores)
    return {
        str(name): figures(left_out.truth[left_out.outlet == name], p[left_out.outlet == name])
        for name in np.unique(left_out.outlet)
    }

"""Labelled rows -> a bundle, one model for each language the rows have.

What counts is an outlet the model never saw: so no outlet may drown the others (a cap for each outlet and
label, equal mass for each label and, in a label, for each outlet), and what is fitted on answers
(temperatures, thresholds) is fitted on outlets left out in turn.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.bundle import Bundle, Calibration, Language, digest, dump
from models.calibration import fit_temperature, softmax, threshold_for
from models.estimator import Blend, pipeline, vectorizer
from models.furniture import clean
from models.labels import MEDIA_TOPICS
from models.language import language

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from models.corpus import Row

__all__ = ["RECIPE", "Example", "by_language", "capped", "train", "weights"]

RECIPE = "2026.11.22"
"""The date of the recipe below, the first half of every version; change it with the recipe."""

CAP = 1500
"""Rows an outlet may give a label: 700 to 1,500 is best on unseen outlets, more rows of one outlet hurt."""

SURE = 0.9
"""Above the abstention threshold this share of the answers on left-out outlets is right."""

_SHORT_TITLE = 3  # words; a shorter title says nothing alone


class Example(NamedTuple):
    """One row as the model reads it, whole and as a title alone."""

    full: str
    short: str
    label: str
    source: str


def train(rows: Iterable[Row], *, on_step: Callable[[str], None] = lambda name: None) -> Bundle:
    """Train on the rows whose split is `train`; `on_step` hears of each finished language.

    Raises ValueError when no language has two labels with two rows each.
    """
    languages, parts = {}, {}
    for lang, examples in by_language(rows).items():
        counts = Counter(example.label for example in examples)
        examples = [example for example in examples if counts[example.label] > 1]
        if len({example.label for example in examples}) < 2:
            continue
        languages[lang], parts[f"{lang}.joblib"] = _train_language(lang, examples)
        on_step(lang)
    if not languages:
        raise ValueError("no language has two labels with two rows each: there is nothing to learn")
    return Bundle.build(languages, parts)


def by_language(rows: Iterable[Row], splits: Sequence[str] = ("train",)) -> dict[str, list[Example]]:
    """The labelled rows of `splits` as examples, by language; a row that names no language is looked at."""
    found: dict[str, list[Example]] = defaultdict(list)
    for row in rows:
        if row.label is None or row.split not in splits:
            continue
        page = clean(row.title, row.body)
        title = page.title if page.title and len(page.title.split()) >= _SHORT_TITLE else None
        short = title or " ".join(page.body.split()[:12])
        lang = row.lang or language(page.text)
        found[lang].append(Example(page.text, short, row.label, row.source))
    return dict(sorted(found.items()))


def capped(examples: Sequence[Example], cap: int = CAP) -> list[Example]:
    """At most `cap` examples of each outlet and label, drawn with a fixed seed, in their order."""
    groups = defaultdict(list)
    for index, example in enumerate(examples):
        groups[example.source, example.label].append(index)
    random = np.random.default_rng(0)
    kept: list[int] = []
    for _, group in sorted(groups.items()):
        kept += group if len(group) <= cap else random.choice(group, cap, replace=False).tolist()
    return [examples[index] for index in sorted(kept)]


def weights(labels: Sequence[str], sources: Sequence[str]) -> NDArray[np.float64]:
    """Equal mass for each label and, within a label, for each outlet; the mean weight is 1."""
    pairs = Counter(zip(labels, sources, strict=True))
    outlets = Counter(label for label, _ in pairs)
    weight = np.array([1 / (outlets[a] * pairs[a, b]) for a, b in zip(labels, sources, strict=True)])
    return np.asarray(weight / weight.mean())


def _train_language(lang: str, examples: Sequence[Example]) -> tuple[Language, bytes]:
    examples = capped(examples)
    labels = [example.label for example in examples]
    sources = [example.source for example in examples]
    tfidf = vectorizer()
    X = tfidf.fit_transform([example.full for example in examples])
    X_short = tfidf.transform([example.short for example in examples])
    linear = Blend().fit(X, labels, weights(labels, sources))
    full, short = _calibrate(X, X_short, labels, sources, linear.classes_)
    # Python's own integers: numpy's would be three times the size in the file.
    tfidf.vocabulary_ = {term: int(index) for term, index in tfidf.vocabulary_.items()}
    part = dump(pipeline(tfidf, linear))
    known = [str(label) for label in linear.classes_]
    return Language(
        version=f"{RECIPE}-{digest(part)[:8]}",
        part=f"{lang}.joblib",
        labels=known,
        codes={label: MEDIA_TOPICS[label] for label in known if label in MEDIA_TOPICS},
        full=full,
        short=short,
        reference={"labels": dict(sorted(Counter(labels).items()))},
    ), part


def _calibrate(
    X: csr_matrix, X_short: csr_matrix, labels: Sequence[str], sources: Sequence[str], classes: NDArray[Any]
) -> tuple[Calibration, Calibration]:
    """Temperature and threshold for full and for short text, from every outlet answered by the others."""
    y, outlet = np.array(labels), np.array(sources)
    scores: list[list[NDArray[np.float32]]] = [[], []]
    truth: list[NDArray[np.integer[Any]]] = []
    for fold in _folds(y, outlet):
        model = Blend().fit(X[~fold], y[~fold], weights(y[~fold].tolist(), outlet[~fold].tolist()))
        asked = fold & np.isin(y, model.classes_)
        truth.append(np.searchsorted(classes, y[asked]))
        for view, rows in zip(scores, (X, X_short), strict=True):
            padded = np.full((int(asked.sum()), len(classes)), -2.0, dtype=np.float32)
            padded[:, np.searchsorted(classes, model.classes_)] = model.decision_function(rows[asked])
            view.append(padded)
    answers = np.concatenate(truth)
    return _fit(np.vstack(scores[0]), answers), _fit(np.vstack(scores[1]), answers)


def _folds(y: NDArray[Any], outlet: NDArray[Any]) -> list[NDArray[np.bool_]]:
    outlets = sorted(set(outlet))
    folds = [outlet == name for name in outlets]
    folds = [fold for fold in folds if len(set(y[~fold])) > 1]
    if len(folds) > 1:
        return folds
    # One outlet only: there is no unseen one to ask, so take fifths and be told too good a story.
    return [np.arange(len(y)) % 5 == fifth for fifth in range(5)]


def _fit(scores: NDArray[np.float32], truth: NDArray[np.integer[Any]]) -> Calibration:
    temperature = fit_temperature(scores, truth)
    p = softmax(scores, temperature)
    return Calibration(round(temperature, 4), threshold_for(p.max(axis=1), p.argmax(axis=1) == truth, SURE))

"""Labelled rows -> a bundle, one model for each language the rows have.

What counts is an outlet the model never saw. So no outlet may drown the others, and what is fitted on answers
(temperatures, thresholds) is fitted on the answers about outlets left out in turn.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models.alert import lines_by_language, train_alert
from models.arrays import pack
from models.bundle import Alert, Bundle, Calibration, Language, digest, dump
from models.calibration import fit_temperature, softmax, threshold_for
from models.estimator import pipeline, vectorizer
from models.examples import Example, Examples, by_language, capped
from models.export import from_pipeline
from models.labels import MEDIA_TOPICS
from models.learn import Learned, learn
from models.outlets import LeftOut, by_outlet, leave_one_out
from models.recipe import Recipe
from models.usual import Bins, Shape, Usual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray
    from sklearn.pipeline import Pipeline

    from models.corpus import Row

__all__ = ["VERSION", "teachable", "train"]

VERSION = "2026.11.22"
"""The date of the recipe, first half of every model's version: change it when the recipe changes."""

SURE = 0.95
"""Of the answers above the abstention threshold this share is right, on outlets left out (or half are answered)."""


def train(rows: Iterable[Row], *, on_step: Callable[[str, float], None] = lambda name, share: None) -> Bundle:
    """Train on the rows whose split is `train`; `on_step` hears what was done last and which share of all is done.

    The same rows in the same order give the same bundle. Raises ValueError when there is nothing to learn.
    """
    rows = list(rows)
    taught = teachable(rows)
    alerts = {lang: lines for lang, lines in lines_by_language(rows).items() if lang in taught}
    steps = sum(len({e.source for e in examples if e.label}) + 2 for examples in taught.values()) + len(alerts)
    done: list[str] = []

    def step(name: str) -> None:
        done.append(name)
        on_step(name, min(1.0, len(done) / steps))

    languages, parts = {}, {}
    for lang, examples in taught.items():
        language, model = _train_language(lang, examples, step)
        parts[language.part], parts[language.pipeline] = pack(from_pipeline(*model)), dump(model)
        if lang in alerts:
            model, threshold = train_alert(*alerts[lang])
            part, pipeline = f"{lang}-alert.model", f"{lang}-alert.joblib"
            parts[part], parts[pipeline] = pack(from_pipeline(*model)), dump(model)
            language = msgspec.structs.replace(language, alert=Alert(part, pipeline, threshold))
            step(f"{lang}: alert style")
        languages[lang] = _with_version(language, parts)
    return Bundle.build(languages, parts)


def _with_version(language: Language, parts: dict[str, bytes]) -> Language:
    """The version is the recipe's date and a digest of all that makes a verdict."""
    names = [language.part, language.alert.part] if language.alert else [language.part]
    judging = msgspec.structs.replace(language, reference=Usual())
    content = msgspec.json.encode(judging) + b"".join(digest(parts[name]).encode() for name in names)
    return msgspec.structs.replace(language, version=f"{VERSION}-{digest(content)[:8]}")


def teachable(rows: Iterable[Row]) -> dict[str, list[Example]]:
    """Capped examples of every language that has two labels with two rows each; raises ValueError without any."""
    found = {}
    for lang, examples in by_language(rows).items():
        counts = Counter(example.label for example in examples if example.label)
        kept = [example for example in examples if not example.label or counts[example.label] > 1]
        if sum(count > 1 for count in counts.values()) > 1:
            found[lang] = capped(kept, Recipe().cap)
    if not found:
        raise ValueError("no language has two labels with two rows each: there is nothing to learn")
    return found


def _train_language(lang: str, rows: Sequence[Example], on_step: Callable[[str], None]) -> tuple[Language, Pipeline]:
    recipe = Recipe()
    examples = Examples(rows)
    on_step(f"{lang}: {len(rows)} articles")
    left_out = leave_one_out(examples, recipe, lambda outlet: on_step(f"{lang}: without {outlet}"))
    full, short = calibrate(left_out)
    model = learn(examples, np.arange(len(rows)), recipe)
    served = _pipeline(examples, model)
    on_step(f"{lang}: topics")
    labels = [str(label) for label in model.linear.classes_]
    return Language(
        version="",
        part=f"{lang}.model",
        pipeline=f"{lang}.joblib",
        labels=labels,
        codes={label: MEDIA_TOPICS[label] for label in labels if label in MEDIA_TOPICS},
        full=full,
        short=short,
        left_out={
            "full": by_outlet(left_out, left_out.full),
            "short": by_outlet(left_out, left_out.short),
        },
        reference=_usual(examples, left_out, full, short),
    ), served


def calibrate(left_out: LeftOut) -> tuple[Calibration, Calibration]:
    """Temperature and threshold for full and for short text; every outlet weighs the same."""
    return _calibration(left_out, left_out.full), _calibration(left_out, left_out.short)


def _calibration(left_out: LeftOut, scores: NDArray[np.float32]) -> Calibration:
    temperature, floor = fit_temperature(scores, left_out.truth, left_out.weight)
    p = softmax(scores, temperature, floor)
    threshold = threshold_for(p.max(axis=1), p.argmax(axis=1) == left_out.truth, SURE, left_out.weight)
    return Calibration(round(temperature, 4), floor, threshold)


def _pipeline(examples: Examples, model: Learned) -> Pipeline:
    tfidf = vectorizer()
    # Python's own integers and strings: numpy's would be three times the size in the file.
    names = [str(term) for term in examples.terms[model.features.columns]]
    tfidf.vocabulary_ = {term: index for index, term in enumerate(names)}
    tfidf.idf_ = model.features.tfidf.idf_
    return pipeline(tfidf, model.linear)


def _usual(examples: Examples, left_out: LeftOut, full: Calibration, short: Calibration) -> Usual:
    return Usual(
        rows=dict(sorted(Counter(examples.labels[examples.labels != ""]).items())),
        outlets=examples.outlets,
        full=_shape(left_out, left_out.full, full, left_out.full_unknown),
        short=_shape(left_out, left_out.short, short, left_out.short_unknown),
    )


def _shape(
    left_out: LeftOut, scores: NDArray[np.float32], calibration: Calibration, unknown: NDArray[np.float64]
) -> Shape:
    """What is usual is what outlets look like that the model has not seen: those it will be given are such."""
    confidence = softmax(scores, calibration.temperature, calibration.floor).max(axis=1)
    share = np.bincount(scores.argmax(axis=1), weights=left_out.weight, minlength=len(left_out.labels))
    return Shape(
        topics=dict(zip(left_out.labels, (share / share.sum()).round(4).tolist(), strict=True)),
        confidence=Bins.of(confidence, left_out.weight),
        vocabulary=Bins.of(unknown, left_out.weight),
    )

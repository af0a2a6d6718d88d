"""What every way does with its records: Ajil's classify stage, with Ajil's scorer or with scikit-learn's pipeline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

import models.classifier
from models.explain import explain
from models.reference import Reference
from models.scorer import Scorer, Scores
from models.text import terms
from stream.classify import ClassifyStage, load_model
from stream.records import Place, Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.arrays import Arrays
    from stream.records import Output
    from stream.settings import Settings

__all__ = ["BATCH_BYTES", "SCORERS", "Work", "as_record"]

BATCH_BYTES = 1_000_000
"""What librdkafka puts into one request; aiokafka's own 16 kB would cost it a round trip for every eight articles."""
SCORERS = ("ajil", "scikit-learn")


class Work:
    """Records -> outputs: decode, classify, encode. With `single`, the stage is given one record at a time."""

    def __init__(self, settings: Settings, scorer: str, *, single: bool) -> None:
        served = models.classifier.Scorer
        if scorer == "scikit-learn":
            models.classifier.Scorer = _ScikitLearn  # type: ignore[misc, assignment]
        try:
            self._stage = ClassifyStage(load_model(settings), settings)
        finally:
            models.classifier.Scorer = served  # type: ignore[misc]
        self._single = single

    def __call__(self, records: Sequence[Record]) -> list[Output]:
        if self._single:
            return [output for record in records for output in self._stage([record]).outputs]
        return self._stage(records).outputs


class _ScikitLearn:
    """Stands in for `models.scorer.Scorer`: the same answers from TfidfVectorizer and a matrix product."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self._reference = Reference.of(arrays, lambda text: terms(text[0]) + text[1])
        self._names = self._reference.tfidf.get_feature_names_out()
        # What stories are compared by is no scikit-learn: the same for every way.
        self.key_terms = Scorer(arrays).key_terms

    def score(self, texts: Sequence[str], *, marks: Sequence[Sequence[str]] | None = None) -> Scores:
        pairs: Any = list(zip(texts, [list(each) for each in marks] if marks else [[]] * len(texts), strict=True))
        X = self._reference.transform(pairs)
        decision = X @ self._reference.weight + self._reference.intercept
        weight, one = self._reference.weight, decision.shape[1] == 1
        explanation = []
        for row, text in enumerate(texts):
            best, second = (0, 0) if one else (-decision[row]).argsort(kind="stable")[:2]
            moved = weight[:, 0] if one else weight[:, best] - weight[:, second]
            explanation.append(explain(text, X[row], self._names, moved))
        words = np.array([len(text.split()) for text in texts])
        unknown = np.zeros_like(words)  # is counted, but never written
        return Scores(decision, words, X.getnnz(axis=1), unknown, explanation)


def as_record(
    topic: str, partition: int, offset: int, milliseconds: int, key: bytes | None, value: bytes | None, headers: Any
) -> Record:
    """Of what a framework hands out."""
    time = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return Record(Place(topic, partition, offset), time, key, value, list(headers or ()))

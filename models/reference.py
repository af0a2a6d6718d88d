"""scikit-learn's own answer, which the scorer is held to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from models.export import terms_of
from models.text import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from models.arrays import Arrays

__all__ = ["Reference"]


class Reference(NamedTuple):
    """A scikit-learn vectorizer in double precision, and the weights (terms, classes) behind it."""

    tfidf: TfidfVectorizer
    weight: NDArray[np.float32]
    intercept: NDArray[np.float64]

    @classmethod
    def of(cls, arrays: Arrays, analyzer: Callable[[str], list[str]] = terms) -> Reference:
        """The pipeline that `arrays` were made from, but for the precision it computed in."""
        tfidf = TfidfVectorizer(analyzer=analyzer, vocabulary=terms_of(arrays), sublinear_tf=True)
        tfidf.idf_ = arrays.rows["idf"]
        weight = np.ascontiguousarray(arrays.rows["weight"][:, : arrays.classes])
        return cls(tfidf, weight, arrays.intercept)

    def transform(self, texts: Sequence[str]) -> Any:
        """TF-IDF rows, a sparse matrix (n texts, n terms)."""
        return self.tfidf.transform(texts)

    def decision(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Decision values, (n texts, n classes)."""
        return np.asarray(self.transform(texts) @ self.weight + self.intercept)

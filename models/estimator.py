"""The scikit-learn pipeline of one language: TF-IDF over word 1-2 grams, then one merged linear model.

The linear model is a linear SVM with the log-weights of Complement Naive Bayes mixed in: the SVM separates
full articles best, Naive Bayes is the better judge of a few words (Wang and Manning, "Baselines and
bigrams", 2012). Both are linear, so the mix is one weight matrix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from models.text import terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

__all__ = ["Blend", "pipeline", "vectorizer"]


class Blend(ClassifierMixin, BaseEstimator):
    """Linear SVM and Complement Naive Bayes as one weight matrix, rounded to half precision.

    After `fit`: `classes_` (n labels), `coef_` (n labels, n terms) and `intercept_` (n labels), both float32.
    `naive_bayes` is the share of Naive Bayes in the mix, 0 to 1; its weights are centred over the labels and
    scaled to the spread of the SVM's before mixing.
    """

    def __init__(self, naive_bayes: float = 0.3, C: float = 1.0, alpha: float = 0.1) -> None:
        self.naive_bayes = naive_bayes
        self.C = C
        self.alpha = alpha

    def fit(self, X: csr_matrix, y: Sequence[str] | NDArray[Any], sample_weight: NDArray[Any] | None = None) -> Self:
        """Fit on TF-IDF rows `X`; raises ValueError when `y` holds fewer than two labels."""
        svm = LinearSVC(C=self.C, random_state=0).fit(X, y, sample_weight=sample_weight)
        coef, intercept = svm.coef_, svm.intercept_
        if len(svm.classes_) == 2:  # LinearSVC keeps one row for two labels
            coef, intercept = np.vstack([-coef, coef]), np.concatenate([-intercept, intercept])
        if self.naive_bayes:
            bayes = ComplementNB(alpha=self.alpha).fit(X, y, sample_weight=sample_weight)
            log_weights = bayes.feature_log_prob_ - bayes.feature_log_prob_.mean(axis=0)
            log_weights *= coef.std() / log_weights.std()
            coef = (1 - self.naive_bayes) * coef + self.naive_bayes * log_weights
            intercept = (1 - self.naive_bayes) * intercept
        self.classes_ = svm.classes_
        self.coef_ = coef.astype(np.float16).astype(np.float32)
        self.intercept_ = intercept.astype(np.float32)
        return self

    def decision_function(self, X: csr_matrix) -> NDArray[np.float32]:
        """Scores, (n rows, n labels)."""
        return np.asarray(X @ self.coef_.T + self.intercept_, dtype=np.float32)

    def predict(self, X: csr_matrix) -> NDArray[Any]:
        """The best label of each row."""
        return np.asarray(self.classes_[self.decision_function(X).argmax(axis=1)])


def vectorizer() -> TfidfVectorizer:
    """Sublinear TF-IDF over `models.text.terms`, with no vocabulary yet."""
    return TfidfVectorizer(analyzer=terms, sublinear_tf=True, dtype=np.float32)


def pipeline(tfidf: TfidfVectorizer, linear: Blend) -> Pipeline:
    """A fitted pipeline from its fitted steps."""
    return Pipeline([("tfidf", tfidf), ("linear", linear)])

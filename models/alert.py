"""Does a line read like an alert? A linear score on the words and the style of a title or first line.

It learns from alerts whose marker was taken out (else it would only learn to read the marker) against the titles of
ordinary articles.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from models.examples import draw
from models.style import alert_terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from models.corpus import Row

__all__ = ["FALSE_POSITIVES", "lines_by_language", "train_alert"]

FALSE_POSITIVES = 0.002
"""Share of ordinary titles flagged, the mean of outlets left out; they vary, and wanted are 0.005 on any."""

_LINES_OF_OUTLET = 4000  # more gained nothing
_LINES_IN_ALL = 24_000
_FEWEST = 100  # alerts; fewer teach their own story, not a style
_MANY, _LITTLE = 500, 0.1  # posts of an account, and the share that it marks, for the others to count as ordinary
_FOLDS = 6


def lines_by_language(rows: Iterable[Row]) -> dict[str, tuple[list[str], list[tuple[str, str]]]]:
    """Language -> (alerts, [(outlet, ordinary line)]) of the rows whose split is `train`, where there are both.

    Ordinary lines are the titles of topic rows, and the unmarked posts of accounts that post much and mark little:
    an account that marks every third post leaves alerts unmarked too.
    """
    alerts: dict[str, dict[str, None]] = defaultdict(dict)  # a dict: in order, each text once
    titles: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    posts: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    marked: Counter[str] = Counter()
    for row in rows:
        if row.split != "train" or not row.lang:
            continue
        if not row.alerts:
            if row.title:
                titles[row.lang][row.source].append(row.title)
        elif row.stripped and row.breaking:
            alerts[row.lang][row.stripped] = None
            marked[row.source] += 1
        elif row.stripped and row.breaking is False:
            posts[row.lang][row.source].append(row.stripped)
    found = {}
    for lang, texts in sorted(alerts.items()):
        ordinary = dict(titles[lang])
        for outlet, lines in posts[lang].items():
            if len(lines) >= _MANY and marked[outlet] <= _LITTLE * len(lines):
                ordinary[outlet] = lines
        if len(texts) >= _FEWEST and len(ordinary) > 1:
            most = min(_LINES_OF_OUTLET, _LINES_IN_ALL // len(ordinary))
            found[lang] = (list(texts), _drawn(ordinary, most))
    return found


def _drawn(ordinary: dict[str, list[str]], most: int) -> list[tuple[str, str]]:
    return [
        (outlet, lines[index])
        for outlet, lines in sorted(ordinary.items())
        for index in draw(np.arange(len(lines)), most)
    ]


def train_alert(alerts: Sequence[str], ordinary: Sequence[tuple[str, str]]) -> tuple[Pipeline, float]:
    """The fitted pipeline, and the probability from which a line counts as an alert.

    `ordinary` are (outlet, line). The threshold is that of `FALSE_POSITIVES` over outlets answered by a model taught by
    the others, each weighing the same.
    """
    outlets = np.array([outlet for outlet, _ in ordinary])
    lines = [line for _, line in ordinary]
    scores = np.zeros(len(lines))
    names = np.unique(outlets)
    for fold in range(min(_FOLDS, len(names))):
        mine = np.isin(outlets, names[fold::_FOLDS])
        others = [line for line, out in zip(lines, mine, strict=True) if not out]
        model = _fit(alerts, others, outlets[~mine])
        scores[mine] = model.predict_proba([line for line, out in zip(lines, mine, strict=True) if out])[:, 1]
    counts = Counter(outlets)
    mass = np.array([1 / (len(counts) * counts[outlet]) for outlet in outlets])
    order = np.argsort(-scores, kind="stable")
    last = int(np.searchsorted(np.cumsum(mass[order]), FALSE_POSITIVES))
    # Where the left-out lines are told apart too easily, the quantile says nothing: then an even chance must do.
    return _fit(alerts, lines, outlets), max(0.5, round(float(scores[order][last]), 4))


def _fit(alerts: Sequence[str], lines: Sequence[str], outlets: NDArray[Any]) -> Pipeline:
    """Alerts weigh as much as titles, and every outlet's titles the same."""
    counts = Counter(outlets)
    share = [1 / len(alerts)] * len(alerts) + [1 / (len(counts) * counts[outlet]) for outlet in outlets]
    weight = np.array(share) * len(share) / 2
    tfidf = TfidfVectorizer(analyzer=alert_terms, min_df=2, sublinear_tf=True)
    X = tfidf.fit_transform([*alerts, *lines])
    y = np.arange(X.shape[0]) < len(alerts)
    linear = LogisticRegression(C=5.0, max_iter=2000).fit(X, y, sample_weight=weight)
    # Rounded, so that a processor which adds up in another order still gives the same bytes.
    linear.coef_ = linear.coef_.astype(np.float16).astype(np.float64)
    linear.intercept_ = linear.intercept_.astype(np.float32).astype(np.float64)
    tfidf.vocabulary_ = {term: int(index) for term, index in tfidf.vocabulary_.items()}
    return Pipeline([("tfidf", tfidf), ("linear", linear)])

"""The served model: articles in, one verdict each, in the same order.

>>> from models.classifier import Article, Classifier
>>> verdict, = Classifier.load().classify([Article(title=None, body="عاجل: البنك المركزي يرفع سعر الفائدة")])
>>> verdict.lang, verdict.breaking.reasons
('ar', ['marker'])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from models.breaking import Breaking, decide, freshness, has_marker
from models.bundle import SHIPPED, Bundle, Language
from models.calibration import softmax
from models.furniture import Page, clean
from models.language import language
from models.text import surfaces, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

__all__ = ["Alternative", "Article", "Classifier", "Term", "Verdict"]

SHORT = 40
"""Words; a text of fewer is read with the temperature and threshold of titles."""

_FEWEST = 2  # words; one word is no news
_ALTERNATIVES = 3
_TERMS = 5


class Article(NamedTuple):
    """What is read of one article; times are aware. `received_at` is the Kafka record's own time."""

    title: str | None
    body: str
    lang: str | None = None
    section: str | None = None
    urgency: int | None = None
    source: str | None = None
    published_at: datetime | None = None
    received_at: datetime | None = None


class Alternative(NamedTuple):
    """A label and the probability that it is right."""

    label: str
    confidence: float


class Term(NamedTuple):
    """A term as the article writes it, and how far it moved the best label from the second best."""

    term: str
    weight: float


class Verdict(NamedTuple):
    """`label` and `code` are None when the model abstains; `reason` then says why (low_confidence,
    language_unsupported, too_short), and the alternatives are there all the same where there are any."""

    title: str | None
    lang: str
    section: str | None
    label: str | None
    code: str | None
    confidence: float
    reason: str | None
    alternatives: list[Alternative]
    explanation: list[Term]
    breaking: Breaking
    model: str
    version: str


class _Model:
    """One language's pipeline, unpickled, with the term of each column."""

    def __init__(self, known: Language, bundle: Bundle) -> None:
        self.known = known
        self.tfidf, self.linear = bundle.load(known.part)
        self.names = self.tfidf.get_feature_names_out()


class Classifier:
    """One bundle, loaded. Reads only, so threads may share it."""

    def __init__(self, bundle: Bundle) -> None:
        self._languages = bundle.manifest.languages
        self._models = {lang: _Model(known, bundle) for lang, known in self._languages.items()}

    @classmethod
    def load(cls, bundle: Path | None = None, *, sha256: str | None = None) -> Self:
        """Load the bundle in a folder, or the shipped one; raises models.bundle.BundleError."""
        return cls(Bundle.read(bundle or SHIPPED, sha256=sha256))

    @property
    def languages(self) -> list[str]:
        """The languages that have a model."""
        return list(self._languages)

    def labels(self, lang: str) -> list[str]:
        """The labels of a language's model; raises KeyError for a language without one."""
        return self._languages[lang].labels

    def info(self) -> dict[str, str]:
        """Language -> version of its model."""
        return {lang: known.version for lang, known in self._languages.items()}

    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        """One verdict for each article, in order; no article's verdict depends on another's."""
        pages = [clean(article.title, article.body, article.section) for article in articles]
        langs = [language(page.text, article.lang) for page, article in zip(pages, articles, strict=True)]
        verdicts: list[Verdict | None] = [None] * len(articles)
        for lang in sorted(set(langs)):
            mine = [index for index, found in enumerate(langs) if found == lang]
            for index, verdict in zip(
                mine, self._classify(lang, [articles[i] for i in mine], [pages[i] for i in mine]), strict=True
            ):
                verdicts[index] = verdict
        return [verdict for verdict in verdicts if verdict is not None]

    def _classify(self, lang: str, articles: list[Article], pages: list[Page]) -> list[Verdict]:
        if lang not in self._models:
            return [
                _abstained(lang, article, page, "language_unsupported")
                for article, page in zip(articles, pages, strict=True)
            ]
        model = self._models[lang]
        X = model.tfidf.transform([page.text for page in pages])
        scores = model.linear.decision_function(X)
        return [
            _verdict(lang, model, article, page, X[row], scores[row])
            for row, (article, page) in enumerate(zip(articles, pages, strict=True))
        ]


def _breaking(lang: str, article: Article, page: Page) -> Breaking:
    title = (article.title or "").strip()
    head, _, rest = article.body.lstrip().partition("\n")
    return decide(
        marker=has_marker(title, article.body, lang) if title else has_marker(f"{head}\n", rest, lang),
        urgency=article.urgency,
        style=None,
        style_threshold=1.0,
        fresh=freshness(article.published_at, article.received_at),
    )


def _abstained(lang: str, article: Article, page: Page, reason: str) -> Verdict:
    breaking = _breaking(lang, article, page)
    return Verdict(page.title, lang, page.section, None, None, 0.0, reason, [], [], breaking, "", "")


def _verdict(lang: str, model: _Model, article: Article, page: Page, x: Any, scores: Any) -> Verdict:
    known = model.known
    count = len(words(page.text))
    calibration = known.short if count < SHORT else known.full
    p = softmax(scores[None, :].astype(np.float64), calibration.temperature)[0]
    best = np.argsort(-p, kind="stable")[:_ALTERNATIVES]
    alternatives = [Alternative(known.labels[i], float(p[i])) for i in best]
    label, confidence = alternatives[0]
    reason = None
    if count < _FEWEST or not x.nnz:
        reason = "too_short"
    elif confidence < calibration.threshold:
        reason = "low_confidence"
    return Verdict(
        title=page.title,
        lang=lang,
        section=page.section,
        label=None if reason else label,
        code=None if reason else known.codes.get(label),
        confidence=confidence,
        reason=reason,
        alternatives=alternatives,
        explanation=_explain(model, page.text, x, int(best[0]), int(best[1])),
        breaking=_breaking(lang, article, page),
        model=lang,
        version=known.version,
    )


def _explain(model: _Model, text: str, x: Any, best: int, second: int) -> list[Term]:
    """The terms that spoke most for the best label against the second, in the article's own words."""
    coef = model.linear.coef_
    moved = x.data * (coef[best, x.indices] - coef[second, x.indices])
    strongest = [i for i in np.argsort(-moved, kind="stable")[:_TERMS] if moved[i] > 0]
    weight = {str(model.names[x.indices[i]]): float(moved[i]) for i in strongest}
    written: dict[str, str] = {}
    before = ("", "")
    for surface, stem in surfaces(text):
        for term, form in ((stem, surface), (f"{before[1]} {stem}", f"{before[0]} {surface}")):
            if term in weight:
                written.setdefault(term, form)
        if len(written) == len(weight):
            break
        before = (surface, stem)
    return [Term(written[term], round(value, 4)) for term, value in weight.items() if term in written]

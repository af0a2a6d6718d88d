"""The served model: articles in, one verdict each, in the same order.

>>> from models.classifier import Article, Classifier
>>> verdict, = Classifier.load().classify([Article(title=None, body="عاجل: البنك المركزي يرفع سعر الفائدة")])
>>> verdict.lang, verdict.breaking.reasons
('ar', ['marker'])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from models.breaking import Breaking, decide, freshness, has_marker, is_short
from models.bundle import SHIPPED, Bundle, Language
from models.calibration import logistic, probabilities
from models.explain import Term
from models.furniture import Page, clean
from models.language import UNKNOWN, language, says_something
from models.recurring import Profile
from models.scorer import Scorer
from models.style import style

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from models.usual import Usual

__all__ = ["Alternative", "Article", "Classifier", "Term", "Verdict"]

SHORT = 40
"""Words; a text of fewer is judged with the temperature and threshold of titles, and style alone may flag it."""

_FEWEST = 2  # words; one word is no news
_ALTERNATIVES = 3


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


class Verdict(NamedTuple):
    """`title` and `body` are the article without its furniture. `label` and `code` are None when the model abstains;
    `reason` then says why (low_confidence, language_unsupported, too_short), and the alternatives are there all the
    same where there are any. Of the article's `words` the model does not know `unknown`; both are 0 without a model."""

    title: str | None
    body: str
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
    words: int = 0
    unknown: int = 0


class Classifier:
    """One bundle, loaded. Reads only, so threads may share it."""

    def __init__(self, bundle: Bundle, furniture: Profile | None = None) -> None:
        self._furniture = furniture or Profile()
        self._languages = bundle.manifest.languages
        self._models = {lang: _Model(known, bundle) for lang, known in self._languages.items()}

    @classmethod
    def load(cls, bundle: Path | None = None, *, sha256: str | None = None, furniture: Path | None = None) -> Self:
        """Load the bundle in a folder, or the shipped one; raises models.bundle.BundleError.

        `sha256` pins the digest of the bundle's manifest; `furniture` is a profile written by `ajil furniture` (raises
        models.recurring.ProfileError).
        """
        profile = Profile.read(furniture) if furniture else None
        return cls(Bundle.read(bundle or SHIPPED, sha256=sha256), profile)

    @property
    def languages(self) -> list[str]:
        """The languages that have a model."""
        return list(self._languages)

    def labels(self, lang: str) -> list[str]:
        """The labels of a language's model; raises KeyError for a language without one."""
        return self._languages[lang].labels

    def key_terms(self, title: str | None, body: str, lang: str) -> bytes:
        """The terms that tell an article's event, those that say most first: JSON, an array for each
        `models.keyterms.KeyTerm`.

        In a language without a model every share is 0.0.
        """
        own = self._models.get(lang)
        reader = own or next(iter(self._models.values()))  # all read characters alike
        return reader.topics.key_terms(title, body, known=own is not None)

    def usual(self) -> dict[str, Usual]:
        """Language -> what its model read and said of outlets that it never saw."""
        return {lang: known.reference for lang, known in self._languages.items()}

    def info(self) -> dict[str, str]:
        """Language -> version of its model."""
        return {lang: known.version for lang, known in self._languages.items()}

    def left_out(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Language -> full, short -> outlet -> figures on that outlet of a model that never saw it."""
        return {lang: known.left_out for lang, known in self._languages.items()}

    def classify(self, articles: Sequence[Article]) -> list[Verdict]:
        """One verdict for each article, in order; no article's verdict depends on another's."""
        pages = [clean(a.title, a.body, a.section, self._furniture.keys(a.source)) for a in articles]
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
        model = self._models.get(lang)
        if model is None:
            return [
                _unsupported(lang, page, _breaking(lang, article, page, None, ()))
                for article, page in zip(articles, pages, strict=True)
            ]
        decisions = model.breaking(lang, articles, pages)
        scores = model.topics.score([page.text for page in pages])
        found = zip(
            pages,
            decisions,
            scores.decision.tolist(),
            scores.words.tolist(),
            scores.terms.tolist(),
            scores.unknown.tolist(),
            scores.explanation,
            strict=True,
        )
        return [_verdict(lang, model.known, *each) for each in found]


class _Model:
    """One language's scorers."""

    def __init__(self, known: Language, bundle: Bundle) -> None:
        self.known = known
        self.topics = Scorer(bundle.load(known.part))
        self._alert = Scorer(bundle.load(known.alert.part)) if known.alert is not None else None

    def breaking(self, lang: str, articles: list[Article], pages: list[Page]) -> list[Breaking]:
        """The breaking decision about each article."""
        if self.known.alert is None or self._alert is None:
            return [_breaking(lang, a, page, None, ()) for a, page in zip(articles, pages, strict=True)]
        heads = [style(_head(article, page)) for article, page in zip(articles, pages, strict=True)]
        scores = self._alert.score([line for line, _ in heads], marks=[marks for _, marks in heads])
        decisions = []
        for article, page, score, terms in zip(
            articles, pages, scores.decision[:, 0].tolist(), scores.explanation, strict=True
        ):
            p = logistic(score)
            alert = p >= self.known.alert.threshold and is_short(f"{article.title or ''}\n{article.body}", SHORT)
            decisions.append(_breaking(lang, article, page, p, terms if alert else (), alert=alert))
        return decisions


def _head(article: Article, page: Page) -> str:
    """What alert style is read from: the title, the whole of a short text, or a page's headline."""
    if article.title and article.title.strip():
        return article.title
    return article.body if is_short(article.body) else page.title or ""


def _breaking(
    lang: str, article: Article, page: Page, style: float | None, explanation: Sequence[Term], *, alert: bool = False
) -> Breaking:
    line, _, rest = article.body.lstrip().partition("\n")
    # The title as given, a scrape's headline under its section line, the first line of the text.
    heads = [(article.title or "", article.body), (f"{line}\n", rest)]
    if page.title and page.title != article.title:
        heads.append((page.title, article.body))
    return decide(
        marker=any(has_marker(head, text, lang) for head, text in heads),
        urgency=article.urgency,
        style=style,
        alert=alert,
        fresh=freshness(article.published_at, article.received_at),
        explanation=explanation,
    )


def _unsupported(lang: str, page: Page, breaking: Breaking) -> Verdict:
    reason = "too_short" if lang == UNKNOWN and not says_something(page.text) else "language_unsupported"
    return Verdict(page.title, page.body, lang, page.section, None, None, 0.0, reason, [], [], breaking, "", "")


def _verdict(
    lang: str,
    known: Language,
    page: Page,
    breaking: Breaking,
    decision: list[float],
    count: int,
    terms: int,
    unknown: int,
    explanation: list[Term],
) -> Verdict:
    calibration = known.short if count < SHORT else known.full
    p = probabilities(decision, calibration.temperature, calibration.floor)
    best = sorted(range(len(p)), key=p.__getitem__, reverse=True)[:_ALTERNATIVES]
    alternatives = [Alternative(known.labels[i], p[i]) for i in best]
    label, confidence = alternatives[0]
    reason = None
    if count < _FEWEST or not terms:
        reason = "too_short"
    elif confidence < calibration.threshold:
        reason = "low_confidence"
    return Verdict(
        title=page.title,
        body=page.body,
        lang=lang,
        section=page.section,
        label=None if reason else label,
        code=None if reason else known.codes.get(label),
        confidence=confidence,
        reason=reason,
        alternatives=alternatives,
        explanation=explanation,
        breaking=breaking,
        model=lang,
        version=known.version,
        words=count,
        unknown=unknown,
    )

"""Record batch -> enriched articles, rejections and signals. Pure, but for the clock it is given.

One bad record never fails its batch: what cannot be decoded is rejected by itself, and when the model raises on a
batch its articles are asked one after another, so that only the culprit is rejected.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from msgspec import Raw

from models.classifier import Article, Classifier, Verdict
from stream.caution import MAX_DEATHS
from stream.decode import decode
from stream.errors import Reason, Rejection, SettingError
from stream.records import (
    TAKEN_BACK,
    Alternative,
    Breaking,
    EnrichedArticle,
    Freshness,
    ModelRef,
    Output,
    RawArticle,
    Record,
    Signal,
    Term,
    Topic,
    cloudevent_headers,
    encode,
    event_id,
    first_ingested_at,
    rejected_headers,
    trace_headers,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.records import StoryTerm
    from stream.settings import Settings

__all__ = ["Classified", "ClassifyStage", "Model", "load_model"]

MAX_TITLE = 1000
"""Characters of a title that are published: the longest headlines have 300, a flood of marks has a million."""

Result = EnrichedArticle | Rejection


class Model(Protocol):
    """What the stage asks of a model; `models.classifier.Classifier` is one."""

    @property
    def languages(self) -> Sequence[str]: ...

    def key_terms(self, title: str | None, body: str, lang: str) -> bytes: ...

    def classify(self, articles: Sequence[Article]) -> list[Verdict]: ...


class Classified(NamedTuple):
    """A batch's answers, in the order of its records, and what is to be written for them.

    `words` has for each answer the words that its model read, and how many of them it does not know.
    """

    results: list[Result]
    outputs: list[Output]
    words: list[tuple[int, int]]


def load_model(settings: Settings) -> Classifier:
    """The bundle of the settings, tried on two sentences: one that cannot answer must not join a group.

    Raises `models.bundle.BundleError`, or `SettingError` for the furniture profile.
    """
    from models.recurring import ProfileError

    try:
        model = Classifier.load(settings.model, sha256=settings.model_sha256, furniture=settings.furniture)
    except ProfileError as error:
        raise SettingError(f"{error} (AJIL_FURNITURE)") from None
    model.classify([Article(title=None, body="عاجل: هذا اختبار"), Article(title="A test of the model", body="")])
    return model


def _now() -> datetime:
    return datetime.now(UTC)


class ClassifyStage:
    """Holds the model and the names of the topics; keeps nothing between batches."""

    def __init__(self, model: Model, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        self._model = model
        self._settings = settings
        self._clock = clock

    def __call__(self, records: Sequence[Record]) -> Classified:
        results: list[Result] = []
        outputs: list[Output] = []
        words: list[tuple[int, int]] = []
        for record, (result, verdict) in zip(records, self._judge(records), strict=True):
            published: list[Output] = []
            if isinstance(result, EnrichedArticle):
                assert verdict is not None
                try:
                    published = self._publish(record, result, verdict)
                    result = self._fitting(result, published)
                except Exception as error:
                    result = _internal(error, "encode")
            if isinstance(result, Rejection):
                published = [self._reject(record, result)]
            results.append(result)
            outputs += published
            words.append((verdict.words, verdict.unknown) if verdict else (0, 0))
        return Classified(results, outputs, words)

    def results(self, records: Sequence[Record]) -> list[Result]:
        """One enriched article or rejection for each record."""
        return [result for result, _ in self._judge(records)]

    def _judge(self, records: Sequence[Record]) -> list[tuple[Result, Verdict | None]]:
        decoded = [self._decode(record) for record in records]
        pairs = list(zip(records, decoded, strict=True))
        verdicts = iter(self._verdicts([_article(record, raw) for record, raw in pairs if isinstance(raw, RawArticle)]))
        now = self._clock()
        results: list[tuple[Result, Verdict | None]] = []
        for record, raw in pairs:
            if isinstance(raw, Rejection):
                results.append((raw, None))
                continue
            answer = next(verdicts)
            if isinstance(answer, Rejection):
                results.append((answer, None))
            else:
                results.append((_enriched(record, raw, answer, now), answer))
        return results

    def _decode(self, record: Record) -> RawArticle | Rejection:
        if record.deaths >= MAX_DEATHS:
            message = f"a worker died {record.deaths} times while it had this record, and nothing else, in hand"
            return Rejection(Reason.CRASHED, message, stage="classify")
        if record.unreadable:
            return Rejection(Reason.UNDECODABLE, record.unreadable)
        try:
            return decode(record.value, record.headers, max_bytes=self._settings.max_article_bytes)
        except Rejection as rejection:
            return rejection
        except Exception as error:
            return _internal(error, "decode")

    def _verdicts(self, articles: Sequence[Article]) -> list[Verdict | Rejection]:
        if not articles:
            return []
        try:
            return list(self._model.classify(articles))
        except Exception as error:
            if len(articles) == 1:
                # The type only: a model's message may quote the article.
                return [Rejection(Reason.MODEL_ERROR, f"the model raised {type(error).__name__}", stage="classify")]
        return [verdict for article in articles for verdict in self._verdicts([article])]

    def _publish(self, record: Record, article: EnrichedArticle, verdict: Verdict) -> list[Output]:
        key = record.key if record.key is not None else article.id.encode()
        event, time = article.event_id, article.enriched_at
        signal = Signal(
            event_id=event,
            id=article.id,
            url=article.url,
            source=article.source,
            title=article.title,
            lang=article.lang,
            published_at=article.published_at,
            ingested_at=article.ingested_at,
            topic=article.topic.label,
            breaking=article.breaking,
            pubstatus=article.pubstatus,
            version=article.version,
            # They are JSON already, as records.StoryTerm is written.
            terms=cast("list[StoryTerm]", Raw(self._model.key_terms(verdict.title, verdict.body, article.lang))),
        )
        headers = cloudevent_headers(record.headers, "ajil.article.enriched", event, time)
        told, about = encode(signal), cloudevent_headers(trace_headers(record.headers), "ajil.signal", event, time)
        return [
            Output(self._settings.topic_enriched, key, encode(article), headers),
            *(Output(self._settings.topic_signals, lang.encode(), told, about) for lang in self._languages(article)),
        ]

    def _languages(self, article: EnrichedArticle) -> list[str]:
        """Where its story may be: the notice that takes an article back need not be in the article's language."""
        if article.pubstatus not in TAKEN_BACK:
            return [article.lang]
        return sorted({article.lang, *self._model.languages})

    def _fitting(self, article: EnrichedArticle, outputs: list[Output]) -> Result:
        size = max(output.size for output in outputs)
        if size <= self._settings.max_output_bytes:
            return article
        return Rejection(
            Reason.OUTPUT_TOO_LARGE,
            f"the enriched record has {size} bytes; AJIL_MAX_OUTPUT_BYTES allows {self._settings.max_output_bytes}",
            stage="encode",
        )

    def _reject(self, record: Record, rejection: Rejection) -> Output:
        headers = rejected_headers(record, rejection)
        return Output(self._settings.topic_rejected, record.key, record.value, headers)


def _article(record: Record, raw: RawArticle) -> Article:
    return Article(
        title=raw.title,
        body=raw.body,
        lang=raw.lang,
        section=raw.section,
        urgency=raw.urgency,
        source=raw.source,
        published_at=_told_at(record, raw),
        received_at=record.timestamp,
    )


def _told_at(record: Record, raw: RawArticle) -> datetime | None:
    """When the article was news: a replayed one without a date is at least as old as its first reading."""
    first = first_ingested_at(record)
    return first if raw.published_at is None and first < record.timestamp else raw.published_at


def _enriched(record: Record, raw: RawArticle, verdict: Verdict, now: datetime) -> EnrichedArticle:
    return EnrichedArticle(
        event_id=event_id(record.place, record.headers),
        id=raw.id,
        url=raw.url,
        source=raw.source,
        title=_title(verdict.title or raw.body),
        lang=verdict.lang,
        published_at=raw.published_at,
        ingested_at=record.timestamp,
        enriched_at=now,
        topic=Topic(
            verdict.label,
            verdict.code,
            round(verdict.confidence, 6),
            verdict.reason,
            [Alternative(label, round(confidence, 6)) for label, confidence in verdict.alternatives],
        ),
        breaking=Breaking(
            verdict.breaking.flag and raw.pubstatus not in TAKEN_BACK,
            round(verdict.breaking.score, 6),
            list(verdict.breaking.reasons),
            cast("Freshness", verdict.breaking.freshness),
            _terms(verdict.breaking.explanation),
        ),
        explanation=_terms(verdict.explanation),
        section=verdict.section,
        urgency=raw.urgency,
        pubstatus=raw.pubstatus,
        version=raw.version,
        model=ModelRef(verdict.model, verdict.version),
    )


def _internal(error: Exception, stage: str) -> Rejection:
    """A bug of ours must not stop the partition. The type only: a message may quote the article."""
    return Rejection(Reason.INTERNAL, f"Ajil raised {type(error).__name__}; please report it", stage=stage)


def _title(text: str) -> str | None:
    """The title, or the first line of a post that has none: a flash is often no more than that."""
    begin = text[: 10 * MAX_TITLE].lstrip()[:MAX_TITLE]
    return begin.splitlines()[0].rstrip() if begin else None


def _terms(explanation: Sequence[tuple[str, float]]) -> list[Term]:
    return [Term(term, weight) for term, weight in explanation]

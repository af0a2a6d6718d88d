"""The worker's own metrics, updated once a batch. `python -m stream.exposition` writes docs/metrics.md from them.

Every label has a bounded set of values: agents, stages and reasons are named in the code, topics and partitions are
those assigned, languages and topic labels those of the bundle (any other language counts as `other`).
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING, get_args

from stream.agents import AgentMetrics
from stream.answers import TopicJudgement
from stream.drift import DriftWatch
from stream.errors import Rejection
from stream.records import AlertKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stream.answers import Judgement
    from stream.catalogue import Catalogue
    from stream.drift import Seen
    from stream.records import Alert, EnrichedArticle

__all__ = ["AGE_SECONDS", "Metrics", "build_info"]

# From "seconds after news breaks" to an archive.
AGE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 7200, 86400)
# Finest where thresholds lie and where most articles are.
_CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)

_LANG = "a language of the bundle, else `other`"


def build_info(catalogue: Catalogue) -> None:
    """Enter which Ajil this is, so that dashboards can mark a deploy."""
    info = catalogue.gauge("build_info", "1 for the Ajil that runs here.", version="of the package")
    info.labels(version("ajil")).set(1)


class Metrics(AgentMetrics):
    """`labels` are those of the bundle, by language; `drift` has windows for those that know what is usual."""

    def __init__(
        self,
        labels: Mapping[str, Iterable[str]] = MappingProxyType({}),
        drift: DriftWatch | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._labels = {lang: frozenset(known) for lang, known in labels.items()}
        self._drift = drift or DriftWatch({})
        super().__init__()
        self._count_articles(self.catalogue)
        self._count_alerts(self.catalogue)
        self._drift.register(self.catalogue)
        build_info(self.catalogue)
        self._begin_at_zero()

    def _count_articles(self, catalogue: Catalogue) -> None:
        self.enriched = catalogue.counter(
            "articles_enriched",
            "Enriched articles that Kafka acknowledged.",
            lang=_LANG,
            topic="a label of the bundle, `none` where the model abstained",
        )
        self.abstained = catalogue.counter(
            "topics_abstained",
            "Enriched articles without a topic.",
            lang=_LANG,
            reason="`low_confidence`, `too_short`, `language_unsupported`",
        )
        self.rejected = catalogue.counter(
            "records_rejected",
            "Rejected records that Kafka acknowledged.",
            reason="one of the [rejection reasons](architecture.md#rejection-reasons)",
        )
        self.breaking = catalogue.counter(
            "articles_breaking",
            "Articles flagged as breaking; one with two reasons counts under both.",
            reason="`marker`, `urgency`, `alert_style`",
        )
        self.age = catalogue.batch_histogram(
            "article_age_seconds",
            "Age of an article when Kafka acknowledged its enriched record.",
            AGE_SECONDS,
            since="`published` (where it says when), `ingested` by Kafka",
        )
        self.confidence = catalogue.batch_histogram(
            "topic_confidence_ratio",
            "Confidence of the best label, of articles that the model could read, abstentions included.",
            _CONFIDENCE,
            lang=_LANG,
        )
        self.words = catalogue.counter("words", "Words of the articles that a model read.", lang=_LANG)
        self.unknown_words = catalogue.counter(
            "words_unknown", "Of these, words that are not in the model's vocabulary.", lang=_LANG
        )
        self.model_info = catalogue.gauge(
            "model_info", "1 for each model served.", name="its language", version="as in the enriched records"
        )

    def _count_alerts(self, catalogue: Catalogue) -> None:
        self.alerts = catalogue.counter(
            "alerts",
            "Alerts that Kafka acknowledged.",
            kind="`opened`, `confirmed`, `updated`, `retracted`, `summary`",
        )
        self.alert_age = catalogue.histogram(
            "alert_age_seconds",
            "Age of the article that opened, confirmed or updated an alert when Kafka acknowledged the alert.",
            AGE_SECONDS,
            since="`published` (where it says when), `ingested` by Kafka",
        )
        self.held_back = catalogue.counter(
            "alerts_held_back",
            "Alerts and updates that storm control kept back, by the limit in their way.",
            limit="`source`, `new_sources`, `all`",
        )
        self.stories = catalogue.gauge("stories_open", "Stories in memory.")
        self.feedback = catalogue.counter("feedback", "Feedback read.", result="`withdrawn`, `noted`, `invalid`")

        self.judgements = catalogue.counter(
            "feedback_judgements",
            "Feedback that says what is right. What exceeds the two below is of articles that no worker remembers, or "
            "that were judged before.",
            about="`topic`, `breaking` (withdrawn alerts included)",
        )
        self.judged_topics = catalogue.counter(
            "feedback_topics",
            "Articles of this worker of which feedback has named the right topic.",
            lang=_LANG,
            topic="the right one, `other` where the bundle does not have it",
            result="`right`, `wrong`, `abstained`",
        )
        self.judged_breaking = catalogue.counter(
            "feedback_breaking",
            "Articles of this worker of which feedback has said whether they are breaking, and alerts withdrawn here.",
            lang=_LANG,
            said="the flag they were given: `true`, `false`",
            result="`right`, `wrong`",
        )

    def _begin_at_zero(self) -> None:
        """Where single events count: what begins with its first event hides that one from Prometheus' increase()."""
        for about in ("topic", "breaking"):
            self.judgements.labels(about)
        for kind in get_args(AlertKind):
            self.alerts.labels(kind)
        for lang, known in (*self._labels.items(), ("other", frozenset[str]())):
            for topic in (*sorted(known), "other"):
                for result in ("right", "wrong", "abstained"):
                    self.judged_topics.labels(lang, topic, result)
            for said in ("true", "false"):
                for result in ("right", "wrong"):
                    self.judged_breaking.labels(lang, said, result)

    def language(self, lang: str) -> str:
        """The label value for a language."""
        return lang if lang in self._labels else "other"

    def classified(
        self,
        results: Sequence[EnrichedArticle | Rejection],
        words: Sequence[tuple[int, int]],
        traced: tuple[int, str] | None = None,
    ) -> None:
        """Count a batch whose outputs Kafka has acknowledged just now.

        `words` has for each result the words that its model read, and how many of them it does not know. `traced`: the
        number and the trace id of the one article whose ages carry it as their exemplar. A series is looked up once for
        the batch, not once an article: that costs as much as the rest.
        """
        now = self._clock()
        rejected: Counter[str] = Counter()
        breaking: Counter[str] = Counter()
        enriched: Counter[tuple[str, str]] = Counter()
        abstained: Counter[tuple[str, str]] = Counter()
        read: dict[str, list[Seen]] = {}
        ingested, published = [], []
        for result, (count, unknown) in zip(results, words, strict=True):
            if isinstance(result, Rejection):
                rejected[result.reason.value] += 1
                continue
            lang = self.language(result.lang)
            topic = result.topic
            enriched[lang, topic.label or "none"] += 1
            if topic.reason:
                abstained[lang, topic.reason] += 1
            if result.breaking.flag:
                breaking.update(result.breaking.reasons)
            ingested.append(_age(now, result.ingested_at))
            if result.published_at is not None:
                published.append(_age(now, result.published_at))
            if count and topic.reason != "too_short":
                read.setdefault(lang, []).append((topic.alternatives[0].label, topic.confidence, count, unknown))
        for counts, counter in ((enriched, self.enriched), (abstained, self.abstained)):
            for labels, number in counts.items():
                counter.labels(*labels).inc(number)
        for reason, number in rejected.items():
            self.rejected.labels(reason).inc(number)
        for reason, number in breaking.items():
            self.breaking.labels(reason).inc(number)
        self.age.observe(ingested, "ingested")
        self.age.observe(published, "published")
        if traced is not None:
            number, trace_id = traced
            result = results[number]
            assert not isinstance(result, Rejection)
            self.age.show(_age(now, result.ingested_at), trace_id, "ingested")
            if result.published_at is not None:
                self.age.show(_age(now, result.published_at), trace_id, "published")
        for lang, seen in read.items():
            self.confidence.observe([confidence for _, confidence, _, _ in seen], lang)
            self.words.labels(lang).inc(sum(count for _, _, count, _ in seen))
            self.unknown_words.labels(lang).inc(sum(unknown for _, _, _, unknown in seen))
            self._drift.add(lang, seen)

    def alerted(
        self,
        alerts: Iterable[Alert],
        held_back: Iterable[str],
        stories: int,
        traced: tuple[int, str] | None = None,
    ) -> None:
        """Count alerts that Kafka has acknowledged just now, and those that were kept back.

        `traced`: the number and the trace id of the one alert whose ages carry it as their exemplar.
        """
        now = self._clock()
        for number, alert in enumerate(alerts):
            self.alerts.labels(alert.kind).inc()
            if alert.kind == "retracted" and "withdrawn" in alert.reasons:
                self.judged_breaking.labels(self.language(alert.lang or ""), "true", "wrong").inc()
            if alert.kind in {"opened", "confirmed", "updated"}:  # the others are no answer to an article
                exemplar = {"trace_id": traced[1]} if traced and traced[0] == number else None
                for since, time in (("ingested", alert.ingested_at), ("published", alert.published_at)):
                    if time is not None:
                        self.alert_age.labels(since).observe(_age(now, time), exemplar)
        for limit in held_back:
            self.held_back.labels(limit).inc()
        self.stories.set(stories)

    def heard(self, results: Mapping[str, int], about: Mapping[str, int]) -> None:
        """Count feedback whose withdrawals Kafka has acknowledged."""
        for result, count in results.items():
            self.feedback.labels(result).inc(count)
        for what, count in about.items():
            self.judgements.labels(what).inc(count)

    def judged(self, judgements: Iterable[Judgement]) -> None:
        """Count what editors say of this worker's answers."""
        for judgement in judgements:
            lang = self.language(judgement.lang)
            if isinstance(judgement, TopicJudgement):
                topic = judgement.topic if judgement.topic in self._labels.get(lang, ()) else "other"
                self.judged_topics.labels(lang, topic, judgement.result).inc()
            else:
                self.judged_breaking.labels(lang, str(judgement.said).lower(), judgement.result).inc()


def _age(now: datetime, time: datetime) -> float:
    return max(0.0, (now - time).total_seconds())

"""What the worker counts, as Prometheus reads it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import generate_latest

from models.drift import FEWEST, Window
from models.usual import Bins, Shape, Usual
from stream.drift import DriftWatch, windows
from stream.errors import Reason, Rejection
from stream.exposition import gateway, worker
from stream.gateway.metrics import GatewayMetrics
from stream.gateway.subscriptions.metrics import SubscriptionMetrics
from stream.metrics import Metrics
from stream.records import Alert, AlertKind, Alternative, Breaking, EnrichedArticle, ModelRef, Topic
from tests.exposition import lint

NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)
USUAL = Shape({"sport": 0.5, "health": 0.5}, Bins([0.5, 0.8], [0.3, 0.3, 0.4]), Bins([0.1], [0.9, 0.1]))


def article(
    topic: str | None = "sport",
    *,
    lang: str = "en",
    age: float = 0.0,
    reason: str | None = None,
    confidence: float = 0.9,
) -> EnrichedArticle:
    return EnrichedArticle(
        event_id="e",
        id="1",
        url=None,
        source=None,
        title="T",
        lang=lang,
        published_at=NOW - timedelta(hours=1),
        ingested_at=NOW - timedelta(seconds=age),
        enriched_at=NOW,
        topic=Topic(topic, None, confidence, reason, [Alternative(topic or "health", confidence)]),
        breaking=Breaking(topic == "sport", 1.0, ["marker", "urgency"], "fresh"),
        explanation=[],
        section=None,
        urgency=None,
        pubstatus=None,
        version=None,
        model=ModelRef(lang, "1"),
    )


def alert(kind: AlertKind, age: float) -> Alert:
    return Alert(
        alert_id="en-1",
        revision=1,
        kind=kind,
        story_id="en-1",
        title="T",
        lang="en",
        topic=None,
        reasons=[],
        articles=[],
        article_count=1,
        outlets=[],
        published_at=None,
        ingested_at=NOW - timedelta(seconds=age),
        alerted_at=NOW,
    )


def value(metrics: Metrics | GatewayMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_batch_is_counted_by_language_topic_and_reason() -> None:
    metrics = Metrics({"en": ["sport", "health"]}, clock=lambda: NOW)
    results = [
        article(),
        article(age=3),
        article(None, reason="low_confidence", confidence=0.4),
        article(None, reason="language_unsupported", lang="xx"),
        Rejection(Reason.EMPTY, "m"),
    ]

    metrics.classified(results, [(100, 4), (200, 1), (10, 0), (0, 0), (0, 0)])

    assert value(metrics, "ajil_articles_enriched_total", lang="en", topic="sport") == 2
    assert value(metrics, "ajil_articles_enriched_total", lang="en", topic="none") == 1
    assert value(metrics, "ajil_articles_enriched_total", lang="other", topic="none") == 1
    assert value(metrics, "ajil_topics_abstained_total", lang="en", reason="low_confidence") == 1
    assert value(metrics, "ajil_records_rejected_total", reason="empty") == 1
    assert value(metrics, "ajil_articles_breaking_total", reason="urgency") == 2
    assert value(metrics, "ajil_article_age_seconds_bucket", since="ingested", le="2.5") == 3
    assert value(metrics, "ajil_article_age_seconds_count", since="ingested") == 4
    assert value(metrics, "ajil_article_age_seconds_sum", since="published") == 4 * 3600
    assert value(metrics, "ajil_topic_confidence_ratio_count", lang="en") == 3
    assert value(metrics, "ajil_topic_confidence_ratio_bucket", lang="en", le="0.4") == 1
    assert value(metrics, "ajil_topic_confidence_ratio_bucket", lang="en", le="0.9") == 3
    assert value(metrics, "ajil_words_total", lang="en") == 310
    assert value(metrics, "ajil_words_unknown_total", lang="en") == 5


def test_drift_is_told_once_there_are_enough_articles() -> None:
    metrics = Metrics({"en": [], "fr": []}, DriftWatch({"en": Window(USUAL, USUAL)}))
    metrics.classified([article()] * (FEWEST - 1), [(100, 1)] * (FEWEST - 1))
    assert value(metrics, "ajil_drift_window_articles", lang="en") == FEWEST - 1
    assert value(metrics, "ajil_drift_psi", lang="en", feature="topic") is None

    metrics.classified([article(), article(lang="fr"), article(None, reason="too_short")], [(100, 1), (9, 0), (1, 1)])

    assert value(metrics, "ajil_drift_window_articles", lang="en") == FEWEST
    assert (value(metrics, "ajil_drift_psi", lang="en", feature="topic") or 0) > 2
    assert value(metrics, "ajil_drift_topic_ratio", lang="en", topic="sport", of="window") == 1
    assert value(metrics, "ajil_drift_topic_ratio", lang="en", topic="health", of="reference") == 0.5
    assert value(metrics, "ajil_drift_window_articles", lang="fr") is None


def test_a_model_that_does_not_say_what_is_usual_has_no_window() -> None:
    found = windows({"en": Usual(full=USUAL, short=USUAL), "fr": Usual(), "ar": Usual(full=USUAL)})

    assert list(found) == ["en"]


def test_the_age_of_an_alert_is_that_of_the_article_that_made_it() -> None:
    metrics = Metrics(clock=lambda: NOW)

    metrics.alerted([alert("opened", 1), alert("updated", 20), alert("retracted", 900), alert("summary", 900)], [], 7)

    assert value(metrics, "ajil_alerts_total", kind="summary") == 1
    assert value(metrics, "ajil_alert_age_seconds_count", since="ingested") == 2
    assert value(metrics, "ajil_alert_age_seconds_bucket", since="ingested", le="10.0") == 1
    assert value(metrics, "ajil_alert_age_seconds_count", since="published") is None


def test_readiness_is_asked_for_when_prometheus_asks() -> None:
    metrics, ready = Metrics(), [False]
    metrics.be_ready("classify", lambda: ready[0])
    assert value(metrics, "ajil_agent_ready", agent="classify") == 0

    ready[0] = True

    assert value(metrics, "ajil_agent_ready", agent="classify") == 1


def test_names_and_help_are_as_prometheus_wants_them() -> None:
    metrics, other = Metrics({"en": ["sport", "health"]}, DriftWatch({"en": Window(USUAL, USUAL)})), GatewayMetrics()
    SubscriptionMetrics(other.catalogue)
    metrics.classified([article()] * FEWEST, [(100, 1)] * FEWEST)

    for served, families in ((metrics, worker()), (other, gateway())):
        text = generate_latest(served.registry).decode()
        lint(text)
        assert all(f"# HELP {family.name} " in text for family in families)

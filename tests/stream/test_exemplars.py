"""Ages carry the trace of one article, in the format that Prometheus asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from stream.app import _traced
from stream.classify import ClassifyStage
from stream.errors import Rejection
from stream.metrics import Metrics
from stream.records import ArticleRef, Place, Record
from stream.settings import Settings
from tests.stream.gateway_server import alert, running
from tests.stream.test_classify import FakeModel

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from stream.records import Alert

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ACCEPT = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus 3 sends."""


def parent(number: int, flags: str = "01") -> bytes:
    return f"00-{number:032x}-{number:016x}-{flags}".encode()


def exposed(registry: CollectorRegistry) -> str:
    encode, content_type = choose_encoder(ACCEPT)
    assert content_type.startswith("application/openmetrics-text")
    return encode(registry).decode()


def exemplars(text: str, name: str) -> list[tuple[str, float]]:
    """The trace ids, and the values, that come with a histogram."""
    return [
        (sample.exemplar.labels["trace_id"], sample.exemplar.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{name}_bucket" and sample.exemplar
    ]


def records(*told: bytes | None, value: bytes = b'{"title": "a"}') -> list[Record]:
    return [
        Record(Place("raw", 0, n), NOW, None, value, [("traceparent", parent)] if parent else [])
        for n, parent in enumerate(told)
    ]


def classified(batch: list[Record]) -> Metrics:
    metrics = Metrics()
    told = ClassifyStage(FakeModel(), Settings())(batch)
    metrics.classified(told.results, told.words, _traced(batch, told.results))
    return metrics


def test_one_article_of_a_batch_is_the_exemplar_of_its_age() -> None:
    told = exemplars(
        exposed(classified(records(None, parent(7), parent(8))).registry),
        "ajil_article_age_seconds",
    )

    ((trace, age),) = told
    assert trace == f"{7:032x}"
    assert age == pytest.approx((datetime.now(UTC) - NOW).total_seconds(), abs=60)


def test_a_trace_that_leads_nowhere_is_no_exemplar() -> None:
    batch = records(parent(7, "00"), b"00-1", b"\xff", None)

    assert exemplars(exposed(classified(batch).registry), "ajil_article_age_seconds") == []


def test_a_rejected_record_has_no_age_to_show() -> None:
    batch = [*records(parent(7), value=b"{"), *records(parent(8))]
    results = ClassifyStage(FakeModel(), Settings())(batch).results

    assert isinstance(results[0], Rejection)
    assert _traced(batch, results) == (1, f"{8:032x}")


def test_one_alert_of_a_batch_is_the_exemplar_of_its_age() -> None:
    metrics = Metrics()
    metrics.alerted(
        [told_by(None), told_by(parent(7), number=2), told_by(parent(8), number=3)], [], 1, (1, f"{7:032x}")
    )

    ((trace, _),) = exemplars(exposed(metrics.registry), "ajil_alert_age_seconds")
    assert trace == f"{7:032x}"


def told_by(*parents: bytes | None, number: int = 1) -> Alert:
    ref = {"event_id": "e", "source": "s", "url": None, "title": "t", "published_at": None, "ingested_at": NOW}
    articles = [
        ArticleRef(id=str(n), **ref, breaking=True, traceparent=told and told.decode())  # type: ignore[arg-type]
        for n, told in enumerate(parents)
    ]
    return alert(number, articles=articles, alerted_at=datetime.now(UTC) - timedelta(seconds=number))


async def test_the_gateway_shows_the_trace_of_an_alert_with_its_delay() -> None:
    async with running() as at:
        await at.feed((0, told_by(None)), (0, told_by(parent(7), number=2)), (1, told_by(parent(8), number=3)))
        answer = await at.client.get("/metrics", headers={"Accept": ACCEPT})

        assert answer.content_type == "application/openmetrics-text"
        ((trace, delay),) = exemplars(await answer.text(), "ajil_gateway_alert_delay_seconds")
        assert trace == f"{7:032x}"
        assert delay >= 2
        plain = await (await at.client.get("/metrics")).text()
        assert "trace_id" not in plain

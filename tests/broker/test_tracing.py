"""A trace from the producer to the reader on a real broker, and the spans of a real worker and gateway."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from stream.records import Alert, Story, read
from stream.tracing.traceparent import read_traceparent, trace_of_headers
from tests.broker.test_alerts import QUAKE, TOLD_AGAIN, alerts, article
from tests.gateway_process import GatewayProcess
from tests.kafka_client import Topics, consume_all, produce
from tests.otlp import Collector
from tests.ports import free_ports
from tests.worker_process import WorkerProcess, environment, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kafka_server import KafkaServer

FIRST = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECOND = "00-1bf7651916cd43dd8448eb211c80319c-c8ad6b7169203331-01"
UNSAMPLED = "00-2cf7651916cd43dd8448eb211c80319c-d9ad6b7169203331-00"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def get(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        body: bytes = answer.read()
        return body


def post(gateway: GatewayProcess, traceparent: str, **told: Any) -> None:
    headers = {"Content-Type": "application/json", "traceparent": traceparent}
    request = urllib.request.Request(f"{gateway.url}/v1/articles", json.dumps(told).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 202


def told(kafka: KafkaServer, topic: str) -> list[str]:
    """The traceparent of each record of a topic."""
    found = [
        [v.decode() for name, v in r.headers if name == "traceparent" and v] for r in consume_all(kafka.address, topic)
    ]
    return [traceparent for (traceparent,) in found]


def test_a_traceparent_goes_from_the_request_to_the_reader(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    env = environment(kafka.address, topics)
    with WorkerProcess(tmp_path, env).wait_ready() as worker, GatewayProcess(tmp_path, env).wait_reading() as gateway:
        post(gateway, FIRST, id="1", source="one.example", title=f"BREAKING: {QUAKE}")
        wait_for("alert", lambda: len(alerts(kafka, topics)) == 1)
        produce(kafka.address, topics.raw, [article("2", TOLD_AGAIN, "two.example")._replace(headers=_header(SECOND))])
        wait_for("update", lambda: len(alerts(kafka, topics)) == 2)
        for topic in (topics.raw, topics.enriched, topics.signals, topics.stories, topics.alerts):
            assert sorted(told(kafka, topic)) == [FIRST, SECOND], topic
        (line,) = worker.logged("breaking")
        assert line["trace_id"] == FIRST.split("-")[1]
        accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
        url = str(worker.logged("serving metrics")[0]["url"])
        wait_for("exemplar", lambda: SECOND.split("-")[1].encode() in get(url, **accept))

        def shown() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = json.loads(get(f"{gateway.url}/v1/alerts"))["alerts"]
            return found

        wait_for("both alerts", lambda: len(shown()) == 2)
        assert [a["traceparent"] for a in shown()[0]["articles"]] == [FIRST, SECOND]
        wait_for("exemplar", lambda: SECOND.split("-")[1].encode() in get(f"{gateway.url}/metrics", **accept))
        assert (worker.stop(), gateway.stop()) == (0, 0)
    (story,) = {s.story_id: s for s in _stories(kafka, topics)}.values()
    assert [a.traceparent for a in story.articles] == [FIRST, SECOND]


def _header(traceparent: str) -> tuple[tuple[str, bytes | None], ...]:
    return (("traceparent", traceparent.encode()),)


def _stories(kafka: KafkaServer, topics: Topics) -> list[Story]:
    return [read(record.value or b"", Story) for record in consume_all(kafka.address, topics.stories)]


def test_a_collector_gets_spans_of_batches_and_of_alerts_with_links_to_their_articles(
    kafka: KafkaServer, topics: Topics, tmp_path: Path, collector: Collector
) -> None:
    env = environment(kafka.address, topics) | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    with WorkerProcess(tmp_path, env).wait_ready() as worker, GatewayProcess(tmp_path, env).wait_reading() as gateway:
        post(gateway, FIRST, id="1", source="one.example", title=f"BREAKING: {QUAKE}")
        wait_for("alert", lambda: len(alerts(kafka, topics)) == 1)
        more = [("2", "two.example", SECOND), ("3", "three.example", UNSAMPLED)]
        for id_, source, traceparent in more:
            sent = article(id_, TOLD_AGAIN, source)._replace(headers=_header(traceparent))
            produce(kafka.address, topics.raw, [sent])
            wait_for("revision", lambda n=int(id_): len(alerts(kafka, topics)) == n)
        assert (worker.stop(), gateway.stop()) == (0, 0)

    # The gateway's span is the second station of the first trace; the record is its child.
    (taken,) = collector.named("POST /v1/articles")
    first, second, _ = (read_traceparent(traceparent) for traceparent in (FIRST, SECOND, UNSAMPLED))
    assert first
    assert second
    assert (taken.service, taken.trace_id, taken.parent_id) == ("ajil-gateway", first.trace_id, first.span_id)
    (raw, *_) = (r for r in consume_all(kafka.address, topics.raw) if b'"1"' in (r.value or b""))
    assert trace_of_headers(list(raw.headers)) == first._replace(span_id=taken.span_id)

    batches = collector.named(f"process {topics.raw}")
    assert {link for batch in batches for link in batch.links} == {
        (taken.trace_id, taken.span_id),
        (second.trace_id, second.span_id),
    }
    assert sum(batch.attributes["messaging.batch.message_count"] for batch in batches) == 3
    for batch in batches:
        stages = {span.name: span for span in collector.spans if span.parent_id == batch.span_id}
        assert set(stages) == {"classify", "deliver", "commit"}
        assert {span.trace_id for span in stages.values()} == {batch.trace_id}

    created = {span.attributes["messaging.message.id"][-1]: span for span in collector.named(f"create {topics.alerts}")}
    assert set(created) == {"1", "2"}, "the third is of a trace that is not sampled"
    assert (created["1"].trace_id, created["1"].parent_id) == (first.trace_id, taken.span_id)
    assert created["2"].trace_id == second.trace_id
    assert set(created["2"].links) >= {(taken.trace_id, taken.span_id), (second.trace_id, second.span_id)}
    placed = {(span.trace_id, span.span_id) for span in collector.named(f"process {topics.signals}")}
    assert all(set(span.links) & placed for span in created.values())

    for record in consume_all(kafka.address, topics.alerts):
        revision = read(record.value or b"", Alert).revision
        context = trace_of_headers(list(record.headers))
        assert context
        if revision < 3:
            span = created[str(revision)]
            assert context == (span.trace_id, span.span_id, True)
        else:
            assert (context.trace_id, context.sampled) == (UNSAMPLED.split("-")[1], False)


def test_without_its_collector_the_worker_works_as_ever(kafka: KafkaServer, topics: Topics, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    env = environment(kafka.address, topics, stop_deadline=8) | {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"
    }
    sent = [article(str(n), f"Council votes on plan {n}")._replace(headers=_header(FIRST)) for n in range(2000)]
    produce(kafka.address, topics.raw, sent)
    with WorkerProcess(tmp_path, env | {"AJIL_BATCH_SIZE": "20"}).wait_ready() as worker:
        wait_for("all", lambda: worker.metric("ajil_articles_enriched_total") == 2000)
        wait_for("commit", lambda: worker.metric("ajil_consumer_lag_records") == 0)
        wait_for("complaint", lambda: worker.logged("Transient error"))
        assert worker.stop(8 + 5) == 0
    assert len(consume_all(kafka.address, topics.enriched)) == 2000

"""Spans, as a collector gets them; and nothing of it where none is configured."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from stream.alerts import AlertStage
from stream.errors import SettingError
from stream.records import Alert, ArticleRef, Breaking, Headers, Place, Record, Signal, StoryTerm, encode, read
from stream.settings import Settings
from stream.tracing import open_tracing
from stream.tracing.traceparent import read_traceparent, trace_of_alert, trace_of_headers
from tests.otlp import CONSUMER, FAILED, PRODUCER, SERVER, Collector
from tests.worker_process import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.tracing import Tracing

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def parent(number: int, *, trace: str | None = None, sampled: bool = True) -> str:
    return f"00-{trace or f'{number:032x}'}-{number:016x}-{'01' if sampled else '00'}"


def record(traceparent: str | None, offset: int = 0) -> Record:
    headers: Headers = [("traceparent", traceparent.encode())] if traceparent else []
    return Record(Place("raw", 0, offset), NOW, None, b"{}", headers)


# The header


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (parent(7), True),
        (parent(7, sampled=False), False),
        (parent(7).replace("-01", "-03"), True),
        ("cc" + parent(7)[2:], True),
        ("cc" + parent(7)[2:] + "-what-comes-later", True),
        (parent(7) + "-more", None),
        ("ff" + parent(7)[2:], None),
        (parent(0, trace=TRACE), None),
        (parent(7, trace="0" * 32), None),
        (parent(7, trace=TRACE.upper()), None),
        (parent(7) + "\n", None),
        ("00-1", None),
        ("", None),
        (None, None),
    ],
)
def test_a_traceparent_is_read_as_w3c_has_it(value: str | None, sampled: bool | None) -> None:
    context = read_traceparent(value)

    assert (context and context.sampled) == sampled
    if context:
        assert (int(context.trace_id, 16), int(context.span_id, 16)) == (7, 7)


def test_the_last_header_of_whatever_case_counts() -> None:
    headers = [("traceparent", parent(1).encode()), ("TraceParent", parent(2).encode()), ("x", None)]
    context = trace_of_headers(headers)

    assert context
    assert int(context.trace_id, 16) == 2


def article(number: int, traceparent: str | None) -> ArticleRef:
    return ArticleRef(
        id=str(number),
        event_id=str(number),
        source=f"{number}.example",
        url=None,
        title="t",
        published_at=None,
        ingested_at=NOW,
        breaking=True,
        traceparent=traceparent,
    )


def alert(*traceparents: str | None) -> Alert:
    return Alert(
        alert_id="en-1",
        revision=2,
        kind="updated",
        story_id="en-1",
        title="t",
        lang="en",
        topic=None,
        reasons=["marker"],
        articles=[article(number, traceparent) for number, traceparent in enumerate(traceparents)],
        article_count=len(traceparents),
        outlets=[],
        published_at=None,
        ingested_at=NOW,
        alerted_at=NOW,
    )


def test_the_trace_of_an_alert_is_that_of_its_last_article_that_has_one() -> None:
    assert trace_of_alert(alert(parent(1), parent(2), parent(3, sampled=False), "00-1", None)) == f"{2:032x}"
    assert trace_of_alert(alert(None)) is None


# Whether there are spans


NOTHING = """
import sys
from stream.app import build_app
from stream.gateway.server import Gateway
from stream.tracing import Tracing, open_tracing
assert type(open_tracing("ajil-worker")) is Tracing
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_an_endpoint_opentelemetry_is_not_even_imported(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOTHING], capture_output=True, text=True, check=True, env=os.environ | environ
    )

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["worker", "gateway"])
def test_an_endpoint_without_the_packages_ends_the_command_with_what_to_install(command: str) -> None:
    program = f"import sys; sys.modules['opentelemetry'] = None; sys.argv[1:] = ['{command}']; "
    done = subprocess.run(
        [sys.executable, "-c", f"{program}from stream.cli import main; main()"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "AJIL_HTTP_PORT": "0"},
    )

    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ajil:")]
    assert line == "ajil: OTEL_EXPORTER_OTLP_ENDPOINT is set, which needs OpenTelemetry: pip install 'ajil[otel]'"


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}

    with pytest.raises(SettingError, match="OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and Ajil speaks http/protobuf"):
        open_tracing("ajil-worker", environ)


def test_the_protocol_of_traces_alone_holds_over_that_of_all_signals(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
    tracing = open_tracing("ajil-worker")
    tracing.batches("t", "g").begin([record(None)]).end(done=True)
    tracing.close(10)

    assert len(collector.named("process t")) == 1


# What a collector gets


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def tracing(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Tracing:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    return open_tracing("ajil-worker")


def test_sdk_settings_that_cannot_hold_are_told(tracing: Tracing, monkeypatch: pytest.MonkeyPatch) -> None:
    tracing.close(10)
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")

    with pytest.raises(SettingError, match=r"OpenTelemetry refuses its settings \(OTEL_\*\): "):
        open_tracing("ajil-worker")


def test_a_batch_is_a_span_with_a_link_to_each_trace_and_its_stages_below(
    collector: Collector, tracing: Tracing
) -> None:
    spans = tracing.batches("news.articles.raw", "ajil")
    told = [parent(1), None, parent(2), parent(2), parent(3, sampled=False), "00-1"]
    span = spans.begin([record(traceparent) for traceparent in told])
    with span.stage("classify"):
        pass
    with pytest.raises(OSError, match="away"), span.stage("deliver"):
        raise OSError("away")
    span.end(done=True)
    tracing.close(10)

    (batch,) = collector.named("process news.articles.raw")
    assert (batch.service, batch.kind, batch.parent_id, batch.status) == ("ajil-worker", CONSUMER, "", 0)
    assert batch.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "news.articles.raw",
        "messaging.consumer.group.name": "ajil",
        "messaging.batch.message_count": 6,
    }
    assert [(int(trace, 16), int(span, 16)) for trace, span in batch.links] == [(1, 1), (2, 2)]
    stages = [collector.named(name)[0] for name in ("classify", "deliver")]
    assert {(stage.trace_id, stage.parent_id) for stage in stages} == {(batch.trace_id, batch.span_id)}
    assert [stage.status for stage in stages] == [0, FAILED]


def test_links_are_bounded_and_a_tick_is_no_span(collector: Collector, tracing: Tracing) -> None:
    spans = tracing.batches("news.signals", "ajil.alerts")
    spans.begin([record(parent(number)) for number in range(1, 501)]).end(done=True)
    tick = spans.begin([])
    with tick.stage("place"):
        pass
    tick.end(done=True)
    tracing.close(10)

    (batch,) = collector.spans
    assert len(batch.links) == 128


def test_an_alert_goes_on_with_the_trace_of_the_article_that_made_it(collector: Collector, tracing: Tracing) -> None:
    spans = tracing.batches("news.signals", "ajil.alerts")
    made = parent(9, trace=TRACE)
    span = spans.begin([record(made)])
    headers = span.alert(alert(parent(1), made), "news.alerts", [("traceparent", made.encode())])
    span.end(done=True)
    tracing.close(10)

    (batch,), (created,) = collector.named("process news.signals"), collector.named("create news.alerts")
    assert (created.trace_id, created.parent_id, created.kind) == (TRACE, f"{9:016x}", PRODUCER)
    assert created.links == [(f"{1:032x}", f"{1:016x}"), (TRACE, f"{9:016x}"), (batch.trace_id, batch.span_id)]
    assert created.attributes["messaging.message.id"] == "en-1/2"
    assert list(headers) == [("traceparent", f"00-{TRACE}-{created.span_id}-01".encode())]


def test_an_unsampled_article_makes_an_unsampled_alert(collector: Collector, tracing: Tracing) -> None:
    spans = tracing.batches("news.signals", "ajil.alerts")
    made = parent(9, trace=TRACE, sampled=False)
    tick = spans.begin([])
    ((_, value),) = tick.alert(alert(made), "news.alerts", [("traceparent", made.encode())])
    tick.end(done=True)
    tracing.close(10)

    assert collector.spans == []
    assert value
    assert value.startswith(f"00-{TRACE}-".encode())
    assert value.endswith(b"-00")


def test_two_batches_in_hand_have_their_own_stages_and_alerts(collector: Collector, tracing: Tracing) -> None:
    spans = tracing.batches("news.signals", "ajil.alerts")
    first = spans.begin([record(parent(1))])
    first.alert(alert(None), "news.alerts", [])
    second = spans.begin([record(parent(2))])
    with first.stage("transaction"), second.stage("place"):
        pass
    first.end(done=True)
    second.end(done=False)
    tracing.close(10)

    one, two = sorted(collector.named("process news.signals"), key=lambda span: span.links)
    (transaction,), (place,) = collector.named("transaction"), collector.named("place")
    (created,) = collector.named("create news.alerts")
    assert (transaction.parent_id, place.parent_id, created.parent_id) == (one.span_id, two.span_id, one.span_id)
    assert [one.status, created.status, two.status] == [0, 0, FAILED]


def test_a_batch_that_was_not_committed_says_so(collector: Collector, tracing: Tracing) -> None:
    spans = tracing.batches("news.signals", "ajil.alerts")
    span = spans.begin([record(None)])
    span.alert(alert(None), "news.alerts", [])
    span.end(done=False)
    spans.begin([record(None)])  # and the process crashes
    tracing.close(10)

    assert [span.status for span in collector.spans] == [FAILED] * 3
    created, batch, _ = sorted(collector.spans, key=lambda span: span.name)
    assert (created.trace_id, created.parent_id) in {(span.trace_id, span.span_id) for span in collector.spans}
    assert batch.name == "process news.signals"


def test_the_alert_stage_hands_its_alerts_the_spans_headers(collector: Collector, tracing: Tracing) -> None:
    spans = tracing.batches("news.signals", "ajil.alerts")
    stage = AlertStage(Settings(), lambda: NOW)
    signal = Signal(
        event_id="e",
        id="1",
        url=None,
        source="one.example",
        title="BREAKING: dam breaks",
        lang="en",
        published_at=NOW,
        ingested_at=NOW,
        topic=None,
        breaking=Breaking(True, 1.0, ["marker"], "fresh"),
        terms=[StoryTerm("dam", "dam", 1.0, 0.001)],
    )
    made = parent(9, trace=TRACE)
    told = record(made)._replace(value=encode(signal))
    span = spans.begin([told])
    outputs = {output.topic: output for output in stage([told], span.alert).outputs}
    span.end(done=True)
    tracing.close(10)

    (created,) = collector.named("create news.alerts")
    story, published = outputs["news.stories"], outputs["news.alerts"]
    assert dict(story.headers)["traceparent"] == made.encode()
    assert dict(published.headers)["traceparent"] == f"00-{TRACE}-{created.span_id}-01".encode()
    # The article keeps its own.
    assert read(published.value or b"", Alert).articles[0].traceparent == made


class Refused(Exception):
    status = 422


def test_a_request_goes_on_with_its_callers_trace(collector: Collector, tracing: Tracing) -> None:
    caller = [("traceparent", parent(9, trace=TRACE).encode()), ("tracestate", b"vendor=1")]
    with tracing.request("POST", "/v1/articles", caller) as span:
        span.status = 202
    with pytest.raises(Refused), tracing.request("POST", "/v1/articles", []):
        raise Refused
    with pytest.raises(KeyError), tracing.request("POST", "/v1/articles", []):
        raise KeyError
    tracing.close(10)

    taken, refused, failed = collector.named("POST /v1/articles")
    assert (taken.trace_id, taken.parent_id, taken.kind) == (TRACE, f"{9:016x}", SERVER)
    assert list(span.headers) == [
        ("traceparent", f"00-{TRACE}-{taken.span_id}-01".encode()),
        ("tracestate", b"vendor=1"),
    ]
    statuses = [span.attributes["http.response.status_code"] for span in (taken, refused, failed)]
    assert statuses == [202, 422, 500]
    assert [span.status for span in (taken, refused, failed)] == [0, 0, FAILED]


def test_the_environment_names_the_service(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{collector.url}/v1/traces")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    tracing = open_tracing("ajil-worker")
    spans = tracing.batches("t", "g")
    spans.begin([record(None)]).end(done=True)
    tracing.close(10)

    assert [span.service for span in collector.spans] == ["desk"]


def test_a_collector_that_hangs_holds_up_nothing_and_spans_do_not_pile_up(
    collector: Collector, tracing: Tracing
) -> None:
    collector.hold()
    spans = tracing.batches("t", "g")

    def batches(first: int, last: int) -> None:
        for number in range(first, last):
            spans.begin([record(parent(number))]).end(done=True)

    batches(1, 513)  # one export, which hangs
    assert collector.asked.wait(60)
    batches(513, 5001)
    tracing.close(0.1)
    assert collector.spans == []
    collector.release()

    def sent() -> set[int]:
        return {int(span.links[0][0], 16) for span in collector.spans}

    # What was in the SDK's hands is sent after all: what hung, and the newest that its queue holds.
    wait_for("the last spans", lambda: sent() >= set(range(5001 - 1024, 5001)))
    assert sent() <= {*range(1, 513), *range(5001 - 1024, 5001)}

"""Spans by OpenTelemetry's SDK, exported by OTLP over HTTP. The only module that imports it.

Names and attributes are those of the semantic conventions for messaging and HTTP
(https://opentelemetry.io/docs/specs/semconv/). A batch has articles of many traces: its span belongs to none of them
and links to each. The span of an alert belongs to the trace of the article that made it, so that a trace goes from the
outlet's producer to the alert's reader, and links to the other articles.

Export happens in the SDK's own thread. Its queue is bounded; when it is full, the oldest spans go.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from stream.errors import SettingError
from stream.logs import RateLimit
from stream.tracing.spans import BatchSpan, BatchSpans, RequestSpan, Tracing
from stream.tracing.traceparent import read_traceparent, trace_of_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stream.records import Alert, Headers, Record
    from stream.tracing.traceparent import TraceContext

__all__ = ["OtelTracing"]

MAX_LINKS = 128
"""Of one span, as the SDK's own limit. A batch of 500 traced articles costs 2 ms of CPU more, export included: 1 %."""
QUEUE_SPANS = 1024
"""Half the SDK's default: with 128 links a span has 80 kB, one span in three or four has links, and a worker must stay
small while its collector is away. `OTEL_BSP_MAX_QUEUE_SIZE` overrides it."""
TELL_SECONDS = 60.0
"""How often one complaint of the exporter is logged: it repeats itself while the collector is away."""

_ROOT = Context()
_PROPAGATOR = TraceContextTextMapPropagator()


class OtelTracing(Tracing):
    """Raises `SettingError` when the SDK refuses what the environment says."""

    def __init__(self, service: str) -> None:
        for name in ("opentelemetry.sdk._shared_internal", OTLPSpanExporter.__module__):
            logging.getLogger(name).addFilter(RateLimit(TELL_SECONDS))
        queue = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else QUEUE_SPANS
        try:
            # Its own handler at exit would wait for a collector that is away, for half a minute.
            self._provider = TracerProvider(resource=_resource(service), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=queue))
        except (ValueError, OSError) as error:
            raise SettingError(f"OpenTelemetry refuses its settings (OTEL_*): {error}") from None
        self._tracer = self._provider.get_tracer("ajil", version("ajil"))
        self._batches: list[_Batches] = []

    def batches(self, topic: str, group: str) -> BatchSpans:
        self._batches.append(_Batches(self._tracer, topic, group))
        return self._batches[-1]

    @contextmanager
    def request(self, method: str, route: str, headers: Headers) -> Iterator[RequestSpan]:
        caller = _PROPAGATOR.extract({name: (value or b"").decode() for name, value in headers}, Context())
        attributes = {"http.request.method": method, "http.route": route}
        span = self._tracer.start_span(f"{method} {route}", caller, SpanKind.SERVER, attributes)
        told = RequestSpan(_headers(span))
        try:
            yield told
        except Exception as error:
            # What is raised with a status is an answer too.
            told.status = getattr(error, "status", 500)
            raise
        finally:
            span.set_attribute("http.response.status_code", told.status)
            if told.status >= 500:
                span.set_status(StatusCode.ERROR)
            span.end()

    def close(self, seconds: float) -> None:
        for batches in self._batches:
            batches.give_up()
        # The provider's own shutdown waits up to 30 s for a collector that is away.
        closing = threading.Thread(target=self._provider.shutdown, name="tracing-close", daemon=True)
        closing.start()
        closing.join(seconds)


class _Batches(BatchSpans):
    def __init__(self, tracer: Tracer, topic: str, group: str) -> None:
        self._tracer = tracer
        self._name = f"process {topic}"
        self._attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": group,
        }
        self._open: set[_Batch] = set()

    def begin(self, records: Sequence[Record]) -> BatchSpan:
        span = None
        if records:  # of ticks there would be one every second
            links = _links(trace_of_headers(record.headers) for record in records)
            attributes = self._attributes | {"messaging.batch.message_count": len(records)}
            span = self._tracer.start_span(self._name, _ROOT, SpanKind.CONSUMER, attributes, links)
        batch = _Batch(self._tracer, span, self._open)
        self._open.add(batch)
        return batch

    def give_up(self) -> None:
        """What a crash has left in hand is not done."""
        for batch in list(self._open):
            batch.end(done=False)


class _Batch(BatchSpan):
    """`open_batches` has it until its end."""

    def __init__(self, tracer: Tracer, span: Span | None, open_batches: set[_Batch]) -> None:
        self._tracer = tracer
        self._batch = span
        self._open = open_batches
        self._alerts: list[Span] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self._batch is None:
            yield
            return
        span = self._tracer.start_span(name, set_span_in_context(self._batch, _ROOT))
        try:
            yield
        except BaseException as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            span.end()

    def alert(self, alert: Alert, topic: str, headers: Headers) -> Headers:
        links = _links(read_traceparent(article.traceparent) for article in alert.articles)
        context = _ROOT
        if self._batch is not None:
            links.append(Link(self._batch.get_span_context()))
            context = set_span_in_context(self._batch, _ROOT)
        if trace_of_headers(headers):
            context = _PROPAGATOR.extract({name: (value or b"").decode() for name, value in headers}, _ROOT)
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "create",
            "messaging.operation.type": "create",
            "messaging.destination.name": topic,
            "messaging.message.id": f"{alert.alert_id}/{alert.revision}",
            "ajil.alert.kind": alert.kind,
        }
        span = self._tracer.start_span(f"create {topic}", context, SpanKind.PRODUCER, attributes, links)
        self._alerts.append(span)
        return _headers(span)

    def end(self, *, done: bool) -> None:
        self._open.discard(self)
        for span in [*self._alerts, *([self._batch] if self._batch else [])]:
            if not done:
                span.set_status(StatusCode.ERROR, "not committed; the batch is read again")
            span.end()


def _resource(service: str) -> Resource:
    """What the environment says of the process, and a name where it says none."""
    told = Resource.create()
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        told = told.merge(Resource({SERVICE_NAME: service}))
    return Resource({SERVICE_VERSION: version("ajil")}).merge(told)


def _links(contexts: Iterable[TraceContext | None]) -> list[Link]:
    """To each place that is sampled, once: others lead nowhere."""
    places: dict[tuple[str, str], None] = {}
    for context in contexts:
        if context and context.sampled:
            places[context.trace_id, context.span_id] = None
            if len(places) == MAX_LINKS:
                break
    flags = TraceFlags(TraceFlags.SAMPLED)
    return [
        Link(SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=flags)) for trace, span in places
    ]


def _headers(span: Span) -> Headers:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span, _ROOT))
    return [(name, value.encode()) for name, value in carrier.items()]

"""The wiring: settings and a model in, a Faust app out. The only file that makes agents."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import faust
import structlog
from faust.app.base import BootStrategy
from mode.supervisors import CrashingSupervisor

from stream.alerts import AlertStage
from stream.answers import Answers
from stream.classify import Classified, ClassifyStage, Model
from stream.corrections import Corrections
from stream.errors import Rejection
from stream.feedback import FeedbackStage
from stream.health import HealthServer
from stream.kafka import messages, metadata, partition_of
from stream.settings import AGENTS
from stream.source import RecordBatch, Source, Stop
from stream.tracing import Tracing
from stream.tracing.traceparent import trace_of_alert, trace_of_headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence

    from mode import Service

    from stream.metrics import Metrics
    from stream.progress import Partition
    from stream.records import EnrichedArticle, Record
    from stream.settings import Settings

__all__ = ["App", "build_app"]

MAX_LOGGED = 10
"""Rejected records of one batch that are logged one by one; the rest is counted."""

LOOKED_AT = 50
"""Records of a batch whose headers are looked at for a trace to show with its metrics: 0.1 ms, and one is enough."""

TICK_SECONDS = 1.0
"""How often a quiet alerts agent looks for what time alone brings: summaries, stories that are over."""

log = structlog.get_logger(__name__)


class _Boot(BootStrategy):
    """Faust without its Kafka: the health server first, our sources last, so that they stop before their agents."""

    enable_kafka_consumer = False
    enable_kafka_producer = False
    enable_web = False

    def server(self) -> Iterable[Service]:
        return [self.app.health, *super().server(), *self.app.beside, *self.app.sources]


class App(faust.App):
    """A Faust app whose agents read from `sources`."""

    BootStrategy = _Boot
    logger = logging.getLogger("mode.app")
    sources: Sequence[Source]
    health: HealthServer
    stopping: Stop
    beside: Sequence[Service] = ()
    """Services that no article waits for."""

    def _create_directories(self) -> None:
        """Faust would make folders for tables where the worker was started, on what may be a read-only disk."""


def build_app(
    settings: Settings,
    model: Model | None,
    metrics: Metrics,
    agents: Sequence[str] = AGENTS,
    tracing: Tracing | None = None,
) -> App:
    """An app with the given agents, ready for `faust.Worker`. Only the classify agent needs a `model`."""
    app = App(
        settings.group,
        # Faust would let any WEB_PORT or BROKER_URL in the environment override what is said here.
        env={"": ""},
        broker=f"kafka://{settings.brokers}",
        store="memory://",
        agent_supervisor=CrashingSupervisor,
        worker_redirect_stdouts=False,
        topic_disable_leader=True,
        web_enabled=False,
    )
    stop = app.stopping = Stop(settings.stop_deadline)
    tracing = tracing or Tracing()
    wire = {"classify": _wire_classify, "alerts": _wire_alerts, "feedback": _wire_feedback}
    app.sources = [wire[name](app, settings, model, metrics, stop, tracing) for name in agents]
    app.health = HealthServer(settings, metrics, app.sources)
    return app


def _wire_classify(
    app: App, settings: Settings, model: Model | None, metrics: Metrics, stop: Stop, tracing: Tracing
) -> Source:
    assert model is not None
    spans = tracing.batches(settings.topic_raw, settings.group)
    source = Source(
        app,
        "classify",
        topics=[settings.topic_raw],
        group=settings.group,
        outputs=[settings.topic_enriched, settings.topic_rejected, settings.topic_signals],
        transactional=settings.delivery == "exactly_once",
        settings=settings,
        metrics=metrics,
        stop=stop,
        spans=spans,
    )
    stage = ClassifyStage(model, settings)
    answers = Answers()
    app.beside = [Corrections(settings, answers, metrics)]

    @app.agent(source.channel, name="classify")
    async def classify(batches: AsyncIterator[RecordBatch]) -> None:
        async for batch in batches:
            with metrics.stage.labels("classify", "classify").time(), batch.span.stage("classify"):
                # Scoring and HTML extraction would hold up the event loop, and with it the health checks.
                classified = await asyncio.to_thread(stage, batch.records)
            _log(batch.records, classified.results)
            traced = _traced(batch.records, classified.results)
            batch.publish(classified.outputs, partial(_classified, metrics, answers, classified, traced))

    return source


def _traced(records: Sequence[Record], results: Sequence[EnrichedArticle | Rejection]) -> tuple[int, str] | None:
    """The first enriched article of a batch whose trace is sampled: its number, and the trace's id."""
    for number, record in enumerate(records[:LOOKED_AT]):
        trace = trace_of_headers(record.headers)
        if trace and trace.sampled and not isinstance(results[number], Rejection):
            return number, trace.trace_id
    return None


def _classified(metrics: Metrics, answers: Answers, classified: Classified, traced: tuple[int, str] | None) -> None:
    metrics.classified(classified.results, classified.words, traced)
    answers.remember(classified.results)


def _log(records: Sequence[Record], results: Sequence[EnrichedArticle | Rejection]) -> None:
    """A line for each rejected record and each flash: who and where, never what it says."""
    rejected = 0
    for record, result in zip(records, results, strict=True):
        if isinstance(result, Rejection):
            rejected += 1
            if rejected <= MAX_LOGGED:
                log.warning("rejected", **_where(record), reason=result.reason.value, why=str(result))
        elif result.breaking.flag:
            log.info("breaking", **_where(record), id=result.id, reasons=result.breaking.reasons)
    if rejected > MAX_LOGGED:
        log.warning("rejected more", records=rejected - MAX_LOGGED)


def _where(record: Record) -> dict[str, Any]:
    """Where a record lies, and its trace if it has one."""
    trace = trace_of_headers(record.headers)
    return record.place._asdict() | ({"trace_id": trace.trace_id} if trace else {})


def _wire_alerts(app: App, settings: Settings, _: Any, metrics: Metrics, stop: Stop, tracing: Tracing) -> Source:
    group = f"{settings.group}.alerts"
    spans = tracing.batches(settings.topic_signals, group)
    stage = AlertStage(settings)

    def restore(alive: Callable[[], None], held: Collection[Partition]) -> None:
        """Another worker may have told these partitions' stories until now, or an aborted batch has changed ours."""
        count = len(metadata(settings).topics[settings.topic_signals].partitions)
        known = messages(settings, settings.topic_stories, from_beginning=True, follow=False, alive=alive)
        # Of other partitions' stories there would only be copies, which grow old while their own worker goes on.
        stage.restore(known, lambda lang: (settings.topic_signals, partition_of(lang.encode(), count)) in held)

    source = Source(
        app,
        "alerts",
        topics=[settings.topic_signals],
        group=group,
        outputs=[settings.topic_stories, settings.topic_alerts],
        # Stories in memory and stories on the topic must never disagree: an alert could be sent twice.
        transactional=True,
        tick=TICK_SECONDS,
        settings=settings,
        metrics=metrics,
        stop=stop,
        spans=spans,
        prepare=restore,
    )

    @app.agent(source.channel, name="alerts")
    async def alerts(batches: AsyncIterator[RecordBatch]) -> None:
        async for batch in batches:
            with metrics.stage.labels("alerts", "place").time(), batch.span.stage("place"):
                told = await asyncio.to_thread(stage, batch.records, batch.span.alert)
            traced = next(
                ((at, trace) for at, alert in enumerate(told.alerts) if (trace := trace_of_alert(alert))), None
            )
            batch.publish(told.outputs, partial(metrics.alerted, told.alerts, told.held_back, len(stage), traced))

    return source


def _wire_feedback(app: App, settings: Settings, _: Any, metrics: Metrics, stop: Stop, tracing: Tracing) -> Source:
    group = f"{settings.group}.feedback"
    spans = tracing.batches(settings.topic_feedback, group)
    stage = FeedbackStage(settings)
    source = Source(
        app,
        "feedback",
        topics=[settings.topic_feedback],
        group=group,
        outputs=[settings.topic_signals],
        transactional=False,
        settings=settings,
        metrics=metrics,
        stop=stop,
        spans=spans,
    )
    source.essential = False  # articles and alerts flow without it

    @app.agent(source.channel, name="feedback")
    async def feedback(batches: AsyncIterator[RecordBatch]) -> None:
        async for batch in batches:
            heard = stage(batch.records)
            batch.publish(heard.outputs, partial(metrics.heard, heard.results, heard.about))

    return source

"""`ajil worker`."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from stream.errors import StoppedUnclean
from stream.settings import AGENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.classifier import Classifier
    from stream.settings import Settings


FLUSH_SECONDS = 2.0
"""For the last spans: a collector that is there takes them in milliseconds."""


def _agents(_: click.Context, __: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    if not names or not set(names) <= set(AGENTS):
        raise click.BadParameter(f"{value!r}: give some of {', '.join(AGENTS)}, separated by commas")
    return names


@click.command()
@click.option(
    "--agents",
    callback=_agents,
    default=",".join(AGENTS),
    show_default=True,
    help="Which agents this worker runs.",
)
def command(agents: tuple[str, ...]) -> None:
    """Run the agents until SIGTERM or Ctrl-C.

    The classify agent reads AJIL_TOPIC_RAW and writes enriched records, rejected records and signals; the alerts agent
    reads signals and writes stories and alerts; the feedback agent reads what editors say, and sends withdrawals of
    alerts to the alerts agent. Start as many workers as there are partitions to share. A worker waits
    for its broker and topics, and says so. On SIGTERM it finishes the batch in hand, commits and leaves within
    AJIL_STOP_DEADLINE seconds; a second SIGTERM ends it at once.

    Exit codes: 0 stopped in order, 1 crashed, 2 a setting is wrong or the port is taken, 3 Kafka refused for good,
    5 the model bundle was refused, 6 stopped with a batch in hand (it is read again).

    Metrics and health: http://AJIL_HTTP_HOST:AJIL_HTTP_PORT/metrics, /health/live, /health/ready.
    """
    # Until Faust has its own handlers, SIGTERM would kill without a word; nothing is in hand yet.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    from stream.settings import load_settings

    settings = load_settings()

    from stream import logs
    from stream.classify import load_model

    logs.configure(settings)
    serve(settings, load_model(settings) if "classify" in agents else None, agents)


def serve(settings: Settings, model: Classifier | None, agents: tuple[str, ...]) -> NoReturn:
    """Run the agents until a signal, then end the process. Only the classify agent needs a model."""
    import faust
    import structlog

    from stream.app import build_app
    from stream.drift import DriftWatch, windows
    from stream.metrics import Metrics
    from stream.tracing import open_tracing

    log = structlog.get_logger("stream.worker")
    known = model.usual() if model else {}
    usual = windows(known)
    if unknown := sorted(known.keys() - usual.keys()):
        log.warning("the bundle does not say what is usual: drift is not measured; train it again", models=unknown)
    metrics = Metrics({lang: model.labels(lang) for lang in model.languages} if model else {}, DriftWatch(usual))
    for name, version in (model.info() if model else {}).items():
        metrics.model_info.labels(name, version).set(1)
        log.info("model loaded", model=name, version=version)
    tracing = open_tracing("ajil-worker")
    app = build_app(settings, model, metrics, agents, tracing)
    # All of this stays. A full collection would walk it, and hold up every agent for 50 ms and more.
    gc.collect()
    gc.freeze()

    class Worker(faust.Worker):
        """Faust's worker; a second signal ends it at once, which loses nothing: what is not committed is read again."""

        def _on_sigterm(self) -> None:
            self._stop_or_exit(super()._on_sigterm)

        def _on_sigint(self) -> None:
            self._stop_or_exit(lambda: self._schedule_shutdown(signal.SIGINT))

        def _stop_or_exit(self, stop: Callable[[], None]) -> None:
            if self._signal_stop_time:
                os._exit(StoppedUnclean.exit_code)
            stop()

    worker = Worker(app, loglevel=settings.log_level, override_logging=False, quiet=True, redirect_stdouts=False)
    worker.spinner = None
    code: int | str | None = 0
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        code = stop.code
    tracing.close(min(FLUSH_SECONDS, app.stopping.left))
    for source in app.sources:
        if source.failure is not None:
            log.error(str(source.failure))
            code = source.failure.exit_code
    sys.stdout.flush()
    sys.stderr.flush()
    # A Kafka thread that never came back from librdkafka must not keep the process alive.
    os._exit(code if isinstance(code, int) else 1)

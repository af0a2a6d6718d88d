"""The demo from start to end: broker, worker, articles, screen, summary; everything is stopped in the reverse order."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import click

from stream.demo.articles import load
from stream.demo.monitoring import Monitoring
from stream.demo.play import DemoFailed, play
from stream.demo.process import GROUP, Ports, ajil, free_port
from stream.demo.readers import Desk, OpenStream
from stream.demo.screen import LiveTable, PlainLines
from stream.embedded import EmbeddedBroker
from stream.settings import Settings

__all__ = ["run"]


def run(*, once: bool, interval: float, with_monitoring: bool = False) -> None:
    """Run the demo until Ctrl-C, SIGTERM or the end of the terminal; with `once` until every article came out.

    Raises `DemoFailed` when it could not show everything; the worker's last log lines are then on stderr.
    """
    started = time.monotonic()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that has no Arabic shows question marks, not a traceback.
        sys.stdout.reconfigure(errors="replace")
    # librdkafka's complaints belong into a log, not between the rows; whatever matters comes up as an error.
    logging.getLogger("librdkafka").addHandler(logging.NullHandler())

    articles = load()
    names = Settings()
    topics = (
        names.topic_raw,
        names.topic_enriched,
        names.topic_rejected,
        names.topic_signals,
        names.topic_stories,
        names.topic_alerts,
        names.topic_feedback,
        names.topic_undelivered,
    )
    with EmbeddedBroker(topics) as broker:
        settings = Settings(brokers=broker.brokers, group=GROUP)
        ports = Ports(free_port(settings.http_port), free_port(settings.gateway_port))
        monitoring = Monitoring(ports) if with_monitoring else None
        page = f"http://127.0.0.1:{ports.gateway}/"
        title = f"Ajil demo, {len(articles)} articles, embedded Kafka at {broker.brokers}, live page at {page}"
        # The table shows the way out in its title; lines of a pipe need it once.
        screen = LiveTable(f"{title}. Ctrl-C ends it.") if _is_terminal() else PlainLines()
        if isinstance(screen, PlainLines):
            click.echo(f"{title}: starting the worker")
        with contextlib.ExitStack() as running:
            subscriptions = {}
            if monitoring:
                subscriptions["AJIL_SUBSCRIPTIONS"] = str(running.enter_context(Desk()).subscriptions)
            running.enter_context(ajil("gateway", broker.brokers, ports, subscriptions))
            worker = running.enter_context(ajil("worker", broker.brokers, ports))
            if monitoring:
                running.enter_context(monitoring)
                running.enter_context(OpenStream(ports.gateway))
                click.echo("\n".join(monitoring.told))
            try:
                with screen:
                    tally = play(
                        articles,
                        settings,
                        screen,
                        worker,
                        once=once,
                        interval=interval,
                        stopped=stopped.is_set,
                        started=started,
                        news=monitoring.ended if monitoring else tuple,
                    )
            except DemoFailed as error:
                click.echo("\n".join(worker.log_tail()), err=True)
                raise DemoFailed(f"the demo failed: {error} (the worker's log: {worker.log})") from None
            click.echo("\n".join(["", *tally.summary(), "", "stopping the worker"]))
    click.echo("\n".join(next_steps(_program())))


def next_steps(program: str) -> list[str]:
    """What a newcomer may try after the demo; `program` is how this shell calls `ajil`."""
    return [
        "",
        "What to try next",
        f"  {program} classify FILE    classify your own articles (JSON Lines), without Kafka",
        "  make kafka    a real Kafka on this machine; then, each in a terminal of its own:",
        f"    {program} topics --create && {program} worker",
        f"    {program} tail news.articles.enriched",
        f"    {program} produce FILE",
        "  README.md    what Ajil promises, and how to run it for real",
    ]


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _program() -> str:
    """`ajil` where the shell finds it, else its path from here: `make demo` leaves the user outside the venv."""
    if shutil.which("ajil"):
        return "ajil"
    return os.path.relpath(Path(sys.executable).parent / "ajil")

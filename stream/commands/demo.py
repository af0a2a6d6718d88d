"""`ajil demo`."""

from __future__ import annotations

import click


@click.command()
@click.option("--once", is_flag=True, help="Feed each article once, wait until all came out, and end.")
@click.option(
    "--interval",
    type=click.FloatRange(min=0.05, max=60),
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="Time between two articles.",
)
@click.option(
    "--with-monitoring",
    is_flag=True,
    help="Also start Prometheus, Alertmanager and Grafana on it, those that this machine has.",
)
def command(once: bool, interval: float, with_monitoring: bool) -> None:
    """Watch Ajil work, with nothing installed but Ajil.

    Starts a Kafka broker inside this process, a worker beside it, and feeds it articles written for the purpose:
    Arabic, English and French, of every topic, with flashes, look-alikes, scraped pages and broken input. Shows what
    comes out, then how much of it is what a reader would expect. Goes on until Ctrl-C; nothing is left behind.

    With --with-monitoring, those of Prometheus, Alertmanager and Grafana that are on the PATH are started on it, with
    the rules and dashboards of a deployment; a desk takes alerts by webhook and a page is left open, for them to show.

    Settings of another Kafka (AJIL_BROKERS and the like) are not used; AJIL_MODEL is. On a pipe or in a file the table
    becomes plain lines. Exit codes: 0 done; 1 the worker failed, or with --once an article did not come out.
    """
    from stream.demo.run import run

    run(once=once, interval=interval, with_monitoring=with_monitoring)

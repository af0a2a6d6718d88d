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
def command(once: bool, interval: float) -> None:
    """Watch Ajil work, with nothing installed but Ajil.

    Starts a Kafka broker inside this process, a worker beside it, and feeds it articles written for the purpose:
    Arabic, English and French, of every topic, with flashes, look-alikes, scraped pages and broken input. Shows what
    comes out, then how much of it is what a reader would expect. Goes on until Ctrl-C; nothing is left behind.

    Settings of another Kafka (AJIL_BROKERS and the like) are not used; AJIL_MODEL is. On a pipe or in a file the table
    becomes plain lines. Exit codes: 0 done; 1 the worker failed, or with --once an article did not come out.
    """
    from stream.demo.run import run

    run(once=once, interval=interval)
